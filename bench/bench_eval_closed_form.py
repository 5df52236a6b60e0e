# SPDX-License-Identifier: Apache-2.0
"""Closed-form matting on the alphamatting.com training pictures, measured with our metrics.

An outside check of the whole path: the mean SAD / 1000 over the whole image, with the known
regions of trimap 1 forced, should be near 5.05. Needs pymatting and the low-resolution pictures
in `alphamatting/` of the folder in $MATTE_TEST_DATA (or ../shared/data beside the checkout).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from matte_nodes.evaluate import evaluate_sequence, format_table, read_colour, read_matte, report
from matte_nodes.node.hints import clean_trimap, force_trimap

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def main() -> None:
    """Print the table of all pictures, or why it cannot be made."""
    data = Path(os.environ.get("MATTE_TEST_DATA", BESIDE)) / "alphamatting"
    if not data.is_dir():
        print(f"skipped: no pictures in {data} (set MATTE_TEST_DATA)")
        return
    try:
        from pymatting import estimate_alpha_cf
    except ImportError:
        print("skipped: pymatting is not installed (pip install matte-nodes[closed-form])")
        return
    results = {}
    for plate in sorted((data / "input_lowres").glob("*.*")):
        trimap = clean_trimap(read_matte(data / "trimap1_lowres" / f"{plate.stem}.png"))
        true = read_matte(data / "gt_lowres" / f"{plate.stem}.png")
        picture = read_colour(plate).astype("float64")
        start = time.perf_counter()
        alpha = estimate_alpha_cf(picture, trimap.astype("float64")).astype("float32")
        seconds = time.perf_counter() - start
        results[plate.stem] = evaluate_sequence(
            [(force_trimap(alpha, trimap), true, trimap)], seconds
        )
    for row in format_table(report(results)):
        print(f"{row[0]:<6} {row[1]:<8}" + "".join(f"{cell:>10}" for cell in row[2:]))


if __name__ == "__main__":
    main()
