# SPDX-License-Identifier: Apache-2.0
"""Blender 3.4 with a real window: the modal bake, a real ESC key, a crash, the panel's bad cases."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from matte_nodes.service.client import Client
from tests.blender import rig, window
from tests.blender.window import Window
from tests.made import plate_sequence
from tests.obs.rig import until
from tests.service.serving import hurry, own_python

pytestmark = pytest.mark.skipif(bool(window.missing()), reason=window.missing())
FRAMES = 24
MATTE_TAB = (1044, 283)
"""Where the sidebar's tab is in a window of this size."""


class Desk:
    """A window with a saved file: a plate of so many frames, a Matte node with a slow model."""

    def __init__(
        self, window: Window, folder: Path, python: str, home: Path, frames: int = FRAMES
    ) -> None:
        self.window, self.folder = window, folder
        self.client = Client(python, str(home))
        self.hurry(False)
        plate_sequence(folder / "plates", frames)
        first = sorted((folder / "plates").glob("plate.*.exr"))[0]
        window.do(f"""
            import runpy
            example = runpy.run_path({str(rig.EXAMPLE)!r})
            tree = example["build"]({str(first)!r}, "slow")
            bpy.ops.wm.save_as_mainfile(filepath={str(folder / "shot.blend")!r})
        """)
        self.set(seconds=0.25)

    def set(self, **knobs: Any) -> None:
        """Knobs of the slow model."""
        values = json.dumps({f"slow/{name}": value for name, value in knobs.items()})
        self.window.do(f"""
            for tree in bpy.data.node_groups:
                tree.matte_nodes.values = {values!r}
            bpy.ops.wm.save_mainfile()
        """)

    def hurry(self, on: bool = True) -> None:
        """Let the slow model wait no more (or again): the rest proves nothing by being slow."""
        hurry(Path(str(self.client.home)), on)

    def press(self, operator: str = "bake") -> str:
        """The button in the panel; answers what it complains of at once."""
        found = self.window.do(f"""
            window = bpy.context.window_manager.windows[0]
            area = max(window.screen.areas, key=lambda a: a.width * a.height)
            region = next(r for r in area.regions if r.type == "WINDOW")
            area.spaces.active.node_tree.nodes.active = area.spaces.active.node_tree.nodes["Matte"]
            with bpy.context.temp_override(window=window, area=area, region=region):
                try:
                    bpy.ops.matte_nodes.{operator}("INVOKE_DEFAULT")
                except RuntimeError as error:
                    out["refused"] = str(error)
        """)
        return str(found.get("refused", ""))

    def press_again(self) -> None:
        """Start a bake as soon as the window knows that the one before has ended."""
        until("a bake can be started again", lambda: self.press() == "")

    def choose(self, python: str) -> None:
        """Name a Python in the preferences; what was said before is forgotten."""
        self.window.do(f"""
            bpy.context.preferences.addons["matte_nodes_blender"].preferences.python_path = {python!r}
            for tree in bpy.data.node_groups:
                tree.matte_nodes.message = ""
        """)

    def frames(self) -> dict[str, tuple[int, int]]:
        """The baked files, with what changes when one is written again."""
        found = sorted((self.folder / "matte").rglob("matte.*.exr"))
        return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}

    def message(self) -> str:
        """What the panel says went wrong."""
        found = self.window.do("""
            out["message"] = next(
                t.matte_nodes.message for t in bpy.data.node_groups if t.matte_nodes.is_matte)
        """)
        return str(found["message"])

    def jobs(self) -> list[str]:
        """How the jobs of the service stand."""
        return [job["state"] for job in self.client.jobs()]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An interpreter that knows the slow model, and its home."""
    folder = tmp_path_factory.mktemp("python")
    with own_python(folder) as path:
        yield path, folder


@pytest.fixture
def desk(tmp_path: Path, addon: Path, python: tuple[str, Path]) -> Iterator[Desk]:
    """A Blender with a window and a file."""
    home = tmp_path / "home"
    home.mkdir()
    path, service = python
    with Window(home, addon, MATTE_PYTHON=path, MATTE_HOME=str(service)) as found:
        yield Desk(found, tmp_path, path, service)


def test_escape_stops_a_modal_bake(desk: Desk) -> None:
    """A real key; what is done stays, and the next bake does the rest alone."""
    assert desk.press() == ""
    until("some frames are there", lambda: len(desk.frames()) >= 3)
    assert desk.window.do("out['alive'] = 1 + 1") == {"alive": 2}, "the window is not blocked"
    seen = len(desk.frames())
    desk.window.hand("mousemove", window.WIDTH - 60, window.HEIGHT // 2)  # over the properties
    desk.window.hand("key", "Escape")
    until("it goes on after an ESC elsewhere", lambda: len(desk.frames()) >= seen + 3)
    desk.window.hand("mousemove", window.WIDTH // 3, window.HEIGHT // 2)
    desk.window.hand("key", "Escape")
    until("the job is cancelled", lambda: desk.jobs()[-1] == "cancelled")
    done = desk.frames()
    assert 3 <= len(done) < FRAMES
    assert desk.window.alive()
    desk.hurry()
    desk.press_again()
    until("all frames are there", lambda: len(desk.frames()) == FRAMES)
    until("the job is done", lambda: desk.jobs()[-1] == "done")
    after = desk.frames()
    assert {name: after[name] for name in done} == done, "they were not done twice"
    assert "Traceback" not in desk.window.log()


def test_a_blender_that_was_killed_in_mid_bake(desk: Desk, tmp_path: Path, addon: Path) -> None:
    """The next Blender's bake goes on where the first one's ended."""
    assert desk.press() == ""
    until("some frames are there", lambda: len(desk.frames()) >= 2)
    done = desk.frames()
    desk.window.kill()  # the service goes on meanwhile
    assert len(done) < FRAMES
    desk.hurry()
    again = rig.run(
        "3.4", "bake.py", addon, desk.folder / "shot.blend", home=tmp_path / "other",
        MATTE_PYTHON=str(desk.client.python), MATTE_HOME=str(desk.client.home),
    ).good()  # fmt: skip
    assert again["state"].startswith("baked ("), again
    after = desk.frames()
    assert len(after) == FRAMES
    assert {name: after[name] for name in done} == done, "they were not done twice"


def test_the_artist_works_on_during_a_bake(desk: Desk) -> None:
    """Undo by a real Ctrl-Z, another frame, a new node, a new file: the bake comes to its end."""
    desk.window.do("""
        window = bpy.context.window_manager.windows[0]
        area = max(window.screen.areas, key=lambda a: a.width * a.height)
        tree = area.spaces.active.node_tree
        bpy.ops.ed.undo_push(message="before")
        tree.nodes["plate"].label = "renamed"
        bpy.ops.ed.undo_push(message="rename")
    """)
    assert desk.press() == ""
    until("some frames are there", lambda: len(desk.frames()) >= 2)
    desk.window.hand("mousemove", window.WIDTH // 3, window.HEIGHT // 2, "key", "ctrl+z")

    def label() -> str:
        found = desk.window.do("out['label'] = bpy.context.scene.node_tree.nodes['plate'].label")
        return str(found["label"])

    until("the renaming was undone", lambda: label() == "plate")
    desk.window.do("""
        bpy.context.scene.frame_set(3)
        bpy.context.scene.node_tree.nodes.new("CompositorNodeBlur")
    """)
    assert len(desk.frames()) < FRAMES, "it was still at work"
    desk.hurry()
    until("all frames are there", lambda: len(desk.frames()) == FRAMES)
    state = """
        (tree,) = (t for t in bpy.data.node_groups if t.matte_nodes.is_matte)
        status = sys.modules["matte_nodes_blender.status"]
        out["text"] = status.of(tree, bpy.context.scene, fresh=True).text
    """
    until("the panel says so", lambda: desk.window.do(state)["text"] == f"baked ({FRAMES} frames)")
    desk.hurry(False)
    desk.set(seconds=0.2)
    before = len(desk.jobs())
    desk.press_again()
    until("the job is handed in", lambda: len(desk.jobs()) > before)
    desk.window.do("bpy.ops.wm.read_homefile(app_template='')")
    assert desk.jobs()[-1] != "done", "this test would see it"
    desk.hurry()
    until("the service brings it to its end", lambda: desk.jobs()[-1] == "done")
    assert desk.window.do("out['nodes'] = len(bpy.data.node_groups)") == {"nodes": 0}
    assert "Traceback" not in desk.window.log(), desk.window.log()[-3000:]


def other_version(folder: Path) -> Path:
    """A Python whose matte-nodes says that it is of another release."""
    (folder / "newer").mkdir()
    at_start = "import matte_nodes\nmatte_nodes.__version__ = '99.0.0'\n"
    (folder / "newer" / "sitecustomize.py").write_text(at_start)
    return script(folder / "newer" / "python", f"PYTHONPATH='{folder / 'newer'}'")


def bare(folder: Path) -> Path:
    """A Python without matte-nodes."""
    return script(folder / "bare-python", "", "-S", "-I")


def not_python(folder: Path) -> Path:
    """A program that is none."""
    path = folder / "not-python"
    path.write_text("#!/bin/sh\necho I am no Python\nexit 1\n")
    path.chmod(0o755)
    return path


def script(path: Path, *parts: str) -> Path:
    """This interpreter with something before and after it."""
    before, *flags = parts
    path.write_text(f"#!/bin/sh\n{before} exec '{sys.executable}' {' '.join(flags)} \"$@\"\n")
    path.chmod(0o755)
    return path


def test_bad_environments_are_said_in_the_panel(tmp_path: Path, addon: Path) -> None:
    """No Python, a path that is nothing, one without the library, another version: and it lives."""
    home, service = tmp_path / "home", tmp_path / "service"
    home.mkdir()
    cases = {
        "": "No Python is set",
        str(tmp_path / "nowhere"): "There is no Python at",
        str(bare(tmp_path)): "has no matte-nodes",
        str(not_python(tmp_path)): "is not a Python that works",
    }
    with Window(home, addon, MATTE_HOME=str(service)) as found:
        desk = Desk(found, tmp_path, sys.executable, service, frames=2)
        found.hand("mousemove", *MATTE_TAB, "click", 1)
        for python, said in cases.items():
            desk.choose(python)
            assert said in desk.press("check_environment")
            assert said in desk.message()
            desk.press("bake")
            until("the bake says that it cannot", desk.message)
            found.draw()
        desk.choose(str(other_version(tmp_path)))
        try:
            assert desk.press("check_environment") == ""
            warned = found.do("out['text'] = sys.modules['matte_nodes_blender.learn'].warning[0]")
            assert "has matte-nodes 99.0.0, the add-on is of" in warned["text"]
            assert "matte install blender" in warned["text"]
            found.draw()
        finally:
            desk.client.shutdown()
            until("the service has ended", lambda: desk.client.hello() is None)
        assert desk.frames() == {}
        assert "Traceback" not in found.log(), found.log()[-3000:]
