# SPDX-License-Identifier: Apache-2.0
"""The sections of the configuration about RTP media: what is observed, and the two paths of a protected flow.

Part of the one declaration in `schema`; `check_media` adds what needs more than one field.
"""

from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, model_validator

from appliance.config.formats import RateField, VideoFormatField
from appliance.config.match import Match
from appliance.config.section import Section

# Of native/include/fastpath.h and native/src (fp_merge_config.window_ns, struct fp_pacing_format);
# tests/contract/test_media_contract.py compares them.
MAX_WINDOW_US = 2**30 // 1000
MAX_PACKETS = 2**20
MAX_LINES = 100_000
MAX_UDP_BYTES = 65535


class Pacing(Section):
    """How a video sender is expected to send (ST 2110-21): by the name of the format, or by its numbers."""

    format: VideoFormatField | None = Field(
        default=None,
        description="a video format of 4:2:2 and 10 bits by name: 1080p50, 1080i59.94, 2160p59.94 …",
    )
    rate: RateField | None = Field(
        default=None,
        description="pictures a second, of interlaced video fields: 50, 59.94 or 60000/1001; "
        "instead of `format`, with the next three",
    )
    active_lines: int | None = Field(
        default=None, ge=1, le=MAX_LINES, description="lines with a picture, of a frame: 1080 of …"
    )
    total_lines: int | None = Field(default=None, ge=1, le=MAX_LINES, description="lines in all: 1125")
    packets: int | None = Field(
        default=None,
        ge=1,
        le=MAX_PACKETS,
        description="NPACKETS: frames of one picture, of interlaced video of one field; "
        "absent: what `format` has with 1,200 octets of video in each, 4320 of 1080p, 17280 of 2160p",
    )
    sender: Literal["N", "NL", "W"] = Field(
        description="how narrow the sender says it is: N (narrow), NL (narrow linear) or W (wide)"
    )
    schedule: Literal["gapped", "linear"] | None = Field(
        default=None,
        description="whether frames are read in the active lines only (gapped) or all the time; "
        "absent: linear of NL, else gapped",
    )
    max_udp_bytes: int = Field(
        default=1460, ge=1, le=MAX_UDP_BYTES, description="MAXUDP: size of the longest UDP datagram"
    )
    anchor: Literal["first", "epoch"] = Field(
        default="first",
        description="`first`: pictures begin with their first frame, any clock will do; `epoch`: as the "
        "SMPTE epoch says, the host's clock must follow PTP",
    )
    troffset_us: int | None = Field(
        default=None, ge=0, le=1_000_000, description="TROFFSET, with `anchor: epoch`; absent: 0"
    )

    @property
    def is_complete(self) -> bool:
        """Whether a name or all its numbers say what is sent."""
        return self.format is not None or None not in (
            self.rate,
            self.active_lines,
            self.total_lines,
            self.packets,
        )

    @property
    def lines(self) -> tuple[int, int]:
        """Active lines of a frame, and all of them."""
        if self.format is not None:
            return self.format.active_lines, self.format.total_lines
        assert self.active_lines is not None  # check_media
        assert self.total_lines is not None
        return self.active_lines, self.total_lines

    @property
    def picture_rate(self) -> Fraction:
        """Pictures, or fields, a second."""
        rate = self.format.rate if self.format is not None else self.rate
        assert rate is not None  # check_media
        return rate

    @property
    def picture_packets(self) -> int:
        """NPACKETS."""
        packets = self.packets if self.packets is not None or self.format is None else self.format.packets
        assert packets is not None  # check_media
        return packets

    @property
    def read_schedule(self) -> str:
        """`schedule`, or what the sender's type says."""
        return self.schedule or ("linear" if self.sender == "NL" else "gapped")

    def __str__(self) -> str:
        """`1080p50 N` or `60000/1001 of 4320 packets W`."""
        what = (
            f"{self.picture_rate} of {self.picture_packets} packets" if self.format is None else self.format
        )
        rest = [
            f"{name} {value}"
            for name in ("schedule", "max_udp_bytes", "anchor", "troffset_us")
            if (value := getattr(self, name)) != type(self).model_fields[name].default
        ]
        if self.format is not None and self.packets is not None:
            rest.insert(0, f"packets {self.packets}")
        if self.format is None:
            rest.insert(0, f"lines {self.active_lines}/{self.total_lines}")
        return " ".join([str(what), self.sender, *rest])


class Observe(Section):
    """What is counted of a route's RTP in the loop. `observe: rtp` is short for `{rtp: true}`."""

    rtp: Literal[True] = Field(
        default=True, description="true: lost, reordered and repeated frames, pictures (RFC 3550); always"
    )
    arrivals: bool = Field(default=False, description="true: also the histogram of times between frames")
    pacing: Pacing | None = Field(
        default=None, description="also Cinst and VRX of a video sender (ST 2110-21)"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_word(cls, value: Any) -> Any:
        if value == "rtp":
            return {}
        if not isinstance(value, dict | Observe):
            raise ValueError(
                f"{value!r} does not say what to count; write `rtp`, or a mapping like `{{arrivals: true}}`"
            )
        return value

    def __str__(self) -> str:
        """`rtp, arrivals, pacing 1080p50 N`."""
        words = ["rtp", "arrivals"] if self.arrivals else ["rtp"]
        return ", ".join([*words, f"pacing {self.pacing}"] if self.pacing is not None else words)


class Protect(Section):
    """The two paths of one flow (ST 2022-7), merged: the first copy of each frame goes on, the second is left out."""

    a: Match = Field(description="which frames come by path A: `port`, `group` or `destination`, `udp_port`")
    b: Match = Field(description="which frames come by path B")
    window_class: Literal["A", "B", "C", "D"] | None = Field(
        default=None,
        alias="class",
        description="how far the paths may be apart, as a class of ST 2022-7:2019: A 10 ms, B 50 ms, C 450 ms "
        "(150 ms from 270 Mb/s on), D 150 µs; or `window_us`",
    )
    window_us: int | None = Field(
        default=None, ge=1, le=MAX_WINDOW_US, description="how far the paths may be apart, in µs; or `class`"
    )
    format: VideoFormatField | None = Field(
        default=None,
        description="a video format by name, for how many frames a window holds; absent: that of "
        "`observe.pacing`, or `frames_per_s`",
    )
    frames_per_s: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="frames a second of one path, instead of `format`"
    )
    bits_per_s: int | None = Field(
        default=None, ge=1, description="bits a second of one path; with `frames_per_s` and class C only"
    )
    release: Literal["first-copy", "in-order"] = Field(
        default="first-copy",
        description="`first-copy`: the copy that comes first goes on at once; `in-order`: frames behind a hole are "
        "held until it is filled or the window has passed, in buffers of the ports' memory",
    )
    silence_ms: int | None = Field(
        default=None,
        ge=1,
        le=60_000,
        description="a path without a frame for longer is silent; absent: 200 ms, or the window where that is more",
    )

    @property
    def is_ordered(self) -> bool:
        """Whether frames leave in order."""
        return self.release == "in-order"

    def __str__(self) -> str:
        """`A red-in 239.1.1.1:5004, B blue-in 239.1.2.1:5004 (class B, 1080p50)`."""
        window = f"class {self.window_class}" if self.window_us is None else f"window {self.window_us} µs"
        rest = [
            f"{name} {value}"
            for name in ("format", "frames_per_s", "bits_per_s", "silence_ms")
            if (value := getattr(self, name)) is not None
        ]
        if self.is_ordered:
            rest.append(f"release {self.release}")
        return f"A {self.a}, B {self.b} ({', '.join([window, *rest])})"
