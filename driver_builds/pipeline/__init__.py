# SPDX-License-Identifier: Apache-2.0
"""Carries a plan out, one file per stage; `run.apply_plan` is the way in."""
