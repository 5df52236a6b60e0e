# SPDX-License-Identifier: Apache-2.0
"""A clean plate that was shot at another exposure, given that of the plate.

A camera with automatic exposure sees a person and takes less light of the place. Each channel of
the clean plate is given a gain and a gamma, which are fitted robustly where the plate shows the
place. A gain is the same in linear light and in any power-law encoding, so the fit is, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

Match = Literal["auto", "off"]

LONGEST = 480
"""Pictures are compared at most at this size."""

BLUR = 1.0  # sigma in reduced pixels: so a shift of a pixel tells little
DARK, BRIGHT = 0.04, 0.97  # encoded: below is noise, above is clipped
FARTHEST = 0.7  # in log: a clean plate at half or twice the light
PEAK = 0.06  # in log: pixels this near to the commonest ratio may show the place
LEAST_PART = 0.2  # of the pixels must be so near
GAMMAS = (0.6, 1.6)  # other gammas are no fit, but chance
MOST_LEFT = 0.8  # of the difference: a fit that leaves more is none
SMALL = 0.5  # 8-bit codes: a difference below it is left as it is


@dataclass(frozen=True)
class Curve:
    """Gain and gamma of each channel: encoded light x becomes gain * x ** gamma."""

    gain: NDArray[np.float64]
    gamma: NDArray[np.float64]

    def __call__(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return the picture (H, W, 3) with the curve put on, in its own pixel type.

        Integers are display-encoded, floats are scene-linear: the square root stands between.
        """
        if picture.dtype.kind == "u":
            most = int(np.iinfo(picture.dtype).max)
            levels = np.arange(most + 1, dtype=np.float64)[:, None] / most
            table = np.round(np.clip(self._of(levels), 0, 1) * most).astype(picture.dtype)
            return np.dstack([table[:, k][picture[..., k]] for k in range(3)])
        values = np.maximum(picture.astype(np.float32), 0)
        squared = Curve(self.gain**2, self.gamma)._of(values)
        below = np.minimum(picture, 0)
        limit = np.where(np.isinf(values), values, np.float32(np.finfo(picture.dtype).max))
        return np.asarray(np.minimum(squared, limit) + below, picture.dtype)

    def _of(self, values: NDArray[Any]) -> NDArray[Any]:
        gain, gamma = (part.astype(values.dtype) for part in (self.gain, self.gamma))
        return np.asarray(gain * np.power(values, gamma))


def matched(
    background: NDArray[Any],
    plate: NDArray[Any],
    segmentation: Float | None = None,
    how: Match = "auto",
) -> NDArray[Any]:
    """Return the clean plate with the plate's exposure, balance and contrast.

    background, plate: (H, W, 3) of one size and colour space; integers display-encoded, floats
    scene-linear. segmentation: (H, W) float32 0..1; what lies on the subject is left out. how:
    `off` returns the clean plate as it is. So does `auto` where both agree within half an 8-bit
    code, where no curve can be trusted, and where one is of integers and one of floats. The result depends on nothing but the arguments.
    """
    if how == "off" or background.dtype.kind != plate.dtype.kind:
        return background
    found = curve(background, plate, segmentation)
    return background if found is None else found(background)


def curve(
    background: NDArray[Any], plate: NDArray[Any], segmentation: Float | None = None
) -> Curve | None:
    """Return the curve that gives the clean plate the plate's exposure; None where none is due.

    The arguments are those of `matched`.
    """
    import cv2

    scale = min(1.0, LONGEST / max(plate.shape[:2]))
    seen, clean = (_encoded(picture, scale) for picture in (plate, background))
    fair = ((np.minimum(seen, clean) > DARK) & (np.maximum(seen, clean) < BRIGHT)).all(axis=2)
    if segmentation is not None:
        small = cv2.resize(segmentation, seen.shape[1::-1], interpolation=cv2.INTER_AREA)
        fair &= small < 0.1
    ratios = np.log(seen[fair].astype(np.float64) / clean[fair])
    bases = np.log(clean[fair].astype(np.float64))
    near = _near_the_peak(ratios.mean(axis=1))
    if near is None:
        return None
    fitted = [_fitted(bases[near, k], ratios[near, k]) for k in range(3)]
    found = Curve(*(np.array(part) for part in zip(*fitted, strict=True)))
    if np.abs(np.log(found.gain)).max() > FARTHEST:
        return None
    if found.gamma.min() < GAMMAS[0] or found.gamma.max() > GAMMAS[1]:
        return None
    before, after = clean[fair][near], np.exp(bases[near]) ** found.gamma * found.gain
    left, was = (float(np.median(np.abs(seen[fair][near] - part))) for part in (after, before))
    return found if was * 255 > SMALL and left < MOST_LEFT * was else None


def _encoded(picture: NDArray[Any], scale: float) -> Float:
    """A small, calm copy (H, W, 3) float32, 0..1 and above; linear light is square-rooted."""
    import cv2

    values = picture.astype(np.float32)
    if scale < 1:
        values = cv2.resize(values, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if picture.dtype.kind == "u":
        values /= np.float32(np.iinfo(picture.dtype).max)
    else:
        values = np.sqrt(np.maximum(values, 0))
    return np.asarray(cv2.GaussianBlur(values, (0, 0), BLUR), np.float32)


def _near_the_peak(ratios: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """The pixels whose ratio is about the commonest one; None where no ratio is common."""
    step = 0.01
    edges = np.arange(-FARTHEST, FARTHEST + step, step)
    counts = np.histogram(ratios, edges)[0].astype(np.float64)
    width = round(PEAK / step)
    calm = np.convolve(counts, np.hanning(2 * width + 3)[1:-1], "same")
    peak = edges[int(calm.argmax())] + step / 2
    near: NDArray[np.bool_] = np.abs(ratios - peak) < 3 * PEAK
    few = np.count_nonzero(np.abs(ratios - peak) < PEAK) < LEAST_PART * max(len(ratios), 1)
    return None if few or len(ratios) < 64 else near


def _fitted(base: NDArray[np.float64], ratio: NDArray[np.float64]) -> tuple[float, float]:
    """Gain and gamma of one channel, by weighted least squares; what lies apart counts less."""
    weights = np.ones(len(base))
    offset, slope = float(np.median(ratio)), 0.0
    for _ in range(8):
        left = ratio - offset - slope * base
        wide = 2 * max(1.4826 * float(np.median(np.abs(left))), 0.01)
        weights = 1 / (1 + (left / wide) ** 2) ** 2
        total = float(weights.sum())
        middle, level = (float((weights * part).sum()) / total for part in (base, ratio))
        spread = float((weights * (base - middle) ** 2).sum()) / total
        shared = float((weights * (base - middle) * (ratio - level)).sum()) / total
        slope = shared / (spread + 0.003)  # a place of one tone tells no gamma
        offset = level - slope * middle
    return float(np.exp(offset)), 1 + slope
