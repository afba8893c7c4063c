# SPDX-License-Identifier: Apache-2.0
"""The one error the lab reports to people as a sentence instead of a traceback."""

from __future__ import annotations


class LabError(Exception):
    """What failed: what was seen, what was wanted; what to do. Ends the lab with exit status 1."""
