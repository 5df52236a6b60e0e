# SPDX-License-Identifier: Apache-2.0
"""Finds out how to read a picture as a mask or a trimap: its channel, its codes, its faults.

One picture of the clip is looked at before the first frame (three where the first one is empty),
so that every frame is read in the same way. What cannot be known is an error that lists the
choices; what is likely is taken and said.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.media.as_array import InputWarning
from matte_nodes.node.hints import clean_trimap
from matte_nodes.node.plate_values import LOW_CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.media.image import Image


Look = Literal["alpha", "grey", "labels", "empty", "colour"]

_MOST_LABELS = 16
"""Integer codes of a mask are labels when none is above this: 16 of 255 is black to the eye."""
_FEW_CODES = 8
"""Codes up to half of white are labels too when there are so few: a soft edge has more."""
_HALF = 0.505
"""Half of white, with the codes 128 of 255 and 32768 of 65535 that are written for it."""
_MOST_COLOURS = 64
"""A coloured mask has labels when it has at most so many colours, black among them."""
_ROUNDING = 0.02
"""Values this far outside 0 to 1 come from resizing; nothing is said of them."""
_ALL_ROUND = 0.98
"""So much of the border of an inverted mask is white."""
_SMALLEST = 8
"""The border of a smaller mask is most of it."""
_GREY = 0.03
"""Channels that differ by less are grey: compression and rounding colour a grey picture."""


_NO_UNKNOWN = (
    "the {} has no unknown (nothing is grey); nothing is solved, and the alpha is the trimap's own"
)


@dataclass(frozen=True)
class Meaning:
    """How the pictures of one mask or trimap are read."""

    channel: Literal["alpha", "grey"] = "grey"
    """Which channel: A, or Y or R."""
    labels: bool = False
    """Whether codes are labels: above 0 is the subject."""
    assumptions: tuple[str, ...] = ()
    """What was taken without being told; a sentence each."""

    @property
    def said(self) -> str:
        """The meaning in a few words, for the line that reports each input."""
        return "labels above 0" if self.labels else "alpha" if self.channel == "alpha" else ""


def mask_meaning(images: Iterable[Image], name: str, others: tuple[str, ...]) -> Meaning:
    """Return how a mask (or trimap) is to be read, by looking at some of its pictures in order.

    name: of the hint and its file, for messages. others: further masks in the same file. The next
    picture is taken only where those before it tell nothing. Raises InputError when a picture has
    colours and no alpha, or holds labels where a trimap is wanted.
    """
    kind: Look = "empty"
    image = None
    for image in images:
        kind = _look(image)
        if kind not in ("empty", "colour") or (kind == "colour" and "A" not in image.channels):
            break
    if image is None:
        return Meaning()
    flag = "--trimap-layer" if name.startswith("trimap") else "--segmentation-layer"
    if kind != "alpha" and others and "R" in image.channels:
        raise InputError(
            f"The {name} is a picture whose alpha does not vary, and the file has "
            f"{', '.join(others)} too: name one of them ({flag} {others[0]})."
        )
    if kind == "colour":
        raise InputError(
            f"The {name} is a colour picture and its alpha is the same everywhere, so it is not a "
            "mask: give a grey "
            f"picture, or name the channel that is meant ({flag} R)."
        )
    if kind == "grey" and _is_clear(image):
        raise InputError(
            f"The {name} has an alpha of 0 everywhere and a grey picture under it: name the "
            f"channel that is meant ({flag} R, or A)."
        )
    if kind == "labels":
        if name.startswith("trimap"):
            raise InputError(
                f"The {name} contains labels (a code or a colour for each part), not black, grey "
                "and white. Write background as 0, unknown as 128 and foreground as 255."
            )
        return Meaning(labels=True, assumptions=(_labels_text(name, image),))
    found = Meaning(channel="alpha" if kind == "alpha" or _is_clear(image) else "grey")
    if kind == "alpha" and others and "R" in image.channels:
        said = (
            f"the alpha of the {name} is taken, and the file has {', '.join(others)} too ({flag})"
        )
        found = replace(found, assumptions=(said,))
    return _checked(found, image, name)


def _checked(found: Meaning, image: Image, name: str) -> Meaning:
    """Return the meaning with what its channel's values leave open; see `mask_meaning`."""
    is_trimap = name.startswith("trimap")
    plane = plane_of(image, found)
    low, high = _range(plane)
    if high == 0 and not is_trimap:
        return _adding(
            found,
            f"the {name} is black in the frames looked at: nothing is the subject",
        )
    if plane.dtype == np.uint16 and 0 < plane.max() <= LOW_CODES:
        raise InputError(
            f"The {name} has 16 bits and no code above {plane.max()}, so it is nearly black. Write "
            "it with 8 bits, or so that white is 65535."
        )
    if 0 < high <= _HALF and not is_trimap:
        return _adding(
            found,
            f"the {name} is never above half (at most {high:.3g}), so nothing is wholly subject; if "
            "its codes are labels, write 255 for the subject",
        )
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        if is_trimap and high <= _MOST_LABELS and (plane == np.rint(plane)).all():
            raise InputError(
                f"The {name} has the values {low:g} to {high:g}, which are codes. Write background "
                "as 0, unknown as 0.5 and foreground as 1."
            )
        is_coded = is_trimap and high > 2  # as `clean_trimap` has it
        how = "taken as codes of 8 bits" if is_coded else "clamped"
        return _adding(
            found,
            f"the {name} has values outside 0 to 1 ({low:g} to {high:g}); they are {how}",
        )
    if _is_inside_out(plane, high):
        said = f"the {name} is white all round its border and black inside, as if it were inverted"
        return _adding(found, f"{said}; it is taken as it is")
    return found


