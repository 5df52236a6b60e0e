# SPDX-License-Identifier: Apache-2.0
"""A model for one shot: it learns from keys, is registered with its terms, and runs everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from matte_nodes import MatteNode, cli, models
from matte_nodes.errors import InputError, ModelError, UnknownModelError, UsageError
from matte_nodes.media.clip import ArrayClip
from matte_nodes.models import finetuned
from matte_nodes.paths import models_folder, weights_folder
from matte_nodes.train import crops, parents
from matte_nodes.train.finetune import (
    FinetuneRequest,
    default_name,
    finetune,
    remembering,
    validation,
)
from matte_nodes.train.keys import read_keys

from . import shots

SMALL = {"crop": 64, "batch": 2, "width": 0.25}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    torch.set_num_threads(1)
    return tmp_path / "home"


def asked(name: str = "disc", **changes: object) -> FinetuneRequest:
    return FinetuneRequest(
        ArrayClip(shots.plates(), name="disc"), shots.keys(), name, **{**SMALL, **changes}
    )  # type: ignore[arg-type]


def error_between_keys(name: str) -> float:
    shot = MatteNode(name, device="cpu", threads=1).connect(ArrayClip(shots.plates()))
    return float(np.mean([np.abs(shot.at(f).alpha - shots.alpha(f)).mean() for f in (2, 4, 6)]))


def test_a_shot_network_learns_from_four_keys_and_beats_holding_them() -> None:
    seen = []
    made = finetune(asked(steps=120, every=40), seen.append)
    assert made.heldout == 5
    assert made.before is not None
    assert made.after is not None
    assert made.after < made.before
    assert [progress.step for progress in seen][:3] == [40, 80, 120]
    assert all(progress.seconds_left >= 0 for progress in seen)
    nearest = {2: 1, 4: 3, 6: 5}
    held = np.mean([np.abs(shots.alpha(k) - shots.alpha(f)).mean() for f, k in nearest.items()])
    assert error_between_keys("disc") < 0.5 * held


def test_the_result_is_a_registered_model_with_provenance() -> None:
    made = finetune(asked(steps=2))
    assert "disc" in models.names()
    card = models.card("disc")
    assert card == made.card or card.as_dict() == made.card.as_dict()
    assert not card.needs
    assert card.commercial == "yes"
    assert "your own" in card.licence
    facts = finetuned.declaration("disc").facts  # type: ignore[union-attr]
    assert facts["keys"] == list(shots.KEYS)
    assert facts["shot"] == "disc"
    assert facts["parent"] == "shot"
    (item,) = card.weights
    from safetensors import safe_open

    with safe_open(weights_folder() / item.file, framework="pt") as file:
        assert json.loads(file.metadata()["facts"])["keys"] == list(shots.KEYS)


def test_another_process_has_it_at_once() -> None:
    finetune(asked(steps=2))
    code = (
        "from matte_nodes import models; from matte_nodes.service.server import _declarations;"
        "print([c['name'] for c in _declarations()['models']].count('disc'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1"


def test_a_process_that_runs_already_sees_a_new_and_a_replaced_model() -> None:
    with pytest.raises(UnknownModelError):
        models.card("disc")
    finetune(asked(steps=2))
    assert models.card("disc") is models.card("disc")  # else a service would load it every time
    first = models.card("disc").weights[0].sha256
    finetune(asked(steps=3))
    second = models.card("disc").weights[0]
    assert second.sha256 != first
    assert [path.name for path in weights_folder().glob("disc-*")] == [second.file]


def test_the_parent_s_licence_goes_on() -> None:
    parent = models.card("trimap-cues")
    made = finetune(asked("disc-trimap", model="trimap-cues", steps=2))
    assert made.card.needs == {"trimap"}
    assert parent.licence in made.card.licence
    assert made.card.commercial == parent.commercial
    assert "fine-tuned from trimap-cues" in made.card.licence
    trimap = np.full((shots.HEIGHT, shots.WIDTH), 128, np.uint8)
    trimap[:, :8], trimap[30:38, 30:36] = 0, 255
    matte = MatteNode("disc-trimap", device="cpu", threads=1)(shots.plate(1), trimap=trimap)
    assert (matte.alpha[:, :8] == 0).all()


def test_a_parent_that_forbids_commercial_use_forbids_it_in_the_child() -> None:
    made = finetune(
        asked("disc-dim", model="deep-image-matting", untrained=True, width=0.125, steps=1)
    )
    assert made.card.commercial == "no"
    assert made.card.checkpoint is None
    matte = MatteNode("disc-dim", device="cpu", threads=1)(
        shots.plate(1), trimap=np.full((shots.HEIGHT, shots.WIDTH), 128, np.uint8)
    )
    assert matte.alpha.shape == (shots.HEIGHT, shots.WIDTH)


@pytest.mark.parametrize("model", ["mmnet", "adamatting", "gfm"])
def test_a_published_network_can_be_the_parent(model: str) -> None:
    made = finetune(asked("disc-p", model=model, untrained=True, width=0.125, steps=1, batch=2))
    hints = {"trimap": np.full((64, 96), 128, np.uint8)} if made.card.needs else {}
    matte = MatteNode("disc-p", device="cpu", threads=1)(shots.plate(2), **hints)
    assert np.isfinite(matte.alpha).all()


def test_a_fine_tuned_model_can_be_fine_tuned_again() -> None:
    finetune(asked(steps=2))
    made = finetune(asked("disc-two", model="disc", steps=2))
    finetuned.remove("disc")
    assert "disc" not in models.names()
    assert not list(weights_folder().glob("disc-????????.safetensors"))
    assert finetuned.declaration("disc-two").parent == "shot"  # type: ignore[union-attr]
    assert "your own" in made.card.licence
    assert MatteNode("disc-two", device="cpu", threads=1)(shots.plate(2)).alpha.max() > 0


def test_the_same_request_makes_the_same_weights() -> None:
    first = finetune(asked(steps=3)).card.weights[0].sha256
    assert finetune(asked("disc-again", steps=3)).card.as_dict()["name"] == "disc-again"
    again = finetuned.declaration("disc-again")
    assert again is not None
    from safetensors.torch import load_file

    ours, theirs = (
        load_file(weights_folder() / models.card(n).weights[0].file) for n in ("disc", "disc-again")
    )
    assert first
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_training_stops_early_when_the_held_out_key_gains_no_more() -> None:
    # A rate that breaks the network: no check after the first can be better.
    made = finetune(asked(steps=400, every=1, patience=2, rate=0.5))
    assert made.steps < 60


def test_with_two_keys_nothing_is_held_out() -> None:
    two = {frame: shots.keys()[frame] for frame in (1, 7)}
    clip = ArrayClip(shots.plates(), name="disc")
    made = finetune(FinetuneRequest(clip, two, "disc", steps=2, **SMALL))  # type: ignore[arg-type]
    assert made.heldout is None
    assert made.before is None


def test_a_segmentation_takes_the_place_of_the_recalled_keys() -> None:
    rough = {f: (shots.alpha(f) > 0.5).astype(np.uint8) * 255 for f in shots.plates()}
    made = finetune(asked(steps=2, connect={"segmentation": ArrayClip(rough, name="rough")}))
    assert made.card.needs == {"segmentation"}


def test_the_first_matte_of_a_frame_is_that_of_keys_that_look_like_it() -> None:
    parent = parents.find("shot")
    found = read_keys(MatteNode(parent.card).connect(ArrayClip(shots.plates())), shots.keys())
    network = remembering(
        parents.network(parent, found, checkpoint=None, untrained=False, width=0.25), found
    )
    for key in found:
        plate = torch.from_numpy(key.plate).permute(2, 0, 1)[None]
        recalled = network.recall(plate)[0, 0].numpy()  # type: ignore[operator]
        errors = [np.abs(recalled - other.alpha).mean() for other in found]
        assert int(np.argmin(errors)) == found.index(key)
    seen = validation(network, parent.system, found[0])
    assert set(seen) == {"plate", "segmentation", "alpha"}


def test_the_first_matte_in_training_is_never_the_true_one() -> None:
    system = parents.find("shot").system
    shot = MatteNode(parents.find("shot").card).connect(ArrayClip(shots.plates()))
    found = read_keys(shot, shots.keys())
    for step in range(3):
        batch = crops.Crops(found, system, 64, 4)(step)
        again = crops.Crops(found, system, 64, 4)(step)
        assert all(torch.equal(batch[name], again[name]) for name in batch)
        assert ((batch["segmentation"] - batch["alpha"]).abs().mean((1, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize(
    ("mattes", "said"),
    [
        ({9: np.zeros((64, 96), np.uint8)}, "Line them up"),
        ({1: np.zeros((64, 96), np.uint8)}, "show no subject"),
    ],
    ids=["no-such-frames", "flat"],
)
def test_keys_that_teach_nothing_are_refused(mattes: dict, said: str) -> None:  # type: ignore[type-arg]
    clip = ArrayClip(shots.plates(), name="disc")
    with pytest.raises(InputError, match=said):
        finetune(FinetuneRequest(clip, mattes, "disc", steps=1))
    with pytest.raises(InputError, match="Frame 2 is not a key frame"):
        finetune(asked(frames=(1, 2), steps=1))


@pytest.mark.parametrize("name", ["rvm", "auto", "shot", "Capital", "a/b", "../up", ""])
def test_a_name_that_cannot_be_taken_is_refused_before_any_work(name: str) -> None:
    with pytest.raises(UsageError, match=r"name|model"):
        finetune(asked(name, steps=10**9))


def test_a_model_that_cannot_learn_says_which_can() -> None:
    with pytest.raises(UsageError, match=r"cannot be fine-tuned.*trimap-cues"):
        finetune(asked(model="closed-form", steps=1))


def test_a_damaged_declaration_breaks_that_model_alone() -> None:
    finetune(asked(steps=1))
    (models_folder() / "disc.json").write_text("{")
    with pytest.raises(ModelError, match="fine-tune again"):
        models.card("disc")
    with pytest.warns(models.ModelWarning):
        assert "closed-form" in [card.name for card in models.cards()]


def test_a_default_name_comes_from_the_shot_s() -> None:
    assert default_name("/a/sh010_plate.####.exr") == "sh010-plate"
    assert default_name("/a/SH 010.mov") == "sh-010"


def test_the_command_makes_a_model_that_the_run_command_uses(tmp_path: Path) -> None:
    shots.write(tmp_path)
    plate = str(tmp_path / "plate.####.png")
    arguments = ["finetune", plate, "--keys", str(tmp_path / "key.####.png"), "--steps", "2",
                 "--crop", "64", "--threads", "1"]  # fmt: skip
    made = CliRunner().invoke(cli.matte, arguments)
    assert made.exit_code == 0, made.output
    assert "--model plate" in made.output
    assert "left" in made.output
    listed = CliRunner().invoke(cli.matte, ["models"])
    assert "plate " in listed.output
    assert CliRunner().invoke(cli.matte, ["models", "card", "plate"]).exit_code == 0
    out = tmp_path / "out.####.exr"
    code = "from matte_nodes.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", plate, "--model", "plate", "-o", str(out),
         "--frames", "2-3", "--quiet", "--device", "cpu"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.0003.exr").is_file()
    gone = CliRunner().invoke(cli.matte, ["models", "remove", "plate"])
    assert gone.exit_code == 0, gone.output
    assert "plate" not in models.names()
