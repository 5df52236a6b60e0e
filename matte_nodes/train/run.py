# SPDX-License-Identifier: Apache-2.0
"""Runs a recipe: makes samples, trains its stages and writes the best weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes.errors import UsageError, WeightsError
from matte_nodes.train import objectives, stacks, state, systems
from matte_nodes.train.data import Material, make_samples
from matte_nodes.train.recipe import Recipe, Stage
from matte_nodes.train.salient import without_subjects
from matte_nodes.train.trainer import Batch, Outcome, Progress, TrainingPlan, train
from matte_nodes.whole_files import append, write_bytes

if TYPE_CHECKING:
    from torch import nn


def build(recipe: Recipe) -> nn.Module:
    """Return the recipe's network, its first weights by the seed of the first stage."""
    import torch

    torch.manual_seed(recipe.stages[0].schedule.seed)
    return systems.find(recipe.network).make(recipe.width, recipe.options)


def run(
    recipe: Recipe,
    folder: Path,
    material: Material | None = None,
    say: Callable[[Progress], None] = lambda progress: None,
    tell: Callable[[str], None] = lambda message: None,
    start: Path | None = None,
) -> Outcome:
    """Make the samples that are missing, train every stage, and write `weights.safetensors`.

    folder: holds samples/, heldout/, one folder a stage, progress.jsonl, pictures of the held-out
    samples as the network has them at each check. What is there is gone on with. start: a weights
    file that the network begins with, as far as names and shapes agree. Raises TrainingError,
    InputError, UsageError.
    """
    material = without_subjects(material or Material(), recipe.data.plain, tell)
    network = build(recipe)
    if start is not None:
        tell(begin_with(network, start))
    make_samples(recipe, material, "heldout", folder / "heldout", tell)
    held = heldout_batches(recipe, stacks.read_stacks(folder / "heldout", recipe.task))
    outcome: Outcome | None = None
    for index, stage in enumerate(recipe.stages):
        place = folder / f"stage-{index + 1}"
        place.mkdir(parents=True, exist_ok=True)
        own = recipe.for_stage(stage)
        samples = folder / ("samples" if own is recipe else f"samples-{index + 1}")
        make_samples(own, material, "train", samples, tell)
        first = None if own is recipe else folder / "samples"
        plan = stage_plan(recipe, stage, samples, held, network, first)
        outcome = train(
            network, _with_pictures(plan, recipe, held, place), place, _reporter(place, say)
        )
        network = outcome.network.train().requires_grad_(True)
    assert outcome is not None  # a recipe has a stage
    facts = {"recipe": recipe.digest, "title": recipe.title, "network": recipe.network,
             "width": recipe.width, "score": outcome.best}  # fmt: skip
    final, system = systems.inner(outcome.network), systems.find(recipe.network)
    marks = systems.marks(final, system.architecture)
    if system.side:
        # A network that is asked at a square of its own size should be asked at this one.
        marks["matte_nodes.side"] = str(recipe.stages[-1].crop)
    state.save(folder / "weights.safetensors", final.state_dict(), facts, marks)
    return outcome


def begin_with(network: nn.Module, path: Path) -> str:
    """Fill a network from a weights file where names (behind any prefix) and shapes agree.

    For encoders that were trained on ImageNet, and for going on from a stage of one's own. Answers
    what was done. Raises WeightsError when nothing fits.
    """
    import torch

    from matte_nodes.checkpoints import read_tensors

    given, found = read_tensors(path), {}
    for name, own in network.state_dict().items():
        parts = name.split(".")
        for start in range(len(parts)):
            tensor = given.get(".".join(parts[start:]))
            if tensor is not None and tensor.shape == own.shape:
                found[name] = tensor.to(own.dtype)
                break
    if not found:
        raise WeightsError(
            f"{path}: none of its {len(given)} tensors fits this network. Choose the weights of "
            "this network."
        )
    with torch.no_grad():
        network.load_state_dict(found, strict=False)
    return f"{path.name}: {len(found)} of {len(network.state_dict())} tensors filled"


def stage_plan(
    recipe: Recipe,
    stage: Stage,
    samples: Path,
    held: list[Batch],
    network: nn.Module,
    before: Path | None = None,
) -> TrainingPlan:
    """Return the plan of one stage over a folder of samples, and of those of the stage before."""
    batches = stacks.Batches(
        recipe.task,
        stacks.read_stacks(samples, recipe.task),
        stage.crop,
        stage.batch,
        stage.schedule.seed,
        stage.without,
        stacks.read_stacks(before, recipe.task) if before and stage.before else (),
        stage.before if before else 0.0,
    )
    parameters = None
    if stage.only:
        parameters = [p for n, p in network.named_parameters() if n.startswith(stage.only)]
        if not parameters:
            raise UsageError(f"No parameter of {recipe.network} begins with {stage.only}.")
    system = systems.find(recipe.network)
    return TrainingPlan(
        batches,
        objectives.SystemObjective(system, stage.losses),
        stage.schedule,
        lambda average: objectives.mean_error(average, held, system),
        parameters=parameters,
        facts={"recipe": recipe.digest},
    )


def heldout_batches(recipe: Recipe, found: list[Any]) -> list[Batch]:
    """Held-out samples as batches of four, whole: once with the optional hint, once without."""
    import numpy as np
    import torch

    batches: list[Batch] = []
    for stack in found:
        for start in range(0, len(stack), 4):
            part = torch.from_numpy(np.array(stack[start : start + 4]))
            values = part.permute(0, 3, 1, 2).float().div_(255)
            if recipe.task == "layers":
                batches.append(stacks.layers(values))
                continue
            planes, alpha = values[:, :-1].clone(), values[:, -1:].clone()
            if recipe.task == "trimap":
                planes[:, 15:16] = torch.round(planes[:, 15:16] * 2) / 2
            if start % 8:
                planes[:, -1] = -1
            batches.append({"planes": planes, "alpha": alpha})
    return batches


def _with_pictures(
    plan: TrainingPlan, recipe: Recipe, held: list[Batch], place: Path
) -> TrainingPlan:
    """Return the plan, writing what the network makes of the first held-out samples at each check."""
    score = plan.validate
    if score is None or not held:
        return plan

    def validate(average: nn.Module) -> float:
        import cv2
        import torch

        system = systems.find(recipe.network)
        with torch.inference_mode():
            alpha = system.answer(average, held[0]).alpha
        plate = held[0]["planes"][:, :3] if "planes" in held[0] else held[0]["plate"]
        rows = torch.cat(
            (plate, *(a.float().expand(-1, 3, -1, -1) for a in (alpha, held[0]["alpha"]))), 2
        )
        sheet = (
            torch.cat(list(rows), 2).permute(1, 2, 0).clamp(0, 1).mul(255).round().byte().numpy()
        )
        done, data = cv2.imencode(".png", sheet[..., ::-1].copy())
        if done:
            write_bytes(place / "heldout.png", data.tobytes())
        return score(average)

    return replace(plan, validate=validate)


def _reporter(place: Path, say: Callable[[Progress], None]) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        line = {"step": progress.step, "score": progress.score, **progress.losses}
        append(place / "progress.jsonl", json.dumps(line) + "\n")
        say(progress)

    return report
