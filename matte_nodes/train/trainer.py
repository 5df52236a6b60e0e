# SPDX-License-Identifier: Apache-2.0
"""The core of every training: steps, averages, checkpoints, validation. Knows no data, no paper.

A batch is a pure function of the step's number, and nothing else is drawn by chance: a training
that was killed and resumed ends with the very bits of one that was not.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from matte_nodes.errors import MatteError
from matte_nodes.train import state

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

Batch = Mapping[str, "Tensor"]


class TrainingError(MatteError):
    """A training that cannot go on: numbers not finite, a folder of another training."""


@dataclass(frozen=True)
class Schedule:
    """The number of steps and the learning rates.

    steps: batches in all. rate: highest learning rate, reached after the part `warm_up` of the
    steps, then falling to `final` of it as `fall` says: a cosine, a line, or not at all
    (constant). optimiser: adamw, or adam, whose `decay` is L2 on the loss. decay: weight decay.
    clip: largest norm of the gradient. average: decay of the exponential average of weights, which
    is what is
    validated and kept. every: steps between checkpoints. half: bfloat16 products (autocast).
    seed: of the network's first weights, and of the order of batches. stop: end after this many
    steps although the schedule goes on (0: do not): a first stage that a second one continues.
    """

    steps: int
    rate: float = 2e-3
    warm_up: float = 0.03
    final: float = 0.01
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.995
    every: int = 250
    half: bool = False
    seed: int = 0
    stop: int = 0
    optimiser: Literal["adamw", "adam"] = "adamw"
    fall: Literal["cosine", "line", "constant"] = "cosine"

    @property
    def last(self) -> int:
        """The number of steps."""
        return min(self.stop or self.steps, self.steps)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        warm = max(1, round(self.steps * self.warm_up))
        if step < warm:
            return self.rate * (step + 1) / warm
        along = min(1.0, (step - warm) / max(1, self.steps - warm))
        low = self.rate * self.final
        shapes = {"cosine": (1 + math.cos(math.pi * along)) / 2, "line": 1 - along, "constant": 1.0}
        return low + (self.rate - low) * shapes[self.fall]

    def facts(self) -> dict[str, Any]:
        """Return its fields for a file's metadata.

        Later fields only where they are not the usual ones.
        """
        found = asdict(self)
        for name in ("optimiser", "fall"):
            if found[name] == getattr(Schedule, name):
                del found[name]
        return found


@dataclass
class Progress:
    """The state of a training, sent with every report."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_left: float
    score: float | None = None
    best: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of a training. score, best: of the last and the best validation, lower is better.

    stopped_early: `patience` validations in a row brought nothing better.
    """

    network: nn.Module
    step: int
    score: float | None
    best: float | None
    stopped_early: bool = False


@dataclass
class TrainingPlan:
    """The arguments of `train` besides the network.

    batch: batch of a step, a pure function of its number. objective: named losses of a batch;
    "total" is minimised. validate: a score of the averaged network, lower is better; None: the
    last weights are the best ones. patience: validations without a better score before it stops.
    parameters: those to train (None: all), for fine-tuning a part. slower: beginnings of
    parameters' names, with the factor of their own rate. facts: go into every file.
    """

    batch: Callable[[int], Batch]
    objective: Callable[[nn.Module, Batch], Mapping[str, Tensor]]
    schedule: Schedule
    validate: Callable[[nn.Module], float] | None = None
    patience: int | None = None
    parameters: Iterable[nn.Parameter] | None = None
    slower: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def train(
    network: nn.Module,
    plan: TrainingPlan,
    folder: Path | None = None,
    say: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Train a network by a plan. Returns it with its best averaged weights.

    folder: for `state.safetensors` (all that is needed to go on) and `best.safetensors` (the
    weights); a training found there is resumed. None: nothing is written. Raises TrainingError
    when a loss is not finite, or when the folder holds a training with another plan.
    """
    schedule = plan.schedule
    chosen = list(network.parameters() if plan.parameters is None else plan.parameters)
    optimiser = _optimiser(network, chosen, plan)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    facts = {"schedule": schedule.facts(), **plan.facts}
    step, best, score, stale = 0, None, None, 0
    kept = folder / "state.safetensors" if folder else None
    best_state = {name: tensor.clone() for name, tensor in average.state_dict().items()}
    if kept is not None and kept.is_file():
        tensors, found = _saved(kept, facts)
        best_state = {n[5:]: t for n, t in tensors.items() if n.startswith("best.")}
        state.unpack(tensors, network, average, optimiser)
        step, best, score, stale = (found[key] for key in ("step", "best", "score", "stale"))
    began, first = time.monotonic(), step
    ended = plan.patience is not None and stale >= plan.patience
    batches = _ahead(plan.batch, step, schedule.last)
    while step < schedule.last and not ended:
        losses = _learn(network, plan, optimiser, chosen, step, next(batches))
        step += 1
        _follow(average, network, min(schedule.average, (1 + step) / (10 + step)))
        if step % schedule.every and step != schedule.last:
            continue
        if plan.validate is not None:
            score = float(plan.validate(average))
        if plan.validate is None or best is None or (score is not None and score < best):
            best, stale = score, 0
            best_state = {name: tensor.clone() for name, tensor in average.state_dict().items()}
            if folder:
                state.save(
                    folder / "best.safetensors", best_state, {**facts, "step": step, "score": score}
                )
        else:
            stale += 1
        ended = plan.patience is not None and stale >= plan.patience
        if kept is not None:
            packed = state.pack(network, average, optimiser)
            packed |= {f"best.{name}": tensor for name, tensor in best_state.items()}
            numbers = {"step": step, "best": best, "score": score, "stale": stale}
            state.save(kept, packed, {"facts": _plain(facts), **numbers})
        pace = (time.monotonic() - began) / (step - first)
        values = {name: float(loss.detach()) for name, loss in losses.items()}
        say(Progress(step, schedule.last, values, pace * (schedule.last - step), score, best))
    average.load_state_dict(best_state)
    return Outcome(average, step, score, best, ended and step < schedule.last)


