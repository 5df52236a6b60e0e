# SPDX-License-Identifier: Apache-2.0
"""The trainer: a training that was cut off ends with the same bits; bad numbers stop it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from matte_nodes.models import cues
from matte_nodes.node.hints import trimap_from_matte
from matte_nodes.train import objectives, stacks, systems
from matte_nodes.train.data import Material, make_samples
from matte_nodes.train.recipe import Recipe
from matte_nodes.train.run import build, heldout_batches, stage_plan
from matte_nodes.train.trainer import Batch, Progress, Schedule, TrainingError, TrainingPlan, train

from . import shots
from .made import tiny


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _plan(recipe: Recipe, folder: Path) -> tuple[torch.nn.Module, TrainingPlan]:
    for part in ("train", "heldout"):
        make_samples(recipe, Material(), part, folder / part)  # type: ignore[arg-type]
    held = heldout_batches(recipe, stacks.read_stacks(folder / "heldout", recipe.task))
    network = build(recipe)
    return network, stage_plan(recipe, recipe.stages[0], folder / "train", held, network)


class KilledError(Exception):
    """Stands for kill -9 right after a checkpoint."""


def test_a_training_killed_and_resumed_ends_with_the_same_bits(tmp_path: Path) -> None:
    recipe = tiny(steps=8, schedule={"every": 4})
    whole_folder, cut_folder = tmp_path / "whole", tmp_path / "cut"
    whole_folder.mkdir()
    cut_folder.mkdir()
    network, plan = _plan(recipe, tmp_path)
    whole = train(network, plan, whole_folder)

    def kill(progress: Progress) -> None:
        raise KilledError

    network, plan = _plan(recipe, tmp_path)
    with pytest.raises(KilledError):
        train(network, plan, cut_folder, kill)
    torch.manual_seed(1234)  # whatever the new process starts with must not matter
    network, plan = _plan(recipe, tmp_path)
    resumed = train(network, plan, cut_folder)
    assert resumed.step == whole.step == 8
    assert resumed.best == whole.best
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
    first, second = ((f / "state.safetensors").read_bytes() for f in (whole_folder, cut_folder))
    assert first == second


def test_a_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    network, plan = _plan(tiny(steps=2), tmp_path)
    train(network, plan, tmp_path)
    network = build(tiny(steps=2))
    other = dataclasses.replace(plan, facts={"recipe": "another"})
    with pytest.raises(TrainingError, match="a different recipe"):
        train(network, other, tmp_path)


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    network = torch.nn.Linear(1, 1)
    plan = TrainingPlan(
        batch=lambda step: {"x": torch.tensor([[float("nan")]])},
        objective=lambda net, batch: {"total": net(batch["x"]).sum()},
        schedule=Schedule(steps=2),
    )
    with pytest.raises(TrainingError, match="not finite"):
        train(network, plan)


def test_patience_ends_a_training_and_the_best_weights_are_answered() -> None:
    scores = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    kept: list[torch.Tensor] = []

    def validate(network: torch.nn.Module) -> float:
        kept.append(network.weight.detach().clone())  # type: ignore[operator, union-attr]
        return next(scores)

    plan = TrainingPlan(
        batch=lambda step: {"x": torch.full((4, 1), float(step + 1))},
        objective=lambda net, batch: {"total": (net(batch["x"]) - 2).square().mean()},
        schedule=Schedule(steps=6, every=1, average=0.5),
        validate=validate,
        patience=2,
    )
    outcome = train(torch.nn.Linear(1, 1), plan)
    assert outcome.stopped_early
    assert (outcome.step, outcome.best) == (4, 1.0)
    assert torch.equal(outcome.network.weight, kept[1])  # type: ignore[arg-type]


def two_composites(task: str) -> Batch:
    """Two composites that no generator makes: what they look like does not change with it."""
    planes, alphas = [], []
    for frame, part in ((1, np.s_[:, :64]), (6, np.s_[:, 32:])):
        plate = np.ascontiguousarray(shots.plate(frame)[part]) / np.float32(255)
        alpha = np.ascontiguousarray(shots.alpha(frame)[part])
        none = np.full(alpha.shape, -1, np.float32)
        if task == "trimap":
            seen = cues.planes(plate, trimap_from_matte(alpha, 8.0))
            # The colours that the cues carry over are wrong on purpose: they are to be overruled.
            seen[..., 3:15] = seen[::-1, :, 3:15]
        else:
            seen = np.dstack((plate, shots.background(frame + 3)[part] ** 1.3))
        planes.append(np.dstack((seen, none)))
        alphas.append(alpha)
    first, second = (torch.from_numpy(np.stack(x).astype(np.float32)) for x in (planes, alphas))
    return {"planes": first.permute(0, 3, 1, 2).contiguous(), "alpha": second[:, None]}


@pytest.mark.parametrize("task", ["trimap", "plate"])
def test_overfit_on_two_composites(task: str) -> None:
    recipe, same = tiny(task), two_composites(task)
    objective = objectives.SystemObjective(systems.find(recipe.network), recipe.stages[0].losses)
    network = build(recipe)
    start = float(objective(network, same)["alpha"].detach())
    schedule = Schedule(300, 1e-2, average=0.9, every=300, decay=0.0)
    outcome = train(network, TrainingPlan(lambda step: same, objective, schedule))
    # As it was trained: statistics of batches, which an average of so few steps lags behind.
    end = float(objective(outcome.network.train(), same)["alpha"].detach())
    assert end < 0.03, (start, end)
    assert end < 0.2 * start


@pytest.mark.parametrize("task", ["trimap", "plate"])
def test_gradients_are_finite_and_reach_every_weight(task: str, tmp_path: Path) -> None:
    network, plan = _plan(tiny(task), tmp_path)
    # At first the last layer is zero and hides the others: two steps on, all of them learn.
    network = train(network, dataclasses.replace(plan, schedule=Schedule(steps=2))).network
    network.train().requires_grad_(True)
    plan.objective(network, plan.batch(0))["total"].backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
