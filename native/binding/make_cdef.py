# SPDX-License-Identifier: Apache-2.0
"""Makes cffi's declarations from fastpath.h: its preprocessed text, and the integer limits as `#define NAME value`.

usage: make_cdef.py HEADER OUTPUT COMPILER [ARGUMENT...]
"""

import re
import subprocess
import sys
from pathlib import Path

LIMIT = re.compile(r"^#define (FP_[A-Z0-9_]+) (0x[0-9a-fA-F]+|[0-9]+)$")


def render_declarations(header: Path, compiler: list[str]) -> str:
    """Header -> what `ffi.cdef` reads. Raises CalledProcessError where the compiler refuses the header."""
    command = [*compiler, "-x", "c", "-E", "-DFP_CDEF"]
    text = subprocess.run([*command, "-P", str(header)], check=True, capture_output=True, text=True).stdout
    macros = subprocess.run([*command, "-dM", str(header)], check=True, capture_output=True, text=True).stdout
    limits = sorted(line for line in macros.splitlines() if LIMIT.match(line) and "FP_CDEF" not in line)
    if not limits:
        raise SystemExit(
            f"{header}: no integer limit (#define FP_NAME number) was found; was the header renamed?"
        )
    return text + "\n".join(limits) + "\n"


def main() -> None:
    header, output, *compiler = sys.argv[1:]
    Path(output).write_text(render_declarations(Path(header), compiler), encoding="utf-8")


if __name__ == "__main__":
    main()
