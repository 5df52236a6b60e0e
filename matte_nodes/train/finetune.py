# SPDX-License-Identifier: Apache-2.0
"""A model for one shot, from a few key frames whose mattes an artist drew."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes import models
from matte_nodes.errors import InputError, UsageError
from matte_nodes.models import finetuned
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.train import crops, objectives, parents
from matte_nodes.train.keys import Key, fitted, read_keys
from matte_nodes.train.registering import register
from matte_nodes.train.trainer import Outcome, Progress, Schedule, TrainingPlan, train

if TYPE_CHECKING:
    from torch import Tensor, nn

    from matte_nodes.card import ModelCard
    from matte_nodes.train.systems import System
    from matte_nodes.train.trainer import Batch

LEAST_SIDE = 32
# Measured on the ball of fur: at 5e-4 the trimap network had kept 0.82 of its error after 100
# steps, at 2e-3 it keeps 0.15 after 300.
RATE = 2e-3


@dataclass(frozen=True)
class FinetuneRequest:
    """The request for a fine-tuning.

    source: the shot, as a plate is connected. keys: its key mattes (a pattern, a folder,
    {frame: picture}, or a Shot, as one of a selected subject). layer: which layer of their files,
    as `alpha.NAME`. frames: only these keys; none: all there are. model: what to begin with;
    "shot": nothing. connect: hints and how inputs are read, as `MatteNode.connect` takes them.
    steps: 0 chooses (800 for a network that begins as nothing, 400 else). crop: pixels. half:
    bfloat16 products, quicker on newer processors. patience: checks without a better result on the
    held-out key before it stops. width: of a network that begins as nothing or untrained.
    """

    source: Any
    keys: Any
    name: str
    model: str = "shot"
    frames: Sequence[int] = ()
    connect: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    rate: float = 0.0
    crop: int = 224
    batch: int = 4
    every: int = 50
    patience: int = 5
    seed: int = 0
    half: bool = False
    width: float = 0.5
    checkpoint: str | None = None
    untrained: bool = False
    ocio: str | None = None
    layer: str = ""


@dataclass(frozen=True)
class Finished:
    """The result of a fine-tuning.

    before, after: mean absolute error on the held-out key, in alpha (None: no
    key could be held out); before is the parent's own, or the recalled keys' for a shot network."""

    card: ModelCard
    before: float | None
    after: float | None
    steps: int
    seconds: float
    heldout: int | None


def finetune(
    asked: FinetuneRequest,
    say: Callable[[Progress], None] = lambda progress: None,
    tell: Callable[[str], None] = lambda message: None,
) -> Finished:
    """Train on all keys but one, stop when that one gains no more, go on with all; register.

    With three keys or more the one in the middle is held out; with fewer nothing is, and nothing
    stops early. Raises InputError, UsageError, WeightsError, TrainingError.
    """

    began = time.monotonic()
    finetuned.check_name(asked.name, models.taken_names())
    parent = parents.find(asked.model, checkpoint=asked.checkpoint, untrained=asked.untrained)
    # A trimap is made of a key's matte where none is drawn, so it may be missing here.
    card = parent.card
    seen = replace(card, needs=card.needs - {"trimap"}, takes=card.takes | card.needs)
    shot = MatteNode(seen, device="cpu", ocio=asked.ocio).connect(asked.source, **asked.connect)
    keys = [
        fitted(key, parent.system) for key in read_keys(shot, asked.keys, asked.frames, asked.layer)
    ]
    name = shot.clip.name
    shot.close()
    crop = fitting_crop(asked.crop, keys)
    held = keys[len(keys) // 2] if len(keys) >= 3 else None
    taught = [key for key in keys if key is not held]
    tell(
        f"{len(keys)} keys of {name}: {', '.join(str(key.frame) for key in keys)}"
        + (f"; {held.frame} is held out at first" if held else "")
    )
    options: dict[str, Any] = {
        "checkpoint": asked.checkpoint,
        "untrained": asked.untrained,
        "width": asked.width,
    }
    network = parents.network(parent, taught, **options)
    before = None if held is None else score(network, parent.system, held)
    first = _train(asked, parent.system, network, taught, held, crop, say)
    network, steps = first.network, first.step
    after = first.best
    if held is not None:
        if before is not None and after is not None and after >= before:
            tell(f"The held-out key gained nothing ({before:.5f} before, {after:.5f} after).")
        network, more = _with_all(asked, parent, network, keys, crop, steps, say)
        steps += more
    facts = {
        "keys": [key.frame for key in keys],
        "heldout": None if held is None else held.frame,
        "before": before, "after": after, "steps": steps, "seed": asked.seed,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    card = register(parent, network, asked.name, name, facts, tuple(shot.hints))
    return Finished(
        card, before, after, steps, time.monotonic() - began, None if held is None else held.frame
    )


def score(network: nn.Module, system: System, key: Key) -> float:
    """Mean absolute error of a network over a whole key."""
    import torch

    was = network.training
    with torch.inference_mode():
        found = objectives.mean_error(network.eval(), [validation(network, system, key)], system)
    network.train(was)
    return found


def validation(network: nn.Module, system: System, key: Key) -> dict[str, Tensor]:
    """Return a whole key as one batch; the shot network's first matte is what it recalls."""
    import torch

    first = None
    if system.task == "shot" and key.segmentation is None:
        plate = torch.from_numpy(key.plate).permute(2, 0, 1)[None]
        with torch.inference_mode():
            first = network.recall(plate)[0, 0].numpy()  # type: ignore[operator]
    return crops.whole(key, system, first)


