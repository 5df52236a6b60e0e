# SPDX-License-Identifier: Apache-2.0
"""`nuke -t` in a host's own Python: load the plug-in as Nuke does, press a button, say what came.

Arguments: the installed plug-in, a saved script's path, the plate's pattern. Python 3.7 and newer.
"""

from __future__ import annotations

import os
import sys

from tests.nuke import recording_stand_in_for_nuke as stand_in

plugin, script, plate = sys.argv[1:]
sys.modules["nuke"] = stand_in
stand_in.start(script)
sys.path.insert(0, os.path.join(plugin, "python"))
with open(os.path.join(plugin, "init.py")) as file:
    exec(compile(file.read(), "init.py", "exec"), {"__name__": "init"})
assert [call[1] for call in stand_in.CALLS] == ["./gizmos", "./icons", "./python"]
node = stand_in.load(os.path.join(plugin, "gizmos", "MatteNode.gizmo"))
node.setInput(0, stand_in.read_node(plate, 1001, 1003))
node["last"].setValue(1003)
node["model"].setValue("green-screen")
stand_in.press(node, "matte_range")
print(node["state"].value())
stand_in.set_frame(1002)
print(os.path.isfile(node.node("result")["file"].evaluate()))
