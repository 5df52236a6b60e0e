# SPDX-License-Identifier: Apache-2.0
"""The node itself: added, baked, composited like numpy, saved, rendered without the add-on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from tests.blender import rig
from tests.blender.desk import Desk, composite, desk, difference, reference, rgb
from tests.conftest import needs_weights
from tests.made import read_named

__all__ = ["desk"]
COLOUR = (0.1, 0.7, 0.3)
VERSIONS = [
    pytest.param(v, marks=() if v in rig.QUICK else pytest.mark.slow) for v in rig.ALL
]  # fmt: skip

MAKE = """
tree = comp.fresh(given["blend"], frames=(1, 100))
plate = comp.image(tree, given["plate"], frames=(4, 1, 0, False))
node = comp.matte(tree, plate.outputs["Image"])
facts = {
    "inputs": [s.name for s in node.inputs], "outputs": [s.name for s in node.outputs],
    "kind": node.bl_idname, "before": comp.state(node),
}
bake = comp.bake(node)
again = comp.bake(node)
comp.finish(tree, comp.over(tree, node.outputs["Image"], given["colour"]))
for frame in (1, 4, 9):
    comp.render(frame, os.path.join(given["out"], f"with.{frame}.exr"))
bpy.ops.wm.save_mainfile()
inside.answer(**facts, bake=bake, again=again)
"""

WITHOUT = """
bpy.ops.wm.open_mainfile(filepath=given["blend"])
assert not hasattr(bpy.types.NodeTree, "matte_nodes")
for frame in (1, 4):
    comp.render(frame, os.path.join(given["out"], f"without.{frame}.exr"))
bpy.ops.wm.save_mainfile()
"""

BACK = """
bpy.ops.wm.open_mainfile(filepath=given["blend"])
node = comp.tree_of(bpy.context.scene).nodes["Matte"]
kept = node.node_tree.matte_nodes
for frame in (1, 2):
    comp.render(frame, os.path.join(given["out"], f"back.{frame}.exr"))
inside.answer(
    model=kept.model, values=kept.values, state=comp.state(node), is_matte=kept.is_matte,
    level=node.node_tree.matte_knobs.model_green_screen__screen_level,
)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_add_bake_composite_save_render_without_the_add_on_and_one_value_changed(
    version: str, desk: Desk
) -> None:
    plate, out = desk.plates(), desk.folder / "out"
    out.mkdir()
    told = {"plate": plate, "out": out, "colour": COLOUR}
    made = desk.run(version, MAKE, **told)
    assert made["kind"] == "CompositorNodeGroup"
    assert made["inputs"] == ["Image", "Trimap", "Background", "Segmentation"]
    assert made["outputs"] == ["Image", "Alpha"]
    assert made["before"][0] == "none"
    assert made["bake"]["ended"] == ["FINISHED"]
    assert made["bake"]["note"] == "4 frames matted now"
    assert made["bake"]["state"] == ["done", "baked (4 frames)", False]
    assert made["again"]["note"] == "nothing to do", "a second bake computes nothing"
    bakes = Path(made["bake"]["folder"])
    assert bakes.is_relative_to(desk.blend.parent / "matte")
    direct = reference(desk.folder / "reference", plate.with_name("plate.####.exr"), 1, 4)
    for frame in range(1, 5):
        name = f"matte.{frame:04d}.exr"
        # Two configs that say the same of linear Rec.709 and sRGB: some halves round otherwise.
        assert difference(bakes / name, direct / name) < 2e-3
    for frame in (1, 4):
        expected = composite(bakes / f"matte.{frame:04d}.exr", COLOUR)
        np.testing.assert_allclose(rgb(out / f"with.{frame}.exr"), expected, rtol=0, atol=1e-5)
        alpha = read_named(bakes / f"matte.{frame:04d}.exr")["alpha.V"]
        assert ((alpha > 0.01) & (alpha < 0.99)).any(), "a soft edge is in the picture"
    assert np.array_equal(rgb(out / "with.9.exr"), rgb(out / "with.4.exr")), "the end is held"

    desk.run(version, WITHOUT, with_addon=False, **told)
    for frame in (1, 4):
        same = rgb(out / f"with.{frame}.exr"), rgb(out / f"without.{frame}.exr")
        assert np.array_equal(*same)

    spoilt = composite(bakes / "matte.0002.exr", COLOUR)
    spoil(bakes / "matte.0002.exr", row=36, column=48, by=0.05)
    back = desk.run(version, BACK, **told)
    assert (back["model"], back["is_matte"]) == ("green-screen", True)
    assert back["level"] == pytest.approx(0.25)
    assert back["state"] == ["done", "baked (4 frames)", False]
    assert np.array_equal(rgb(out / "with.1.exr"), rgb(out / "back.1.exr"))
    # The comparison with numpy would not hide a wrong pixel.
    wrong = np.abs(rgb(out / "back.2.exr") - spoilt).max(-1) > 1e-5
    assert np.argwhere(wrong).tolist() == [[36, 48]], "one value was changed"


def spoil(path: Path, row: int, column: int, by: float) -> None:
    """Change the alpha of one pixel of a bake; its key stays in its header."""
    source = oiio.ImageInput.open(str(path))
    spec, pixels = source.spec(), source.read_image("float")
    source.close()
    place = list(spec.channelnames).index("alpha.V")
    pixels[row, column, place] += by if pixels[row, column, place] < 0.5 else -by
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(pixels.astype(np.float16)), output.geterror()
    output.close()


REAL = """
tree = comp.fresh(given["blend"], size=(256, 192), frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
node = comp.matte(tree, plate.outputs["Image"], model="rvm")
bake = comp.bake(node)
comp.finish(tree, comp.over(tree, node.outputs["Image"], given["colour"]))
comp.render(3, given["out"])
inside.answer(bake=bake, again=comp.bake(node))
"""


@needs_weights("rvm")
def test_a_network_with_a_memory(desk: Desk) -> None:
    """Robust video matting with its real weights, from the panel to the composite."""
    plate = desk.plates(3, size=(192, 256))
    out = desk.folder / "out.exr"
    made = desk.run("5.0", REAL, plate=plate, out=out, colour=COLOUR)
    assert made["bake"]["state"][0] == "done", made
    assert made["again"]["note"] == "nothing to do"
    direct = reference(desk.folder / "ref", plate.with_name("plate.####.exr"), 1, 3, "rvm")
    bake = Path(made["bake"]["folder"]) / "matte.0003.exr"
    assert difference(bake, direct / "matte.0003.exr") <= 1e-3
    np.testing.assert_allclose(rgb(out), composite(bake, COLOUR), rtol=0, atol=1e-5)
