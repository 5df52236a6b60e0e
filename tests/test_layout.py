# SPDX-License-Identifier: Apache-2.0
"""The tree reads as the way of a frame: no import runs up, and nothing runs in a circle."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _layout() -> ModuleType:
    path = Path(__file__).parents[1] / "scripts" / "layout.py"
    spec = importlib.util.spec_from_file_location("layout", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["layout"] = module
    spec.loader.exec_module(module)
    return module


layout = _layout()


@pytest.fixture(scope="module")
def tree() -> object:
    return layout.Tree()


def test_every_room_has_its_place(tree: object) -> None:
    """A new room must be written into ROOMS, with what it is for."""
    assert layout.unlisted(tree) == []
    assert set(layout.REASONS) <= {name for name, _ in layout.ROOMS}


def test_no_import_runs_up(tree: object) -> None:
    assert tree.upward() == []  # type: ignore[attr-defined]


def test_no_circle_between_rooms(tree: object) -> None:
    assert layout.circles(tree.edges(rooms=True)) == []  # type: ignore[attr-defined]


def test_no_circle_between_modules(tree: object) -> None:
    assert layout.circles(tree.edges()) == []  # type: ignore[attr-defined]


def test_the_graph_is_read_from_the_code(tree: object) -> None:
    """Some edges that must be there: the checks above would pass on an empty graph."""
    rooms = tree.edges(rooms=True)  # type: ignore[attr-defined]
    assert {"node", "temporal", "media"} <= rooms["shot"]
    assert {"runtime"} <= rooms["card"]  # for type checkers only
    assert {"service"} <= rooms["cli"]  # inside functions only


def _package(folder: Path, files: dict[str, str]) -> object:
    root = folder / "matte_nodes"
    for name, text in {"__init__.py": "", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return layout.Tree(root)


LAZY = "def f():\n    from matte_nodes.{0} import x\n"
TYPED = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from matte_nodes.{0} import x\n"
PLAIN = "from matte_nodes.{0} import x\n"
RELATIVE = "from ..{0} import x\n"


@pytest.mark.parametrize(
    "form", [LAZY, TYPED, PLAIN, RELATIVE], ids=["lazy", "typed", "plain", "up"]
)
def test_an_import_that_runs_up_is_found(tmp_path: Path, form: str) -> None:
    made = _package(
        tmp_path, {"media/clip.py": form.format("shot.shot"), "shot/shot.py": "x = 1\n"}
    )
    (line,) = made.upward()  # type: ignore[attr-defined]
    assert "matte_nodes.media.clip" in line
    assert "matte_nodes.shot.shot" in line


@pytest.mark.parametrize(
    "form", [LAZY, TYPED, PLAIN, RELATIVE], ids=["lazy", "typed", "plain", "up"]
)
def test_circles_are_found(tmp_path: Path, form: str) -> None:
    made = _package(
        tmp_path,
        {
            "media/a.py": form.format("color.b"),
            "color/b.py": form.format("color.c"),
            "color/c.py": form.format("media.a"),
            "color/d.py": form.format("color.b"),
        },
    )
    assert layout.circles(made.edges(rooms=True)) == [["color", "media"]]  # type: ignore[attr-defined]
    modules = [f"matte_nodes.{name}" for name in ("color.b", "color.c", "media.a")]
    assert layout.circles(made.edges()) == [modules]  # type: ignore[attr-defined]


def test_a_room_in_a_room_counts_for_itself() -> None:
    assert layout.room_of("matte_nodes.models.networks.gfm") == "models/networks"
    assert layout.room_of("matte_nodes.models.gfm") == "models"
    assert layout.room_of("matte_nodes.errors") == "errors"


def test_an_unlisted_room_is_found(tmp_path: Path) -> None:
    made = _package(tmp_path, {"attic/a.py": "x = 1\n"})
    assert layout.unlisted(made) == ["attic"]
