# SPDX-License-Identifier: Apache-2.0
"""What an artist has in hand: clicks, masks, Empties, painted corrections, edges, views, all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.blender.desk import Desk, desk, difference, reference, rgb
from tests.blender.test_routes import one
from tests.made import read_named, scenes

__all__ = ["desk"]

SUBJECT = """
import json
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree, plate.outputs[0], model="click")
kept, facts = node.node_tree.matte_nodes, {}
ours = bpy.ops.matte_nodes
name = node.node_tree.name

def marks():
    found = json.loads(kept.points or "[]")
    kept.points = ""
    return found

def tried(operator, **arguments):
    try:
        operator(group=name, **arguments)
        return ""
    except RuntimeError as error:
        return str(error)

facts["lacks"] = comp.bake(node)["error"]
facts["no mask"] = tried(ours.subject_from, source="MASK")
facts["no empties"] = tried(ours.subject_from, source="EMPTY")
facts["no tracks"] = tried(ours.subject_from, source="TRACK")

# Masks: a closed spline, an open one, an open one of a layer called not.
mask = bpy.data.masks.new("Rough")
def spline(layer, places, cyclic):
    made = layer.splines.new()
    made.points.add(len(places) - 1)
    for point, place in zip(made.points, places):
        point.co = point.handle_left = point.handle_right = place
    made.use_cyclic = cyclic
layer = mask.layers.new(name="Person")
spline(layer, ((0.25, 0.5), (0.5, 0.25), (0.75, 0.5), (0.5, 0.75)), True)
spline(layer, ((0.5, 0.5), (0.6, 0.5)), False)
spline(mask.layers.new(name="not me"), ((0.1, 0.5), (0.9, 0.5)), False)
kept.subject_mask = mask
facts["mask error"] = tried(ours.subject_from, source="MASK")
facts["mask"] = marks()
facts["scenes"] = len(bpy.data.scenes)

# Empties before a camera that looks down.
scene = bpy.context.scene
camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
camera.data.type, camera.data.ortho_scale = "ORTHO", 2.0
camera.location = (0, 0, 5)
scene.collection.objects.link(camera)
scene.camera = camera
for title, place in (("person", (0.5, 0.25, 0)), ("not it", (-0.5, 0, 0)), ("far", (50, 0, 0))):
    thing = bpy.data.objects.new(title, None)
    thing.location = place
    scene.collection.objects.link(thing)
    thing.select_set(True)
moving = bpy.data.objects["person"]
moving.keyframe_insert("location", frame=1)
moving.location = (0.6, 0.25, 0)
moving.keyframe_insert("location", frame=2)
scene.frame_set(1)
kept.along = True
facts["empties error"] = tried(ours.subject_from, source="EMPTY")
facts["empties"], facts["frame"] = marks(), scene.frame_current

