# SPDX-License-Identifier: Apache-2.0
"""The knobs on the command line are those of the chosen model; help stays short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from matte_nodes import Knob, ModelCard, Prediction, cli, models
from matte_nodes.cli import VERBS
from matte_nodes.cli.knob_flags import given_knobs
from matte_nodes.errors import UnknownKnobError, UnknownModelError
from matte_nodes.node.knobs import NODE_KNOBS
from tests.made import plate_sequence


def verb(name: str) -> click.Command:
    found = cli.matte.get_command(click.Context(cli.matte), name)
    assert found is not None
    return found


def parsed(*words: str, name: str = "run") -> dict[str, Any]:
    """The knobs that a command line gives."""
    command = verb(name)
    context = command.make_context(name, list(words))
    return given_knobs(dict(context.params))


def help_of(*words: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "matte_nodes", *words, "--help"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return run.stdout


@pytest.mark.parametrize("size", ["auto", "256", "512", "768", "1024"])
def test_background_matting_takes_its_own_network_sizes(size: str) -> None:
    words = ("x.exr", "-o", "y.exr", "--model", "background-matting", "--network-size", size)
    assert parsed(*words) == {"network_size": size}


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50", "resnet101"])
def test_background_matting_v2_takes_its_own_backbones(backbone: str) -> None:
    words = ("x.exr", "-o", "y.exr", "--model=background-matting-v2", "--backbone", backbone)
    assert parsed(*words) == {"backbone": backbone}


def test_a_value_of_another_models_knob_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="mobilenetv2"):
        parsed("x.exr", "--model", "background-matting-v2", "--backbone", "r34")


def test_every_documented_knob_of_every_model_is_taken() -> None:
    for card in models.cards():
        for knob in card.knobs:
            for value in knob.choices or (knob.default,):
                found = parsed("x.exr", "--model", card.name, f"{knob.flag}={value}")
                assert found == {knob.name: value}, card.name
            for alias in knob.aliases:
                flag = "--" + alias.replace("_", "-")
                assert parsed("x.exr", "--model", card.name, f"{flag}={knob.default}")


def test_knobs_may_come_before_the_model() -> None:
    words = ("--network-size", "1024", "x.exr", "--model", "background-matting")
    assert parsed(*words) == {"network_size": "1024"}


def test_a_chain_has_the_knobs_of_all_its_models() -> None:
    words = ("x.exr", "--model", "green-screen", "--refine", "closed-form",
             "--segmentation-model", "mmnet", "--screen-level", "0.2", "--light", "linear",
             "--network-size", "128", "--gamma", "1.2")  # fmt: skip
    assert parsed(*words) == {
        "screen_level": 0.2, "light": "linear", "network_size": "128", "gamma": 1.2,
    }  # fmt: skip


def test_models_of_a_chain_may_declare_one_name_differently() -> None:
    words = ("x.exr", "--model", "background-matting", "--segmentation-model", "mmnet")
    for size in ("128", "1024"):
        assert parsed(*words, "--network-size", size) == {"network_size": size}
    with pytest.raises(click.BadParameter):
        parsed(*words, "--network-size", "7")


def test_auto_has_the_knobs_of_the_model_that_it_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    from matte_nodes.shot import choose_model

    monkeypatch.setattr(choose_model, "is_ready", lambda card: card.name in ("closed-form", "rvm"))
    assert parsed("x.exr", "--trimap", "t.png", "--light", "linear") == {"light": "linear"}
    assert parsed("x.exr", "--downsample-ratio", "0.5") == {"downsample_ratio": 0.5}
    with pytest.raises(UnknownKnobError, match=r"closed-form has no knob 'downsample_ratio'.*rvm"):
        parsed("x.exr", "--trimap", "t.png", "--downsample-ratio", "0.5")


def test_auto_where_nothing_can_run_still_reads_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    from matte_nodes.shot import choose_model

    monkeypatch.setattr(choose_model, "is_ready", lambda card: False)
    assert parsed("x.exr", "--detect-cuts", "--exposure", "1") == {"exposure": 1.0}


def test_a_flag_of_nobody_is_refused_with_the_nearest() -> None:
    with pytest.raises(click.NoSuchOption) as error:
        parsed("x.exr", "--model", "rvm", "--exposuer", "1")
    assert "--exposure" in error.value.format_message()


def test_an_unknown_model_is_named_before_its_knobs() -> None:
    with pytest.raises(UnknownModelError, match="Did you mean 'rvm'"):
        parsed("x.exr", "--model", "rwm", "--downsample-ratio", "0.5")


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """A model of another package whose knobs have the names of ours."""

    class Model:
        def step(self, inputs: Any, memory: Any, knobs: Any) -> Any:
            return Prediction(inputs.plate.mean(2)), {}

    card = ModelCard(
        "third", "Third", "Third.", lambda context: Model(),
        knobs=(
            Knob("backbone", "choice", "small", choices=("small", "large"), help="Its size."),
            Knob("weights", "float", 1.0, low=0.0, high=2.0, help="A flag of ours has its name."),
        ),
    )  # fmt: skip

    class Point:
        value = "third:CARD"

        def load(self) -> ModelCard:
            return card

    monkeypatch.setattr(models, "_others", lambda: {"third": Point()})
    return card


def test_a_third_partys_knobs_are_its_own(third_party: ModelCard) -> None:
    words = ("x.exr", "--model", "third", "--backbone", "large", "--knob-weights", "1.5")
    assert parsed(*words) == {"backbone": "large", "weights": 1.5}
    command = verb("run")
    context = click.Context(command, info_name="matte run")
    command.offer_knobs(context, ["--model", "third"])  # type: ignore[attr-defined]
    text = command.get_help(context)
    assert "Its size." in text
    assert "gfm" not in text


@pytest.mark.parametrize("name", ["onnx", "nuke-cat"])
def test_export_has_the_knobs_of_its_model(name: str) -> None:
    group = verb("export")
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), name)
    assert command is not None
    out = "-o" if name == "onnx" else "--out"
    for words in (["gfm", "--backbone", "d121"], ["--backbone", "d121", "gfm"]):
        context = command.make_context(name, [*words, out, "x"])
        assert given_knobs(dict(context.params)) == {"backbone": "d121"}


def test_compare_has_the_knobs_of_its_models() -> None:
    words = ("x.exr", "-o", "y.png", "--model", "gfm", "--model", "mmnet", "--width", "640")
    assert parsed(*words, "--backbone", "d121", "--network-size", "128", name="compare") == {
        "backbone": "d121", "network_size": "128",
    }  # fmt: skip


def test_farm_commands_pass_knobs_on(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    run = subprocess.run(
        [sys.executable, "-m", "matte_nodes", "farm", "commands", str(plate), "-o",
         str(tmp_path / "m.####.exr"), "--model", "green-screen", "--screen-level", "0.25"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "--screen-level=0.25" in run.stdout


def test_help_of_a_model_has_its_own_knobs_in_full() -> None:
    text = help_of("run", "--model", "background-matting")
    assert "Knobs of background-matting:" in text
    assert "--network-size [auto|256|512|768|1024]" in text
    assert "--backbone" not in text
    for knob in NODE_KNOBS:
        assert knob.flag in text


def test_plain_help_is_short_and_says_where_the_knobs_are() -> None:
    text = help_of("run")
    assert len(text.splitlines()) < 155
    assert "--network-size" not in text
    assert "run --model NAME --help" in " ".join(text.split())
    for knob in NODE_KNOBS:
        assert knob.flag in text
    assert len(text.split("Every model has:")[1].split("--steady")[0].splitlines()) < 6


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_one_summary(name: str) -> None:
    command = verb(name)
    assert command.help is not None
    assert command.help.startswith(VERBS[name])
    assert command.help.count(VERBS[name]) == 1
    for host in ("OBS", "Nuke", "Blender", "ONNX"):
        assert host not in VERBS[name], "a list that gets stale"


def test_matte_help_loads_no_runtime() -> None:
    code = (
        "import sys, json\nfrom matte_nodes import cli\n"
        "try:\n cli.matte.main(['--help'], standalone_mode=False)\nexcept SystemExit:\n pass\n"
        "print(json.dumps([m for m in sys.modules if m.split('.')[0] in "
        "('torch', 'onnxruntime', 'cv2', 'numpy', 'av', 'OpenImageIO')]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(run.stdout.splitlines()[-1]) == []