def _adding(found: Meaning, text: str) -> Meaning:
    return replace(found, assumptions=(*found.assumptions, text))


def _is_inside_out(plane: NDArray[Any], high: float) -> bool:
    """Whether nearly all of the border of a mask is white, and a part of its inside is black."""
    top = float(np.iinfo(plane.dtype).max) if plane.dtype.kind == "u" else high
    if plane.dtype == np.bool_ or min(plane.shape) < _SMALLEST:
        return False
    border = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
    is_white_round = (border > 0.95 * top).mean() > _ALL_ROUND
    return bool(is_white_round and (plane < 0.05 * top).mean() > 1 - _ALL_ROUND)


def check_colours(image: Image, meaning: Meaning, name: str) -> None:
    """Raise InputError for a colour picture without the channel that is the mask in other frames."""
    if "R" not in image.channels or meaning.labels:
        return
    if meaning.channel == "alpha" and "A" in image.channels:
        return
    pixels = image.pixels
    red, *others = (pixels[..., list(image.channels).index(name)] for name in "RGB")
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0
    wide = red.astype(np.float32)
    if any(np.abs(wide - other).max() > _GREY * top for other in others):
        kind = "grey pictures" if meaning.channel == "grey" else "an alpha"
        raise InputError(
            f"The {name} is a colour picture without an alpha that varies, while other frames hold "
            f"{kind}: give masks of one kind."
        )


def nearly_black(image: Image, meaning: Meaning) -> int:
    """Return the highest code of a picture that is no black one and has codes of labels, or of 8
    bits in 16; else 0."""
    plane = plane_of(image, meaning)
    if meaning.labels or plane.dtype.kind != "u":
        return 0
    highest = int(plane.max(initial=0))
    return highest if highest <= (LOW_CODES if plane.dtype == np.uint16 else _MOST_LABELS) else 0


def plane_of(image: Image, meaning: Meaning) -> NDArray[Any]:
    """Return (H, W): the channel of a picture that is the mask, in its own type."""
    channels = list(image.channels)
    wanted = ("A", "Y", "R") if meaning.channel == "alpha" else ("Y", "R", "A")
    index = next((channels.index(name) for name in wanted if name in channels), 0)
    return image.pixels[..., index]


def mask_values(image: Image, meaning: Meaning, name: str) -> Float:
    """Return (H, W) float32, 0 to 1: a picture read as a mask.

    Raises InputError when its alpha varies or its codes are no labels where the clip's first
    picture said otherwise.
    """
    plane = plane_of(image, meaning)
    if meaning.labels:
        if "Y" in image.channels and _look_at_grey(plane) == "grey":
            raise InputError(
                f"The {name} is a grey picture (codes to {plane.max()}), while other frames hold "
                "labels: give masks of one kind."
            )
        colour = image.pixels[..., : 3 if "R" in image.channels else 1]
        return np.asarray(colour.any(axis=2), np.float32)
    if meaning.channel == "grey" and "A" in image.channels and len(image.channels) > 1:
        alpha = image.pixels[..., list(image.channels).index("A")]
        if alpha.min() != alpha.max():
            raise InputError(
                f"The {name} has an alpha that varies, while the first frame is a grey picture "
                "without one: name the channel that is meant (--segmentation-layer A, or R)."
            )
    if plane.dtype.kind == "u":
        return plane.astype(np.float32) / np.float32(np.iinfo(plane.dtype).max)
    values = np.ascontiguousarray(plane, np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"The {name} has pixels that are not finite (NaN or Inf): repaint them.")
    return np.clip(values, 0, 1)


