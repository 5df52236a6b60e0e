# SPDX-License-Identifier: Apache-2.0
"""A model for one shot from four key mattes, against what there is without it.

The shot is a ball of fur with a true alpha for every frame over a moving background (in
$MATTE_TEST_DATA or ../shared/data beside the checkout). Four keys are given; errors are those of
frames between them, over the whole picture and over the truly soft part of it.

- the small trimap model as it is shipped, with the trimaps of the four keys held over the shot,
  and the same model fine-tuned on the four keys, with the same trimaps: the fall is the ratio.
- the automatic shot network (plate alone), made from the four keys.
- nearest key held; closed form with the held trimaps.

How wide the held trimaps are is taken from the true alphas, as an artist would look through the
shot. `python bench/bench_finetune.py FOLDER` also writes a contact sheet; --size 540 is the clip's
own size.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from matte_nodes import MatteNode
from matte_nodes.media.clip import ArrayClip
from matte_nodes.node.hints import trimap_from_matte

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
PARENT = "trimap-cues"
KEYS = (1, 24, 47, 70)


def shot(data: Path, high: int) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Plates (uint8) and true alphas (float32) by frame: the subject over a panned photograph."""
    files = sorted((data / "rgba-video-gt" / "hairball2").glob("*.png"))
    picture = cv2.imread(str(data / "backgrounds" / "lomiri_Dragonfly_by_Bolly.jpg"))
    assert picture is not None
    scale = 1500 / picture.shape[1]
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    plates, alphas = {}, {}
    for frame, path in enumerate(files, 1):
        layer = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert layer is not None
        values = layer.astype(np.float32) / 255
        rows, columns = values.shape[:2]
        centre = (
            20 + 6.5 * frame + columns / 2,
            40 + 2.2 * frame + 20 * np.sin(frame / 9) + rows / 2,
        )
        behind = cv2.getRectSubPix(picture, (columns, rows), centre).astype(np.float32) / 255
        cover = values[..., 3:]
        plate = cover * values[..., :3] + (1 - cover) * behind
        size = (round(columns * high / rows), high)
        plate = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
        alphas[frame] = cv2.resize(values[..., 3], size, interpolation=cv2.INTER_AREA)
        plates[frame] = np.ascontiguousarray(np.round(plate[..., ::-1] * 255).astype(np.uint8))
    return plates, alphas


def nearest(frame: int) -> int:
    """The key with the fewest frames between."""
    return min(KEYS, key=lambda key: abs(key - frame))


def held_width(alphas: dict[int, np.ndarray]) -> float:
    """How wide trimaps of the keys must be to hold the edge of every frame they are held over."""
    widest = 0.0
    for key in KEYS:
        inside = alphas[key] >= 0.5
        away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
        within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
        for frame, alpha in alphas.items():
            if nearest(frame) == key:
                out, missing = away[alpha > 0.05], within[alpha < 0.95]
                widest = max(
                    widest, float(np.percentile(out, 99.5)), float(np.percentile(missing, 99.5))
                )
    return widest + 1


def main() -> None:
    """Make the models, print the errors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--size", type=int, default=270)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--half", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--only", choices=("trimap", "shot"))
    asked = parser.parse_args()
    data = Path(os.environ.get("MATTE_TEST_DATA", BESIDE))
    if not (data / "rgba-video-gt" / "hairball2").is_dir():
        print(f"skipped: no clip in {data} (set MATTE_TEST_DATA)")
        return
    with tempfile.TemporaryDirectory() as home:
        # The fine-tuned models are the bench's own; everything it begins with is in the package.
        os.environ["MATTE_HOME"] = home
        compare(*shot(data, asked.size), asked)


def compare(
    plates: dict[int, np.ndarray], alphas: dict[int, np.ndarray], asked: argparse.Namespace
) -> None:
    """Errors of all ways, printed one by one as they are known."""
    from matte_nodes.train.finetune import FinetuneRequest, finetune

    chosen = {name: getattr(asked, name) for name in ("steps", "crop", "rate", "half")}
    width = held_width(alphas)
    trimaps = {key: trimap_from_matte(alphas[key], width) for key in KEYS}
    others = [f for f in list(plates)[3 :: asked.every] if f not in KEYS]
    print(f"{len(others)} frames between keys {KEYS}; held trimaps of {width:.0f} pixels each side")
    results: dict[str, dict[int, np.ndarray]] = {}

    def tell(name: str, found: dict[int, np.ndarray], note: str = "") -> float:
        results[name] = found
        errors = [np.abs(found[f] - alphas[f]) for f in others]
        soft = [(alphas[f] > 0.01) & (alphas[f] < 0.99) for f in others]
        whole = 1000 * float(np.mean([e.mean() for e in errors]))
        edge = 1000 * float(np.mean([e[s].mean() for e, s in zip(errors, soft, strict=True)]))
        print(f"{name:<44} MAD {whole:7.3f}  soft part {edge:7.2f}  {note}", flush=True)
        return whole

    def by(model: str, *, hinted: bool) -> dict[int, np.ndarray]:
        node = MatteNode(model, device="cpu")
        hints = {"trimap": trimaps, "hint_keys": "nearest"} if hinted else {}
        linked = node.connect(ArrayClip(plates), **hints)  # type: ignore[arg-type]
        return {frame: linked.at(frame).alpha for frame in others}

    keys = {key: np.round(alphas[key] * 255).astype(np.uint8) for key in KEYS}
    clip = ArrayClip(plates, name="fur")
    tell("nearest key held", {f: alphas[nearest(f)] for f in others})
    if asked.only != "shot":
        tell("closed form, held trimaps", by("closed-form", hinted=True))
        before = tell(f"{PARENT}, held trimaps", by(PARENT, hinted=True))
        began = time.process_time()
        connect = {"trimap": trimaps, "hint_keys": "nearest"}
        finetune(FinetuneRequest(clip, keys, "fur-trimap", PARENT, connect=connect, **chosen), note)
        minutes = (time.process_time() - began) / 60
        after = tell(
            "fine-tuned, held trimaps", by("fur-trimap", hinted=True), f"{minutes:.1f} min"
        )
        print(f"fine-tuned over its parent: {after / before:.3f}")
    if asked.only != "trimap":
        began = time.process_time()
        finetune(FinetuneRequest(clip, keys, "fur-shot", **chosen), note)
        minutes = (time.process_time() - began) / 60
        tell(
            "shot network, plate alone",
            by("fur-shot", hinted=False),
            f"{minutes:.1f} min of processor time",
        )
    if asked.folder:
        sheet(asked.folder / "finetune.png", plates, alphas, results, others)


def note(progress: object) -> None:
    """One line a check."""
    print(f"  {progress}", flush=True)


def sheet(
    path: Path, plates: dict[int, np.ndarray], alphas: dict[int, np.ndarray],
    results: dict[str, dict[int, np.ndarray]], others: list[int],
) -> None:  # fmt: skip
    """Three frames as columns: plate, truth, then each way."""
    chosen = [others[len(others) * part // 6] for part in (1, 3, 5)]
    rows = [[plates[f] for f in chosen]]
    for found in (alphas, *results.values()):
        rows.append(
            [np.repeat(np.round(found[f] * 255).astype(np.uint8)[..., None], 3, 2) for f in chosen]
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.vstack([np.hstack(row) for row in rows])
    cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))
    print(path)


if __name__ == "__main__":
    main()
