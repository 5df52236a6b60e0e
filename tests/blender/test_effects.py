# SPDX-License-Identifier: Apache-2.0
"""Blender 5: the compositor is a tree with an input, from 5.3 a stack of them; strips have theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.blender import rig
from tests.blender.conftest import needs
from tests.blender.desk import Desk, composite, desk, difference, reference, rgb
from tests.blender.test_routes import one
from tests.made import plate_sequence, read_named

__all__ = ["desk"]


def since(first: str) -> list[Any]:
    """The Blenders from a version on; the newest in a usual run, the others only by make soak."""
    found = [v for v in rig.ALL if v >= first]
    quick = {found[-1], *rig.QUICK}
    return [pytest.param(v, marks=() if v in quick else pytest.mark.slow) for v in found]


START = """
tree = comp.fresh(given["blend"], frames=(1, 2))
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
scene.collection.objects.link(scene.camera)
scene.world = bpy.data.worlds.new("red")
if scene.world.node_tree is None:
    scene.world.use_nodes = True
nodes = scene.world.node_tree.nodes
sky = next((n for n in nodes if n.bl_idname == "ShaderNodeBackground"), None)
sky.inputs["Color"].default_value = (0.5, 0.125, 0.25, 1.0)
sky.inputs["Strength"].default_value = 1.0
facts = {}

def effect(name):
    made = bpy.data.node_groups.new(name, "CompositorNodeTree")
    made.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    made.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    return made, made.nodes.new("NodeGroupInput"), made.nodes.new("NodeGroupOutput")

def matte_in(tree):
    # The operator works where the editor is; a tree without an editor gets its node so.
    keep = comp.matte(comp.tree_of(scene))
    made = tree.nodes.new("CompositorNodeGroup")
    made.node_tree = keep.node_tree
    comp.tree_of(scene).nodes.remove(keep)
    return made
"""

ROOT = """
tree.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
begin = tree.nodes.new("NodeGroupInput")
node = comp.matte(tree, begin.outputs[0])
facts["bake"] = comp.bake(node)
scene.camera = None
facts["no camera"] = comp.bake(node)["error"] or comp.state(node)
inside.answer(**facts)
"""


@pytest.mark.parametrize("newer", since("5.0"))
def test_the_input_of_the_whole_compositor_is_the_render(desk: Desk, newer: str) -> None:
    """From 5.3 on. 5.0 to 5.2 have such an input too, and give nothing at it, to any node."""
    needs(newer)
    went = desk.run(newer, START + ROOT)
    if newer < "5.3":
        assert "gives no picture at the compositor's own input" in went["bake"]["error"]
        return
    assert went["bake"]["state"][0] == "done", went["bake"]
    planes = read_named(one(Path(went["bake"]["folder"]), 1))
    found = [float(planes[f"foreground.{c}"].mean()) for c in "RGB"]
    assert found == pytest.approx([0.5, 0.125, 0.25], abs=2e-3)
    assert "no camera" in went["no camera"]


STACK = """
# First effect: the plate, brighter. Second: the Matte node, over blue. Third: active, and nothing.
first, _, end = effect("First")
plate = comp.image(first, given["plate"], frames=(2, 1, 0, False))
up = first.nodes.new("CompositorNodeExposure")
up.inputs[1].default_value = 1.0
first.links.new(plate.outputs[0], up.inputs[0])
first.links.new(up.outputs[0], end.inputs[0])
writer = first.nodes.new("CompositorNodeOutputFile")
writer.directory = given["artist"]
writer.file_output_items.new("RGBA", "mine")
first.links.new(up.outputs[0], writer.inputs[0])

second, begin, end = effect("Second")
node = matte_in(second)
second.links.new(begin.outputs[0], node.inputs["Image"])
second.links.new(comp.over(second, node.outputs["Image"], (0.1, 0.2, 0.6)), end.inputs[0])

third, begin, end = effect("Third")
third.links.new(begin.outputs[0], end.inputs[0])
scene.compositor_effects.clear()
for made in (first, second, third):
    scene.compositor_effects.new(made.name).node_group = made
