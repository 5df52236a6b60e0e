# SPDX-License-Identifier: Apache-2.0
"""All metrics of a frame and of a sequence, over the whole picture and the unknown region."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from matte_nodes.evaluate import metrics
from matte_nodes.evaluate.connectivity import connectivity_error
from matte_nodes.evaluate.gradient import gradient_error
from matte_nodes.evaluate.region import unknown_region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.evaluate.region import RegionSource

FRAME_KEYS = ("sad", "mad", "mse", "grad", "conn", "fg_mse")
KEYS = (*FRAME_KEYS, "dtssd_before", "dtssd", "seconds")
REGIONS = ("whole", "unknown")


def evaluate_frame(
    pred_alpha: Float,
    true_alpha: Float,
    trimap: Float | None = None,
    pred_fg: Float | None = None,
    true_fg: Float | None = None,
) -> dict[str, Any]:
    """Return the metrics of one frame: `{"whole": {...}, "unknown": {...}, "region_source": ...}`.

    Each region holds `sad mad mse grad conn fg_mse` in the units of docs/metrics.md. fg_mse is None
    unless both foregrounds are given. pred_alpha, true_alpha: (H, W) float32 0..1. Known pixels of
    the trimap count too (MatteNode has forced them). trimap: (H, W) float32 with 0, unknown, 1.
    Foregrounds: (H, W, 3) float32, straight, both in one encoding. Raises InputError if sizes
    differ or a matte is not finite.
    """
    unknown, source = unknown_region(true_alpha, trimap)
    return _frame(pred_alpha, true_alpha, pred_fg, true_fg, unknown, source)


def evaluate_sequence(
    frames: Iterable[tuple[Float, Float] | tuple[Float, Float, Float | None]],
    seconds: float | None = None,
) -> dict[str, Any]:
    """Return the metrics of a sequence: means over frames, and dtSSD over neighbouring pairs.

    frames: (pred_alpha, true_alpha) or (pred_alpha, true_alpha, trimap) in time order. They are
    read once, two at a time. seconds: the model's time for one frame; it is copied to the result.
    For foregrounds use `SequenceScores`. Returns what `SequenceScores.result` returns.
    """
    scores = SequenceScores()
    for frame in frames:
        scores.add(*frame)
    return scores.result(seconds)


@dataclass
class SequenceScores:
    """Collects metrics frame by frame, in time order. Holds the alphas of one frame only."""

    count: int = 0
    region_source: RegionSource | None = None
    _values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _before: tuple[Float, Float, NDArray[np.bool_]] | None = None

    def add(
        self,
        pred_alpha: Float,
        true_alpha: Float,
        trimap: Float | None = None,
        pred_fg: Float | None = None,
        true_fg: Float | None = None,
    ) -> dict[str, Any]:
        """Add the next frame. Takes and returns what `evaluate_frame` takes and returns.

        The unknown region of dtSSD is what is unknown in either frame of the pair.
        """
        unknown, source = unknown_region(true_alpha, trimap)
        self.region_source = source
        scores = _frame(pred_alpha, true_alpha, pred_fg, true_fg, unknown, source)
        for region in REGIONS:
            for key, value in scores[region].items():
                self._note(region, key, value)
        if self._before is not None:
            pred_before, true_before, unknown_before = self._before
            either = unknown | unknown_before
            pair = (pred_alpha, pred_before, true_alpha, true_before)
            self._note("whole", "dtssd", metrics.dtssd(*pair))
            self._note("unknown", "dtssd", metrics.dtssd(*pair, either))
        self._before = (pred_alpha.copy(), true_alpha.copy(), unknown)
        self.count += 1
        return scores

    def result(self, seconds: float | None = None) -> dict[str, Any]:
        """Return `whole` and `unknown` with `sad mad mse grad conn fg_mse dtssd seconds`.

        Values are means over frames (dtssd: over pairs), or None without any. `seconds` is the
        given time for one frame. Also has `region_source` and `frames`.
        """
        answer: dict[str, Any] = {}
        for region in REGIONS:
            answer[region] = {key: self._mean(region, key) for key in (*FRAME_KEYS, "dtssd")}
            answer[region]["seconds"] = seconds
        return {**answer, "region_source": self.region_source, "frames": self.count}

    def _note(self, region: str, key: str, value: float | None) -> None:
        if value is not None:
            self._values.setdefault((region, key), []).append(value)

    def _mean(self, region: str, key: str) -> float | None:
        values = self._values.get((region, key))
        return sum(values) / len(values) if values else None


def _frame(
    pred: Float,
    true: Float,
    pred_fg: Float | None,
    true_fg: Float | None,
    unknown: NDArray[np.bool_],
    source: RegionSource,
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    regions = dict(zip(REGIONS, (None, unknown), strict=True))
    for name, region in regions.items():
        scores[name] = {
            "sad": metrics.sad(pred, true, region),
            "mad": metrics.mad(pred, true, region),
            "mse": metrics.mse(pred, true, region),
        }
    # Grad and Conn need the whole picture for any region, so their maps are made once.
    gradients, pieces = gradient_error(pred, true), connectivity_error(pred, true)
    for name, region in regions.items():
        scores[name]["grad"] = metrics.thousands(gradients, region)
        scores[name]["conn"] = metrics.thousands(pieces, region)
        scores[name]["fg_mse"] = None
        if pred_fg is not None and true_fg is not None:
            scores[name]["fg_mse"] = metrics.fg_mse(pred_fg, true_fg, true, region)
    return {**scores, "region_source": source}
