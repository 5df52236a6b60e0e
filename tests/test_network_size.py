# SPDX-License-Identifier: Apache-2.0
"""What is not made: full-size copies for a network of one size, a foreground that nobody writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matte_nodes import MatteNode, models, runtime
from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory, ModelCard, Prediction
from matte_nodes.color import NetworkView, PlateColor
from matte_nodes.foreground import solve_foreground
from matte_nodes.media.resize import planes, resized
from matte_nodes.node import frame as frames
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from tests.made import read_named, write_image

SIZE = (32, 48)
WORST = 2e-6  # the stated error of a plate that is reduced while it is encoded
PLATE = np.random.default_rng(4).random((203, 331, 3)).astype(np.float32)


class Seeing:
    """A model of one size that keeps what it was given; its alpha is the plate's red."""

    def __init__(self, context: LoadContext) -> None:
        self.seen: list[Inputs] = []

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Its answer."""
        self.seen.append(inputs)
        return Prediction(np.ascontiguousarray(inputs.plate[..., 0])), {}


CARD = ModelCard(
    name="seeing", title="Seeing", summary="A test's model.", load=Seeing, fixed_size=SIZE,
    papers=("none",),
)  # fmt: skip


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("space", ["srgb_tx", "ACEScg", "lin_rec709"])
@pytest.mark.parametrize("view", ["srgb", "soft"])
def test_a_plate_reduced_while_it_is_encoded_is_the_encoded_plate_reduced(
    kind: type, space: str, view: Any
) -> None:
    color = PlateColor(space, view=NetworkView(view, exposure=0.5))
    whole = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    plate = (PLATE * whole).astype(kind)
    expected = resized(color.to_network(plate), SIZE)
    assert np.abs(color.to_network_at(plate, SIZE) - expected).max() < WORST


@pytest.mark.parametrize("size", [(203, 331), (32, 331), (203, 48), (1, 1)])
def test_any_size_that_is_not_larger_can_be_made(size: tuple[int, int]) -> None:
    color = PlateColor("srgb_tx")
    plate = (PLATE * 255).astype(np.uint8)
    made = color.to_network_at(plate, size)
    assert np.abs(made - resized(color.to_network(plate), size)).max() < WORST


def test_a_network_of_one_size_is_given_the_plate_at_that_size_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = MatteNode(CARD, device="cpu")
    full: list[Any] = []
    monkeypatch.setattr(
        PlateColor, "to_network", lambda self, pixels: full.append(pixels.shape) or pixels
    )
    matte = node(PLATE)
    assert matte.alpha.shape == PLATE.shape[:2]
    assert node.model.seen[0].plate.shape == (*SIZE, 3)  # type: ignore[attr-defined]
    assert not full


def test_the_matte_is_that_of_the_full_size_plate() -> None:
    node = MatteNode(CARD, device="cpu")
    given = frames.Given(PLATE)
    color = node.plate_color("scene_linear")
    small, whole = node.see(given, color), frames.see(given, color)
    assert small.inputs.size == whole.inputs.size == PLATE.shape[:2]
    assert small.inputs.plate.shape != whole.inputs.plate.shape
    alphas = [node.step(seen.inputs, {})[0].alpha for seen in (small, whole)]
    assert np.abs(alphas[0] - alphas[1]).max() < WORST


@pytest.mark.parametrize(
    "why", ["smaller plate", "takes a hint", "tiles", "steadied", "wants scene"]
)
def test_where_the_full_size_is_needed_it_is_made(why: str) -> None:
    card, knobs, plate = CARD, dict[str, Any](), PLATE
    if why == "smaller plate":
        plate = PLATE[:20, :40].copy()
    elif why == "takes a hint":
        card = replace(CARD, takes=frozenset({"segmentation"}))
    elif why == "tiles":
        card = replace(CARD, tileable=True)
    elif why == "steadied":
        knobs = {"steady": 0.5}
    else:
        card = replace(CARD, wants_scene=True)
    node = MatteNode(card, device="cpu", **knobs)
    seen = node.see(frames.Given(plate), node.plate_color("scene_linear"))
    assert seen.inputs.plate.shape == plate.shape
    assert seen.inputs.full_size is None


def test_every_shipped_network_of_one_size_profits() -> None:
    large = frames.Given(np.zeros((1100, 1100, 3), np.uint8))
    names = [card.name for card in models.cards() if card.fixed_size]
    assert {"u2netp", "selfie", "isnet", "u2net"} <= set(names)
    for name in names:
        node = MatteNode(name, device="cpu")
        seen = node.see(large, node.plate_color("srgb_tx"))
        assert seen.inputs.plate.shape[:2] == node.card.fixed_size


def test_a_started_foreground_is_the_same_when_it_is_asked_for_at_the_edge_alone() -> None:
    alpha = np.clip(np.linspace(-1, 2, 331, dtype=np.float32), 0, 1)[None].repeat(203, 0)
    start = PLATE[::-1].copy()
    asked: list[int] = []

    def at(places: NDArray[np.intp]) -> NDArray[np.float32]:
        asked.append(len(places))
        found: NDArray[np.float32] = start.reshape(-1, 3)[places]
        return found

    whole = solve_foreground(PLATE, alpha, start=start)
    assert np.array_equal(solve_foreground(PLATE, alpha, start=at), whole)
    assert asked == [int(((alpha > 0) & (alpha < 1)).sum())]


@pytest.mark.parametrize("name", ["m.####.png", "m.####.exr"])
def test_an_output_of_alpha_solves_no_foreground_and_has_the_same_alpha(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = (PLATE * 255).astype(np.uint8)
    write_image(tmp_path / "plate.0001.png", codes)
    source = str(tmp_path / "plate.####.png")

    def run(output: str, layout: str) -> Path:
        render = Render(
            source, str(tmp_path / output), "green-screen", layout=layout,
            knobs={}, node={"device": "cpu"}, connect={},
        )  # fmt: skip
        render.run(None, None, Quiet())
        return tmp_path / output.replace("####", "0001")

    full = read_named(run("full.####.exr", "nuke"))["A"]
    monkeypatch.setattr(frames, "solve_foreground", _refused)
    alone = read_named(run(name, "alpha"))
    alpha = alone.get("A", alone.get("Y"))
    assert alpha is not None
    assert np.abs(alpha - full).max() < 1e-4
    with pytest.raises(AssertionError, match="solved"):
        run("other.####.exr", "nuke")


def _refused(*args: Any, **more: Any) -> Any:
    raise AssertionError("a foreground was solved")


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (0, 7, 3)])
def test_planes_are_the_picture_turned(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).random(shape).astype(np.float32)
    turned = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
    made = planes(picture)
    assert np.array_equal(made, turned)
    assert made.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(("large", "told"), [(False, None), (True, "cpu:0")])
def test_a_session_gives_its_memory_back_after_a_plate_over_4k(
    large: bool, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Session:
        def run(self, outputs: list[str], feed: Any, options: Any) -> list[Any]:
            asked.append(options)
            return [feed["src"]]

    feed = {"src": np.zeros((1, 3, 8, 8), np.float32)}
    monkeypatch.setattr(runtime, "LARGE_FEED", 100 if large else 10**9)
    runtime.run_session(Session(), runtime.Device("cpu"), feed, ["pha"])
    found = asked[0] and asked[0].get_run_config_entry("memory.enable_memory_arena_shrinkage")
    assert found == told


@pytest.mark.parametrize("despill", [0.0, 1.0])
def test_only_the_soft_pixels_are_encoded_and_all_are_right(
    despill: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = np.clip(np.linspace(-1, 2, 331, dtype=np.float32), 0, 1)[None].repeat(203, 0)
    alpha = alpha.astype(np.float16).astype(np.float32)
    codes = (PLATE * 255).astype(np.uint8)
    node = MatteNode("green-screen", device="cpu", despill=despill)
    color = node.plate_color("srgb_tx", encoded_output=True)
    seen = node.see(frames.Given(codes), color)
    straight = node.finish(Prediction(alpha), seen, node.plate_color("srgb_tx")).foreground
    expected = color.to_output(straight)
    expected[alpha == 0] = 0
    if not despill:
        expected[alpha == 1] = color.plate_to_output(codes)[alpha == 1]
    sizes: list[int] = []
    encode = PlateColor.to_output

    def counted(self: PlateColor, working: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(working[..., 0].size)
        return encode(self, working)

    monkeypatch.setattr(PlateColor, "to_output", counted)
    made = node.finish(Prediction(alpha), seen, color).foreground
    assert np.array_equal(made, expected)
    soft = int(((alpha > 0) & (alpha < 1)).sum())
    assert sizes == [alpha.size if despill else soft]
