# SPDX-License-Identifier: Apache-2.0
"""solve_foreground against known foregrounds, and against pymatting's solver as the oracle."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matte_nodes.foreground import solve_foreground

Float = NDArray[np.float32]


def _scene_module() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "bench" / "scene.py"
    spec = importlib.util.spec_from_file_location("bench_scene", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_scene"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scene() -> Any:
    return _scene_module().make_scene(480, 270)


@pytest.fixture(scope="module")
def hdr_scene() -> Any:
    return _scene_module().make_scene(480, 270, hdr=True)


def band_error(solved: Float, scene: Any, *, weighted: bool = False) -> float:
    """Mean absolute error in the band; weighted: by alpha, as it shows in a comp."""
    error = np.abs(solved - scene.foreground).mean(axis=-1)[scene.unknown]
    weights = scene.alpha[scene.unknown] if weighted else np.ones_like(error)
    return float((error * weights).sum() / weights.sum())


@pytest.mark.parametrize("weighted", [False, True])
def test_error_is_at_most_that_of_pymatting(scene: Any, weighted: bool) -> None:
    oracle = pytest.importorskip("pymatting.foreground.estimate_foreground_ml")
    theirs = oracle.estimate_foreground_ml(scene.plate, scene.alpha)
    ours = solve_foreground(scene.plate, scene.alpha)
    limit = 1.05 * band_error(theirs, scene, weighted=weighted)
    assert band_error(ours, scene, weighted=weighted) <= limit


def test_it_is_far_better_than_the_plate(scene: Any) -> None:
    solved = solve_foreground(scene.plate, scene.alpha)
    assert band_error(solved, scene) < band_error(scene.plate, scene) / 10


def test_a_clean_plate_halves_the_error_at_least(scene: Any) -> None:
    without = band_error(solve_foreground(scene.plate, scene.alpha), scene)
    solved = solve_foreground(scene.plate, scene.alpha, background=scene.background)
    assert band_error(solved, scene) < without / 2


@pytest.mark.parametrize("fault", ["exposure", "shift", "shadow"])
def test_an_imperfect_clean_plate_does_no_harm(scene: Any, fault: str) -> None:
    clean = scene.background
    if fault == "exposure":
        clean = clean * np.float32(1.1) + np.float32(0.01)
    elif fault == "shift":
        clean = np.roll(clean, 2, axis=1)
    else:
        shadow = np.linspace(1.0, 0.7, clean.shape[1], dtype=np.float32)
        clean = clean / shadow[None, :, None]
    without = band_error(solve_foreground(scene.plate, scene.alpha), scene)
    solved = solve_foreground(scene.plate, scene.alpha, background=clean.astype(np.float32))
    assert band_error(solved, scene) <= without


def test_a_true_start_helps_and_a_false_one_does_not_show(scene: Any) -> None:
    without = solve_foreground(scene.plate, scene.alpha)
    helped = solve_foreground(scene.plate, scene.alpha, start=scene.foreground)
    assert band_error(helped, scene) < 0.6 * band_error(without, scene)
    for false in (scene.plate, np.zeros_like(scene.plate)):
        solved = solve_foreground(scene.plate, scene.alpha, start=false)
        limit = 1.1 * band_error(without, scene, weighted=True)
        assert band_error(solved, scene, weighted=True) < limit


def test_light_above_one_and_below_zero_comes_back(hdr_scene: Any) -> None:
    solved = solve_foreground(hdr_scene.plate, hdr_scene.alpha)
    band = hdr_scene.unknown
    size = np.abs(hdr_scene.foreground[band]).mean()
    assert band_error(solved, hdr_scene) < 0.1 * size
    bright = band & (hdr_scene.foreground[..., 0] > 6)
    assert bright.any()
    assert (solved[bright][:, 0] > 5).mean() > 0.99
    below = band & (hdr_scene.foreground[..., 2] < -0.05)
    assert not below.any() or (solved[below][:, 2] < 0).mean() > 0.9


def test_a_flat_foreground_of_six_before_black() -> None:
    alpha = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (32, 1))
    plate = (alpha[..., None] * np.float32([6, 6, 6])).astype(np.float32)
    solved = solve_foreground(plate, alpha)
    assert np.abs(solved[alpha > 0] - 6).max() < 0.06


@pytest.mark.parametrize("hints", [(), ("background",), ("background", "foreground")])
def test_torch_gives_what_numpy_gives(scene: Any, hints: tuple[str, ...]) -> None:
    # "cpu:0" is the CPU for torch, and not the word for the numpy way.
    names = {"background": "background", "foreground": "start"}
    given = {names[hint]: getattr(scene, hint) for hint in hints}
    numpy_way = solve_foreground(scene.plate, scene.alpha, **given)
    torch_way = solve_foreground(scene.plate, scene.alpha, device="cpu:0", **given)
    assert np.abs(numpy_way - torch_way).max() < 1e-5
    assert torch_way[scene.alpha == 1].tobytes() == scene.plate[scene.alpha == 1].tobytes()


@pytest.mark.gpu
def test_cuda_gives_what_numpy_gives(scene: Any) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    on_gpu = solve_foreground(scene.plate, scene.alpha, device="cuda")
    assert np.abs(on_gpu - solve_foreground(scene.plate, scene.alpha)).max() < 1e-4
