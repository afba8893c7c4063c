# SPDX-License-Identifier: Apache-2.0
"""A NIC's receive flow classification (`ethtool -n`, `-N`): struct ethtool_rxnfc of linux/ethtool.h.

The NIC has a table of places ("locations") for rules, shared with everybody: rules are found again by what they say,
and only those are removed. pyroute2 does not know these requests, so they are made here by ioctl(2).
"""

import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address

from appliance.config.steering import FlowRule
from appliance.errors import HostError

# linux/ethtool.h and linux/sockios.h; tests/contract/test_flow_rules.py compares sizes, offsets and numbers with them.
SIOCETHTOOL = 0x8946
ETHTOOL_GRXCLSRLCNT = 0x2E
ETHTOOL_GRXCLSRULE = 0x2F
ETHTOOL_GRXCLSRLALL = 0x30
ETHTOOL_SRXCLSRLDEL = 0x31
ETHTOOL_SRXCLSRLINS = 0x32
UDP_V4_FLOW = 0x02
UDP_V6_FLOW = 0x06
FLOW_EXT = 0x80000000
RX_CLS_LOC_SPECIAL = 0x80000000
RX_CLS_LOC_ANY = 0xFFFFFFFF

RULE = struct.Struct("=I52s20s52s20s4xQI4x")  # struct ethtool_rx_flow_spec
REQUEST = struct.Struct(f"=IIQ{RULE.size}sII")  # struct ethtool_rxnfc with one place
_IFREQ = struct.Struct("@16sP16x")  # struct ifreq
_UDP_V4 = struct.Struct("!4s4sHHB")  # struct ethtool_tcpip4_spec
_UDP_V6 = struct.Struct("!16s16sHHB")  # struct ethtool_tcpip6_spec
_EXT = struct.Struct("!2x6sHH8x")  # struct ethtool_flow_ext
_VLAN_ID_BITS = 0x0FFF  # IEEE 802.1Q-2018, 9.6


def encode_rule(rule: FlowRule, location: int) -> bytes:
    """The rule as `struct ethtool_rx_flow_spec`. A bit set in a mask is compared."""
    version_4 = isinstance(rule.destination, IPv4Address)
    layout, flow_type = (_UDP_V4, UDP_V4_FLOW) if version_4 else (_UDP_V6, UDP_V6_FLOW)
    nothing = bytes(len(rule.destination.packed))
    value = layout.pack(
        nothing if rule.source is None else rule.source.packed,
        rule.destination.packed,
        rule.udp_source or 0,
        rule.udp_port or 0,
        (rule.dscp or 0) << 2,  # RFC 2474, 3: the upper six bits
    )
    mask = layout.pack(
        nothing if rule.source is None else _build_mask(len(nothing), rule.source_bits),
        _build_mask(len(nothing), rule.destination_bits),
        0 if rule.udp_source is None else 0xFFFF,
        0 if rule.udp_port is None else 0xFFFF,
        0 if rule.dscp is None else 0xFC,
    )
    ext = ext_mask = b""
    if rule.vlan is not None:
        flow_type |= FLOW_EXT
        ext, ext_mask = (_EXT.pack(bytes(6), 0, tci) for tci in (rule.vlan, _VLAN_ID_BITS))
    return RULE.pack(flow_type, value, ext, mask, ext_mask, rule.queue, location)


def _build_mask(size_bytes: int, bits: int) -> bytes:
    whole = 8 * size_bytes
    return ((1 << whole) - (1 << (whole - bits))).to_bytes(size_bytes, "big")


def _strip_location(spec: bytes) -> tuple[object, ...]:
    return RULE.unpack(spec)[:-1]


