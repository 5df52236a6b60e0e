# SPDX-License-Identifier: Apache-2.0
"""Recipes: those of the package are whole, wrong ones say which field, the command trains."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from matte_nodes import cli
from matte_nodes.errors import UsageError
from matte_nodes.train import recipe

TOML = """
title = "tiny"
network = "trimap-cues"
task = "trimap"
width = 0.25
[data]
side = 64
samples = 2
heldout_samples = 2
wide = 12.0
[foregrounds]
solid = 1.0
[[stages]]
crop = 64
batch = 1
losses = { alpha = 1.0 }
schedule = { steps = 2, every = 1 }
[[stages]]
crop = 64
batch = 1
only = ["net.refine", "net.answer"]
before = 0.5
data = { seed = 5 }
losses = { l1 = 1.0 }
schedule = { steps = 1, every = 1 }
"""


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_of_the_package_is_whole(name: str) -> None:
    found = recipe.find(name)
    assert found.title
    assert len(found.digest) == 64
    for stage in found.stages:
        assert stage.schedule.last > 0
        assert 0 < stage.schedule.rate_at(0) <= stage.schedule.rate
        assert recipe.find(name).for_stage(stage).data.side >= stage.crop


def test_the_digest_is_of_the_content_not_of_its_spacing() -> None:
    first = recipe.parse(tomllib.loads(TOML))
    second = recipe.parse(tomllib.loads("# a comment\n" + TOML.replace(" = ", "  =  ")))
    third = recipe.parse(tomllib.loads(TOML.replace("batch = 1", "batch = 2")))
    assert first.digest == second.digest != third.digest
    assert first.data_digest == third.data_digest
    assert first.for_stage(first.stages[1]).data_digest != first.data_digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": 1}, "no field 'colour'"),
        ({"task": "people"}, "task is 'people'"),
        ({"stages": []}, "at least one"),
        ({"foregrounds": {"hiar": 1.0}}, "'hiar'"),
        ({"data": {"sides": 3}}, "no field 'sides'"),
        (
            {
                "stages": [
                    {"crop": 64, "batch": 1, "losses": {"sad": 1.0}, "schedule": {"steps": 1}}
                ]
            },
            "'sad'",
        ),
    ],
)
def test_a_wrong_recipe_says_which_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recipe.parse({**tomllib.loads(TOML), **change})


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="trimap-cues"):
        recipe.find("no-such-recipe")


def test_the_command_makes_samples_trains_both_stages_and_writes_weights(tmp_path: Path) -> None:
    from safetensors import safe_open

    path, out = tmp_path / "tiny.toml", tmp_path / "out"
    path.write_text(TOML)
    run = CliRunner().invoke(cli.matte, ["train", str(path), "-o", str(out), "--threads", "1"])
    assert run.exit_code == 0, run.output
    assert "held-out error" in run.output
    assert (out / "stage-2" / "progress.jsonl").is_file()
    assert (out / "samples-2" / "0000.npy").is_file()
    with safe_open(out / "weights.safetensors", framework="pt") as file:
        assert recipe.find(str(path)).digest in file.metadata()["facts"]
    again = CliRunner().invoke(cli.matte, ["train", str(path), "-o", str(out)])
    assert again.exit_code == 0
    assert "step" not in again.output.split("weights.safetensors")[0].replace("steps", "")


def test_compose_writes_a_data_set_that_eval_reads(tmp_path: Path) -> None:
    from matte_nodes.evaluate import find_items

    path = tmp_path / "tiny.toml"
    path.write_text(TOML)
    arguments = ["train", "compose", str(path), "-o", str(tmp_path), "--pictures", "2"]
    run = CliRunner().invoke(cli.matte, arguments)
    assert run.exit_code == 0, run.output
    items = find_items(tmp_path / "pictures")
    assert [item.name for item in items] == ["00000", "00001"]
    assert set(items[0].frames[0].files) == {"plate", "alpha", "trimap", "foreground", "background"}
