# SPDX-License-Identifier: Apache-2.0
"""Video formats by name, and picture rates: from what the file says to the numbers of ST 2110-21."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

# What people write → pictures a second (SMPTE ST 2036-1, ST 274, ST 296).
RATES: dict[str, Fraction] = {
    "23.98": Fraction(24000, 1001),
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
    "50": Fraction(50),
    "59.94": Fraction(60000, 1001),
    "60": Fraction(60),
    "100": Fraction(100),
    "119.88": Fraction(120000, 1001),
    "120": Fraction(120),
}
# Limits of struct fp_pacing_format (native/include/fastpath.h); tests/contract/test_media_contract.py compares them.
MOST_PICTURES_PER_S = 1_000_000
MOST_RATE_TERM = {"numerator": 1_000_000, "denominator": 100_000}

# Active lines → pixels of a line, lines in all.
_RASTERS = {720: (1280, 750), 1080: (1920, 1125), 2160: (3840, 2250)}
_BITS_PER_PIXEL = 20  # 4:2:2 of 10 bits (ST 2110-20, 6.2.3)
_PACKET_BITS = 9600  # 1,200 octets a packet: 4 packets a line of 1080, 8 of 2160, as most senders
_NAME = re.compile(r"(\d+)([pi])([\d.]+)")
_FRACTION = re.compile(r"([1-9]\d{0,6})/([1-9]\d{0,5})")


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """4:2:2 video of 10 bits; of interlaced video all of it for one field. `rate` is pictures (fields) a second."""

    name: str
    rate: Fraction
    active_lines: int
    total_lines: int
    packets: int
    bits_per_s: int

    def __str__(self) -> str:
        return self.name


def parse_video_format(text: str) -> VideoFormat:
    """`1080p50`, `1080i59.94`, `2160p59.94` … ValueError for what is none."""
    found = _NAME.fullmatch(text)
    lines = int(found[1]) if found is not None and len(found[1]) < 5 else 0
    if found is None or lines not in _RASTERS or found[3] not in RATES:
        known = ", ".join(rate for rate in RATES if rate != "23.976")
        raise ValueError(
            f"{text!r} is no known format; use 720p, 1080p, 1080i or 2160p with one of {known}, as in 1080p50"
        )
    rate, fields = RATES[found[3]], found[2] == "i"
    if fields and (lines != 1080 or found[3] not in ("50", "59.94", "60")):
        raise ValueError(
            f"{text!r} is no known format; interlaced ones are named by their fields a second: "
            "1080i50, 1080i59.94 or 1080i60"
        )
    pixels, total = _RASTERS[lines]
    shown = lines // 2 if fields else lines
    packets = shown * -(-pixels * _BITS_PER_PIXEL // _PACKET_BITS)
    bits = int(pixels * shown * _BITS_PER_PIXEL * rate)
    return VideoFormat(text, rate, lines, total, packets, bits)


def parse_rate(value: object) -> Fraction:
    """50, 59.94 or "60000/1001" → pictures a second. ValueError for what is no rate."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a rate; give pictures a second: 50, 59.94 or 60000/1001")
    text = str(value)
    if text in RATES:
        return RATES[text]
    found = _FRACTION.fullmatch(text)
    rate = Fraction(int(found[1]), int(found[2])) if found is not None else None
    if isinstance(value, int) and value > 0:
        rate = Fraction(value)
    if rate is None:
        raise ValueError(f"{text} is not a rate; give pictures a second: 50, 59.94 or 60000/1001")
    if (
        rate > MOST_PICTURES_PER_S
        or rate.numerator > MOST_RATE_TERM["numerator"]
        or rate.denominator > MOST_RATE_TERM["denominator"]
    ):
        raise ValueError(f"{text} is not a rate of pictures; at most 1000000/100000 in lowest terms")
    return rate


def _parse_format_field(value: object) -> VideoFormat:
    if isinstance(value, VideoFormat):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no known format; write its name, as in 1080p50")
    return parse_video_format(value)


VideoFormatField = Annotated[
    VideoFormat,
    PlainValidator(_parse_format_field),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "description": "a video format"}),
]
RateField = Annotated[
    Fraction,
    PlainValidator(parse_rate),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "description": "pictures a second"}),
]
