# SPDX-License-Identifier: Apache-2.0
"""The C compiler: which one a kernel was built with, and whether this host's is the same version."""

import re

from driver_builds import process
from driver_builds.errors import StageError


def read_compiler(name: str) -> str:
    """The first line of `NAME --version`, like "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"."""
    if process.find_program(name) is None:
        raise StageError("resolve", name, f"this kernel's modules need {name}; apt-get install {name}")
    done = process.run([name, "--version"])
    return done.output.splitlines()[0].strip() if done.status == 0 and done.output else ""


def parse_config_compiler(config: str) -> str:
    """CONFIG_CC_VERSION_TEXT of a kernel's .config; "" when there is none."""
    match = re.search(r'(?m)^CONFIG_CC_VERSION_TEXT="(.*)"$', config)
    return match[1] if match else ""


def check_compiler(release: str, config: str, name: str, used: str) -> None:
    """Raises StageError unless this host's compiler has the version the kernel's record names.

    Another GCC may lay out structures, plugins and stack checks in another way than the kernel expects.
    """
    recorded = parse_config_compiler(config)
    if parse_compiler_version(recorded) != parse_compiler_version(used):
        raise StageError(
            "unpack",
            release,
            f"the kernel was compiled by {recorded!r}, {name} here is {used!r}; "
            f"install {name} of the kernel's distribution release",
        )


def parse_compiler_version(text: str) -> str:
    """The GCC version in a version line: the last word with dots, "12.2.0"."""
    numbers = re.findall(r"(?:^|\s)([0-9]+(?:\.[0-9]+)+)(?=\s|$)", text)
    return numbers[-1] if numbers else text
