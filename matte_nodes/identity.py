# SPDX-License-Identifier: Apache-2.0
"""Content keys: what a result depends on, hashed. Equal keys, equal pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import __version__
from .runtime import numerics_tag

if TYPE_CHECKING:
    from .node import MatteNode
    from .shot import Shot

ALGORITHM_VERSION = 1
"""Raised whenever the library itself (colour, foreground, finesse) changes a pixel."""


def digest(*parts: object) -> str:
    """A sha256 over the parts' canonical JSON, hexadecimal."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def node_identity(node: MatteNode) -> dict[str, Any]:
    """Model, weights, knobs and numerics of a node: everything but the pictures."""
    return {
        "algorithm": ALGORITHM_VERSION,
        "model": node.card.name,
        "model_version": node.card.algorithm_version,
        "weights": node.weights_identity,
        "knobs": dict(sorted(node.knobs.items())),
        "numerics": numerics_tag(node.device, node.threads),
        "code": __version__,
    }


class ShotKeys:
    """Keys of a shot's frames, each chained to all inputs that the frame depends on."""

    def __init__(self, shot: Shot, settings: Mapping[str, Any]) -> None:
        self._shot = shot
        self._settings = digest(dict(settings))
        self._chain: list[str] = []

    def key(self, frame: int) -> str:
        """The key of one frame; for a model with memory every earlier frame counts."""
        index = self._shot.frames.index(frame)
        if not self._shot.has_memory:
            return digest(self._settings, [self._stamps(n) for n in self._shot.seen_frames(frame)])
        while len(self._chain) <= index:
            before = self._chain[-1] if self._chain else self._settings
            self._chain.append(digest(before, self._stamps(self._shot.frames[len(self._chain)])))
        return self._chain[index]

    def _stamps(self, frame: int) -> Sequence[str]:
        hints = self._shot.hints
        return [
            self._shot.clip.stamp(frame),
            *(f"{name} {hints[name].stamp(frame)}" for name in sorted(hints)),
        ]
