# SPDX-License-Identifier: Apache-2.0
"""Hints that do not fit the frame any more are told of: once a shot, with frame and advice."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes import MatteNode, ModelCard, Prediction
from matte_nodes.node.hint_meaning import InputWarning
from matte_nodes.node.hints import trimap_from_matte
from matte_nodes.render.progress import JsonLines
from matte_nodes.render.render import Render
from tests.made import attributes_of
from tests.test_align import noisy, textured

SIZE = (240, 320)


def disc(x: float, arm: float = 0.0) -> np.ndarray:
    """A subject at x, with an arm to the right of this length: (H, W) 0..1, soft at its edge."""
    mask = np.zeros(SIZE, np.float32)
    cv2.circle(mask, (round(x), 120), 50, 1.0, -1)
    if arm:
        cv2.rectangle(mask, (round(x), 105), (round(x + 50 + arm), 135), 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 1.5)


def plates(masks: list[np.ndarray]) -> np.ndarray:
    """A clip whose red is the mask."""
    return np.stack([np.dstack([mask, mask * 0.5, 1 - mask]) for mask in masks])


class Red:
    """Alpha is the plate's red."""

    def step(self, inputs: Any, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        return Prediction(np.ascontiguousarray(inputs.plate[..., 0])), {}


RED = ModelCard("red", "Red", "Red.", lambda context: Red(), takes=frozenset({"trimap"}))


def told(shot: Any) -> list[str]:
    """The warnings of a straight render."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in shot.render():
            pass
    return [str(one.message) for one in found if issubclass(one.category, InputWarning)]


def test_a_held_segmentation_that_cuts_an_arm_is_told_once() -> None:
    clip = plates([disc(120), disc(120, 10), disc(120, 60), disc(120, 70)])
    shot = MatteNode(RED).connect(
        clip, segmentation={1: disc(120)}, hint_keys="hold", colorspace="sRGB"
    )
    (text,) = told(shot)
    assert text.startswith("Frame 3 of ")
    assert "segmentation of frame 1 does not fit frame 3" in text
    assert "--segmentation-margin" in text
    assert shot.notices.summary() == ["The segmentation does not fit in 2 frames: 3-4."]


def test_a_held_segmentation_that_fits_is_not_told_of() -> None:
    clip = plates([disc(120), disc(126), disc(130)])
    shot = MatteNode(RED).connect(clip, segmentation=disc(120), colorspace="sRGB")
    assert told(shot) == []


def test_a_segmentation_of_the_frame_itself_may_cut() -> None:
    clip = plates([disc(120, 60), disc(120, 60)])
    shot = MatteNode(RED).connect(clip, segmentation=[disc(120), disc(120)], colorspace="sRGB")
    assert told(shot) == []


def test_a_second_person_outside_the_segmentation_is_no_complaint() -> None:
    clip = plates([np.maximum(disc(70), disc(240))] * 2)
    shot = MatteNode(RED).connect(clip, segmentation=disc(70), colorspace="sRGB")
    assert told(shot) == []


def test_a_held_trimap_that_the_subject_leaves_is_told_of() -> None:
    clip = plates([disc(120), disc(123), disc(150)])
    shot = MatteNode(RED).connect(
        clip, trimap={1: trimap_from_matte(disc(120), 8)}, hint_keys="hold", colorspace="sRGB"
    )
    (text,) = told(shot)
    assert "trimap of frame 1 does not fit frame 3" in text
    assert "--refine" in text


def test_a_clean_plate_that_does_not_fit_is_in_output_json_and_provenance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for frame in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"p.{frame}.png"), noisy(textured(), frame)[..., ::-1])
    cv2.imwrite(str(tmp_path / "clean.png"), noisy(textured(seed=7), 9)[..., ::-1])
    render = Render(
        str(tmp_path / "p.#.png"), str(tmp_path / "m.#.exr"), "green-screen", knobs={}, node={},
        connect={"background": str(tmp_path / "clean.png")},
    )  # fmt: skip
    render.run(None, None, JsonLines())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    texts = [event["message"] for event in events if event["event"] == "warning"]
    assert texts[0].startswith("Frame 1 of ")
    assert "the clean plate does not fit: the plate shows 0% of its details" in texts[0]
    assert texts[1:] == ["The background does not fit in 3 frames: 1-3."]
    assert "does not fit" in attributes_of(tmp_path / "m.2.exr")["matte/warnings"]


def test_a_still_is_warned_of_too() -> None:
    with pytest.warns(InputWarning, match="clean plate does not fit"):
        MatteNode("green-screen")(noisy(textured(), 1), background=noisy(textured(seed=7), 2))