# Tracks of a clip.
shot = bpy.data.movieclips.load(given["plate"])
track = shot.tracking.tracks.new(name="T", frame=1)
track.markers[0].co = (0.4, 0.3)
track.select = True
facts["tracks error"] = tried(ours.subject_from, source="TRACK")
facts["tracks"] = marks()
inside.answer(**facts)
"""


def near(marks: list[list[object]], wanted: list[list[object]]) -> None:
    assert [mark[:2] for mark in marks] == [mark[:2] for mark in wanted]
    for mark, want in zip(marks, wanted, strict=True):
        assert mark[2:] == pytest.approx(want[2:], abs=2e-3), (mark, want)


def test_the_subject_is_marked_by_masks_empties_and_tracks(version: str, desk: Desk) -> None:
    """The plate is 96 x 72: a mask is square, with the longer side 1."""
    went = desk.run(version, SUBJECT, plate=desk.plates(2))
    assert "needs a click" in went["lacks"]
    assert "Choose a Mask" in went["no mask"]
    assert "camera" in went["no empties"]
    assert "Select tracks" in went["no tracks"]
    assert [went[f"{name} error"] for name in ("mask", "empties", "tracks")] == ["", "", ""]
    tall = 0.25 * 96 / 72
    near(
        sorted(went["mask"], key=str),
        sorted(
            [
                [1, "box", 0.25, 0.5 - tall, 0.75, 0.5 + tall],
                [1, "subject", 0.5, 0.5],
                [1, "subject", 0.6, 0.5],
                [1, "not", 0.1, 0.5],
                [1, "not", 0.9, 0.5],
            ],
            key=str,
        ),
    )
    assert went["scenes"] == 1, "nothing is left in the artist's file"
    up = 0.5 + 0.25 / (2 * 72 / 96)
    near(
        sorted(went["empties"], key=str),
        sorted(
            [
                [1, "subject", 0.75, up], [1, "not", 0.25, 0.5], [2, "subject", 0.8, up],
                [2, "not", 0.25, 0.5],
            ],
            key=str,
        ),
    )  # fmt: skip
    assert went["frame"] == 1, "the artist's frame is shown again"
    near(went["tracks"], [[1, "subject", 0.4, 0.3]])


CLICKED = """
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
node = comp.matte(tree, plate.outputs[0], model="click")
kept = node.node_tree.matte_nodes
clicks = comp.module("clicks")
kept.points = clicks.added("", [[2, "subject", *given["on"]], [2, "not", *given["beside"]]])
facts = {"click": comp.bake(node)}
other = comp.matte(tree, plate.outputs[0], model="click")
other.node_tree.matte_nodes.points = kept.points
kept.points = clicks.added(kept.points, [[1, "subject", *given["on"]]])
facts["another click"] = comp.state(node)
kept.points = other.node_tree.matte_nodes.points
facts["taken back"] = comp.state(node)
kept.range_mode, kept.frame_start, kept.frame_end = "CUSTOM", 3, 3
facts["range beside the click"] = comp.bake(node)
# A model and its edge.
edge = comp.matte(tree, plate.outputs[0], refine="closed-form")
facts["edge"] = comp.bake(edge)
facts["menu"] = edge.node_tree.matte_nodes.refine_menu
edge.node_tree.matte_nodes.model = "closed-form"
facts["edge twice"] = comp.bake(edge)["error"]
inside.answer(**facts)
"""


def test_clicks_and_the_edge_give_the_library_s_matte(version: str, desk: Desk) -> None:
    plate = desk.plates(3)
    made = scenes(3)[1]
    height, width = made.alpha.shape
    rows, columns = np.nonzero(made.alpha > 0.99)
    middle = len(rows) // 2
    x, y = int(columns[middle]), int(rows[middle])
    spot = (x + 0.5) / width, 1 - (y + 0.5) / height
    rows, columns = np.nonzero(made.alpha < 0.01)
    away = int(columns[0]), int(rows[0])
    beside = (away[0] + 0.5) / width, 1 - (away[1] + 0.5) / height
    went = desk.run(version, CLICKED, plate=plate, on=spot, beside=beside)
    assert went["click"]["state"][0] == "done", went["click"]
    points = {2: [(x + 0.5, y + 0.5, True), (away[0] + 0.5, away[1] + 0.5, False)]}
    pattern = plate.with_name("plate.####.exr")
    right = reference(
        desk.folder / "clicked", pattern, 1, 3, "click", connect={"points": points}, knobs={}
    )
    for frame in (1, 2, 3):
        assert difference(one(Path(went["click"]["folder"]), frame), one(right, frame)) < 2e-3
    assert went["another click"][0] == "stale"
    assert went["taken back"][0] == "done"
    assert went["range beside the click"]["error"] == ""
    edge = reference(desk.folder / "edge", pattern, 1, 3, refine="closed-form")
    coarse = reference(desk.folder / "coarse", pattern, 1, 3)
    assert went["menu"] == "closed-form"
    for frame in (1, 2, 3):
        baked = one(Path(went["edge"]["folder"]), frame)
        assert difference(baked, one(edge, frame)) < 2e-3
        assert difference(baked, one(coarse, frame)) > 0.05, "this test would see it"
    assert "solves the edge itself" in went["edge twice"]


OBJECTS = """
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree, plate.outputs[0], model="click")
kept, facts = node.node_tree.matte_nodes, {}
clicks, subject = comp.module("clicks"), comp.module("subject_operators")
compat = comp.module("compat")
for kept.object_name, place in zip(("left", "right"), given["spots"]):
    subject.mark_subject(kept, [[1, "subject", *place]])
