# SPDX-License-Identifier: Apache-2.0
"""The command line `driver-builds`: one file per command, printing only in `console`."""
