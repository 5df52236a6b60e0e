# SPDX-License-Identifier: Apache-2.0
"""A held-out set for the trimap models: rendered people and animals over places, with trimaps.

    MATTE_PEOPLE=assets matte train compose people -o held --first 900000 --side 448 --pictures 40
    MATTE_PEOPLE=assets matte train compose animals -o held --first 900000 --side 448 --pictures 20
    python scripts/heldout_trimaps.py held photographs/heldout panoramas OUT

Writes OUT/input_lowres, OUT/trimap1_lowres and OUT/gt_lowres, the layout of alphamatting.com, for
`bench/bench_trimap.py`. The subjects are of held-out seeds, the photographs are those that no
training sees, and the camera (noise, blur, JPEG, tone) is that of the trainings.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from matte_nodes.train import hints
from matte_nodes.train.people.composites import Composer, Mix, composed, finished, lit_like, toned
from matte_nodes.train.people.pool import Folders, read

SIDE = 448


def main(subjects: Path, photographs: Path, panoramas: Path, out: Path) -> None:
    """Write one picture for each subject whose trimap has all three parts."""
    import cv2

    folders = Folders(subjects / "people", subjects / "animals", (), panoramas, photographs)
    pool = read(folders, heldout=True)
    for name in ("input_lowres", "trimap1_lowres", "gt_lowres"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for number, cutout in enumerate((*pool.people, *pool.animals)):
        rng = np.random.default_rng([7, number])
        place = toned(rng, Composer(pool, Mix(), SIDE).place(rng))
        alpha = cutout[..., 3:].astype(np.float32) / 255
        front = lit_like(rng, cutout[..., :3].astype(np.float32) / 255, alpha, place)
        plate = finished(rng, composed(front, place, alpha, np.ones_like(alpha))).plate
        trimap = hints.trimap(rng, alpha[..., 0], narrow=3.0, wide=24.0)
        if not hints.usable(trimap):
            continue
        for name, picture in (
            ("input_lowres", plate[..., ::-1]),
            ("trimap1_lowres", trimap),
            ("gt_lowres", alpha),
        ):
            codes = np.round(picture * 255).astype(np.uint8)
            cv2.imwrite(str(out / name / f"{number:03d}.png"), codes)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
