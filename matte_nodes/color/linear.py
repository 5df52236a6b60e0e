# SPDX-License-Identifier: Apache-2.0
"""Finds the scene-linear space that belongs to a colour space."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from matte_nodes.color.config import ColorConfig
from matte_nodes.color.transform import convert, transform
from matte_nodes.errors import ColorError

_TOLERANCE = 1e-4


def _is_curves_then_matrix(config: ColorConfig, space: str, linear: str) -> bool:
    """Whether a space is a linear space behind one curve a channel (channels add up)."""
    colors = np.random.default_rng(8).random((64, 1, 3), dtype=np.float32)
    alone = colors * np.eye(3, dtype=np.float32)  # (64, channel, rgb): one channel, others 0
    answers = convert(config, space, linear, np.concatenate([alone, colors, colors * 0], axis=1))
    together = answers[:, :3].sum(axis=1) - 2 * answers[:, 4]
    return bool(np.allclose(together, answers[:, 3], rtol=_TOLERANCE, atol=_TOLERANCE))


@lru_cache(maxsize=64)
def linear_counterpart(config: ColorConfig, space: str) -> str:
    """Return the scene-linear space that belongs to a space.

    A linear space is its own. Else it is the first linear space of the config that differs by one
    curve a channel, so it has the same primaries (sRGB texture -> linear Rec.709, ARRI LogC3 ->
    linear ARRI Wide Gamut 3). Else it is the scene_linear role. Raises ColorError when the config
    has none of these.
    """
    if config.says_linear(space):
        return space
    candidates = config.kin(space)
    scene = config.role("scene_linear")
    if candidates and transform(config, space, candidates[0]).separable:
        return candidates[0]
    if scene is None or _is_curves_then_matrix(config, space, scene):
        for name in candidates[1:]:
            if transform(config, space, name).separable:
                return name
    if scene is None:
        raise ColorError(
            f"The OCIO config {config.path} has no scene_linear role and no linear space with the "
            f'primaries of "{space}": name a linear output space or use another config.'
        )
    return scene
