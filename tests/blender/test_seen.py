# SPDX-License-Identifier: Apache-2.0
"""Plates and hints as the compositor sees them: alpha, premultiplied files, movies, other sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.blender.desk import Desk, desk
from tests.blender.test_routes import one
from tests.made import read_named, scenes, write_image

__all__ = ["desk"]

ALPHA = """
tree = comp.fresh(given["blend"], frames=(1, 1))
facts, out = {}, given["out"]
plate = comp.image(tree, given["plate"], "FILE", space=given["space"])
plate.image.alpha_mode = given["mode"]
node = comp.matte(tree, plate.outputs[0])
comp.finish(tree, plate.outputs["Image"])
comp.render(1, out + "-plate.exr")
facts["bake"] = comp.bake(node)
comp.finish(tree, comp.over(tree, node.outputs["Image"], (1.0, 0.0, 0.0)))
comp.render(1, out + "-over.exr")
comp.finish(tree, node.outputs["Alpha"])
comp.render(1, out + "-alpha.exr")
kept = node.node_tree.matte_nodes
kept.plate_alpha = "IGNORE"
facts["ignored"] = comp.state(node)
comp.render(1, out + "-ignored.exr")
kept.plate_alpha = "AUTO"
comp.render(1, out + "-again.exr")
facts["nodes"] = sorted(n.name for n in node.node_tree.nodes)
inside.answer(**facts)
"""


def planes(path: str) -> NDArray[np.float32]:
    """(H, W, 4): what Blender rendered."""
    found = read_named(Path(path))
    return np.stack([found[c] for c in "RGBA"], -1)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("straight.png", "STRAIGHT"), ("deep.png", "STRAIGHT"), ("premultiplied.tif", "PREMUL"), ("premultiplied.exr", "PREMUL")],
)  # fmt: skip
def test_the_alpha_of_a_plate_is_multiplied_in(
    version: str, desk: Desk, name: str, mode: str
) -> None:
    """Over red: no dark fringe where the plate is half there."""
    made = scenes(1)[0]
    height, width = made.alpha.shape
    cover = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))[..., None]
    rgba = np.concatenate([np.clip(made.plate, 0, 1), cover], -1)
    if mode == "PREMUL":
        rgba[..., :3] *= cover
    path = desk.folder / name
    kind = {".exr": np.float16, ".tif": np.uint16}.get(path.suffix, np.uint8)
    kind = np.uint16 if name == "deep.png" else kind
    scale = 1 if kind is np.float16 else np.iinfo(kind).max  # type: ignore[type-var]
    write_image(path, (rgba * scale + (0 if kind is np.float16 else 0.5)).astype(kind), "RGBA")
    space = "" if path.suffix == ".exr" else "sRGB"
    out = desk.folder / "out"
    went = desk.run(version, ALPHA, plate=path, mode=mode, space=space, out=out)
    assert went["bake"]["state"][0] == "done", went["bake"]
    baked = read_named(one(Path(went["bake"]["folder"]), 1))
    matte = baked["alpha.V"]
    foreground = np.stack([baked[f"foreground.{c}"] for c in "RGB"], -1)
    plate = planes(f"{out}-plate.exr")
    seen, its_alpha = plate[..., :3], plate[..., 3]
    assert 0.4 < its_alpha.mean() < 0.6, "Blender shows the plate's alpha"
    full = matte == 1.0
    assert full.any()
    assert np.abs(foreground - seen)[full].max() < 2e-3, "the plate is what the compositor shows"
    red = np.asarray((1.0, 0.0, 0.0), np.float32)
    both = (matte * its_alpha)[..., None]
    right = foreground * matte[..., None] + red * (1 - both)
    assert np.abs(planes(f"{out}-over.exr")[..., :3] - right).max() < 2e-3
    shown = planes(f"{out}-alpha.exr")[..., 0]
    assert np.abs(shown - both[..., 0]).max() < 2e-3
    assert went["ignored"][0] == "done", "no file of the bake changes"
    assert np.abs(planes(f"{out}-ignored.exr")[..., 0] - matte).max() < 1e-5
    assert np.array_equal(planes(f"{out}-again.exr"), planes(f"{out}-alpha.exr"))


OPAQUE = """
tree = comp.fresh(given["blend"], frames=(1, 1))
plate = comp.image(tree, given["plate"], "FILE")
node = comp.matte(tree, plate.outputs[0])
bake = comp.bake(node)
inside.answer(bake=bake, nodes=sorted(n.name for n in node.node_tree.nodes))
"""


def test_a_plate_without_alpha_is_not_needed_at_render(version: str, desk: Desk) -> None:
    went = desk.run(version, OPAQUE, plate=desk.plates(1))
    assert went["bake"]["state"][0] == "done"
    assert went["nodes"] == ["matte_bake", "matte_inputs", "matte_outputs", "matte_set_alpha"]


SIZES = """
tree = comp.fresh(given["blend"], size=(50, 40), frames=(1, 2))
plate = comp.image(tree, given["plate"], frames=(2, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
node.node_tree.matte_knobs.shared__segmentation_margin = 2.0
mask = bpy.data.masks.new("Rough")
made = mask.layers.new(name="L").splines.new()
made.points.add(3)
for point, place in zip(made.points, ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))):
    point.co = point.handle_left = point.handle_right = place
made.use_cyclic = True
shape = tree.nodes.new("CompositorNodeMask")
shape.mask = mask
tree.links.new(shape.outputs[0], node.inputs["Segmentation"])
facts = {"file": comp.bake(node)}
# The plate is a graph, whose size is not the scene's either.
up = tree.nodes.new("CompositorNodeExposure")
tree.links.new(plate.outputs[0], up.inputs[0])
tree.links.new(up.outputs[0], node.inputs["Image"])
facts["graph"] = comp.bake(node)
# A picture of another size cannot be guessed at.
small = comp.image(tree, given["small"], "FILE", space="Non-Color")
tree.links.new(small.outputs[0], node.inputs["Segmentation"])
facts["small"] = comp.bake(node)["error"]
inside.answer(**facts)
"""


def test_a_mask_is_rendered_at_the_plate_s_size(version: str, desk: Desk) -> None:
    small = desk.folder / "small.png"
    write_image(small, np.full((36, 48), 255, np.uint8), "Y")
    went = desk.run(version, SIZES, plate=desk.plates(2), small=small)
    for name in ("file", "graph"):
        assert went[name]["state"][0] == "done", went[name]
        alpha = read_named(one(Path(went[name]["folder"]), 1))["alpha.V"]
        assert alpha.shape == (72, 96)
        assert alpha[:, 60:].max() == 0.0, "right of the mask there is nothing"
        assert alpha[:, :44].max() == 1.0
    assert "is 48 x 36, the plate is 96 x 72" in went["small"]
    assert "Scale" in went["small"]
