# SPDX-License-Identifier: Apache-2.0
"""The C parser against the model, scapy and the reasons of fastpath.h."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given

from appliance.fastpath import DropReason, FrameKey, parse_frame

from .frame_builder import (
    ETHERTYPE,
    build_ethernet,
    build_extension,
    build_ipv4,
    build_ipv6,
    build_media_frame,
    build_udp,
)
from .model import RefusedError, parse
from .strategies import frames

GROUP = IPv4Address("239.1.2.1")
GROUP_V6 = IPv6Address("ff3e::1")
FRAME = build_media_frame(GROUP, 6000, b"media")
FRAME_V6 = build_media_frame(GROUP_V6, 6000, b"media")


def parse_by_model(frame: bytes) -> FrameKey | str:
    try:
        return parse(frame, 0)
    except RefusedError as reason:
        return str(reason)


def parse_by_c(frame: bytes) -> FrameKey | str:
    result = parse_frame(frame)
    return result.label if isinstance(result, DropReason) else result


def parse_narrow(frame: bytes) -> FrameKey | str:
    """Without what the frame builder writes into every frame."""
    key = parse_by_c(frame)
    assert isinstance(key, FrameKey)
    return FrameKey(key.port, key.destination, key.udp_port, key.vlan, key.inner_vlan)


@given(frames)
@example(b"")
@example(FRAME)
def test_agrees_with_the_model(frame: bytes) -> None:
    assert parse_by_c(frame) == parse_by_model(frame)


@pytest.mark.parametrize("frame", [FRAME, FRAME_V6], ids=["ipv4", "ipv6"])
def test_every_truncation_is_refused(frame: bytes) -> None:
    for length in range(len(frame)):
        wanted = "short" if length < 14 else "truncated"
        assert parse_by_c(frame[:length]) == wanted, length


@pytest.mark.parametrize("frame", [FRAME, FRAME_V6], ids=["ipv4", "ipv6"])
def test_every_changed_octet_is_judged_like_the_model(frame: bytes) -> None:
    for position in range(len(frame)):
        for value in range(256):
            changed = frame[:position] + bytes((value,)) + frame[position + 1 :]
            assert parse_by_c(changed) == parse_by_model(changed), (position, value)


@pytest.mark.parametrize(
    ("tags", "vlan", "inner_vlan"),
    [
        ([], None, None),
        ([(0x8100, 100)], 100, None),
        ([(0x8100, 0xE000 | 100)], 100, None),  # priority and DEI bits are no part of the id
        ([(0x8100, 0)], 0, None),
        ([(0x88A8, 100), (0x8100, 200)], 100, 200),
        ([(0x9100, 100), (0x8100, 200)], 100, 200),
    ],
)
def test_tags(tags: list[tuple[int, int]], vlan: int | None, inner_vlan: int | None) -> None:
    frame = build_media_frame(GROUP, 6000, b"media", tags)
    assert parse_narrow(frame) == FrameKey(0, GROUP, 6000, vlan, inner_vlan)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (build_media_frame(GROUP, 6000, b"", [(0x8100, 1)] * 3), "not_ip"),
        (build_ethernet(b"\0" * 46, 0x0806), "not_ip"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b""), version_ihl=0x65), 0x0800), "not_ip"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b""), version_ihl=0x44), 0x0800), "bad_length"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b""), total_length=19), 0x0800), "bad_length"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b""), total_length=29), 0x0800), "truncated"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b"", 7)), 0x0800), "bad_length"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b"", 9)), 0x0800), "bad_length"),
        (build_ethernet(build_ipv4(GROUP, b"1234567"), 0x0800), "bad_length"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b""), fragment=0x2000), 0x0800), "fragment"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b""), fragment=0x0001), 0x0800), "fragment"),
        (build_ethernet(build_ipv4(GROUP, build_udp(1, b""), protocol=6), 0x0800), "not_udp"),
        (build_ethernet(build_ipv6(GROUP_V6, build_udp(1, b""), next_header=58), 0x86DD), "not_udp"),
        (build_ethernet(build_ipv6(GROUP_V6, build_extension(17), next_header=44), 0x86DD), "fragment"),
        (
            build_ethernet(build_ipv6(GROUP_V6, bytes((17, 5)) + bytes(6), next_header=0), 0x86DD),
            "bad_length",
        ),
        (build_ethernet(build_ipv6(GROUP_V6, build_udp(1, b""), payload_length=9), 0x86DD), "truncated"),
    ],
)
def test_refusals(frame: bytes, reason: str) -> None:
    assert parse_by_c(frame) == reason == parse_by_model(frame)


@pytest.mark.parametrize("count", range(8))
def test_ipv6_extension_headers(count: int) -> None:
    payload, following = build_udp(6000, b"media"), 17
    for _ in range(count):
        payload, following = build_extension(following, units=1) + payload, 60
    frame = build_ethernet(build_ipv6(GROUP_V6, payload, next_header=following), ETHERTYPE[6])
    assert parse_narrow(frame) == FrameKey(0, GROUP_V6, 6000)


def test_endless_ipv6_extension_headers() -> None:
    chain = build_extension(60) * 100
    assert parse_by_c(build_ethernet(build_ipv6(GROUP_V6, chain, next_header=60), ETHERTYPE[6])) == "not_udp"


def test_padding_and_ipv4_options_are_no_obstacle() -> None:
    datagram = build_ipv4(GROUP, build_udp(6000, b""), options=bytes(40))
    assert parse_narrow(build_ethernet(datagram + bytes(6), 0x0800)) == FrameKey(0, GROUP, 6000)


def test_agrees_with_scapy_on_frames_scapy_built() -> None:
    layers = pytest.importorskip("scapy.layers.all", reason="install the dev extra: scapy checks the builder")
    headers = layers.Ether(dst="01:00:5e:01:02:01", src="02:00:00:00:00:01")
    tagged = headers / layers.Dot1AD(vlan=100) / layers.Dot1Q(vlan=200)
    udp = layers.UDP(sport=5000, dport=6000) / b"media"
    v4 = layers.IP(src="192.0.2.1", dst=str(GROUP), ttl=64)
    v6 = layers.IPv6(src="2001:db8::1", dst=str(GROUP_V6), hlim=64)
    assert parse_narrow(bytes(headers / v4 / udp)) == FrameKey(0, GROUP, 6000)
    assert parse_narrow(bytes(tagged / v4 / udp)) == FrameKey(0, GROUP, 6000, 100, 200)
    assert parse_narrow(bytes(headers / v6 / udp)) == FrameKey(0, GROUP_V6, 6000)
    extended = v6 / layers.IPv6ExtHdrHopByHop() / layers.IPv6ExtHdrDestOpt() / udp
    assert parse_narrow(bytes(headers / extended)) == FrameKey(0, GROUP_V6, 6000)
    read_back = layers.Ether(FRAME)
    assert (read_back[layers.IP].dst, read_back[layers.UDP].dport) == (str(GROUP), 6000)
