# SPDX-License-Identifier: Apache-2.0
"""The pixels of hints: trimaps made, cleaned and forced; segmentations that bound a matte.

Sparse keys in time (a trimap drawn on three frames) are in `HintKeys`, which knows no pixels.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np

from matte_nodes.card import Knob
from matte_nodes.errors import HintSizeError, InputError, MissingInputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

T = TypeVar("T")
KeyMode = Literal["hold", "nearest", "only", "exact"]
SegmentationUse = Literal["bound", "garbage", "core"]

KNOWN_LOW = 0.05
KNOWN_HIGH = 0.95

HINT_KNOBS: tuple[Knob, ...] = (
    Knob(
        "segmentation_use",
        "choice",
        "bound",
        "What a segmentation does to the alpha: bound = fade to 0 outside it (grown by the "
        "margin, and by what a clean plate proves of the subject); garbage = multiply by it; core = "
        "alpha is at least as high as it is.",
        choices=get_args(SegmentationUse),
        stage="finish",
        live=False,
    ),
    Knob(
        "segmentation_margin",
        "float",
        24.0,
        "With bound: how far outside the segmentation alpha is kept; then it fades out over half "
        "that distance.",
        low=0.0,
        high=1000.0,
        unit="px",
        stage="finish",
        live=False,
    ),
)
"""The node's knobs for hints; which hints a model takes is on its card.

