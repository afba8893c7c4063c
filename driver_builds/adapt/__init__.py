# SPDX-License-Identifier: Apache-2.0
"""Patch stage *adapted*: rules of ours put netmap's hooks where a driver's structure says they belong.

A rule names functions, structures and statements, not lines, so it fits every kernel that has them; a hook that
finds no place, or more than one, refuses the driver.
"""
