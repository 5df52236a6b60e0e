# SPDX-License-Identifier: Apache-2.0
"""Bakes: nothing twice, one frame, killed and resumed, and everything that goes wrong said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np

from matte_nodes.service.client import Client
from tests.blender import rig
from tests.blender.conftest import needs
from tests.blender.desk import HEAD, Desk, desk, other_python, third_desk
from tests.blender.test_routes import numbers
from tests.made import write_image
from tests.service.serving import hurry, wait_for

__all__ = ["desk", "other_python", "third_desk"]

TWICE = """
tree = comp.fresh(given["blend"], frames=(1, 250))
plate = comp.image(tree, given["plate"], frames=(4, 1, 0, False))
node = comp.matte(tree, plate.outputs[0])
facts = {"one": comp.bake(node, frame=True)}
facts["first"] = comp.bake(node)
knobs = node.node_tree.matte_knobs
knobs.shared__feather = 2.0
facts["changed"] = comp.state(node)
facts["second"] = comp.bake(node)
knobs.shared__feather = 0.0
facts["back"] = comp.bake(node)
facts["frame again"] = comp.bake(node, frame=True)
# A longer plate: only what is new is matted.
plate.frame_duration = 6
facts["longer"] = comp.state(node)
facts["third"] = comp.bake(node)
# The plate's frame 2 is rendered anew.
os.replace(given["other"], given["plate"].replace("0001", "0002"))
facts["new plate"] = comp.state(node)
facts["fourth"] = comp.bake(node)
# Frames of the bake are lost: said, also when it is rendered.
for number in (2, 3):
    os.unlink(os.path.join(facts["fourth"]["folder"], f"matte.{number:04d}.exr"))
facts["lost"] = comp.state(node)
comp.finish(tree, node.outputs["Image"])
print("RENDERS", flush=True)
comp.render(1, given["out"])
print("RENDERED", flush=True)
facts["fifth"] = comp.bake(node)
# Shown no more, and again.
bpy.ops.matte_nodes.clear_bake(group="Matte")
facts["cleared"] = comp.state(node)
bpy.ops.matte_nodes.relink(group="Matte")
facts["relinked"] = comp.state(node)
inside.answer(**facts)
"""


def test_nothing_is_done_twice(version: str, desk: Desk) -> None:
    plate = desk.plates(7)
    other = desk.folder / "other.exr"
    plate.with_name("plate.0007.exr").rename(other)
    ran = desk.ran(version, TWICE, plate=plate, other=other, out=desk.folder / "out.exr")
    went = ran.good()
    notes = {name: went[name]["note"] for name in went if isinstance(went[name], dict)}
    assert went["one"]["state"][1] == "baked 1 of 4 frames"
    assert notes["one"] == "1 frames matted now"
    assert notes["first"] == "3 frames matted now"
    assert went["changed"][0] == "stale"
    assert notes["second"] == "4 frames matted now"
    assert notes["back"] == notes["frame again"] == "nothing to do"
    assert went["back"]["folder"] == went["first"]["folder"] != went["second"]["folder"]
    assert went["frame again"]["state"][0] == "done"
    assert went["longer"][:2] == ["partial", "baked 4 of 6 frames"]
    assert notes["third"] == "2 frames matted now"
    assert went["third"]["state"][1] == "baked (6 frames)"
    assert went["new plate"][1] == "stale: the plate changed since the bake"
    assert notes["fourth"] == "1 frames matted now"
    assert went["fourth"]["state"][0] == "done"
    assert went["lost"][1] == "baked 4 of 6 frames"
    assert notes["fifth"] == "2 frames matted now"
    said = ran.text.split("RENDERS")[1].split("RENDERED")[0]
    assert "Matte node Matte: baked 4 of 6 frames. The render is not right." in said
    assert went["cleared"][0] == "none"
    assert went["relinked"][0] == "done"


SLOW = """
tree = comp.fresh(given["blend"], frames=(1, 8))
plate = comp.image(tree, given["plate"], frames=(8, 1, 0, False))
node = comp.matte(tree, plate.outputs[0], model="slow")
node.node_tree.matte_knobs.model_slow__seconds = given["step"]
bpy.ops.wm.save_mainfile()
inside.answer(bake=comp.bake(node))
"""


def test_killed_in_mid_bake_the_next_bake_resumes(third_desk: Desk) -> None:
    """Blender and the service are killed; what lies on disk is not matted again."""
    needs("5.0")
    desk, version = third_desk, "5.0"
    hurry(desk.service_home, False)
    plate = desk.plates(8)
    home, script = desk.folder / "killed", desk.folder / "slow.py"
    home.mkdir()
    told = {
        "addon": str(desk.addon), "blend": str(desk.blend), "plate": str(plate), "step": 0.6,
    }  # fmt: skip
    script.write_text(HEAD + SLOW)
    process = subprocess.Popen(
        rig.command(version, script, json.dumps(told)), cwd=home, start_new_session=True,
        env=rig.environment(
            home, MATTE_HOME=str(desk.service_home), MATTE_PYTHON=desk.python,
            MATTE_TEST_ANSWER=str(home / "answer.json"),
        ),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    client = Client(home=str(desk.service_home))
    try:
        wait_for(lambda: len(list(desk.blend.parent.rglob("matte.*.exr"))) >= 2, 60)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    hello = client.hello()
    assert hello is not None
    os.kill(hello["pid"], signal.SIGKILL)
    wait_for(lambda: client.hello() is None)
    there = len(list(desk.blend.parent.rglob("matte.*.exr")))
    assert 2 <= there < 8
    hurry(desk.service_home)
    went = desk.run(version, SLOW, plate=plate, step=0.6)["bake"]
    assert went["state"][1] == "baked (8 frames)"
    assert went["note"] == f"{8 - there} frames matted now"
    assert not list(Path(went["folder"]).glob("inputs-*")), "what was killed is tidied up"


LIVE = """
import time
tree = comp.fresh(given["blend"], frames=(1, 8))
plate = comp.image(tree, given["plate"], frames=(8, 1, 0, False))
node = comp.matte(tree, plate.outputs[0], model="slow")
node.node_tree.matte_knobs.model_slow__seconds = 0.4
group = node.node_tree
bake = comp.module("baking").Bake(group, bpy.context.scene)
states, linked = [], None
while not bake.ended:
    bake.step(0.05)
    states.append(comp.state(node)[1])
    if bake.computed >= 2 and linked is None:
        linked = comp.module("group").linked_folder(group)
        try:
            comp.bake(node)
        finally:
            pass
        again = group.matte_nodes.message
        bpy.ops.matte_nodes.cancel(group=group.name)
