# SPDX-License-Identifier: Apache-2.0
"""The configuration: declared (`schema`), read (`load`), checked across fields (`check`), compared (`plan`).

Pure code: nothing here touches the host, except that `load` reads the one file it is given.
"""
