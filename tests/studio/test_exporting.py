# SPDX-License-Identifier: Apache-2.0
"""Exports without a page: every form, what it writes, and where it may go."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.errors import InputError, UsageError
from matte_nodes.media.layouts import LAYOUTS
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from matte_nodes.studio import exporting, painting
from matte_nodes.studio.desk import Desk
from matte_nodes.studio.places import Places
from matte_nodes.studio.session import Session
from tests.studio.rig import FIRST, SIZE, centre, made_clip

SPAN = (FIRST, FIRST + 2)


class Started:
    """Stands for the range that the service would matte."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def start(
        self, first: int, last: int, *, output: str, layout: str, over: str = ""
    ) -> dict[str, Any]:
        self.asked.append((first, last, output, layout))
        return {"state": "queued"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A session of a clip that the green-screen model mattes: it needs nothing."""
    plate = made_clip(tmp_path / "clip", 3)
    session = Session.new(tmp_path / "session", plate)
    session.apply({"edit": "set", "model": "green-screen"})
    return Desk(session, Places.of([tmp_path, session.folder]))


def matted(desk: Desk) -> str:
    """The range as the service would have done it; returns its key."""
    key = desk.key()
    asked = {n: v for n, v in desk.request().items() if n != "cwd"}
    asked["connect"] = {**asked["connect"], "cache": "off"}
    Render(**asked, output=desk.results.pattern(key)).run(*SPAN, Quiet())
    return key


def test_every_layout_and_kind_of_file_is_a_form(desk: Desk) -> None:
    names = [form.name for form in exporting.forms()]
    expected = [name + kind for name, layout in LAYOUTS.items() for kind in layout.extensions]
    assert names == [*expected, "nuke-script", "openjd", "publish"]
    for name in names:
        line = exporting.command(desk, {"form": name}, SPAN)["command"]
        words = shlex.split(line.split(" && ")[0])
        assert words[0] == "matte"
        assert any(word.startswith("--frames=") for word in words)


def test_a_form_starts_the_run_that_its_command_names(desk: Desk, tmp_path: Path) -> None:
    for form in exporting.forms():
        if not form.layout:
            continue
        runs = Started()
        asked = {"form": form.name, "folder": str(tmp_path / "out"), "name": "m"}
        found = exporting.export(desk, runs, asked, SPAN)  # type: ignore[arg-type]
        assert found["run"] == {"state": "queued"}
        (first, last, output, layout) = runs.asked[0]
        words = shlex.split(exporting.command(desk, asked, SPAN)["command"])
        assert words[words.index("-o") + 1] == output
        assert f"--layout={layout}" in words
        assert f"--frames={first}-{last}" in words


def test_the_nuke_script_reads_plate_and_matte(desk: Desk, tmp_path: Path) -> None:
    runs = Started()
    asked = {"form": "nuke-script", "folder": str(tmp_path / "out"), "name": "m"}
    exporting.export(desk, runs, asked, SPAN)  # type: ignore[arg-type]
    text = (tmp_path / "out" / "m.nk").read_text()
    assert text.count("Read {") == 2
    assert f"file {tmp_path}/clip/plate.####.png" in text
    assert f"file {tmp_path}/out/m.####.exr" in text
    assert f"first {SPAN[0]}" in text
    assert "in fg" in text


def test_a_bundle_is_written_for_the_farm(desk: Desk, tmp_path: Path) -> None:
    desk.session.apply({"edit": "knob", "name": "shrink", "value": 1.5})
    asked = {"form": "openjd", "folder": str(tmp_path / "out"), "name": "m"}
    found = exporting.export(desk, Started(), asked, SPAN)  # type: ignore[arg-type]
    folder = tmp_path / "out" / "m-bundle"
    assert str(folder) in found["message"]
    template = json.loads((folder / "template.json").read_text())
    assert template["specificationVersion"] == "jobtemplate-2023-09"
    assert "--shrink=1.5" in json.dumps(template)
    assert "green-screen" in json.dumps(template)


def test_a_publish_takes_the_frames_that_were_run(desk: Desk, tmp_path: Path) -> None:
    asked = {"form": "publish", "folder": str(tmp_path / "out"), "name": "ball"}
    with pytest.raises(InputError, match="Run the range"):
        exporting.export(desk, Started(), asked, SPAN)  # type: ignore[arg-type]
    matted(desk)
    found = exporting.export(desk, Started(), asked, SPAN)  # type: ignore[arg-type]
    assert (tmp_path / "out" / "ball" / "v001").is_dir(), found
    assert (tmp_path / "out" / "ball-review.html").is_file()


def test_an_export_never_lands_in_the_plates_folder(desk: Desk, tmp_path: Path) -> None:
    for folder, name in (
        (tmp_path / "clip", "m"),
        (tmp_path / "out", "a/b"),
        (tmp_path / "out", ".."),
    ):
        with pytest.raises(InputError):
            exporting.target(desk, {"form": "", "folder": str(folder), "name": name})
    with pytest.raises(UsageError, match="form"):
        exporting.target(desk, {"form": "nothing"})


def test_marks_of_frames_follow_the_settings(desk: Desk) -> None:
    key = matted(desk)
    assert desk.state()["done"] == list(range(SPAN[0], SPAN[1] + 1))
    desk.edit({"edit": "knob", "name": "shrink", "value": 1.0})
    found = desk.state()
    assert found["key"] != key
    assert (found["done"], len(found["stale"])) == ([], 3)
    desk.edit({"edit": "undo"})
    assert len(desk.state()["done"]) == 3


def test_several_objects_have_a_file_each_where_a_file_has_one_matte(
    desk: Desk, tmp_path: Path
) -> None:
    desk.session.apply({"edit": "set", "model": "click"})
    for name, place in (("ball", centre(FIRST)), ("ground", (300, 20))):
        desk.session.apply({"edit": "object_add", "name": name})
        desk.session.apply(
            {"edit": "click", "frame": FIRST, "object": name, "x": place[0], "y": place[1]}
        )
    for form, expected in (
        ("alpha.png", "m.{object}.####.png"),
        ("movie.mkv", "m.{object}.mkv"),
        ("nuke.exr", "m.####.exr"),
        ("over.mp4", "m.mp4"),
    ):
        runs, asked = Started(), {"form": form, "folder": str(tmp_path / "out"), "name": "m"}
        exporting.export(desk, runs, asked, SPAN)  # type: ignore[arg-type]
        assert Path(runs.asked[0][2]).name == expected
        assert expected in exporting.command(desk, asked, SPAN)["command"]
    asked = {"form": "nuke.exr", "folder": str(tmp_path / "out"), "name": "m.{object}"}
    assert "m.{object}.####.exr" in exporting.command(desk, asked, SPAN)["command"]


def test_several_objects_have_a_share_each(desk: Desk) -> None:
    """Their names may hold a dash, which a layer's name does not."""
    desk.session.apply({"edit": "set", "model": "click"})
    x, y = centre(FIRST)
    for name, place in (("the-ball", (x, y)), ("ground", (300, 20))):
        desk.session.apply({"edit": "object_add", "name": name})
        desk.session.apply(
            {"edit": "click", "frame": FIRST, "object": name, "x": place[0], "y": place[1]}
        )
    key = matted(desk)
    import cv2

    planes = {}
    for name in ("the-ball", "ground"):
        data, _ = desk.results.picture(key, FIRST, f"object.{name}", 0, desk.plate)
        planes[name] = cv2.imdecode(np.frombuffer(data, np.uint8), -1)
    assert (planes["the-ball"][y, x], planes["ground"][y, x]) == (255, 0)
    assert planes["ground"][20, 300] == 255
    with pytest.raises(InputError, match="no object"):
        desk.results.picture(key, FIRST, "object.nobody", 0, desk.plate)


def test_a_kept_matte_is_what_was_shown(desk: Desk) -> None:
    key = matted(desk)
    painting.from_matte(desk, FIRST, key, "key")
    import cv2

    kept = cv2.imread(str(desk.session.folder / f"keys/key.{FIRST}.png"), cv2.IMREAD_UNCHANGED)
    alpha = desk.results.shown(key, FIRST).alpha
    assert kept.dtype == np.uint16
    assert np.abs(kept / 65535 - alpha).max() < 1e-4
    assert desk.results.value(key, FIRST, 10, 10)["alpha"] == alpha[10, 10]


def test_pictures_are_as_large_as_the_page_asks(desk: Desk) -> None:
    import cv2

    key = matted(desk)
    for width, size in ((160, (90, 160)), (0, SIZE), (9999, SIZE)):
        for data, kind in (
            desk.plate.picture(FIRST, width),
            desk.results.picture(key, FIRST, "alpha", width, desk.plate),
            desk.results.picture(key, FIRST, "foreground", width, desk.plate),
        ):
            assert kind in ("image/webp", "image/png")
            assert cv2.imdecode(np.frombuffer(data, np.uint8), -1).shape[:2] == size
    exact = cv2.imdecode(np.frombuffer(desk.plate.picture(FIRST, 0)[0], np.uint8), -1)
    plate = cv2.imread(str(desk.plate.clip.files()[FIRST]))
    assert np.array_equal(exact, plate)  # an sRGB plate goes through unchanged