outputs = lambda: compat.socket_names(node.node_tree, output=True)
facts["before"] = outputs()
facts["bake"], facts["after"] = comp.bake(node), outputs()
for title in ("Alpha left", "Alpha right", "Alpha"):
    comp.finish(tree, node.outputs[title])
    comp.render(2, given["out"] + f"-{title[6:]}.exr")
kept.plate_alpha = "MULTIPLY"
comp.finish(tree, node.outputs["Alpha left"])
comp.render(2, given["out"] + "-multiplied.exr")
kept.plate_alpha = "AUTO"
# Another object takes the place of one: its output appears, and the old one's is empty.
kept.points = kept.points.replace("right", "pot")
facts["renamed"], facts["renamed outputs"] = comp.bake(node), outputs()
comp.finish(tree, node.outputs["Alpha right"])
comp.render(2, given["out"] + "-gone.exr")
comp.finish(tree, node.outputs["Alpha pot"])
comp.render(2, given["out"] + "-pot.exr")
kept.object_name = "a b"
try:
    bpy.ops.matte_nodes.subject_from(group=node.node_tree.name, source="EMPTY")
except RuntimeError as error:
    facts["bad name"] = str(error)
bpy.ops.wm.save_mainfile()
inside.answer(**facts)
"""
WITHOUT = """
bpy.ops.wm.open_mainfile(filepath=given["blend"])
tree = comp.tree_of(bpy.context.scene)
comp.finish(tree, tree.nodes["Matte"].outputs["Alpha left"])
comp.render(2, given["out"])
inside.answer(done=True)
"""


def test_named_objects_are_outputs_of_the_node(version: str, desk: Desk) -> None:
    """`Alpha NAME` for each, the library's pixels; another object, another output."""
    plate, out = desk.plates(2), desk.folder / "object"
    made = scenes(2)[0]
    height, width = made.alpha.shape
    rows, columns = np.nonzero(made.alpha > 0.99)
    ends = [int(n) for n in (np.argmin(columns), np.argmax(columns))]
    pixels = [(int(columns[n]) + 0.5, int(rows[n]) + 0.5) for n in ends]
    spots = [(x / width, 1 - y / height) for x, y in pixels]
    went = desk.run(version, OBJECTS, plate=plate, spots=spots, out=out)
    assert went["before"] == ["Image", "Alpha"]
    assert went["bake"]["state"][0] == "done", went["bake"]
    assert went["after"] == ["Image", "Alpha", "Alpha left", "Alpha right"]
    points = {
        "schema": "matte-points", "version": 1, "width": width, "height": height,
        "objects": [
            {"name": name, "frames": {"1": {"subject": [list(spot)]}}}
            for name, spot in zip(("left", "right"), pixels, strict=True)
        ],
    }  # fmt: skip
    right = reference(
        desk.folder / "library", plate.with_name("plate.####.exr"), 1, 2, "click",
        connect={"points": points},
    )  # fmt: skip
    wanted = read_named(one(right, 2))
    assert {"alpha_left.V", "alpha_right.V"} <= set(wanted)
    assert np.abs(wanted["alpha_left.V"] - wanted["alpha_right.V"]).max() > 0.5, "two objects"
    for title in ("left", "right"):
        shown = rgb(Path(f"{out}-{title}.exr"))[..., 0]
        assert np.abs(shown - wanted[f"alpha_{title}.V"]).max() < 2e-3, title
    shown = {name: rgb(Path(f"{out}-{name}.exr"))[..., 0] for name in
             ("left", "multiplied", "gone", "pot", "right")}  # fmt: skip
    assert np.array_equal(shown["multiplied"], shown["left"]), "the plate is opaque"
    assert went["renamed outputs"][-1] == "Alpha pot"
    assert shown["gone"].max() == 0.0
    assert np.array_equal(shown["pot"], shown["right"])
    assert "begin with a letter" in went["bad name"]
    alone = desk.folder / "alone.exr"
    desk.run(version, WITHOUT, with_addon=False, out=alone)
    assert np.array_equal(rgb(alone)[..., 0], shown["left"])


