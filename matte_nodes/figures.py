# SPDX-License-Identifier: Apache-2.0
"""What was measured of a model, by us or by others, and for which purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Purpose: TypeAlias = Literal[
    "hair", "people", "animals", "product", "video", "trimap", "clean-plate", "live"
]
PURPOSES: tuple[str, ...] = get_args(Purpose)
"""What people look for a model for."""

MEASURES: Mapping[str, bool] = {
    "IoU": True,
    "S": True,
    "maxF": True,
    "SAD/1000": False,
    "MAD": False,
    "dtSSD": False,
    "seconds": False,
}
"""The measures of figures, each with whether more is better. IoU: overlap of the masks at 0.5. S and
maxF: structure measure and largest F-measure of salient object detection. SAD/1000: sum of absolute
differences. MAD: mean absolute difference. dtSSD: incoherence in time (docs/metrics.md). seconds: of a picture on this project's machine."""


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    data: on which pictures. by: who published it; "" for this project's own measurement. variant:
    the variant of the card that was measured; "" for the card's own weights. Figures
    are ranked only among those of the same measure, data and publisher.
    """

    purpose: Purpose
    measure: str
    value: float
    data: str
    by: str = ""
    variant: str = ""

    @property
    def group(self) -> tuple[bool, str, str, str]:
        """What it can be ranked among; our own come first."""
        return bool(self.by), self.data, self.measure, self.by

    @property
    def rank(self) -> float:
        """Sorts the best first within its group."""
        return -self.value if MEASURES[self.measure] else self.value

    @property
    def text(self) -> str:
        """The figure with its measure."""
        return f"{self.measure} {self.value:g}"
