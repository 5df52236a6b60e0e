# SPDX-License-Identifier: Apache-2.0
"""Everything that a pixel depends on is changed, one at a time: a warm cache gives what a cold one
gives.

`tests/test_every_knob.py` turns knobs and hints. Here files, environment variables, the OCIO config
and declarations change, for every registered model and for one that reads a file and a variable of
its own. The mutations at the end leave a part out of the keys, and the hunt must find it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import LoadContext, MatteNode, ModelCard, Prediction, models
from matte_nodes.card import HINTS
from matte_nodes.color import PlateColor
from matte_nodes.color.config import ColorConfig
from matte_nodes.node.matte import Matte
from matte_nodes.shot import fingerprint
from matte_nodes.temporal.inputs import FileHashes, PictureId
from tests.color.test_config_reads import CONFIG, cube
from tests.conftest import has_weights, set_anew
from tests.made import write_image
from tests.temporal.rig import disk, same
from tests.test_every_knob import Rig

SIZE = (40, 56)
GAIN = "READING_MODEL_GAIN"


class Reading:
    """Alpha is the luma times a gain from a file and one from a variable."""

    def __init__(self, context: LoadContext, file: Path) -> None:
        self.gain = np.float32(float(file.read_text()) * float(os.environ.get(GAIN, "1")))

    def step(self, inputs: Any, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        luma = inputs.plate.mean(2)
        if inputs.background is not None:
            luma = luma * np.float32(0.5) + inputs.background.mean(2) * np.float32(0.5)
        if inputs.segmentation is not None:
            luma = luma * (np.float32(0.6) + inputs.segmentation * np.float32(0.4))
        return Prediction((luma * self.gain).clip(0, 1), inputs.plate), {}


def reading(file: Path) -> ModelCard:
    return ModelCard(
        "reading", "Reading", "Reading.", partial(Reading, file=file), files=(file,),
        variables=(GAIN,), takes=frozenset(HINTS), predicts_foreground=True,
    )  # fmt: skip


def picture(seed: int, channels: int = 3) -> np.ndarray:
    """A soft disc on a rough ground; each seed another one."""
    height, width = SIZE
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    disc = np.clip((10 + 2 * seed - np.hypot(x - width / 2, y - height / 2)) / 4, 0, 1)[..., None]
    rough = np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
    return np.asarray(disc * 0.8 + (1 - disc) * rough * 0.3, np.float32)


class Desk:
    """A plate, hints, an OCIO config with its LUT, and a model's own file, all in one folder."""

    def __init__(self, folder: Path, card: ModelCard | None) -> None:
        self.folder = folder
        (folder / "luts/a").mkdir(parents=True)
        (folder / "luts/b").mkdir()
        (folder / "gain.txt").write_text("0.9")
        self.write(0)
        self.lut("a", 0.5)
        self.lut("b", 0.25)
        self.config(0.5)
        self.card = card or reading(folder / "gain.txt")
        self.rig = Rig(self.card)

    def write(self, seed: int, *names: str) -> None:
        """Write the plate and the hints, or those that are named."""
        for name in names or ("plate", "background", "segmentation", "trimap"):
            if name in ("plate", "background"):
                ground = picture(seed + (3 if name == "background" else 0))
                write_image(self.folder / f"{name}.exr", ground.astype(np.float16),
                            compression="none")  # fmt: skip
                continue
            mask = picture(seed, 1)[..., 0]
            codes = np.where(mask > 0.7, 255, np.where(mask < 0.25, 0, 128))
            solid = codes if name == "trimap" else np.where(codes > 0, 255, 0)
            write_image(self.folder / f"{name}.png", solid.astype(np.uint8)[..., None], "Y")

    def lut(self, shot: str, gain: float) -> None:
        (self.folder / f"luts/{shot}/grade.cube").write_text(cube(gain))

    def config(self, dark: float) -> None:
        (self.folder / "config.ocio").write_text(CONFIG.format(dark=dark))

    @cached_property
    def hints(self) -> dict[str, Any]:
        if "points" in self.card.needs:
            return {"points": {1: [(28, 20, True)]}}
        ends = {"background": "exr", "segmentation": "png", "trimap": "png"}
        asked = self.card.needs | (self.card.takes - {"trimap"})
        return {name: str(self.folder / f"{name}.{ends[name]}") for name in sorted(asked)}

    def shot(self, cache: Any, **knobs: Any) -> Any:
        node = MatteNode(
            self.card, device="cpu", threads=1, loader=self.rig.lease.load,
            ocio=str(self.folder / "config.ocio"), **self.rig.options,
            **{**self.rig.base, "view": "view", **knobs},
        )  # fmt: skip
        plate = str(self.folder / "plate.exr")
        return node.connect(plate, colorspace="Graded", cache=cache, **self.hints)


