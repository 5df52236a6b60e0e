# SPDX-License-Identifier: Apache-2.0
"""Pictures of other libraries (PIL, torch) as arrays; what is no picture is an error that says why."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import InputError

_KEPT_MODES = ("RGB", "RGBA", "L", "F", "I;16")


def as_array(picture: Any, what: str, *, is_mask: bool = False) -> NDArray[Any]:
    """A picture as an array.

    picture: a numpy array, a PIL image, a torch tensor (of any device, with or without a gradient)
    or nested lists. Arrays are not copied; float64 becomes float32. Palette images are their
    colours, and with is_mask the numbers of their colours. what: how messages name the picture.
    Raises InputError for a file name, for None and for other things.
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
    elif type(picture).__module__.startswith("PIL."):
        array = np.asarray(_plain(picture, is_mask))
    elif hasattr(picture, "detach"):
        tensor = picture.detach().cpu()
        wide = "bfloat16" in str(tensor.dtype)  # numpy has no such type
        array = np.asarray(tensor.float() if wide else tensor)
    else:
        array = np.asarray(picture)
    if array.dtype.kind not in "buif":
        raise InputError(
            f"{what} is a {type(picture).__name__} and no picture: give an array, a PIL image or a "
            "tensor, (H, W, 3)."
        )
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _plain(image: Any, is_mask: bool) -> Any:
    """A PIL image in a mode whose array has the picture's values."""
    if image.mode == "1":
        return image.convert("L")
    if is_mask and image.mode == "P":
        return image
    if image.mode in _KEPT_MODES or (image.mode == "I" and is_mask):
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
