# SPDX-License-Identifier: Apache-2.0
"""An artist's desk for tests: the installed plug-in, the stand-in for Nuke, a real service."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from matte_nodes.hosts import install
from matte_nodes.service.client import Client
from tests.made import plate_sequence
from tests.nuke import recording_stand_in_for_nuke as stand_in
from tests.service.serving import wait_for

PLUGIN = Path(__file__).parents[2] / "plugins" / "nuke"


class Desk:
    """A saved script with a plate and a MatteNode."""

    def __init__(self, folder: Path, plugin: Path, home: Path, nuke: ModuleType) -> None:
        self.folder, self.plugin, self.home, self.nuke = folder, plugin, home, nuke
        nuke.session.PLUGIN = str(plugin)
        self.actions: Any = importlib.import_module("matte_nuke")
        self.client = Client(sys.executable, str(home))

    def open(self, *, gui: bool = False, frames: int = 5, **size: Any) -> Any:
        """A new script with a plate of so many frames from 1001 on; answers the MatteNode."""
        root = self.nuke.start(str(self.folder / "shot.nk"), gui)
        root["last_frame"]._value = 1000 + frames
        plate_sequence(self.folder / "plates", frames, **size)
        self.plate = self.read("plate", frames)
        self.node = self.nuke.load(str(self.plugin / "gizmos" / "MatteNode.gizmo"))
        self.node.setInput(0, self.plate)
        self.set(model="green-screen", model_green_screen__screen_level=0.25)
        return self.node

    def person(self, frames: int = 5) -> None:
        """Put a real person into the plate: video models see nobody in the made scenes."""
        import cv2

        from tests.made import write_image

        picture = cv2.imread(str(PLUGIN.parents[1] / "docs" / "pictures" / "rvm.jpg"))
        assert picture is not None
        for index in range(frames):
            top = 28 if index < frames // 2 else 404  # he moves and opens his mouth
            part = picture[top : top + 344, 2 + 4 * index : 400 + 4 * index, ::-1]
            small = cv2.resize(part, (176, 144), interpolation=cv2.INTER_AREA)
            linear = ((small / np.float32(255)) ** np.float32(2.2)).astype(np.float16)
            write_image(self.folder / "plates" / f"plate.{1001 + index}.exr", linear)

    def read(self, name: str, frames: int = 5, suffix: str = "exr", **more: Any) -> Any:
        """A Read of one of the sequences that were made."""
        pattern = str(self.folder / "plates" / f"{name}.%04d.{suffix}")
        return self.nuke.read_node(pattern, 1001, 1000 + frames, **more)

    def set(self, **knobs: Any) -> None:
        """The artist turns knobs."""
        for name, value in knobs.items():
            self.nuke.change(self.node, name, value)

    def press(self, button: str = "matte_range", *, wait: bool = True) -> None:
        """Press a button; with a window, run its main thread until the work is shown."""
        self.nuke.press(self.node, button)
        if self.nuke.GUI and wait:
            self.settle()

    def press_and_fail(self, said: str) -> None:
        """Press the button without a window; it must end with this in its message."""
        with pytest.raises(self.actions.Trouble, match=said):
            self.press()
        assert said in self.text("error")

    def settle(self) -> None:
        """Wait for the end of what runs."""
        words = ("done", "cancelled", "error", "farm job")
        self.nuke.run_main_until(lambda: str(self.text("state")).startswith(words))

    def text(self, knob: str) -> Any:
        """What a knob says."""
        return self.node[knob].value()

    def result(self, frame: int) -> Path:
        """The file that the Read inside shows at a frame."""
        pattern = self.node.node("result")["file"]
        self.nuke.set_frame(frame)
        found: str = pattern.evaluate()
        self.nuke.set_frame(1001)
        return Path(found)

    def shown(self, frame: int, *, gui: bool = True) -> str:
        """What leaves the node at a frame, in a window or in a render without one."""
        before, self.nuke.GUI = self.nuke.GUI, gui
        try:
            found: str = self.nuke.shown(self.node, frame)
        finally:
            self.nuke.GUI = before
            self.nuke.set_frame(1001)
        return found

    def versions(self) -> list[str]:
        """Folders of results."""
        base = self.folder / "matte_nodes"
        if not base.is_dir():
            return []
        return sorted(p.name for p in base.iterdir() if p.name not in ("runs", "inputs"))

    def rendered(self) -> list[str]:
        """Inputs that were rendered, in order."""
        return [call[1].split("write_")[1] for call in self.nuke.CALLS if call[0] == "execute"]


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in as a studio has it on NUKE_PATH."""
    folder = tmp_path_factory.mktemp("studio")
    install.install("nuke", install.Options(folder))
    return folder / "matte_nodes"


@pytest.fixture(scope="session")
def service_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the real weights and a service of its own, which is told to end."""
    from matte_nodes import paths

    home = tmp_path_factory.mktemp("home")
    if paths.weights_folder().is_dir():
        (home / paths.weights_folder().name).symlink_to(paths.weights_folder())
    yield home
    client = Client(home=str(home))
    client.shutdown()
    wait_for(lambda: client.hello() is None)


@pytest.fixture
def desk(
    tmp_path: Path, plugin: Path, service_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """A desk with the plug-in loaded anew."""
    with loaded(plugin, service_home, monkeypatch):
        yield Desk(tmp_path, plugin, service_home, stand_in)


@contextmanager
def loaded(plugin: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """matte_nuke from the installed folder, with the stand-in in the place of nuke."""
    monkeypatch.setitem(sys.modules, "nuke", stand_in)
    monkeypatch.syspath_prepend(str(plugin / "python"))
    monkeypatch.setenv("MATTE_HOME", str(home))
    monkeypatch.delenv("OCIO", raising=False)
    for name in [n for n in sys.modules if n.split(".")[0] == "matte_nuke"]:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in [n for n in sys.modules if n.split(".")[0] == "matte_nuke"]:
        del sys.modules[name]


def chosen_python() -> str:
    """The interpreter that matte-nodes is in."""
    return os.path.abspath(sys.executable)