def fitting_crop(crop: int, keys: Sequence[Key]) -> int:
    """Return the crop's side, at most the plate's shorter one, a multiple of 32."""
    least = min(int(min(key.alpha.shape)) for key in keys)
    if least < LEAST_SIDE:
        raise InputError(f"A shot of {least} pixels is too small to learn from.")
    return max(LEAST_SIDE, min(crop, least) // 32 * 32)


def _train(
    asked: FinetuneRequest, system: System, network: nn.Module, taught: Sequence[Key],
    held: Key | None, crop: int, say: Callable[[Progress], None],
) -> Outcome:  # fmt: skip
    steps = asked.steps or (800 if system.task == "shot" or asked.untrained else 400)
    rate = asked.rate or RATE
    validate = None
    if held is not None:
        batch: Batch = validation(network, system, held)

        def validate(average: nn.Module) -> float:
            return objectives.mean_error(average, [batch], system)

    schedule = Schedule(
        steps, rate, average=0.98, every=min(asked.every, steps), seed=asked.seed, half=asked.half,
        warm_up=0.05, decay=1e-4,
    )  # fmt: skip
    plan = TrainingPlan(
        crops.Crops(taught, system, crop, asked.batch, asked.seed),
        objectives.SystemObjective(system, system.losses),
        schedule,
        validate,
        asked.patience,
    )
    return train(network, plan, None, say)


def _with_all(
    asked: FinetuneRequest, parent: parents.Parent, network: nn.Module, keys: Sequence[Key], crop: int,
    steps: int, say: Callable[[Progress], None],
) -> tuple[nn.Module, int]:  # fmt: skip
    """Return a last third with the held-out key among the others, at a low rate.

    It stops at its end.
    """
    more = max(1, steps // 3)
    if parent.system.task == "shot":
        network = remembering(network, keys)
    network.train().requires_grad_(True)
    low = 0.5 * (asked.rate or RATE)
    again = replace(asked, steps=more, rate=low, seed=asked.seed + 1, every=more)
    outcome = _train(again, parent.system, network, keys, None, crop, say)
    return outcome.network, more


def remembering(network: nn.Module, keys: Sequence[Key]) -> nn.Module:
    """Return a shot network that carries these keys, with the weights of another."""
    import torch

    from matte_nodes.models.networks.shot_matting import ShotMatting

    old: Any = network
    made = ShotMatting(len(keys), tuple(old.mattes.shape[-2:]), old.width)
    made.net.load_state_dict(old.net.state_dict())
    with torch.no_grad():
        made.remember(
            torch.stack([torch.from_numpy(k.plate).permute(2, 0, 1) for k in keys]),
            torch.stack([torch.from_numpy(k.alpha)[None] for k in keys]),
        )
    found: nn.Module = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return found


def default_name(source: str) -> str:
    """Return a model's name from a clip's: "sh010_plate.####.exr" is "sh010-plate"."""
    import re

    stem = re.sub(r"[.#@%].*$", "", Path(source).name) or Path(source).parent.name
    found = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:60]
    if not found:
        raise UsageError(f"No name can be made from {source!r}: give one (--name).")
    return found
