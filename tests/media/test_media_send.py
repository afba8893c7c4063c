# SPDX-License-Identifier: Apache-2.0
"""The sender's frames, compared with a second model (scapy headers) and with the captures they come from."""

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from capture_flows import iterate_frames, write_frames
from media_tools import find_tool
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from video_model import VideoModel

FORMATS = {
    "1080p50": VideoModel(1920, 1080, Fraction(50)),
    "1080p5994": VideoModel(1920, 1080, Fraction(60000, 1001)),
    "2160p50": VideoModel(3840, 2160, Fraction(50)),
    "2160p5994": VideoModel(3840, 2160, Fraction(60000, 1001)),
}


def write_media(path: Path, *options: str) -> list[tuple[int, bytes]]:
    """What `media-send` would put on the wire: (time in ns, frame)."""
    subprocess.run([find_tool("media-send"), "--write", str(path), *options], check=True, capture_output=True)
    return list(iterate_frames(path))


@pytest.mark.parametrize("name", FORMATS)
def test_generated_frames_are_as_the_model_says(tmp_path: Path, name: str) -> None:
    model = FORMATS[name]
    frames = write_media(tmp_path / "video.pcap", "--format", name, "--pictures", "2")
    per_picture = model.frames_per_picture
    assert len(frames) == 2 * per_picture
    # Line ends, picture ends and the wrap of the 16-bit sequence number; all of them would take too long.
    at = {*range(9), *range(per_picture - 5, per_picture + 5), 2 * per_picture - 1}
    at |= set(range(65530, 65540)) & set(range(len(frames))) | set(range(0, len(frames), 997))
    for index in sorted(at):
        assert frames[index][1] == model.frame(index), f"frame {index}"


def test_every_generated_frame_is_unlike_every_other(tmp_path: Path) -> None:
    frames = write_media(tmp_path / "video.pcap", "--format", "1080p50", "--pictures", "3")
    assert len({frame[62:70] for _time_ns, frame in frames}) == len(frames) == 3 * 4320


def test_pictures_start_on_time_and_spread_over_their_active_part(tmp_path: Path) -> None:
    times_ns = [time_ns for time_ns, _frame in write_media(tmp_path / "video.pcap", "--format", "1080p50")]
    assert len(times_ns) == 50 * 4320
    assert times_ns == sorted(times_ns)
    period_ns = 20_000_000
    for picture in range(50):
        first, last = times_ns[picture * 4320], times_ns[picture * 4320 + 4319]
        assert first == picture * period_ns + period_ns * 43 // 1125
        active_ns = period_ns * 1080 / 1125
        assert last - first == pytest.approx(active_ns * 4319 / 4320, abs=2)


def test_own_group_port_and_source(tmp_path: Path) -> None:
    options = ["--group", "239.255.130.7", "--udp-port", "5004", "--source-address", "198.51.100.3"]
    frames = write_media(tmp_path / "video.pcap", "--format", "1080p50", "--pictures", "1", *options)
    model = VideoModel(1920, 1080, Fraction(50), "239.255.130.7", "198.51.100.3", 5004)
    assert frames[17][1] == model.frame(17)
    assert frames[17][1][:6] == bytes.fromhex("01005e7f8207")


def test_tags_go_between_addresses_and_type(tmp_path: Path) -> None:
    video = ["--format", "1080p50", "--pictures", "1"]
    plain = write_media(tmp_path / "plain.pcap", *video)[5][1]
    single = write_media(tmp_path / "single.pcap", *video, "--vlan", "100")[5][1]
    double = write_media(tmp_path / "double.pcap", *video, "--vlan", "4094", "--inner-vlan", "7")[5][1]
    ether = Ether(plain)
    head = Ether(dst=ether.dst, src=ether.src)
    assert single == bytes(head / Dot1Q(vlan=100, type=0x0800)) + plain[14:]
    assert double == bytes(head / Dot1AD(vlan=4094, type=0x8100) / Dot1Q(vlan=7, type=0x0800)) + plain[14:]


def test_a_capture_leaves_unchanged_with_its_own_spacing(tmp_path: Path) -> None:
    frames = [bytes([0x01, 0, 0x5E, 0, 0, number]) + bytes(range(60)) for number in range(50)]
    write_frames(tmp_path / "in.pcap", frames, step_ns=123_457)
    out = write_media(tmp_path / "out.pcap", "--capture", str(tmp_path / "in.pcap"))
    assert [frame for _time_ns, frame in out] == frames
    assert [time_ns for time_ns, _frame in out] == [number * 123_457 for number in range(50)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "say either --capture FILE or --format NAME"),
        (["--format", "720p50"], "--format 720p50 is not known"),
        (["--format", "1080p50", "--group", "192.0.2.1"], "not a multicast IPv4 address"),
        (["--format", "1080p50", "--inner-vlan", "3"], "--inner-vlan needs --vlan"),
        (["--format", "1080p50", "--vlan", "4095"], "--vlan 4095 makes no sense"),
        (["--format", "1080p50", "--pictures", "0"], "--pictures 0 makes no sense"),
        (["--format", "2160p50", "--seconds", "100000"], "more frames than 32 bits count"),
        (["--capture", "/nonexistent/x.pcap"], "/nonexistent/x.pcap: No such file"),
        (["--capture", "/etc/os-release"], "is not classic pcap"),
    ],
)
def test_refusals_say_what_was_seen(tmp_path: Path, options: list[str], words: str) -> None:
    command = [find_tool("media-send"), "--write", str(tmp_path / "out.pcap"), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("cut", [1, 16, 40])
def test_a_capture_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "in.pcap"
    write_frames(path, [bytes(60), bytes(60)])
    path.write_bytes(path.read_bytes()[:-cut])
    command = [find_tool("media-send"), "--write", str(tmp_path / "out.pcap"), "--capture", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "ends inside the frame at byte" in done.stderr
