# SPDX-License-Identifier: Apache-2.0
"""What happens to a file with Matte nodes: undo, copies, appending, moving, other environments."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.blender.desk import Desk, desk, other_python, third_desk

__all__ = ["desk", "other_python", "third_desk"]

COPIES = """
import shutil
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
facts = {"bake": comp.bake(node)}

# A copy shares the group until it is made unique.
copy = tree.nodes.new("CompositorNodeGroup")
copy.node_tree = node.node_tree
facts["shared"] = comp.bake(copy)
tree.links.new(plate.outputs[0], copy.inputs["Image"])
assert bpy.ops.matte_nodes.make_unique(group=node.node_tree.name, node=copy.name) == {"FINISHED"}
facts["unique"] = copy.node_tree != node.node_tree
copy.node_tree.matte_knobs.shared__feather = 3.0
facts["first knob"] = node.node_tree.matte_knobs.shared__feather
facts["copy"] = comp.bake(copy)
facts["original"] = comp.state(node)
facts["original folder"] = comp.module("group").linked_folder(node.node_tree)

# A duplicated group that nobody made unique by our button still gets a folder of its own.
dup = tree.nodes.new("CompositorNodeGroup")
dup.node_tree = node.node_tree.copy()
tree.links.new(plate.outputs[0], dup.inputs["Image"])
facts["dup"] = comp.bake(dup)

# The range of the scene changes.
bpy.context.scene.frame_end = 2
facts["shorter"] = comp.state(node)
bpy.context.scene.frame_end = 3

# The file is saved in another place; with its plates as they were.
os.makedirs(given["elsewhere"])
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(given["elsewhere"], "moved.blend"))
facts["moved state"] = comp.state(node)
facts["moved before"] = comp.module("group").linked_folder(node.node_tree)
facts["moved"] = comp.bake(node)

# A node whose socket was taken away is mended.
group = node.node_tree
if hasattr(group, "interface"):
    item = next(i for i in group.interface.items_tree if i.name == "Segmentation")
    group.interface.remove(item)
else:
    group.inputs.remove(group.inputs["Segmentation"])
group.nodes.remove(group.nodes["matte_set_alpha"])
bpy.ops.matte_nodes.repair(group=group.name)
facts["mended"] = [[s.name for s in node.inputs], comp.state(node)]
bpy.ops.wm.save_mainfile()
inside.answer(**facts)
"""

APPEND = """
tree = comp.fresh(given["blend"], frames=(1, 3))
with bpy.data.libraries.load(given["from"], link=False) as (there, here):
    here.node_groups = ["Matte"]
group = bpy.data.node_groups["Matte"]
bpy.context.view_layer.update()  # as Blender does by itself after an append
node = tree.nodes.new("CompositorNodeGroup")
node.node_tree = group
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
tree.links.new(plate.outputs[0], node.inputs["Image"])
facts = {"model": group.matte_nodes.model, "level": group.matte_knobs.model_green_screen__screen_level,
         "state": comp.state(node), "folder": comp.module("group").linked_folder(group)}
facts["bake"] = comp.bake(node)
# Linked, it belongs to the other file.
with bpy.data.libraries.load(given["from"], link=True) as (there, here):
    here.node_groups = ["Matte"]
linked = next(g for g in bpy.data.node_groups if g.library is not None and g.matte_nodes.is_matte)
other = tree.nodes.new("CompositorNodeGroup")
other.node_tree = linked
tree.links.new(plate.outputs[0], other.inputs["Image"])
try:
    comp.module("baking").Bake(linked, bpy.context.scene)
except Exception as error:
    facts["linked"] = str(error)
