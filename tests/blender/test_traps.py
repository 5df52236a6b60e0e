# SPDX-License-Identifier: Apache-2.0
"""Colour and premultiplication: the traps between Blender's compositor and a matte."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.blender.desk import Desk, composite, desk, rgb
from tests.made import read_named, scenes, write_image, write_movie

__all__ = ["desk"]

SACRED = """
tree = comp.fresh(given["blend"], frames=(1, 1))
facts = {}
for name, (path, source, space) in given["plates"].items():
    if space == "linear":
        space = comp.linear()
    plate = comp.image(tree, path, source, (1, 1, 0, False) if source != "FILE" else None, space)
    size = bpy.context.scene.render
    size.resolution_x, size.resolution_y = plate.image.size
    node = comp.matte(tree, plate.outputs["Image"])
    comp.finish(tree, node.outputs["Image"])
    comp.render(1, os.path.join(given["out"], name + ".unbaked.exr"))
    comp.finish(tree, node.outputs["Alpha"])
    comp.render(1, os.path.join(given["out"], name + ".ones.exr"))
    facts[name] = comp.bake(node)
    facts[name]["how"] = comp.module("baking").planned(
        node.node_tree, bpy.context.scene)[0].handed()["plate"].how
    comp.finish(tree, node.outputs["Image"])
    comp.render(1, os.path.join(given["out"], name + ".matte.exr"))
    comp.finish(tree, node.outputs["Alpha"])
    comp.render(1, os.path.join(given["out"], name + ".alpha.exr"))
    comp.finish(tree, plate.outputs["Image"])
    comp.render(1, os.path.join(given["out"], name + ".plate.exr"))
facts["view"] = bpy.context.scene.view_settings.view_transform
inside.answer(**facts)
"""


def test_the_plate_is_sacred(version: str, desk: Desk) -> None:
    """Where alpha is 1 the node shows the plate as Blender itself shows it, from any file."""
    made, out = scenes(1)[0], desk.folder / "out"
    out.mkdir()
    files = {name: desk.folder / name for name in
             ("linear.exr", "srgb.png", "deep.png", "photo.jpg", "straight.png", "movie.mkv",
              "subsampled.mp4")}  # fmt: skip
    bright = made.plate * 1.6
    write_image(files["linear.exr"], bright.astype(np.float16))
    codes = np.round(np.clip(made.plate, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    write_image(files["srgb.png"], codes)
    write_image(files["photo.jpg"], codes, CompressionQuality=95)
    write_image(files["deep.png"], codes.astype(np.uint16) * 257)
    cover = np.full((*codes.shape[:2], 1), 255, np.uint8)
    cover[:, :8] = 100
    write_image(files["straight.png"], np.concatenate([codes, cover], -1), "RGBA")
    write_movie(files["movie.mkv"], [codes])
    large = np.repeat(np.repeat(codes, 2, 0), 2, 1)
    write_movie(files["subsampled.mp4"], [large], codec="mpeg4", pix_fmt="yuv420p")
    plates = {
        "linear": [files["linear.exr"], "FILE", "linear"],
        "srgb": [files["srgb.png"], "FILE", "sRGB"],
        # The same file, called linear by the artist: other light, another matte.
        "misnamed": [files["srgb.png"], "FILE", "linear"],
        "deep": [files["deep.png"], "FILE", "sRGB"],
        "photo": [files["photo.jpg"], "FILE", "sRGB"],
        "straight": [files["straight.png"], "FILE", "sRGB"],
        "movie": [files["movie.mkv"], "MOVIE", "sRGB"],
        # Two decoders do not agree on its colours.
        "subsampled": [files["subsampled.mp4"], "MOVIE", "sRGB"],
    }
    went = desk.run(
        version, SACRED, plates={n: [str(p[0]), *p[1:]] for n, p in plates.items()}, out=out
    )
    assert went["view"] in ("AgX", "Filmic"), "the factory's view transform touches no pixel"
    for name in plates:
        assert went[name]["state"][0] == "done", (name, went[name])
        plate, matte = rgb(out / f"{name}.plate.exr"), rgb(out / f"{name}.matte.exr")
        assert np.array_equal(rgb(out / f"{name}.unbaked.exr"), plate), "passes through"
        assert (rgb(out / f"{name}.ones.exr") == 1).all()
        bake = Path(went[name]["folder"]) / "matte.0001.exr"
        alpha = read_named(bake)["alpha.V"]
        shown = rgb(out / f"{name}.alpha.exr")[..., 0]
        # The plate's own alpha is multiplied in where it has one.
        own = read_named(out / f"{name}.plate.exr")["A"] if name == "straight" else 1.0
        right = alpha * own
        np.testing.assert_allclose(shown, right, rtol=0, atol=1e-6, err_msg="no curve on alpha")
        solid = alpha == 1
        assert solid.sum() > 50, name
        # A half has 11 bits; a JPEG may be decoded by another library.
        near = 2e-2 if name == "photo" else 1.5e-3
        np.testing.assert_allclose(matte[solid], plate[solid], rtol=near, atol=1e-4, err_msg=name)
        assert np.abs(matte[alpha == 0]).max(initial=0) == 0, "premultiplied: nothing outside"
    assert rgb(out / "linear.matte.exr").max() > 1, "light above 1 survives"
    assert went["straight"]["how"] == "render", "Blender multiplies that alpha in"
    assert went["srgb"]["how"] == "file"
    assert went["movie"]["how"] == went["subsampled"]["how"] == "render"
    off = np.abs(rgb(out / "misnamed.plate.exr") - rgb(out / "srgb.plate.exr")).max()
    assert off > 0.1


TRAPS = """
tree = comp.fresh(given["blend"], frames=(1, 1))
plate = comp.image(tree, given["plate"], "FILE", None, comp.linear())
node = comp.matte(tree, plate.outputs[0])
facts = {"bake": comp.bake(node)}
comp.finish(tree, comp.over(tree, node.outputs["Image"], given["colour"]))

def render(name):
    comp.render(1, os.path.join(given["out"], name + ".exr"))

render("right")
group = node.node_tree
alpha = group.nodes["matte_set_alpha"]
facts["kind"] = alpha.mode if hasattr(alpha, "mode") else alpha.inputs["Type"].default_value
if hasattr(alpha, "mode"):
    alpha.mode = "REPLACE_ALPHA"
else:
    alpha.inputs["Type"].default_value = "Replace Alpha"
render("replaced")
bpy.ops.matte_nodes.repair(group=group.name)
render("mended")
bpy.context.scene.view_settings.view_transform = "Standard"
bpy.context.scene.view_settings.exposure = 2.0
render("other view")
inside.answer(**facts)
"""


def test_premultiplication(version: str, desk: Desk) -> None:
    plate, out, colour = desk.plates(1), desk.folder / "out", (0.9, 0.2, 0.05)
    out.mkdir()
    went = desk.run(version, TRAPS, plate=plate, out=out, colour=colour)
    assert went["kind"] in ("APPLY", "Apply Mask")
    expected = composite(Path(went["bake"]["folder"]) / "matte.0001.exr", colour)
    for name in ("right", "mended", "other view"):
        np.testing.assert_allclose(rgb(out / f"{name}.exr"), expected, rtol=0, atol=1e-5)
    wrong = np.abs(rgb(out / "replaced.exr") - expected).max()
    assert wrong > 0.1, "Alpha Over wants premultiplied pictures; this test would see it"
