# SPDX-License-Identifier: Apache-2.0
"""Pictures of other libraries (PIL, torch) as arrays; what is no picture is an error that says why."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import InputError
from matte_nodes.media import still_color


class InputWarning(UserWarning):
    """An input is unclear; the message says how it was taken."""


_KEPT_MODES = ("RGB", "RGBA", "L", "F", "I", "I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = 0x0112  # EXIF's tag


def as_array(picture: Any, what: str, *, is_mask: bool = False) -> NDArray[Any]:
    """A picture as an array.

    picture: a numpy array, a PIL image, a torch tensor (of any device, with or without a gradient)
    or nested lists. Arrays are not copied; float64 becomes float32, and bytes in the order of
    another machine become this one's. Palette images are their
    colours, and with is_mask the numbers of their colours. what: how messages name the picture.
    Warns of a PIL image that says that it is turned. Raises InputError for a file name, for None
    and for other things, and for a PIL image whose colours are not sRGB by its profile.
    """
    if isinstance(picture, np.ndarray):
        array: NDArray[Any] = picture
    elif isinstance(picture, (str, bytes, os.PathLike)):
        raise InputError(
            f"{what} is {os.fspath(picture)!r:.80}, and a frame is given as pixels. Connect files: "
            "node.connect(plate=..., trimap=...).at(frame)."
        )
    elif picture is None:
        raise InputError(f"{what} is None: give a picture (H, W, 3).")
    else:
        try:
            array = _from_library(picture, what, is_mask)
        except (
            RuntimeError,
            TypeError,
            ValueError,
            OSError,
        ) as error:  # of a library that we do not know
            kind = type(picture).__name__
            raise InputError(
                f"{what} is a {kind} that cannot be made an array ({error})."
            ) from error
    if array.dtype.kind not in "buif":
        raise InputError(
            f"{what} is a {type(picture).__name__} and no picture: give an array, a PIL image or a "
            "tensor, (H, W, 3)."
        )
    if array.dtype == np.float64:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _from_library(picture: Any, what: str, is_mask: bool) -> NDArray[Any]:
    if type(picture).__module__.startswith("PIL."):
        if not is_mask:
            _check_space(picture, what)
        if picture.getexif().get(_ORIENTATION, 1) in range(2, 9):
            warnings.warn(
                f"{what} says by its EXIF that it is shown turned or mirrored, and is taken as it "
                "lies. PIL.ImageOps.exif_transpose(image) turns it.",
                InputWarning,
                4,
            )
        if picture.mode == "CMYK":
            warnings.warn(
                f"{what} is CMYK and is turned into R, G, B without a profile, so its colours are "
                "near ones. Convert it (PIL.ImageCms.profileToProfile).",
                InputWarning,
                4,
            )
        return np.asarray(_plain(picture, is_mask))
    if hasattr(picture, "detach"):
        tensor = picture.detach().cpu()
        wide = "bfloat16" in str(tensor.dtype)  # numpy has no such type
        return np.asarray(tensor.float() if wide else tensor)
    return np.asarray(picture)


def _check_space(image: Any, what: str) -> None:
    """Raise InputError where a PIL image says that its codes are not sRGB."""
    profile, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    said = still_color.of_profile(bytes(profile)) if profile else ""
    if not profile and gamma and "srgb" not in image.info and abs(gamma - 1 / 2.2) > 0.01:
        said = f"a gamma of 1/{1 / gamma:.3g}" if gamma > 0 else "a gamma of 0"
    if said not in ("", "srgb"):
        raise InputError(
            f"{what} is a PIL image of {said}, and arrays of codes are sRGB. Connect the file "
            "(node.connect), or convert the image (PIL.ImageCms.profileToProfile)."
        )


def _plain(image: Any, is_mask: bool) -> Any:
    """A PIL image in a mode whose array has the picture's values."""
    if image.mode == "1":
        return image.convert("L")
    if is_mask and image.mode == "P":
        return image
    if image.mode in _KEPT_MODES:
        return image
    has_alpha = image.mode in ("LA", "PA", "RGBa", "La") or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def shape_advice(shape: tuple[int, ...]) -> str:
    """What to do about a picture of another shape than (H, W, 3), as a sentence; or ""."""
    if len(shape) == 4:
        return " Give one picture; connect several (node.connect)."
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
        return " It has its channels first: give them last (transpose or permute 1, 2, 0)."
    if len(shape) == 3 and shape[2] == 4:
        return " Give R, G and B alone (picture[..., :3]); a mask in its alpha is a segmentation."
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return " Repeat a grey picture three times; connect reads grey files with allow_grey."
    return ""