def _saved(kept: Path, facts: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and numbers of a saved training. Raises TrainingError for another plan."""
    tensors, found = state.load(kept)
    if found["facts"] != _plain(facts):
        raise TrainingError(
            f"{kept} belongs to a training with a different recipe. Choose another folder, or "
            "remove this one."
        )
    return tensors, found


def _learn(
    network: nn.Module,
    plan: TrainingPlan,
    optimiser: Optimizer,
    chosen: list[nn.Parameter],
    step: int,
    batch: Batch,
) -> Mapping[str, Tensor]:
    """Do one step on a batch and return its losses. Raises TrainingError for a loss not finite."""
    import torch

    schedule = plan.schedule
    network.train()
    for group in optimiser.param_groups:
        group["lr"] = schedule.rate_at(step) * group["factor"]
    with torch.autocast("cpu", torch.bfloat16, enabled=schedule.half):
        losses = plan.objective(network, batch)
    total = losses["total"]
    if not torch.isfinite(total):
        raise TrainingError(f"The loss is not finite at step {step}. Choose a lower learning rate.")
    optimiser.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(chosen, schedule.clip)
    optimiser.step()
    return losses


def _optimiser(network: nn.Module, chosen: list[nn.Parameter], plan: TrainingPlan) -> Optimizer:
    """Adam or AdamW over the parameters that are trained, those with a factor in their own group."""
    import torch

    def factor(name: str) -> float:
        return next((f for start, f in plan.slower.items() if name.startswith(start)), 1.0)

    names = {id(parameter): name for name, parameter in network.named_parameters()}
    factors = [factor(names.get(id(parameter), "")) for parameter in chosen]
    groups = [
        {"params": [p for p, f in zip(chosen, factors, strict=True) if f == each], "factor": each}
        for each in sorted(set(factors), reverse=True)
    ]
    schedule = plan.schedule
    kind = torch.optim.AdamW if schedule.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=schedule.rate, weight_decay=schedule.decay)


def _ahead(batch: Callable[[int], Batch], first: int, steps: int) -> Iterator[Batch]:
    """Yield the batches from a step on, each made while the one before it is trained on."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(batch, first)
        for step in range(first, steps):
            ready = coming.result()
            if step + 1 < steps:
                coming = worker.submit(batch, step + 1)
            yield ready


def _follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the average a little towards the network; counters and the like are copied."""
    for own, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if own.dtype.is_floating_point:
            own.lerp_(new.to(own.dtype), 1 - keep)
        else:
            own.copy_(new)


def _plain(facts: Mapping[str, Any]) -> Any:
    import json

    return json.loads(json.dumps(facts, sort_keys=True))
