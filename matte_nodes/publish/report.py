# SPDX-License-Identifier: Apache-2.0
"""The review report: frames in a browser, measurements over time, and the findings of the checks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from matte_nodes.errors import MediaError
from matte_nodes.publish.checks import run
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.on_pixels import flicker_limit
from matte_nodes.publish.pages import page
from matte_nodes.publish.proxies import Proxies, Proxy, jpeg, picture_behind
from matte_nodes.whole_files import prepare_folder, whole_file

THREADS = 2
"""More would hold more frames in memory than they save time: most of it is decoding."""

BUDGET = 14_000_000
"""Bytes of a report of up to 120 frames; longer shots have as much for each frame."""

_TRIES = (
    (1280, 82),
    (1120, 82),
    (960, 82),
    (880, 82),
    (800, 82),
    (800, 70),
    (720, 70),
    (640, 70),
    (560, 70),
    (480, 70),
    (320, 70),
)
"""Longer side and JPEG quality, the best first."""


def write_report(
    delivery: Delivery,
    target: Path,
    *,
    title: str,
    behind: str | None = None,
    against: str | None = None,
    budget: int = BUDGET,
) -> Path:
    """Write one self-contained page and return its path.

    behind: a picture behind the foreground. against: another version's folder, for the wipe. The
    pictures are as large as the size budget allows, at most 1280 pixels a side. Raises MediaError
    when there is no frame to show, and OutputError when the page cannot be written.
    """
    frames = list(delivery.expected)
    if not delivery.readable:
        raise MediaError(f"{delivery.folder}: no frame can be shown. Run `matte check` to see why.")
    versions = [delivery]
    if against is not None:
        versions.append(Delivery(against, frames=(frames[0], frames[-1])))
    allowed = budget * max(1.0, len(frames) / 120)
    side, quality = _size(versions, frames, allowed)
    made = [
        Proxies(version, side, quality, plate=index == 0) for index, version in enumerate(versions)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        pictures = [list(pool.map(proxies.of, frames)) for proxies in made]
    facts = _facts(delivery, versions, pictures)
    size = made[0].size
    facts |= {"title": title, "width": size[0], "height": size[1]}
    facts["behind"] = None if behind is None else _text(jpeg(picture_behind(behind, size), quality))
    prepare_folder(target.parent)
    with whole_file(target) as temporary:
        temporary.write_text(page(title, facts), "utf-8")
    return target


def _facts(
    delivery: Delivery, versions: Sequence[Delivery], pictures: Sequence[Sequence[Proxy]]
) -> dict[str, Any]:
    """Return the page's data about frames and checks. pictures: of each version, frame by frame."""
    frames = list(delivery.expected)
    first = pictures[0]
    return {
        "origin": _origin(delivery),
        "frames": frames,
        "rate": float(delivery.plate.rate or 24) if delivery.plate is not None else 24.0,
        "pixelAspect": delivery.readable[0][1].pixel_aspect,
        "plate": [_text(item.plate) for item in first] if delivery.plate is not None else None,
        "hasColor": any(item.color for item in first),
        "versions": [
            {
                "name": version.folder.name,
                "alpha": [_text(item.alpha) for item in items],
                "color": [_text(item.color) for item in items],
            }
            for version, items in zip(versions, pictures, strict=True)
        ],
        "plots": _plots(versions, frames),
        "peak": flicker_limit(_values(delivery, frames, "flicker")),
        "checks": _checks(delivery),
    }


def _size(versions: Sequence[Delivery], frames: Sequence[int], allowed: float) -> tuple[int, int]:
    """Return the best side and quality that fit the budget, estimated from three frames of each
    version.
    """
    chosen = list(dict.fromkeys(frames[len(frames) * k // 6] for k in (1, 3, 5)))
    for side, quality in _TRIES:
        total = 0.0
        for index, version in enumerate(versions):
            proxies = Proxies(version, side, quality, plate=index == 0)
            total += len(frames) * max(proxies.of(frame).bytes for frame in chosen) * 4 / 3
        if total < 0.95 * allowed:
            break
    return side, quality


def _plots(versions: Sequence[Delivery], frames: Sequence[int]) -> list[dict[str, Any]]:
    found_in = [f.frames for result in run(versions[0]) for f in result.findings]
    # A finding about most frames does not help to find one: it is not marked on the timeline.
    bad = {number for some in found_in if 2 * len(some) < len(frames) for number in some}
    found = []
    for name, what, unit, digits, scale in (
        ("Coverage", "coverage", "% of the picture", 2, 100.0),
        ("Edge width", "edge_width", "pixels", 2, 1.0),
        ("Flicker", "flicker", "of alpha in the edge band", 4, 1.0),
    ):
        lines = [_values(version, frames, what) for version in versions]
        found.append(
            {
                "name": name,
                "unit": unit,
                "digits": digits,
                "values": [
                    [None if v is None else round(v * scale, 6) for v in line] for line in lines
                ],
                "bad": [index for index, frame in enumerate(frames) if frame in bad],
            }
        )
    return found


def _values(delivery: Delivery, frames: Sequence[int], what: str) -> list[float | None]:
    known = {frame.number: getattr(measured, what) for frame, _, measured in delivery.readable}
    found = [known.get(frame) for frame in frames]
    return [v if v is not None and np.isfinite(v) else None for v in found]


def _checks(delivery: Delivery) -> list[dict[str, Any]]:
    order = sorted(run(delivery), key=lambda r: (not r.failed, not r.findings))
    return [
        {
            "name": result.check.name,
            "help": result.unchecked or result.check.help,
            "mark": result.mark,
            "findings": [
                {"text": finding.sentence, "frames": list(finding.frames)}
                for finding in result.findings
            ],
        }
        for result in order
    ]


def _origin(delivery: Delivery) -> str:
    _, picture, _ = delivery.readable[0]
    window = picture.display_window
    parts = [
        f"{len(delivery.frames)} frames, {window.width}x{window.height}",
        picture.says("matte/model"),
        picture.says("matte/licence"),
        picture.says("matte/colorspace"),
    ]
    return " · ".join(part for part in parts if part)


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")
