# SPDX-License-Identifier: Apache-2.0
"""The parts of "ssh and PTP beside media" that need no guest: who takes a frame, what ptp4l and pmc said."""

import os
import socket
import struct
from pathlib import Path

import pytest
from lab import ptp
from lab.host_services import read_groups, render_query
from lab.ssh import Access, prepare, render_config
from lab.ssh_session import plan_command
from lab.station import IGMP_REPORTS, Station, is_for
from lab.wire import split_stream
from scapy.layers.igmp import IGMPv3_MR, IGMPv3_MR_Group
from scapy.layers.inet import IP
from scapy.layers.l2 import ARP, Ether

MAC = bytes.fromhex("02004c4100a0")
LOG = """\
ptp4l[7.1]: port 1: INITIALIZING to LISTENING on INIT_COMPLETE
ptp4l[7.1]: port 0: INITIALIZING to LISTENING on INIT_COMPLETE
ptp4l[9.2]: port 1: new foreign master 1ee0a8.fffe.bb78e0-1
ptp4l[9.9]: foreign master not using PTP timescale
ptp4l[9.9]: port 1: LISTENING to UNCALIBRATED on RS_SLAVE
ptp4l[9.9]: rms  753 max 1005 freq     +0 +/-   0 delay  2587 +/-  74
"""
LOCKED = "ptp4l[10.5]: port 1: UNCALIBRATED to SLAVE on MASTER_CLOCK_SELECTED\n"
LOST = """\
ptp4l[11.0]: timed out while polling for tx timestamp
ptp4l[11.0]: port 1: send delay request failed
ptp4l[11.0]: port 1: SLAVE to FAULTY on FAULT_DETECTED (FT_UNSPECIFIED)
"""
ANSWERS = """\
sending: GET PORT_DATA_SET
\t1ee0a8.fffe.bb78e0-1 seq 0 RESPONSE MANAGEMENT PORT_DATA_SET
\t\tportIdentity            1ee0a8.fffe.bb78e0-1
\t\tportState               SLAVE
\t1ee0a8.fffe.bb78e0-1 seq 1 RESPONSE MANAGEMENT PORT_STATS_NP
\t\trx_Delay_Resp             8
"""


def test_what_the_lab_takes_off_the_cable() -> None:
    payload = bytes(60)
    for destination in (
        MAC,
        b"\xff" * 6,
        IGMP_REPORTS,
        *(bytes.fromhex(x) for x in ("01005e000181", "011b19000000")),
    ):
        assert is_for(destination + payload, MAC)
    for destination in ("02004c4100a1", "01005e010201", "0180c2000003"):
        assert not is_for(bytes.fromhex(destination) + payload, MAC)


def test_states_and_faults() -> None:
    assert ptp.parse_states(LOG + LOCKED) == ["LISTENING", "UNCALIBRATED", "SLAVE"]
    assert ptp.find_faults(LOG + LOCKED) == []
    assert ptp.parse_states(LOG + LOCKED + LOST)[-1] == "FAULTY"
    assert ptp.find_faults(LOG + LOCKED + LOST) == LOST.splitlines()
    assert ptp.parse_answers(ANSWERS) == {
        "portIdentity": "1ee0a8.fffe.bb78e0-1",
        "portState": "SLAVE",
        "rx_Delay_Resp": "8",
    }
    assert ptp.parse_answers("sending: GET PORT_DATA_SET\n") == {}


def test_no_clock_is_steered() -> None:
    lab = ptp.render_config("L2", master=True, in_guest=False, socket="/run/a").splitlines()
    guest = ptp.render_config("UDPv4", master=False, in_guest=True, socket="/run/b").splitlines()
    assert {"free_running 1", "priority1 100", "network_transport L2", "uds_address /run/a"} <= set(lab)
    assert {"max_frequency 1", "step_threshold 0", "priority1 200", "time_stamping software"} <= set(guest)


def test_a_query_and_its_answer() -> None:
    query = Ether(render_query("10.77.1.1"))
    assert (query.dst, query[IP].dst, query[IP].ttl) == ("01:00:5e:00:00:01", "224.0.0.1", 1)
    groups = {"239.1.2.1", "239.1.2.2"}
    report = (
        Ether()
        / IP(dst="224.0.0.22")
        / IGMPv3_MR(records=[IGMPv3_MR_Group(maddr=one) for one in sorted(groups)])
    )
    assert read_groups([bytes(report)]) == groups
    assert read_groups([bytes(query)]) == set()


def test_ssh_over_the_cable_trusts_the_pinned_key_only(tmp_path: Path) -> None:
    key = tmp_path / "host_key.pub"
    key.write_text("ssh-ed25519 AAAA guest\n")
    access = prepare(tmp_path, 40022, key)

    class Here:
        def enter(self, *command: object) -> list[str]:
            return ["in", *map(str, command)]

    command = plan_command(Here(), access, "10.77.1.2", "cat")  # type: ignore[arg-type]
    assert command[:4] == ["in", "ssh", "-F", str(access.config)]
    assert {"HostName=10.77.1.2", "Port=22", "HostKeyAlias=[127.0.0.1]:40022"} <= set(command)
    assert access.known_hosts.read_text().startswith("[127.0.0.1]:40022 ")
    assert "StrictHostKeyChecking yes" in render_config(Access(tmp_path, 40022))


@pytest.mark.kernel
def test_a_station_answers_on_its_cable_and_leaves_media_alone(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        pytest.skip("needs root and /dev/net/tun: run as root, modprobe tun")
    request = Ether(dst="ff:ff:ff:ff:ff:ff", src="52:54:00:4c:41:11") / ARP(
        hwsrc="52:54:00:4c:41:11", psrc="10.77.1.2", pdst="10.77.1.1"
    )
    media = bytes.fromhex("01005e010201") + bytes(54)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "red"))
        server.listen()
        with (
            Station("test", "02:00:00:4c:41:a0", "10.77.1.1/24") as station,
            station.join(tmp_path / "red") as wire,
        ):
            far_end = server.accept()[0]
            far_end.settimeout(30)
            for frame in (media, bytes(request), media):
                far_end.sendall(struct.pack(">I", len(frame)) + frame)
            buffer, seen = bytearray(), []
            while not any(ARP in Ether(frame) for frame in seen):
                buffer += far_end.recv(65536)
                seen += split_stream(buffer)
            (answer,) = [Ether(frame) for frame in seen if ARP in Ether(frame)]
            assert (answer[ARP].op, answer[ARP].hwsrc, answer[ARP].psrc) == (
                2,
                "02:00:00:4c:41:a0",
                "10.77.1.1",
            )
            namespace = Path("/run/netns") / station.namespace
            assert namespace.exists()
            while len(wire.received) < 2:
                assert wire.problem is None
            far_end.close()
        assert wire.take() == [media, media]
        assert not namespace.exists()
