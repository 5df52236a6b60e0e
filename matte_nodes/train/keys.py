# SPDX-License-Identifier: Apache-2.0
"""Key frames of a shot: what a model sees on them, and the mattes that an artist drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.shot.bind import BoundHint, Reading
from matte_nodes.temporal.stat_cache import Look

if TYPE_CHECKING:
    from matte_nodes.card import Float
    from matte_nodes.shot.shot import Shot
    from matte_nodes.train.systems import System

GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Key:
    """One frame as a network sees it, display-encoded, 0..1, with its matte where there is one.

    plate, clean: (H, W, 3). alpha, trimap, segmentation: (H, W). motion: (H, W, 4), grey
    neighbours. Hints that the shot has not are None.
    """

    frame: int
    plate: Float
    alpha: Float
    trimap: Float | None = None
    clean: Float | None = None
    segmentation: Float | None = None
    motion: Float | None = None


def read_keys(shot: Shot, mattes: Any, frames: Sequence[int] = (), layer: str = "") -> list[Key]:
    """Return the keys of a shot: every frame of it that has a matte.

    mattes: a pattern, a folder, a clip, a Shot, or {frame: picture}. frames: only these. layer: of
    files with several. Raises
    InputError when there is no such frame, or a matte is all of one value.
    """

    bound = BoundHint("segmentation", mattes, shot.clip, "only", reading=Reading(layer=layer))
    wanted = list(frames) or [n for n in shot.clip.frames if bound.source_frame(n) is not None]
    found = []
    for frame in wanted:
        alpha = bound.pixels(frame) if frame in shot.clip.frames else None
        if alpha is None:
            raise InputError(
                f"Frame {frame} is not a key frame: {bound.clip.name} has no matte for it, or "
                f"{shot.clip.name} has no such frame."
            )
        found.append(read_key(shot, frame, np.asarray(alpha, np.float32).clip(0, 1)))
    if not found:
        raise InputError(
            f"No frame of {shot.clip.name} ({shot.clip.frames[0]}-{shot.clip.frames[-1]}) has a "
            f"matte in {bound.clip.name}: number the mattes as the plate's frames are numbered."
        )
    if all(key.alpha.max() - key.alpha.min() < 0.5 for key in found):
        raise InputError(
            f"The mattes of {bound.clip.name} show no subject: all pixels have the same value."
        )
    return found


def read_key(shot: Shot, frame: int, alpha: Float | None = None) -> Key:
    """One frame of a shot as its model would see it; alpha: None is a frame without a matte."""

    seen, _ = shot.read(shot.clip.frames.index(frame), Look())
    inputs = seen.inputs
    motion = np.dstack([plate @ GREY for plate in inputs.neighbours]) if inputs.neighbours else None
    empty = np.zeros(inputs.plate.shape[:2], np.float32)
    return Key(
        frame, inputs.plate, empty if alpha is None else alpha, inputs.trimap, inputs.background,
        inputs.segmentation, None if motion is None else np.asarray(motion, np.float32),
    )  # fmt: skip


def fitted(key: Key, system: System) -> Key:
    """Return a key at the size that a system's network looks at plates (`System.shorter`, `share`)."""
    import cv2

    height, width = key.alpha.shape
    share = system.share
    if system.shorter:
        share = min(1.0, system.shorter / min(height, width))
    if share == 1.0:
        return key
    size = (max(32, round(width * share)), max(32, round(height * share)))
    changed = {}
    for item in fields(Key):
        picture = getattr(key, item.name)
        if isinstance(picture, np.ndarray):
            how = cv2.INTER_NEAREST if item.name == "trimap" else cv2.INTER_AREA
            changed[item.name] = cv2.resize(picture, size, interpolation=how)
    return replace(key, **changed)
