# SPDX-License-Identifier: Apache-2.0
"""Composition: exact alpha, composites that recompose, hints that say what is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_nodes.train import foregrounds, hints
from matte_nodes.train.data import Material, make_samples, read_pictures
from matte_nodes.train.routes import Route, compose, denoised, harmonised, mixed, with_noise
from matte_nodes.train.strands import Layer
from matte_nodes.train.textures import PROCEDURAL, Pictures

from .made import tiny

SIDE = 72
PAINT = Pictures()


def _rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([5, *seed])


def _layer(kind: str, seed: int = 0) -> Layer:
    return foregrounds.FOREGROUNDS[kind](_rng(seed), SIDE, PAINT)


@pytest.mark.parametrize("kind", sorted(foregrounds.FOREGROUNDS))
def test_a_foreground_is_in_range_and_the_same_for_a_seed(kind: str) -> None:
    for seed in range(3):
        layer, again = _layer(kind, seed), _layer(kind, seed)
        assert layer.alpha.shape == (SIDE, SIDE)
        assert layer.colour.shape == (SIDE, SIDE, 3)
        for plane in (layer.alpha, layer.colour):
            assert plane.dtype == np.float32
            assert np.isfinite(plane).all()
            assert plane.min() >= 0
            assert plane.max() <= 1
        assert np.array_equal(layer.alpha, again.alpha)
        assert np.array_equal(layer.colour, again.colour)
    assert max(_layer(kind, seed).alpha.max() for seed in range(8)) > 0.5


@pytest.mark.parametrize("kind", sorted(foregrounds.FOREGROUNDS))
def test_the_alpha_is_exact_the_composite_over_two_backgrounds_gives_it_back(kind: str) -> None:
    # Smith and Blinn's triangulation: two backgrounds determine alpha.
    layer = _layer(kind)
    black = np.zeros((SIDE, SIDE, 3), np.float32)
    difference = mixed(layer.colour, black + 1, layer.alpha) - mixed(
        layer.colour, black, layer.alpha
    )
    assert np.abs(1 - difference.mean(2) - layer.alpha).max() < 1e-5


@pytest.mark.parametrize(
    "route",
    [
        Route(),
        Route(sharpness=1.0),
        Route(denoise=1.0),
        Route(harmonise=1.0),
        Route(linear=1.0),
        Route(noise=1.0),
    ],
    ids=["deep-image-matting", "sharpness", "denoise", "harmonise", "linear", "noise"],
)
def test_a_composite_recomposes_from_its_layers(route: Route) -> None:
    for seed in range(4):
        made = compose(_rng(seed), _layer("hair", seed), PAINT(_rng(9, seed), SIDE), route)
        again = mixed(made.foreground, made.background, made.alpha, made.light)
        # One noise lies over all three layers, and where it was clipped they differ a little.
        loose = 0.08 if route.noise else 1e-5
        assert np.abs(made.plate - again).max() < loose
        assert made.light == ("linear" if route.linear else "display")


def test_the_common_noise_is_one_and_the_same() -> None:
    grey = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    first, second = with_noise(_rng(), (grey, grey + np.float32(0.1)), 10 / 255)
    assert np.abs((second - first) - 0.1).max() < 1e-6
    assert 0 < first.std() < 10 / 255


def test_denoising_takes_grain_out_and_leaves_an_edge() -> None:
    clean = np.zeros((SIDE, SIDE, 3), np.float32) + 0.3
    clean[:, SIDE // 2 :] = 0.7
    noisy = (clean + _rng().normal(0, 4 / 255, clean.shape)).astype(np.float32)
    found = denoised(noisy)
    assert np.abs(found - clean).mean() < 0.5 * np.abs(noisy - clean).mean()
    assert np.ptp(found[SIDE // 2].mean(1)) > 0.38


def test_harmonising_brings_the_colours_together() -> None:
    one = np.full((SIDE, SIDE, 3), 0.2, np.float32) + 0.1 * PAINT(_rng(1), SIDE)
    other = np.full((SIDE, SIDE, 3), 0.6, np.float32) + 0.1 * PAINT(_rng(2), SIDE)
    where = np.ones((SIDE, SIDE), np.float32)
    found = harmonised(one, other, where)
    apart = np.abs(one.mean((0, 1)) - other.mean((0, 1))).max()
    assert np.abs(found.mean((0, 1)) - other.mean((0, 1))).max() < 0.1 * apart


@pytest.mark.parametrize("kind", sorted(foregrounds.FOREGROUNDS))
def test_a_trimap_never_contradicts_the_alpha(kind: str) -> None:
    for seed in range(5):
        alpha = _layer(kind, seed).alpha
        trimap = hints.trimap(_rng(seed), alpha)
        assert set(np.unique(trimap)) <= {0.0, 0.5, 1.0}
        assert alpha[trimap == 0].max(initial=0) <= 0.004
        assert alpha[trimap == 1].min(initial=1) >= 0.996


def test_the_imperfect_clean_plate_is_near_but_never_the_background() -> None:
    alpha = _layer("solid").alpha
    background = PAINT(_rng(3), SIDE)
    for seed in range(6):
        now, clean = hints.imperfect_clean_plate(_rng(seed), background, alpha)
        assert not np.array_equal(now, clean)
        assert np.abs(clean.mean((0, 1)) - background.mean((0, 1))).max() < 0.25
        assert (now <= background + 1e-6).all()  # a shadow only darkens
    rough = hints.soft_segmentation(_rng(), alpha)
    assert 0 <= rough.min() <= rough.max() <= 1


@pytest.mark.parametrize("paint", PROCEDURAL, ids=lambda paint: paint.__name__)
def test_textures_are_in_range(paint: object) -> None:
    for seed in range(4):
        picture = paint(_rng(seed), SIDE)  # type: ignore[operator]
        assert picture.shape == (SIDE, SIDE, 3)
        assert 0 <= picture.min() <= picture.max() <= 1


def test_samples_are_the_same_whatever_was_made_before(tmp_path: Path) -> None:
    recipe = tiny()
    for place in ("a", "b"):
        make_samples(recipe, Material(), "train", tmp_path / place)
    first, second = (np.load(tmp_path / place / "0000.npy") for place in ("a", "b"))
    assert np.array_equal(first, second)
    make_samples(recipe, Material(), "heldout", tmp_path / "c")
    assert not np.array_equal(first, np.load(tmp_path / "c" / "0000.npy"))


def test_own_foregrounds_are_used(tmp_path: Path) -> None:
    import cv2

    picture = np.zeros((100, 120, 4), np.uint8)
    picture[20:80, 30:90] = (10, 20, 250, 255)  # red, as OpenCV orders it
    cv2.imwrite(str(tmp_path / "own.png"), picture)
    (tmp_path / "source.json").write_text("{}")  # the note of `matte train compose`
    found = read_pictures(tmp_path, alpha=True)
    assert found[0][50, 50].tolist() == [250, 20, 10, 255]
    from matte_nodes.train.samples import cut

    layer = cut(_rng(), found[0], 64)
    solid = layer.alpha > 0.99
    assert solid.any()
    assert np.abs(layer.colour[solid] * 255 - (250, 20, 10)).max() < 2
