# SPDX-License-Identifier: Apache-2.0
"""Losses: worked values of the papers' equations, zero for the truth, finite gradients."""

from __future__ import annotations

import math

import pytest
import torch

from matte_nodes.train import losses

TRUE = torch.rand((2, 1, 32, 32), generator=torch.Generator().manual_seed(0))
FRONT = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(1))
BACK = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    "loss",
    [
        losses.alpha_prediction,
        losses.alpha_l1,
        losses.alpha_l2,
        losses.laplacian_pyramid,
        losses.gradient,
    ],
)
def test_alpha_losses_are_least_for_the_truth_and_their_gradients_are_finite(loss: object) -> None:
    pred = (TRUE + 0.1).requires_grad_(True)
    value = loss(pred, TRUE)  # type: ignore[operator]
    assert value > loss(TRUE, TRUE)  # type: ignore[operator]
    for start in (pred, TRUE.clone().requires_grad_(True)):
        loss(start, TRUE).backward()  # type: ignore[operator]
        assert start.grad is not None
        assert torch.isfinite(start.grad).all()


@pytest.mark.parametrize(
    "loss", [losses.alpha_prediction, losses.alpha_l1, losses.alpha_l2, losses.laplacian_pyramid]
)
def test_only_what_counts_counts(loss: object) -> None:
    where = torch.zeros_like(TRUE)
    where[..., :8] = 1
    elsewhere = TRUE + 0.5 * (1 - where)
    assert loss(elsewhere, TRUE, where) < 1e-5  # type: ignore[operator]
    assert loss(TRUE + 0.5 * where, TRUE, where) > 0.1  # type: ignore[operator]


def test_alpha_prediction_is_the_charbonnier_mean() -> None:
    pred, true = torch.tensor([[[[0.5, 0.2]]]]), torch.tensor([[[[0.2, 0.2]]]])
    assert losses.alpha_prediction(pred, true).item() == pytest.approx((0.3 + 1e-6) / 2, abs=1e-6)


def test_compositional_is_the_error_of_the_recomposed_plate() -> None:
    plate = TRUE * FRONT + (1 - TRUE) * BACK
    assert losses.compositional(TRUE, plate, FRONT, BACK) < 2e-6
    moved = losses.compositional(TRUE + 0.1, plate, FRONT, BACK)
    assert moved.item() == pytest.approx(0.1 * (FRONT - BACK).abs().mean().item(), rel=1e-3)


def test_a_step_of_one_has_the_gradient_error_of_one_pixel_each_side() -> None:
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1
    # Sobel / 8 sees half of the step in each of the two columns beside it.
    assert losses.gradient(step, torch.zeros_like(step)).item() == pytest.approx(2 * 0.5 / 8)


def test_task_weights_follow_the_paper_s_equation() -> None:
    sigma_t, sigma_a = 0.5, 0.25
    logs = torch.tensor([math.log(sigma_t), math.log(sigma_a)])
    found = losses.task_weighted(torch.tensor(0.3), torch.tensor(0.1), logs)
    expected = 0.3 / (2 * sigma_t**2) + 0.1 / sigma_a + math.log(2 * sigma_t * sigma_a)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_trimap_adaptation_is_cross_entropy() -> None:
    logits = torch.zeros(1, 3, 4, 4)
    classes = torch.ones(1, 4, 4, dtype=torch.int64)
    assert losses.trimap_adaptation(logits, classes).item() == pytest.approx(math.log(3))


def test_temporal_coherence_is_zero_for_a_constant_error() -> None:
    before = TRUE.flip(-1)
    assert losses.temporal_coherence(TRUE + 0.2, before + 0.2, TRUE, before) < 1e-10
    assert losses.temporal_coherence(TRUE + 0.2, before, TRUE, before) > 0.03


def test_least_squares_losses_have_their_optimum_at_one_and_zero() -> None:
    one, nought = torch.ones(2, 1), torch.zeros(2, 1)
    assert losses.least_squares_discriminator(one, nought) == 0
    assert losses.least_squares_discriminator(nought, one) == 1
    assert losses.least_squares_generator(one) == 0


def test_the_teacher_holds_alpha_foreground_and_composite() -> None:
    plate = TRUE * FRONT + (1 - TRUE) * BACK
    assert losses.teacher(TRUE, FRONT, TRUE, FRONT, plate, BACK) < 1e-6
    assert losses.teacher(TRUE * 0.5, FRONT, TRUE, FRONT, plate, BACK) > 0.1


@pytest.mark.parametrize("reach", [1, 3, 12])
def test_the_largest_within_is_a_square_window_s_maximum(reach: int) -> None:
    values = torch.rand(2, 1, 37, 50, generator=torch.Generator().manual_seed(reach))
    window = torch.nn.functional.max_pool2d(values, 2 * reach + 1, 1, reach)
    assert torch.equal(losses.largest_within(values, reach), window)
