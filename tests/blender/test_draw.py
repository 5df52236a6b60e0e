# SPDX-License-Identifier: Apache-2.0
"""The panel draws what is known; a timer looks at the disk."""

from __future__ import annotations

from tests.blender.desk import Desk, desk

__all__ = ["desk"]

DRAW = """
import types
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
facts = {"bake": comp.bake(node)["state"]}
import threading
status, touched, threads = comp.module("status"), [], []

def counted(real):
    def call(*arguments, **more):
        touched.append(real.__name__)
        threads.append(threading.current_thread().name)
        return real(*arguments, **more)
    return call

os.scandir, os.stat = counted(os.scandir), counted(os.stat)
# As in a window: Blender draws the panel there.
status.bpy = types.SimpleNamespace(
    app=types.SimpleNamespace(background=False, timers=bpy.app.timers), context=bpy.context,
)
status._seen.clear()
del threads[:], touched[:]
for _ in range(100):
    facts["first"] = status.of(node.node_tree, bpy.context.scene)[:2]
facts["drawn"] = len(touched)
import time
again = status._look()
deadline = time.monotonic() + 60
while again and time.monotonic() < deadline:
    time.sleep(again)
    again = status._look()
facts["looked"] = len(touched)
facts["threads"] = sorted(set(threads))
facts["then"] = status.of(node.node_tree, bpy.context.scene)[0]
status.forget()
facts["kept"] = status.of(node.node_tree, bpy.context.scene)[0]
facts["drawn again"] = len(touched)
status.stop()
inside.answer(**facts)
"""


def test_the_panel_never_touches_the_disk_while_it_draws(version: str, desk: Desk) -> None:
    went = desk.run(version, DRAW, plate=desk.plates(2))
    assert went["first"] == ["none", "looking at the bake"]
    assert went["drawn"] == 0
    assert went["looked"] > 0, "this test would see it"
    assert "matte look" in went["threads"], "5,000 files are looked at beside the window"
    assert went["then"] == went["kept"] == "done"
    assert went["drawn again"] == went["looked"]
