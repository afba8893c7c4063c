# SPDX-License-Identifier: Apache-2.0
"""Kernel modules of a host, read without the commands the roles use."""

import base64
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from testinfra.host import Host

# What a device of the configuration is bound to: "netmap:ens4", "netmap:ens4-2", "netmap:ens4^", "xdp:ens4-1".
# VALE ports ("vale0:1") and pipes ("netmap:pipe{1") have no interface.
_INTERFACE = re.compile(r"^(?P<kind>netmap|xdp):(?P<interface>[^{}^*@/]+?)(?:-\d+)?[\^*]?$")


def list_interfaces(configuration: dict[str, Any], kind: str) -> list[str]:
    """Interfaces of the ports of a kind ("netmap" or "xdp"), each once."""
    found = (_INTERFACE.match(port["device"]) for port in configuration["ports"])
    return sorted({match["interface"] for match in found if match and match["kind"] == kind})


@dataclass(frozen=True)
class Module:
    """A loaded module: the file modprobe takes for it, that file's bytes, the running module's build ID."""

    name: str
    path: str
    content: bytes
    loaded_build_id: bytes
    holders: tuple[str, ...]


@cache
def read_module(host: Host, name: str) -> Module:
    """Everything of one module in one question to the host."""
    result = host.run(
        f"modinfo -n {name}; base64 -w0 $(modinfo -n {name}); echo; "
        f"base64 -w0 /sys/module/{name}/notes/.note.gnu.build-id; echo; ls /sys/module/{name}/holders"
    )
    assert result.rc == 0, f"module {name} is not loaded or has no file: {result.stderr}"
    path, content, note, *holders = result.stdout.splitlines()
    # An ELF note: 12 bytes of sizes and type, the name "GNU\0", then the ID (System V gABI, note section).
    return Module(name, path, base64.b64decode(content), base64.b64decode(note)[16:], tuple(holders))


@cache
def read_driver(host: Host, interface: str) -> str:
    """The kernel module of an interface's driver."""
    result = host.run(f"basename $(readlink -f /sys/class/net/{interface}/device/driver/module)")
    assert result.rc == 0, f"interface {interface} does not exist or has no driver: {result.stderr}"
    return result.stdout.strip()


@cache
def read_release(host: Host) -> str:
    """The running kernel."""
    return host.check_output("uname -r")


@cache
def read_manifest(host: Host) -> dict[str, Any]:
    """The manifest beside the installed modules."""
    text = host.file(f"/lib/modules/{read_release(host)}/updates/netmap/manifest.json").content_string
    document: dict[str, Any] = json.loads(text)
    return document
