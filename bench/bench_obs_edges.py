# SPDX-License-Identifier: Apache-2.0
"""Edges of the OBS filter: composites by a copy of its shader in numpy, against the whole truth.

The truth of a clip is `rvm` at 640 x 360; its alpha made smaller is the matte, so that only the shader
is judged, or the matte is that of `rvm` at 256. Cut-outs have a true alpha, and stand before bars of
window light. Errors are mean absolute ones of composites over black, grey and white, in thousandths,
in pixels that are soft in either and one beside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from matte_nodes import MatteNode
from matte_nodes.color.network import srgb_decoded, srgb_encoded
from matte_nodes.foreground.solve import solve_foreground
from matte_nodes.hosts.obs.residual import packed
from matte_nodes.hosts.obs.specks import without_specks

SIZE, SMALL = (640, 360), (256, 144)
CLIPS = (
    ("carphone", "carphone_pristine.mp4", 8, 60),
    ("singer", "whitehouse_multishot.mp4", 98, 191),
)
EACH = 7  # frames apart
SQUARE = np.ones((3, 3), np.uint8)


class Case(NamedTuple):
    """A plate and a matte for the shader, as it gets them, and the truth, encoded and straight."""

    plate: Any
    small: Any
    matte: Any
    alpha: Any
    foreground: Any


def stretched(picture: Any) -> Any:
    """As the sampler of the card does."""
    return cv2.resize(picture, SIZE, interpolation=cv2.INTER_LINEAR)


def mean9(picture: Any) -> Any:
    """Of three by three pixels."""
    return cv2.blur(picture, (3, 3), borderType=cv2.BORDER_REPLICATE)


def slope(small: Any, alpha: Any) -> Any:
    """PSSlope: (h, w, 3)."""
    mean, turned = mean9(small), small[..., [1, 2, 0]]
    d = np.maximum(mean9(small * small) - mean * mean, 0) + 1e-4
    e = mean9(small * turned) - mean * mean[..., [1, 2, 0]]
    one = mean9(alpha)
    t = mean9(small * alpha[..., None]) - mean * one[..., None]
    inverse = np.linalg.inv(np.stack([
        np.stack([d[..., 0], e[..., 0], e[..., 2]], -1),
        np.stack([e[..., 0], d[..., 1], e[..., 1]], -1),
        np.stack([e[..., 2], e[..., 1], d[..., 2]], -1),
    ], -2).astype(np.float64))  # fmt: skip
    line = np.einsum("...ij,...j", inverse, t)
    variance = np.maximum(mean9(alpha * alpha) - one * one, 0) + 1e-5
    return (line * np.clip((line * t).sum(-1) / variance, 0, 1)[..., None]).astype(np.float32)


def four(alpha: Any) -> tuple[Any, Any]:
    """The lowest and the highest of the four alphas round each pixel of the plate."""
    (width, height), (h, w) = SIZE, alpha.shape
    rows = np.floor((np.arange(height) + 0.5) / height * h - 0.5).astype(int)
    columns = np.floor((np.arange(width) + 0.5) / width * w - 0.5).astype(int)
    found = [alpha[np.clip(rows + j, 0, h - 1)][:, np.clip(columns + i, 0, w - 1)]
             for j in (0, 1) for i in (0, 1)]  # fmt: skip
    return np.min(found, axis=0), np.max(found, axis=0)


def shader(case: Case) -> tuple[Any, Any]:
    """PSDraw: alpha (H, W) and the person's colour (H, W, 3)."""
    plate, small = case.plate / np.float32(255), case.small / np.float32(255)
    alpha = case.matte[..., 3] / np.float32(255)
    mean, middle = stretched(small), stretched(alpha)
    detail = plate - mean
    reach = stretched(
        np.maximum(cv2.dilate(alpha, SQUARE) - alpha, alpha - cv2.erode(alpha, SQUARE))
    )
    moved = (stretched(slope(small, alpha)) * detail).sum(-1)
    low, high = four(alpha)
    a = np.clip(middle + np.clip(moved, -reach, reach), 0, 1)
    a = np.where((high <= 0) | (a < 0.5 / 255), 0, np.where((low >= 1) | (a > 254.5 / 255), 1, a))
    residual = (stretched(case.matte[..., :3].astype(np.float32)) - 128) / 127
    share = np.clip((1 - a) / np.maximum(1 - middle, 1 / 255), 0, 1)
    colour = np.clip(mean + share[..., None] * residual + a[..., None] * detail, 0, 1)
    return a, np.where(((a > 0) & (a < 1))[..., None], colour, plate)


def plain(case: Case) -> tuple[Any, Any]:
    """What a filter does that stretches alpha and shows the camera's colours."""
    return stretched(case.matte[..., 3] / np.float32(255)), case.plate / np.float32(255)


def cleaned(case: Case) -> tuple[Any, Any]:
    """The shader, after the daemon has removed faint specks."""
    matte = case.matte.copy()
    matte[..., 3] = np.round(without_specks(matte[..., 3] / np.float32(255)) * 255)
    return shader(case._replace(matte=matte))


