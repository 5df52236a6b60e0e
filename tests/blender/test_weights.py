# SPDX-License-Identifier: Apache-2.0
"""Weights from the preferences: marked where they lack, fetched after their terms were accepted."""

from __future__ import annotations

from pathlib import Path

from tests.blender.desk import Desk, other_python, third_desk
from tests.blender.models.heavy_matte import DATA, FILE

__all__ = ["other_python", "third_desk"]

PULL = """
tree = comp.fresh(given["blend"], frames=(1, 1))
plate = comp.image(tree, given["plate"], "FILE")
node = comp.matte(tree, plate.outputs[0], model="heavy")
settings, kept = comp.module("settings"), node.node_tree.matte_nodes

def title():
    items = settings._models(kept, bpy.context)
    return next(item[1] for item in items if item[0] == "heavy")

def pull(**arguments):
    try:
        return sorted(bpy.ops.matte_nodes.pull(model="heavy", **arguments))[0], ""
    except RuntimeError as error:
        return "RAISED", str(error)

bpy.ops.matte_nodes.check_environment()
facts = {"before": title(), "bake before": comp.bake(node)["error"]}
facts["refused"] = pull()
facts["failed"] = pull(accept=True)
os.environ["MATTE_WEIGHTS_PATH"] = given["shelf"]
facts["fetched"] = pull(accept=True)
facts["said"] = comp.module("weights_operators").state["said"]
facts["after"] = title()
facts["bake"] = comp.bake(node)
inside.answer(**facts)
"""


def test_weights_are_fetched_after_their_terms_were_accepted(
    version: str, third_desk: Desk, tmp_path: Path
) -> None:
    desk, shelf = third_desk, tmp_path / "shelf"
    shelf.mkdir()
    (shelf / FILE).write_bytes(DATA)
    for place in desk.service_home.rglob(FILE):
        place.unlink()  # another Blender has fetched it
    went = desk.run(version, PULL, plate=desk.plates(1), shelf=shelf)
    assert went["before"] == "heavy (no weights)"
    assert FILE in went["bake before"]
    assert went["refused"][0] == "RAISED"
    assert "For tests alone" in went["refused"][1], "its licence is shown"
    assert "Nothing was fetched" in went["refused"][1]
    assert went["failed"][0] == "RAISED"
    assert "could not be downloaded" in went["failed"][1]
    assert went["fetched"] == ["FINISHED", ""]
    assert "the weights are here" in went["said"]
    assert went["after"] == "heavy"
    assert went["bake"]["state"][0] == "done", went["bake"]
