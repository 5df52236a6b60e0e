# SPDX-License-Identifier: Apache-2.0
"""Background Matting's second stage on a shot's own frames: who learns from what, and the result."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from matte_nodes import MatteNode, cli, models
from matte_nodes.errors import UsageError
from matte_nodes.media.clip import ArrayClip
from matte_nodes.train import crops, systems
from matte_nodes.train.keys import Key
from matte_nodes.train.selfsupervised import (
    Frames,
    SelfSupervised,
    Unlabelled,
    adversarial,
    selfsupervise,
)

from . import shots


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    torch.set_num_threads(1)


def frames(system: systems.System) -> list[Key]:
    found = []
    for frame in (1, 4):
        plate = shots.plate(frame).astype(np.float32) / 255
        rough = (shots.alpha(frame) > 0.5).astype(np.float32)
        motion = np.dstack([plate.mean(2)] * 4).astype(np.float32)
        clean = shots.background(frame)
        found.append(Key(frame, plate, np.zeros_like(rough), None, clean, rough, motion))
    return found


def made(name: str = "clean-plate-cues"):  # type: ignore[no-untyped-def]
    system = systems.find(name)
    torch.manual_seed(0)
    student = system.make(0.125)
    batch = Frames(crops.Crops(frames(system), system, 64, 2))
    taught = copy.deepcopy(student).eval().requires_grad_(False)
    return adversarial(student), SelfSupervised(system, taught), batch


def test_the_student_does_not_learn_from_the_critic_s_loss_nor_the_critic_from_the_student_s() -> (
    None
):
    both, objective, batch = made()

    def gradients(*names: str) -> tuple[float, float]:
        both.zero_grad(set_to_none=True)
        found = objective(both, batch(0))
        sum((found[name] for name in names), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        return tuple(
            sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None)
            for part in (both.network, both.critic)
        )  # type: ignore[return-value]

    student, critic = gradients("critic")
    assert student == 0
    assert critic > 0
    student, critic = gradients("fool", "teacher")
    assert student > 0
    assert critic == 0


def test_a_student_that_is_its_teacher_has_no_teacher_s_alpha_loss() -> None:
    both, objective, batch = made()
    both.eval()
    found = objective(both, batch(0))
    # What is left is the recomposition: alpha, gradient and foreground agree.
    assert 0 <= float(found["teacher"].detach()) < 0.6
    total = found["fool"] + 0.05 * found["teacher"] + found["critic"]
    assert torch.allclose(found["total"], total)


def test_the_other_background_is_another_one_and_the_same_for_a_step() -> None:
    _, _, batch = made()
    first, again, other = batch(3), batch(3), batch(4)
    assert torch.equal(first["behind"], again["behind"])
    assert not torch.equal(first["behind"], other["behind"])
    assert (first["behind"] - first["planes"][:, 3:6]).abs().mean() > 0.01


def test_a_network_with_a_foreground_of_its_own_is_taught_that_too() -> None:
    system = systems.find("background-matting")
    torch.manual_seed(0)
    student = system.make(0.0625)
    any_size = dataclasses.replace(system.training, side=0)
    small = dataclasses.replace(system, training=any_size)
    both = adversarial(student)
    objective = SelfSupervised(small, copy.deepcopy(student).eval())
    found = objective(both, Frames(crops.Crops(frames(small), small, 32, 1))(0))
    found["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in student.parameters() if p.grad is not None)
    assert any(
        float(p.grad.abs().sum()) > 0
        for n, p in student.named_parameters()
        if n.startswith("model_fg_out") and p.grad is not None
    )


def test_the_result_is_registered_and_needs_the_clean_plate() -> None:
    clean = ArrayClip({f: shots.background(f) for f in shots.plates()}, name="clean")
    seen = []
    card = selfsupervise(
        Unlabelled(ArrayClip(shots.plates(), name="disc"), "disc-own", steps=3, crop=64,
                   untrained=True, connect={"background": clean}),
        seen.append,
    )  # fmt: skip
    assert card.needs == {"background"}
    assert seen[-1].step == 3
    assert {"fool", "teacher", "critic"} <= set(seen[-1].losses)
    assert "disc-own" in models.names()
    matte = MatteNode("disc-own", device="cpu", threads=1)(
        shots.plate(1), background=shots.background(1)
    )
    assert np.isfinite(matte.alpha).all()


def test_a_model_without_a_clean_plate_is_refused() -> None:
    with pytest.raises(UsageError, match="takes no clean plate"):
        selfsupervise(Unlabelled(ArrayClip(shots.plates()), "disc-own", "mmnet", untrained=True))


def test_the_command_wants_keys_or_a_clean_plate_and_runs_with_one(tmp_path: Path) -> None:
    shots.write(tmp_path)
    plate = str(tmp_path / "plate.####.png")
    nothing = CliRunner().invoke(cli.matte, ["finetune", plate])
    assert isinstance(nothing.exception, UsageError)
    code = np.round(shots.background(1) * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "clean.png"), code[..., ::-1])
    done = CliRunner().invoke(
        cli.matte,
        ["finetune", plate, "--background", str(tmp_path / "clean.png"), "--name", "own",
         "--allow-untrained", "--steps", "1", "--crop", "64", "--threads", "1"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "--model own" in done.output
