# SPDX-License-Identifier: Apache-2.0
"""Every network by every recipe of it: it overfits, its gradients are finite, it can be started."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from matte_nodes import checkpoints, models
from matte_nodes.errors import UsageError, WeightsError
from matte_nodes.train import hints, losses, objectives, recipe, stacks, systems
from matte_nodes.train.data import Material, maker
from matte_nodes.train.run import begin_with, build, run
from matte_nodes.train.trainer import Batch, Schedule, TrainingError, train

SIDE = 32
PUBLISHED = [name for name in recipe.names() if recipe.find(name).task == "layers"]
SEEDS = {"deep-image-matting", "mmnet", "background-matting", "adamatting", "gfm"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@cache
def composites() -> np.ndarray:
    """Two composites of solid things, as samples of task "layers"."""
    tried = recipe.trial(recipe.find("mmnet"), side=SIDE)
    make = maker(recipe.parse({**tried.source, "foregrounds": {"solid": 1.0}}), Material(), "train")
    return np.stack([make(3, number) for number in range(2)])


def batch() -> Batch:
    return stacks.layers(torch.from_numpy(composites()).permute(0, 3, 1, 2).float() / 255)


def test_every_seed_system_has_a_recipe() -> None:
    assert {recipe.find(name).network for name in PUBLISHED} == SEEDS


@pytest.mark.parametrize("name", PUBLISHED)
def test_overfit_on_two_composites_by_the_recipe_s_losses(name: str) -> None:
    tried = recipe.trial(recipe.find(name), side=SIDE)
    system, same = systems.find(tried.network), batch()
    torch.manual_seed(0)
    network = system.make(tried.width, tried.options)
    start = objectives.mean_error(network.eval(), [same], system)
    for stage in tried.stages:
        plan = stage_plan_of(tried, stage, network)
        # Deep Image Matting has no normalisation: at 1e-3 two of four seeds stick at 0.13, at 3e-4
        # all four end below 0.025.
        slow = recipe.find(name).network == "deep-image-matting"
        first, later, rate = (150, 120, 3e-4) if slow else (95, 80, 5e-3)
        steps = first if stage is tried.stages[0] else 10 if stage.only else later
        plan.schedule = Schedule(steps, rate, average=0.9, every=steps, decay=0.0)
        network = train(network, plan).network.train().requires_grad_(True)
    # Batch normalisation in evaluation mode lags behind so short a training.
    end = objectives.mean_error(network, [same], system)
    assert end < 0.06, (start, end)
    assert end < 0.15 * start


def stage_plan_of(tried: recipe.Recipe, stage: recipe.Stage, network: torch.nn.Module):  # type: ignore[no-untyped-def]
    """The recipe's own plan of a stage, always on the same two composites, never validated."""
    system = systems.find(tried.network)
    from matte_nodes.train.trainer import TrainingPlan

    chosen = [
        p for n, p in network.named_parameters() if not stage.only or n.startswith(stage.only)
    ]
    objective = objectives.SystemObjective(system, stage.losses)
    return TrainingPlan(lambda step: batch(), objective, stage.schedule, parameters=chosen)


@pytest.mark.parametrize("name", PUBLISHED)
def test_gradients_are_finite_and_reach_every_weight_of_the_stage(name: str) -> None:
    tried = recipe.trial(recipe.find(name), side=SIDE)
    system = systems.find(tried.network)
    torch.manual_seed(0)
    network = system.make(tried.width, tried.options)
    reached: set[str] = set()
    for stage in tried.stages:
        network.zero_grad(set_to_none=True)
        found = objectives.SystemObjective(system, stage.losses)(network, batch())
        found["total"].backward()  # type: ignore[no-untyped-call]
        for key, parameter in network.named_parameters():
            if parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all(), key
                reached.add(key)
    # What the published networks carry and never use: the classifier of GFM's backbone.
    left = {key for key, _ in network.named_parameters()} - reached
    assert all(".fc." in key for key in left), sorted(left)[:5]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_recipe_can_be_started_and_its_weights_are_recognised(
    name: str, tmp_path: Path
) -> None:
    tried = recipe.trial(recipe.find(name), side=SIDE)
    outcome = run(tried, tmp_path)
    assert outcome.step == 2
    assert (tmp_path / f"stage-{len(tried.stages)}" / "heldout.png").is_file()
    network, found = checkpoints.load(tmp_path / "weights.safetensors", models.architectures())
    assert found.model == tried.network
    assert found.options["width"] == pytest.approx(tried.width)
    inner = systems.inner(outcome.network)
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, inner.state_dict()[key]), key


def test_a_two_stage_recipe_killed_in_its_second_stage_resumes_to_the_same_bits(
    tmp_path: Path,
) -> None:
    tried = recipe.trial(recipe.find("deep-image-matting"), side=SIDE)
    whole = run(tried, tmp_path / "whole")
    seen = []

    def kill(progress: object) -> None:
        seen.append(progress)
        if len(seen) == 3:  # the first check of the second stage
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tried, tmp_path / "cut", say=kill)
    torch.manual_seed(77)
    resumed = run(tried, tmp_path / "cut")
    for key, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[key]), key


def test_the_refinement_stage_leaves_the_encoder_and_decoder_alone(tmp_path: Path) -> None:
    found = recipe.find("deep-image-matting")
    assert [stage.only for stage in found.stages] == [(), ("refine_",), ()]
    tried = recipe.trial(found, side=SIDE)
    torch.manual_seed(0)
    network = systems.find(tried.network).make(tried.width)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    plan = stage_plan_of(tried, tried.stages[1], network)
    after = train(network, plan).network.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all(key.startswith("refine_") for key in moved)


