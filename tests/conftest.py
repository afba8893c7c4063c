# SPDX-License-Identifier: Apache-2.0
"""For every test: signals as in a terminal."""

import signal

# A run in the background (`nohup pytest &`) ignores SIGINT, and so would all that it starts: tests that interrupt a
# program would wait for it for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
