# SPDX-License-Identifier: Apache-2.0
"""Whether interfaces can be ports, judged from facts."""

import dataclasses

import pytest

from appliance.config.device import parse_device
from appliance.config.worker_spec import PortSpec
from appliance.host.ports import HostFacts, InterfaceFacts, NetmapFacts, find_port_problems, read_host

ENS4 = InterfaceFacts(
    name="ens4",
    index=2,
    driver="ixgbe",
    module="ixgbe",
    up=True,
    promiscuous=False,
    carrier=True,
    mtu_bytes=1500,
    rx_queues=4,
    tx_queues=4,
)
LOADED = NetmapFacts(loaded=True, buffer_bytes=2048, users=frozenset({"ixgbe"}))
HOST = HostFacts("6.1.0-56-amd64", {"lo": dataclasses.replace(ENS4, name="lo"), "ens4": ENS4}, LOADED)
UNPATCHED = dataclasses.replace(HOST, netmap=dataclasses.replace(LOADED, users=frozenset()))


def find(device: str, host: HostFacts = HOST, emulated: str = "refuse") -> list[str]:
    port = PortSpec.model_validate({"name": "red-in", "device": parse_device(device), "emulated": emulated})
    return find_port_problems([port], host)


@pytest.mark.parametrize(
    "device", ["netmap:ens4", "netmap:ens4-3", "netmap:ens4^", "xdp:ens4", "vale0:1", "memory:a"]
)
def test_good(device: str) -> None:
    assert find(device) == []


def test_no_such_interface() -> None:
    assert find("xdp:ens9") == ["port red-in: ens9: no such interface on this host; interfaces here: ens4"]


def test_driver_without_netmap() -> None:
    wanted = (
        "port ens4: driver ixgbe is loaded without netmap, the emulated adapter was not allowed; "
        "run playbooks/drivers.yml for 6.1.0-56-amd64"
    )
    assert find("netmap:ens4", UNPATCHED) == [wanted]
    assert find("netmap:ens4-1", UNPATCHED) == [wanted]
    assert find("netmap:ens4", UNPATCHED, emulated="allow") == []
    assert find("netmap:ens4^", UNPATCHED) == []
    assert find("xdp:ens4", UNPATCHED) == []


def test_netmap_not_loaded() -> None:
    host = dataclasses.replace(HOST, netmap=NetmapFacts(loaded=False, buffer_bytes=2048, users=frozenset()))
    for device in ("netmap:ens4", "vale0:1", "netmap:p{1"):
        assert find(device, host) == [
            f"port red-in: {device}: netmap is not loaded, /dev/netmap does not exist; "
            "run playbooks/drivers.yml for 6.1.0-56-amd64"
        ]
    assert find("xdp:ens4", host) == []


def test_queue_out_of_range() -> None:
    assert find("xdp:ens4-4") == ["port red-in: ens4 has queues 0 to 3, queue 4 was asked for"]


@pytest.mark.parametrize(("device", "room"), [("netmap:ens4", 2048), ("xdp:ens4", 1792)])
def test_mtu_larger_than_buffers(device: str, room: int) -> None:
    def with_mtu(mtu_bytes: int) -> HostFacts:
        return dataclasses.replace(HOST, interfaces={"ens4": dataclasses.replace(ENS4, mtu_bytes=mtu_bytes)})

    assert find(device, with_mtu(room - 22)) == []
    (problem,) = find(device, with_mtu(9000))
    assert problem.startswith(
        f"port red-in: ens4 has MTU 9000, frames of 9022 bytes; its buffers hold {room} bytes; "
    )


def test_every_problem_is_told() -> None:
    ports = [
        PortSpec.model_validate({"name": name, "device": parse_device("xdp:nope0")}) for name in ("a", "b")
    ]
    assert len(find_port_problems(ports, HOST)) == 2


def test_this_host() -> None:
    host = read_host()
    assert host.interfaces["lo"].index == 1
    assert host.interfaces["lo"].mtu_bytes > 0
    assert host.interfaces["lo"].driver is None
