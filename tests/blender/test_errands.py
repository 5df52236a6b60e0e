# SPDX-License-Identifier: Apache-2.0
"""The review page and fine-tuning from the panel: real commands in the Python of the preferences."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.blender import rig
from tests.blender.desk import Desk, desk
from tests.blender.test_routes import one

__all__ = ["desk"]

REVIEW = """
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
source = plate.outputs[0]
if given["graph"]:  # a graph upstream has to be rendered for the page
    flip = tree.nodes.new("CompositorNodeFlip")
    tree.links.new(source, flip.inputs[0])
    source = flip.outputs[0]
node = comp.matte(tree, source)
group, kept, facts = node.node_tree.name, node.node_tree.matte_nodes, {}

def review():
    try:
        return sorted(bpy.ops.matte_nodes.review(group=group)), ""
    except RuntimeError as error:
        return [], str(error)

facts["too early"] = review()[1]
facts["bake"] = comp.bake(node)
facts["ended"], facts["error"] = review()
facts["note"], facts["state"] = kept.note, comp.state(node)
facts["running"] = len(comp.module("work").running)
inside.answer(**facts)
"""


def page_of(folder: Path) -> dict[str, object]:
    """The data of a review page."""
    text = (folder / "review.html").read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', text, re.S)
    facts: dict[str, object] = json.loads(found)
    return facts


def test_the_review_page_of_a_bake_shows_its_plate(version: str, desk: Desk) -> None:
    went = desk.run(version, REVIEW, plate=desk.plates(3), graph=False)
    assert "no bake to look at" in went["too early"]
    assert went["ended"] == ["FINISHED"], went["error"]
    folder = Path(went["bake"]["folder"])
    page = page_of(folder)
    assert page["frames"] == [1, 2, 3]
    assert page["plate"]
    assert "review.html is beside the frames" in went["note"]
    assert went["state"][0] == "done", "a page is no part of a bake"
    assert went["running"] == 0
    assert not list(folder.glob("inputs-*"))


def test_the_review_page_of_a_graph_renders_its_plate(desk: Desk) -> None:
    went = desk.run(rig.QUICK[-1], REVIEW, plate=desk.plates(3), graph=True)
    assert went["ended"] == ["FINISHED"], went["error"]
    folder = Path(went["bake"]["folder"])
    assert page_of(folder)["plate"]
    assert not list(folder.glob("inputs-*"))


TUNE = """
tree = comp.fresh(given["blend"], frames=(1, 3))
plate = comp.image(tree, given["plate"], frames=(3, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
group, kept, facts = node.node_tree.name, node.node_tree.matte_nodes, {}
scene = bpy.context.scene

def tune(**more):
    try:
        return sorted(bpy.ops.matte_nodes.finetune(group=group, **more)), ""
    except RuntimeError as error:
        return [], str(error)

facts["nothing painted"] = tune()[1]
facts["first"] = comp.bake(node)
for frame in (1, 3):
    scene.frame_set(frame)
    bpy.ops.matte_nodes.paint(group=group)
kept.tuned_name = "My Shot"
facts["ended"], facts["error"] = tune(steps=4)
facts["model"], facts["note"] = kept.model, kept.note
facts["menu"] = kept.model_menu
facts["stale"] = comp.state(node)
bpy.ops.matte_nodes.forget_paint(group=group)
facts["second"] = comp.bake(node)
errands = comp.module("errands")
facts["again"] = errands.free_name("My Shot", [kept.model])
inside.answer(**facts)
"""


def test_a_model_is_trained_on_painted_frames_and_chosen(version: str, desk: Desk) -> None:
    went = desk.run(version, TUNE, plate=desk.plates(3))
    assert "no frame to learn from" in went["nothing painted"]
    assert went["ended"] == ["FINISHED"], went["error"]
    assert went["model"] == went["menu"]
    assert re.fullmatch(r"my-shot(-\d+)?", went["model"]), "earlier tests share the home"
    assert "is trained" in went["note"]
    assert went["stale"][0] == "stale"
    assert went["second"]["state"][0] == "done", went["second"]
    frame = one(Path(went["second"]["folder"]), 2)
    assert went["model"].encode() in frame.read_bytes()[:65536], "its name is in the metadata"
    assert went["again"] != went["model"]
