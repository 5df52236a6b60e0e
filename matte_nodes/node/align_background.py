# SPDX-License-Identifier: Apache-2.0
"""A hand-held clean plate, laid over the plate by a homography.

SIFT features and RANSAC find it; Lucas-Kanade steps (Lucas, Kanade 1981) over all tiles that fit
then mend the last pixel.

Background Matting (Sengupta et al. 2020) aligns captured backgrounds so; the features there were
AKAZE, which OpenCV 5 no longer has. Whether it must be aligned, and whether it fits at all, is in
`clean_plate_fit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matte_nodes.node.clean_plate_fit import LEAST_TILES, LONGEST, Fit, Pair, Tiles, fit, grey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

Align = Literal["auto", "on", "off"]

LEAST_MATCHES = 16
RATIO = 0.75
THRESHOLD = 2.0
ROUNDS = 6
CLOSER = 0.95  # a step that leaves more than this part of the distance is not taken


@dataclass(frozen=True)
class CleanPlate:
    """A clean plate as the model gets it, and what was found out about it."""

    pixels: NDArray[Any]
    """(H, W, 3), as the clean plate that was given, or moved."""

    fit: Fit | None = None
    """How it fits the plate; None where nobody looked (off)."""

    is_moved: bool = False
    """Whether it was laid over the plate."""

    @property
    def complaint(self) -> str:
        """What the user should know, as a sentence with what to do; "" where it fits."""
        if self.fit is None or not self.fit.is_bad:
            return ""
        return (
            f"the clean plate does not fit: the plate shows {self.fit.share:.0%} of its details. "
            "Parts of the place will be in the matte. Give a clean plate from the same camera "
            "position, or use a model that needs none."
        )


def laid_over(
    background: NDArray[Any],
    plate: NDArray[Any],
    segmentation: Float | None = None,
    how: Align = "auto",
) -> CleanPlate:
    """The clean plate as the knob `align_background` asks for it.

    background, plate: (H, W, 3) of one size and pixel type, any encoding. segmentation: (H, W)
    float32 0..1; what lies on the subject is left out. how: `off` returns the clean plate as it
    is. `on` lays it over the plate wherever a trustworthy homography is found. `auto` does so only
    where the clean plate has moved and fits better afterwards: in a locked-off shot its pixels
    stay as they are, bit for bit. The result depends on nothing but the arguments.
    """
    if how == "off":
        return CleanPlate(background)
    before = fit(background, plate, segmentation)
    if how == "auto" and before.is_locked:
        return CleanPlate(background, before)
    moved = aligned(background, plate, segmentation)
    if moved is background:
        return CleanPlate(background, before)
    after = fit(moved, plate, segmentation)
    if how == "auto" and not _is_better(after, before):
        return CleanPlate(background, before)
    return CleanPlate(moved, after, is_moved=True)


def _is_better(after: Fit, before: Fit) -> bool:
    """More tiles fit; or as many, and they lie closer."""
    if abs(after.share - before.share) <= 0.05:
        return after.moved < before.moved
    return after.share > before.share


def aligned(
    background: NDArray[Any], plate: NDArray[Any], segmentation: Float | None = None
) -> NDArray[Any]:
    """Return the clean plate moved onto the plate; what it does not cover is filled from the plate.

    background, plate: (H, W, 3) of one size and pixel type, any encoding. segmentation: (H, W),
    features on the subject are left out. When no trustworthy homography is found (few features and
    few details, another place) the clean plate comes back as it was.
    """
    import cv2

    homography = settled(
        background, plate, segmentation, find_homography(background, plate, segmentation)
    )
    if homography is None:
        return background
    height, width = plate.shape[:2]
    # Warped as float32: uint16 and half pixels are not OpenCV's.
    source = background.astype(np.float32)
    moved = cv2.warpPerspective(source, homography, (width, height), flags=cv2.INTER_LINEAR)
    ones = np.ones(background.shape[:2], np.float32)
    cover = cv2.warpPerspective(ones, homography, (width, height), flags=cv2.INTER_LINEAR)
    inside = (cover > 0.999)[..., None]
    result = np.where(inside, moved, plate.astype(np.float32))
    if background.dtype.kind == "u":
        result = np.round(result).clip(0, np.iinfo(background.dtype).max)
    return result.astype(background.dtype)


def find_homography(
    background: NDArray[Any], plate: NDArray[Any], segmentation: Float | None = None
) -> NDArray[np.float64] | None:
    """Return (3, 3) from clean plate to plate, in pixels, or None when it cannot be trusted."""
    cv2: Any = import_module("cv2")  # its stubs lack SIFT
    height, width = plate.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    pictures = [grey(picture, scale) for picture in (background, plate)]
    mask = None
    if segmentation is not None:
        free = (segmentation < 0.1).astype(np.uint8) * 255
        mask = cv2.resize(free, pictures[1].shape[::-1], interpolation=cv2.INTER_NEAREST)
    sift = cv2.SIFT_create(4000)
    points_of, features = [], []
    for picture, where in zip(pictures, (None, mask), strict=True):
        points, described = sift.detectAndCompute(picture, where)
        if described is None or len(points) < LEAST_MATCHES:
            return None
        points_of.append(np.array([point.pt for point in points], np.float32))
        features.append(described)
    pairs = cv2.BFMatcher().knnMatch(features[0], features[1], k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < RATIO * p[1].distance]
    if len(good) < LEAST_MATCHES:
        return None
    source = points_of[0][[match.queryIdx for match in good]]
    target = points_of[1][[match.trainIdx for match in good]]
    found, inliers = cv2.findHomography(source, target, cv2.RANSAC, THRESHOLD)
    if found is None or int(inliers.sum()) < max(LEAST_MATCHES, len(good) // 4):
        return None
    zoom = np.diag([scale, scale, 1.0])
    homography: NDArray[np.float64] = np.linalg.inv(zoom) @ found @ zoom
    return homography if _is_plausible(homography, height, width) else None


def settled(
    background: NDArray[Any],
    plate: NDArray[Any],
    segmentation: Float | None = None,
    homography: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Return a homography that lays the details of both pictures closer together than this one.

    homography: (3, 3) from clean plate to plate, in pixels; None: both lie at most two pixels
    apart. Returns it as it was where too few tiles fit, or where no step brings them closer.
    """
    pair = Pair.of(background, plate, segmentation)
    zoom = np.diag([pair.scale, pair.scale, 1.0])
    best = homography
    reduced = np.eye(3) if homography is None else zoom @ homography @ np.linalg.inv(zoom)
    found = pair.tiles(None if homography is None else reduced)
    nearest = _apart(found)
    for _ in range(ROUNDS):
        if len(found.squares) < LEAST_TILES:
            break
        reduced = _step(found, pair.seen.shape) @ reduced
        found = pair.tiles(reduced)
        apart = _apart(found)
        if apart > CLOSER * nearest:
            break
        nearest, best = apart, np.linalg.inv(zoom) @ reduced @ zoom
    return best


