# SPDX-License-Identifier: Apache-2.0
"""A port that cannot be opened: what the operator reads, for every error code of the fast path."""

import errno
import platform

import pytest

from appliance.config.device import parse_device
from appliance.config.schema import XdpOptions
from appliance.config.worker_spec import PortSpec
from appliance.fastpath import NativeError, names
from appliance.worker.refusals import render_refusal

RELEASE = platform.release()


def build_port(device: str, mode: str = "native", copy: str = "copy") -> PortSpec:
    xdp = XdpOptions.model_validate({"mode": mode, "copy": copy}) if device.startswith("xdp:") else None
    return PortSpec(name="red-in", device=parse_device(device), xdp=xdp)


@pytest.mark.parametrize(
    ("port", "code", "number", "wanted"),
    [
        (
            build_port("netmap:lo"),
            names.E_NOT_NATIVE,
            0,
            "port red-in (netmap:lo): the driver is loaded without netmap, the emulated adapter was not allowed; "
            f"run playbooks/drivers.yml for {RELEASE}, or write `emulated: allow`",
        ),
        (
            build_port("netmap:ens4"),
            names.E_NO_NETMAP,
            0,
            "port red-in (netmap:ens4): the netmap module is not loaded: /dev/netmap does not exist; "
            f"load it with `modprobe netmap`, or run playbooks/drivers.yml for {RELEASE}",
        ),
        (
            build_port("xdp:nosuch0-1"),
            names.E_NO_DEVICE,
            0,
            "port red-in (xdp:nosuch0-1): the interface nosuch0 does not exist; "
            "`ip link` shows the interfaces of this host",
        ),
        (
            build_port("xdp:nosuch0", copy="zerocopy"),
            names.E_UNSUPPORTED,
            0,
            "port red-in (xdp:nosuch0): the driver or this kernel does not support XDP mode native with zerocopy; "
            "write `xdp: {copy: copy}` to accept copies",
        ),
        (
            build_port("xdp:nosuch0"),
            names.E_UNSUPPORTED,
            0,
            "port red-in (xdp:nosuch0): the driver or this kernel does not support XDP mode native with copy; "
            "write `xdp: {mode: generic}` to accept the generic hook",
        ),
        (
            build_port("xdp:nosuch0"),
            names.E_SYSTEM,
            errno.EPERM,
            "port red-in (xdp:nosuch0): Operation not permitted; "
            "the worker needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK",
        ),
        (
            build_port("xdp:nosuch0"),
            names.E_SYSTEM,
            errno.ENETDOWN,
            "port red-in (xdp:nosuch0): Network is down; `ip link set nosuch0 up`",
        ),
        (
            build_port("xdp:nosuch0-9"),
            names.E_SYSTEM,
            errno.EINVAL,
            "port red-in (xdp:nosuch0-9): Invalid argument; "
            "/sys/class/net/nosuch0/queues shows the queues there are, 9 was wanted",
        ),
    ],
)
def test_what_was_seen_and_what_to_do(port: PortSpec, code: int, number: int, wanted: str) -> None:
    assert render_refusal(port, NativeError(code, "port", number)) == wanted


@pytest.mark.parametrize("code", sorted(names.ERRORS))
@pytest.mark.parametrize("device", ["netmap:ens4", "vale0:1", "xdp:ens4", "memory:a"])
def test_every_code_says_what_to_do_in_one_line(device: str, code: int) -> None:
    text = render_refusal(build_port(device), NativeError(code, "port"))
    assert text.startswith(f"port red-in ({device}): ")
    seen, advice = text.split("; ", 1)
    assert seen
    assert advice
    assert "\n" not in text
