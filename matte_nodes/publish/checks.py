# SPDX-License-Identifier: Apache-2.0
"""The list of all hand-over checks: pure functions of a delivery.

A check yields findings, each with a remedy. A check without findings passes. Each check looks at
one subject only: an unreadable frame belongs to `readable`, a NaN to `finite`, and no other check
reports it.
"""

from __future__ import annotations

from matte_nodes.publish import on_files, on_origin, on_pixels
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.finding import Check, Result

CHECKS: tuple[Check, ...] = (
    Check("complete", on_files.complete),
    Check("readable", on_files.readable),
    Check("size", on_files.size),
    Check("data-window", on_files.data_window, needs="plate"),
    Check("pixel-aspect", on_files.pixel_aspect),
    Check("colorspace", on_files.colorspace),
    Check("channels", on_files.channels),
    Check("half", on_files.half),
    Check("compression", on_files.compression),
    Check("finite", on_pixels.finite),
    Check("range", on_pixels.alpha_range),
    Check("empty", on_pixels.empty),
    Check("solid", on_pixels.solid),
    Check("foreground", on_pixels.foreground),
    Check("association", on_pixels.association),
    Check("model", on_origin.model),
    Check("name", on_origin.name, needs="log"),
    Check("licence", on_origin.licence),
    Check("licence-unclear", on_origin.licence_unclear, "warning"),
    Check("trimap", on_pixels.trimap, needs="trimap"),
    Check("flicker", on_pixels.flicker, "warning"),
    Check("timecode", on_files.timecode, needs="plate"),
    Check("rate", on_files.rate, needs="plate"),
    Check("sha256", on_origin.sha256, needs="manifest"),
)


def run(delivery: Delivery) -> list[Result]:
    """Run all checks in order and return their results."""
    return [
        Result(check, tuple(check.find(delivery)), check.unchecked(delivery)) for check in CHECKS
    ]
