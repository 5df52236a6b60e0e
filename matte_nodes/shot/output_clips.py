# SPDX-License-Identifier: Apache-2.0
"""A Shot seen as a clip: of alphas, of trimaps, of foregrounds. Chains are made of these."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.media.image import Image, Window
from matte_nodes.node.hints import trimap_from_matte
from matte_nodes.node.matte import Matte
from matte_nodes.temporal.stat_cache import Look

if TYPE_CHECKING:
    from matte_nodes.card import Float
    from matte_nodes.shot.shot import Shot


class MatteClip:
    """One output of a shot as a clip (`matte_nodes.media.clip.Clip`), made when it is read."""

    def __init__(
        self, shot: Shot, what: str, channels: tuple[str, ...], make: Callable[[Matte, int], Float]
    ) -> None:
        self._shot, self._make, self._channels, self._what = shot, make, channels, what
        clip = shot.clip
        self.name = f"{what} of {clip.name} by {shot.node.card.name}"
        self.frames = shot.frames
        self.canvas: Window = clip.canvas
        self.display_window: Window = clip.display_window
        self.rate: Fraction | None = clip.rate
        self.pixel_aspect: float = clip.pixel_aspect
        self.is_movie = False
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

    def stamp(self, frame: int) -> str:
        """The identity of everything this frame is made from."""
        return self.key(frame, Look())

    def key(self, frame: int, look: Look) -> str:
        """As `stamp`, by a look that is shared with others."""
        return f"{self._what} {self._shot.stamp(frame, look)}"

    def close(self) -> None:
        """The shot stays open: it may serve others."""


def alpha_clip(shot: Shot) -> MatteClip:
    """The shot's alphas."""
    return MatteClip(shot, "alpha", ("Y",), lambda matte, _: matte.alpha)


def foreground_clip(shot: Shot) -> MatteClip:
    """The shot's straight foregrounds."""
    return MatteClip(shot, "foreground", ("R", "G", "B"), lambda matte, _: matte.foreground)


def trimap_clip(shot: Shot, width: float) -> MatteClip:
    """Trimaps of the shot's mattes, with `width` pixels of unknown round each edge.

    Where the shot was given a trimap, what that knows stays known.
    """
    drawn = shot.hints.get("trimap")

    def make(matte: Matte, frame: int) -> Float:
        found = trimap_from_matte(matte.alpha, width).astype(np.float32, copy=False)
        given = None if drawn is None else drawn.pixels(frame)
        return found if given is None else np.where(given == 0.5, found, given)

    what = f"trimap {width:g}" + (" with what is known" if drawn else "")
    return MatteClip(shot, what, ("Y",), make)
