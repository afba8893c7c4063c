# SPDX-License-Identifier: Apache-2.0
"""Finished modules as what hosts install: Debian packages, a repository of them, bills of materials.

Everything here is a function of its inputs: the same artifacts give the same bytes, in any folder, at any time.
"""
