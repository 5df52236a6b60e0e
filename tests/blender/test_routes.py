# SPDX-License-Identifier: Apache-2.0
"""Every way on which a picture reaches the node's inputs, exact to the frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.blender.desk import Desk, desk, difference, other_python, reference, third_desk
from tests.made import plate_sequence, read_named, scenes, write_image, write_movie

__all__ = ["desk", "other_python", "third_desk"]
SAME = 2e-3
"""Halves of two configs that say the same."""

START = """
import os
tree = comp.fresh(given["blend"], frames=(1, 100))
scene = bpy.context.scene
baking = comp.module("baking")
facts = {}

def sequence(*frames, path=given["plate"]):
    return comp.image(tree, path, frames=frames)

def went(name, node, frame=None, range=None):
    if range is not None:
        kept = node.node_tree.matte_nodes
        kept.range_mode, kept.frame_start, kept.frame_end = "CUSTOM", *range
    plan, _, _ = baking.planned(node.node_tree, scene)
    handed = {key: [item.how, item.reason, item.still] for key, item in plan.handed().items()}
    facts[name] = {**comp.bake(node), "handed": handed, "range": [plan.first, plan.last]}
"""

PLATES = """
# A sequence whose numbers are those of the scene.
went("same", comp.matte(tree, sequence(6, 1, 0, False).outputs[0]))
# Files 3-5 shown from frame 11 of the scene on.
went("shifted", comp.matte(tree, sequence(3, 11, 2, False).outputs[0]))
# Files 2-4 again and again.
went("cyclic", comp.matte(tree, sequence(3, 1, 1, True).outputs[0]), range=(1, 5))
# One picture.
node = comp.matte(tree, comp.image(tree, given["plate"], "FILE").outputs[0])
went("still", node)
facts["still"]["source"] = node.node_tree.nodes["matte_bake"].image.source
# A movie, and one that begins later.
movie = lambda *frames: comp.image(tree, given["movie"], "MOVIE", frames=frames).outputs[0]
went("movie", comp.matte(tree, movie(6, 1, 0, False)))
went("movie shifted", comp.matte(tree, movie(4, 11, 2, False)))
# Movie clips: a sequence that begins at file 2, and a movie.
clip = lambda *shift: comp.clip(tree, given["second"], *shift, space=comp.linear()).outputs[0]
went("clip", comp.matte(tree, clip(2, 0)))
went("clip shifted", comp.matte(tree, clip(10, 1)))
went("clip movie", comp.matte(tree, comp.clip(tree, given["movie"]).outputs[0]), range=(1, 4))
inside.answer(**facts)
"""

WAYS = """
scene.frame_end = 12
# Through reroutes, a muted node, a muted node that is no way, and a muted link.
plate = sequence(3, 1, 0, False)
dot = tree.nodes.new("NodeReroute")
blur = tree.nodes.new("CompositorNodeBlur")
blur.mute = True
other = tree.nodes.new("NodeReroute")
tree.links.new(plate.outputs[0], dot.inputs[0])
tree.links.new(dot.outputs[0], blur.inputs[0])
tree.links.new(blur.outputs[0], other.inputs[0])
went("reroute and mute", comp.matte(tree, other.outputs[0]))

# The picture lies inside of a nested group.
compat = comp.module("compat")
outer = bpy.data.node_groups.new("Outer", "CompositorNodeTree")
compat.add_socket(outer, "NodeSocketColor", "Image", output=True)
picture = outer.nodes.new("CompositorNodeImage")
picture.image, picture.frame_duration, picture.frame_start = plate.image, 3, 1
end = outer.nodes.new("NodeGroupOutput")
outer.links.new(picture.outputs[0], end.inputs[0])
holder = tree.nodes.new("CompositorNodeGroup")
holder.node_tree = outer
went("inside a group", comp.matte(tree, holder.outputs[0]))

