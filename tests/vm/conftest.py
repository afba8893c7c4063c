# SPDX-License-Identifier: Apache-2.0
"""The lab is no installed package: its tests find it beside themselves."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
