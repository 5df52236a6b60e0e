# SPDX-License-Identifier: Apache-2.0
"""Reads and checks the settings that the filter sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matte_nodes.card import KnobValue
from matte_nodes.errors import UsageError


@dataclass(frozen=True)
class FilterSettings:
    """The filter's settings."""

    model: str
    """Name of the model."""
    device: str = "auto"
    """Where it runs, as `MatteNode` takes it."""
    threads: int = 1
    """Threads of the model, 1 to 64."""
    smoothing: float = 0.0
    """Share of the matte before that is kept, 0 to 0.95."""
    drop_specks: bool = True
    """Remove faint, small parts of the matte that touch nothing."""
    skip: bool = True
    """Rest while the plate stands still."""
    feather_outward: float = 0.0
    """Sigma of the outward feather, in pixels of the staged plate."""
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)
    """Knobs of the model and of the node."""

    @property
    def engine(self) -> tuple[Any, ...]:
        """The part of the settings that needs another loaded model when it changes."""
        return self.model, self.device, self.threads


def read_settings(settings: Mapping[str, Any]) -> FilterSettings:
    """Read settings as the filter sent them. Raises UsageError for values that are not allowed."""
    try:
        knobs = settings.get("knobs", {})
        if not isinstance(knobs, dict) or not all(
            isinstance(value, bool | int | float | str) for value in knobs.values()
        ):
            raise TypeError("knobs")
        return FilterSettings(
            model=str(settings["model"]),
            device=str(settings.get("device", "auto")),
            threads=max(1, min(int(settings.get("threads", 1)), 64)),
            smoothing=max(0.0, min(float(settings.get("smoothing", 0.0)), 0.95)),
            drop_specks=bool(settings.get("drop_specks", True)),
            skip=bool(settings.get("skip", True)),
            feather_outward=max(0.0, min(float(settings.get("feather_outward", 0.0)), 50.0)),
            knobs=knobs,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"The filter sent settings that cannot be read: {error}.") from error
