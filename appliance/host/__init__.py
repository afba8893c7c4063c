# SPDX-License-Identifier: Apache-2.0
"""Linux facts (`ports`) and settings (`knobs`), and processes of one's own (`processes`).

The only user of pyroute2 and subprocess.
"""
