# SPDX-License-Identifier: Apache-2.0
"""Selecting in time: J over made clips that cross, hide, leave and come back; dtSSD of the matte.

python bench/bench_select_video.py CUTOUTS BACKGROUNDS [--model click] [--only NAME] [--matte]
    [--seeds 0,1,2]

CUTOUTS holds RGBA pictures, BACKGROUNDS pictures that pan behind them. J is the mean intersection
over union of frames in which the subject is seen, and `worst` the least of them; `false` is the
largest share of the picture that was selected in frames without it. One correction is a click in
the largest wrong region of the worst frame. Seed 0 makes the clips of docs/select.md; each other
seed draws its own cut-outs, sizes, ways and backgrounds. --matte compares dtSSD of the whole chain with that of
a model that sees each frame alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench_select import deepest, iou, masked, next_click

from matte_nodes import MatteNode
from matte_nodes.evaluate import metrics
from matte_nodes.shot import chain

WIDTH, HEIGHT, COUNT = 480, 270, 24


@dataclass(frozen=True)
class Actor:
    """A cut-out, and where its centre is at a time of 0 to 1, as shares of the picture."""

    picture: Any
    tall: float
    path: Callable[[float], tuple[float, float]]


def cutout(path: Path) -> Any:
    """(H, W, 4) float32 straight, cropped to what is not transparent."""
    rgba = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) / 255
    rows, columns = (np.nonzero((rgba[..., 3] > 0.1).any(axis=a))[0] for a in (1, 0))
    part = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(np.dstack([part[..., 2::-1], part[..., 3]]))


def placed(actor: Actor, when: float) -> Any:
    """The actor at a time: (HEIGHT, WIDTH, 4) float32, premultiplied."""
    high = actor.tall * HEIGHT
    scale = high / actor.picture.shape[0]
    x, y = actor.path(when)
    move = np.array(
        [
            [scale, 0, x * WIDTH - scale * actor.picture.shape[1] / 2],
            [0, scale, y * HEIGHT - high / 2],
        ],
        np.float32,
    )
    picture = actor.picture.copy()
    picture[..., :3] *= picture[..., 3:]
    small = cv2.GaussianBlur(picture, (0, 0), max(0.1, 0.4 / scale))
    return cv2.warpAffine(small, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def made(actors: list[Actor], background: Path) -> tuple[list[Any], list[list[Any]]]:
    """Plates (uint8), and for each frame the visible alpha of each actor; later ones in front."""
    wide = cv2.imread(str(background))[..., ::-1].astype(np.float32) / 255
    wide = cv2.resize(wide, (WIDTH + 80, HEIGHT + 30), interpolation=cv2.INTER_AREA)
    plates, alphas = [], []
    for n in range(COUNT):
        x, y = round(2.5 * n), round(15 + 12 * np.sin(n / 5))
        plate = wide[y : y + HEIGHT, x : x + WIDTH].copy()
        seen: list[Any] = []
        for actor in actors:
            layer = placed(actor, n / (COUNT - 1))
            through = 1 - layer[..., 3:]
            plate = plate * through + layer[..., :3]
            seen = [alpha * through[..., 0] for alpha in seen] + [layer[..., 3]]
        plates.append(np.rint(plate.clip(0, 1) * 255).astype(np.uint8))
        alphas.append(seen)
    return plates, alphas


def clips(folder: Path, seed: int = 0) -> dict[str, tuple[int, list[Actor]]]:
    """For each clip, which actor is the subject, and the actors from back to front."""
    files, draw = sorted(folder.glob("*.png")), np.random.default_rng(seed)
    chosen = (0, len(files) // 2) if seed == 0 else draw.choice(len(files), 2, replace=False)
    one, two = (cutout(files[int(index)]) for index in chosen)
    tall, low, out = (
        (0.6, 0.55, 0.9) if seed == 0 else draw.uniform((0.4, 0.45, 0.8), (0.7, 0.6, 1))
    )
    side = 1 if seed == 0 else int(draw.choice((-1, 1)))
    wall = np.ones((90, 30, 4), np.float32) * np.array([0.45, 0.4, 0.35, 1], np.float32)
    across = Actor(one, tall, lambda t: (0.5 + side * (0.6 * t - 0.3), low))
    other = Actor(two, tall - 0.05, lambda t: (0.5 - side * (0.6 * t - 0.3), low + 0.05))
    return {
        "behind": (0, [across, other]),
        "before": (1, [other, across]),
        "hidden": (0, [across, Actor(wall, 1.1, lambda t: (0.52, 0.5))]),
        "leaves": (0, [Actor(one, tall, lambda t: (0.5 + side * out * np.sin(np.pi * t), low))]),
    }


def scores(found: list[Any], truth: list[Any]) -> tuple[float, float, float, int]:
    """J, the least of it, the largest false share, and the worst place."""
    there = [n for n, mask in enumerate(truth) if mask.mean() > 0.004]
    each = {n: iou(found[n], truth[n]) for n in there}
    false = max((float(found[n].mean()) for n in range(len(truth)) if n not in there), default=0.0)
    worst = min(each, key=lambda n: each[n])
    return float(np.mean(list(each.values()))), each[worst], false, worst


def tracked(node: MatteNode, name: str, plates: list[Any], alphas: list[Any]) -> None:
    """Print J of a clip from one click, and from one correction more."""
    truth = [alpha > 0.5 for alpha in alphas]
    keys: dict[int, list[Any]] = {1: [(*deepest(truth[0]), True)]}
    for corrections in range(2):
        begun = time.process_time()
        shot = node.connect(plates, points=keys, cache="off")
        found = [masked(shot, frame) > 0.5 for frame in shot.frames]
        each = (time.process_time() - begun) / len(found)
        j, least, false, worst = scores(found, truth)
        print(f"{name:10} one click, {corrections} corrections: J {j:.3f} worst {least:.3f} "
              f"(frame {worst + 1}) false {false:.3f}, {each:.2f} s of one core a frame",
              flush=True)  # fmt: skip
        click = next_click(found[worst], truth[worst])
        if click is not None:
            keys[worst + 1] = [*keys.get(worst + 1, []), click]


def mattes(plates: list[Any], alphas: list[Any]) -> None:
    """Print dtSSD of the whole chain and of a model that sees each frame alone."""
    truth = alphas
    keys = {1: [(*deepest(truth[0] > 0.5), True)]}
    common: dict[str, Any] = {"node": {"device": "cpu"}, "connect": {"points": keys}}
    built = chain.build(plates, "select", knobs={}, **common)
    found = {"select": [built.shot.at(n).alpha for n in built.shot.frames]}
    alone = MatteNode("u2netp", device="cpu").connect(plates)
    found["u2netp alone"] = [alone.at(n).alpha for n in alone.frames]
    for name, each in found.items():
        pairs = zip(each, each[1:], truth, truth[1:], strict=False)
        mean = np.mean([metrics.dtssd(now, was, own, before) for was, now, before, own in pairs])
        print(f"{name:14} dtSSD {mean:.3f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cutouts", type=Path)
    parser.add_argument("backgrounds", type=Path)
    parser.add_argument("--model", default="click")
    parser.add_argument("--only", default="")
    parser.add_argument("--matte", action="store_true")
    parser.add_argument("--seeds", default="0")
    asked = parser.parse_args()
    node = MatteNode(asked.model, device="cpu", threads=1)
    backgrounds = sorted(asked.backgrounds.glob("*.jpg"))
    for seed in map(int, asked.seeds.split(",")):
        for number, (name, (subject, actors)) in enumerate(clips(asked.cutouts, seed).items()):
            if asked.only in name:
                plates, alphas = made(actors, backgrounds[(3 * number + seed) % len(backgrounds)])
                own = [seen[subject] for seen in alphas]
                tracked(node, f"{name} {seed}", plates, own)
                if asked.matte:
                    mattes(plates, own)


if __name__ == "__main__":
    main()
