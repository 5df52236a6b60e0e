# SPDX-License-Identifier: Apache-2.0
"""A model that got another name is found by its old one, wherever a model is named."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from matte_nodes import MatteNode, models
from matte_nodes.cli import matte
from matte_nodes.errors import UsageError
from matte_nodes.hosts.nuke import gizmos
from matte_nodes.models import finetuned
from matte_nodes.testing.scene import scene
from matte_nodes.train import recipe, systems
from tests.made import attributes_of, plate_sequence, read_named
from tests.nuke.nk import Script
from tests.service.serving import request, serving

OLD = {
    "deep-image-matting-small": "trimap-cues",
    "background-matting-small": "clean-plate-cues",
}
TRIMAP = "deep-image-matting-small"


def invoke(*arguments: object) -> str:
    """The command, in this process."""
    answer = CliRunner().invoke(matte, [str(argument) for argument in arguments])
    assert answer.exit_code == 0, (answer.output, answer.exception)
    return answer.output


def test_every_old_name_is_declared_and_free() -> None:
    assert {old: models.card(old).name for old in models.old_names()} == OLD
    assert not set(models.old_names()) & set(models.names())


@pytest.mark.parametrize("old", OLD)
def test_a_node_by_the_old_name_is_the_same_model(old: str) -> None:
    made = scene(40, 56)
    card = models.card(old)
    hints = {name: made.hint(name) for name in card.needs}
    alphas = [MatteNode(name, device="cpu")(made.plate, **hints).alpha for name in (old, OLD[old])]
    assert np.array_equal(*alphas)


def test_the_card_says_the_old_name() -> None:
    told = invoke("models", "card", TRIMAP)
    assert told.startswith("trimap-cues: ")
    assert "once called    deep-image-matting-small" in told
    assert json.loads(invoke("models", "card", TRIMAP, "--json"))["old_names"] == [TRIMAP]


def test_the_command_line_takes_it_and_files_say_the_new_one(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2, size=(40, 56))
    arguments = ("run", plate, "-o", tmp_path / "out" / "m.####.exr", "--no-service", "--trimap",
                 plate.parent / "trimap.####.png", "--model")  # fmt: skip
    invoke(*arguments, TRIMAP)
    first = tmp_path / "out" / "m.1001.exr"
    assert attributes_of(first)["matte/model"] == "trimap-cues"
    made = first.stat().st_mtime_ns
    # The same key: nothing is made anew by the other name.
    invoke(*arguments, "trimap-cues")
    assert first.stat().st_mtime_ns == made


def test_a_request_of_an_older_client_is_served(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1, size=(30, 50))
    with serving(tmp_path / "home") as here:
        paths = [
            here.client.frame(
                request(
                    plate, None, model=name, knobs={},
                    connect={"trimap": str(plate.parent / "trimap.####.png")},
                ), 1001,
            )
            for name in (TRIMAP, "trimap-cues")
        ]  # fmt: skip
        alphas = [read_named(Path(path))["A"] for path in paths]
    assert np.array_equal(*alphas)


def test_a_farm_bundle_names_a_model_that_is_found(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2, size=(40, 56))
    invoke("farm", "bundle", plate, "-o", tmp_path / "out" / "m.####.exr", "--bundle",
           tmp_path / "bundle", "--model", TRIMAP, "--trimap",
           plate.parent / "trimap.####.png")  # fmt: skip
    texts = [path.read_text() for path in (tmp_path / "bundle").iterdir() if path.is_file()]
    named = {name for name in (TRIMAP, "trimap-cues") for text in texts if name in text}
    assert {models.card(name).name for name in named} == {"trimap-cues"}


def test_a_gizmo_in_an_old_script_keeps_its_choice() -> None:
    text = gizmos.matte_node(gizmos.cards())
    group = Script(text).nodes[0]
    choices = next(knob.choices for knob in group.user_knobs if knob.name == "model")
    assert set(OLD) <= set(choices)
    assert choices.index("trimap-cues") < choices.index(TRIMAP)


def test_the_plug_in_knows_what_an_old_name_needs(tmp_path: Path) -> None:
    from matte_nodes.hosts.nuke.install import declaration

    needs = {model["name"]: model["needs"] for model in declaration()["models"]}
    assert needs[TRIMAP] == needs["trimap-cues"] == ["trimap"]


def test_a_node_in_an_old_blend_file_knows_its_card() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "plugins" / "blender"))
    declarations = importlib.import_module("matte_nodes_blender.declarations")
    found = declarations.Declarations(
        {"version": "1", "models": [card.as_dict() for card in models.cards()], "knobs": []}
    )
    again = declarations.Declarations.read(found.text())
    assert again.needs(TRIMAP) == ["trimap"]
    assert again.takes("background-matting-small") == ["background", "segmentation"]
    assert again.card(TRIMAP)["name"] == "trimap-cues"


@pytest.mark.parametrize("old", OLD)
def test_recipes_have_their_old_names(old: str) -> None:
    assert recipe.find(old).digest == recipe.find(OLD[old]).digest
    assert systems.find("plate-cues").name == "clean-plate-cues"


def test_a_model_that_was_fine_tuned_from_it_goes_on() -> None:
    told = finetuned.Declaration("sh010", TRIMAP, "w.safetensors", "0" * 64, 1, "x", "yes", "sh010")
    card = finetuned.card_of(told, models.parent_card)
    assert card.title == "Trimap cues, for sh010"
    assert not card.auto
    assert not card.old_names


def test_no_new_model_can_take_an_old_name() -> None:
    with pytest.raises(UsageError, match="already"):
        finetuned.check_name(TRIMAP, models.taken_names())