def check_trimaps(trimaps: Iterable[NDArray[Any]], name: str) -> tuple[str, ...]:
    """Return what a trimap lacks, looking at its pictures until one has foreground and background.

    trimaps: (H, W) of any real type. Returns assumptions: of a trimap without unknown, and of one
    without background, which a close-up may have. Raises InputError where no picture has foreground, or none has anything
    else: there is nothing to solve.
    """
    foreground = background = unknown = False
    for trimap in trimaps:
        clean = clean_trimap(trimap)
        foreground |= bool((clean == 1).any())
        background |= bool((clean == 0).any())
        unknown |= bool((clean == 0.5).any())
        if foreground and background:
            return () if unknown else (_NO_UNKNOWN.format(name),)
    if not foreground:
        what = "is black, all background" if not unknown else "is grey, all unknown"
        if background and unknown:
            what = "has background and unknown alone"
        raise InputError(
            f"The {name} has no foreground (nothing is white, {255 * 0.95:.0f} or more of 255): it "
            f"{what}. Paint the sure subject white."
        )
    if not unknown:
        raise InputError(
            f"The {name} has no background and no unknown: it is white. Paint the sure "
            "background black, and the edge of the subject grey."
        )
    return (f"the {name} has no background (nothing is black); the whole frame may be subject",)


def warn_of_trimap(trimap: Float) -> None:
    """Warn of a clean trimap (H, W) without foreground or background: a still has one alone."""
    missing = [what for what, value in (("foreground", 1), ("background", 0))
               if not (trimap == value).any()]  # fmt: skip
    if missing:
        warnings.warn(
            f"The trimap has no {' and no '.join(missing)}. Paint the sure subject "
            "white, the sure background black, and the edge grey.",
            InputWarning,
            3,
        )


def warn_of_mask(codes: NDArray[Any], white: float) -> None:
    """Warn of a mask (H, W) of integers that is never above half of white; white: what means 1."""
    highest = codes.max(initial=0)
    if 0 < highest <= white * _HALF:
        warnings.warn(
            f"The segmentation is of {codes.dtype} and never above {highest} of {white:g}, so nothing is "
            "wholly subject. If its codes are labels, give (mask > 0); if they are 8-bit codes, "
            "give uint8.",
            InputWarning,
            4,
        )


def warn_of_range(values: Float) -> None:
    """Warn of a mask (H, W) of floats with values far outside 0 to 1, which are clamped."""
    low, high = _range(values)
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        warnings.warn(
            f"The segmentation has values outside 0 to 1 ({low:.4g} to {high:.4g}), and they are "
            "clamped. Divide codes by their white, and put logits through a sigmoid.",
            InputWarning,
            4,
        )


def _look(image: Image) -> Look:
    channels, pixels = list(image.channels), image.pixels
    if "A" in channels and len(channels) > 1:
        alpha = pixels[..., channels.index("A")]
        if alpha.min() != alpha.max():
            return "alpha"
    if "R" not in channels:
        return _look_at_grey(pixels[..., 0])
    red, green, blue = (pixels[..., channels.index(name)] for name in "RGB")
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0
    wide = np.stack([red, green, blue], axis=-1).astype(np.float32) / np.float32(top)
    if np.ptp(wide, axis=2).max() <= _GREY:
        return _look_at_grey(red)
    if pixels.dtype == np.uint8 and len(np.unique(wide.reshape(-1, 3), axis=0)) <= _MOST_COLOURS:
        return "labels" if (wide.max(axis=2) == 0).any() else "colour"
    return "colour"


def _look_at_grey(plane: NDArray[Any]) -> Look:
    if plane.dtype == np.bool_ or plane.min() == plane.max() in (0, 1):
        return "grey" if plane.dtype == np.bool_ else "empty"
    if plane.dtype.kind == "u" and 0 < plane.max() <= _MOST_LABELS:
        return "labels"
    few = plane.dtype.kind == "u" and plane.max() <= np.iinfo(plane.dtype).max * _HALF
    if few and len(np.unique(plane)) <= _FEW_CODES:
        return "labels"
    return "empty" if plane.min() == plane.max() else "grey"


def _is_clear(image: Image) -> bool:
    """Whether a picture with alpha is wholly transparent."""
    if "A" not in image.channels or len(image.channels) == 1:
        return False
    return not image.pixels[..., list(image.channels).index("A")].any()


def _range(plane: NDArray[Any]) -> tuple[float, float]:
    if plane.dtype.kind == "u":
        return 0.0, float(plane.max()) / float(np.iinfo(plane.dtype).max)
    if plane.dtype.kind != "f":
        return 0.0, 1.0
    finite = plane[np.isfinite(plane)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _labels_text(name: str, image: Image) -> str:
    if "R" in image.channels:
        colours = len(np.unique(image.pixels[..., :3].reshape(-1, 3), axis=0)) - 1
        return f"the {name} has {colours} colours, taken as labels: all but black is the subject"
    return (
        f"the {name} has no code above {image.pixels.max()}, taken as labels: all above 0 is the "
        "subject"
    )