def test_a_network_begins_with_what_fits_of_a_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tried = recipe.trial(recipe.find("gfm"), side=SIDE)
    network = build(tried)
    given = {
        key.removeprefix("resnet."): torch.full_like(tensor, 0.25).contiguous()
        for key, tensor in network.state_dict().items()
        if key.startswith("resnet.") and tensor.is_floating_point()
    }
    save_file(given, tmp_path / "resnet.safetensors")
    said = begin_with(network, tmp_path / "resnet.safetensors")
    assert f"{len(given)} of" in said
    assert all((network.state_dict()[f"resnet.{key}"] == 0.25).all() for key in given)
    save_file({"strange": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="none of its 1 tensors"):
        begin_with(network, tmp_path / "other.safetensors")


def test_a_loss_of_another_network_is_refused_by_name() -> None:
    source = dict(recipe.find("mmnet").source)
    stage = {**source["stages"][0], "losses": {"adaptation": 1.0}}
    with pytest.raises(UsageError, match="'adaptation'"):
        recipe.parse({**source, "stages": [stage]})
    stage["losses"] = {"foreground": 1.0}
    bad = recipe.trial(recipe.parse({**source, "stages": [stage]}), side=SIDE)
    system = systems.find("mmnet")
    with pytest.raises(UsageError, match="no foreground to train"):
        objectives.SystemObjective(system, bad.stages[0].losses)(system.make(1.0), batch())


def test_the_layers_of_a_sample_are_what_their_names_say() -> None:
    found = batch()
    made = found["alpha"] * found["foreground"] + (1 - found["alpha"]) * found["background"]
    assert (made - found["plate"]).abs().max() < 3 / 255
    assert set(found["trimap"].unique().tolist()) <= {0.0, 0.5, 1.0}
    assert (found["alpha"][found["trimap"] == 1] > 0.99).all()
    assert not torch.equal(found["clean"], found["background"])
    assert (found["clean"] - found["background"]).abs().mean() < 0.15


def test_the_motion_stack_moves_the_subject_and_not_the_background() -> None:
    rng = np.random.default_rng(4)
    front, back = np.ones((64, 64, 3), np.float32), np.zeros((64, 64, 3), np.float32)
    alpha = np.zeros((64, 64), np.float32)
    alpha[20:40, 20:40] = 1
    stack = hints.motion_stack(rng, front, alpha, back)
    assert stack.shape == (64, 64, 4)
    assert stack[:8].max() < 0.01
    for index in range(4):
        assert stack[..., index].sum() == pytest.approx(400, rel=0.25)
        assert np.abs(stack[..., index] - alpha).sum() > 5


def test_the_classes_of_the_glance_follow_the_paper() -> None:
    alpha = torch.zeros(1, 1, 80, 80)
    alpha[..., 40:] = 1
    found = objectives.transition(alpha, reach=12)[0, 0, 5]
    assert found[:28].eq(0).all()
    assert found[28:52].eq(1).all()
    assert found[52:].eq(2).all()


def test_fidelity_is_nought_for_the_true_alpha_and_grows_with_the_error() -> None:
    true = torch.rand(1, 1, 8, 8)
    shares = torch.cat((1 - true, true), 1).clamp(1e-6, 1)
    assert losses.fidelity(shares.log(), true).abs() < 1e-5
    wrong = torch.full_like(shares, 0.5).log()
    assert losses.fidelity(wrong, torch.ones_like(true)).item() == pytest.approx(0.6931, abs=1e-3)


def test_learned_task_weights_are_trained_with_the_network() -> None:
    tried = recipe.trial(recipe.find("adamatting"), side=SIDE)
    network = systems.find("adamatting").make(tried.width)
    plan = stage_plan_of(tried, tried.stages[0], network)
    after = train(network, plan).network
    assert not torch.equal(after.log_sigmas, torch.zeros(2))  # type: ignore[arg-type]
    assert "log_sigmas" not in systems.inner(after).state_dict()


def test_a_constant_rate_stays_after_the_warm_up_and_adam_is_not_adamw() -> None:
    flat = Schedule(100, 1e-3, fall="constant", warm_up=0.1)
    assert flat.rate_at(10) == flat.rate_at(99) == 1e-3
    line = Schedule(100, 1e-3, fall="line", warm_up=0.0, final=0.0)
    assert line.rate_at(50) == pytest.approx(1e-3 * (1 - 49 / 99), rel=0.02)
    assert "fall" not in Schedule(3).facts()
    assert flat.facts()["fall"] == "constant"


def test_a_slower_part_has_its_own_rate() -> None:
    from matte_nodes.train.trainer import TrainingPlan

    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
    before = [p.detach().clone() for p in network.parameters()]
    plan = TrainingPlan(
        lambda step: {"x": torch.ones(1, 1)},
        lambda net, b: {"total": net(b["x"]).sum()},
        Schedule(1, 1e-2, warm_up=0.0, average=0.0, decay=0.0),
        slower={"1.": 0.1},
    )
    after = list(train(network, plan).network.parameters())
    steps = [float((a - b).abs().max()) for a, b in zip(after, before, strict=True)]
    assert steps[2] == pytest.approx(0.1 * steps[0], rel=0.05)


def test_a_training_whose_loss_is_not_finite_says_so(tmp_path: Path) -> None:
    tried = recipe.trial(recipe.find("mmnet"), side=SIDE)
    network = build(tried)
    with torch.no_grad():
        next(iter(network.parameters())).fill_(float("nan"))
    plan = stage_plan_of(tried, tried.stages[0], network)
    with pytest.raises(TrainingError, match="not finite"):
        train(network, plan)