24 pixels: a segmentation network looks at about 256 pixels, so one of its cells is 7.5 pixels of
a 1920-pixel plate. Measured on the 15 alphamatting.com training mattes cut down to 256 x 256 and
thresholded: a margin of three cells loses 0.7 % of the soft alpha on average (5.5 % at worst),
none at all would lose 12 % (26 %).
"""


def trimap_from_matte(
    alpha: Float, width: float | Float, *, low: float = KNOWN_LOW, high: float = KNOWN_HIGH
) -> Float:
    """Return a trimap from a matte: unknown where alpha is soft, and `width` pixels each side of the edge.

    alpha: (H, W) float32 0..1. width: pixels at full resolution, 0 or more; the edge is where
    alpha crosses 0.5, and a pixel is in the band when the nearest pixel on the other side is at
    most `width` away (Euclidean), so 3 marks three pixels on each side of a straight edge. It may
    be (H, W) float32, a width for each pixel.
    low/high: alpha strictly between them is soft and unknown wherever it lies. The frame border
    is no edge. Returns (H, W) float32 with exactly 0, 0.5 and 1. Raises UsageError for a negative
    width or bad thresholds.
    """
    if not np.min(width) >= 0:
        raise UsageError(f"A trimap's width is {np.min(width):g} pixels: give 0 or more.")
    if not 0 <= low < high <= 1:
        raise UsageError(f"Thresholds low={low}, high={high}: give 0 <= low < high <= 1.")
    inside = alpha >= 0.5
    unknown = (alpha > low) & (alpha < high)
    if np.max(width) > 0:
        unknown |= (distance_to(inside) <= width) & (distance_to(~inside) <= width)
    trimap = inside.astype(np.float32)
    trimap[unknown] = 0.5
    return trimap


def clean_trimap(trimap: NDArray[Any]) -> Float:
    """Return any trimap array as exactly 0 (background), 0.5 (unknown) and 1 (foreground).

    trimap: (H, W) of any real type. It is first scaled to 0..1: bool is used directly; uint8 and
    uint16 are divided by their largest code; wider integers are 8-bit codes if none exceeds 255,
    else 16-bit; floats are used directly, or as 8-bit codes if any exceeds 2. Then values up to
    0.05 become 0, values from 0.95 become 1, and all others 0.5: the model decides about pixels
    of a resized or compressed trimap. Returns (H, W) float32. Raises InputError for another shape
    or type, and for values that are not finite.
    """
    if trimap.ndim != 2:
        raise InputError(f"A trimap is one channel, H x W; this one has the shape {trimap.shape}.")
    if trimap.dtype.kind not in "buif":
        raise InputError(f"A trimap holds numbers; this one holds {trimap.dtype}.")
    if trimap.dtype.kind == "f" and not np.isfinite(trimap).all():
        raise InputError("The trimap has pixels that are not finite (NaN or Inf): repaint them.")
    levels = trimap.astype(np.float64) / white(trimap)
    clean = np.full(trimap.shape, 0.5, np.float32)
    clean[levels <= KNOWN_LOW] = 0.0
    clean[levels >= KNOWN_HIGH] = 1.0
    return clean


def mask_values(mask: NDArray[Any]) -> Float:
    """Return a mask (H, W) of a file as float32: unsigned codes by their largest, other numbers as they
    are."""
    if mask.dtype.kind == "u":
        return mask.astype(np.float32) / np.float32(np.iinfo(mask.dtype).max)
    return np.ascontiguousarray(mask, np.float32)


@dataclass(frozen=True)
class HintKind:
    """The pixels of one kind of hint, in files and in the node."""

    is_picture: bool
    """An RGB picture (H, W, 3) in a colour space; otherwise one channel (H, W)."""

    values: Callable[[NDArray[Any]], NDArray[Any]] = lambda pixels: pixels
    """Pixels as they lie in a file to what the node works with."""


HINT_KINDS: Mapping[str, HintKind] = {
    "trimap": HintKind(is_picture=False, values=clean_trimap),
    "background": HintKind(is_picture=True),
    "segmentation": HintKind(is_picture=False, values=mask_values),
}
"""Every hint of `card.HINTS`."""


def force_trimap(alpha: Float, trimap: Float) -> Float:
    """Return alpha with the trimap's 0 and 1 put in, bit for bit as it was in the unknown.

    alpha: (H, W) float32. trimap: (H, W) float32 as `clean_trimap` makes it. Returns a new
    (H, W) float32. Raises HintSizeError if the sizes differ.
    """
    _same_size(alpha, trimap, "trimap")
    return np.where((trimap > 0) & (trimap < 1), alpha, trimap)


def bound_by_segmentation(
    alpha: Float,
    segmentation: Float,
    *,
    use: SegmentationUse,
    margin: float,
    away: Float | None = None,
) -> Float:
    """Return alpha limited or lifted by a rough mask of the subject.

    alpha, segmentation: (H, W) float32 0..1. `bound`: within `margin` pixels of the segmentation
    (its 0.5 level) alpha is as it was, bit for bit; beyond, it fades to 0 by a smooth step over
    half the margin, at least 2 pixels. `garbage`: alpha x segmentation as given. `core`: the
    larger of alpha and segmentation as given. The margin is used by `bound` alone, and so is away:
    (H, W) float32, how far each pixel counts as, where that is not the distance to the segmentation
    (`clean_plate_bound.distances`). Returns a new (H, W) float32. Raises HintSizeError if the sizes differ, UsageError for an unknown use.
    """
    _same_size(alpha, segmentation, "segmentation")
    if use == "garbage":
        return alpha * segmentation
    if use == "core":
        return np.maximum(alpha, segmentation)
    if use != "bound":
        raise UsageError(f'Segmentation use "{use}": one of bound, garbage, core.')
    if away is None:
        away = distance_to(segmentation >= 0.5)
    along = np.clip((away - margin) / fade(margin), 0.0, 1.0)
    keep: Float = 1.0 - along * along * (3.0 - 2.0 * along)
    return alpha * keep


def fade(margin: float) -> float:
    """Return over how many pixels beyond the margin a bounded alpha fades to 0."""
    return max(2.0, margin / 2)


class HintKeys(Mapping[int, T]):
    """Hints drawn on some frames of a shot, and which of them a frame uses.

    `hold`: the last key at or before the frame, and the first key before that. `nearest`: the
    key with the fewest frames between, the earlier one when two are as near. `only`: a key on its
    own frame and None elsewhere. `exact`: a key on its own frame; any other frame is an error.
    Read as a mapping it holds the keys alone, in the order of their frames. Raises InputError
    when there are no keys.
    """

    def __init__(self, keys: Mapping[int, T], mode: KeyMode = "hold") -> None:
        if not keys:
            raise InputError("Sparse hints need at least one key frame: none was given.")
        if mode not in get_args(KeyMode):
            raise UsageError(f'Hint keys "{mode}": one of {", ".join(get_args(KeyMode))}.')
        self.mode = mode
        self.frames = tuple(sorted(keys))
        self._keys = {frame: keys[frame] for frame in self.frames}

    def __getitem__(self, frame: int) -> T:
        return self._keys[frame]

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def at(self, frame: int) -> T | None:
        """Return the hint that `frame` uses.

        Raises MissingInputError in mode `exact` without a key.
        """
        source = self.source(frame)
        return None if source is None else self._keys[source]

    def source(self, frame: int) -> int | None:
        """Return the key frame that `frame` uses. Raises MissingInputError as `at` does."""
        if frame in self._keys:
            return frame
        if self.mode == "only":
            return None
        if self.mode == "exact":
            raise MissingInputError(
                f"Frame {frame} has no hint of its own (keys: {_listed(self.frames)}): "
                "draw one for this frame, or choose --hint-keys hold or nearest."
            )
        place = bisect_right(self.frames, frame)
        if place == 0:
            return self.frames[0]
        before = self.frames[place - 1]
        if self.mode == "hold" or place == len(self.frames):
            return before
        after = self.frames[place]
        return after if after - frame < frame - before else before


def distance_to(mask: NDArray[np.bool_]) -> Float:
    """Return (H, W) float32.

    Pixels to the nearest True pixel (0 on it), infinite when there is none.
    """
    import cv2

    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    # The last bits of OpenCV's answer depend on where its result lies in memory (measured: 405 of
    # 12,288 pixels, one unit in the last place), and no two runs of a frame may differ.
    away = _aligned(mask.shape)
    cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=away)
    # They depend on the number of threads, too (a quarter of 1080p, one unit). Its square is whole.
    np.sqrt(np.rint(np.multiply(away, away, out=away), out=away), out=away)
    return away


def _aligned(shape: tuple[int, ...]) -> Float:
    """Return an empty float32 array that begins at a multiple of 64 bytes."""
    size = 4 * math.prod(shape)
    room = np.empty(size + 64, np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + size].view(np.float32).reshape(shape)


def white(trimap: NDArray[Any]) -> float:
    """Return the value that means foreground in an array, by its type and (wide integers) its
    values.
    """
    if trimap.dtype == np.bool_:
        return 1.0
    if trimap.dtype == np.uint8:
        return 255.0
    if trimap.dtype == np.uint16:
        return 65535.0
    largest = trimap.max(initial=0)
    if trimap.dtype.kind == "f":
        return 255.0 if largest > 2 else 1.0
    return 255.0 if largest <= 255 else 65535.0


def _same_size(alpha: Float, hint: Float, name: str) -> None:
    if alpha.shape != hint.shape:
        height, width = alpha.shape
        raise HintSizeError(
            f"The {name} is {hint.shape[1]} x {hint.shape[0]}, the plate {width} x {height}: "
            "render the hint at the plate's size."
        )


def _listed(frames: tuple[int, ...]) -> str:
    shown = ", ".join(str(frame) for frame in frames[:8])
    return shown + (f" and {len(frames) - 8} more" if len(frames) > 8 else "")
