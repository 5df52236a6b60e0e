# SPDX-License-Identifier: Apache-2.0
"""`auto` looks at a plate without hints, and empty mattes are remarked on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.render import coverage as coverage_module
from matte_nodes.render.coverage import Coverage
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from matte_nodes.shot import chain as chain_module
from matte_nodes.shot import choose_model as auto
from matte_nodes.shot import look as module
from matte_nodes.shot.look import Seen, judged, look, screen_of
from tests.made import attributes_of, plate_sequence

CALLS: list[str] = []


class Sees:
    """A model that answers a disc, as sure of it as it was told to be."""

    def __init__(self, name: str, strength: float) -> None:
        self._name, self._strength = name, strength

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        CALLS.append(self._name)
        height, width = inputs.plate.shape[:2]
        y, x = np.mgrid[0:height, 0:width]
        inside = np.hypot(y - height / 2, x - width / 2) < min(height, width) / 3
        return Prediction(np.where(inside, self._strength, 0).astype(np.float32)), {}


def card(name: str, strength: float, **more: Any) -> ModelCard:
    def load(context: LoadContext) -> Sees:
        return Sees(name, strength)

    return ModelCard(
        name=name, title=name, summary="A stand-in.", load=load, papers=("none",), **more
    )


SALIENT = card("sees-things", 1.0)


def disc(strength: float, part: float = 1.0) -> np.ndarray:
    mask = np.zeros((60, 60), np.float32)
    mask[10 : 10 + int(40 * part), 10:50] = strength
    return mask


@pytest.mark.parametrize(
    ("people", "salient", "expected"),
    [
        (disc(1), disc(1), True),  # both the same, and sure
        (disc(0.6), disc(1), False),  # half sure: an animal
        (disc(0), disc(1), False),  # nothing: a thing
        (disc(1, 0.5), disc(0), True),  # sure, of what does not stand out
        (disc(1, 0.02) * 0, disc(0), False),  # an empty place
    ],
)
def test_what_two_masks_say(people: np.ndarray, salient: np.ndarray, expected: bool) -> None:
    assert judged(people, salient).people == expected


def test_half_sure_people_must_be_what_stands_out() -> None:
    people = disc(1)
    people[10:20, 10:50] = 0.6  # three quarters are certain
    assert judged(people, disc(1)).people
    other = np.zeros((60, 60), np.float32)
    other[:, :30] = 1
    assert not judged(people, other).people


def place(colour: tuple[float, float, float], uneven: float = 0.0) -> np.ndarray:
    """A picture before one colour, with a grey subject that touches the lower border."""
    picture = np.full((60, 80, 3), colour, np.float32)
    picture += np.linspace(-uneven, uneven, 60, dtype=np.float32)[:, None, None]
    picture[20:, 34:46] = 0.5
    return picture


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (place((0.1, 0.7, 0.2)), "green"),
        (place((0.35, 0.55, 0.35), 0.05), "green"),  # dull, unevenly lit
        (place((0.1, 0.2, 0.7)), "blue"),
        (place((0.3, 0.4, 0.2)), ""),  # leaves
        (place((0.2, 0.5, 0.1), 0.3), ""),  # a lawn in sun and shadow
        (place((0.5, 0.7, 0.9)), ""),  # a sky
        (place((0.5, 0.5, 0.5)), ""),
    ],
)
def test_a_screen_is_seen(picture: np.ndarray, expected: str) -> None:
    assert screen_of(picture) == expected


def test_a_sky_over_a_street_is_no_blue_screen() -> None:
    picture = place((0.2, 0.4, 0.8))
    picture[40:] = 0.4
    assert screen_of(picture) == ""


def test_a_plate_before_a_screen_names_the_keyer(tmp_path: Path) -> None:
    import cv2

    codes = (255 * place((0.1, 0.2, 0.7))[..., ::-1]).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), codes)
    arguments = {"node": {}, "knobs": {}, "connect": {}}
    seen = look(str(tmp_path / "p.png"), card("sees-people", 1.0), SALIENT, **arguments)
    assert "--model green-screen --screen blue" in seen.why("a", "b")
    assert "screen" not in Seen(True, 1, 1.0, 1.0).why("a", "b")


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_the_look_at_a_clip(strength: float, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path, 5, size=(48, 64))
    people = card("sees-people", strength)
    seen = look(str(plate), people, SALIENT, node={}, knobs={}, connect={})
    assert seen.people == (strength == 1.0)
    assert seen.frame == 1003  # the middle, whatever part of the clip a farm's chunk renders
    assert ("no people" in seen.why("a", "b")) == (strength != 1.0)
    assert "frame 1003 shows" in seen.why("a", "b")
    still = look(str(tmp_path / "plate.1001.exr"), people, SALIENT, node={}, knobs={}, connect={})
    assert "the picture shows" in still.why("a", "b")


def test_a_second_look_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATTE_CACHE", str(tmp_path / "cache"))
    plate = plate_sequence(tmp_path / "in", 2, size=(48, 64))
    people, arguments = card("sees-people", 1.0), {"node": {}, "knobs": {}}
    CALLS.clear()
    first = look(str(plate), people, SALIENT, connect={"cache": "states"}, **arguments)
    assert CALLS == ["sees-people", "sees-things"]
    again = look(str(plate), people, SALIENT, connect={"cache": "states"}, **arguments)
    assert again == first
    assert len(CALLS) == 2
    monkeypatch.setattr(module, "RULE", 99)
    look(str(plate), people, SALIENT, connect={"cache": "states"}, **arguments)
    assert len(CALLS) == 4
    exposed = {"exposure": 1.0}  # another view is another picture
    look(str(plate), people, SALIENT, connect={"cache": "states"}, node={}, knobs=exposed)
    assert len(CALLS) == 6


def _able(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(auto, "is_ready", lambda card: card.name in names)


@pytest.mark.parametrize("people", [True, False])
def test_auto_goes_by_the_look(people: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    _able(monkeypatch, "rvm", "u2netp", "trimap-cues", "closed-form-refined")
    asked: list[tuple[str, str]] = []

    def seen(first: ModelCard, second: ModelCard) -> Seen:
        asked.append((first.name, second.name))
        return Seen(people, 7, 0.9, 0.9)

    choice = auto.choose(set(), look=seen)
    assert asked == [("rvm", "u2netp")]
    assert choice.model == ("rvm" if people else "u2netp")
    assert (choice.refine is None) == people  # a coarse mask is refined
    assert "frame 7 shows" in choice.sentence


def test_auto_does_not_look_where_hints_say_what_the_subject_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _able(monkeypatch, "closed-form-refined", "rvm", "u2netp")

    def seen(first: ModelCard, second: ModelCard) -> Seen:
        raise AssertionError("it looked")

    assert auto.choose({"trimap"}, look=seen).model == "closed-form-refined"
    assert auto.choose(set(), live=True, look=seen).model == "rvm"


def test_auto_without_a_salient_model_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _able(monkeypatch, "rvm")
    choice = auto.choose(set(), look=lambda a, b: Seen(False, 1, 0, 0))
    assert choice.model == "rvm"
    assert "matte models pull u2netp" in choice.why


def test_auto_without_a_people_model_takes_the_salient_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _able(monkeypatch, "u2netp")
    assert auto.choose(set(), look=lambda a, b: Seen(True, 1, 0, 0)).model == "u2netp"


class Told(Quiet):
    """A reporter that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.remarks: list[str] = []
        self.notes: list[str] = []

    def start(self, total: int, **facts: Any) -> None:
        super().start(total, **facts)
        self.notes = facts["notes"]

    def warn(self, text: str) -> None:
        self.remarks.append(text)


