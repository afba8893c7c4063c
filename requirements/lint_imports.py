# SPDX-License-Identifier: Apache-2.0
"""import-linter over the checkout.

meson-python's editable install answers `import appliance` with a made-up folder that import-linter finds empty;
without its finder the packages are found where they lie.
"""

import sys
from pathlib import Path

from importlinter.cli import lint_imports_command

sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__]
sys.path.insert(0, str(Path(__file__).parent.parent))
lint_imports_command(["--no-cache"])
