# SPDX-License-Identifier: Apache-2.0
"""Nuke runs this where it has a window: the nodes' menu, and knobs that follow the model."""

import matte_nuke
import nuke

menu = nuke.menu("Nodes").addMenu("Matte", icon="matte_nodes.png")
menu.addCommand("MatteNode", "import matte_nuke; matte_nuke.create()", icon="matte_node.png")
menu.addCommand("MatteTrimap", "nuke.createNode('MatteTrimap')", icon="matte_trimap.png")
menu.addCommand("Renew old MatteNodes", "import matte_nuke; matte_nuke.renew_all()")
nuke.addKnobChanged(matte_nuke.knob_changed, nodeClass="Group")
nuke.addUpdateUI(matte_nuke.inputs_changed, nodeClass="Group")
