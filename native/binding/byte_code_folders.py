# SPDX-License-Identifier: Apache-2.0
"""Print the `__pycache__` folders below a package, one a line, relative to it.

Meson installs a package folder as it is found and excludes by exact path only; without this a wheel
would carry whatever byte code the build host happened to have, and two builds would differ.
"""

import sys
from pathlib import Path

package = Path(sys.argv[1])
print("\n".join(sorted(str(path.relative_to(package)) for path in package.rglob("__pycache__"))))
