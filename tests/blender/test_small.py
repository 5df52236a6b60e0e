# SPDX-License-Identifier: Apache-2.0
"""Small things that mislead: states, sliders, menus, ranges, paths. One Blender answers for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.blender.desk import Desk, desk

__all__ = ["desk"]

SMALL = """
import types
package = "matte_nodes_blender"
tree = comp.fresh(given["blend"], frames=(1, 6))
plate = comp.image(tree, given["plate"], frames=(6, 1, 0, False))
node = comp.matte(tree, plate.outputs[0], model="closed-form")
kept, facts, scene = node.node_tree.matte_nodes, {}, bpy.context.scene
facts["sliders"] = [s.name for s in node.inputs if not s.hide_value]
facts["menus"] = sorted(
    name for name in dir(bpy.types) if name.startswith("NODE_MT")
    for call in getattr(getattr(bpy.types, name).draw, "_draw_funcs", ())
    if call.__module__.startswith(package)
)
rna = kept.bl_rna.properties["bake_dir"]
facts["relative"] = getattr(rna, "is_path_supports_blend_relative", True)
settings = comp.module("settings")
facts["range"] = settings.range_of(kept, scene)
kept.range_mode = "PREVIEW"
facts["no preview"] = settings.range_of(kept, scene)
scene.use_preview_range = True
scene.frame_preview_start, scene.frame_preview_end = 2, 3
facts["preview"] = settings.range_of(kept, scene)
kept.range_mode = "SCENE"
scene.use_preview_range = False
# Blender's own path of the preferences, relative to the file.
addon = comp.module("addon")
link = os.path.join(os.path.dirname(given["blend"]), "python")
os.symlink(addon.chosen().python, link)
chosen = os.environ.pop("MATTE_PYTHON")  # it would overrule the preferences
facts["python"] = [addon.named("//python", "").python, link]
os.environ["MATTE_PYTHON"] = chosen
# auto says what it takes for what is connected.
panel = comp.module("panel")
declared = settings.of_group(node.node_tree)
facts["auto"] = [declared.foreseen(panel.given(node.node_tree, node))]
mask = comp.image(tree, given["trimap"], frames=(6, 1, 0, False))
tree.links.new(mask.outputs[0], node.inputs["Trimap"])
facts["auto"].append(declared.foreseen(panel.given(node.node_tree, node)))
scene.frame_end = 3
facts["bake"] = comp.bake(node)
# What is lacking is said, whatever was baked.
tree.links.remove(node.inputs["Trimap"].links[0])
facts["no trimap"] = comp.state(node)
tree.links.new(mask.outputs[0], node.inputs["Trimap"])
tree.links.remove(node.inputs["Image"].links[0])
facts["no plate"] = comp.state(node)
tree.links.new(plate.outputs[0], node.inputs["Image"])
facts["both"] = comp.state(node)
# A copy that was broken off, and one that a full disk ended at the first byte.
files = sorted(f for f in os.listdir(facts["bake"]["folder"]) if f.endswith(".exr"))
for number, part in ((0, 0.9), (1, 0.0)):
    path = os.path.join(facts["bake"]["folder"], files[number])
    data = open(path, "rb").read()
    with open(path, "wb") as file:
        file.write(data[: int(len(data) * part)])
facts["short"] = comp.state(node)
facts["mended"] = comp.bake(node)
inside.answer(**facts)
"""
_answers: dict[str, dict[str, Any]] = {}


@pytest.fixture
def small(version: str, desk: Desk) -> dict[str, Any]:
    """What a Blender of each version said, once."""
    if version not in _answers:
        plate = desk.plates(6)
        trimap = Path(str(plate).replace("plate.", "trimap.")).with_suffix(".png")
        _answers[version] = desk.run(version, SMALL, plate=plate, trimap=trimap)
    return _answers[version]


def test_inputs_without_a_link_show_no_slider(small: dict[str, Any]) -> None:
    assert small["sliders"] == []


def test_there_is_one_entry_in_the_add_menu(small: dict[str, Any]) -> None:
    assert small["menus"] == ["NODE_MT_add"]


def test_blender_is_told_that_the_bake_folder_may_be_relative(small: dict[str, Any]) -> None:
    assert small["relative"]


def test_a_python_of_the_preferences_may_be_relative(small: dict[str, Any]) -> None:
    assert small["python"][0] == small["python"][1]


def test_the_preview_range_is_a_choice(small: dict[str, Any]) -> None:
    assert small["range"] == small["no preview"] == [1, 6]
    assert small["preview"] == [2, 3]


def test_auto_says_what_it_takes_for_what_is_connected(small: dict[str, Any]) -> None:
    without, with_trimap = small["auto"]
    assert without
    assert with_trimap
    assert without != with_trimap


def test_a_lacking_plate_or_trimap_is_said_after_a_bake(small: dict[str, Any]) -> None:
    assert small["bake"]["state"][0] == "done", small["bake"]
    assert "needs a trimap" in small["no trimap"][1]
    assert "Nothing is connected to the input Image" in small["no plate"][1]
    assert small["both"][0] == "done"


def test_a_file_that_was_cut_short_is_no_frame_of_a_bake(small: dict[str, Any]) -> None:
    assert small["short"][0] == "stale"
    assert "frames 1, 2 are damaged" in small["short"][1]
    assert small["mended"]["note"] == "2 frames matted now"
    assert small["mended"]["state"][0] == "done"
