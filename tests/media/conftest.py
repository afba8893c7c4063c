# SPDX-License-Identifier: Apache-2.0
"""Makes this folder's modules importable (pytest runs with --import-mode=importlib, which adds nothing)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
