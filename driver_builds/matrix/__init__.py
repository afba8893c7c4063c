# SPDX-License-Identifier: Apache-2.0
"""Kernels by drivers: what is known to work, from what was built and from what was seen in guests."""
