# SPDX-License-Identifier: Apache-2.0
"""Checkpoints from import to pixels, through the command, for each model that needs a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from matte_nodes import checkpoints, models
from matte_nodes.points import as_points
from tests.cli.test_run import fails, matte, whole
from tests.made import plate_sequence, read_named, scenes, write_image

BROUGHT = [
    card.name
    for card in models._own().values()
    if card.checkpoint and not card.checkpoint.optional and not card.checkpoint.own
]
"""The models whose weights the user must bring."""


def needed(model: str) -> list[str]:
    """The flags of the hints that a model needs."""
    return [f"--{hint}" for hint in sorted(models.card(model).needs)]


def small(model: str) -> list[Any]:
    """The flags of a small, quick network."""
    architecture = models.architecture(models.card(model))
    assert architecture is not None
    pairs = ((f"--{n.replace('_', '-')}", value) for n, value in architecture.small.items())
    return [part for pair in pairs for part in pair]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A plate with every hint beside it."""
    plate = plate_sequence(tmp_path / "in", 3, size=(64, 96))
    for index, made in enumerate(scenes(3, 64, 96)):
        number = 1001 + index
        write_image(tmp_path / "in" / f"clean.{number}.exr", made.background.astype(np.float16))
        mask = np.uint8(made.segmentation * 255)
        write_image(tmp_path / "in" / f"mask.{number}.png", mask, "Y")
    as_points({1001: [(48, 32, True)]}).save(tmp_path / "in" / "points.json")
    return plate


def hints(clip: Path, names: list[str]) -> list[Any]:
    files = {
        "--trimap": "trimap.####.png",
        "--background": "clean.####.exr",
        "--segmentation": "mask.####.png",
        "--points": "points.json",
    }
    return [part for name in names for part in (name, clip.parent / files[name])]


@pytest.mark.parametrize("model", BROUGHT)
def test_without_weights_it_says_which_file_to_import(
    clip: Path, tmp_path: Path, model: str
) -> None:
    environment = {**os.environ, "MATTE_HOME": str(tmp_path / "empty")}
    result = matte(
        "run", clip, "-o", tmp_path / "out" / "m.####.exr", "--model", model, *hints(clip, needed(model)),
        env=environment,
    )  # fmt: skip
    assert result.returncode == 4
    assert "matte models import FILE" in result.stderr
    assert "commercial use" in result.stderr
    terms = models.card(model).checkpoint
    assert terms is not None
    assert terms.licence in result.stderr
    assert terms.publisher in result.stderr
    assert all(file in result.stderr for file in terms.files)
    assert bool(terms.files) == bool(terms.publisher)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model", BROUGHT)
def test_untrained_runs_all_the_way_through(clip: Path, tmp_path: Path, model: str) -> None:
    result = matte(
        "run", clip, "-o", tmp_path / "out" / "m.####.exr", "--model", model,
        "--allow-untrained", *small(model), *hints(clip, needed(model)),
        env={**os.environ, "MATTE_HOME": str(tmp_path / "empty")},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(whole(tmp_path / "out")) == 3
    got = read_named(tmp_path / "out" / "m.1002.exr")
    assert got["A"].shape == (64, 96)
    for extra in models.card(model).extras:
        assert f"{extra}.A" in got


def test_an_imported_checkpoint_runs_and_is_named_in_the_files(clip: Path, tmp_path: Path) -> None:
    from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
    from tests.made import attributes_of

    torch.manual_seed(3)
    network = DeepImageMatting(width=0.0625)
    published = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": published, "epoch": 3}, tmp_path / "stage3.pth")
    environment = {**os.environ, "MATTE_HOME": str(tmp_path / "home")}
    told = matte(
        "models", "import", tmp_path / "stage3.pth", "--option", "skip=false", env=environment
    )
    assert told.returncode == 0, told.stderr
    assert "Deep Image Matting" in told.stdout
    assert "non-commercial" in told.stdout
    listed = matte("models", env=environment).stdout
    assert next(line for line in listed.splitlines() if "deep-image-matting" in line).count(
        "imported"
    )
    result = matte(
        "run", clip, "-o", tmp_path / "out" / "m.####.exr", "--model", "deep-image-matting",
        *hints(clip, ["--trimap"]), env=environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    facts = attributes_of(tmp_path / "out" / "m.1001.exr")
    assert "checkpoint:" in facts["matte/weights"]
    assert facts["matte/commercial"] == "no"
    loaded, _ = checkpoints.load(
        tmp_path / "home" / "weights" / "deep-image-matting.safetensors", models.architectures()
    )
    sample = torch.rand(1, 4, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(sample).alpha, network.eval()(sample).alpha)


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Conv2d(3, 3, 1), tmp_path / "whole.tar")
    result = matte("models", "import", tmp_path / "whole.tar")
    assert result.returncode == 4
    assert "Traceback" not in result.stderr
    assert "pickle" in result.stderr


def test_a_checkpoint_of_another_model_is_refused(clip: Path, tmp_path: Path) -> None:
    from matte_nodes.models.networks.adamatting import AdaMatting

    torch.save(AdaMatting(width=0.0625).state_dict(), tmp_path / "ada.pth")
    fails(
        4, clip, "-o", tmp_path / "out" / "m.####.exr", "--model", "deep-image-matting",
        "--weights", tmp_path / "ada.pth", *hints(clip, ["--trimap"]),
        says="is a checkpoint of 'adamatting'",
    )  # fmt: skip
