# SPDX-License-Identifier: Apache-2.0
"""One benchmark picture in closed form: its known SAD, out of our reading, forcing and metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_nodes.evaluate import evaluate_frame, read_colour, read_matte
from matte_nodes.node.hints import clean_trimap, force_trimap


def test_closed_form_on_one_benchmark_picture(data: Path):
    pymatting = pytest.importorskip("pymatting")
    pictures = data / "alphamatting"
    if not pictures.is_dir():
        pytest.skip("no alphamatting pictures here (MATTE_TEST_DATA)")
    (plate,) = (pictures / "input_lowres").glob("GT19.*")
    trimap = clean_trimap(read_matte(pictures / "trimap1_lowres" / "GT19.png"))
    true = read_matte(pictures / "gt_lowres" / "GT19.png")
    alpha = pymatting.estimate_alpha_cf(
        read_colour(plate).astype(np.float64), trimap.astype(np.float64)
    )
    scores = evaluate_frame(force_trimap(alpha.astype(np.float32), trimap), true, trimap)
    assert scores["whole"]["sad"] == pytest.approx(0.707, abs=0.02)
    assert scores["unknown"]["sad"] == pytest.approx(scores["whole"]["sad"], abs=0.01)