Change = Callable[[Desk, pytest.MonkeyPatch], None]


def variable(name: str, *values: str) -> Change:
    return lambda desk, patch: set_anew(patch, name, *values)


def declared(**more: Any) -> Change:
    return lambda desk, patch: patch.setattr(desk, "card", replace(desk.card, **more))


@dataclass(frozen=True)
class Case:
    """Something that changes. seen: whether every model's pixels may follow it here, so that they
    are compared; of the others the keys must differ."""

    change: Change
    seen: bool = False
    own: bool = False
    """Only the model that reads a file and a variable follows it."""


NUMERICS: Mapping[str, tuple[str, str]] = {
    "ATEN_CPU_CAPABILITY": ("default", "avx2"),
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX2"),
    "MKL_CBWR": ("COMPATIBLE", "AUTO"),
    "OPENBLAS_CORETYPE": ("Haswell", "Nehalem"),
}
"""Variables by which libraries choose their code, each with two values: a machine may set one."""


CASES: Mapping[str, Case] = {
    "plate": Case(lambda desk, patch: desk.write(1, "plate"), seen=True),
    **{
        hint: Case(lambda desk, patch, hint=hint: desk.write(1, hint), seen=True)  # type: ignore[misc]
        for hint in ("background", "segmentation", "trimap")
    },
    "LUT behind the config": Case(lambda desk, patch: desk.lut("a", 0.8), seen=True),
    "$SHOT": Case(variable("SHOT", "b"), seen=True),
    "$OCIO_ACTIVE_VIEWS": Case(variable("OCIO_ACTIVE_VIEWS", "Bright"), seen=True),
    "config in place": Case(lambda desk, patch: desk.config(0.75), seen=True),
    "$OCIO_OPTIMIZATION_FLAGS": Case(variable("OCIO_OPTIMIZATION_FLAGS", "0")),
    **{f"${name}": Case(variable(name, *values)) for name, values in NUMERICS.items()},
    "processor": Case(
        lambda desk, patch: patch.setattr("matte_nodes.runtime.processor", lambda: "another")
    ),
    "algorithm_version": Case(declared(algorithm_version=99)),
    "multiple": Case(declared(multiple=2)),
    "tile_overlap": Case(declared(tile_overlap=3)),
    "wants_scene": Case(
        lambda desk, patch: patch.setattr(
            desk, "card", replace(desk.card, wants_scene=not desk.card.wants_scene)
        )
    ),
    "file of the model": Case(
        lambda desk, patch: desk.folder.joinpath("gain.txt").write_text("0.4"), seen=True, own=True
    ),
    "variable of the model": Case(variable(GAIN, "0.5"), seen=True, own=True),
}


def applies(name: str, desk: Desk) -> bool:
    if name in HINTS:
        return name in desk.hints
    return not CASES[name].own or bool(desk.card.files)


@contextmanager
def changed(name: str, desk: Desk) -> Iterator[None]:
    """The desk with one thing changed, and as it was afterwards."""
    kept = {p: p.read_bytes() for p in sorted(desk.folder.rglob("*.*")) if p.suffix != ".lock"
            and "cache" not in p.parts}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        CASES[name].change(desk, patch)
        yield
    for path, data in kept.items():
        if path.read_bytes() != data:
            path.write_bytes(data)


