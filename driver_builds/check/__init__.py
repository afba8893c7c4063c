# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel this host boots next has its netmap drivers. Reads files below a root folder, changes nothing."""
