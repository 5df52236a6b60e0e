# SPDX-License-Identifier: Apache-2.0
"""Painted trimaps and kept mattes: what a page sends is checked before anything is kept."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import InputError, UsageError
from matte_nodes.node.hints import trimap_from_matte
from matte_nodes.shot.chain import auto_width
from matte_nodes.studio.request import points_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.studio.desk import Desk
    from matte_nodes.studio.document import Box

BACKGROUND, UNKNOWN, SUBJECT = 0, 128, 255
LARGEST_PACKED = 64 << 20
MOST_UNKNOWN = 0.6
"""Share of a painting that may be unknown when it is to stand alone."""


def labels(packed: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """A plane (H, W) of labels from its gzip; InputError for another size or other numbers.

    It is unpacked up to the size that it must have and no further, so that a small file cannot
    fill the memory.
    """
    size = width * height
    reader = zlib.decompressobj(31)
    try:
        data = reader.decompress(packed, size + 1)
    except zlib.error as error:
        raise InputError(f"The painted picture is not gzip ({error}).") from error
    if len(data) != size or reader.unconsumed_tail or reader.unused_data or not reader.eof:
        raise InputError(f"The painted picture does not hold {width} x {height} bytes.")
    plane = np.frombuffer(data, np.uint8).reshape(height, width)
    if not np.isin(plane, (BACKGROUND, UNKNOWN, SUBJECT)).all():
        raise InputError("A painted picture holds 0, 128 and 255 alone.")
    return plane


def box_of(plane: NDArray[np.uint8]) -> Box | None:
    """x0, y0, x1, y1 round what is painted as the subject; None when nothing is."""
    rows = np.flatnonzero((plane == SUBJECT).any(axis=1))
    columns = np.flatnonzero((plane == SUBJECT).any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def paint(desk: Desk, frame: int, packed: bytes, width: int, height: int) -> dict[str, Any]:
    """Keep a painted trimap at a frame. A picture of unknown alone takes the key away."""
    desk.checked_frame(frame)
    if (width, height) != desk.plate.size:
        raise InputError(
            f"The painted picture is {width} x {height}, the plate {desk.plate.size[0]} x "
            f"{desk.plate.size[1]}. Load the page again."
        )
    plane = labels(packed, width, height)
    if (plane == UNKNOWN).all():
        return {**desk.paint("trimaps", frame, None, None), "completed": False}
    whole = plane if _is_whole(plane) else _completed(desk, frame, plane)
    found = desk.paint("trimaps", frame, whole, box_of(whole))
    return {**found, "completed": whole is not plane}


def _is_whole(plane: NDArray[np.uint8]) -> bool:
    """Whether a painting can stand alone: it knows both sides, and most of the picture."""
    has_both = bool((plane == SUBJECT).any() and (plane == BACKGROUND).any())
    return has_both and float((plane == UNKNOWN).mean()) <= MOST_UNKNOWN


def _completed(desk: Desk, frame: int, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Strokes on top of the trimap of the frame's matte: they correct it.

    A key of a few strokes alone would be taken for all that is known of the frame: the selector
    starts anew from a painted key.
    """
    if points_of(desk.session.document) is None and desk.session.document.model == "auto":
        if (plane == SUBJECT).any() and (plane == BACKGROUND).any():
            return plane
        raise InputError(
            "Click on the subject first: strokes correct its matte. Or paint the subject and the "
            "background round it in one stroke each, from edge to edge."
        )
    key = str(desk.matte(frame)["key"])
    base = trimap_of(desk.results.shown(key, frame).alpha)
    return np.where(plane == UNKNOWN, base, plane).astype(np.uint8)


def trimap_of(alpha: Float) -> NDArray[np.uint8]:
    """The labels of a matte's trimap, with the band that chains leave to a refining model."""
    found = trimap_from_matte(np.asarray(alpha, np.float32), auto_width(*alpha.shape))
    plane = np.full(found.shape, UNKNOWN, np.uint8)
    plane[found == 0], plane[found == 1] = BACKGROUND, SUBJECT
    return plane


def from_matte(desk: Desk, frame: int, key: str, what: str) -> dict[str, Any]:
    """Keep the matte of a frame as a key for fine-tuning (key), or its trimap to correct (trimap)."""
    desk.make_whole(key, desk.checked_frame(frame))
    alpha = desk.results.shown(key, frame).alpha
    if what == "key":
        codes = np.rint(np.clip(alpha, 0, 1) * 65535).astype(np.uint16)
        return desk.paint("keys", frame, codes, None)
    if what != "trimap":
        raise UsageError(f"A matte becomes a key or a trimap, not {what!r:.30}.")
    plane = trimap_of(alpha)
    return desk.paint("trimaps", frame, plane, box_of(plane))
