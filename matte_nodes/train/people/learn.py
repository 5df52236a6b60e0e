# SPDX-License-Identifier: Apache-2.0
"""Trainings on people and animals: recipes, batches that are made while the network learns, losses.

A stage is a training of `matte_nodes.train.trainer`: it saves weights, average, optimiser and step,
and goes on after it was killed, with the same bits.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import UsageError
from matte_nodes.train import hints, losses, state, systems
from matte_nodes.train.people.clips import clip
from matte_nodes.train.people.composites import Composer, Mix, Sample
from matte_nodes.train.people.pool import Folders, PicturePool, read
from matte_nodes.train.trainer import Batch, Progress, Schedule, TrainingPlan, train

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class PeopleStage:
    """One stage of a training.

    side: of the pictures, in pixels. batch: pictures (or clips) of a step. losses: weights by name.
    frozen: beginnings of the names of parameters that stay as they are. frames: of a clip, for a
    network with a memory.
    """

    side: int
    batch: int
    losses: Mapping[str, float]
    schedule: Schedule
    mix: Mix
    frozen: tuple[str, ...] = ()
    frames: int = 1


@dataclass(frozen=True)
class PeopleRecipe:
    """A training on people from its first stage to its last.

    encoders: names in `matte_nodes.train.encoders` that the network's encoder
    begins as, one after the other (a later one may fill a part). heldout: how many held-out samples. options:
    further arguments of the network's `build`.
    """

    title: str
    network: str
    width: float
    encoders: tuple[str, ...]
    heldout: int
    mix: Mix
    stages: tuple[PeopleStage, ...]
    source: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 of the recipe's content; comments and spacing do not count."""
        import hashlib

        return hashlib.sha256(json.dumps(self.source, sort_keys=True).encode()).hexdigest()


def names() -> list[str]:
    """Return the recipes of the package that train on people and animals."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str) -> PeopleRecipe:
    """Return a recipe of the package by its name, or a TOML file.

    Raises UsageError when there is none.
    """
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"There is no recipe {name!r} for people. Those of the package are "
            f"{', '.join(names())}. You may also give the path of a TOML file."
        )
    return parse(tomllib.loads(path.read_text(encoding="utf-8")))


def parse(source: Mapping[str, Any]) -> PeopleRecipe:
    """Return a recipe from its parsed TOML.

    Raises UsageError that names the field that is wrong.
    """
    known = {"title", "network", "width", "options", "encoder", "heldout", "mix", "stages"}
    strays = sorted(set(source) - known)
    if strays:
        raise UsageError(f"A recipe for people has no field {strays[0]!r}: use {sorted(known)}.")
    for name in ("title", "network", "stages"):
        if not source.get(name):
            raise UsageError(f"A recipe for people has no {name!r}. Add it.")
    mix = _mix(Mix(), source.get("mix", {}))
    try:
        stages = tuple(_stage(mix, stage) for stage in source["stages"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"A stage of the recipe is wrong: {error}. See docs/people.md.") from error
    return PeopleRecipe(
        str(source["title"]), str(source["network"]), float(source.get("width", 1.0)),
        _several(source.get("encoder", ())), int(source.get("heldout", 96)), mix, stages, source,
        dict(source.get("options", {})),
    )  # fmt: skip


def _stage(mix: Mix, stage: Mapping[str, Any]) -> PeopleStage:
    return PeopleStage(
        int(stage["side"]),
        int(stage["batch"]),
        dict(stage["losses"]),
        Schedule(**stage["schedule"]),
        _mix(mix, stage.get("mix", {})),
        tuple(stage.get("frozen", ())),
        int(stage.get("frames", 1)),
    )


def _mix(base: Mix, values: Mapping[str, float]) -> Mix:
    known = {item.name for item in fields(Mix)}
    strays = sorted(set(values) - known)
    if strays:
        raise UsageError(f"[mix] has no field {strays[0]!r}: use {sorted(known)}.")
    return replace(base, **values)


def planes(recipe: PeopleRecipe, rng: np.random.Generator, sample: Sample) -> dict[str, Any]:
    """Return a sample's layers by name, with the hints that the network sees, (H, W, C) float32
    0..1.
    """
    found = dict(sample._asdict())
    alpha = sample.alpha[..., 0]
    wanted = systems.find(recipe.network).hints
    if "trimap" in wanted:
        side = len(alpha)
        found["trimap"] = hints.trimap(rng, alpha, narrow=1.0, wide=side / 8, whole=0.2)
    if "background" in wanted:
        now, clean = hints.imperfect_clean_plate(rng, sample.background, alpha)
        found["background"], found["clean"] = now, clean
        found["plate"] = sample.foreground * sample.alpha + now * (1 - sample.alpha)
        found["segmentation"] = hints.soft_segmentation(rng, alpha)
        motion = hints.motion_stack(rng, sample.foreground, alpha, now)
        found["motion"] = motion
    return {n: v[..., None] if v.ndim == 2 else v for n, v in found.items()}


def batch(recipe: PeopleRecipe, composer: Composer, seed: int, first: int, size: int) -> Batch:
    """Return samples `first` to `first + size` of a seed, each layer (N, C, H, W)."""
    import torch

    layers: list[dict[str, Any]] = []
    for number in range(first, first + size):
        rng = np.random.default_rng([seed, number, 1])
        layers.append(planes(recipe, rng, composer(seed, number)))
    return {
        name: torch.from_numpy(
            np.stack([each[name] for each in layers]).astype(np.float32).transpose(0, 3, 1, 2)
        ).contiguous()
        for name in layers[0]
    }


def made(
    recipe: PeopleRecipe, stage: PeopleStage, composer: Composer, seed: int, first: int, size: int
) -> Batch:
    """Return a batch of the kind that a stage's network learns from: pictures, or clips."""
    if systems.find(recipe.network).task == "clips":
        return clip_batch(composer, seed, first, size, stage.frames)
    return batch(recipe, composer, seed, first, size)


