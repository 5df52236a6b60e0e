# SPDX-License-Identifier: Apache-2.0
"""Batches from the key frames of one shot: crops round soft edges, drawn by the step's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.models import cues
from matte_nodes.node.hints import trimap_from_matte
from matte_nodes.train import hints
from matte_nodes.train.keys import Key
from matte_nodes.train.systems import LAYER_OF

if TYPE_CHECKING:
    from torch import Tensor

    from matte_nodes.card import Float
    from matte_nodes.train.systems import System
    from matte_nodes.train.textures import Rng

MARGIN = 0.15


@dataclass(frozen=True)
class CropWindow:
    """A part of a picture and the size it is brought to: rows top.., columns left.., (high, wide)."""

    top: int
    left: int
    high: int
    wide: int
    size: tuple[int, int]

    def of(self, picture: Float, *, hard: bool = False) -> Float:
        """Return the part, resized; hard: values are not mixed."""
        import cv2

        part = picture[self.top : self.top + self.high, self.left : self.left + self.wide]
        if part.shape[:2] == self.size:
            return part
        shrinks = self.high > self.size[0]
        how = cv2.INTER_NEAREST if hard else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        found: Float = cv2.resize(part, self.size[::-1], interpolation=how)
        return found


@dataclass(frozen=True)
class Crops:
    """The batch of a step, always the same: `size` crops of `crop` pixels, of random keys.

    system: what the batch is for. The batch of a shot network holds `plate`, `segmentation` (a
    first matte, never the true one) and `alpha`.
    """

    keys: Sequence[Key]
    system: System
    crop: int
    size: int
    seed: int = 0

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step."""
        rng = np.random.default_rng([self.seed, step])
        return stacked([self._one(rng) for _ in range(self.size)])

    def _one(self, rng: Rng) -> dict[str, Float]:
        key = self.keys[int(rng.integers(len(self.keys)))]
        window = _window(rng, key, self.system, self.crop)
        gain = np.exp(rng.normal(0, 0.05, 3) + rng.normal(0, 0.05)).astype(np.float32)
        first = None
        if self.system.task == "shot" and key.segmentation is None:
            first = guess(rng, key, self.keys)
        found = sample(rng, key, self.system, window, gain, first)
        if rng.random() < 0.5:
            found = {name: picture[:, ::-1] for name, picture in found.items()}
        return found


def sample(
    rng: Rng, key: Key, system: System, window: CropWindow, gain: Float | float = 1.0,
    first: Float | None = None, trimap: Float | None = None,
) -> dict[str, Float]:  # fmt: skip
    """One window of a key as a system's batch has it, (h, w) or (h, w, C) each."""
    plate = (window.of(key.plate) * gain).clip(0, 1).astype(np.float32)
    alpha = window.of(key.alpha)
    if system.task == "shot":
        given = key.segmentation if first is None else first
        assert given is not None
        scale = given.shape[0] / key.alpha.shape[0]
        at = CropWindow(
            round(window.top * scale), round(window.left * scale),
            max(1, round(window.high * scale)), max(1, round(window.wide * scale)), window.size,
        )  # fmt: skip
        return {"plate": plate, "segmentation": at.of(given), "alpha": alpha}
    if "trimap" in system.hints:
        given = key.trimap if trimap is None else trimap
        trimap = _trimap(
            rng, given if trimap is not None or rng.random() < 0.7 else None, key, window, alpha
        )
    clean = None if key.clean is None else (window.of(key.clean) * gain).clip(0, 1)
    if system.task == "trimap":
        assert trimap is not None
        none = np.full(alpha.shape, -1, np.float32)
        return {"planes": np.dstack((cues.planes(plate, trimap), none)), "alpha": alpha}
    rough = None if key.segmentation is None else window.of(key.segmentation)
    if system.task == "plate":
        assert clean is not None
        none = np.full(alpha.shape, -1, np.float32)
        return {
            "planes": np.dstack((plate, clean, none if rough is None else rough)),
            "alpha": alpha,
        }
    found = {"plate": plate, "alpha": alpha}
    if trimap is not None:
        found["trimap"] = trimap
    motion = None if key.motion is None else window.of(key.motion)
    for role, picture in (("background", clean), ("segmentation", rough), ("motion", motion)):
        if role in system.hints:
            assert picture is not None
            found[LAYER_OF.get(role, role)] = picture
    return {name: np.asarray(picture, np.float32) for name, picture in found.items()}


