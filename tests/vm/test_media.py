# SPDX-License-Identifier: Apache-2.0
"""What the lab sends when it has no captures, and which routes it needs; scapy judges the generated frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.errors import LabError
from lab.media import WANTED, Flow, Wanted, captures_folder, generate_frames, load_media, parse_flow
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.file)
def test_generated_frames_are_valid_and_all_different(wanted: Wanted) -> None:
    frames = generate_frames(wanted)
    assert len(frames) == wanted.frames_per_flow * len(wanted.flows)
    assert len({frame.data for frame in frames}) == len(frames)
    for frame in (frames[0], frames[-1]):
        packet = Ether(frame.data)
        checksum = packet[IP].chksum
        del packet[IP].chksum
        assert Ether(bytes(packet))[IP].chksum == checksum
        assert packet[UDP].len == len(frame.data) - 34
        group = [int(part) for part in packet[IP].dst.split(".")]
        assert packet.dst == f"01:00:5e:{group[1] & 0x7F:02x}:{group[2]:02x}:{group[3]:02x}"


def test_without_captures_the_same_flows_are_generated_and_named_so(tmp_path: Path) -> None:
    media = load_media(tmp_path)
    assert [one.flows for one in media] == [sorted(wanted.flows) for wanted in WANTED]
    assert all(one.source.startswith("generated") for one in media)


def test_the_captures_have_the_flows_and_counts_that_stand_in_for_them() -> None:
    folder = captures_folder(ROOT)
    for one, wanted in zip(load_media(folder), WANTED, strict=True):
        if one.source != "capture":
            pytest.skip(
                f"{folder / wanted.file} is missing; put the EBU LIST captures there or set CAPTURES_DIR"
            )
        assert one.flows == sorted(wanted.flows)
        assert len(one.frames) == wanted.frames_per_flow * len(wanted.flows)


def test_a_flow_behind_ip_options_is_found() -> None:
    frame = bytes(Ether() / IP(dst="239.1.1.1", options=[b"\x01"] * 4) / UDP(dport=5004))
    assert parse_flow(frame) == Flow("239.1.1.1", 5004)


def test_a_frame_without_a_flow_is_refused() -> None:
    with pytest.raises(LabError, match="0x0806"):
        parse_flow(bytes(12) + b"\x08\x06" + bytes(40))
