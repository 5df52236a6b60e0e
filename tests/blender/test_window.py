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
from tests.service.serving import own_python

pytestmark = pytest.mark.skipif(bool(window.missing()), reason=window.missing())
FRAMES = 24


class Desk:
    """A window with a saved file: a plate of so many frames, a Matte node with a slow model."""

    def __init__(self, window: Window, folder: Path, python: str, home: Path) -> None:
        self.window, self.folder = window, folder
        self.client = Client(python, str(home))
        plate_sequence(folder / "plates", FRAMES)
        first = sorted((folder / "plates").glob("plate.*.exr"))[0]
        window.do(f"""
            import runpy
            example = runpy.run_path({str(rig.EXAMPLE)!r})
            tree = example["build"]({str(first)!r}, "slow")
            bpy.ops.wm.save_as_mainfile(filepath={str(folder / "shot.blend")!r})
        """)
        self.set(seconds=0.25)
        window.do("""
            screen = bpy.context.window_manager.windows[0].screen
            area = max(screen.areas, key=lambda a: a.width * a.height)
            area.ui_type = "CompositorNodeTree"
            area.spaces.active.show_region_ui = True
        """)

    def set(self, **knobs: Any) -> None:
        """Knobs of the slow model."""
        values = json.dumps({f"slow/{name}": value for name, value in knobs.items()})
        self.window.do(f"""
            for tree in bpy.data.node_groups:
                tree.matte_nodes.values = {values!r}
            bpy.ops.wm.save_mainfile()
        """)

    def press(self, operator: str = "bake") -> None:
        """The button in the panel."""
        self.window.do(f"""
            window = bpy.context.window_manager.windows[0]
            area = max(window.screen.areas, key=lambda a: a.width * a.height)
            region = next(r for r in area.regions if r.type == "WINDOW")
            area.spaces.active.node_tree.nodes.active = area.spaces.active.node_tree.nodes["Matte"]
            with bpy.context.temp_override(window=window, area=area, region=region):
                bpy.ops.matte_nodes.{operator}("INVOKE_DEFAULT")
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
    with own_python(folder) as script:
        yield script, folder


@pytest.fixture
def desk(tmp_path: Path, addon: Path, python: tuple[str, Path]) -> Iterator[Desk]:
    """A Blender with a window and a file."""
    home = tmp_path / "home"
    home.mkdir()
    script, service = python
    with Window(home, addon, MATTE_PYTHON=script, MATTE_HOME=str(service)) as found:
        yield Desk(found, tmp_path, script, service)


def test_escape_stops_a_modal_bake(desk: Desk) -> None:
    """A real key; what is done stays, and the next bake does the rest alone."""
    desk.press()
    until("some frames are there", lambda: len(desk.frames()) >= 3)
    assert desk.window.do("out['alive'] = 1 + 1") == {"alive": 2}, "the window is not blocked"
    desk.window.hand("mousemove", window.WIDTH // 3, window.HEIGHT // 2)
    desk.window.hand("key", "Escape")
    until("the job is cancelled", lambda: desk.jobs()[-1] == "cancelled")
    done = desk.frames()
    assert 3 <= len(done) < FRAMES
    assert desk.window.alive()
    desk.set(seconds=0.25)
    desk.press()
    until("all frames are there", lambda: len(desk.frames()) == FRAMES)
    until("the job is done", lambda: desk.jobs()[-1] == "done")
    after = desk.frames()
    assert {name: after[name] for name in done} == done, "they were not done twice"
    assert "Traceback" not in desk.window.log()


def test_a_blender_that_was_killed_in_mid_bake(desk: Desk, home: Path, addon: Path) -> None:
    """The next Blender's bake goes on where the first one's ended."""
    desk.press()
    until("some frames are there", lambda: len(desk.frames()) >= 2)
    desk.window.kill()
    done = desk.frames()
    assert len(done) < FRAMES
    again = rig.run(
        "3.4", "bake.py", addon, desk.folder / "shot.blend", home=home.with_name("other"),
        MATTE_PYTHON=str(desk.client.python), MATTE_HOME=str(desk.client.home),
    ).good()  # fmt: skip
    assert again["state"].startswith("baked ("), again
    after = desk.frames()
    assert len(after) == FRAMES
    assert {name: after[name] for name in done} == done, "they were not done twice"


def other_version(folder: Path) -> Path:
    """A Python whose matte-nodes is of another release."""
    package = folder / "other" / "matte_nodes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "99.0.0"\n')
    python = folder / "other-python"
    python.write_text(
        f"#!/bin/sh\nPYTHONPATH='{package.parent}' exec '{sys.executable}' -S \"$@\"\n"
    )
    python.chmod(0o755)
    return python


def bare_python(folder: Path) -> Path:
    """A Python without matte-nodes."""
    python = folder / "bare-python"
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' -S -I \"$@\"\n")
    python.chmod(0o755)
    return python
