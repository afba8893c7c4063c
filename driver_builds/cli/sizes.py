# SPDX-License-Identifier: Apache-2.0
"""Sizes as people write and read them."""

import re

from driver_builds.errors import UsageError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes: "500M" is 524288000."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"size {text!r}: write a number with K, M, G or T, like 10G")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def render_size(size_bytes: int) -> str:
    """ "1.5 GB" for a person; powers of 1024."""
    size, units = float(size_bytes), iter(("B", "KB", "MB", "GB"))
    unit = next(units)
    while size >= 1024 and unit != "GB":
        size, unit = size / 1024, next(units)
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
