# SPDX-License-Identifier: Apache-2.0
"""Checks of pixels: alpha, foreground, trimap, time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.finding import Finding, grouped, where
from matte_nodes.publish.measures import TOLERANCE
from matte_nodes.publish.picture import DeliveredPicture

BLACK_SHARE = 0.25
"""Of the covered pixels, exactly black where the plate is not: sharp shadows of a subject make a
few in a hundred; a foreground that was forgotten, or painted only where alpha is 1, far more."""

FLICKER_LEAST, FLICKER_TIMES = 10 / 255, 3.0
"""A frame flickers when its band differs by more than ten 8-bit codes and by three times the
shot's median: motion that the flow misses is in the median, a pop is not."""


def finite(delivery: Delivery) -> Iterator[Finding]:
    """No NaN and no Inf in any channel."""
    for frame, _, measured in delivery.readable:
        if measured.not_finite:
            yield Finding(
                (frame.number,),
                f"NaN or Inf in {' and '.join(measured.not_finite)}",
                "Look at the plate there; write it again.",
            )


def alpha_range(delivery: Delivery) -> Iterator[Finding]:
    """Alpha is between 0 and 1."""
    for frame, _, measured in delivery.readable:
        if measured.low < -TOLERANCE or measured.high > 1 + TOLERANCE:
            yield Finding(
                (frame.number,),
                f"alpha runs from {measured.low:.3f} to {measured.high:.3f}",
                "Clamp it to 0 and 1.",
            )


def empty(delivery: Delivery) -> Iterator[Finding]:
    """No frame has an alpha of 0 everywhere."""
    bad = where(delivery, lambda m: m.high <= TOLERANCE and m.low >= -TOLERANCE)
    if bad and not delivery.may_be_empty:
        yield Finding(
            bad,
            "alpha is 0 everywhere",
            "If the subject is out of the picture there, say so (--may-be-empty).",
        )


def solid(delivery: Delivery) -> Iterator[Finding]:
    """No frame has an alpha of 1 everywhere."""
    bad = where(delivery, lambda m: m.low >= 1 - TOLERANCE and m.high <= 1 + TOLERANCE)
    if bad:
        yield Finding(bad, "alpha is 1 everywhere", "Give the model a hint, or take another.")


def foreground(delivery: Delivery) -> Iterator[Finding]:
    """The foreground is not black where alpha is above 0."""
    bad = where(delivery, lambda m: m.black > BLACK_SHARE)
    if bad:
        yield Finding(
            bad, "the foreground is black under the alpha", "Write them again with a foreground."
        )


def association(delivery: Delivery) -> Iterator[Finding]:
    """The premultiplied/straight tag matches the pixels."""
    for picture, frames in grouped(delivery, lambda p: p.says("matte/association")):
        tag = picture.says("matte/association")
        if tag not in ("premultiplied", "straight", "none"):
            yield Finding(
                frames,
                "nothing says whether the colour is premultiplied (matte/association)",
                "Write them again with matte run.",
            )
        elif tag != _association(picture):
            yield Finding(
                frames,
                f"tagged {tag}, but the channels are {_association(picture)}",
                "Correct the tag (matte/association).",
            )
    bad = tuple(
        frame.number
        for frame, picture, measured in delivery.readable
        if (measured.unmultiplied or 0.0) > 0.01
        and not (measured.not_finite or picture.is_lossy)
        and picture.says("matte/association") == "premultiplied"
    )
    if bad:
        yield Finding(
            bad, "tagged premultiplied, but R, G, B are not fg x alpha", "Write them again."
        )


def trimap(delivery: Delivery) -> Iterator[Finding]:
    """Alpha is 0 and 1 where the trimap is."""
    for frame, _, measured in delivery.readable:
        if measured.off_trimap:
            yield Finding(
                (frame.number,),
                f"{measured.off_trimap} pixels miss a 0 or 1 of the trimap",
                "Run it with this trimap.",
            )


def flicker_limit(values: Iterable[float | None]) -> float:
    """Return the largest acceptable flicker of a frame in a shot with these values."""
    known = [value for value in values if value is not None]
    return max(FLICKER_LEAST, FLICKER_TIMES * float(np.median(known)) if known else 0.0)


def flicker(delivery: Delivery) -> Iterator[Finding]:
    """Edges move with the picture."""
    values = {
        frame.number: measured.flicker
        for frame, _, measured in delivery.readable
        if measured.flicker is not None
    }
    if not values:
        return
    limit = flicker_limit(values.values())
    bad = {number: value for number, value in values.items() if value > limit}
    if bad:
        yield Finding(
            tuple(bad),
            f"edges jump against the frame before (up to {max(bad.values()):.3f} of alpha, "
            f"elsewhere {float(np.median(list(values.values()))):.3f})",
            "Look at them in the report; --steady 1, or a trimap there, may help.",
        )


def _association(picture: DeliveredPicture) -> str:
    """Return the association that the channel names state."""
    if picture.premultiplied is not None and picture.foreground is not None:
        return "premultiplied"
    if picture.foreground is not None:
        return "straight"
    return "none" if picture.premultiplied is None else picture.says("matte/association")