def whole(key: Key, system: System, first: Float | None = None) -> dict[str, Tensor]:
    """Return a key as one batch, uncut, padded to what the network needs: for validation."""
    height, width = key.alpha.shape
    size = (height, width) if not system.side else (system.side,) * 2
    window = CropWindow(0, 0, height, width, size)
    trimap = key.trimap
    if trimap is None and "trimap" in system.hints:
        trimap = trimap_from_matte(key.alpha, 25 / 1080 * height)
    found = sample(np.random.default_rng(7), key, system, window, 1.0, first, trimap)
    multiple = system.multiple
    pad = ((0, -size[0] % multiple), (0, -size[1] % multiple), (0, 0))
    return stacked([
        {n: np.pad(p if p.ndim == 3 else p[..., None], pad, mode="edge") for n, p in found.items()}
    ])  # fmt: skip


def guess(rng: Rng, key: Key, keys: Sequence[Key], side: int = 256) -> Float:
    """Return a first matte as the shot network recalls it: of this key moved and bent, of another, of both.

    (h, w) with the longer side `side`. It is as far from the true matte as those of frames between
    keys are.
    """
    own = bent(rng, _small(key.alpha, side))
    if len(keys) == 1 or rng.random() < 0.5:
        return own
    other = bent(rng, _small(keys[int(rng.integers(len(keys)))].alpha, side))
    if rng.random() < 0.5:
        return other
    share = np.float32(rng.random())
    return share * own + (1 - share) * other


def bent(rng: Rng, alpha: Float) -> Float:
    """Return a matte turned, scaled, shifted and bent a little, softer or harder at its edge."""
    import cv2

    height, width = alpha.shape
    move = cv2.getRotationMatrix2D(
        (width / 2, height / 2), rng.normal(0, 5), float(np.exp(rng.normal(0, 0.07)))
    )
    move[:, 2] += rng.normal(0, 0.02, 2) * width
    moved = cv2.warpAffine(alpha, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    bend = rng.normal(0, 0.008 * width, (5, 7, 2)).astype(np.float32)
    bend = cv2.resize(bend, (width, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    found = cv2.remap(moved, columns + bend[..., 0], rows + bend[..., 1], cv2.INTER_LINEAR)
    soft: Float = cv2.GaussianBlur(found, (0, 0), rng.uniform(0.3, 2.5))
    return soft


def stacked(samples: Sequence[dict[str, Float]]) -> dict[str, Tensor]:
    """Return samples of pictures as a batch of (N, C, h, w) tensors."""
    import torch

    found = {}
    for name in samples[0]:
        pictures = [p[..., None] if p.ndim == 2 else p for p in (s[name] for s in samples)]
        found[name] = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return found


def _window(rng: Rng, key: Key, system: System, crop: int) -> CropWindow:
    height, width = key.alpha.shape
    if system.side:
        high, wide = (round(n * rng.uniform(1 - MARGIN, 1)) for n in (height, width))
        top, left = (int(rng.integers(0, n - m + 1)) for n, m in ((height, high), (width, wide)))
        return CropWindow(top, left, high, wide, (system.side, system.side))
    take = int(min(crop * rng.choice([1.0, 1.0, 1.5, 2.0]), height, width))
    y, x = int(rng.integers(height)), int(rng.integers(width))
    if rng.random() < 0.8:
        rows, columns = np.nonzero((key.alpha > 0.02) & (key.alpha < 0.98))
        if len(rows):
            index = int(rng.integers(len(rows)))
            y, x = int(rows[index]), int(columns[index])
    top = int(np.clip(y - rng.integers(take), 0, height - take))
    left = int(np.clip(x - rng.integers(take), 0, width - take))
    return CropWindow(top, left, take, take, (crop, crop))


def _trimap(rng: Rng, given: Float | None, key: Key, window: CropWindow, alpha: Float) -> Float:
    if given is not None:
        return window.of(given, hard=True)
    # Up to 60 pixels of a plate of 1080 rows: keys that are held while the subject moves.
    wide = max(8.0, 60 / 1080 * key.alpha.shape[0])
    made = hints.trimap(rng, alpha, narrow=2.0, wide=wide)
    if not (made == 0.5).any():
        made[tuple(n // 2 for n in made.shape)] = 0.5
    return made


def _small(alpha: Float, side: int) -> Float:
    import cv2

    scale = side / max(alpha.shape)
    size = (max(8, round(alpha.shape[1] * scale)), max(8, round(alpha.shape[0] * scale)))
    found: Float = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return found