def solved(small: Any, alpha: Any) -> Any:
    """The daemon's bytes for this matte."""
    return packed(small, alpha, solve_foreground(srgb_decoded(small / np.float32(255)), alpha))


def clip_cases(path: Path, first: int, end: int, own: bool) -> Iterator[Case]:
    """Of a clip; own: the matte is that of the model at 256."""
    import av

    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(end), strict=False)]  # fmt: skip
    start = max(0, first - 8)
    with (MatteNode("rvm", threads=1).stream(colorspace="sRGB") as large,
          MatteNode("rvm", threads=1).stream(colorspace="sRGB") as little):  # fmt: skip
        for number, frame in enumerate(frames[start:], start):
            plate = cv2.resize(frame, SIZE, interpolation=cv2.INTER_CUBIC)
            small = cv2.resize(plate, SMALL, interpolation=cv2.INTER_AREA)
            truth = large.step(plate)
            if own:
                mine = little.step(small)
                matte = packed(small, mine.alpha, mine.foreground)
            if number < first or (number - first) % EACH:
                continue
            if not own:
                matte = solved(small, cv2.resize(truth.alpha, SMALL, interpolation=cv2.INTER_AREA))
            shown = srgb_encoded(np.clip(truth.foreground, 0, 1))
            yield Case(plate, small, matte, truth.alpha, shown)


def cutout_cases(folder: Path, noise: float) -> Iterator[Case]:
    """Cut-outs before bars of window light."""
    (width, height), chance = SIZE, np.random.default_rng(4)
    y, x = np.mgrid[:height, :width]
    light = ((x + 0.5 * y) // 23 % 2 > 0)[..., None]
    bars = np.where(light, (0.98, 0.97, 0.9), (0.25, 0.3, 0.28)).astype(np.float32)
    bars = cv2.GaussianBlur(bars, (0, 0), 0.8)
    for path in sorted(folder.glob("*.png")):
        picture = cv2.cvtColor(cv2.imread(str(path), -1), cv2.COLOR_BGRA2RGBA) / np.float32(255)
        picture[..., :3] *= picture[..., 3:]
        scale = min(width / picture.shape[1], height / picture.shape[0])
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        h, w = picture.shape[:2]
        whole = np.zeros((height, width, 4), np.float32)
        whole[height - h :, (width - w) // 2 : (width - w) // 2 + w] = picture
        alpha = whole[..., 3]
        plate = whole[..., :3] + bars * (1 - alpha[..., None])
        codes = plate * 255 + chance.normal(0, noise, plate.shape)
        plate = np.clip(np.round(codes), 0, 255).astype(np.uint8)
        small = cv2.resize(plate, SMALL, interpolation=cv2.INTER_AREA)
        matte = solved(small, cv2.resize(alpha, SMALL, interpolation=cv2.INTER_AREA))
        straight = whole[..., :3] / np.maximum(alpha[..., None], 1e-6)
        yield Case(plate, small, matte, alpha, straight)


def error(case: Case, way: Callable[[Case], tuple[Any, Any]]) -> tuple[float, float]:
    """Thousandths, and the percentage of pixels that are off by over 0.15."""
    alpha, colour = way(case)
    soft = ((alpha > 0.02) & (alpha < 0.98)) | ((case.alpha > 0.02) & (case.alpha < 0.98))
    band = cv2.dilate(soft.astype(np.uint8), SQUARE) > 0
    wrong = []
    for behind in (0.0, 0.5, 1.0):
        ours = colour * alpha[..., None] + behind * (1 - alpha[..., None])
        truth = case.foreground * case.alpha[..., None] + behind * (1 - case.alpha[..., None])
        wrong.append(np.abs(ours - truth)[band].mean(-1))
    return 1000 * float(np.mean(wrong)), 100 * float(np.mean(np.stack(wrong) > 0.15))


def row(what: str, cases: Iterator[Case]) -> None:
    """One line of the table."""
    found = [[error(case, way) for way in (plain, shader, cleaned)] for case in cases]
    cells = [f"{e:.2f} ({o:.2f} %)" for e, o in np.mean(found, axis=0)]
    print(f"| {what}, {len(found)} | {' | '.join(cells)} |", flush=True)


def main() -> int:
    """One row a kind of plates."""
    data = Path(os.environ.get("MATTE_TEST_DATA", Path(__file__).parents[2] / "shared/data"))
    print("error in thousandths (share of pixels that are off by over 0.15)")
    print("| plates | alpha stretched | the filter | without specks |")
    print("| --- | --- | --- | --- |")
    for name, file, first, end in CLIPS:
        path = data / "video-people" / file
        if not path.is_file():
            print(f"{name}: no clip here (MATTE_TEST_DATA)")
            continue
        row(f"{name}, the truth made smaller", clip_cases(path, first, end, own=False))
        row(f"{name}, `rvm` at 256", clip_cases(path, first, end, own=True))
    if not list((data / "derived-cutouts").glob("*.png")):
        print("cut-outs: none here (MATTE_TEST_DATA)")
        return 0
    for noise in (0.0, 3.0):
        row(f"cut-outs, noise of {noise:g} codes", cutout_cases(data / "derived-cutouts", noise))
    return 0


if __name__ == "__main__":
    sys.exit(main())
