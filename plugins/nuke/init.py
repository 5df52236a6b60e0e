# SPDX-License-Identifier: Apache-2.0
"""Nuke runs this in every mode: it makes the gizmos and the Python beside them known."""

import nuke

nuke.pluginAddPath("./gizmos")
nuke.pluginAddPath("./icons")
nuke.pluginAddPath("./python")