facts["active"] = [e.name for e in scene.compositor_effects if e.is_active]
facts["before"] = comp.state(node)
facts["bake"] = comp.bake(node)
facts["written"] = os.path.exists(given["artist"]) and os.listdir(given["artist"])
facts["stack"] = [(e.name, e.node_group.name) for e in scene.compositor_effects]
facts["trees"] = sorted(t.name for t in bpy.data.node_groups)
handlers = comp.module("handlers")
facts["wrong"] = handlers.wrong(scene)
facts["all"] = sorted(bpy.ops.matte_nodes.bake_all())
up.inputs[1].default_value = 0.5
facts["changed"] = comp.state(node)
facts["wrong then"] = handlers.wrong(scene)
up.inputs[1].default_value = 1.0
writer.mute = True
comp.render(1, given["out"])
inside.answer(**facts)
"""


def test_a_matte_in_a_stack_of_effects(desk: Desk) -> None:
    """Its plate is what the effect before makes; another effect is the active one."""
    needs("5.3")
    plate, artist, out = desk.plates(2), desk.folder / "artist", desk.folder / "out.exr"
    went = desk.run("5.3", START + STACK, plate=plate, artist=artist, out=out)
    assert went["active"] == ["Third"], "this test would see it"
    assert went["bake"]["state"][0] == "done", went["bake"]
    doubled = plate_sequence(desk.folder / "doubled", 2, 1, gain=2.0)
    right = reference(desk.folder / "right", doubled, 1, 2)
    for frame in (1, 2):
        assert difference(one(Path(went["bake"]["folder"]), frame), one(right, frame)) < 4e-3
    assert not went["written"], "an output of the artist's was written"
    assert [name for _, name in went["stack"]] == ["First", "Second", "Third"]
    assert not [name for name in went["trees"] if name.endswith(".001")], "nothing is left"
    assert went["wrong"] == []
    assert went["changed"][0] == "stale"
    assert "stale" in went["wrong then"][0]
    shown = composite(one(Path(went["bake"]["folder"]), 1), (0.1, 0.2, 0.6))
    assert np.abs(rgb(out) - shown).max() < 1e-4


STRIP = """
made, begin, end = effect("Strip")
node = matte_in(made)
made.links.new(begin.outputs[0], node.inputs["Image"])
made.links.new(node.outputs["Image"], end.inputs[0])
editor = scene.sequence_editor_create()
kind = "COLOR" if given["kind"] == "modifier" else "COMPOSITOR"
strip = editor.strips.new_effect(name="Shot", type=kind, channel=1, frame_start=1, length=2)
owner = strip if kind == "COMPOSITOR" else strip.modifiers.new("Matte", "COMPOSITOR")
owner.node_group = made
facts["input"] = comp.bake(node)["error"]
plate = comp.image(made, given["plate"], frames=(2, 1, 0, False))
made.links.new(plate.outputs[0], node.inputs["Image"])
facts["bake"] = comp.bake(node)
facts["wrong"] = comp.module("handlers").wrong(scene)
plate.image.filepath = given["other"]
facts["wrong then"] = comp.module("handlers").wrong(scene)
inside.answer(**facts)
"""


@pytest.mark.parametrize("newer", since("5.2"))
def test_a_matte_in_a_strip_s_compositor_modifier(desk: Desk, newer: str) -> None:
    """bpy 5.0.1 and 5.1.2 end with a segmentation fault when such a modifier is made, by anybody."""
    needs(newer)
    plate = desk.plates(2)
    other = plate_sequence(desk.folder / "other", 2, 1, gain=2.0)
    other = Path(str(other).replace("####", "0001"))
    went = desk.run(newer, START + STRIP, plate=plate, other=other, kind="modifier")
    right_in_a_strip(desk, went, plate)


@pytest.mark.parametrize("newer", since("5.2"))
def test_a_matte_in_a_compositor_strip(desk: Desk, newer: str) -> None:
    """A strip that is itself a node tree."""
    needs(newer)
    plate = desk.plates(2)
    other = plate_sequence(desk.folder / "other", 2, 1, gain=2.0)
    other = Path(str(other).replace("####", "0001"))
    went = desk.run(newer, START + STRIP, plate=plate, other=other, kind="strip")
    right_in_a_strip(desk, went, plate)


def right_in_a_strip(desk: Desk, went: dict[str, Any], plate: Path) -> None:
    assert "strip Shot" in went["input"]
    assert went["bake"]["state"][0] == "done", went["bake"]
    right = reference(desk.folder / "right", plate.with_name("plate.####.exr"), 1, 2)
    assert difference(one(Path(went["bake"]["folder"]), 1), one(right, 1)) < 2e-3
    assert went["wrong"] == []
    assert "stale" in went["wrong then"][0]
