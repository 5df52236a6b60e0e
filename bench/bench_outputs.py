# SPDX-License-Identifier: Apache-2.0
"""What each kind of output costs: size and seconds of the processor for one clip.

    python bench/bench_outputs.py [--frames 120] [--width 1280] [--height 720]

The clip is a soft subject of a third of the picture, with grain, that moves. Seconds are of the
writer alone, all its threads together; read them as ratios.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_media import scene
from matte_nodes.media.finish import Finish
from matte_nodes.media.layouts import OutputFrame
from matte_nodes.media.writers import open_writer

# name of the output, layout, what it is put over
KINDS = (
    ("m.####.exr", "nuke", ""), ("m.####.exr", "blender", ""), ("m.####.exr", "alpha", ""),
    ("m.####.png", "alpha", ""), ("m.####.npy", "array", ""), ("m.####.png", "cutout", ""),
    ("m.####.tif", "cutout", ""), ("m.mov", "movie", ""), ("m.mkv", "movie", ""),
    ("m.webm", "cutout", ""), ("m.webp", "cutout", ""), ("m.gif", "cutout", ""),
    ("m.mp4", "over", "white"),
)  # fmt: skip


def frames(count: int, width: int, height: int) -> list[OutputFrame]:
    """The scene, one step of 3 pixels further in each frame, with grain of its own in each.

    Grain that moves with the subject costs a movie nothing: 120 frames of WebM were 0.1 MB.
    """
    first, chance = scene(width, height), np.random.default_rng(1)
    made = []
    for n in range(count):
        alpha = np.roll(first.alpha, 3 * n, 1)
        foreground = np.roll(first.foreground, 3 * n, 1)
        grain = chance.normal(0, 0.01, foreground.shape).astype(np.float32)
        foreground = np.where(alpha[..., None] > 0, foreground + grain, 0).astype(np.float32)
        made.append(replace(first, frame=n + 1, alpha=alpha, foreground=foreground))
    return made


def cost(folder: Path, kind: tuple[str, str, str], clip: list[OutputFrame]) -> tuple[float, float]:
    """Seconds of the processor and megabytes of one kind."""
    name, layout, over = kind
    folder.mkdir()
    began = time.process_time()
    out = open_writer(
        folder / name, layout=layout, colorspace="srgb_tx", provenance={}, rate=Fraction(25),
        finish=Finish(over),
    )  # fmt: skip
    for frame in clip:
        out.write(frame)
    out.close()
    seconds = time.process_time() - began
    return seconds, sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    args = parser.parse_args()
    clip = frames(min(args.frames, 24), args.width, args.height)
    clip = [replace(clip[n % len(clip)], frame=n + 1) for n in range(args.frames)]
    print(f"{args.frames} frames of {args.width} x {args.height}: MB, seconds, / nuke EXR")
    base = 0.0
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            seconds, size = cost(
                Path(name) / f"{kind[0][2:].replace('#', '')}-{kind[1]}", kind, clip
            )
            base = base or seconds
            print(f"{kind[0]:12} {kind[1]:8} {size:8.1f} {seconds:8.2f} {seconds / base:6.2f}")


if __name__ == "__main__":
    main()
