# SPDX-License-Identifier: Apache-2.0
"""studio-bypass: a kernel-bypass forwarding appliance for broadcast studios."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("studio-bypass")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
