# SPDX-License-Identifier: Apache-2.0
"""Rules in a NIC's table: places, other people's rules, refusals.

No NIC within reach has one, so the ioctl's other side is played here from linux/ethtool.h; a real driver without
flow rules (veth) refuses at the end. What is NOT TESTED: a driver that has them.
"""

import ctypes
import errno
import os
import struct
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from appliance.config.steering import FlowRule
from appliance.config.worker_spec import WorkerFiles
from appliance.daemon.steering import add_steering, settle_steering
from appliance.errors import HostError
from appliance.host import flow_rules
from appliance.host.flow_rules import RuleTable, add_rules, plan_rules, remove_rules


class Nic:
    """The kernel's side of struct ethtool_rxnfc: a table of `size` places, which the driver chooses itself or not."""

    def __init__(self, size: int = 4, chooses: bool = False) -> None:
        self.size, self.chooses, self.refuse_after = size, chooses, 1000
        self.rules: dict[int, bytes] = {}

    def call(self, table: RuleTable, buffer: "ctypes.Array[ctypes.c_char]") -> None:
        (command,) = struct.unpack_from("=I", buffer)
        (location,) = struct.unpack_from("=I", buffer, 16 + 160)
        if command == 0x2E:  # ETHTOOL_GRXCLSRLCNT
            struct.pack_into("=Q", buffer, 8, 0x80000000 if self.chooses else 0)
            struct.pack_into("=I", buffer, 184, len(self.rules))
        elif command == 0x30:  # ETHTOOL_GRXCLSRLALL
            (room,) = struct.unpack_from("=I", buffer, 184)
            if room < len(self.rules):
                raise OSError(errno.EMSGSIZE, "Message too long")
            struct.pack_into("=Q", buffer, 8, self.size)
            struct.pack_into(f"={len(self.rules)}I", buffer, 188, *sorted(self.rules))
        elif command == 0x2F:  # ETHTOOL_GRXCLSRULE
            ctypes.memmove(ctypes.addressof(buffer) + 16, self.rules[location], 168)
        elif command == 0x31:  # ETHTOOL_SRXCLSRLDEL
            del self.rules[location]
        elif command == 0x32:  # ETHTOOL_SRXCLSRLINS
            self._insert(bytes(buffer)[16 : 16 + 168], location)

    def _insert(self, spec: bytes, location: int) -> None:
        if location == 0xFFFFFFFF and self.chooses:
            location = min(n for n in range(self.size + 1) if n not in self.rules)
        if location >= self.size or location in self.rules or len(self.rules) >= self.refuse_after:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.rules[location] = spec[:160] + struct.pack("=I", location) + spec[164:]


@pytest.fixture(params=[False, True], ids=["we choose places", "the driver chooses"])
def nic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Nic:
    nic = Nic(chooses=request.param)
    monkeypatch.setattr(RuleTable, "_call", lambda table, buffer: nic.call(table, buffer))
    return nic


def rule(last: int, queue: int = 1) -> FlowRule:
    return FlowRule("ens4", queue, ip_address(f"239.1.2.{last}"), 32, udp_port=6000)


def put_rules(table: RuleTable, wanted: list[FlowRule]) -> None:
    add_rules(table, plan_rules(table, wanted))


def test_rules_are_added_once_and_removed_again(nic: Nic) -> None:
    with RuleTable("ens4") as table:
        put_rules(table, [rule(1), rule(2)])
        put_rules(table, [rule(2), rule(3)])
        assert len(nic.rules) == 3
        remove_rules(table, [rule(1), rule(3)])
        assert [location for location, _ in nic.rules.items()] == ([1] if nic.chooses else [2])
        remove_rules(table, [rule(1)])  # is not there any more
        assert len(nic.rules) == 1


def test_a_full_table_is_refused_and_left_as_it_was(nic: Nic) -> None:
    with RuleTable("ens4") as table:
        put_rules(table, [rule(1), rule(2)])
        before = dict(nic.rules)
        with pytest.raises(HostError, match=r"No space left|2 of 4 places for flow rules left, 3 are needed"):
            put_rules(table, [rule(3), rule(4), rule(5)])
        assert nic.rules == before


def test_a_refusal_in_the_middle_takes_the_rest_back(nic: Nic) -> None:
    nic.refuse_after = 1
    with (
        RuleTable("ens4") as table,
        pytest.raises(HostError, match=r"refuses the rule ens4 239\.1\.2\.2:6000"),
    ):
        put_rules(table, [rule(1), rule(2)])
    assert nic.rules == {}


@pytest.fixture
def files(tmp_path: Path) -> WorkerFiles:
    return WorkerFiles(tmp_path)


def test_the_daemon_takes_out_what_it_put_in_and_nothing_else(nic: Nic, files: WorkerFiles) -> None:
    with RuleTable("ens4") as table:
        put_rules(table, [rule(1), rule(9)])  # by other hands, one of them as we want it
    theirs = dict(nic.rules)
    add_steering(files, [rule(1), rule(2)])
    assert len(nic.rules) == 3
    add_steering(files, [rule(2), rule(3)])  # the next table: old and new together
    assert len(nic.rules) == 4
    settle_steering(files, [rule(2), rule(3)])
    assert len(nic.rules) == 4
    settle_steering(files, [rule(3)])
    assert len(nic.rules) == 3
    settle_steering(files, ())
    assert nic.rules == theirs


def test_what_failed_is_not_remembered(nic: Nic, files: WorkerFiles) -> None:
    add_steering(files, [rule(1)])
    with pytest.raises(HostError):
        add_steering(files, [rule(2), rule(3), rule(4), rule(5)])
    assert flow_rules.find_missing(nic.rules, [rule(1)]) == []
    settle_steering(files, ())
    assert nic.rules == {}


def test_a_rule_that_left_the_nic_is_put_back(nic: Nic, files: WorkerFiles) -> None:
    add_steering(files, [rule(1)])
    nic.rules.clear()  # the driver was loaded anew
    add_steering(files, [rule(1)])
    assert len(nic.rules) == 1
    settle_steering(files, ())
    assert nic.rules == {}


VETH = """
import subprocess
from appliance.host.flow_rules import check_flow_rules
subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], check=True)
print("\\n".join(check_flow_rules(["v0", "v0", "nosuch0"])))
"""


@pytest.mark.kernel
def test_a_driver_without_rules_says_so() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: run pytest as root to see a real driver refuse flow rules")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-P", "-c", VETH], capture_output=True, text=True, check=False
    )
    if "unshare failed" in done.stderr:
        pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    refused, missing = done.stdout.splitlines()
    assert refused == (
        "interface v0: the driver has no flow rules (ntuple): Operation not supported; "
        "remove `steer` and let one worker have all its queues"
    )
    assert missing.startswith("interface nosuch0: ")
