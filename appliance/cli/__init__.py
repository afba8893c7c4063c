# SPDX-License-Identifier: Apache-2.0
"""The command line: one file per command, `options` they share, `console` as the only user of Rich."""