def test_the_choice_is_printed_and_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _able(monkeypatch, "rvm", "u2netp")
    monkeypatch.setattr(
        chain_module, "look", lambda *args, **more: Seen(False, 1001, 0.1, 0.0)
    )  # fmt: skip
    # a model that runs everywhere stands in for the one that was chosen
    monkeypatch.setattr(
        auto, "_first",
        lambda job, hints: auto.models.card("green-screen" if job == "anything" else "rvm"),
    )  # fmt: skip
    plate = plate_sequence(tmp_path / "in", 1, size=(48, 64))
    report = Told()
    asked = Render(
        str(plate),
        str(tmp_path / "m.####.exr"),
        "auto",
        knobs={},
        node={"device": "cpu"},
        connect={},
    )
    asked.run(None, None, report)
    assert any("auto: green-screen, because frame 1001 shows no people" in n for n in report.notes)
    facts = attributes_of(tmp_path / "m.1001.exr")
    assert facts["matte/auto"].startswith("auto: green-screen, because frame 1001")


@pytest.mark.parametrize(("empty", "hinted"), [(True, False), (False, False), (True, True)])
def test_an_empty_automatic_matte_is_remarked_on(
    empty: bool, hinted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only without hints: a hint says what the subject is, and it may be out of the picture."""
    plate = plate_sequence(tmp_path / "in", 2, size=(48, 64))
    monkeypatch.setattr(coverage_module, "NOTHING", 1.1 if empty else 0.0)
    monkeypatch.setattr(coverage_module, "EVERYTHING", 2.0)
    mask = np.ones((48, 64), np.float32)
    report = Told()
    Render(
        str(plate), str(tmp_path / "m.####.exr"), "green-screen", knobs={}, node={"device": "cpu"},
        connect={"segmentation": mask} if hinted else {},
    ).run(None, None, report)  # fmt: skip
    assert bool(report.remarks) == (empty and not hinted)
    if report.remarks:
        assert "green-screen covers almost nothing: it found no subject" in report.remarks[0]


def test_remarks_count_frames() -> None:
    coverage = Coverage()
    for frame, value in ((1, 0.0), (2, 0.95), (3, 0.0), (4, 1.0)):
        coverage.add(frame, np.full((4, 4), value, np.float32))
    nothing, everything = coverage.remarks("rvm")
    assert "almost nothing" in nothing
    assert "2 of 4 frames (1,3)" in nothing
    assert "1 of 4 frames (4)" in everything
    whole = Coverage()
    whole.add(1, np.zeros((4, 4), np.float32))
    assert "almost nothing" in whole.remarks("rvm")[0]
    assert not Coverage().remarks("rvm")


@pytest.mark.parametrize(("soft", "told"), [(50, False), (70, True)])
def test_a_matte_that_is_soft_nearly_all_over_is_remarked_on(soft: int, told: bool) -> None:
    alpha = np.zeros((10, 20), np.float32)
    alpha[:, :10] = 1
    alpha[:, :10].flat[:soft] = 0.4
    coverage = Coverage()
    coverage.add(1001, alpha)
    assert [("unsure" in one) for one in coverage.remarks("u2netp")] == [True] * told