inside.answer(states=states, linked=linked, after=comp.state(node), note=group.matte_nodes.note,
              again=again)
"""


def test_cancelled_frames_stay_and_are_shown_as_they_come(third_desk: Desk) -> None:
    desk = third_desk
    hurry(desk.service_home, False)
    went = desk.run("3.4", LIVE, plate=desk.plates(8))
    assert "baking: 2 of 8" in went["states"]
    assert went["linked"].startswith(str(desk.blend.parent)), "shown while it goes on"
    there = numbers(went["linked"])
    assert 2 <= len(there) < 8
    assert went["after"][0] == "partial"
    # The frame that was being written when the job was stopped comes a moment later.
    late = [f"baked {count} of 8 frames" for count in (len(there) - 1, len(there))]
    assert went["after"][1] in late
    assert went["note"].startswith("cancelled")
    assert "is busy (baking)" in went["again"]


BAD = """
facts = {}
tree = comp.fresh("", frames=(1, 4))
plate = lambda: comp.image(tree, given["plate"], frames=(4, 1, 0, False)).outputs[0]
node = comp.matte(tree, plate())
facts["unsaved"] = comp.bake(node)
facts["own folder"] = comp.bake(comp.matte(tree, plate(), bake_dir=given["apart"]))
tree = comp.fresh(given["blend"], frames=(1, 4))
facts["folder"] = comp.bake(comp.matte(tree, plate(), bake_dir=given["file"]))
facts["read only"] = comp.bake(comp.matte(tree, plate(), bake_dir=given["shut"]))
facts["range"] = comp.bake(comp.matte(tree, plate(), range_mode="CUSTOM", frame_start=4,
                                      frame_end=2))
node = comp.matte(tree, plate())
bpy.context.scene.frame_current = 9
facts["frame"] = comp.bake(node, frame=True)
facts["model"] = comp.bake(comp.matte(tree, plate(), model="nothing"))
facts["device"] = comp.bake(comp.matte(tree, plate(), device="cuda:7"))
empty = comp.image(tree, given["empty"], "FILE").outputs[0]
facts["empty"] = comp.bake(comp.matte(tree, empty))
holes = comp.image(tree, given["holes"], frames=(4, 1, 0, False)).outputs[0]
facts["holes"] = comp.bake(comp.matte(tree, holes))
gone = comp.image(tree, given["empty"], "FILE")
gone.image.filepath = "//nowhere.exr"
facts["gone"] = comp.bake(comp.matte(tree, gone.outputs[0]))
# A grey trimap of another size.
node = comp.matte(tree, plate(), model="closed-form")
small = comp.image(tree, given["small"], "FILE").outputs[0]
tree.links.new(small, node.inputs["Trimap"])
facts["size"] = comp.bake(node)
# Blender is well: the next bake works.
facts["well"] = comp.bake(comp.matte(tree, plate()))
inside.answer(**facts)
"""


def test_what_goes_wrong_is_in_the_panel(version: str, desk: Desk) -> None:
    plate = desk.plates(4)
    holes = desk.folder / "holes"
    holes.mkdir()
    for number in (1, 4):
        (holes / f"h.{number:04d}.exr").write_bytes(
            plate.with_name(f"plate.{number:04d}.exr").read_bytes()
        )
    shut = desk.folder / "shut"
    shut.mkdir(mode=0o500)
    if os.geteuid() == 0:
        shut = Path("/sys/kernel/bakes")  # no mode stops root; the system itself does
    empty, file, small = (desk.folder / name for name in ("empty.png", "file", "small.png"))
    empty.touch()
    file.touch()
    write_image(small, np.full((8, 8), 128, np.uint8), "Y")
    went = desk.run(
        version, BAD, plate=plate, apart=desk.folder / "apart", file=file / "bakes", empty=empty,
        holes=holes / "h.0001.exr", small=small, shut=shut,
    )  # fmt: skip
    said = {
        "unsaved": "Save the file first",
        "folder": "cannot be written",
        "read only": "cannot be written",
        "range": "ends before it begins",
        "frame": "Frame 9 is outside of the range 1-4",
        "model": "There is no model 'nothing'",
        "device": "cuda:7",
        "empty": "has no pixels",
        "holes": "no picture at frame 2, 3 of the scene",
        "gone": "is not there",
        "size": "8 x 8",
    }
    for name, words in said.items():
        assert went[name]["ended"] == ["RAISED"], name
        assert words in went[name]["message"], name
        assert words in went[name]["error"], name
        assert went[name]["state"][0] == "error", name
        assert words in went[name]["state"][1], name
    assert went["own folder"]["state"][0] == "done"
    assert went["own folder"]["folder"].startswith(str(desk.folder / "apart"))
    assert went["well"]["state"][0] == "done"
