#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Labels of photographs of people by the project's own chain: `selfie`, trimap, `closed-form-refined`.

python scripts/label_people.py PHOTOGRAPHS OUT [--width 9] [--side 320]

Each photograph becomes OUT/NAME.png (straight RGBA, display-encoded, 8 bits) and OUT/plates/NAME.png
(the photograph at that size). OUT/labels.jsonl says
for each photograph its sha256, its figures, and why it was left out, if it was. A photograph that is
there is not done again. What is kept (see `reason`):
- the coarse and the fine matte agree (IoU of their halves at least 0.9);
- the soft part is at most 14 % of the picture;
- one part holds at least 97 % of the subject, and the subject 8 to 90 % of the picture.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def reason(coarse: NDArray[np.float32], fine: NDArray[np.float32]) -> tuple[str, dict[str, float]]:
    """Why a label is left out ("" when it is kept), and its figures.

    coarse, fine: (H, W) alpha, 0 to 1.
    """
    import cv2

    rough, sure = coarse > 0.5, fine > 0.5
    agree = float((rough & sure).sum() / max(int((rough | sure).sum()), 1))
    soft = float(((fine > 0.08) & (fine < 0.92)).mean())
    _, _, parts, _ = cv2.connectedComponentsWithStats((fine > 0.25).astype(np.uint8))
    areas = parts[1:, 4]
    largest = float(areas.max() / areas.sum()) if len(areas) else 0.0
    figures = {"agreement": agree, "soft": soft, "largest": largest, "cover": float(fine.mean())}
    if agree < 0.9:
        return "The coarse and the fine matte do not agree.", figures
    if soft > 0.14:
        return "Too much of the picture is soft.", figures
    if largest < 0.97:
        return "The subject is in several parts.", figures
    if not 0.08 < figures["cover"] < 0.9:
        return "The subject is too small or too large.", figures
    return "", figures


def main() -> None:
    """Label every photograph of a folder."""
    import cv2

    from matte_nodes import MatteNode
    from matte_nodes.color.network import srgb_encoded

    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("photographs", type=Path)
    given.add_argument("out", type=Path)
    given.add_argument("--width", type=int, default=9, help="half of the unknown band, in pixels")
    given.add_argument("--side", type=int, default=320, help="largest side, in pixels")
    asked = given.parse_args()
    (asked.out / "plates").mkdir(parents=True, exist_ok=True)
    note = asked.out / "labels.jsonl"
    done = set()
    if note.is_file():
        done = {json.loads(line)["name"] for line in note.read_text("utf-8").splitlines()}
    coarse, fine = MatteNode("selfie"), MatteNode("closed-form-refined")
    for path in sorted(asked.photographs.iterdir()):
        picture = None if path.name in done else cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            continue
        scale = min(1.0, asked.side / max(picture.shape[:2]))
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        plate = np.ascontiguousarray(picture[..., ::-1])
        line = {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        figures: dict[str, float] = {}
        try:
            first = coarse.connect([plate])
            matte = fine.connect([plate], trimap=first.trimap(width=asked.width)).at(1)
            rough = first.at(1).alpha
        except Exception as error:  # a subject that is not found has no trimap
            left = f"No label: {error}"
        else:
            left, figures = reason(rough, matte.alpha)
        if not left:
            cv2.imwrite(str(asked.out / "plates" / f"{path.stem}.png"), picture)
            colour = srgb_encoded(matte.foreground.clip(0, 1))[..., ::-1]
            codes = np.dstack((colour, matte.alpha.clip(0, 1))) * 255
            cv2.imwrite(str(asked.out / f"{path.stem}.png"), np.round(codes).astype(np.uint8))
        with note.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "left_out": left, **figures}) + "\n")


if __name__ == "__main__":
    main()
