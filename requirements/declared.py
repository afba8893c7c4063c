# SPDX-License-Identifier: Apache-2.0
"""Print what pyproject.toml declares, one requirement a line, for `make lock`.

    declared.py            the appliance's own dependencies
    declared.py dev        those, the build system's and the `dev` extra's

pip-compile could read pyproject.toml itself, but would have to build the C extension for it.
"""

import sys
import tomllib
from pathlib import Path

declared = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
requirements: list[str] = list(declared["project"]["dependencies"])
for extra in sys.argv[1:]:
    requirements += declared["project"]["optional-dependencies"][extra]
    requirements += declared["build-system"]["requires"]
print("\n".join(requirements))
