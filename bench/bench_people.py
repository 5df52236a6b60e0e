# SPDX-License-Identifier: Apache-2.0
"""People and animals without a hint: networks trained here beside `selfie`, `u2netp` and `rvm`.

    python bench/bench_people.py [NAME=MODEL:WEIGHTS.safetensors[:KNOB=VALUE] ...] [--sheet FILE]

Portraits and video frames of $MATTE_TEST_DATA (or ../shared/data beside the checkout), at most 512
pixels. There is no truth for them: `rvm`, run four times on each picture, stands in for it; for
animals `u2netp` does. IoU is of the halves, MAD the mean absolute difference. Nothing is trained on
these pictures.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes import MatteNode

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
VIDEOS = {
    "video-people/carphone_pristine.mp4": (5, 60, 110),
    "video-people/whitehouse_multishot.mp4": (10, 60, 120, 180, 240),
    "keying/aframe_greenscreen_man.mp4": (5, 50),
    "keying/mdn_colourwall_person_part0.mp4": (10, 90),
}
SEVERAL = ("maggie_group", "pexels-fauxels", "whitehouse", "aframe")
"""Pictures of groups, of an audience, of people far away or with things in their hands."""
ANIMAL = "animal "
Codes = NDArray[np.uint8]
Alpha = NDArray[np.float32]


def main(asked: list[str]) -> None:
    """Print IoU, MAD and seconds of each model, and write a sheet."""
    sheet = Path(asked.pop(asked.index("--sheet") + 1)) if "--sheet" in asked else None
    own = [each for each in asked if each != "--sheet"]
    data = Path(os.environ.get("MATTE_TEST_DATA", BESIDE))
    pictures = read(data)
    if not pictures:
        print(f"skipped: no portraits in {data} (set MATTE_TEST_DATA)")
        return
    rvm, u2netp = (MatteNode(name, device="cpu") for name in ("rvm", "u2netp"))
    stand_in = {
        name: u2netp(plate).alpha
        if name.startswith(ANIMAL)
        else [matte for _, matte in rvm.connect([plate] * 4).render(1, 4)][-1].alpha
        for name, plate in pictures.items()
    }
    made: dict[str, dict[str, Alpha]] = {"the stand-in for the truth": stand_in}
    for name, node in nodes(own).items():
        node(next(iter(pictures.values())))  # the first call loads
        began = time.process_time()
        made[name] = {key: node(plate).alpha for key, plate in pictures.items()}
        spent = (time.process_time() - began) / len(pictures)
        scores = np.array([score(made[name][key], stand_in[key]) for key in pictures])
        beasts = np.array([key.startswith(ANIMAL) for key in pictures])
        near = np.array([not key.startswith(SEVERAL) for key in pictures]) & ~beasts
        groups = {"one person": near, "several, far": ~near & ~beasts, "animals": beasts}
        for group, which in groups.items():
            part = scores[which]
            print(
                f"{name:12s} {group:12s} ({len(part)}) IoU {part[:, 0].mean():.3f} (median "
                f"{np.median(part[:, 0]):.3f}, worst {part[:, 0].min():.3f})  MAD "
                f"{part[:, 1].mean():.4f}  {spent:.2f} s",
                flush=True,
            )
    if sheet:
        write_sheet(sheet, pictures, made)


def nodes(own: list[str]) -> dict[str, MatteNode]:
    """`selfie`, `u2netp`, and what was asked for: NAME=MODEL[:WEIGHTS[:KNOB=VALUE]]."""
    found = {name: MatteNode(name, device="cpu") for name in ("selfie", "u2netp")}
    for each in own:
        name, rest = each.split("=", 1)
        model, *more = rest.split(":")
        knobs = dict(pair.split("=") for pair in more[1:])
        values: dict[str, Any] = {k: int(v) if v.isdigit() else v for k, v in knobs.items()}
        if more and more[0]:
            values["weights"] = more[0]
        found[name] = MatteNode(model, device="cpu", **values)
    return found


def read(data: Path) -> dict[str, Codes]:
    """Portraits and frames of people by name, RGB, at most 512 pixels."""
    import cv2

    found: dict[str, Any] = {}
    for path in sorted((data / "portraits-nogt" / "misc").glob("*.*")):
        found[path.stem[:20]] = cv2.imread(str(path), cv2.IMREAD_COLOR)
    for path in sorted((data / "portraits-nogt" / "gfm_am2k").glob("*.*")):
        found[f"{ANIMAL}{path.stem}"] = cv2.imread(str(path), cv2.IMREAD_COLOR)
    frames = sorted((data / "video-people" / "lake-man_frames").glob("*.jpg"))
    for path in frames[:21:20]:
        found[f"lake {path.stem}"] = cv2.imread(str(path), cv2.IMREAD_COLOR)
    for name, numbers in VIDEOS.items():
        video = cv2.VideoCapture(str(data / name))
        for number in numbers:
            video.set(cv2.CAP_PROP_POS_FRAMES, number)
            there, frame = video.read()
            if there:
                found[f"{Path(name).stem[:10]} {number}"] = frame
    small = {}
    for name, picture in found.items():
        scale = min(1.0, 512 / max(picture.shape[:2]))
        fewer = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        small[name] = np.ascontiguousarray(fewer[..., ::-1])
    return small


def score(alpha: Alpha, other: Alpha) -> tuple[float, float]:
    """IoU of the halves, mean absolute difference."""
    some, real = alpha > 0.5, other > 0.5
    overlap = (some & real).sum() / max(int((some | real).sum()), 1)
    return float(overlap), float(np.abs(alpha - other).mean())


def write_sheet(path: Path, plates: dict[str, Codes], made: dict[str, dict[str, Alpha]]) -> None:
    """A row a picture: plate, then each model's alpha."""
    import cv2

    rows = []
    for name, plate in plates.items():
        tiles = [plate[..., ::-1]]
        tiles += [np.repeat(np.round(m[name] * 255)[..., None], 3, 2) for m in made.values()]
        rows.append(np.hstack([cv2.resize(t.astype(np.uint8), (160, 160)) for t in tiles]))
    half = -(-len(rows) // 2)
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    cv2.imwrite(str(path), np.hstack((np.vstack(rows[:half]), np.vstack(rows[half:]))))


if __name__ == "__main__":
    main(sys.argv[1:])