# The Matte node lies inside of a group, its plate outside.
nest = bpy.data.node_groups.new("Nest", "CompositorNodeTree")
compat.add_socket(nest, "NodeSocketColor", "Plate", output=False)
compat.add_socket(nest, "NodeSocketColor", "Result", output=True)
begin, end = nest.nodes.new("NodeGroupInput"), nest.nodes.new("NodeGroupOutput")
node = comp.matte(tree)
inner = nest.nodes.new("CompositorNodeGroup")
inner.node_tree = node.node_tree
tree.nodes.remove(node)
nest.links.new(begin.outputs[0], inner.inputs["Image"])
nest.links.new(inner.outputs["Image"], end.inputs[0])
nester = tree.nodes.new("CompositorNodeGroup")
nester.node_tree = nest
tree.links.new(plate.outputs[0], nester.inputs[0])
went("nested", inner)

# The same with a node between, inside: rendered out of the nested group.
up = nest.nodes.new("CompositorNodeExposure")
up.inputs[1].default_value = 1.0
nest.links.new(begin.outputs[0], up.inputs[0])
nest.links.new(up.outputs[0], inner.inputs["Image"])
went("nested graph", inner)
groups = sorted(g.name for g in bpy.data.node_groups)

# That group twice: one bake cannot serve two plates.
twice = tree.nodes.new("CompositorNodeGroup")
twice.node_tree = nest
facts["twice"] = comp.bake(inner)
tree.nodes.remove(twice)

# A graph at the top, with things around it that must not be touched.
writer = tree.nodes.new("CompositorNodeOutputFile")
viewer = tree.nodes.new("CompositorNodeViewer")
layers = tree.nodes.new("CompositorNodeRLayers")  # there is no camera: it must not be rendered
up = tree.nodes.new("CompositorNodeExposure")
up.inputs[1].default_value = 1.0
tree.links.new(plate.outputs[0], up.inputs[0])
tree.links.new(up.outputs[0], viewer.inputs[0])
node = comp.matte(tree, up.outputs[0])
scene.render.filepath, scene.render.use_sequencer = "//keep/me", True
scene.frame_set(7)
if hasattr(writer, "directory"):
    writer.directory = given["artist"]
    writer.file_output_items.new("RGBA", "mine")
else:
    writer.base_path = given["artist"]
tree.links.new(up.outputs[0], writer.inputs[0])

def snapshot():
    # The Matte group itself changes: it is baked.
    found = {}
    for owner, name in ((scene, "scene"), (scene.render, "render"),
                        (scene.render.image_settings, "image")):
        for item in owner.bl_rna.properties:
            if item.type not in ("POINTER", "COLLECTION"):
                value = getattr(owner, item.identifier)
                found[name + "." + item.identifier] = repr(
                    value if isinstance(value, (str, int, float, bool)) else
                    (sorted(value) if isinstance(value, set) else list(value)))
    found["nodes"] = sorted((n.name, n.bl_idname, n.mute) for n in tree.nodes)
    found["links"] = sorted((l.from_node.name, l.from_socket.name, l.to_node.name)
                            for l in tree.links)
    found["data"] = [sorted(x.name for x in getattr(bpy.data, kind)) for kind in
                     ("scenes", "node_groups", "objects", "worlds", "collections")]
    return found

before = snapshot()
went("graph", node)
after = snapshot()
facts["touched"] = [key for key in before if before[key] != after[key]]
facts["written"] = os.path.exists(given["artist"]) and os.listdir(given["artist"])
facts["graph again"] = comp.bake(node)
up.inputs[1].default_value = 0.5
facts["graph changed"] = comp.state(node)

# A graph that cannot be rendered says so, and leaves nothing behind.
tree.links.new(layers.outputs["Image"], node.inputs["Image"])
facts["no camera"] = comp.bake(node)
facts["left"] = snapshot()["data"] == before["data"]
tree.links.new(up.outputs[0], node.inputs["Image"])
facts["well again"] = comp.bake(node)
facts["nothing"] = comp.bake(comp.matte(tree))
inside.answer(**facts)
"""

HINTS = """
plate = lambda: sequence(3, 1, 0, False).outputs[0]