class RuleTable:
    """The rules of one interface. Every method raises HostError where the driver refuses."""

    def __init__(self, interface: str) -> None:
        self.interface = interface

    def __enter__(self) -> "RuleTable":
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self) -> tuple[dict[int, bytes], int, bool]:
        """Rules by location, the places there are (0: unknown), and whether the driver chooses the place itself."""
        _, data, _, count, _ = self._ask(ETHTOOL_GRXCLSRLCNT, what="has no flow rules (ntuple)")
        _, size, _, found, places = self._ask(
            ETHTOOL_GRXCLSRLALL, count=count, what="does not list its flow rules"
        )
        rules = {}
        for location in places[:found]:
            spec = RULE.pack(0, b"", b"", b"", b"", 0, location)
            _, _, rules[location], _, _ = self._ask(
                ETHTOOL_GRXCLSRULE, spec, what=f"does not show rule {location}"
            )
        return rules, size & ~RX_CLS_LOC_SPECIAL, bool(data & RX_CLS_LOC_SPECIAL)

    def insert(self, rule: FlowRule, location: int) -> None:
        """Put a rule into a place, or (RX_CLS_LOC_ANY) where the driver likes."""
        self._ask(ETHTOOL_SRXCLSRLINS, encode_rule(rule, location), what=f"refuses the rule {rule}")

    def delete(self, location: int) -> None:
        """Empty a place."""
        spec = RULE.pack(0, b"", b"", b"", b"", 0, location)
        self._ask(ETHTOOL_SRXCLSRLDEL, spec, what=f"keeps rule {location}")

    def _ask(
        self, command: int, spec: bytes = bytes(RULE.size), count: int = 0, *, what: str
    ) -> tuple[int, int, bytes, int, list[int]]:
        buffer = ctypes.create_string_buffer(REQUEST.size + 4 * count)
        REQUEST.pack_into(buffer, 0, command, 0, 0, spec, count, 0)
        try:
            self._call(buffer)
        except OSError as error:
            raise HostError(
                f"interface {self.interface}: the driver {what}: {error.strerror}; {_advise(error)}"
            ) from error
        _, flow_type, data, answered, found, _ = REQUEST.unpack_from(buffer)
        places = struct.unpack_from(f"={count}I", buffer, REQUEST.size - 4)
        return flow_type, data, answered, found, list(places)

    def _call(self, buffer: "ctypes.Array[ctypes.c_char]") -> None:
        request = _IFREQ.pack(self.interface.encode(), ctypes.addressof(buffer))
        fcntl.ioctl(self._socket, SIOCETHTOOL, request)


def _advise(error: OSError) -> str:
    if error.errno == errno.EOPNOTSUPP:
        return "remove `steer` and let one worker have all its queues"
    if error.errno == errno.ENODEV:
        return "`ip link` shows the interfaces of this host"
    if error.errno in (errno.EPERM, errno.EACCES):
        return "run the daemon as root"
    return "`ethtool -n` shows the rules there are; remove `steer`, or make the routes as the NIC can compare them"


def check_flow_rules(interfaces: Iterable[str]) -> list[str]:
    """A sentence for each interface whose driver has no flow rules."""
    problems = []
    for interface in dict.fromkeys(interfaces):
        try:
            with RuleTable(interface) as table:
                table.read()
        except HostError as error:
            problems.append(error.message)
    return problems


def find_missing(held: dict[int, bytes], wanted: Iterable[FlowRule]) -> list[FlowRule]:
    """The wanted rules that are not among those of the NIC."""
    there = {_strip_location(spec) for spec in held.values()}
    return [rule for rule in wanted if _strip_location(encode_rule(rule, 0)) not in there]


def plan_rules(table: RuleTable, wanted: Iterable[FlowRule]) -> list[tuple[FlowRule, int]]:
    """The wanted rules that are not in the NIC yet, each with its place. HostError where there are too few places."""
    held, size, chooses = table.read()
    missing = find_missing(held, wanted)
    # From the end, as ethtool(8) does: in most NICs the first places win, and are left to whoever wants to win.
    free = [RX_CLS_LOC_ANY] * len(missing) if chooses else [n for n in reversed(range(size)) if n not in held]
    if len(free) < len(missing):
        raise HostError(
            f"interface {table.interface}: its NIC has {len(free)} of {size} places for flow rules left, "
            f"{len(missing)} are needed; steer fewer routes, by prefixes, or remove rules (`ethtool -n`)"
        )
    return list(zip(missing, free, strict=False))


def add_rules(table: RuleTable, planned: Iterable[tuple[FlowRule, int]]) -> None:
    """Put planned rules into the NIC: all of them, or HostError and none."""
    done: list[FlowRule] = []
    try:
        for rule, location in planned:
            table.insert(rule, location)
            done.append(rule)
    except HostError:
        remove_rules(table, done)
        raise


def remove_rules(table: RuleTable, unwanted: Iterable[FlowRule]) -> None:
    """Take rules out of the NIC, found by what they say; all others stay."""
    said = {_strip_location(encode_rule(rule, 0)) for rule in unwanted}
    if not said:
        return
    held, _, _ = table.read()
    for location, spec in held.items():
        if _strip_location(spec) in said:
            table.delete(location)
