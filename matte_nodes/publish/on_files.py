# SPDX-License-Identifier: Apache-2.0
"""Checks of files and headers: all there, whole, and consistent with the plate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from matte_nodes.color.config import ColorConfig
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.finding import Finding, as_plate, grouped, usual


def complete(delivery: Delivery) -> Iterator[Finding]:
    """Every frame of the plate, or of the given range, exists."""
    missing = [number for number in delivery.expected if number not in delivery.files]
    if missing:
        yield Finding(tuple(missing), "missing", "Run the same command again: it does these.")
    beyond = [number for number in delivery.files if number not in set(delivery.expected)]
    if beyond:
        yield Finding(
            tuple(beyond), "not in the plate or the range", "Move them away, or correct --frames."
        )


def readable(delivery: Delivery) -> Iterator[Finding]:
    """Every file can be read to its end."""
    for frame in delivery.frames:
        if frame.trouble:
            yield Finding((frame.number,), frame.trouble, "Delete it and run the command again.")


def size(delivery: Delivery) -> Iterator[Finding]:
    """The display window equals the plate's."""
    return as_plate(
        delivery,
        lambda p: p.display_window,
        lambda image: image.display_window,
        "the display window is {found}, not {wanted}",
        "Matte the plate in its own size.",
    )


def data_window(delivery: Delivery) -> Iterator[Finding]:
    """The data window lies in the plate's."""
    if delivery.plate is None:
        return
    wrong: list[int] = []
    for frame, picture, _ in delivery.readable:
        same_size = frame.plate is None or (frame.plate.display_window == picture.display_window)
        if frame.plate is None or not same_size or not picture.is_exr:
            continue
        if not frame.plate.data_window.holds(picture.data_window):
            wrong.append(frame.number)
    if wrong:
        yield Finding(
            tuple(wrong),
            "the data window reaches out of the plate's",
            "Write them again from the plate.",
        )


def pixel_aspect(delivery: Delivery) -> Iterator[Finding]:
    """The pixel aspect equals the plate's."""
    return as_plate(
        delivery,
        lambda p: round(p.pixel_aspect, 4),
        lambda image: round(image.pixel_aspect, 4),
        "the pixel aspect is {found}, not {wanted}",
        "Write them again from the plate.",
    )


def colorspace(delivery: Delivery) -> Iterator[Finding]:
    """The colour space is named and is the one that was ordered."""
    said: dict[str, list[int]] = {}
    for frame, picture, _ in delivery.readable:
        if (picture.is_exr and picture.premultiplied is not None) or picture.foreground is not None:
            said.setdefault(picture.says("matte/colorspace"), []).append(frame.number)
    if not said:
        return
    if delivery.color is not None:
        config, wanted = delivery.color.config, delivery.color.output
    else:
        config, wanted = (
            ColorConfig(),
            Counter({k: len(v) for k, v in said.items()}).most_common()[0][0],
        )
    for name, frames in said.items():
        if not name:
            yield Finding(
                tuple(frames),
                "the file does not name its colour space (matte/colorspace)",
                "Write them again with matte run.",
            )
        elif (config.find(name) or name) != (config.find(wanted) or wanted):
            yield Finding(
                tuple(frames),
                f"the colour space is {name}, not {wanted}",
                "Write them again, or name the space that was ordered (--output-colorspace).",
            )


def channels(delivery: Delivery) -> Iterator[Finding]:
    """All frames hold the same channels."""
    most = usual(delivery, lambda p: tuple(sorted(p.channels)))
    for frame, picture, _ in delivery.readable:
        found = tuple(sorted(picture.channels))
        if found != most:
            lost, more = sorted(set(most) - set(found)), sorted(set(found) - set(most))
            what = [f"lacks {', '.join(lost)}"] * bool(lost) + [f"has {', '.join(more)}"] * bool(
                more
            )
            yield Finding(
                (frame.number,),
                f"{' and '.join(what)}, unlike the others",
                "Write them again with one layout.",
            )


def half(delivery: Delivery) -> Iterator[Finding]:
    """EXR holds half floats, PNG and TIFF 16 bits."""
    for picture, frames in grouped(delivery, lambda p: (p.is_exr, p.dtype)):
        wanted = "half" if picture.is_exr else "uint16"
        if picture.dtype != wanted:
            yield Finding(
                frames, f"stored as {picture.dtype}, not {wanted}", "Write them with matte run."
            )


def compression(delivery: Delivery) -> Iterator[Finding]:
    """The compression is lossless."""
    for picture, frames in grouped(delivery, lambda p: p.attributes.get("compression")):
        kind = str(picture.attributes.get("compression", "")).split(":")[0]
        if picture.is_lossy:
            yield Finding(frames, f"compressed with {kind}, which loses", "Write them with zips.")


def timecode(delivery: Delivery) -> Iterator[Finding]:
    """The plate's time code is kept."""
    bad = []
    for frame, picture, _ in delivery.readable:
        wanted = _timecode(frame.plate.metadata if frame.plate is not None else {})
        if picture.is_exr and wanted is not None and _timecode(picture.attributes) != wanted:
            bad.append(frame.number)
    if bad:
        yield Finding(
            tuple(bad), "the time code is not the plate's", "Write them again from the plate."
        )


def rate(delivery: Delivery) -> Iterator[Finding]:
    """The plate's frame rate is kept."""
    wanted = delivery.plate.rate if delivery.plate is not None else None
    if wanted is None:
        return
    bad = tuple(
        frame.number
        for frame, picture, _ in delivery.readable
        if picture.is_exr and picture.rate != wanted
    )
    if bad:
        yield Finding(
            bad,
            f"the frame rate is not the plate's {float(wanted):g}",
            "Write them again from the plate.",
        )


def _timecode(attributes: Any) -> int | None:
    value = attributes.get("smpte:TimeCode")
    return int(value[0]) if isinstance(value, tuple) and value else None