inside.answer(**facts)
"""


def test_copies_moves_and_appends(version: str, desk: Desk) -> None:
    plate, elsewhere = desk.plates(3), desk.folder / "elsewhere"
    went = desk.run(version, COPIES, plate=plate, elsewhere=elsewhere)
    assert "2 places" in went["shared"]["message"]
    assert went["unique"]
    assert went["first knob"] == 0
    assert went["copy"]["note"] == "3 frames matted now"
    assert went["copy"]["folder"] != went["bake"]["folder"]
    assert went["original"][0] == "done"
    assert went["original folder"] == went["bake"]["folder"]
    assert Path(went["dup"]["folder"]).parent != Path(went["bake"]["folder"]).parent
    assert went["shorter"][:2] == ["done", "baked (2 frames)"]
    assert went["moved state"][0] == "done", "still shown from where it was"
    assert went["moved before"] == went["bake"]["folder"]
    assert went["moved"]["folder"].startswith(str(elsewhere))
    assert went["moved"]["note"] == "nothing to do", "earlier frames go along"
    sockets, state = went["mended"]
    assert sorted(sockets) == ["Background", "Image", "Segmentation", "Trimap"]
    assert state[0] == "done"

    desk.blend = desk.folder / "third" / "third.blend"
    desk.blend.parent.mkdir()
    new = desk.run(version, APPEND, plate=plate, **{"from": elsewhere / "moved.blend"})
    assert (new["model"], round(new["level"], 6)) == ("green-screen", 0.25)
    assert new["folder"] == went["moved"]["folder"], "the appended node shows its bake"
    assert new["state"][0] == "done"
    assert new["bake"]["folder"].startswith(str(desk.blend.parent))
    assert new["bake"]["note"] == "nothing to do"
    assert "linked from" in new["linked"]


MOVED = """
bpy.ops.wm.open_mainfile(filepath=given["moved"])
tree = comp.tree_of(bpy.context.scene)
node = tree.nodes["Matte"]
facts = {"state": comp.state(node)}
plate = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeImage")
facts["plate"] = bpy.path.abspath(plate.image.filepath)
facts["bake"] = comp.bake(node)
inside.answer(**facts)
"""
MAKE = """
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
plate.image.filepath = bpy.path.relpath(plate.image.filepath)
inside.answer(bake=comp.bake(comp.matte(tree, plate.outputs[0])))
bpy.ops.wm.save_mainfile()
"""


def test_a_whole_project_is_moved(desk: Desk) -> None:
    """Plates, file and bakes go to another disk: nothing is stale, nothing is matted again."""
    desk.blend = desk.folder / "project" / "shot.blend"
    desk.blend.parent.mkdir()
    plate = desk.plates(3)
    plate = Path(shutil.move(plate.parent, desk.blend.parent / "plates")) / plate.name
    made = desk.run("3.4", MAKE, plate=plate)
    assert made["bake"]["state"][0] == "done"
    moved = desk.folder / "other disk"
    shutil.move(desk.blend.parent, moved)
    went = desk.run("3.4", MOVED, moved=moved / "shot.blend")
    assert went["plate"].startswith(str(moved))
    assert went["state"][0] == "done"
    assert went["bake"]["note"] == "nothing to do"


UNDO = """
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
bpy.ops.ed.undo_push(message="plate")
node = comp.matte(tree, plate.outputs[0])
bpy.ops.ed.undo_push(message="matte")
facts = {"bake": comp.bake(node)}
bpy.ops.ed.undo_push(message="bake")
find = lambda: comp.tree_of(bpy.context.scene).nodes.get("Matte")
find().node_tree.matte_knobs.shared__feather = 2.0
bpy.ops.ed.undo_push(message="knob")
facts["changed"] = comp.state(find())
bpy.ops.ed.undo()
facts["knob undone"] = [find().node_tree.matte_knobs.shared__feather, comp.state(find())]
bpy.ops.ed.undo()
facts["bake undone"] = comp.state(find())
bpy.ops.ed.redo()
facts["bake redone"] = comp.state(find())
bpy.ops.ed.undo()
bpy.ops.ed.undo()
facts["node undone"] = find() is None
bpy.ops.ed.redo()
facts["again"] = comp.bake(find())
inside.answer(**facts)
"""


def test_undo(version: str, desk: Desk) -> None:
    went = desk.run(version, UNDO, plate=desk.plates(3))
    assert went["changed"][0] == "stale"
    feather, state = went["knob undone"]
    assert feather == 0
    assert state[0] == "done"
    assert went["bake undone"][0] == "none"
    assert went["bake redone"][0] == "done"
    assert went["node undone"]
    assert went["again"]["note"] == "nothing to do"


THIRD = """
comp.fresh(given["blend"])
tree = comp.tree_of(bpy.context.scene)
node = comp.matte(tree)
kept, knobs = node.node_tree.matte_nodes, node.node_tree.matte_knobs
kept.model_menu = "clean"
knobs.model_clean__strength, knobs.model_clean__passes = 0.1, 3
knobs.model_clean__invert, knobs.model_clean__mode, knobs.model_clean__words = True, "soft", "so"
facts = {"kinds": {name: knobs.bl_rna.properties["model_clean__" + name].type for name in
                   ("strength", "passes", "invert", "mode", "words")}}
