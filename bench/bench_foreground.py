# SPDX-License-Identifier: Apache-2.0
"""The foreground solver against pymatting's multi-level one, in one run on the made scene.

    python bench/bench_foreground.py [--size 1920x1080] [--repeat 7] [--threads 0] [--json]

Runs alternate, pymatting's compiler is warmed up first, and the shortest time of each counts.
Bounds: time at most 0.5 of pymatting's, error in the band at most 1.05 of its error, both plain
and weighted by alpha (a wrong colour shows as much as alpha lets it), HDR error under 10 %.
Ends with 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.scene import Scene, make_scene
from matte_nodes.foreground import solve_foreground

Float = NDArray[np.float32]


def seconds(run: Callable[[], Float]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def band_errors(solved: Float, scene: Scene) -> tuple[float, float]:
    """Mean absolute error where alpha is neither 0 nor 1: plain, and weighted by alpha."""
    error = np.abs(solved - scene.foreground).mean(axis=-1)[scene.unknown]
    weights = scene.alpha[scene.unknown]
    return float(error.mean()), float((error * weights).sum() / weights.sum())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    width, height = (int(part) for part in args.size.split("x"))
    from pymatting.foreground.estimate_foreground_ml import estimate_foreground_ml

    scene, hdr = make_scene(width, height), make_scene(width, height, hdr=True)

    def ours() -> Float:
        return solve_foreground(scene.plate, scene.alpha, threads=args.threads)

    def with_clean_plate() -> Float:
        return solve_foreground(
            scene.plate, scene.alpha, background=scene.background, threads=args.threads
        )

    def theirs() -> Float:
        return np.asarray(estimate_foreground_ml(scene.plate, scene.alpha))

    errors = {
        name: band_errors(run(), scene)
        for name, run in (("ours", ours), ("clean plate", with_clean_plate), ("pymatting", theirs))
    }
    errors["plate as it is"] = band_errors(scene.plate, scene)
    times: dict[str, list[float]] = {"ours": [], "clean plate": [], "pymatting": []}
    for _ in range(args.repeat):
        times["ours"].append(seconds(ours))
        times["pymatting"].append(seconds(theirs))
        times["clean plate"].append(seconds(with_clean_plate))
    bright = solve_foreground(hdr.plate, hdr.alpha)
    size = float(np.abs(hdr.foreground[hdr.unknown]).mean())
    best = {name: min(runs) for name, runs in times.items()}
    ratios = {
        "time_ratio": best["ours"] / best["pymatting"],
        "error_ratio": errors["ours"][0] / errors["pymatting"][0],
        "error_ratio_weighted": errors["ours"][1] / errors["pymatting"][1],
        "hdr_relative_error": band_errors(bright, hdr)[0] / size,
    }
    result = {
        "size": args.size,
        "unknown": float(scene.unknown.mean()),
        "seconds": best,
        "band_error": {name: pair[0] for name, pair in errors.items()},
        "band_error_weighted": {name: pair[1] for name, pair in errors.items()},
        **ratios,
        "hdr_max": float(bright.max()),
    }
    if args.json:
        print(json.dumps(result))
    else:
        print(f"{args.size}, {result['unknown']:.1%} of the pixels unknown")
        for name, (plain, weighted) in errors.items():
            spent = f"{best[name] * 1000:6.1f} ms" if name in best else " " * 9
            print(f"  {name:15} {spent}  band error {plain:.5f}, weighted by alpha {weighted:.5f}")
        print(
            f"  time {ratios['time_ratio']:.2f} of pymatting's, error "
            f"{ratios['error_ratio']:.2f}, weighted {ratios['error_ratio_weighted']:.2f}; "
            f"HDR error {ratios['hdr_relative_error']:.2%}, brightest {bright.max():.2f}"
        )
    bounds = {
        "time_ratio": 0.5,
        "error_ratio": 1.05,
        "error_ratio_weighted": 1.05,
        "hdr_relative_error": 0.1,
    }
    missed = [name for name, most in bounds.items() if ratios[name] > most]
    return int(bool(missed) or bright.max() < 5)


if __name__ == "__main__":
    raise SystemExit(main())
