# SPDX-License-Identifier: Apache-2.0
"""A clean plate that does not fit exactly: models for it, and a difference key with closed form.

    python bench/bench_clean_plates.py [MODEL[:WEIGHTS[:KNOB=VALUE]][+FINE] ...]

FINE: a trimap model that refines the edge, as in `matte run --refine FINE`.

Cut-outs of $MATTE_TEST_DATA (or ../shared/data beside the checkout) over free pictures, 480 pixels.
Between the clean plate and what is behind the subject lie a gain, a gamma, a shift of a pixel or
two, noise, and the subject's soft shadow. The figure is SAD/1000 over the whole picture. Nothing
was trained on these pictures.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.train import hints

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
SIDE = 480
MODELS = (
    "background-matting",
    "background-matting+closed-form-refined",
    "clean-plate-cues",
    "clean-plate-cues+closed-form-refined",
)
Picture = NDArray[np.float32]


def main() -> None:
    """Print mean, median and worst SAD of each method."""
    data = Path(os.environ.get("MATTE_TEST_DATA", BESIDE))
    cutouts = sorted((data / "derived-cutouts").glob("*.png"))
    places = sorted((data / "backgrounds").glob("*.jpg"))
    if not cutouts or not places:
        print(f"skipped: no cut-outs and backgrounds in {data} (set MATTE_TEST_DATA)")
        return
    keyed = MatteNode("closed-form")
    methods: dict[str, Callable[..., Picture]] = {
        "difference key": lambda plate, clean, rough: difference(plate, clean),
        "difference key, closed form": lambda plate, clean, rough: (
            keyed(plate, trimap=band(difference(plate, clean))).alpha
        ),
    }
    for name in sys.argv[1:] or MODELS:
        methods[name] = by_model(name)
    errors: dict[str, list[float]] = {name: [] for name in methods}
    spent = dict.fromkeys(methods, 0.0)
    for number, path in enumerate(cutouts):
        rng = np.random.default_rng([7, number])
        plate, clean, alpha = composite(rng, path, places[number % len(places)])
        rough = hints.soft_segmentation(rng, alpha)
        for name, method in methods.items():
            began = time.process_time()
            found = method(plate, clean, rough)
            spent[name] += time.process_time() - began
            errors[name].append(float(np.abs(found - alpha).sum() / 1000))
    print(
        f"{len(cutouts)} composites of {SIDE} pixels     SAD/1000  median   worst  seconds of a core"
    )
    for name, each in errors.items():
        row = f"{np.mean(each):8.2f}{np.median(each):8.2f}{np.max(each):8.2f}"
        print(f"{name:32}{row}{spent[name] / len(cutouts):8.2f}")


def by_model(asked: str) -> Callable[..., Picture]:
    """Return a method that asks a model with a clean plate and a rough segmentation.

    asked: MODEL[:WEIGHTS[:KNOB=VALUE]][+FINE].
    """
    first, _, refining = asked.partition("+")
    name, weights, knob = (*first.split(":"), "", "")[:3]
    key, _, value = knob.partition("=")
    node = MatteNode(name, weights=weights or None, **({key: value} if key else {}))
    fine = MatteNode(refining) if refining else None

    def method(plate: Picture, clean: Picture, rough: Picture) -> Picture:
        shown = codes(plate)
        if fine is None:
            return node(shown, background=codes(clean), segmentation=rough).alpha
        coarse = node.connect([shown], background=[codes(clean)], segmentation=[rough])
        return fine.connect([shown], trimap=coarse.trimap()).at(1).alpha

    return method


def composite(rng: Any, cutout: Path, place: Path) -> tuple[Picture, Picture, Picture]:
    """Return plate, clean plate (SIDE, SIDE, 3) and alpha, display-encoded, 0..1."""
    layer = square(cv2.imread(str(cutout), cv2.IMREAD_UNCHANGED), cv2.INTER_AREA)
    back = square(cv2.imread(str(place), cv2.IMREAD_COLOR), cv2.INTER_AREA)
    alpha = np.ascontiguousarray(layer[..., 3])
    now, clean = hints.imperfect_clean_plate(rng, back, alpha)
    plate = layer[..., :3] * alpha[..., None] + now * (1 - alpha[..., None])
    noise = (rng.normal(0, 0.012, plate.shape) for _ in range(2))
    seen = [
        (p + n)[..., ::-1].clip(0, 1).astype(np.float32)
        for p, n in zip((plate, clean), noise, strict=True)
    ]
    return np.ascontiguousarray(seen[0]), np.ascontiguousarray(seen[1]), alpha


def codes(picture: Picture) -> Any:
    """Return a display-encoded picture as 8-bit codes: a node takes floats as scene-linear."""
    return np.round(picture * 255).astype(np.uint8)


def square(stored: Any, how: int) -> Picture:
    """Return the middle of a picture at SIDE x SIDE, 0..1."""
    height, width = stored.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    part = stored[top : top + side, left : left + side].astype(np.float32)
    part = part / np.float32(65535 if stored.dtype == np.uint16 else 255)
    found: Picture = cv2.resize(part, (SIDE, SIDE), interpolation=how)
    return found


def difference(plate: Picture, clean: Picture) -> Picture:
    """Return a difference key: 0 below 6 % of the largest channel's difference, 1 above 25 %."""
    found: Picture = ((np.abs(plate - clean).max(2) - 0.06) / 0.19).clip(0, 1)
    return found


def band(key: Picture) -> Picture:
    """Return a trimap of a key: its sure parts, opened and closed, a band of 8 pixels between."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 17))
    small = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    mask = cv2.morphologyEx((key > 0.5).astype(np.uint8), cv2.MORPH_OPEN, small)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc)
    trimap = np.full(key.shape, 0.5, np.float32)
    trimap[cv2.erode(mask, disc) == 1] = 1
    trimap[cv2.dilate(mask, disc) == 0] = 0
    return trimap


if __name__ == "__main__":
    main()
