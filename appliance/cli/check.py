# SPDX-License-Identifier: Apache-2.0
"""`appliance check`: is this file a configuration? Looks at nothing but the file."""

from collections.abc import Sized

from appliance.cli.console import print_line
from appliance.cli.options import ConfigArgument
from appliance.config.holding import count_buffers, find_hold_bytes, sum_hold_frames
from appliance.config.load import load_config
from appliance.daemon.folders import DEFAULT_CONFIG


def check(config: ConfigArgument = DEFAULT_CONFIG) -> None:
    """Check a configuration file.

    Prints every problem with its line; exit 3 where there is one. Neither the daemon nor the host is asked.
    """
    loaded = load_config(config).config
    counts = [
        _count(loaded.workers, "worker"),
        _count(loaded.ports, "port"),
        _count(loaded.routes, "route"),
    ]
    if loaded.cross_connects:
        counts.append(_count(loaded.cross_connects, "cross-connect"))
    print_line(f"ok: {', '.join(counts)}")
    for worker in loaded.workers:
        if frames := sum_hold_frames(loaded, worker.name):
            memory = find_hold_bytes(count_buffers(frames))
            print_line(
                f"worker {worker.name}: routes that release in order hold up to {frames:,} frames, in "
                f"{count_buffers(frames):,} buffers: {memory:,} bytes"
            )


def _count(entries: Sized, noun: str) -> str:
    return f"{len(entries)} {noun}{'' if len(entries) == 1 else 's'}"
