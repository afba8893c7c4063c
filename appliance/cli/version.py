# SPDX-License-Identifier: Apache-2.0
"""`appliance version`: what is installed."""

from appliance import __version__
from appliance.cli.console import print_line


def version() -> None:
    """Print the version of this program."""
    print_line(f"appliance {__version__}")
