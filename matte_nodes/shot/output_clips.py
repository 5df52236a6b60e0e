# SPDX-License-Identifier: Apache-2.0
"""A Shot as a clip of alphas, trimaps or foregrounds. Chains consist of such clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from matte_nodes.media.clip import Clip, ClipBase
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.stat_cache import StatCache
from matte_nodes.node.hints import trimap_from_matte
from matte_nodes.node.matte import Matte
from matte_nodes.node.moving_band import moving_band
from matte_nodes.temporal.digest import digest
from matte_nodes.temporal.stat_cache import Look

if TYPE_CHECKING:
    from matte_nodes.card import Float
    from matte_nodes.color import PlateColor


class MatteSource(Protocol):
    """The part of a shot that this module uses."""

    clip: Clip
    """The plate."""
    frames: Sequence[int]
    color: PlateColor

    def at(self, frame: int) -> Matte: ...
    def mask_at(self, frame: int) -> Float: ...
    def stamp(self, frame: int, look: Look | None = None) -> str: ...


class MatteClip(ClipBase):
    """One output of a shot as a clip (`matte_nodes.media.clip.Clip`), made when it is read.

    what: names the output. model: the name of the model that made it. make: the pixels of a frame,
    (H, W) or (H, W, C) float32, from its matte.
    """

    def __init__(
        self,
        shot: MatteSource,
        what: str,
        model: str,
        channels: tuple[str, ...],
        make: Callable[[Matte, int], Float],
    ) -> None:
        self._shot, self._make, self._channels, self._what = shot, make, channels, what
        clip = shot.clip
        self.name = f"{what} of {clip.name} by {model}"
        self.frames = shot.frames
        self.canvas: Rect = clip.canvas
        self.display_window: Rect = clip.display_window
        self.rate: Fraction | None = clip.rate
        self.pixel_aspect: float = clip.pixel_aspect
        self.colorspace = shot.color.output

    def read(self, frame: int) -> Image:
        """This output of one frame, float32, over the plate's canvas."""
        pixels = self._make(self._shot.at(frame), frame)
        return Image(
            pixels=pixels if pixels.ndim == 3 else pixels[..., None],
            channels=self._channels,
            data_window=self.canvas,
            display_window=self.display_window,
            pixel_aspect=self.pixel_aspect,
            colorspace=self.colorspace,
        )

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Return the identity of everything this frame is made from."""
        return f"{self._what} {self._shot.stamp(frame, look if isinstance(look, Look) else None)}"

    def close(self) -> None:
        """The shot stays open: it may serve others."""


def alpha_clip(shot: MatteSource, model: str) -> MatteClip:
    """Return the shot's alphas."""
    return MatteClip(shot, "alpha", model, ("Y",), lambda matte, _: matte.alpha)


def foreground_clip(shot: MatteSource, model: str) -> MatteClip:
    """Return the shot's straight foregrounds."""
    channels = ("R", "G", "B")
    return MatteClip(shot, "foreground", model, channels, lambda matte, _: matte.foreground)


def trimap_clip(
    shot: MatteSource,
    model: str,
    width: float,
    drawn: Callable[[int], Float | None] | None,
    moving: bool = False,
) -> MatteClip:
    """Return trimaps of the shot's mattes, with `width` pixels of unknown round each edge.

    drawn: the trimap that the shot itself was given, by frame: what that knows stays known.
    moving: the band is wider where the edge moves (`node/moving_band.py`).
    """

    def make(matte: Matte, frame: int) -> Float:
        band: float | Float = width
        if moving:
            band = moving_band(matte.alpha, [shot.mask_at(n) for n in beside(shot, frame)], width)
        found = trimap_from_matte(matte.alpha, band).astype(np.float32, copy=False)
        given = None if drawn is None else drawn(frame)
        return found if given is None else np.where(given == 0.5, found, given)

    what = f"trimap {float(width)!r}" + (" with what is known" if drawn else "")
    if not moving:
        return MatteClip(shot, what, model, ("Y",), make)
    return _MovingClip(shot, f"{what} moving", model, ("Y",), make)


def beside(shot: MatteSource, frame: int) -> list[int]:
    """Return the frames before and after a frame, where the shot has them."""
    place = shot.frames.index(frame)
    return [shot.frames[n] for n in (place - 1, place + 1) if 0 <= n < len(shot.frames)]


class _MovingClip(MatteClip):
    """A clip whose frames are made from the shot's frames beside them too."""

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Return the identity of everything this frame is made from."""
        also = look if isinstance(look, Look) else None
        around = [self._shot.stamp(n, also) for n in beside(self._shot, frame)]
        return f"{super().stamp(frame, look)} {digest(around)}"
