# SPDX-License-Identifier: Apache-2.0
"""The lab's command: `.venv/bin/python -P tests/vm/lab_cli.py run --ports xdp`. See tests/vm/README.md."""

import sys
from pathlib import Path

# The lab is no part of the distribution and is never installed; -P keeps this folder off the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab.cli import main

main()
