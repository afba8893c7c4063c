# SPDX-License-Identifier: Apache-2.0
"""Builds netmap and the netmap-patched NIC drivers for named kernels. Never imports `appliance`."""
