# SPDX-License-Identifier: Apache-2.0
"""Matte: alpha, straight foreground and named extras of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matte_nodes.card import Float


@dataclass(frozen=True)
class Matte:
    """The result of a MatteNode for one frame.

    alpha: (H, W) float32, 0..1, linear coverage, never encoded; its values are half floats, so
    that 1 stays 1 and nothing else becomes 1 in a half-float file. foreground: (H, W, 3) float32,
    straight, in `colorspace`, unbounded; exactly the plate where alpha is 1, 0 where alpha is 0.
    extras: further outputs of the model, by name.
    """

    alpha: Float
    foreground: Float
    colorspace: str
    extras: Mapping[str, Float] = field(default_factory=dict)

    @property
    def premultiplied(self) -> Float:
        """foreground x alpha, (H, W, 3) float32, in `colorspace` (Porter, Duff 1984)."""
        return self.foreground * self.alpha[..., None]

    def over(self, background: Float | tuple[float, float, float]) -> Float:
        """Return the matte over another picture or a colour, both in `colorspace`.

        (H, W, 3) float32.
        """
        under = np.asarray(background, np.float32)
        return self.premultiplied + under * (1 - self.alpha[..., None])
