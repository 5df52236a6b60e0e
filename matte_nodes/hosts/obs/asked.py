# SPDX-License-Identifier: Apache-2.0
"""The settings that come from the filter, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matte_nodes.card import KnobValue
from matte_nodes.errors import UsageError


@dataclass(frozen=True)
class Asked:
    """What the filter asks for.

    smoothing: 0..0.95, the share of the matte before that is kept. skip: rest while the plate
    stands still. feather_outward: sigma in staged pixels. knobs: of the model and the node.
    """

    model: str
    device: str = "auto"
    threads: int = 1
    smoothing: float = 0.0
    skip: bool = True
    feather_outward: float = 0.0
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)

    @property
    def engine(self) -> tuple[Any, ...]:
        """What another model must be loaded for."""
        return self.model, self.device, self.threads


def asked(settings: Mapping[str, Any]) -> Asked:
    """Read settings as the filter sent them. Raises UsageError for what cannot be."""
    try:
        knobs = settings.get("knobs", {})
        if not isinstance(knobs, dict) or not all(
            isinstance(value, bool | int | float | str) for value in knobs.values()
        ):
            raise TypeError("knobs")
        return Asked(
            model=str(settings["model"]),
            device=str(settings.get("device", "auto")),
            threads=max(1, min(int(settings.get("threads", 1)), 64)),
            smoothing=max(0.0, min(float(settings.get("smoothing", 0.0)), 0.95)),
            skip=bool(settings.get("skip", True)),
            feather_outward=max(0.0, min(float(settings.get("feather_outward", 0.0)), 50.0)),
            knobs=knobs,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"The filter sent settings that cannot be read: {error}.") from error
