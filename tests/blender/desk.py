# SPDX-License-Identifier: Apache-2.0
"""An artist's desk for tests of the add-on: plates, a Blender with a script, a real service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matte_nodes.render.render import Render
from tests.blender import rig
from tests.blender.conftest import needs
from tests.made import plate_sequence, read_named
from tests.service.serving import own_python

MODELS = Path(__file__).parent / "models"
SCREEN = 0.25
"""What `comp.matte` sets the green screen's level to."""
HEAD = """
import bpy, comp, inside, os
given = comp.arguments()
if given["addon"]:
    inside.load(given["addon"])
"""


class Quiet:
    """A reporter that counts."""

    def __init__(self) -> None:
        self.frames: list[int] = []

    def start(self, total: int, **facts: Any) -> None:
        """Nothing to say."""

    def frame(self, frame: int, path: Path) -> None:
        """One more."""
        self.frames.append(frame)

    def warn(self, text: str) -> None:
        """Nothing to say."""

    def done(self, output: str) -> None:
        """Nothing to say."""


class Desk:
    """A folder with a file shot.blend in it, and Blenders that open it."""

    def __init__(
        self, folder: Path, addon: Path, service_home: Path, python: str = sys.executable
    ) -> None:
        self.folder, self.addon, self.service_home = folder, addon, service_home
        self.python = python
        self.blend = folder / "shot" / "shot.blend"
        self.blend.parent.mkdir()

    def run(
        self, version: str, script: str, *, with_addon: bool = True, **given: Any
    ) -> dict[str, Any]:
        """Run a script's text; it finds its values in `given`. Answers what it answered."""
        return self.ran(version, script, with_addon=with_addon, **given).good()

    def ran(
        self, version: str, script: str, *, with_addon: bool = True, python: str = "",
        seconds: float = rig.SECONDS, environment: dict[str, str] | None = None, **given: Any,
    ) -> rig.Ran:  # fmt: skip
        """The same, however it ended."""
        needs(version)
        told = {"addon": str(self.addon) if with_addon else "", "blend": str(self.blend), **given}
        return rig.run(
            version, HEAD + script, json.dumps(told, default=str), home=self.folder / "home",
            seconds=seconds, MATTE_HOME=str(self.service_home), MATTE_PYTHON=python or self.python,
            PYTHONPATH=str(rig.INSIDE), **(environment or {}),
        )  # fmt: skip

    def plates(self, count: int = 4, first: int = 1, **more: Any) -> Path:
        """plate.####.exr and trimap.####.png; answers the first plate."""
        pattern = plate_sequence(self.folder / "plates", count, first, **more)
        return Path(str(pattern).replace("####", f"{first:04d}"))


def reference(
    folder: Path,
    source: Path | str,
    first: int,
    last: int,
    model: str = "green-screen",
    **more: Any,
) -> Path:
    """What the library makes of a linear Rec.709 clip without any Blender, in layout blender."""
    knobs = {"screen_level": SCREEN} if model == "green-screen" else {}
    render = Render(
        str(source), str(folder / "matte.####.exr"), model, knobs={**knobs, **more.pop("knobs", {})},
        node={}, connect={"cache": "off", "colorspace": "lin_rec709", **more.pop("connect", {})}, layout="blender",
        output_colorspace="lin_rec709", **more,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    render.run(first, last, Quiet())
    return folder


def difference(one: Path, two: Path) -> float:
    """The largest difference of any value in two bakes of one frame."""
    first, second = read_named(one), read_named(two)
    assert sorted(first) == sorted(second)
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


def composite(bake: Path, colour: tuple[float, float, float]) -> NDArray[np.float32]:
    """(H, W, 3): a bake's foreground over a colour, scene-linear."""
    planes = read_named(bake)
    alpha = planes["alpha.V"][..., None]
    foreground = np.stack([planes[f"foreground.{c}"] for c in "RGB"], -1)
    return foreground * alpha + np.asarray(colour, np.float32) * (1 - alpha)


def rgb(path: Path) -> NDArray[np.float32]:
    """(H, W, 3): what Blender rendered."""
    planes = read_named(path)
    return np.stack([planes[c] for c in "RGB"], -1)


@pytest.fixture(scope="session")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a Python (home/python) that knows models of third parties, `clean` and `slow`."""
    folder = tmp_path_factory.mktemp("other")
    with own_python(folder, MODELS) as script:
        yield Path(script)


@pytest.fixture
def third_desk(tmp_path: Path, addon: Path, other_python: Path) -> Desk:
    """A desk with third parties' models."""
    return Desk(tmp_path, addon, other_python.parent, str(other_python))


@pytest.fixture
def desk(tmp_path: Path, addon: Path, service_home: Path) -> Desk:
    """A desk with the add-on on it."""
    return Desk(tmp_path, addon, service_home)
