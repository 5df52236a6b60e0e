# SPDX-License-Identifier: Apache-2.0
"""Pictures for the page: colour as WebP or PNG, planes as PNG, 8 bits, at the size that it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

QUALITY = 90
LARGEST_SIDE = 16384


def resized(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, C) at a size (width, height), by area where it is smaller."""
    import cv2

    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    usable = pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels
    return np.asarray(cv2.resize(np.ascontiguousarray(usable), size, interpolation=cv2.INTER_AREA))


def codes(values: Float) -> NDArray[np.uint8]:
    """Values 0..1 as 8-bit codes, rounded."""
    found: NDArray[np.uint8] = np.rint(
        np.clip(np.nan_to_num(values), 0, 1) * np.float32(255)
    ).astype(np.uint8)
    return found


def colour_file(pixels: NDArray[np.uint8], *, exact: bool) -> tuple[bytes, str]:
    """Colour (H, W, 3) as a file and its type: WebP, or PNG where each code counts (exact)."""
    swapped = pixels[..., ::-1]
    return _file(swapped, exact=exact)


def plane_file(plane: NDArray[np.uint8]) -> tuple[bytes, str]:
    """A plane (H, W) as a PNG file, and its type."""
    return _file(plane, exact=True)


def _file(pixels: NDArray[np.uint8], *, exact: bool) -> tuple[bytes, str]:
    import cv2

    suffix, options = (
        (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if exact
        else (".webp", [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    )
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels), options)
    if not done:
        raise InputError(f"OpenCV here cannot write {suffix} pictures.")
    return bytes(data.tobytes()), f"image/{suffix[1:]}"
