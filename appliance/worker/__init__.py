# SPDX-License-Identifier: Apache-2.0
"""One worker process: opens its ports, pins a thread, enters the C loop and needs nobody else (law 1).

Started as `python -P -m appliance.worker --runtime-dir DIR --name NAME` with the spec in its folder.
"""
