# SPDX-License-Identifier: Apache-2.0
"""In a window: clicks by a real mouse, movies rendered by a second Blender, Bake All, time left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.blender import window
from tests.blender.test_window import FRAMES, Desk, desk, python
from tests.made import scenes, write_movie
from tests.obs.rig import until

__all__ = ["desk", "python"]
pytestmark = pytest.mark.skipif(bool(window.missing()), reason=window.missing())

AREA = """
    screen = bpy.context.window_manager.windows[0].screen
    area = max(screen.areas, key=lambda a: a.width * a.height)
"""
EDITOR = (
    AREA
    + """
    area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.image = bpy.context.scene.node_tree.nodes["plate"].image
    space.show_region_ui = space.show_region_toolbar = False
"""
)
SPOT = (
    AREA
    + """
    region = next(r for r in area.regions if r.type == "WINDOW")
    x, y = region.view2d.view_to_region(*PLACE, clip=False)
    out["x"], out["y"] = region.x + x, 800 - 1 - (region.y + y)
"""
)
CLICK = (
    AREA
    + """
    region = next(r for r in area.regions if r.type == "WINDOW")
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.matte_nodes.click("INVOKE_DEFAULT", group="Matte")
"""
)
POINTS = """
    (tree,) = (t for t in bpy.data.node_groups if t.matte_nodes.is_matte)
    out["points"] = tree.matte_nodes.points
"""


def test_clicks_by_a_real_mouse(desk: Desk) -> None:
    """On the subject, beside it with Ctrl, taken away with Shift; Escape ends it."""
    view = desk.window
    view.do(EDITOR)
    view.draw()
    view.do(CLICK)
    view.draw()

    def at(place: tuple[float, float], *keys: str) -> None:
        spot = view.do(SPOT.replace("PLACE", repr(place)))
        held = [part for key in keys for part in ("keydown", key)]
        free = [part for key in keys for part in ("keyup", key)]
        view.hand("mousemove", spot["x"], spot["y"], *held, "click", 1, *free)

    def marks() -> list[list[float]]:
        found = json.loads(view.do(POINTS)["points"] or "[]")
        return sorted(found, key=str)

    at((0.5, 0.5))
    until("the first click is there", lambda: len(marks()) == 1)
    at((0.25, 0.75), "ctrl")
    until("the second click is there", lambda: len(marks()) == 2)
    (beside, on) = marks()
    assert on[:2] == [1, "subject"]
    assert beside[:2] == [1, "not"]
    assert on[2:] == pytest.approx([0.5, 0.5], abs=0.01)
    assert beside[2:] == pytest.approx([0.25, 0.75], abs=0.01)
    view.picture(desk.folder / "clicks.png")  # the marks are drawn
    at((0.25, 0.75), "shift")
    until("it is taken away", lambda: len(marks()) == 1)
    view.hand("key", "Escape")
    view.draw()
    at((0.3, 0.3))
    view.draw()
    assert len(marks()) == 1, "the tool has ended"
    assert "Traceback" not in view.log(), view.log()[-3000:]


MOVIE = """
    tree = bpy.context.scene.node_tree
    plate = tree.nodes["plate"]
    plate.image = bpy.data.images.load(MOVIE)
    plate.frame_duration, plate.frame_start, plate.frame_offset = 12, 1, 0
    bpy.context.scene.frame_end = 12
    bpy.ops.wm.save_mainfile()
    out["users"] = plate.image.users
    def rendered(*_):
        bpy.app.driver_namespace["rendered"] = bpy.app.driver_namespace.get("rendered", 0) + 1
    bpy.app.handlers.render_pre.append(rendered)
"""
LOOK = """
    bake = next(iter(sys.modules["matte_nodes_blender.baking"].running.values()), None)
    out["said"] = bake.said if bake else ""
    out["pid"] = bake.inputs.helper_id() if bake else 0
    out["rendered"] = bpy.app.driver_namespace.get("rendered", 0)
    out["users"] = bpy.context.scene.node_tree.nodes["plate"].image.users
    (tree,) = (t for t in bpy.data.node_groups if t.matte_nodes.is_matte)
    out["message"] = tree.matte_nodes.message
    out["scenes"] = len(bpy.data.scenes)
