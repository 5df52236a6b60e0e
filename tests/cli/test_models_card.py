# SPDX-License-Identifier: Apache-2.0
"""`matte models card NAME`: what a studio decides by, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from matte_nodes import models
from matte_nodes.card import Bank, Knob, ModelCard, Recurrent, Still, Window
from matte_nodes.cli import matte, models_card
from matte_nodes.errors import UnknownModelError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no weights are here."""
    monkeypatch.setenv("MATTE_HOME", str(tmp_path))
    return tmp_path


def card(*arguments: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(matte, ["models", "card", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def words(text: str) -> str:
    """Without line breaks and indents."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", models.names())
def test_everything_declared_is_said(name: str) -> None:
    declared, said = models.card(name), words(card(name))
    wanted = [declared.title, declared.summary, declared.commercial, declared.code_licence]
    wanted += [*declared.needs, *declared.takes, *declared.extras, *declared.papers]
    wanted += [knob.name for knob in declared.knobs] + [knob.help for knob in declared.knobs]
    wanted += [declared.training_data, declared.limits]
    for item in declared.weights:
        wanted += [item.file, item.sha256, item.licence, item.publisher]
        wanted += [source.location for source in item.sources]
    if declared.checkpoint:
        wanted += [declared.checkpoint.licence, declared.checkpoint.publisher]
    for text in wanted:
        assert words(text) in said


def test_states_of_weights(home: Path) -> None:
    assert "u2netp.onnx: missing" in card("u2netp")
    (home / "weights").mkdir()
    (home / "weights" / "u2netp.onnx").write_bytes(b"another file")
    assert "u2netp.onnx: damaged" in card("u2netp")
    assert "modnet.safetensors: not imported" in card("modnet")
    (home / "weights" / "modnet.safetensors").write_bytes(b"")
    assert "modnet.safetensors: imported" in card("modnet")


def test_json_is_the_declaration_and_what_is_here() -> None:
    facts = json.loads(card("rvm", "--json"))
    assert facts.pop("here") == {
        "rvm_mobilenetv3_fp32.onnx": "missing",
        "rvm_resnet50_fp32.onnx": "missing",
        "rvm.safetensors": "not imported",
    }
    assert facts == json.loads(json.dumps(models.card("rvm").as_dict()))


def test_unknown_model() -> None:
    with pytest.raises(UnknownModelError, match="Did you mean 'rvm'"):
        card("rvn")


def test_ranges_of_knobs() -> None:
    def said(**more: object) -> str:
        return models_card.knob_range(Knob("k", help="Help.", **more))  # type: ignore[arg-type]

    assert said(kind="int", default=0, low=-1, high=10_000_000) == "-1 to 10,000,000"
    assert said(kind="float", default=0.0, low=0.0625, high=2.0) == "0.0625 to 2"
    assert said(kind="float", default=0.0, low=0.5) == "from 0.5"
    assert said(kind="int", default=0) == "int"
    assert said(kind="choice", default="a", choices=("a", "b")) == "a, b"
    assert said(kind="bool", default=True) == "true, false"


def test_every_kind_of_memory_is_told_apart() -> None:
    kinds = [Still(), Window((-1, 1)), Window((-1, 1), "step"), Recurrent(), Recurrent(9), Bank()]
    said = [models_card.memory(kind) for kind in kinds]
    assert len(set(said)) == len(kinds)
    assert "-1, +1" in said[1]
    assert "step" in said[2]
    assert "9 frames" in said[4]


def test_sizes() -> None:
    def said(**more: object) -> str:
        made = ModelCard("m", "M", "S.", load=lambda context: None, **more)  # type: ignore[arg-type, return-value]
        return models_card.sizes(made)

    assert said() == "any"
    assert "256 x 144" in said(fixed_size=(144, 256))
    assert "multiples of 32" in said(multiple=32)
    assert "over 2048 pixels a side in tiles, 64" in said(
        tileable=True, tile_side=2048, tile_overlap=64
    )
