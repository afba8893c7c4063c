# SPDX-License-Identifier: Apache-2.0
"""Replaces all routes of a running worker, as the daemon does: replacing_process.py STATE FOLDER.

FOLDER holds configurations 0.yaml, 1.yaml, …; generation g is that of number g % their count. Goes on until its
standard input ends; prints a line of JSON for each replacement.
"""

import json
import select
import sys
import time
from pathlib import Path

from appliance.config.entries import resolve_tables
from appliance.config.load import Loaded, load_config
from appliance.daemon.counters import RouteCounter, assign_counters, read_nothing
from appliance.daemon.publish import build_table, publish_table, read_port_indices
from appliance.fastpath import StateSegment

WORKER = "main"


def replace(
    state: StateSegment, loaded: Loaded, counters: dict[str, RouteCounter], generation: int
) -> dict[str, float]:
    """One replacement; seconds of its two parts."""
    began_s = time.monotonic()
    entries = resolve_tables(loaded.config).entries[WORKER]
    with build_table(WORKER, entries, read_port_indices(state), counters) as table:
        built_s = time.monotonic()
        publish_table(WORKER, state, table, generation, loaded.digest, lambda: True)
        return {
            "generation": generation,
            "build_s": built_s - began_s,
            "publish_s": time.monotonic() - built_s,
        }


def main() -> None:
    began_s = time.monotonic()
    files = sorted(Path(sys.argv[2]).glob("*.yaml"))
    configurations = [load_config(path) for path in files]
    print(json.dumps({"load_s": (time.monotonic() - began_s) / len(files)}), flush=True)
    names = resolve_tables(configurations[0].config).list_fates(WORKER)
    counters = assign_counters({}, names, read_nothing)
    with StateSegment.open(Path(sys.argv[1])) as state:
        while not select.select([sys.stdin], [], [], 0)[0]:
            generation = state.read_worker().published + 1
            loaded = configurations[generation % len(configurations)]
            print(json.dumps(replace(state, loaded, counters, generation)), flush=True)


if __name__ == "__main__":
    main()
