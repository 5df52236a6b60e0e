# SPDX-License-Identifier: Apache-2.0
"""Steadying: off is off bit for bit, flicker falls, edges stay, order never matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes import Inputs, MatteNode, ModelCard, Prediction
from matte_nodes.errors import UsageError
from matte_nodes.evaluate.dataset import find_items
from matte_nodes.evaluate.metrics import dtssd, mad
from matte_nodes.evaluate.report import format_table, report
from matte_nodes.evaluate.run import evaluate_items
from matte_nodes.temporal.steady import carry, small_codes, steadied_alpha
from tests.made import write_image
from tests.temporal.rig import same, straight

SIZE = (144, 192)
COUNT = 9


def frames() -> tuple[list[Any], list[Any]]:
    """Plates of a patterned disc that moves over a patterned wall, and its true alphas."""
    rng = np.random.default_rng(0)
    wall = cv2.GaussianBlur(rng.random((*SIZE, 3), np.float32), (0, 0), 3) * 0.8
    skin = cv2.GaussianBlur(rng.random((*SIZE, 3), np.float32), (0, 0), 3) * 0.8 + 0.2
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    plates, alphas = [], []
    for number in range(COUNT):
        centre = (60 + 5 * number, 72 + 2 * number)
        distance = np.hypot(x - centre[0], y - centre[1])
        alpha = np.clip((40 - distance) / 6 + 0.5, 0, 1).astype(np.float32)
        moved = np.roll(skin, (2 * number, 5 * number), (0, 1))
        plates.append(moved * alpha[..., None] + wall * (1 - alpha[..., None]))
        alphas.append(alpha)
    return plates, alphas


PLATES, ALPHAS = frames()


class Flickers:
    """The true alpha, its soft edge brighter and darker from frame to frame, and noise."""

    def step(self, inputs: Inputs, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        # Which frame this is: by its picture, as a step knows nothing else.
        number = int(np.argmin([np.abs(inputs.plate - seen).mean() for seen in SEEN]))
        rng = np.random.default_rng(number)
        edge = 4 * ALPHAS[number] * (1 - ALPHAS[number])
        wrong = edge * (rng.normal(0, 0.12) + rng.normal(0, 0.05, SIZE))
        return Prediction(np.clip(ALPHAS[number] + wrong, 0, 1).astype(np.float32)), {}


CARD = ModelCard("flickers", "Flickers", "Flickers.", lambda context: Flickers())
SEEN = [MatteNode(CARD).plate_color("scene_linear").to_network(plate) for plate in PLATES]


def scores(mattes: Any) -> tuple[float, float]:
    """Mean dtSSD and mean absolute difference."""
    made = [mattes[number].alpha for number in range(1, COUNT + 1)]
    pairs = [dtssd(made[n], made[n - 1], ALPHAS[n], ALPHAS[n - 1]) for n in range(1, COUNT)]
    return float(np.mean(pairs)), float(
        np.mean([mad(a, t) for a, t in zip(made, ALPHAS, strict=True)])
    )  # type: ignore[arg-type]


def test_steadying_halves_the_flicker_and_costs_no_accuracy() -> None:
    before = scores(straight(MatteNode(CARD), PLATES))
    after = scores(straight(MatteNode(CARD, steady=1.0), PLATES))
    print(f"dtSSD {before[0]:.3f} -> {after[0]:.3f}, MAD {before[1]:.5f} -> {after[1]:.5f}")
    assert after[0] < 0.5 * before[0]
    assert after[1] < before[1]


def test_7_eval_prints_the_flicker_before_and_after(tmp_path: Path) -> None:
    for number, (plate, alpha) in enumerate(zip(PLATES, ALPHAS, strict=True), start=1):
        for role, pixels in (("plate", plate.astype(np.float16)), ("alpha", alpha)):
            folder = tmp_path / role / "disc"
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / f"f.{number:04d}.exr", pixels)
    found = {}
    for steady in (0.0, 1.0):
        steps = []
        node = MatteNode(CARD, steady=steady)
        step = node.model.step
        node.model.step = lambda *a, step=step, steps=steps: steps.append(0) or step(*a)  # type: ignore[method-assign,func-returns-value]
        ((name, found[steady]),) = evaluate_items(node, find_items(tmp_path))
        assert name == "disc"
        assert len(steps) == COUNT  # nothing is stepped twice for it
    before, after = found[1.0]["whole"]["dtssd_before"], found[1.0]["whole"]["dtssd"]
    assert before == pytest.approx(found[0.0]["whole"]["dtssd"])
    assert after < before / 2
    header, row, *_ = format_table(report({"disc": found[1.0]}))
    assert float(row[header.index("dtssd_before")]) == pytest.approx(before, rel=1e-3)
    assert "dtssd_before" not in format_table(report({"disc": found[0.0]}))[0]


def test_zero_is_the_same_bits() -> None:
    plain = straight(MatteNode(CARD), PLATES)
    zero = straight(MatteNode(CARD, steady=0.0), PLATES)
    assert all(same(plain[number], zero[number]) for number in plain)
    alpha = ALPHAS[3]
    other = [(ALPHAS[4], small_codes(SEEN[4]))]
    assert np.array_equal(steadied_alpha(alpha, small_codes(SEEN[3]), other, 0.0), alpha)


def test_what_is_solid_everywhere_stays_solid() -> None:
    mattes = straight(MatteNode(CARD, steady=1.0), PLATES)
    always = np.min(ALPHAS, axis=0) == 1
    never = cv2.dilate(np.max(ALPHAS, axis=0), np.ones((25, 25))) == 0
    for matte in mattes.values():
        assert (matte.alpha[always] == 1).all()
        assert (matte.alpha[never] == 0).all()


def test_motion_is_followed() -> None:
    carried, fit = carry(ALPHAS[4], small_codes(SEEN[4]), small_codes(SEEN[3]))
    edge = (ALPHAS[3] > 0) & (ALPHAS[3] < 1)
    still = np.abs(ALPHAS[4] - ALPHAS[3])[edge].mean()
    assert np.abs(carried - ALPHAS[3])[edge].mean() < 0.25 * still
    assert 0 <= fit.min() <= fit.max() <= 1


def test_motion_that_only_colour_shows_is_not_mixed() -> None:
    """A grey coat before a green screen of the same brightness: the flow is blind there."""
    pair = []
    for left in (20, 26):
        plate = np.empty((60, 80, 3), np.float32)
        plate[:] = (0.16, 0.745, 0.235)
        plate[15:, left : left + 30] = (0.52, 0.52, 0.52)
        alpha = np.zeros((60, 80), np.float32)
        alpha[15:, left : left + 30] = 1
        pair.append((alpha, small_codes(plate)))
    (before, seen), (alpha, here) = pair
    steady = steadied_alpha(alpha, here, [(before, seen)], 1.0)
    assert np.abs(steady - alpha).max() < 0.05


def test_another_take_is_not_mixed_in() -> None:
    node = MatteNode(CARD, steady=1.0)
    cut = straight(node, PLATES, cuts=[5])
    first = straight(node, PLATES[:4])
    assert same(cut[4], first[4])
    assert not same(cut[4], straight(node, PLATES)[4])


@pytest.mark.parametrize("mode", ["memory", "off"])
def test_any_order_and_one_step_a_frame(mode: str) -> None:
    node = MatteNode(CARD, steady=0.7)
    expected = straight(node, PLATES)
    shot = node.connect(PLATES, cache=mode)
    for number in (5, 2, 9, 4, 1, 7):
        assert same(shot.at(number), expected[number]), number
    rendered = node.connect(PLATES, cache=mode)
    assert all(same(matte, expected[number]) for number, matte in rendered.render())
    assert rendered.steps == COUNT
    if mode == "memory":
        assert shot.steps == COUNT


def test_small_plates_are_taken_as_not_moving() -> None:
    small = np.zeros((3, 5, 3), np.uint8)
    carried, fit = carry(np.ones((3, 5), np.float32), small, small)
    assert (carried == 1).all()
    assert (fit == 1).all()


def test_a_live_picture_has_no_next_frame() -> None:
    with pytest.raises(UsageError, match="next frame"):
        MatteNode(CARD, steady=0.5).stream()
