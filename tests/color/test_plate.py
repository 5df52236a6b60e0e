# SPDX-License-Identifier: Apache-2.0
"""PlateColor: known values, agreement with OpenColorIO, and what holds for every space."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matte_nodes.color import ColorConfig, NetworkView, PlateColor
from matte_nodes.color.fast import all_codes
from matte_nodes.color.transform import convert
from matte_nodes.errors import ColorError, KnobValueError

Float = NDArray[np.float32]
SPACES = [
    "srgb_tx",
    "bt709",
    "ACEScg",
    "ACES2065-1",
    "Linear Rec.709",
    "ARRI LogC3",
    "ARRI LogC4",
    "g24_rec709",
    "ACEScct",
    "sRGB - Display",
]
DTYPES = [np.uint8, np.uint16, np.float16, np.float32]


def srgb(linear: float) -> float:
    """IEC 61966-2-1."""
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def bt709_to_linear(code: float) -> float:
    """The inverse of the camera curve of ITU-R BT.709."""
    return code / 4.5 if code < 0.081 else ((code + 0.099) / 1.099) ** (1 / 0.45)


def logc3_to_linear(code: float) -> float:
    """ARRI LogC3 at EI 800."""
    a, b, c, d, e, f = 5.555556, 0.052272, 0.247190, 0.385537, 5.367655, 0.092809
    return (10 ** ((code - d) / c) - b) / a if code > e * 0.010591 + f else (code - f) / e


def grey(value: float, dtype: Any = np.float32) -> NDArray[Any]:
    return np.full((2, 3, 3), value, dtype)


def pixels_of(dtype: Any, seed: int = 1) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.integer):
        return rng.integers(0, np.iinfo(dtype).max + 1, (19, 23, 3)).astype(dtype)
    return rng.random((19, 23, 3)).astype(dtype)


def test_acescg_middle_grey_is_the_srgb_it_is_known_to_be() -> None:
    seen = PlateColor("ACEScg").to_network(grey(0.18))
    assert np.abs(seen - 0.4613).max() < 1e-4


@pytest.mark.parametrize("value", [0.0, 0.001, 0.0031, 0.0032, 0.02, 0.18, 0.5, 0.9, 1.0])
def test_linear_rec709_is_encoded_by_the_srgb_curve(value: float) -> None:
    assert np.abs(PlateColor("lin_rec709").to_network(grey(value)) - srgb(value)).max() < 5e-5


@pytest.mark.parametrize("code", [0, 10, 11, 64, 128, 200, 255])
def test_srgb_codes_are_seen_as_they_are(code: int) -> None:
    color = PlateColor("srgb_tx")
    assert np.abs(color.to_network(grey(code, np.uint8)) - code / 255).max() < 5e-5
    assert np.abs(srgb(float(color.to_working(grey(code, np.uint8)).max())) - code / 255) < 5e-5


@pytest.mark.parametrize("code", [0.0, 0.05, 0.0809, 0.082, 0.25, 0.5, 0.75, 1.0])
def test_a_bt709_movie_is_linearised_by_the_camera_curve(code: float) -> None:
    color = PlateColor("bt709")
    assert color.working == "Linear Rec.709 (sRGB)"
    # The standard's rounded numbers leave a step where its two parts meet; OCIO's have none.
    assert np.abs(color.to_working(grey(code)) - bt709_to_linear(code)).max() < 1e-4
    assert np.abs(color.to_network(grey(code)) - srgb(bt709_to_linear(code))).max() < 5e-4


@pytest.mark.parametrize("code", [0.1, 0.2, 0.391, 0.5, 0.7, 1.0])
def test_logc3_is_linearised_by_arris_curve(code: float) -> None:
    color = PlateColor("ARRI LogC3")
    assert color.working == "Linear ARRI Wide Gamut 3"
    linear = logc3_to_linear(code)
    assert np.abs(color.to_working(grey(code)) - linear).max() < 2e-4 * max(1, linear)
    # Greys are grey in all of these primaries.
    assert np.abs(color.to_network(grey(code)) - srgb(min(linear, 1))).max() < 2e-4


def test_working_and_output_follow_the_rule() -> None:
    linear = PlateColor("ACES2065-1", encoded_output=True)
    assert linear.plate == linear.working == linear.output == "ACES2065-1"
    assert PlateColor("srgb_tx").output == "Linear Rec.709 (sRGB)"
    assert PlateColor("srgb_tx", encoded_output=True).output == "sRGB Encoded Rec.709 (sRGB)"
    assert PlateColor("srgb_tx", output="ACEScg").output == "ACEScg"
    assert PlateColor("srgb_tx", output="ACEScg", encoded_output=True).output == "ACEScg"
    assert PlateColor("ADX10").working == "ACEScg"  # no linear space has its primaries


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", SPACES)
def test_all_ways_agree_with_ocio(space: str, dtype: Any) -> None:
    color = PlateColor(space, encoded_output=True)
    config = color.config
    pixels = pixels_of(dtype)
    numbers = pixels.astype(np.float32)
    if np.issubdtype(dtype, np.integer):
        numbers = (pixels / np.iinfo(dtype).max).astype(np.float32)
    working = color.to_working(pixels)
    truth = convert(config, color.plate, color.working, numbers)
    exact = dtype != np.float32  # a table holds OCIO's own numbers
    tolerance = 3e-6 if exact else 2e-5
    assert np.abs(working - truth).max() <= tolerance * max(1, float(np.abs(truth).max()))
    seen = convert(config, color.working, config.resolve("srgb_tx"), truth)
    assert np.abs(color.to_network(pixels) - np.clip(seen, 0, 1)).max() < 1e-4
    back = convert(config, color.working, color.output, truth)
    assert np.abs(color.to_output(truth) - back).max() < 1e-4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", SPACES)
def test_the_plate_in_its_own_space_is_the_plate_bit_for_bit(space: str, dtype: Any) -> None:
    pixels = pixels_of(dtype)
    numbers = pixels.astype(np.float32)
    if np.issubdtype(dtype, np.integer):
        numbers = all_codes(np.dtype(dtype))[pixels]
    color = PlateColor(space, encoded_output=True)
    out = color.plate_to_output(pixels)
    assert out.tobytes() == numbers.tobytes()
    assert not np.shares_memory(out, pixels)
    if color.working == color.plate:
        assert color.to_working(pixels).tobytes() == numbers.tobytes()
        assert not np.shares_memory(color.to_working(pixels), pixels)


def test_linear_light_has_no_bounds() -> None:
    plate = np.float32([[[6.0, -0.5, 1e4], [0.0, -3.0, 65000.0]]])
    color = PlateColor("ACEScg")
    assert color.to_working(plate).tobytes() == plate.tobytes()
    assert color.to_output(plate).tobytes() == plate.tobytes()
    wide = PlateColor("ACEScg", output="ACES2065-1")
    truth = convert(wide.config, "ACEScg", "ACES2065-1", plate)
    assert np.allclose(wide.to_output(plate), truth, rtol=1e-5)


def test_encoded_output_above_one_is_ocios_and_not_clipped() -> None:
    color = PlateColor("srgb_tx", encoded_output=True)
    bright = np.float32([[[4.0, 0.5, -0.25], [0.2, 0.3, 0.4]]])
    truth = convert(color.config, color.working, color.output, bright)
    assert np.allclose(color.to_output(bright), truth, atol=1e-5)
    assert color.to_output(bright).max() > 1.5


@pytest.mark.parametrize("kind", ["srgb", "soft", "view"])
def test_whatever_comes_in_the_network_sees_zero_to_one(kind: Any) -> None:
    rng = np.random.default_rng(4)
    plate = (rng.normal(0, 1, (30, 40, 3)) * 10.0 ** rng.integers(-4, 5, (30, 40, 1))).astype(
        np.float32
    )
    plate[0, :4] = [[np.nan, 1, 1], [np.inf, 0, 0], [-np.inf, 1, 0], [65504, 0, -65504]]
    for space in ("ACEScg", "lin_rec709"):
        seen = PlateColor(space, view=NetworkView(kind)).to_network(plate)
        assert seen.dtype == np.float32
        assert np.isfinite(seen).all()
        assert seen.min() >= 0
        assert seen.max() <= 1


def test_black_and_white_are_exact() -> None:
    for space in ("lin_rec709", "srgb_tx"):
        color = PlateColor(space)
        assert (color.to_network(grey(0.0)) == 0).all()
        assert (color.to_network(grey(1.0)) == 1).all()


def test_half_and_float_of_one_value_are_seen_alike() -> None:
    for space in ("ACEScg", "lin_rec709", "srgb_tx"):
        color = PlateColor(space)
        halves = pixels_of(np.float16)
        wide = color.to_network(halves.astype(np.float32))
        assert np.abs(color.to_network(halves) - wide).max() < 2e-5


def test_exposure_is_in_stops_of_working_space() -> None:
    plain, up = PlateColor("ACEScg"), PlateColor("ACEScg", view=NetworkView(exposure=2))
    assert np.allclose(up.to_network(grey(0.05)), plain.to_network(grey(0.2)), atol=1e-6)


def test_soft_keeps_tones_and_tells_highlights_apart() -> None:
    plain, soft = PlateColor("lin_rec709"), PlateColor("lin_rec709", view=NetworkView("soft"))
    low = np.linspace(0, 0.5, 300, dtype=np.float32).reshape(10, 10, 3)
    assert np.allclose(soft.to_network(low), plain.to_network(low), atol=2e-5)
    stops = [float(soft.to_network(grey(2.0**stop)).max()) for stop in range(-1, 7)]
    assert all(b - a > 0.001 for a, b in pairwise(stops))
    assert stops[-1] < 1


@pytest.mark.parametrize(
    ("kind", "exposure", "tolerance"),
    [("srgb", 0, 1e-4), ("soft", -1.5, 3e-3), ("view", 0.5, 2e-2)],
)
@pytest.mark.parametrize("space", ["ACEScg", "srgb_tx", "ARRI LogC3"])
def test_what_the_network_saw_comes_back(
    space: str, kind: Any, exposure: float, tolerance: float
) -> None:
    color = PlateColor(space, view=NetworkView(kind, exposure))
    # Muted colours: inside sRGB's gamut whatever the plate's primaries.
    rng = np.random.default_rng(6)
    working = (0.2 + 0.2 * rng.random((20, 20, 3)) * [0.5, 1, 0.7]).astype(np.float32)
    seen = PlateColor(color.working, view=color.view, config=color.config).to_network(working)
    back = color.network_to_working(seen)
    assert back.dtype == np.float32
    assert np.abs(back - working).max() < tolerance


def test_light_beyond_one_comes_back_from_the_soft_view() -> None:
    color = PlateColor("lin_rec709", view=NetworkView("soft"))
    back = color.network_to_working(color.to_network(grey(6.0)))
    assert np.abs(back / 6 - 1).max() < 0.05


@pytest.mark.parametrize("exposure", [float("nan"), float("inf"), 40])
def test_an_exposure_that_is_none_is_an_error(exposure: float) -> None:
    with pytest.raises(KnobValueError, match="stops"):
        NetworkView(exposure=exposure)


def test_a_view_that_is_none_is_an_error() -> None:
    with pytest.raises(KnobValueError, match="view"):
        NetworkView("aces")  # type: ignore[arg-type]


def test_a_pixel_type_that_is_none_is_an_error() -> None:
    with pytest.raises(ColorError, match="int32"):
        PlateColor("srgb_tx").to_working(np.zeros((2, 2, 3), np.int32))


def test_ids_tell_transforms_apart_and_stay() -> None:
    made: list[Callable[[], PlateColor]] = [
        lambda: PlateColor("srgb_tx"),
        lambda: PlateColor("bt709"),
        lambda: PlateColor("srgb_tx", encoded_output=True),
        lambda: PlateColor("srgb_tx", output="ACEScg"),
        lambda: PlateColor("srgb_tx", view=NetworkView("soft")),
        lambda: PlateColor("srgb_tx", view=NetworkView(exposure=0.5)),
        lambda: PlateColor("srgb_tx", config=ColorConfig("ocio://studio-config-latest")),
    ]
    ids = [make().id for make in made]
    assert len(set(ids)) == len(ids)
    assert [make().id for make in made] == ids
    assert PlateColor("sRGB").id == PlateColor("srgb_tx").id


def test_threads_share_one_plate_color() -> None:
    color = PlateColor("ARRI LogC3", encoded_output=True)
    plates = [pixels_of(dtype, seed) for seed in range(4) for dtype in DTYPES]
    with ThreadPoolExecutor(8) as pool:
        beside = list(pool.map(color.to_network, plates))
    fresh = PlateColor("ARRI LogC3", encoded_output=True)
    for plate, seen in zip(plates, beside, strict=True):
        assert seen.tobytes() == fresh.to_network(plate).tobytes()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["srgb_tx", "ACEScg", "bt709", "ARRI LogC3"]),
    st.sampled_from(DTYPES),
    st.integers(1, 7),
    st.integers(1, 7),
)
def test_tiny_sizes_and_strided_views(space: str, dtype: Any, height: int, width: int) -> None:
    color = PlateColor(space)
    whole = pixels_of(dtype)
    part = whole[::-1][:height, : 2 * width : 2]
    for function in (color.to_working, color.to_network, color.plate_to_output):
        answer = function(part)
        assert answer.shape == (height, width, 3)
        assert answer.tobytes() == function(np.ascontiguousarray(part)).tobytes()


def test_importing_colour_imports_nothing_heavy() -> None:
    code = (
        "import sys, matte_nodes.color\n"
        "print([m for m in ('cv2', 'torch', 'OpenImageIO', 'onnxruntime') if m in sys.modules])"
    )
    root = str(Path(__file__).resolve().parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert ran.stdout.strip() == "[]"


def test_a_view_as_a_table_is_nearly_the_view() -> None:
    """Studio shows floating-point plates through it: below what 8 bits show, on average."""
    from matte_nodes.color import NetworkView
    from matte_nodes.color.view_table import ViewTable

    exact = PlateColor("lin_rec709", view=NetworkView("view")).to_network
    table = ViewTable(exact)
    rng = np.random.default_rng(0)
    spread = 2 ** rng.uniform(-9, 5, (60, 80, 1)) * rng.uniform(0.2, 1, (60, 80, 3))
    for pixels in (spread.astype(np.float32), rng.uniform(0, 1, (60, 80, 3)).astype(np.float32)):
        before = pixels.copy()
        away = np.abs(table(pixels) - exact(pixels)) * 255
        assert away.mean() < 0.3
        assert away.max() < 4
        assert np.array_equal(pixels, before)
    odd = table(np.array([[[-1, 0, np.inf], [np.nan, 1e9, 64]]], np.float32))
    assert np.isfinite(odd).all()
    assert odd.min() >= 0
    assert odd.max() <= 1