def _apart(found: Tiles) -> float:
    """How far three of four tiles that fit lie apart at most, in reduced pixels."""
    far = np.hypot(*found.shifts().T)
    return float(np.percentile(far, 75)) if len(far) >= LEAST_TILES else np.inf


def _step(found: Tiles, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the homography of one Gauss-Newton step over all tiles, in reduced pixels.

    A tile that says otherwise than the others counts less (Cauchy weights).
    """
    half = max(shape) / 2
    middle = np.array([shape[1] / 2, shape[0] / 2])
    x, y = ((found.centres().astype(np.float64) - middle) / half).T
    none, one = np.zeros_like(x), np.ones_like(x)
    # How a tile moves by each of the eight numbers of a small homography.
    across = np.stack((one, x, y, none, none, none, x * x, x * y), 1)
    down = np.stack((none, none, none, one, x, y, x * y, y * y), 1)
    moves = np.stack((across, down), 1)
    squares = found.squares.astype(np.float64)[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    sums, alone = found.apart.astype(np.float64), found.shifts().astype(np.float64)
    weights = np.ones(len(x))
    for _ in range(4):
        whole = np.einsum("n,nik,nij,njl->kl", weights, moves, squares, moves) + np.eye(8)
        answer = np.linalg.solve(whole, np.einsum("n,nik,ni->k", weights, moves, sums))
        left = np.hypot(*(alone - moves @ answer).T)
        weights = 1 / (1 + (left / max(1.4826 * float(np.median(left)), 0.05)) ** 2) ** 2
    a, b, c, d, e, f, g, h = -answer / half
    small = np.array([[1 + b, c, a], [e, 1 + f, d], [-g, -h, 1.0]])
    there = np.array([[half, 0, middle[0]], [0, half, middle[1]], [0, 0, 1.0]])
    return np.asarray(there @ small @ np.linalg.inv(there), np.float64)


def _is_plausible(homography: NDArray[np.float64], height: int, width: int) -> bool:
    """A hand that shakes moves the corners by less than a third of the picture, without a flip."""
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    moved = corners @ homography.T
    if (moved[:, 2] <= 1e-6).any():
        return False
    shift = moved[:, :2] / moved[:, 2:] - corners[:, :2]
    return bool(np.abs(shift).max() < max(height, width) / 3)
