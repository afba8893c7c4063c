# SPDX-License-Identifier: Apache-2.0
"""Command line of a worker process. Nobody types it: the daemon does. Exit 0 after a stop, 1 on failure."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance.config.worker_spec import worker_files
from appliance.worker.process import run_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -P -m appliance.worker", description=__doc__)
    parser.add_argument("--runtime-dir", type=Path, required=True, help="the appliance's runtime directory")
    parser.add_argument(
        "--name", required=True, help="the worker's name; its folder is RUNTIME_DIR/workers/NAME"
    )
    options = parser.parse_args(arguments)
    return run_process(worker_files(options.runtime_dir, options.name))


if __name__ == "__main__":
    sys.exit(main())
