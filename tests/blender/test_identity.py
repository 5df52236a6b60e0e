# SPDX-License-Identifier: Apache-2.0
"""One identity for each bake: no file shows, or writes over, the frames of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.blender.desk import Desk, desk, rgb
from tests.made import plate_sequence

__all__ = ["desk"]

MAKE = """
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree, plate.outputs[0], bake_dir=given["base"])
facts = {"bake": comp.bake(node), "stored": comp.module("group").linked_image(node.node_tree).filepath}
comp.finish(tree, node.outputs["Image"])
bpy.ops.wm.save_mainfile()
inside.answer(**facts)
"""
SHOW = """
bpy.ops.wm.open_mainfile(filepath=given["blend"])
facts = {}
if given["addon"]:
    node = comp.tree_of(bpy.context.scene).nodes["Matte"]
    facts = {"state": comp.state(node), "folder": comp.module("group").linked_folder(node.node_tree)}
    try:
        bpy.ops.matte_nodes.check_bakes()
        facts["check"] = ""
    except RuntimeError as error:
        facts["check"] = str(error)
print("RENDERS", flush=True)
comp.render(1, given["out"])
print("RENDERED", flush=True)
inside.answer(**facts)
"""
VERSION = """
bpy.ops.wm.open_mainfile(filepath=given["first"])
bpy.ops.wm.save_as_mainfile(filepath=given["blend"])
tree = comp.tree_of(bpy.context.scene)
node = tree.nodes["Matte"]
facts = {"copied": comp.state(node)}
plate = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeImage")
plate.image.filepath = given["plate"]
facts["regraded"] = comp.state(node)
facts["bake"] = comp.bake(node)
plate.image.filepath = given["old plate"]
facts["back"] = comp.bake(node)
inside.answer(**facts)
"""


def shots(desk: Desk) -> list[Path]:
    """Return the first plates of two shots whose files have the same names."""
    found = []
    for name in ("sh010", "sh020"):
        pattern = plate_sequence(desk.folder / "plates" / name, 2, 1)
        found.append(Path(str(pattern).replace("####", "0001")))
    for path in found[1].parent.glob("plate.*"):
        number = int(path.suffixes[0][1:])
        path.write_bytes((found[0].parent / f"plate.{3 - number:04d}.exr").read_bytes())
    return found


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).glob("matte.*.exr")}


def test_two_files_in_one_folder_never_share_frames(version: str, desk: Desk) -> None:
    bakes = []
    for number, plate in enumerate(shots(desk)):
        desk.blend = desk.blend.with_name(f"sh0{number + 1}0.blend")
        bakes.append(desk.run(version, MAKE, plate=plate, base="//matte")["bake"])
        assert bakes[-1]["note"] == "2 frames matted now"
        if number == 0:
            before = contents(bakes[0]["folder"])
    assert bakes[0]["folder"] != bakes[1]["folder"]
    assert contents(bakes[0]["folder"]) == before
    desk.blend = desk.blend.with_name("sh010.blend")
    out = desk.folder / "out.exr"
    ran = desk.ran(version, SHOW, out=out)
    went = ran.good()
    assert (went["state"][0], went["check"]) == ("done", "")
    assert "is not right" not in ran.text
    right = rgb(out)
    # Somebody copies the frames of the other shot over these.
    for path in Path(bakes[1]["folder"]).glob("matte.*.exr"):
        (Path(bakes[0]["folder"]) / path.name).write_bytes(path.read_bytes())
    ran = desk.ran(version, SHOW, out=out)
    went = ran.good()
    assert went["state"][0] == "stale"
    assert went["state"][2]
    assert "frames 1, 2 are damaged, or from another bake" in went["state"][1]
    assert "frames 1, 2 are damaged, or from another bake" in went["check"]
    assert "frames 1, 2 are damaged, or from another bake" in ran.text.split("RENDERS")[1]
    assert np.abs(rgb(out) - right).max() > 0.01, "this test would see it"


def test_two_versions_of_a_file_never_share_frames(version: str, desk: Desk) -> None:
    """Version 2 has a plate of the same name with another grade; version 1 stays as it was."""
    plates, first = shots(desk), desk.blend.with_name("shot_v001.blend")
    desk.blend = first
    one = desk.run(version, MAKE, plate=plates[0], base="//matte")["bake"]
    before = contents(one["folder"])
    desk.blend = first.with_name("shot_v002.blend")
    went = desk.run(version, VERSION, first=first, plate=plates[1], **{"old plate": plates[0]})
    assert went["copied"][0] == "done"
    assert went["regraded"][0] == "stale"
    assert went["bake"]["note"] == "2 frames matted now"
    assert went["back"]["folder"] != went["bake"]["folder"], "each plate has a folder"
    assert one["folder"] not in (went["bake"]["folder"], went["back"]["folder"])
    assert contents(one["folder"]) == before
    desk.blend = first
    assert desk.run(version, SHOW, out=desk.folder / "o.exr")["state"][0] == "done"


def test_an_absolute_folder_stays_absolute(version: str, desk: Desk) -> None:
    """A farm renders a copy of the file somewhere else: it finds the matte."""
    plate, base = shots(desk)[0], desk.folder / "bakes"
    made = desk.run(version, MAKE, plate=plate, base=str(base))
    assert made["stored"].startswith(str(base))
    out = desk.folder / "out.exr"
    desk.run(version, SHOW, out=out)
    right = rgb(out)
    copy = desk.folder / "farm" / "deep" / "copy.blend"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(desk.blend.read_bytes())
    desk.blend = copy
    desk.run(version, SHOW, with_addon=False, out=out)
    assert np.array_equal(rgb(out), right)
