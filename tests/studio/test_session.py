# SPDX-License-Identifier: Apache-2.0
"""Sessions without a page: the folder, edits, other machines, and the request that they become."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest

from matte_nodes.cli import verb
from matte_nodes.errors import MatteError, MediaError, UsageError
from matte_nodes.points import as_points
from matte_nodes.studio.checking import check
from matte_nodes.studio.document import VERSION, Document, from_dict
from matte_nodes.studio.places import Places
from matte_nodes.studio.request import arguments, command_line, points_of
from matte_nodes.studio.session import Session
from tests.studio.rig import FIRST, SIZE, made_clip


@pytest.fixture
def plate(tmp_path: Path) -> str:
    return made_clip(tmp_path / "clip", 3)


@pytest.fixture
def session(plate: str, tmp_path: Path) -> Session:
    return Session.new(tmp_path / "session", plate)


def click_on(session: Session, frame: int, x: int, y: int, **more: Any) -> None:
    session.apply({"edit": "click", "frame": frame, "x": x, "y": y, **more})


def painted(code: int = 255) -> Any:
    plane = np.full(SIZE, 128, np.uint8)
    plane[80:100, 80:100] = code
    return plane


def test_it_is_saved_as_you_go_and_opens_as_it_was(session: Session) -> None:
    click_on(session, FIRST, 90, 90)
    click_on(session, FIRST, 10, 10, subject=False)
    session.apply({"edit": "knob", "name": "shrink", "value": 1.5})
    session.apply({"edit": "span", "span": [FIRST, FIRST + 1]})
    session.apply({"edit": "object_add", "name": "other"})
    session.apply({"edit": "object_set", "object": "other", "solo": True, "place": 0})
    session.paint("trimaps", FIRST + 1, painted(), (80, 80, 100, 100))
    session.paint("keys", FIRST, np.full(SIZE, 65535, np.uint16), None)
    again = Session.open(session.folder)
    assert again.document == session.document
    assert [one.name for one in again.document.objects] == ["other", "object"]
    assert again.picture(again.document.trimaps[FIRST + 1].sha)[:4] == b"\x89PNG"


def test_the_plates_folder_stays_as_it_was(session: Session, plate: str) -> None:
    before = sorted(path.name for path in Path(plate).parent.iterdir())
    session.paint("trimaps", FIRST, painted(), None)
    click_on(session, FIRST, 1, 1)
    assert sorted(path.name for path in Path(plate).parent.iterdir()) == before


def test_undo_and_redo_take_pictures_along(session: Session) -> None:
    path = session.folder / f"hints/trimap.{FIRST}.png"
    session.paint("trimaps", FIRST, painted(255), None)
    first = path.read_bytes()
    session.paint("trimaps", FIRST, painted(0), None)
    assert path.read_bytes() != first
    session.apply({"edit": "undo"})
    assert path.read_bytes() == first
    session.apply({"edit": "undo"})
    assert not path.exists()
    assert session.document.trimaps == {}
    session.apply({"edit": "redo"})
    session.apply({"edit": "redo"})
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[90, 90] == 0
    session.apply({"edit": "redo"})  # nothing is left: nothing happens
    assert session.undo_depth == (2, 0)


def test_it_moves_with_its_plate_to_another_place(session: Session, tmp_path: Path) -> None:
    click_on(session, FIRST, 90, 90)
    for name in ("clip", "session"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    found = Session.open(tmp_path / "elsewhere" / "session")
    assert found.document.plate == str(tmp_path / "elsewhere" / "clip" / "plate.####.png")


def test_paths_are_remapped_by_their_beginnings(session: Session, tmp_path: Path) -> None:
    shutil.move(tmp_path / "clip", tmp_path / "other")
    old, new = str(tmp_path / "clip"), str(tmp_path / "other")
    found = Session.open(session.folder, {old: new})
    assert found.document.plate == f"{new}/plate.####.png"
    same = Session.open(session.folder, {old[:-1]: "/nowhere"})  # a folder, and not half of a name
    assert "/nowhere" not in same.document.plate


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": VERSION + 1}, "version"), ({"schema": "x"}, "schema"), ({"plate": 3}, "plate"),
        ({"objects": {}}, "objects"), ({"knobs": {"a b": 1}}, "knob"), ({"span": [2, 1]}, "before"),
        ({"hint_keys": "exact"}, "hint_keys"), ({"trimaps": {"1": {"sha": "../x"}}}, "hash"),
        ({"hints": {"points": "x"}}, "hints"), ({"refine_width": -1}, "refine_width"),
        ({"objects": [{"name": "a", "colour": "red", "frames": {}}]}, "colour"),
    ],
)  # fmt: skip
def test_a_session_of_another_kind_is_refused(
    session: Session, change: dict[str, Any], reason: str
) -> None:
    path = session.folder / "session.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match=reason):
        Session.open(session.folder)


def test_a_broken_session_says_which_file(session: Session) -> None:
    session.paint("trimaps", FIRST, painted(), None)
    picture = session.folder / f"hints/trimap.{FIRST}.png"
    picture.write_bytes(picture.read_bytes() + b"x")
    with pytest.raises(MediaError, match=f"trimap.{FIRST}.png was changed"):
        Session.open(session.folder)
    picture.unlink()
    with pytest.raises(MediaError, match="Copy the whole session folder"):
        Session.open(session.folder)
    (session.folder / "session.json").write_text("{")
    with pytest.raises(MediaError, match="not a session file"):
        Session.open(session.folder)
    with pytest.raises(MediaError, match="cannot be read"):
        Session.open(session.folder / "none")


def test_an_edit_that_fails_changes_nothing(session: Session) -> None:
    before, text = session.document, (session.folder / "session.json").read_text()
    for asked in (
        {"edit": "nothing"},
        {"edit": "click", "frame": 1, "x": 0},
        {"edit": "object_remove", "object": "x"},
    ):
        with pytest.raises(UsageError):
            session.apply(asked)
    assert session.document is before
    assert (session.folder / "session.json").read_text() == text


def test_muted_objects_are_not_heard_and_soloed_ones_alone(session: Session) -> None:
    for place, name in enumerate(("a", "b", "c")):
        session.apply({"edit": "object_add", "name": name})
        click_on(session, FIRST, 10 * place + 5, 5, object=name)

    def names() -> list[str]:
        found = points_of(session.document)
        return [] if found is None else [one["name"] for one in found["objects"]]

    assert names() == ["a", "b", "c"]
    session.apply({"edit": "object_set", "object": "b", "mute": True})
    assert names() == ["a", "c"]
    session.apply({"edit": "object_set", "object": "c", "solo": True})
    assert names() == ["c"]
    session.apply({"edit": "object_set", "object": "c", "solo": False, "place": 0})
    assert names() == ["c", "a"]


def test_paint_alone_selects_by_a_box_round_it(session: Session) -> None:
    assert points_of(session.document) is None
    session.paint("trimaps", FIRST, painted(), (80, 80, 100, 100))
    found = points_of(session.document)
    assert found is not None
    marks = as_points(found).at(FIRST).marks["object"]
    assert marks.box == (80, 80, 100, 100)
    assert arguments(session.document, session.folder)["model"] == "select"


def test_the_command_line_asks_for_the_same(session: Session, plate: str, tmp_path: Path) -> None:
    """Parsed by `matte run` itself: the same keywords as `matte run --session`."""
    click_on(session, FIRST, 90, 90)
    click_on(session, FIRST + 1, 9, 9, subject=False)
    session.paint("trimaps", FIRST + 1, painted(), None)
    session.apply({"edit": "knob", "name": "shrink", "value": -1.5})
    session.apply({"edit": "knob", "name": "steady", "value": 0.25})
    output = str(tmp_path / "out" / "m.####.exr")
    line = command_line(
        session.document,
        session.folder,
        output,
        {"frames": f"{FIRST}-{FIRST + 2}", "layout": "nuke"},
    )
    by_line, by_session = {}, {}

    def taken(words: list[str], into: dict[str, Any], monkey: pytest.MonkeyPatch) -> None:
        from matte_nodes.cli import run

        def render(given: Any, first: Any, last: Any, report: Any, **more: Any) -> None:
            into.update(given, first=first, last=last)

        monkey.setattr(run, "render", render)
        verb("run").main(words, standalone_mode=False)

    with pytest.MonkeyPatch.context() as monkey:
        taken(shlex.split(line)[2:], by_line, monkey)
        frames = f"{FIRST}-{FIRST + 2}"
        words = [
            "--session",
            str(session.folder),
            "-o",
            output,
            "--layout",
            "nuke",
            "--frames",
            frames,
        ]
        taken(words, by_session, monkey)
    assert by_line["knobs"] == {"shrink": -1.5, "steady": 0.25}
    for name, value in by_line["connect"].items():
        assert (by_session["connect"].get(name) or None) == (value or None), name
    assert {k: v for k, v in by_line.items() if k not in ("connect", "node")} == {
        k: v for k, v in by_session.items() if k not in ("connect", "node")
    }


def test_a_flag_that_the_session_says_already_is_refused(session: Session, tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "m.####.exr")]
    for more in (
        ["--model", "rvm"],
        ["--click", "1,1"],
        ["--trimap", "x"],
        ["x.png"],
        ["--shrink", "1"],
    ):
        with pytest.raises((UsageError, click.ClickException)):
            verb("run").main(
                ["--session", str(session.folder), *output, *more], standalone_mode=False
            )
    with pytest.raises(UsageError, match="Name a clip"):
        verb("run").main(output, standalone_mode=False)


def test_every_field_survives_its_json() -> None:
    plain = Document("/p.####.png", layer="l", colorspace="c", span=(1, 2), model="rvm").as_dict()
    assert from_dict(json.loads(json.dumps(plain))).as_dict() == plain


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MatteError, match="cannot be read"):
        Session.open(tmp_path)


def test_a_session_that_names_files_elsewhere_is_refused(session: Session, tmp_path: Path) -> None:
    """A session may come from anybody: what it names is held to the places too."""

    places = Places.of([tmp_path / "clip"])
    check(session.document, places)
    outside = str(tmp_path / "session" / "session.json")
    for change in (
        {"plate": "/etc/passwd"}, {"hints": {"trimap": outside}}, {"behind": outside}, {"ocio": outside},
        {"model": str(tmp_path / "x.onnx")}, {"model": "x.onnx"}, {"hints": {"trimap": "trimap.png"}},
        {"knobs": {"nothing": 1}}, {"knobs": {"shrink": 1e9}}, {"model": "nothing"},
    ):  # fmt: skip
        with pytest.raises(MatteError):
            check(replace(session.document, **change), places)