TRIMAP = """
tree = comp.fresh(given["blend"], frames=(1, 1))
plate = comp.image(tree, given["plate"], "FILE")
node = comp.matte(tree, plate.outputs[0], model="closed-form")
mask = bpy.data.masks.new("Person")
made = mask.layers.new(name="L").splines.new()
made.points.add(3)
for point, place in zip(made.points, ((0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7))):
    point.co = point.handle_left = point.handle_right = place
made.use_cyclic = True
node.node_tree.matte_nodes.subject_mask = mask
before = len(tree.nodes)
facts = {"ended": sorted(bpy.ops.matte_nodes.trimap_from_mask(group=node.node_tree.name, width=6))}
facts["labels"] = [n.label for n in tree.nodes if n.bl_idname == "NodeFrame"]
facts["linked"] = node.inputs["Trimap"].is_linked
scene = bpy.context.scene
comp.finish(tree, node.inputs["Trimap"].links[0].from_socket)
comp.render(1, given["out"])
# The scene's size is not the plate's: the mask is rendered at the plate's size.
scene.render.resolution_x, scene.render.resolution_y = 50, 40
facts["bake"] = comp.bake(node)
inside.answer(**facts)
"""


def test_a_trimap_from_a_mask_in_one_click(version: str, desk: Desk) -> None:
    out = desk.folder / "trimap.exr"
    went = desk.run(version, TRIMAP, plate=desk.plates(1), out=out)
    assert went["labels"] == ["Trimap of Person"]
    assert went["linked"]
    shown = rgb(out)[..., 0]
    assert shown.shape == (72, 96)
    row = shown[36]
    edge = round(0.3 * 96)
    assert row[edge + 10] == pytest.approx(1.0), "inside"
    assert row[edge - 10] == pytest.approx(0.0), "outside"
    assert row[edge - 3] == row[edge + 3] == pytest.approx(0.5), "the band"
    assert went["bake"]["state"][0] == "done", went["bake"]
    alpha = read_named(one(Path(went["bake"]["folder"]), 1))["alpha.V"]
    assert alpha.shape == (72, 96)
    assert alpha[36, edge + 10] == 1.0
    assert alpha[36, edge - 10] == 0.0


PAINT = """
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
group, kept, facts = node.node_tree.name, node.node_tree.matte_nodes, {}
scene = bpy.context.scene
scene.frame_set(2)
try:
    bpy.ops.matte_nodes.paint(group=group)
except RuntimeError as error:
    facts["too early"] = str(error)
facts["first"] = comp.bake(node)
facts["ended"] = sorted(bpy.ops.matte_nodes.paint(group=group))
corrections = comp.module("corrections")
(image,) = corrections.images(node.node_tree)
facts["size"] = list(image.size)
facts["unpainted"] = comp.state(node)
pixels = list(image.pixels)
count = len(pixels) // (72 * 96)
facts["shown"] = max(pixels[::count])

def paint(rows, columns, value):
    for row in rows:
        for column in columns:
            at = (row * 96 + column) * count
            pixels[at : at + 3] = [value] * 3

paint(range(20), range(20), 1.0)
paint(range(52, 72), range(76, 96), 0.0)
image.pixels[:] = pixels
image.update()
facts["dirty"] = image.is_dirty
facts["second"] = comp.bake(node)
facts["painted"] = list(corrections.files(node.node_tree))
bpy.ops.wm.save_mainfile()
bpy.ops.wm.open_mainfile(filepath=given["blend"])
node = comp.tree_of(bpy.context.scene).nodes["Matte"]
facts["opened"] = comp.state(node)
bpy.context.scene.frame_set(2)
bpy.ops.matte_nodes.forget_paint(group=group, here=True)
facts["forgotten"] = comp.state(node)
facts["third"] = comp.bake(node)
inside.answer(**facts)
"""


def test_a_painted_matte_holds_in_its_frame(version: str, desk: Desk) -> None:
    went = desk.run(version, PAINT, plate=desk.plates(3))
    assert "no matte to paint on yet" in went["too early"]
    assert went["size"] == [96, 72]
    assert went["unpainted"][0] == "stale"
    assert went["shown"] > 0.9, "the matte of the frame is what is painted on"
    assert went["dirty"]
    assert went["second"]["state"][0] == "done", went["second"]
    assert went["painted"] == [2]
    first, second = (Path(went[name]["folder"]) for name in ("first", "second"))
    before, after = (read_named(one(folder, 2))["alpha.V"] for folder in (first, second))
    assert before[-10:, :10].max() < 1.0, "this test would see it"
    assert (after[-20:, :20] == 1.0).all(), "Blender's rows begin at the bottom"
    assert (after[:20, -20:] == 0.0).all()
    for frame in (1, 3):
        assert difference(one(first, frame), one(second, frame)) == 0.0
    assert went["opened"][0] == "done", "the record is in the file"
    assert went["forgotten"][0] == "stale"
    assert went["third"]["folder"] == went["first"]["folder"]
    assert went["third"]["note"] == "nothing to do"


