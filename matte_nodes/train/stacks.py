# SPDX-License-Identifier: Apache-2.0
"""Batches from stacks of samples: crops, turns, colour changes, drawn by the step's number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.architecture import Task
from matte_nodes.errors import InputError
from matte_nodes.train.samples import LAYERS, PLANES

if TYPE_CHECKING:
    from torch import Tensor

COLOURS: dict[Task, int] = {"trimap": 5, "plate": 2, "layers": 4}
BAND: dict[Task, int] = {
    "trimap": 15,
    "plate": -1,
    "layers": -2,
}  # where a crop should be looked for


def read_stacks(folder: Path, task: Task) -> list[np.ndarray]:
    """Return the stacks that `matte train compose` wrote: (N, side, side, P) uint8 each, not in memory.

    Raises InputError when there are none, or they are of another task.
    """
    stacks = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("[0-9]*.npy"))]
    if not stacks:
        raise InputError(f"{folder} holds no samples: make them with `matte train compose`.")
    if any(stack.ndim != 4 or stack.shape[3] != PLANES[task] for stack in stacks):
        raise InputError(f"{folder} holds samples of a different task, not of {task!r}.")
    return stacks


@dataclass(frozen=True)
class Batches:
    """The batch of a step: `planes` (N, P - 1, crop, crop) and `alpha` (N, 1, crop, crop), 0..1;
    in task "layers" each layer under its own name.

    without: how often the last hint (closed-form alpha, segmentation) is left out: -1 everywhere.
    before: stacks of an earlier stage, of which the part `share_before` of all samples is drawn.
    """

    task: Task
    stacks: Sequence[np.ndarray]
    crop: int
    size: int
    seed: int
    without: float = 0.5
    before: Sequence[np.ndarray] = ()
    share_before: float = 0.0

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step: always the same."""
        import torch

        rng = np.random.default_rng([self.seed, step])
        picked = torch.from_numpy(np.stack([self._one(rng) for _ in range(self.size)]))
        values = picked.permute(0, 3, 1, 2).float().div_(255)
        if self.task == "layers":
            return layers(values)
        planes, alpha = values[:, :-1].clone(), values[:, -1:].clone()
        if self.task == "trimap":
            # 8-bit codes of 0.5 are 128 of 255.
            planes[:, 15:16] = torch.round(planes[:, 15:16] * 2) / 2
        left_out = torch.from_numpy(rng.random(self.size) < self.without)
        planes[left_out, -1] = -1
        return {"planes": planes, "alpha": alpha}

    def _one(self, rng: np.random.Generator) -> np.ndarray:
        old = self.share_before > 0 and rng.random() < self.share_before
        stacks = self.before if old else self.stacks
        stack = stacks[int(rng.integers(len(stacks)))]
        sample = stack[int(rng.integers(len(stack)))]
        best = sample
        for _ in range(6):
            y, x = rng.integers(0, sample.shape[0] - self.crop + 1, 2)
            best = sample[y : y + self.crop, x : x + self.crop]
            band = best[..., BAND[self.task]]
            if ((band > 10) & (band < 245)).mean() > 0.04:
                break
        turned = best[:, ::-1] if rng.random() < 0.5 else best
        turned = turned[::-1] if rng.random() < 0.3 else turned
        turned = turned.swapaxes(0, 1) if rng.random() < 0.5 else turned
        found = np.array(turned)
        last = 3 * COLOURS[self.task]
        colours = found[..., :last].reshape(*found.shape[:2], -1, 3)[..., rng.permutation(3)]
        if self.task != "layers" and rng.random() < 0.2:
            colours = 255 - colours
        found[..., :last] = colours.reshape(*found.shape[:2], last)
        return found


def layers(values: Tensor) -> dict[str, Tensor]:
    """Planes of task "layers", (N, P, H, W) 0..1, each under its name.

    The trimap's three values.
    """
    import torch

    parts = torch.split(values, list(LAYERS.values()), 1)
    found = {name: part.contiguous() for name, part in zip(LAYERS, parts, strict=True)}
    found["trimap"] = torch.round(found["trimap"] * 2) / 2  # 8-bit codes of 0.5 are 128 of 255
    return found