"""


def movie(desk: Desk) -> Path:
    path = desk.folder / "plate.mkv"
    shown = [np.clip(s.plate, 0, 1) ** (1 / 2.2) * 255 for s in scenes(12)]
    write_movie(path, [np.round(picture).astype(np.uint8) for picture in shown])
    return path


def test_a_movie_is_rendered_by_a_second_blender(desk: Desk) -> None:
    """The artist's own renders no frame, and holds no more of anything afterwards."""
    desk.set(seconds=0.0)
    before = desk.window.do(MOVIE.replace("MOVIE", repr(str(movie(desk)))))
    assert desk.press() == ""
    seen: list[dict[str, object]] = []

    def ended() -> bool:
        seen.append(desk.window.do(LOOK))
        return bool(seen[-1]["message"]) or len(desk.frames()) == 12

    until("all frames are there", ended, 120)
    until("it has ended", lambda: desk.window.do(LOOK)["said"] == "")
    last = desk.window.do(LOOK)
    assert last["message"] == ""
    assert any(look["pid"] for look in seen), "there was a second Blender"
    assert any(str(look["said"]).startswith("rendering the inputs") for look in seen)
    assert last["rendered"] == 0, "this Blender rendered"
    assert last["users"] == before["users"]
    assert last["scenes"] == 1
    assert "Traceback" not in desk.window.log(), desk.window.log()[-3000:]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_cancelled_bake_ends_the_second_blender(desk: Desk) -> None:
    desk.window.do(MOVIE.replace("MOVIE", repr(str(movie(desk)))))
    assert desk.press() == ""
    looks: list[int] = []

    def there() -> bool:
        looks.append(int(desk.window.do(LOOK)["pid"]))
        return looks[-1] > 0

    until("the second Blender runs", there)
    desk.window.hand("mousemove", window.WIDTH // 3, window.HEIGHT // 2)
    desk.window.hand("key", "Escape")
    until("it has ended", lambda: desk.window.do(LOOK)["said"] == "")
    until("the second Blender is gone", lambda: gone(looks[-1]))
    assert not list(desk.folder.glob("matte/**/inputs-*")), "its files are taken away"
    assert desk.frames() == {}


SECOND = """
    tree = bpy.context.scene.node_tree
    tree.nodes["Matte"].node_tree.name = "Z first"
    tree.nodes.active = None
    before = set(tree.nodes)
    bpy.ops.matte_nodes.add()
    (node,) = set(tree.nodes) - before
    node.node_tree.name = "A last"
    node.node_tree.matte_nodes.model = "green-screen"
    tree.links.new(tree.nodes["Matte"].outputs["Image"], node.inputs["Image"])
    bpy.ops.wm.save_mainfile()
    out["ended"] = sorted(bpy.ops.matte_nodes.bake_all())
"""
STATES = """
    status = sys.modules["matte_nodes_blender.status"]
    baking = sys.modules["matte_nodes_blender.baking"]
    out["states"] = {
        t.name: list(status.of(t, bpy.context.scene, fresh=True)[:2])
        for t in bpy.data.node_groups if t.matte_nodes.is_matte}
    out["said"] = [bake.said for bake in baking.running.values()]
"""


def test_bake_all_in_a_window_says_the_time_that_is_left(desk: Desk) -> None:
    desk.set(seconds=0.25)
    assert desk.window.do(SECOND)["ended"] == ["FINISHED"]
    said: set[str] = set()
    running: list[set[str]] = []

    def done() -> bool:
        found = desk.window.do(STATES)
        said.update(found["said"])
        if any(text.endswith(" left") for text in said):
            desk.hurry()
        running.append({n for n, state in found["states"].items() if state[0] == "running"})
        return {state[0] for state in found["states"].values()} == {"done"}

    until("both are baked", done, 150)
    order = [names for names in running if names]
    assert order[0] == {"Z first"}, "what feeds the other comes first"
    assert order[-1] == {"A last"}
    assert all(len(names) == 1 for names in order)
    assert any(text.startswith("matting with slow, ") and text.endswith(" left") for text in said)
    assert len(desk.frames()) >= FRAMES
    assert "Traceback" not in desk.window.log(), desk.window.log()[-3000:]


PRESET = """
    window = bpy.context.window_manager.windows[0]
    area = max(window.screen.areas, key=lambda a: a.width * a.height)
    region = next(r for r in area.regions if r.type == "WINDOW")
    tree = area.spaces.active.node_tree
    tree.nodes.active = tree.nodes["Matte"]
    kept = tree.nodes["Matte"].node_tree.matte_nodes
    with bpy.context.temp_override(window=window, area=area, region=region):
        kept.model, kept.values, kept.refine = "green-screen", '{"green-screen/x": 1}', "closed-form"
        out["made"] = sorted(bpy.ops.matte_nodes.preset(name="Hard Green"))
        kept.model, kept.values, kept.refine = "auto", "", ""
        path, = bpy.utils.preset_paths("matte_nodes")
        import os
        out["files"] = os.listdir(path)
        out["used"] = sorted(bpy.ops.script.execute_preset(
            filepath=os.path.join(path, out["files"][0]), menu_idname="MATTE_MT_presets"))
    out["kept"] = [kept.model, kept.values, kept.refine]
"""


def test_a_preset_keeps_model_knobs_and_edge(desk: Desk) -> None:
    """Blender's own presets, in the user's folder."""
    went = desk.window.do(PRESET)
    assert went["made"] == went["used"] == ["FINISHED"]
    assert went["files"] == ["Hard_Green.py"] or went["files"] == ["hard_green.py"]
    assert went["kept"] == ["green-screen", '{"green-screen/x": 1}', "closed-form"]
