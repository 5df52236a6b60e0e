# SPDX-License-Identifier: Apache-2.0
"""Moving people with exact alpha: error, IoU and flicker (dtSSD) of models without a hint.

    python bench/bench_people_video.py [NAME=MODEL:WEIGHTS.safetensors ...] [--sheet FILE]

Rendered people of held-out seeds move (pose, camera, hair, motion blur) before views of panoramas that
drift, as before a hand-held camera. No training saw these seeds, but our own networks learned on people of
this renderer, and the published ones did not: compare ours with one another first. Needs the extra
`people` and the folder of its variable MATTE_PEOPLE.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.evaluate.metrics import dtssd

CLIPS, FRAMES, SIDE = 6, 12, 320
FIRST_SEED = 900_100
MODELS = ("rvm", "rvm-people", "selfie", "modnet", "mmnet", "gfm", "u2netp")
Layer = NDArray[np.float32]


def main(asked: list[str]) -> None:
    """Print the figures of each model, and write a sheet of the middle frames."""
    folder = os.environ.get("MATTE_PEOPLE")
    if not folder or find_spec("anny") is None:
        print("skipped: needs matte-nodes[people] and the folder MATTE_PEOPLE (docs/people.md)")
        return
    if not list((Path(folder) / "hdri").glob("*.exr")):
        print(f"skipped: {folder} has no panoramas (hdri/*.exr)")
        return
    sheet = Path(asked.pop(asked.index("--sheet") + 1)) if "--sheet" in asked else None
    clips = [clip(Path(folder), FIRST_SEED + number) for number in range(CLIPS)]
    rows = [np.hstack([plates[FRAMES // 2] for plates, _ in clips])]
    for name, node in nodes([each for each in asked if each != "--sheet"]).items():
        errors, overlaps, flicker, shown = [], [], [], []
        for plates, true in clips:
            shot = node.connect(plate=plates)
            made = [matte.alpha for _, matte in shot.render(1, FRAMES)]
            some, real = np.stack(made) > 0.5, np.stack(true) > 0.5
            overlaps.append((some & real).sum() / max(int((some | real).sum()), 1))
            errors.append(np.abs(np.stack(made) - np.stack(true)).mean())
            pairs = range(1, FRAMES)
            flicker += [dtssd(made[n], made[n - 1], true[n], true[n - 1]) or 0.0 for n in pairs]
            shown.append(np.repeat(np.round(made[FRAMES // 2] * 255)[..., None], 3, 2))
        rows.append(np.hstack(shown).astype(np.uint8))
        print(
            f"{name:12s} IoU {np.mean(overlaps):.3f} (worst {min(overlaps):.3f})  MAD "
            f"{np.mean(errors):.4f}  dtSSD {np.mean(flicker):.2f}",
            flush=True,
        )
    if sheet:
        import cv2

        cv2.imwrite(str(sheet), np.vstack(rows)[..., ::-1])


def nodes(own: list[str]) -> dict[str, MatteNode]:
    """The nodes of MODELS, and those that were asked for."""
    found = {}
    for each in (*(f"{name}={name}" for name in MODELS), *own):
        name, rest = each.split("=", 1)
        model, _, file = rest.partition(":")
        values: dict[str, Any] = {"weights": file} if file else {}
        found[name] = MatteNode(model, device="cpu", **values)
    return found


def clip(folder: Path, seed: int) -> tuple[list[NDArray[np.uint8]], list[Layer]]:
    """Return plates (SIDE, SIDE, 3) uint8, display-encoded, and their exact alphas, 0..1."""
    from matte_nodes.train.people import pool, source
    from matte_nodes.train.people.composites import looked_at

    rng = np.random.default_rng(seed)
    spheres = sorted((folder / "hdri").glob("*.exr"))
    sphere = pool.read_panorama(spheres[seed % len(spheres)])
    drift = int(rng.integers(-3, 4))
    plates, alphas = [], []
    for number, cutout in enumerate(source.clip(folder, seed, SIDE, FRAMES)):
        turned = np.roll(sphere, drift * number, 1)
        view = np.random.default_rng(seed)  # the same direction each time
        place = looked_at(view, turned, SIDE)
        alpha = cutout[..., 3:].astype(np.float32) / 255
        plate = cutout[..., :3] / np.float32(255) * alpha + place * (1 - alpha)
        plate = plate + np.float32(0.01) * rng.standard_normal(plate.shape, np.float32)
        plates.append(np.round(plate.clip(0, 1) * 255).astype(np.uint8))
        alphas.append(np.ascontiguousarray(alpha[..., 0]))
    return plates, alphas


if __name__ == "__main__":
    main(sys.argv[1:])
