# SPDX-License-Identifier: Apache-2.0
"""The control plane: it decides, starts, publishes and reports; frames pass without it (law 1).

`run` is the process, `control` its HTTP API, `coordinator` the one place where a configuration becomes
active. Below it: `store` (files that survive), `supervisor` and `launch` (worker processes), `publish` (route
tables), `interfaces` (their settings), `status` (what is seen).
"""
