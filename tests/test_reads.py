# SPDX-License-Identifier: Apache-2.0
"""The record of what is read: files, variables, versions, and the code of other packages."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode, models, reads, runtime
from matte_nodes.card import LoadContext, ModelCard
from matte_nodes.errors import ModelError
from matte_nodes.models.torch_model import torch_model
from matte_nodes.reads import Reads, hash_of
from matte_nodes.service.client import complete
from matte_nodes.service.pool import ModelPool
from matte_nodes.testing import ModelCompliance
from tests.conftest import set_anew
from tests.temporal.rig import plates

SOURCE = """
from matte_nodes import ModelCard, Prediction

class Other:
    def step(self, inputs, memory, knobs):
        return Prediction(inputs.plate.mean(2) * {gain}), {{}}

def load(context):
    return Other()

CARD = ModelCard("other", "Other", "Other.", load)
"""


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another package's model in one file."""
    path = tmp_path / "other_matting_model.py"
    path.write_text(SOURCE.format(gain=0.5))
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("other_matting_model", None)
    reads._code_of.cache_clear()


def card_of_other() -> ModelCard:
    """The card as a new process would import it."""
    sys.modules.pop("other_matting_model", None)
    reads._code_of.cache_clear()
    importlib.invalidate_caches()
    sys.dont_write_bytecode, kept = True, sys.dont_write_bytecode
    try:
        card: ModelCard = importlib.import_module("other_matting_model").CARD
    finally:
        sys.dont_write_bytecode = kept
    return card


def test_the_code_of_a_model_in_one_file_is_in_the_key(other: Path, tmp_path: Path) -> None:
    plate = plates(tmp_path / "in", 1)
    before = MatteNode(card_of_other()).connect(plate, cache=None).stamp(1)
    assert MatteNode(card_of_other()).connect(plate, cache=None).stamp(1) == before
    other.write_text(SOURCE.format(gain=0.25))
    # The code that runs is the one that was imported.
    card = sys.modules["other_matting_model"].CARD
    assert MatteNode(card).connect(plate, cache=None).stamp(1) == before
    assert MatteNode(card_of_other()).connect(plate, cache=None).stamp(1) != before


def test_code_is_found_behind_partials_closures_and_architectures(other: Path) -> None:
    card_of_other()
    load = sys.modules["other_matting_model"].load

    def closure(context: LoadContext) -> Any:
        return load(context)

    closure.__module__ = "matte_nodes.models.torch_model"
    for thing in (load, partial(load), closure, torch_model(load)):
        assert "other_matting_model" in Reads.roots(thing), thing


def test_libraries_of_ours_are_named_by_version_not_by_content() -> None:
    found = Reads()
    found.code(np.mean, models.card("rvm").load)
    assert not [name for name in found.facts if name.startswith("code")]
    tag = runtime.numerics_tag(runtime.Device("cpu"), 1)
    for name in ("numpy", "torch", "opencolorio", "OpenImageIO", "av"):
        assert f"package_{name}=" in tag


def test_a_file_of_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"one")
    os.utime(path, ns=(10**18, 10**18))
    before = hash_of(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(10**18, 10**18))
    assert hash_of(path) != before


def test_places_and_words_are_no_part_of_the_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = runtime.Device("cpu")
    before = runtime.numerics_tag(cpu, 1)
    monkeypatch.setenv("TORCH_HOME", "/elsewhere")
    monkeypatch.setenv("ONEDNN_VERBOSE", "1")
    assert runtime.numerics_tag(cpu, 1) == before
    for name in (
        "ATEN_CPU_CAPABILITY",
        "ONEDNN_MAX_CPU_ISA",
        "DNNL_MAX_CPU_ISA",
        "NPY_DISABLE_CPU_FEATURES",
        "OPENBLAS_CORETYPE",
    ):
        with monkeypatch.context() as patch:
            set_anew(patch, name, "x", "y")
            assert runtime.numerics_tag(cpu, 1) != before, name


class Reader:
    """Alpha is a number from a file that nobody declares, or one that the card declares."""

    def __init__(self, context: LoadContext, path: Path) -> None:
        self.gain = np.float32(path.read_text())
        os.environ.get("READER_MODE", "")

    def step(self, inputs: Any, memory: Any, knobs: Any) -> Any:
        from matte_nodes import Prediction

        return Prediction((inputs.plate.mean(2) * self.gain).clip(0, 1)), {}


def reader(path: Path, **more: Any) -> ModelCard:
    return ModelCard("reader", "Reader", "Reader.", partial(Reader, path=path), **more)


def test_the_compliance_suite_finds_what_a_card_does_not_declare(tmp_path: Path) -> None:
    path = tmp_path / "gain.txt"
    path.write_text("0.5")

    def suite(**more: Any) -> ModelCompliance:
        body = {"card": reader(path, **more)}
        made: ModelCompliance = type("Suite", (ModelCompliance,), body)()
        return made

    declared: dict[str, Any] = {"files": (path,), "variables": ("READER_MODE",)}
    suite(**declared).test_what_is_read_is_in_the_key()
    for name, said in (("files", "files="), ("variables", "variables=")):
        with pytest.raises(AssertionError, match=said):
            suite(**{**declared, name: ()}).test_what_is_read_is_in_the_key()


def test_a_file_that_changes_while_it_is_loaded_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "gain.txt"
    path.write_text("0.5")

    def load(card: ModelCard, context: LoadContext) -> Any:
        found = card.load(context)
        path.write_text("0.25")
        return found

    node = MatteNode(reader(path, files=(path,)), loader=load)
    with pytest.raises(ModelError, match="changed while it was loaded"):
        node(np.zeros((4, 4, 3), np.float32))


def test_a_service_loads_a_model_again_when_its_files_or_variables_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    path = tmp_path / "gain.txt"
    path.write_text("0.5")
    card, pool = reader(path, files=(path,), variables=("READER_MODE",)), ModelPool(1 << 30)
    plate = np.full((4, 4, 3), 0.5, np.float32)

    def alpha() -> float:
        with pool.lease(threading.Event()) as lease:
            return float(MatteNode(card, loader=lease.load)(plate).alpha.mean())

    first = alpha()
    assert (alpha(), pool.loads) == (first, 1)
    path.write_text("0.9")
    assert alpha() != first
    monkeypatch.setenv("READER_MODE", "other")
    alpha()
    assert pool.loads == 3


def test_a_request_carries_the_config_and_the_variables_that_it_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    (tmp_path / "config.ocio").write_text("search_path: luts/$SHOT\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCIO", "config.ocio")
    monkeypatch.setenv("SHOT", "a")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("OCIO_ACTIVE_VIEWS", "Film")
    node = complete({"source": "p.exr", "model": "rvm"})["node"]
    assert node["ocio"] == str(tmp_path / "config.ocio")
    assert json.loads(node["ocio_variables"]) == {"OCIO_ACTIVE_VIEWS": "Film", "SHOT": "a"}
