# SPDX-License-Identifier: Apache-2.0
"""What the tests of caching share: three small models, plates in files, and a fresh straight render."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matte_nodes import Bank, Inputs, Knob, MatteNode, ModelCard, Prediction, Recurrent, Window
from matte_nodes.node.matte import Matte
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store
from tests.made import write_image

SIZE = (12, 16)
KNOBS = (Knob("hold", "float", 0.5, low=0.0, high=0.99, help="How much of the past is kept."),)


class Remembering:
    """Alpha is the luma, held in time; a trimap, where there is one, is mixed into the memory."""

    def step(self, inputs: Inputs, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        luma = inputs.plate.mean(axis=2)
        if inputs.trimap is not None:
            luma = luma * np.float32(0.5) + inputs.trimap * np.float32(0.5)
        hold = np.float32(knobs["hold"])
        kept = hold * memory.get("luma", luma) + (1 - hold) * luma
        foreground = inputs.plate * np.float32(0.9)
        return Prediction(kept, foreground, {"motion": np.abs(kept - luma)}), {"luma": kept}


def _against(inputs: Inputs) -> Any:
    """The luma, less half of the clean plate's where there is one."""
    luma = inputs.plate.mean(axis=2)
    if inputs.background is None:
        return luma
    return np.abs(luma - inputs.background.mean(axis=2) * np.float32(0.5))


class Banking:
    """Alpha is the mean luma of all frames so far, each of which is kept."""

    def step(self, inputs: Inputs, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        kept = {**memory, f"frame {len(memory)}": _against(inputs)}
        mean = np.mean(list(kept.values()), axis=0, dtype=np.float32)
        return Prediction(mean * np.float32(knobs["hold"])), kept


class Looking:
    """Alpha is the mean luma of the frame and its neighbours."""

    def step(self, inputs: Inputs, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        lumas = [_against(inputs), *(picture.mean(axis=2) for picture in inputs.neighbours)]
        return Prediction(np.mean(lumas, axis=0, dtype=np.float32) * np.float32(knobs["hold"])), {}


class Plain:
    """Alpha is the luma."""

    def step(self, inputs: Inputs, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        return Prediction(inputs.plate.mean(axis=2) * np.float32(knobs["hold"])), {}


def _card(name: str, model: type, **more: Any) -> ModelCard:
    return ModelCard(name, name, f"{name}.", lambda context: model(), knobs=KNOBS, **more)


RECURRENT = _card(
    "remembering", Remembering, memory=Recurrent(), takes=frozenset({"trimap"}),
    predicts_foreground=True, extras=("motion",),
)  # fmt: skip
WINDOW = _card("looking", Looking, memory=Window((-2, -1, 1)), takes=frozenset({"background"}))
STILL = _card("plain", Plain)
BANK = _card("banking", Banking, memory=Bank(), takes=frozenset({"background"}))
CARDS = {card.name: card for card in (RECURRENT, BANK, WINDOW, STILL)}


def picture(seed: int) -> Any:
    """(H, W, 3) half: a picture that differs for every seed, but keeps its size in bytes."""
    rng = np.random.default_rng(seed)
    return rng.random((*SIZE, 3)).astype(np.float16)


def write_plate(path: Path, seed: int) -> None:
    """One plate: every version of it has as many bytes, and the same picture the same bytes."""
    write_image(path, picture(seed), compression="none", DateTime="2026:01:01 00:00:00")


def write_trimap(path: Path, seed: int) -> None:
    """One trimap of random regions."""
    import cv2

    rng = np.random.default_rng(seed)
    codes = rng.choice(np.array([0, 128, 255], np.uint8), SIZE)
    assert cv2.imwrite(str(path), codes, [cv2.IMWRITE_PNG_COMPRESSION, 0])


def plates(folder: Path, count: int, first: int = 1) -> str:
    """folder/p.####.exr; answers the pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        write_plate(folder / f"p.{number:04d}.exr", number)
    return str(folder / "p.####.exr")


def settle() -> None:
    """Wait until files are old enough that their times are trusted: more than a clock's tick."""
    time.sleep(0.06)


def disk(folder: Path, *, limit: int = 1 << 30, memory: int = 1 << 26, frames: int = 0) -> Cache:
    """A cache as a new process would open it."""
    store = Store(folder, limit)
    return Cache("disk", store=store, states=memory, pictures=memory, frames=frames)


def same(one: Matte, two: Matte) -> bool:
    """Whether two mattes are the same bits."""
    return (
        np.array_equal(one.alpha, two.alpha)
        and np.array_equal(one.foreground, two.foreground)
        and one.colorspace == two.colorspace
        and set(one.extras) == set(two.extras)
        and all(np.array_equal(one.extras[name], two.extras[name]) for name in one.extras)
    )


def straight(node: MatteNode, plate: Any, **connect: Any) -> Mapping[int, Matte]:
    """A render from the first frame to the last that knows of no cache."""
    return dict(node.connect(plate, cache=None, **connect).render())
