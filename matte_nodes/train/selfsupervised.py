# SPDX-License-Identifier: Apache-2.0
"""Background Matting's second stage on the frames of one shot: no mattes, a teacher, a critic.

Sengupta et al. 2020, 3.2: the student begins as the supervised network (its teacher, which stays
as it is) and learns to make composites over other backgrounds that a discriminator takes for real
frames, while it is held near the teacher:
min_G (D(a F + (1 - a) B') - 1)^2 + l {2 |a - a~| + 4 |grad a - grad a~| + |F - F~| +
|I - a F - (1 - a) B|}, l = 0.05; min_D (D - 1)^2 on frames + D^2 on composites.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes import models
from matte_nodes.errors import InputError, UsageError
from matte_nodes.models import finetuned
from matte_nodes.shot.choose_model import parent_for
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.train import crops, losses, parents, systems
from matte_nodes.train.data import read_pictures
from matte_nodes.train.finetune import fitting_crop
from matte_nodes.train.keys import fitted, read_key
from matte_nodes.train.registering import register
from matte_nodes.train.systems import inner
from matte_nodes.train.textures import Pictures
from matte_nodes.train.trainer import Progress, Schedule, TrainingPlan, train

if TYPE_CHECKING:
    from torch import Tensor, nn

    from matte_nodes.architecture import Answer
    from matte_nodes.card import ModelCard
    from matte_nodes.train.systems import System
    from matte_nodes.train.textures import Pictures
    from matte_nodes.train.trainer import Batch

CRITIC_RATE = 0.1  # the paper's 1e-5 beside 1e-4
MOST_FRAMES = 48


@dataclass(frozen=True)
class Unlabelled:
    """The request: a shot with its clean plate (in `connect`), and the model to begin with.

    backgrounds: pictures lit like the shot; None: the clean plate itself, mirrored and moved.
    hold: the paper's l, how strongly the teacher holds the student.
    """

    source: Any
    name: str
    model: str = ""
    connect: dict[str, Any] = field(default_factory=dict)
    backgrounds: str | None = None
    steps: int = 0
    rate: float = 0.0
    crop: int = 224
    seed: int = 0
    half: bool = False
    hold: float = 0.05
    width: float = 0.25
    checkpoint: str | None = None
    untrained: bool = False
    ocio: str | None = None


def selfsupervise(
    asked: Unlabelled,
    say: Callable[[Progress], None] = lambda progress: None,
    tell: Callable[[str], None] = lambda message: None,
) -> ModelCard:
    """Train on the shot's own frames, register the student, and return its card.

    Raises InputError, UsageError (a model without a clean plate), WeightsError, TrainingError.
    """
    import torch

    finetuned.check_name(asked.name, models.taken_names())
    model = asked.model or parent_for("background") or finetuned.SHOT
    parent = parents.find(model, checkpoint=asked.checkpoint, untrained=asked.untrained)
    if "background" not in parent.system.hints:
        able = (c.name for c in models.cards() if "background" in c.needs and systems.of_card(c))
        raise UsageError(
            f"Model {model!r} takes no clean plate: begin with one of {', '.join(able)}, or draw "
            "key "
            "mattes (--keys)."
        )
    shot = MatteNode(parent.card, device="cpu", ocio=asked.ocio).connect(
        asked.source, **asked.connect
    )
    every = max(1, -(-len(shot.clip.frames) // MOST_FRAMES))
    frames = [fitted(read_key(shot, f), parent.system) for f in shot.clip.frames[::every]]
    name, hints = shot.clip.name, tuple(shot.hints)
    shot.close()
    crop = fitting_crop(asked.crop, frames)
    tell(f"{len(frames)} frames of {name}, no mattes")
    torch.manual_seed(asked.seed)
    student = parents.network(
        parent, frames, checkpoint=asked.checkpoint, untrained=asked.untrained, width=asked.width
    )
    both = adversarial(student)
    size = 2 if parent.system.side else 4
    behind = _backgrounds(asked.backgrounds)
    plan = TrainingPlan(
        Frames(crops.Crops(frames, parent.system, crop, size, asked.seed), behind),
        SelfSupervised(parent.system, copy.deepcopy(student).eval().requires_grad_(False), asked.hold),
        Schedule(asked.steps or 300, asked.rate or 1e-4, average=0.98, every=50, half=asked.half,
                 seed=asked.seed, decay=0.0, optimiser="adam", fall="constant"),
        slower={"critic.": CRITIC_RATE},
    )  # fmt: skip
    outcome = train(both, plan, None, say)
    facts = {"keys": [], "frames": len(frames), "steps": outcome.step, "seed": asked.seed,
             "hold": asked.hold, "stage": "self-supervised"}  # fmt: skip
    return register(parent, inner(outcome.network), asked.name, name, facts, hints)


def adversarial(student: nn.Module) -> nn.Module:
    """Return a student beside its critic, as one module, so that both are trained, kept and resumed."""
    from torch import nn

    both = nn.Module()
    both.network = student
    both.critic = critic()
    return both


def critic(base: int = 32) -> nn.Module:
    """Return a discriminator of patches (Isola et al.

    2017): (N, 3, H, W) -1..1 to (N, 1, H/8, W/8).
    """
    from torch import nn

    def unit(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 4, 2, 1),
            nn.InstanceNorm2d(outputs),
            nn.LeakyReLU(0.2),
        ]

    return nn.Sequential(
        nn.Conv2d(3, base, 4, 2, 1), nn.LeakyReLU(0.2),
        *unit(base, 2 * base), *unit(2 * base, 4 * base), nn.Conv2d(4 * base, 1, 3, 1, 1),
    )  # fmt: skip


@dataclass(frozen=True)
class Frames:
    """Batches of unlabelled frames, each with another background to be put over."""

    frames: crops.Crops
    pictures: Pictures | None = None

    def __call__(self, step: int) -> dict[str, Tensor]:
        """`Crops`' batch of a step with `behind` (N, 3, h, w) in it."""
        import torch

        batch = self.frames(step)
        clean = _clean(batch)
        rng = np.random.default_rng([self.frames.seed, step, 1])
        if self.pictures is not None:
            side = max(clean.shape[-2:])
            made = [self.pictures.photograph(rng, side) for _ in range(len(clean))]
            behind = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2)
            behind = behind[..., : clean.shape[-2], : clean.shape[-1]]
        else:
            height, width = clean.shape[-2:]
            shift = (int(rng.integers(height // 4, height)), int(rng.integers(width // 4, width)))
            behind = torch.roll(clean, shift, (-2, -1)).flip(-1)
        return {**batch, "behind": behind.contiguous()}


@dataclass(frozen=True)
class SelfSupervised:
    """The stage's losses: of the student by critic and teacher, of the critic by frames and fakes.

    Both are trained at once: the student's loss sees the critic's weights as constants, the
    critic's sees the composite as one.
    """

    system: System
    taught: nn.Module
    hold: float = 0.05

    def __call__(self, both: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named losses; "total" is the student's and the critic's."""
        import torch
        from torch.func import functional_call

        student: Any = both.network
        judge: Any = both.critic
        plate, clean = _plate(batch), _clean(batch)
        answered = self.system.answer(student, batch)
        with torch.no_grad():
            teaches = self.system.answer(self.taught, batch)
        front, front_taught = (_front(a, plate, clean) for a in (answered, teaches))
        fake = answered.alpha * front + (1 - answered.alpha) * batch["behind"]
        fixed = {name: p.detach() for name, p in judge.named_parameters()}
        judged = functional_call(judge, fixed, (fake * 2 - 1,))
        found = {
            "fool": losses.least_squares_generator(judged),
            "teacher": losses.teacher(
                answered.alpha, front, teaches.alpha, front_taught, plate, clean
            ),
            "critic": losses.least_squares_discriminator(
                judge(plate * 2 - 1),
                judge(fake.detach() * 2 - 1),
            ),
        }
        found["total"] = found["fool"] + self.hold * found["teacher"] + found["critic"]
        return found


def _front(answered: Answer, plate: Tensor, clean: Tensor) -> Tensor:
    """Return the answer's foreground.

    Of a network that has none, the one that explains the plate.
    """
    if answered.foreground is not None:
        return answered.foreground
    alpha = answered.alpha
    return ((plate - (1 - alpha) * clean) / alpha.clamp_min(0.05)).clamp(0, 1)


def _plate(batch: Batch) -> Tensor:
    return batch["planes"][:, :3] if "planes" in batch else batch["plate"]


def _clean(batch: Batch) -> Tensor:
    return batch["planes"][:, 3:6] if "planes" in batch else batch["clean"]


def _backgrounds(folder: str | None) -> Pictures | None:
    if folder is None:
        return None

    pictures: Sequence[np.ndarray] = read_pictures(Path(folder))
    if not pictures:
        raise InputError(f"{folder} contains no pictures.")
    return Pictures(pictures, 1.0)
