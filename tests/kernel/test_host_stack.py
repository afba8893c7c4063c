# SPDX-License-Identifier: Apache-2.0
"""The host stack beside the media, on one interface: ARP, ping, ssh, IGMP and PTP work, and no media frame is lost."""

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab_net import LabNetError, Namespace
from studio import Studio, check_all_arrived

CAMERA, HOST = "10.77.0.1", "10.77.0.2"
CAMERA_V6, HOST_V6 = "fd77::1", "fd77::2"
EVERYTHING = ["arp", "nd", "igmp", "mld", "ptp", "lldp", "unicast"]
GROUP = "239.99.1.1"
JOIN = (
    "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
    f"s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('{GROUP}') + socket.inet_aton('{HOST}'));"
    "print('joined', flush=True); sys.stdin.read()"
)


def give_addresses(studio: Studio) -> None:
    for namespace, name, v4, v6 in (
        (studio.camera, "out0", CAMERA, CAMERA_V6),
        (studio.middle, "in", HOST, HOST_V6),
    ):
        studio.net.run(namespace, ["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=0"])
        studio.net.run(namespace, ["ip", "addr", "add", f"{v4}/24", "dev", name])
        studio.net.run(namespace, ["ip", "addr", "add", f"{v6}/64", "dev", name, "nodad"])


def ping(studio: Studio, address: str, count: int = 10, size: int = 1400) -> bool:
    """Whether every one of `count` pings of the host was answered."""
    try:
        studio.net.run(
            studio.camera, ["ping", "-n", "-c", str(count), "-i", "0.02", "-W", "2", "-s", str(size), address]
        )
    except LabNetError:
        return False
    return True


@contextmanager
def running(studio: Studio, namespace: Namespace, command: Sequence[str], log: Path) -> Iterator[None]:
    """A process in a namespace, its output in `log`, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            studio.net.command(namespace, command), stdin=subprocess.PIPE, stdout=output, stderr=output
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def wait_for_text(log: Path, text: str, timeout_s: float = 30) -> None:
    end_s = time.monotonic() + timeout_s
    while text not in log.read_text():
        assert time.monotonic() < end_s, f"{text!r} was not said:\n{log.read_text()}"
        time.sleep(0.05)


def in_home(home: Path, command: str) -> list[str]:
    """`command` with `home` in the place of root's, in the mount namespace `ip netns exec` makes."""
    return ["sh", "-c", f"mount --bind {home} /root && exec {command}"]


def make_keys(home: Path) -> None:
    home.chmod(0o700)
    (home / ".ssh").mkdir(mode=0o700)
    subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", str(home / "host_key")], check=True, capture_output=True
    )
    made = subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", str(home / "user_key")],
        check=True,
        capture_output=True,
        text=True,
    )
    (public,) = (line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519"))
    (home / ".ssh/authorized_keys").write_text(public + "\n")
    (home / ".ssh/authorized_keys").chmod(0o600)


def check_ssh(studio: Studio, folder: Path) -> None:
    """A megabyte into a real ssh session and its digest back."""
    home = folder / "home"
    home.mkdir()
    make_keys(home)
    data = random.Random(22).randbytes(1 << 20)
    server = in_home(home, f"dropbear -F -E -s -r /root/host_key -p {HOST}:22 -P /root/pid")
    with running(studio, studio.middle, server, folder / "sshd.log"):
        wait_for_text(folder / "sshd.log", "Not backgrounding")
        client = in_home(home, f"dbclient -y -y -i /root/user_key root@{HOST} sha256sum")
        done = subprocess.run(
            studio.net.command(studio.camera, client),
            input=data,
            capture_output=True,
            timeout=60,
            check=False,
        )
    told = done.stderr.decode() + (folder / "sshd.log").read_text()
    assert done.returncode == 0, told
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest(), told


def check_membership(studio: Studio, folder: Path) -> None:
    """A socket of the host joins a group: the host answers the querier on the wire."""
    with running(studio, studio.middle, [sys.executable, "-c", JOIN], folder / "join.log"):
        wait_for_text(folder / "join.log", "joined")
        querier = Path(__file__).with_name("igmp_querier.py")
        answer = studio.net.run(studio.camera, [sys.executable, str(querier), "out0", GROUP, "20"])
    assert answer.strip() == HOST


def test_the_host_works_and_no_media_is_lost(studio: Studio, tmp_path: Path) -> None:
    studio.host_stack = EVERYTHING
    studio.start()
    give_addresses(studio)
    stream = studio.start_stream()
    assert ping(studio, HOST)
    assert ping(studio, HOST_V6)
    check_ssh(studio, tmp_path)
    check_membership(studio, tmp_path)
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    document = studio.appliance.wait_until(
        lambda seen: _ingress(seen)["passed_to_host_frames"] > 0, "counting what went to the host"
    )
    ingress = _ingress(document)
    assert ingress["received_frames"] == ingress["forwarded_frames"] == sent
    # A megabyte of ssh alone is some 700 segments of 1,448 bytes, and 20 pings.
    assert ingress["passed_to_host_frames"] > 700
    assert document["workers"][0]["balanced"]
    assert not document["problems"]


def _ingress(document: dict[str, list[dict[str, int]]]) -> dict[str, int]:
    return next(port for port in document["ports"] if port["name"] == "in")  # type: ignore[comparison-overlap]


def test_without_classes_the_host_hears_nothing(forwarding: Studio) -> None:
    give_addresses(forwarding)
    assert not ping(forwarding, HOST, count=2)
    ingress = forwarding.ingress()
    assert ingress["passed_to_host_frames"] == 0
    assert ingress["dropped_frames"]["not_ip"] > 0  # the camera's ARP requests


def test_a_class_not_selected_stays_in_the_fast_path(studio: Studio) -> None:
    studio.host_stack = ["arp"]
    studio.start()
    give_addresses(studio)
    assert not ping(studio, HOST, count=2)
    neighbours = studio.net.run(studio.camera, ["ip", "neigh", "show", HOST])
    assert "lladdr" in neighbours, neighbours  # ARP was answered, ping was not
    ingress = studio.ingress()
    assert ingress["dropped_frames"]["not_udp"] >= 2
    assert ingress["dropped_frames"]["not_ip"] == 0


@pytest.mark.parametrize("transport", ["-4", "-2"], ids=["udp", "ethernet"])
def test_ptp_finds_its_master_while_media_flows(studio: Studio, tmp_path: Path, transport: str) -> None:
    """linuxptp in software mode; free running, so that the clock of this machine is left alone."""
    studio.host_stack = EVERYTHING
    studio.start()
    give_addresses(studio)
    stream = studio.start_stream()
    common = ["-S", transport, "-m", "--logSyncInterval=-3", "--logMinDelayReqInterval=-3"]
    common += [
        "--logAnnounceInterval=-2",
        "--free_running=1",
        "--summary_interval=-3",
        "--tx_timestamp_timeout=100",
    ]
    master = ["ptp4l", *common, "-i", "out0", "--priority1=1", f"--uds_address={tmp_path}/master"]
    slave = ["ptp4l", *common, "-i", "in", "-s", f"--uds_address={tmp_path}/slave"]
    with (
        running(studio, studio.camera, master, tmp_path / "master.log"),
        running(studio, studio.middle, slave, tmp_path / "slave.log"),
    ):
        wait_for_text(tmp_path / "slave.log", "to UNCALIBRATED on RS_SLAVE")
        wait_for_text(tmp_path / "slave.log", "path delay")
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