def hunt(desk: Desk, cache: Path, names: tuple[str, ...] = tuple(CASES)) -> list[str]:
    """Return what can change without a warm cache noticing it."""
    warm, found = disk(cache), []
    first = desk.shot(warm)
    base, stamp = first.at(1), first.stamp(1)
    for name in filter(lambda name: applies(name, desk), names):
        with changed(name, desk):
            shot = desk.shot(warm)
            keyed = shot.stamp(1) != stamp
            if keyed and CASES[name].seen:
                keyed = same(shot.at(1), desk.shot(None).at(1))
            if not keyed:
                found.append(name)
    again: Matte = desk.shot(warm).at(1)
    return found if same(again, base) else [*found, "back"]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OCIO", "SHOT", GAIN, *(n for n in os.environ if n.startswith("OCIO_"))):
        monkeypatch.delenv(name, raising=False)


def suites() -> list[Any]:
    """Every registered model, and one that reads."""
    found = [pytest.param(None, id="reading")]
    for card in models.cards():
        marks = () if has_weights(card.name) else pytest.mark.skip("its weights are not here")
        found.append(pytest.param(card, id=card.name, marks=marks))
    return found


@pytest.mark.parametrize("card", suites())
def test_every_read_warm_as_cold(card: ModelCard | None, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", card)
    assert hunt(desk, tmp_path / "cache") == []


@pytest.mark.parametrize("which", [0, 1])
def test_a_machine_that_sets_the_variables_of_numerics_hides_nothing(
    which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, values in NUMERICS.items():
        monkeypatch.setenv(name, values[which])
    desk = Desk(tmp_path / "desk", None)
    assert hunt(desk, tmp_path / "cache", tuple(f"${name}" for name in NUMERICS)) == []


def test_pixels_follow_what_is_said_to_be_seen(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", None)
    base = desk.shot(None).at(1)
    idle = []
    for name in (name for name, case in CASES.items() if case.seen):
        with changed(name, desk):
            if same(desk.shot(None).at(1), base):
                idle.append(name)
    assert idle == ["trimap"]  # it is not connected: the model needs none


MUTATIONS: Mapping[str, tuple[Callable[[pytest.MonkeyPatch], None], set[str]]] = {
    "the ids of colour transforms are left out": (
        lambda patch: (
            patch.setattr(PlateColor, "id", "same"),
            patch.setattr(PlateColor, "seen_id", ""),
        ),
        {"LUT behind the config", "$SHOT"},
    ),
    "the config's content is left out": (
        lambda patch: (
            patch.setattr(ColorConfig, "cache_id", "same"),
            patch.setattr(PlateColor, "id", "same"),
            patch.setattr(PlateColor, "seen_id", ""),
        ),
        {"config in place", "$OCIO_ACTIVE_VIEWS", "$OCIO_OPTIMIZATION_FLAGS"},
    ),
    "what the model reads is left out": (
        lambda patch: patch.setattr(MatteNode, "reads", type("None", (), {"facts": {}})()),
        {"file of the model", "variable of the model"},
    ),
    "numerics are left out": (
        lambda patch: patch.setattr(fingerprint, "numerics_tag", lambda *_: "same"),
        {"$ATEN_CPU_CAPABILITY", "$ONEDNN_MAX_CPU_ISA", "processor"},
    ),
    "the declaration is left out": (
        lambda patch: patch.setattr(fingerprint, "_declared", lambda card: {}),
        {"multiple", "tile_overlap", "wants_scene"},
    ),
    "hashes of files are left out": (
        lambda patch: patch.setattr(
            FileHashes, "of", lambda self, sign, look: PictureId("same", True)
        ),
        {"plate", "background"},
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_hunt_finds_a_mutation_of_the_keys(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate, missing = MUTATIONS[name]
    mutate(monkeypatch)
    if name.startswith("what the model"):
        monkeypatch.setattr(MatteNode, "_reads", lambda self: self.reads)
    found = hunt(Desk(tmp_path / "desk", None), tmp_path / "cache")
    assert missing <= set(found)
