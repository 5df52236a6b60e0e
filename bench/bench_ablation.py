# SPDX-License-Identifier: Apache-2.0
"""What the composition route is worth: one small network, three routes, real photographs.

The small trimap network at half width is trained from the same first weights, on the same
foregrounds, by the same steps, on composites of
- Deep Image Matting's route: layers mixed as they are,
- the RSSN route: both layers denoised, the background blurred, one common noise,
- RSSN with harmonised colours,
and run on the fifteen photographs of alphamatting.com, trimap 1 (in $MATTE_TEST_DATA or
../shared/data beside the checkout; evaluation only). About 15 minutes on two quiet cores;
`python bench/bench_ablation.py --steps 40 --samples 16` shows that it works. Photographs for
backgrounds can be given (--photographs FOLDER); those with a subject in them are left out then, by
u2netp, for the two RSSN routes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from matte_nodes.evaluate import mse, read_colour, read_matte, sad
from matte_nodes.models.cue_network import MARGIN, MULTIPLE
from matte_nodes.node.hints import clean_trimap
from matte_nodes.train.data import Material, read_pictures
from matte_nodes.train.recipe import Recipe, parse
from matte_nodes.train.run import run

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
RSSN = {"denoise": 0.5, "sharpness": 0.5, "noise": 0.5, "noise_sigma": 0.0392}
ROUTES: dict[str, dict[str, float]] = {
    "Deep Image Matting": {},
    "RSSN": RSSN,
    "RSSN, harmonised": {**RSSN, "harmonise": 0.5},
}


def recipe(route: dict[str, float], steps: int, samples: int, seed: int) -> Recipe:
    """The same training but for its route."""
    stage = {
        "crop": 160, "batch": 6, "without": 1.0,
        "losses": {"alpha": 1.0, "laplacian": 0.4, "gradient": 0.5},
        "schedule": {"steps": steps, "rate": 2e-3, "every": steps, "average": 0.99, "half": True,
                     "seed": seed},
    }  # fmt: skip
    return parse(
        {
            "title": "ablation", "network": "trimap-cues", "task": "trimap", "width": 0.5,
            "data": {"side": 192, "samples": samples, "seed": 21 + seed, "heldout_samples": 8, "coarse": False,
                     "plain": "u2netp" if "denoise" in route else ""},
            "route": route, "stages": [stage],
        }
    )  # fmt: skip


def alpha_of(network: torch.nn.Module, plate: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """The network's alpha of a photograph, worked in the window round the unknown part."""
    from matte_nodes.models import cues

    unknown = trimap == 0.5
    rows, columns = np.flatnonzero(unknown.any(1)), np.flatnonzero(unknown.any(0))
    window = np.s_[max(0, rows[0] - MARGIN) : rows[-1] + MARGIN,
                   max(0, columns[0] - MARGIN) : columns[-1] + MARGIN]  # fmt: skip
    planes = cues.planes(plate[window], trimap[window])
    pad = [(0, -n % MULTIPLE) for n in planes.shape[:2]]
    seen = torch.from_numpy(np.pad(planes, (*pad, (0, 0)), mode="edge")).permute(2, 0, 1)[None]
    with torch.inference_mode():
        found = network(seen)[0, 0].numpy()
    answer = trimap.copy()
    answer[window] = found[: planes.shape[0], : planes.shape[1]]
    return np.where(unknown, answer, trimap).astype(np.float32)


def main() -> None:
    """Train by each route, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--samples", type=int, default=384)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--folder", type=Path, help="Keep samples and weights here.")
    asked = parser.parse_args()
    data = Path(os.environ.get("MATTE_TEST_DATA", BESIDE)) / "alphamatting"
    if not data.is_dir():
        print(f"skipped: no pictures in {data} (set MATTE_TEST_DATA)")
        return
    material = Material(read_pictures(asked.photographs))
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        for name, route in ROUTES.items():
            print(told(name, route, asked, material, folder, data), flush=True)


def told(
    name: str, route: dict[str, float], asked: Any, material: Material, folder: Path, data: Path
) -> str:
    """One row: means over seeds and photographs."""
    began, rows = time.perf_counter(), []
    for seed in range(asked.seeds):
        made = recipe(route, asked.steps, asked.samples, seed)
        place = folder / f"{name.replace(', ', '-').replace(' ', '-').lower()}-{seed}"
        network = run(made, place, material).network.eval()
        for path in sorted((data / "input_lowres").glob("*.*")):
            trimap = clean_trimap(read_matte(data / "trimap1_lowres" / f"{path.stem}.png"))
            true = read_matte(data / "gt_lowres" / f"{path.stem}.png")
            alpha, unknown = alpha_of(network, read_colour(path), trimap), trimap == 0.5
            rows.append((sad(alpha, true, unknown), mse(alpha, true, unknown)))
    mean = np.mean(np.array(rows, np.float64), 0)
    spent = (time.perf_counter() - began) / 60
    return f"{name:<22} SAD {mean[0]:.3f}  MSE {mean[1]:.4f}  ({spent:.1f} min)"


if __name__ == "__main__":
    main()