limits = knobs.bl_rna.properties["model_clean__strength"]
facts["limits"] = [limits.hard_min, limits.hard_max, limits.description]
facts["values"] = comp.module("knobs").given(
    comp.module("settings").of_group(node.node_tree), "clean", kept.values)
# It was set under the knob's old name, by an older version of that model.
older = tree.nodes.new("CompositorNodeGroup")
older.node_tree = comp.module("group").new()
older.node_tree.matte_nodes.model = "clean"
older.node_tree.matte_nodes.declarations = kept.declarations
older.node_tree.matte_nodes.values = '{"clean/gain": 4.5, "clean/mode": "gone"}'
older.name = "Older"
facts["old name"] = [older.node_tree.matte_knobs.model_clean__strength,
                     older.node_tree.matte_knobs.model_clean__mode]
bpy.ops.wm.save_mainfile()
inside.answer(**facts)
"""

ELSEWHERE = """
bpy.ops.wm.open_mainfile(filepath=given["blend"])
tree = comp.tree_of(bpy.context.scene)
node = tree.nodes["Matte"]
knobs = node.node_tree.matte_knobs
facts = {"strength": round(knobs.model_clean__strength, 6), "mode": knobs.model_clean__mode,
         "menu": node.node_tree.matte_nodes.model_menu}
if given["check"]:
    bpy.ops.matte_nodes.check_environment()
    facts["after"] = [round(node.node_tree.matte_knobs.model_clean__strength, 6),
                      node.node_tree.matte_nodes.model_menu]
    plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
    tree.links.new(plate.outputs[0], node.inputs["Image"])
    tree.links.new(plate.outputs[0], node.inputs["Background"])
    facts["bake"] = comp.bake(node)
inside.answer(**facts)
"""


def test_knobs_of_a_third_party_stay_with_the_file(
    version: str, third_desk: Desk, service_home: Path, addon: Path
) -> None:
    made = third_desk.run(version, THIRD)
    assert made["kinds"] == {
        "strength": "FLOAT", "passes": "INT", "invert": "BOOLEAN", "mode": "ENUM",
        "words": "STRING",
    }  # fmt: skip
    low, high, help_ = made["limits"]
    assert (round(low, 6), high, help_) == (0.1, 10, "Difference that is solid")
    values = made["values"]
    assert values["strength"] == 0.1, "not 0.10000000149"
    assert (values["passes"], values["invert"], values["mode"]) == (3, True, "soft")
    assert values["words"] == "so"
    assert made["old name"] == [4.5, "plain"]
    # No environment at all: the panel works all the same.
    alone = third_desk.ran(
        version, ELSEWHERE, python="/nowhere/python", check=False, plate=""
    ).good()
    assert (alone["strength"], alone["mode"], alone["menu"]) == (0.1, "soft", "clean")
    # An environment without that model: kept, and a bake says what is wrong.
    here = Desk.__new__(Desk)
    here.__dict__.update(third_desk.__dict__)
    here.service_home, here.python = service_home, Desk.__init__.__defaults__[0]  # type: ignore[index]
    plate = third_desk.plates(3)
    other = here.run(version, ELSEWHERE, check=True, plate=plate)
    assert other["after"] == [0.1, "clean"]
    assert "no model 'clean'" in other["bake"]["message"]
