# SPDX-License-Identifier: Apache-2.0
"""One file in two Blenders, another working space, the sequencer: pixels are never taken for others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.blender.conftest import needs
from tests.blender.desk import Desk, desk, rgb
from tests.blender.test_routes import one
from tests.made import read_named

__all__ = ["desk"]

OLD = """
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
facts = {"bake": comp.bake(node)}
comp.finish(tree, node.outputs["Image"])
comp.render(1, given["out"])
bpy.ops.wm.save_mainfile()
inside.answer(**facts)
"""
NEW = """
bpy.ops.wm.open_mainfile(filepath=given["blend"])
tree = comp.tree_of(bpy.context.scene)
node = tree.nodes["Matte"]
facts = {"opened": comp.state(node), "folder": comp.module("group").linked_folder(node.node_tree)}
comp.render(1, given["out"])
inside.answer(**facts)
"""


def test_a_file_of_an_older_blender_is_not_stale(desk: Desk) -> None:
    """Baked in 3.4, opened in 5.0: the bake is right and shows the same pixels."""
    needs("5.0")
    plate, old, new = desk.plates(2), desk.folder / "old.exr", desk.folder / "new.exr"
    first = desk.run("3.4", OLD, plate=plate, out=old)
    assert first["bake"]["state"][0] == "done"
    then = desk.run("5.0", NEW, out=new)
    assert then["opened"][0] == "done", then["opened"]
    assert then["folder"] == first["bake"]["folder"]
    assert np.abs(rgb(old) - rgb(new)).max() < 1e-5


WORKING = """
tree = comp.fresh(given["blend"], frames=(1, 1))
plate = comp.image(tree, given["plate"], "FILE")
node = comp.matte(tree, plate.outputs[0])
facts = {"first": comp.bake(node)}
bpy.ops.wm.set_working_color_space(working_space="ACEScg")
facts["working"] = bpy.data.colorspace.working_space
facts["changed"] = comp.state(node)
facts["second"] = comp.bake(node)
comp.finish(tree, node.outputs["Image"])
comp.render(1, given["out"] + "-matte.exr")
comp.finish(tree, plate.outputs["Image"])
comp.render(1, given["out"] + "-plate.exr")
facts["space"] = node.node_tree.nodes["matte_bake"].image.colorspace_settings.name
inside.answer(**facts)
"""


def test_another_working_space_never_shows_old_pixels(desk: Desk) -> None:
    needs("5.0")
    out = desk.folder / "out"
    went = desk.run("5.0", WORKING, plate=desk.plates(1), out=out)
    assert went["working"] == "ACEScg", "this test would see it"
    assert went["changed"][0] == "stale"
    assert went["second"]["state"][0] == "done"
    assert went["second"]["folder"] != went["first"]["folder"]
    assert went["space"] == "ACEScg"
    solid = read_named(one(Path(went["second"]["folder"]), 1))["alpha.V"] == 1
    assert solid.sum() > 50
    shown, plate = rgb(Path(f"{out}-matte.exr")), rgb(Path(f"{out}-plate.exr"))
    assert np.abs(shown - plate)[solid].max() < 2e-3


SEQUENCER = """
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
facts = {"bake": comp.bake(node)}
scene = bpy.context.scene
scene.view_settings.view_transform = "Raw"
strips = scene.sequence_editor_create().strips
path = os.path.join(facts["bake"]["folder"], "matte.0001.exr")
strips.new_image(name="matte", filepath=path, channel=1, frame_start=1)
scene.render.use_sequencer = True
comp.render(1, given["out"])
inside.answer(**facts)
"""


def test_the_sequencer_shows_a_bake(desk: Desk) -> None:
    """As the cut-out subject; before 5.0 it reads no EXR with layers, whatever they are called."""
    needs("5.0")
    out = desk.folder / "out.exr"
    went = desk.run("5.0", SEQUENCER, plate=desk.plates(2), out=out)
    baked = read_named(one(Path(went["bake"]["folder"]), 1))
    alpha = baked["alpha.V"]
    shown = read_named(out)
    assert np.abs(shown["A"] - alpha).max() < 2e-3
    for name in "RGB":
        right = baked[f"foreground.{name}"] * alpha
        assert np.abs(shown[name] - right)[right < 1].max() < 5e-3
