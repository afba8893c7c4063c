# SPDX-License-Identifier: Apache-2.0
"""The lab: a Debian guest in QEMU, deployed by the playbook, with real media sent through it and compared."""
