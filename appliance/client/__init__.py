# SPDX-License-Identifier: Apache-2.0
"""The daemon's control API as typed calls (`connection`)."""

from appliance.client.connection import ControlClient

__all__ = ["ControlClient"]