def hinted(name, model, range=None, **hints):
    node = comp.matte(tree, plate(), model=model)
    for hint, socket in hints.items():
        tree.links.new(socket, node.inputs[hint])
    went(name, node, range=range)
    return node

trimap = lambda source, *frames, space="": comp.image(
    tree, given["trimap"], source, frames=frames or None, space=space).outputs[0]
hinted("trimap", "closed-form", Trimap=trimap("SEQUENCE", 3, 1, 0, False, space="Non-Color"))
# The trap: the menu stands at sRGB, and grey is 0.21 in the compositor.
hinted("trimap as sRGB", "closed-form", Trimap=trimap("SEQUENCE", 3, 1, 0, False))
hinted("trimap still", "closed-form", Trimap=trimap("FILE", space="Non-Color"))
back = comp.image(tree, given["clean"], "FILE").outputs[0]
hinted("background", "clean", Background=back)
low = tree.nodes.new("CompositorNodeExposure")
low.inputs[1].default_value = 0.0
tree.links.new(back, low.inputs[0])
hinted("background graph", "clean", Background=low.outputs[0])
alpha = comp.image(tree, given["mask"], "FILE", space="Non-Color").outputs[0]
hinted("segmentation", "green-screen", Segmentation=alpha)
facts["lacks"] = comp.bake(comp.matte(tree, plate(), model="closed-form"))
inside.answer(**facts)
"""


def numbers(folder: str) -> list[int]:
    return sorted(int(path.name.split(".")[1]) for path in Path(folder).glob("matte.*.exr"))


def one(pictures: Path, number: int) -> Path:
    return pictures / f"matte.{number:04d}.exr"


def same(went: dict[str, Any], pictures: Path, files: dict[int, int], most: float = SAME) -> None:
    """The bake holds just these frames, and each is the matte of this file."""
    assert went["state"][0] == "done", went
    assert numbers(went["folder"]) == sorted(files), went
    for frame, number in files.items():
        off = difference(one(Path(went["folder"]), frame), one(pictures, number))
        assert off < most, (frame, number, off)
        others = [n for n in range(1, 7) if n != number and one(pictures, n).is_file()]
        nearest = min(
            difference(one(Path(went["folder"]), frame), one(pictures, n)) for n in others
        )
        assert nearest > 5 * most, "another file would not pass"


def test_plates(version: str, desk: Desk) -> None:
    plate = desk.plates(6)
    bytes_ = [
        np.round(np.clip(s.plate, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8) for s in scenes(6)
    ]
    movie = desk.folder / "plate.mkv"
    write_movie(movie, bytes_)
    went = desk.run(
        version, START + PLATES, plate=plate, movie=movie, second=plate.with_name("plate.0002.exr")
    )
    pattern = plate.with_name("plate.####.exr")
    stills = reference(desk.folder / "stills", pattern, 1, 6)
    assert went["same"]["handed"]["plate"][0] == "file"
    same(went["same"], stills, {n: n for n in range(1, 7)})
    assert went["shifted"]["handed"]["plate"][0] == "links"
    same(went["shifted"], stills, {11: 3, 12: 4, 13: 5})
    same(went["cyclic"], stills, {1: 2, 2: 3, 3: 4, 4: 2, 5: 3})
    assert went["still"]["source"] == "FILE"
    same(went["still"], stills, {1: 1})
    assert went["clip"]["handed"]["plate"][0] == "file", "file 2 at frame 2"
    same(went["clip"], stills, {n: n for n in range(2, 7)})
    assert went["clip shifted"]["handed"]["plate"][0] == "links"
    same(went["clip shifted"], stills, {n: n - 7 for n in range(10, 14)})
    # Movies are decoded by Blender, so that the foreground is what its compositor shows.
    for number, pixels in enumerate(bytes_, 1):
        write_image(desk.folder / f"movie.{number:04d}.png", pixels)
    frames = reference(
        desk.folder / "frames", desk.folder / "movie.####.png", 1, 6,
        connect={"colorspace": "srgb_tx"},
    )  # fmt: skip
    same(went["movie"], frames, {n: n for n in range(1, 7)}, 4e-3)
    for name in ("movie", "movie shifted", "clip movie"):
        assert went[name]["handed"]["plate"][0] == "render"
    same(went["movie shifted"], frames, {11: 3, 12: 4, 13: 5, 14: 6}, 4e-3)
    same(went["clip movie"], frames, {n: n for n in range(1, 5)}, 4e-3)


def test_ways(version: str, desk: Desk) -> None:
    plate = desk.plates(6)
    artist = desk.folder / "artist"
    went = desk.run(version, START + WAYS, plate=plate, artist=artist)
    pattern = plate.with_name("plate.####.exr")
    stills = reference(desk.folder / "stills", pattern, 1, 6)
    files = {1: 1, 2: 2, 3: 3}
    for name in ("reroute and mute", "inside a group", "nested"):
        assert went[name]["handed"]["plate"][0] == "file", name
        same(went[name], stills, files)
    doubled = plate_sequence(desk.folder / "doubled", 3, 1, gain=2.0)
    twice = reference(desk.folder / "twice", doubled, 1, 3)
    for name in ("nested graph", "graph"):
        assert went[name]["handed"]["plate"][0] == "render", name
        assert went[name]["range"] == [1, 12], "nobody knows where a graph stops moving"
        assert numbers(went[name]["folder"]) == list(range(1, 13))
        for number in files:
            off = difference(one(Path(went[name]["folder"]), number), one(twice, number))
            assert off < 2 * SAME, name
    assert went["touched"] == []
    assert not went["written"], "an output of the artist's was written"
    assert went["graph again"]["note"] == "nothing to do"
    assert went["graph changed"][0] == "stale"
    assert "2 places" in went["twice"]["error"]
    assert "camera" in went["no camera"]["message"]
    assert went["left"]
    assert went["well again"]["state"][0] == "done"
    assert "Nothing is connected" in went["nothing"]["error"]


def test_hints(version: str, third_desk: Desk) -> None:
    desk = third_desk
    plate, made = desk.plates(3), scenes(3)
    clean, mask = desk.folder / "clean.exr", desk.folder / "mask.png"
    write_image(clean, made[0].background.astype(np.float16))
    write_image(mask, np.round((made[0].alpha > 0.5) * 255).astype(np.uint8), "Y")
    trimap = plate.with_name("trimap.0001.png")
    went = desk.run(
        version, START + HINTS, plate=plate, clean=clean, mask=mask, trimap=trimap
    )  # fmt: skip
    pattern = plate.with_name("plate.####.exr")
    asked = {"trimap": str(trimap.with_name("trimap.####.png"))}
    keyed = reference(desk.folder / "keyed", pattern, 1, 3, "closed-form", connect=asked)
    for name in ("trimap", "trimap as sRGB"):
        assert went[name]["handed"]["trimap"][0] == "render"
        same(went[name], keyed, {1: 1, 2: 2, 3: 3}, 5e-3)
    held = reference(
        desk.folder / "held", pattern, 1, 3, "closed-form", connect={"trimap": str(trimap)}
    )
    assert went["trimap still"]["handed"]["trimap"][2], "one picture serves all frames"
    same(went["trimap still"], held, {1: 1, 2: 2, 3: 3}, 5e-3)
    cut = reference(
        desk.folder / "cut", pattern, 1, 3, connect={"segmentation": str(mask)}
    )  # fmt: skip
    same(went["segmentation"], cut, {1: 1, 2: 2, 3: 3})
    assert went["background"]["handed"]["background"][0] == "file"
    assert went["background graph"]["handed"]["background"][0] == "render"
    assert went["background"]["state"][0] == "done", went["background"]
    for number in (1, 2, 3):
        pair = [one(Path(went[n]["folder"]), number) for n in ("background", "background graph")]
        assert difference(*pair) < SAME, "the clean plate is the same on both ways"
    assert "needs a trimap" in went["lacks"]["error"]
    alpha = read_named(one(Path(went["segmentation"]["folder"]), 1))["alpha.V"]
    assert alpha.max() == pytest.approx(1.0)