def clip_batch(composer: Composer, seed: int, first: int, size: int, frames: int) -> Batch:
    """Return clips `first` to `first + size` of a seed, each layer (T, N, C, H, W)."""
    import torch

    made = [clip(composer, seed, number, frames) for number in range(first, first + size)]
    return {
        name: torch.from_numpy(
            np.stack([[getattr(each[t], name) for each in made] for t in range(frames)])
            .astype(np.float32)
            .transpose(0, 1, 4, 2, 3)
        ).contiguous()
        for name in Sample._fields
    }


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name, or a list of them, as a tuple; "" is none."""
    return tuple(names.split()) if isinstance(names, str) else tuple(names)


def build(recipe: PeopleRecipe, encoders: Path) -> nn.Module:
    """Return the network with its first weights: by the first stage's seed, its encoder as the recipe
    says.
    """
    import torch
    from safetensors.torch import load_file

    from matte_nodes.train.encoders import fetch

    torch.manual_seed(recipe.stages[0].schedule.seed)
    system = systems.find(recipe.network)
    network = system.make(recipe.width, recipe.options)
    fill = system.training.fill_encoder
    for name in recipe.encoders:
        if fill is None:
            raise UsageError(
                f"Network {recipe.network!r} does not use a trained encoder: remove the field "
                "`encoder` from the recipe."
            )
        fill(systems.inner(network), load_file(fetch(name, encoders)))
    return network


def objective(recipe: PeopleRecipe, stage: PeopleStage) -> Callable[..., dict[str, Tensor]]:
    """Named losses of a batch; "total" is their weighted sum."""
    from matte_nodes.train.objectives import SystemObjective

    system = systems.find(recipe.network)
    if system.task == "clips":
        return lambda network, given: clip_losses(system, network, given, stage.losses)
    if system.training.branches is not None:
        return lambda network, given: branch_losses(system, network, given, stage.losses)
    return SystemObjective(system, stage.losses)


def clip_losses(
    system: systems.System, network: nn.Module, given: Batch, weights: Mapping[str, float]
) -> dict[str, Tensor]:
    """Return the losses of each frame, and those between frames (Lin et al. 2022, section 5.2).

    coherence: squared error of the change of alpha from frame to frame. foreground: L1 where alpha is
    not 0. The others have the names of `train.objectives`.
    """
    from matte_nodes.train.objectives import LOSSES

    answered = system.answer(network, given)
    flat = {name: layer.flatten(0, 1) for name, layer in given.items()}
    named: dict[str, Tensor] = {}
    for name in weights:
        if name == "coherence":
            true = given["alpha"]
            found = answered.alpha.view_as(true)
            named[name] = losses.temporal_coherence(found[1:], found[:-1], true[1:], true[:-1])
        else:
            named[name] = LOSSES[name](answered, flat, None)
    zero = answered.alpha.new_zeros(())
    named["total"] = sum((named[n] * w for n, w in weights.items()), zero)
    return named


def branch_losses(
    system: systems.System, network: nn.Module, given: Batch, weights: Mapping[str, float]
) -> dict[str, Tensor]:
    """Three branches (MODNet, Ke et al. 2022, equations 2 to 5), and the matte's Laplacian.

    semantic: half the squared error of the blurred matte at 1/16. detail: L1 in the soft band.
    l1: L1 of the matte, four times as heavy in that band. compositional, laplacian, gradient: of
    the matte.
    """
    import torch
    from torch.nn import functional

    assert system.training.branches is not None
    found = system.training.branches(network, *system.architecture.encoded(given["plate"]))
    true, weight = given["alpha"], given["weight"]
    coarse = functional.interpolate(true, size=found.semantic.shape[-2:], mode="area")
    side = true.shape[-1]
    reach = max(1, side // 64)
    soft = losses.largest_within(((true > 0.02) & (true < 0.98)).float(), reach)
    least = -losses.largest_within(-true, reach)
    band = ((losses.largest_within(true, reach) - least) > 0.1).float()
    band = torch.maximum(soft, band)
    matte = found.matte.float()
    named = {
        "semantic": (found.semantic.float() - coarse).square().mean() / 2,
        "detail": losses.mean_where((found.detail.float() - true).abs() * weight, band),
        "l1": ((matte - true).abs() * weight * (1 + 3 * band)).mean(),
        "compositional": losses.compositional(
            matte, given["plate"], given["foreground"], given["background"]
        ),
        "laplacian": losses.laplacian_pyramid(matte, true),
        "gradient": losses.gradient(matte, true),
    }
    named = {name: named[name] for name in weights}
    named["total"] = sum((named[n] * w for n, w in weights.items()), matte.new_zeros(()))
    return named


def heldout(recipe: PeopleRecipe, pool: PicturePool) -> list[Batch]:
    """Held-out samples as batches of eight: always the same, at the side of the last stage."""
    last = recipe.stages[-1]
    composer = Composer(pool, replace(recipe.mix, empty=0.0, second=0.0), last.side)
    return [made(recipe, last, composer, 99, n, 8) for n in range(0, recipe.heldout, 8)]


def score(recipe: PeopleRecipe, network: nn.Module, held: list[Batch]) -> tuple[float, float]:
    """Mean absolute error and mean IoU of the halves over held-out samples."""
    import torch

    system = systems.find(recipe.network)
    errors, overlaps = [], []
    with torch.inference_mode():
        for given in held:
            alpha = system.answer(network, given).alpha.float()
            true = given["alpha"].reshape(alpha.shape)
            errors.append(float((alpha - true).abs().mean()))
            some, real = alpha > 0.5, true > 0.5
            both = (some & real).sum((1, 2, 3)).float()
            either = (some | real).sum((1, 2, 3)).float().clamp_min(1)
            overlaps.append(float((both / either).mean()))
    return float(np.mean(errors)), float(np.mean(overlaps))


def run(
    recipe: PeopleRecipe,
    folders: Folders,
    folder: Path,
    say: Callable[[Progress], None] = lambda progress: None,
    start: Path | None = None,
) -> Path:
    """Train every stage; what is in the folder is gone on with. Returns the file of weights.

    Writes `stage-N/state.safetensors`, `stage-N/best.safetensors`, `stage-N/progress.jsonl`,
    `stage-N/heldout.jsonl` and `weights.safetensors`. start: a weights file that the network begins
    with. Raises
    TrainingError, InputError, UsageError.
    """
    from matte_nodes.train.run import begin_with

    folder.mkdir(parents=True, exist_ok=True)
    network = build(recipe, folder / "encoders")
    if start is not None:
        begin_with(network, start)
    pool, held = read(folders, False), heldout(recipe, read(folders, True))
    best: float | None = None
    for index, stage in enumerate(recipe.stages):
        place = folder / f"stage-{index + 1}"
        place.mkdir(parents=True, exist_ok=True)
        plan = _plan(recipe, stage, pool, held, place)
        plan.parameters = _trained(network, stage)
        outcome = train(network, plan, place, _reporter(place, say))
        network, best = outcome.network.train().requires_grad_(True), outcome.best
    facts = {
        "recipe": recipe.digest, "title": recipe.title, "network": recipe.network,
        "width": recipe.width, "score": best, "pool": pool.digest,
    }  # fmt: skip
    final = systems.inner(network)
    path = folder / "weights.safetensors"
    side = {"matte_nodes.side": str(recipe.stages[-1].side)}
    marks = systems.marks(final, systems.find(recipe.network).architecture)
    state.save(path, final.state_dict(), facts, marks | side)
    return path


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _reporter(place: Path, say: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`say`, and a line in the stage's progress.jsonl for each check."""

    def report(progress: Progress) -> None:
        line = {"step": progress.step, "mad": progress.score, **progress.losses}
        _append(place / "progress.jsonl", line)
        say(progress)

    return report


def _trained(network: nn.Module, stage: PeopleStage) -> list[nn.Parameter]:
    """Return the parameters that a stage trains; the frozen ones ask for no gradient."""
    found = []
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(stage.frozen or ("-",)))
        if parameter.requires_grad:
            found.append(parameter)
    return found


def _plan(
    recipe: PeopleRecipe, stage: PeopleStage, pool: PicturePool, held: list[Batch], place: Path
) -> TrainingPlan:
    composer = Composer(pool, stage.mix, stage.side)
    seed = 1000 + stage.schedule.seed

    def make(step: int) -> Batch:
        return made(recipe, stage, composer, seed, step * stage.batch, stage.batch)

    def validate(average: nn.Module) -> float:
        error, overlap = score(recipe, average, held)
        _append(place / "heldout.jsonl", {"mad": error, "iou": overlap})
        return error

    return TrainingPlan(
        make,
        objective(recipe, stage),
        stage.schedule,
        validate,
        facts={"recipe": recipe.digest, "pool": pool.digest},
    )
