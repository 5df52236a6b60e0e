# SPDX-License-Identifier: Apache-2.0
"""Our Cryptomatte files in Blender's Cryptomatte node: an object is picked by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

from matte_nodes import MatteNode
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from tests.blender import rig
from tests.blender.conftest import needs
from tests.select.scenes import BLUE, RED, Thing, clip

SCRIPT = """
import sys

import bpy, comp, inside

source, target, name, width, height = sys.argv[1:]
tree = comp.fresh(size=(int(width), int(height)), frames=(1, 1))
node = tree.nodes.new("CompositorNodeCryptomatteV2")
node.source = "IMAGE"
node.image = bpy.data.images.load(source)
node.image.size[:]  # Blender 3.4 reads the file only when something of it is asked for
node.matte_id = name
comp.finish(tree, node.outputs["Matte"])
comp.render(1, target)
inside.answer(layer=node.layer_name)
"""


def written(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A Cryptomatte file of two things that touch, and what it must hold."""
    one, two = Thing(5, RED, (60, 55), (0, 0), (16, 20)), Thing(6, BLUE, (92, 55), (0, 0), (16, 20))
    picture = clip([one, two], 1)[0][0]
    assert cv2.imwrite(str(folder / "p.0001.png"), picture[..., ::-1])
    points = {"left": {1: [one.at(0)]}, "right-hand": {1: [two.at(0)]}}
    source = str(folder / "p.####.png")
    render = Render(
        source, str(folder / "m.####.exr"), "click", layout="cryptomatte", knobs={},
        node={"device": "cpu"}, connect={"points": points},
    )  # fmt: skip
    render.run(None, None, Quiet())
    expected = MatteNode("click", device="cpu").connect(source, points=points).at(1).extras
    return folder / "m.0001.exr", dict(expected)


def test_blender_picks_each_object_by_its_name(home: Path, tmp_path: Path) -> None:
    needs(version := "3.4")
    path, expected = written(tmp_path)
    for name in ("left", "right-hand"):
        share = expected[f"alpha.{name}"]
        height, width = share.shape
        target = tmp_path / f"{name}.exr"
        ran = rig.run(version, SCRIPT, path, target, name, width, height, home=home)
        assert ran.good()["layer"] == "CryptoObject"
        found = oiio.ImageBuf(str(target)).get_pixels(oiio.FLOAT)[..., 0]
        assert np.abs(found - share).max() < 1e-5, name
        assert share.max() == 1, "the test has something to find"
