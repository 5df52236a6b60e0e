# SPDX-License-Identifier: Apache-2.0
"""A bake is stale when something changed that its pixels depend on, and never for anything else."""

from __future__ import annotations

from tests.blender.desk import Desk, desk

__all__ = ["desk"]

MASK = """
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
mask = bpy.data.masks.new("Rough")
layer = mask.layers.new(name="L")
spline = layer.splines.new()
spline.points.add(3)
for point, place in zip(spline.points, ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))):
    point.co = point.handle_left = point.handle_right = place
spline.use_cyclic = True
shape = tree.nodes.new("CompositorNodeMask")
shape.mask = mask
tree.links.new(shape.outputs[0], node.inputs["Segmentation"])
facts = {"bake": comp.bake(node)}
scene = bpy.context.scene
places = [tuple(point.co) for point in spline.points]
facts["scenes"] = [s.name for s in bpy.data.scenes]

scene.frame_set(2)
facts["other frame"] = comp.state(node)
spline.points[1].co.x -= 0.2
facts["point"] = comp.state(node)
spline.points[1].co = places[1]
facts["point back"] = comp.state(node)
spline.points[1].weight = 0.5
facts["feather"] = comp.state(node)
spline.points[1].weight = 0.0
layer.alpha = 0.5
facts["layer"] = comp.state(node)
layer.alpha = 1.0
facts["layer back"] = comp.state(node)

# A key at frame 3, away from the frame that is shown: only evaluation sees it.
window = bpy.context.window_manager.windows[0]
area = window.screen.areas[0]
area.type = "IMAGE_EDITOR"
area.spaces[0].mode, area.spaces[0].mask = "MASK", mask
def key(frame, x):
    scene.frame_set(frame)
    for point in spline.points:
        point.select = True
    spline.points[1].co.x = x
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
        assert bpy.ops.mask.shape_key_insert() == {"FINISHED"}
    scene.frame_set(1)
key(1, places[1][0])
facts["first key"] = comp.state(node)
key(3, 0.4)
facts["second key"] = comp.state(node)
facts["keyed bake"] = comp.bake(node)
scene.frame_set(2)
facts["keyed, other frame"] = comp.state(node)
scene.frame_end = 2
facts["keyed, shorter"] = comp.state(node)
scene.frame_end = 3
key(3, 0.45)
facts["key moved"] = comp.state(node)
before = mask.users
comp.state(node)
facts["users"] = mask.users - before
inside.answer(**facts)
"""


def test_mask_points_and_keys_make_a_bake_stale(version: str, desk: Desk) -> None:
    went = desk.run(version, MASK, plate=desk.plates(3))
    assert went["bake"]["state"][0] == "done"
    assert went["scenes"] == ["Scene"], "nothing is left in the artist's file"
    for name in ("point", "feather", "layer", "second key", "key moved"):
        assert went[name][0] == "stale", name
    for name in ("other frame", "point back", "layer back", "first key", "keyed, other frame"):
        assert went[name][0] == "done", name
    assert went["keyed bake"]["state"][0] == "done"
    assert went["keyed, shorter"][0] == "done"
    assert went["users"] == 0, "a look at the mask leaves no user of it"


TRACK = """
tree = comp.fresh(given["blend"], frames=(1, 2))
shot = comp.clip(tree, given["plate"])
node = comp.matte(tree)
track = shot.clip.tracking.tracks.new(name="T", frame=1)
track.markers[0].co = (0.4, 0.4)
track.markers.insert_frame(2, co=(0.5, 0.4))
steady = tree.nodes.new("CompositorNodeStabilize")
steady.clip = shot.clip
tree.links.new(shot.outputs[0], steady.inputs[0])
tree.links.new(steady.outputs[0], node.inputs["Image"])
facts = {"bake": comp.bake(node)}
bpy.context.scene.frame_set(2)
facts["other frame"] = comp.state(node)
track.markers[1].co = (0.6, 0.4)
facts["marker"] = comp.state(node)
track.markers[1].co = (0.5, 0.4)
facts["marker back"] = comp.state(node)
shot.clip.tracking.stabilization.influence_location = 0.5
facts["stabilization"] = comp.state(node)
inside.answer(**facts)
"""


def test_tracking_markers_make_a_bake_stale(version: str, desk: Desk) -> None:
    went = desk.run(version, TRACK, plate=desk.plates(2))
    assert went["bake"]["state"][0] == "done", went["bake"]
    for name in ("marker", "stabilization"):
        assert went[name][0] == "stale", name
    for name in ("other frame", "marker back"):
        assert went[name][0] == "done", name


UPSTREAM = """
tree = comp.fresh(given["blend"], frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree)
blur = tree.nodes.new("CompositorNodeBlur")
tree.links.new(plate.outputs[0], blur.inputs[0])
tree.links.new(blur.outputs[0], node.inputs["Image"])
other = tree.nodes.new("CompositorNodeBlur")
facts = {"bake": comp.bake(node)}

other.mute = True  # feeds nothing
blur.location = (7, 7)
facts["not upstream"] = comp.state(node)
os.replace(given["file"], given["plate"].replace("0001", "0002"))
facts["file"] = comp.state(node)
facts["again"] = comp.bake(node)
blur.mute = True
facts["muted"] = comp.state(node)
blur.mute = False
tree.animation_data_create()
blur.inputs[1].keyframe_insert("default_value", frame=1)
facts["keyed"] = comp.bake(node)["state"]
action = tree.animation_data.action
curves = getattr(action, "fcurves", None) or action.layers[0].strips[0].channelbags[0].fcurves
facts["curves"] = len(curves)
curves[0].keyframe_points[0].interpolation = "CONSTANT"
facts["interpolation"] = comp.state(node)
inside.answer(**facts)
"""


def test_upstream_nodes_and_their_files_make_a_bake_stale(version: str, desk: Desk) -> None:
    plate = desk.plates(3)
    went = desk.run(version, UPSTREAM, plate=plate, file=plate.with_name("plate.0003.exr"))
    assert went["bake"]["state"][0] == "done", went["bake"]
    assert went["not upstream"][0] == "done"
    assert went["file"][1] == "stale: the plate changed since the bake"
    assert went["again"]["state"][0] == "done"
    assert went["muted"][0] == "stale"
    assert went["keyed"][0] == "done"
    assert went["curves"] >= 1, "a bake that renders the inputs leaves the artist's keys alone"
    assert went["interpolation"][0] == "stale"
