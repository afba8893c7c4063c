# SPDX-License-Identifier: Apache-2.0
"""What a run was, in words for its report."""

from __future__ import annotations

import os

from lab.media import Media
from lab.nics import MEDIA_NICS, Ports
from lab.wire import IN_FLIGHT_FRAMES


def describe_scope(ports: Ports, itself: bool) -> dict[str, str]:
    """What this run tests, and what it leaves untested, by name."""
    nics = ", ".join(f"{nic.port} {nic.driver}" for nic in MEDIA_NICS[ports])
    if itself:
        return {
            "under test": "the lab itself: the guest's kernel forwards, not the appliance",
            "media NICs": nics,
        }
    facts = {"under test": f"{ports}: ports", "media NICs": nics}
    if ports is not Ports.NETMAP:
        why = "PORTS=xdp" if os.environ.get("NETMAP_SOURCE") else "NETMAP_SOURCE not set"
        facts["netmap"] = f"NOT tested ({why})"
    return facts


def describe_media(media: list[Media]) -> dict[str, str]:
    """One fact for each media."""
    figures = [f"{len(one.frames)} frames, {one.rate_mbit_per_s:.0f} Mbit/s ({one.source})" for one in media]
    return {
        f"media {n}": f"{one.name}: {text}"
        for n, (one, text) in enumerate(zip(media, figures, strict=True), 1)
    }


def describe_pace(slowdown: float) -> str:
    """How fast media goes in."""
    pace = "as captured" if slowdown == 1 else f"{slowdown:g} times slower than captured"
    return f"{pace}, at most {IN_FLIGHT_FRAMES} frames under way"


def describe_counts(counts: dict[str, int]) -> str:
    """ansible's recap in one line."""
    return " ".join(f"{name}={count}" for name, count in counts.items())
