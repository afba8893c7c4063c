# SPDX-License-Identifier: Apache-2.0
"""Evidence: a target's own kernel in QEMU, the modules loaded in it, and frames moved where there is hardware."""