VIEWS = """
tree = comp.fresh(given["blend"], frames=(1, 1))
plate = comp.image(tree, given["plate"], "FILE")
node = comp.matte(tree, plate.outputs[0])
comp.finish(tree, node.outputs["Image"])
facts = {"bake": comp.bake(node)}
comp.render(1, given["out"] + "-before.exr")
end = next(n for n in tree.nodes if n.bl_idname in ("NodeGroupOutput", "CompositorNodeComposite"))
for kind in ("RESULT", "ALPHA", "OVERLAY", "CHECKER", "PLATE"):
    bpy.ops.matte_nodes.view(group=node.node_tree.name, kind=kind)
    viewer = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeViewer")
    facts[kind] = len([n for n in tree.nodes if n.bl_idname == "CompositorNodeViewer"])
    old = end.inputs[0].links[0].from_socket
    # What the viewer gets is rendered here to be looked at.
    tree.links.new(viewer.inputs[0].links[0].from_socket, end.inputs[0])
    comp.render(1, given["out"] + f"-{kind}.exr")
    tree.links.new(old, end.inputs[0])
comp.render(1, given["out"] + "-after.exr")
facts["groups"] = sorted(g.name for g in bpy.data.node_groups if g.name.startswith("Matte"))
inside.answer(**facts)
"""


def test_views_show_the_matte_and_never_reach_a_render(version: str, desk: Desk) -> None:
    out = desk.folder / "view"
    went = desk.run(version, VIEWS, plate=desk.plates(1), out=out)
    assert went["bake"]["state"][0] == "done"
    assert all(went[kind] == 1 for kind in ("RESULT", "ALPHA", "OVERLAY", "CHECKER", "PLATE"))
    shown = {kind: rgb(Path(f"{out}-{kind}.exr")) for kind in
             ("RESULT", "ALPHA", "OVERLAY", "CHECKER", "PLATE", "before", "after")}  # fmt: skip
    assert np.array_equal(shown["before"], shown["after"])
    planes = read_named(one(Path(went["bake"]["folder"]), 1))
    alpha = planes["alpha.V"][..., None]
    plate = shown["PLATE"]
    assert np.abs(shown["ALPHA"] - alpha).max() < 1e-5
    red = np.asarray((1.0, 0.0, 0.0), np.float32)
    took = 0.5 * (1 - alpha)
    assert np.abs(shown["OVERLAY"] - (plate * (1 - took) + red * took)).max() < 1e-4
    assert np.abs(shown["RESULT"] - shown["before"]).max() == 0.0
    clear = alpha[..., 0] == 0.0
    assert clear.any()
    assert shown["CHECKER"][clear].std() > 0.05, "a board of two tones lies behind"
    full = alpha[..., 0] == 1.0
    assert np.abs(shown["CHECKER"] - shown["RESULT"])[full].max() < 1e-5


ALL = """
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
last = comp.matte(tree)
first = comp.matte(tree, plate.outputs[0])
tree.links.new(first.outputs["Image"], last.inputs["Image"])
last.node_tree.name, first.node_tree.name = "A last", "B first"
walk = comp.module("walk")
facts = {"order": [t.name for t in walk.in_order(bpy.context.scene)]}
facts["ended"] = sorted(bpy.ops.matte_nodes.bake_all())
facts["states"] = [comp.state(first), comp.state(last)]
again = sorted(bpy.ops.matte_nodes.bake_all())
facts["notes"] = [first.node_tree.matte_nodes.note, last.node_tree.matte_nodes.note]
inside.answer(**facts)
"""


def test_bake_all_does_what_feeds_others_first(version: str, desk: Desk) -> None:
    went = desk.run(version, ALL, plate=desk.plates(2))
    assert went["order"] == ["B first", "A last"]
    assert [state[0] for state in went["states"]] == ["done", "done"]
    assert went["notes"] == ["nothing to do", "nothing to do"]
