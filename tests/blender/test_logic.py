# SPDX-License-Identifier: Apache-2.0
"""The add-on's own logic, as plain Python: no Blender is run here."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from matte_nodes import models
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.service import client

PLUGIN = Path(__file__).parents[2] / "plugins" / "blender"
sys.path.insert(0, str(PLUGIN))
sys.modules["matte_nodes_blender.matte_client"] = client  # the installer copies it there

declarations, environment, folders, handover, job, knobs, mapping, plan, setup, state = (
    importlib.import_module("matte_nodes_blender." + name)
    for name in (
        "declarations", "environment", "folders", "handover", "job", "knobs", "mapping", "plan",
        "setup", "state",
    )
)  # fmt: skip
Trouble = importlib.import_module("matte_nodes_blender.trouble").Trouble
FOUND = {
    "version": "1.2.3", "models": [card.as_dict() for card in models.cards()],
    "knobs": [knob.as_dict() for knob in NODE_KNOBS],
}  # fmt: skip
ALL = declarations.Declarations(FOUND)


# What Blender 3.4.1 and 5.0.1 showed, file numbers by scene frame.
@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((4, 1, 2, False), {1: 3, 2: 4, 3: 5, 4: 6, 5: 6, 19: 6, 0: 2, -3: 2}),
        ((4, 10, 2, False), {10: 3, 11: 4, 12: 5, 13: 6, 14: 6, 9: 2}),
        ((4, 10, 4, True), {-3: 8, -1: 6, 0: 7, 1: 8, 2: 5, 9: 8, 10: 5, 13: 8, 14: 5, 19: 6}),
        ((4, 1, 2, True), {-3: 3, -1: 5, 0: 6, 1: 3, 4: 6, 5: 3, 19: 5}),
    ],
)
def test_image_frames_as_measured(numbers: tuple[Any, ...], shown: dict[int, int]) -> None:
    frames = mapping.ImageFrames(*numbers)
    assert {frame: frames.number(frame) for frame in shown} == shown


@pytest.mark.parametrize(
    ("start", "offset", "shown"),
    [
        (1, 0, {0: 3, 1: 4, 5: 8}), (10, 0, {9: 3, 10: 4, 14: 8}), (1, 2, {-1: 4, 1: 6, 3: 8}),
        (5, -1, {5: 3, 6: 4, 10: 8}),
    ],
)  # fmt: skip
def test_clip_frames_as_measured(start: int, offset: int, shown: dict[int, int]) -> None:
    frames = mapping.ClipFrames(5, start, offset, 4)
    assert {frame: frames.number(frame) for frame in shown} == shown


@pytest.mark.parametrize(
    ("name", "number", "path"),
    [
        ("a.0001.exr", 12, "a.0012.exr"), ("v2_a.9.png", 10, "v2_a.10.png"), ("0100.exr", 7, "0007.exr"),
        ("shot12_left.exr", 3, "shot03_left.exr"), ("a.0001.exr", 12345, "a.12345.exr"),
    ],
)  # fmt: skip
def test_names_of_a_sequence(name: str, number: int, path: str) -> None:
    found = mapping.sequence("/d/" + name)
    assert found is not None
    assert found.path(number) == "/d/" + path
    assert mapping.sequence("/d/plate.mp4") is None, "the 4 is no frame"


def test_files_that_are_there(tmp_path: Path) -> None:
    names = ("a.0001.exr", "a.0002.exr", "a.10000.exr", "a.00003.exr", "b.0004.exr", "a.x.exr")
    for name in names:
        (tmp_path / name).touch()
    found = mapping.sequence(str(tmp_path / "a.0001.exr"))
    assert sorted(found.there()) == [1, 2, 10000]


def test_a_name_that_the_library_would_read_otherwise_is_linked(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"take#3.{number:04d}.exr").touch()
    media = handover.Media(
        "sequence", str(tmp_path / "take#3.0001.exr"), "Linear", mapping.ImageFrames(2, 1, 0)
    )
    found = handover.handed("plate", handover.Source(media), 1, 2)
    assert found.how == "links"
    assert sorted(found.files) == [1, 2]


def test_what_is_in_doubt_is_rendered(tmp_path: Path) -> None:
    for name in ("a.0001.exr", "a.0002.exr", "m.mkv", "a.0001.cin"):
        (tmp_path / name).touch()
    frames = mapping.ImageFrames(2, 1, 0)

    def how(name: str, kind: str, path: str, doubt: str = "", **more: Any) -> str:
        media = handover.Media(
            kind, str(tmp_path / path), "sRGB", more.get("frames", frames), doubt
        )
        return str(handover.handed(name, handover.Source(media), 1, 2).how)

    assert how("plate", "sequence", "a.0001.exr") == "file"
    assert how("background", "sequence", "a.0001.exr") == "file"
    assert how("trimap", "sequence", "a.0001.exr") == "render"
    assert how("segmentation", "still", "a.0001.exr") == "render"
    assert how("plate", "sequence", "a.0001.exr", "its Alpha is taken") == "render"
    assert how("plate", "movie", "m.mkv") == "render"
    assert how("plate", "still", "a.0001.cin") == "render"
    graph = handover.Source(None, "abc")
    assert handover.handed("plate", graph, 1, 2).how == "render"


def test_the_range_is_where_something_moves() -> None:
    def source(*numbers: Any) -> Any:
        media = handover.Media("sequence", "/p.0001.exr", "sRGB", mapping.ImageFrames(*numbers))
        return handover.Source(media)

    still = handover.Source(handover.Media("still", "/p.exr", "sRGB"))
    plate = source(100, 1, 0)
    assert handover.moving([plate, still], 1, 250) == (1, 100)
    assert handover.moving([plate], 20, 50) == (20, 50)
    assert handover.moving([plate, source(50, 101, 0)], 1, 250) == (1, 150)
    assert handover.moving([source(10, 1, 0, True)], 1, 250) == (1, 250)
    assert handover.moving([plate, handover.Source(None, "x")], 1, 250) == (1, 250)
    assert handover.moving([plate], 200, 250) == (200, 250), "outside of it all is as asked"


COLOUR = plan.Colour("scene_linear", "/blender/config.ocio")


def planned(tmp_path: Path, **asked: Any) -> Any:
    for number in range(1, 7):
        (tmp_path / f"p.{number:04d}.exr").touch()
    media = handover.Media(
        "sequence", str(tmp_path / "p.0001.exr"), "Linear", mapping.ImageFrames(6, 1, 0)
    )
    sources = asked.pop("sources", {"plate": handover.Source(media)})
    frame = asked.pop("frame", None)
    usual = {
        "model": "green-screen", "values": "", "device": "", "base": str(tmp_path / "matte"),
        "name": "Matte", "first": 1, "last": 250,
    }  # fmt: skip
    return plan.BakePlan(plan.BakeRequest(**{**usual, **asked}), ALL, sources, COLOUR, frame)


def test_the_request(tmp_path: Path) -> None:
    made = planned(tmp_path)
    request = made.request({"plate": ("/p.####.exr", "Linear")}, cut=True)
    assert request["frames"] == [1, 6]
    assert request["layout"] == "blender"
    assert request["output_colorspace"] == "scene_linear"
    assert request["node"] == {"device": "auto", "ocio": "/blender/config.ocio"}
    assert request["connect"] == {"colorspace": "Linear"}, "a still model needs no start"
    assert request["knobs"]["screen"] == "green"
    from matte_nodes.service.request import checked

    asked = checked({**request, "cwd": str(tmp_path)})
    assert (asked.first, asked.last, asked.model) == (1, 6, "green-screen")


def test_a_memory_starts_where_the_node_says(tmp_path: Path) -> None:
    made = planned(tmp_path, model="rvm", first=3)
    request = made.request({"plate": ("/p.####.exr", "Linear")}, cut=True)
    assert (request["connect"]["start"], request["connect"]["warm_up"]) == (3, 0)
    alone = planned(tmp_path, model="rvm", first=2, frame=4)
    assert alone.shot == (2, 6), "the frames before are needed too"
    assert planned(tmp_path, frame=4).shot == (4, 4)
    steady = planned(tmp_path, frame=4, values='{"*/steady": 0.5}')
    assert steady.shot == (1, 6), "steadying sees the neighbours"


def test_other_settings_another_folder(tmp_path: Path) -> None:
    usual = planned(tmp_path).folder
    assert planned(tmp_path, last=3).folder == usual, "a longer range goes on in it"
    assert planned(tmp_path, device="cpu").folder == usual
    assert planned(tmp_path, model="selfie").folder != usual
    assert planned(tmp_path, values='{"*/feather": 2.0}').folder != usual
    assert planned(tmp_path, values='{"*/feather": 0.0}').folder == usual, "that is the default"
    graph = {"plate": handover.Source(None, "print")}
    assert planned(tmp_path, sources=graph).folder != usual
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert Path(planned(moved).folder).name == Path(usual).name, "a project that was moved"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sources": {}}, "Nothing is connected"),
        ({"model": ""}, "No model"),
        ({"model": "closed-form"}, "needs a trimap"),
        ({"first": 9, "last": 3}, "ends before it begins"),
        ({"frame": 9}, "outside of the range 1-6"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(Trouble, match=said):
        planned(tmp_path, **asked)


def test_a_still_is_one_frame(tmp_path: Path) -> None:
    (tmp_path / "one.exr").touch()
    still = handover.Source(handover.Media("still", str(tmp_path / "one.exr"), "Linear"))
    made = planned(tmp_path, sources={"plate": still})
    assert (made.still, made.first, made.last) == (True, 1, 1)
    assert made.handed()["plate"].path == str(tmp_path / "one.exr")
    moving = planned(tmp_path).sources["plate"]
    both = {"plate": still, "segmentation": moving}
    made = planned(tmp_path, sources=both)
    assert (made.first, made.last) == (1, 6)
    assert made.handed()["plate"].how == "links", "one picture, a file for each frame"


RECORD = state.Record("s", 1, 4, False, (("plate", "a"),), True)
NOW = state.Now("s", 1, 4, False, (("plate", "a"),))


@pytest.mark.parametrize(
    ("change", "kind", "wrong"),
    [
        ({}, "done", False),
        ({"there": {1, 2}}, "partial", True),
        ({"there": set()}, "error", True),
        ({"linked": False}, "none", True),
        ({"linked": False, "error": "no"}, "error", True),
        ({"error": "no"}, "error", False),
        ({"now": NOW._replace(settings="t")}, "stale", True),
        ({"now": NOW._replace(stamps=(("plate", "b"),))}, "stale", True),
        ({"now": NOW._replace(last=6)}, "partial", True),
        ({"now": NOW._replace(last=3)}, "done", False),
        ({"now": NOW._replace(trouble="no file")}, "error", False),
        ({"record": RECORD._replace(whole=False)}, "stale", True),
        ({"running": ("baking", 2, 4)}, "running", True),
    ],
)
def test_states(change: dict[str, Any], kind: str, wrong: bool) -> None:
    given = {"record": RECORD, "now": NOW, "there": {1, 2, 3, 4}, "linked": True, **change}
    found = state.state(
        given["record"], given["now"], given["there"], linked=given["linked"],
        error=given.get("error", ""), running=given.get("running"),
    )  # fmt: skip
    assert (found.kind, found.wrong) == (kind, wrong), found


def test_a_record_comes_back_and_a_damaged_one_is_none() -> None:
    assert state.Record.read(RECORD.text()) == RECORD
    for text in ("", "{", "[]", '{"settings": 1}'):
        assert state.Record.read(text) == state.Record()


def test_every_declared_knob_has_a_face() -> None:
    names = [name for name, _, _ in knobs.every(ALL)]
    assert len(names) == len(set(names))
    expected = sum(len(card.knobs) for card in models.cards()) + len(NODE_KNOBS)
    assert len(names) == expected
    for _, _, knob in knobs.every(ALL):
        kind, told = knobs.face(knob)
        assert told["description"]
        assert not told["description"].endswith(".")
        if kind in ("int", "float"):
            assert told["min"] <= told["default"] <= told["max"]
        if kind == "enum":
            assert knob["default"] in [item[0] for item in told["items"]]


def test_declarations_come_back_from_a_file() -> None:
    again = declarations.Declarations.read(ALL.text())
    assert again.text() == ALL.text()
    assert len(ALL.text()) < 60_000, "it lies in every .blend"
    for text in ("", "{", "[1]", '{"models": 3}'):
        assert not declarations.Declarations.read(text)


def test_two_environments_are_merged() -> None:
    old = {
        "version": "1.0", "models": [{"name": "mine", "title": "Mine", "knobs": []}],
        "knobs": [{"name": "blur", "kind": "float", "default": 0.0, "help": "Old."}],
    }  # fmt: skip
    new = {"models": [], "knobs": [
        {"name": "feather", "kind": "float", "default": 0.0, "help": "New.", "aliases": ["blur"]},
    ]}  # fmt: skip
    both = declarations.merged([declarations.Declarations(new), declarations.Declarations(old)])
    assert list(both.cards) == ["mine"]
    assert [knob["name"] for knob in both.shared] == ["feather"], "blur is its old name"


def test_numbers_are_kept_within_what_is_declared() -> None:
    knob = {"name": "k", "kind": "float", "default": 1.0, "low": 0.1, "high": 2.0, "aliases": ["j"]}
    assert knobs.legal(knob, 0.10000000149011612) == 0.1
    assert knobs.legal(knob, 9) == 2.0
    assert knobs.legal(knob, "x") == 1.0
    text = knobs.with_value('{"m/j": 0.5}', "m", knob, 1.5)
    assert knobs.read(text) == {"m/k": 1.5}, "the old name is gone"
    assert knobs.value({"m/j": 0.5}, "m", knob) == 0.5
    assert knobs.read("{") == knobs.read("[1]") == {}


def test_long_names_of_third_parties_fit() -> None:
    name = knobs.face_name("a-model-with-a-very-long-name-indeed-" * 2, "and_a_long_knob")
    other = knobs.face_name("a-model-with-a-very-long-name-indeed-" * 2, "and_a_long_knot")
    assert len(name) <= 63
    assert name != other
    assert name.isidentifier()


def test_which_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATTE_PYTHON", raising=False)
    monkeypatch.delenv("MATTE_HOME", raising=False)
    note = tmp_path / "install.json"
    with pytest.raises(Trouble, match="No Python is set"):
        setup.setup("", "", str(note))
    noted = {"python": sys.executable, "environment": {"MATTE_HOME": "/noted"}}
    note.write_text(json.dumps(noted))
    assert setup.setup("", "", str(note)) == (sys.executable, "/noted")
    own = tmp_path / "python"
    own.touch()
    assert setup.setup(str(own), "/mine", str(note)) == (str(own), "/mine")
    monkeypatch.setenv("MATTE_PYTHON", sys.executable)
    assert setup.setup(str(own), "", str(note)).python == sys.executable
    monkeypatch.setenv("MATTE_PYTHON", "/nowhere")
    with pytest.raises(Trouble, match="no Python at /nowhere"):
        setup.setup("", "", str(note))


class Line:
    """A client whose events are given."""

    def __init__(self, *events: Any) -> None:
        self.said, self.cancelled = events, ""

    def submit(self, request: Any) -> str:
        return "job"

    def events(self, name: str) -> Any:
        for event in self.said:
            if isinstance(event, Exception):
                raise event
            yield event

    def cancel(self, name: str) -> bool:
        self.cancelled = name
        return True


def followed(*events: Any) -> Any:
    made = job.Job(Line(*events), {})
    for _ in itertools.count():
        made.wait(0.2)
        if made.state:
            return made
    raise AssertionError


def event(kind: str, **facts: Any) -> dict[str, Any]:
    return {"event": kind, **facts}


def test_a_job_is_followed_over_a_death_of_the_service() -> None:
    start = event("start", total=3, model="rvm", done_before=2, notes=["n"])
    again = event("start", total=2, model="rvm", done_before=3)
    frames = [event("frame", frame=n) for n in (3, 4, 5)]
    made = followed(
        event("queued", ahead=1), start, frames[0], event("resumed"), again, *frames[1:],
        event("done"),
    )  # fmt: skip
    assert made.frames == [3, 4, 5]
    assert made.total == 3
    assert (made.state, made.notes) == ("done", [])


def test_what_a_thread_hits_is_told() -> None:
    made = followed(event("start", total=3, model="rvm"), RuntimeError("the line is cut"))
    assert (made.state, made.message) == ("error", "the line is cut")
    assert followed(event("error", message="no weights")).message == "no weights"


def test_links_carry_the_scene_s_numbers(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"a")
    target = tmp_path / "inputs"
    target.mkdir()
    pattern = folders.link_inputs(str(target), "plate", {7: str(source), 8: str(source)})
    assert os.path.basename(pattern) == "plate.####.png"
    assert (target / "plate.0007.png").read_bytes() == b"a"
    assert sorted(p.name for p in target.iterdir()) == ["plate.0007.png", "plate.0008.png"]


def test_a_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(folders.os, "symlink", refuse)
    monkeypatch.setattr(folders.os, "link", refuse)
    test_links_carry_the_scene_s_numbers(tmp_path)


def test_versions_are_compared_by_release() -> None:
    assert environment.versions_differ("0.1.7", "0.1.0") == ""
    assert "0.2.0" in environment.versions_differ("0.2.0", "0.1.0")


def test_declarations_of_an_older_blend_ask_for_too_many_frames_rather_than_too_few(
    tmp_path: Path,
) -> None:
    old = [{k: v for k, v in vars(knob).items() if k != "neighbours"} for knob in NODE_KNOBS]
    known = declarations.Declarations({**FOUND, "knobs": old})
    assert known.is_still("green-screen", {"steady": 0.0})
    assert not known.is_still("green-screen", {"steady": 0.5})
    assert not known.is_still("green-screen", {"gamma": 2.0}), "not known: so taken to be so"
    title = {knob["name"]: knob["title"] for knob in known.shared}
    assert title["black_point"] == "Black point"
