# SPDX-License-Identifier: Apache-2.0
"""The daemon's loop against a filter in Python: no OBS, the models of the library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.hosts.obs import protocol
from matte_nodes.hosts.obs.protocol import Channel
from matte_nodes.hosts.obs.worker import Worker

from .side import Side

SCREEN = {"model": "green-screen", "skip": False}


def plate(shift: int = 0) -> Any:
    """A grey person before a green screen, with a soft edge between."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:] = (40, 190, 60)
    picture[10:, 20 + shift : 40 + shift] = (150, 140, 130)
    picture[10:, 40 + shift : 42 + shift] = (95, 165, 95)
    return picture


def ready(settings: dict[str, Any]) -> tuple[Side, Worker]:
    side = Side()
    side.put_settings(settings)
    worker = Worker(Channel(side.memory), sleep=lambda seconds: None)
    return side, worker


def test_a_plate_gets_its_own_matte() -> None:
    side, worker = ready(SCREEN)
    for number in (1, 2, 3, 4, 9):
        side.put_plate(number, plate(number))
        assert worker.once()
        found = side.matte()
        assert found is not None
        assert found[:2] == (number, 1)
        assert int(side.words[35]) == number
    assert side.state == protocol.READY
    with MatteNode("green-screen").stream(colorspace="sRGB") as live:
        expected = live.step(plate(9)).alpha
    np.testing.assert_allclose(found[2][..., 3] / 255, expected, atol=0.5 / 255 + 1e-3)
    assert not worker.once()  # nothing newer


def test_plate_and_residual_give_the_foreground() -> None:
    side, worker = ready(SCREEN)
    side.put_plate(1, plate())
    worker.once()
    found = side.matte()
    assert found is not None
    alpha, residual = found[2][..., 3], found[2][..., :3]
    assert (residual[(alpha == 255)] == 128).all()
    soft = (alpha > 0) & (alpha < 255)
    assert soft.any()
    colour = plate()[soft] / 255 + (residual[soft].astype(float) - 128) / 127
    assert colour[:, 1].mean() < plate()[soft][:, 1].mean() / 255 - 0.02  # less green in it


def test_another_generation_is_dropped_by_number() -> None:
    side, worker = ready(SCREEN)
    side.put_plate(1, plate())
    worker.once()
    side.words[17] = 2
    side.put_plate(2, plate())
    worker.once()
    found = side.matte()
    assert found is not None
    assert found[:2] == (2, 2)


def test_inactive_leaves_no_picture() -> None:
    side, worker = ready(SCREEN)
    side.put_plate(1, plate())
    worker.once()
    side.words[20] = 0
    side.bytes[protocol.HEADER : protocol.HEADER + 3 * protocol.SLOT] = 0
    worker.once()
    assert not side.bytes[protocol.HEADER :].any()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model": "nothing"}, "There is no model"),
        ({"model": "closed-form"}, "needs a trimap"),
        ({"model": "green-screen", "knobs": {"gamma": -1}}, "gamma"),
        ({"model": "green-screen", "knobs": [1]}, "cannot be read"),
        ({"threads": 1}, "cannot be read"),
        ({"model": "green-screen", "device": "warp"}, "no device"),
    ],
)
def test_errors_are_said_and_settings_mend_them(settings: dict[str, Any], says: str) -> None:
    side, worker = ready(settings)
    side.put_plate(1, plate())
    worker.once()
    assert side.state == protocol.ERROR
    assert says.lower() in side.text.lower()
    assert side.matte() is None
    side.put_settings(SCREEN)
    worker.once()
    assert side.state == protocol.READY
    assert side.matte() is not None


def test_feather_goes_outward() -> None:
    areas = []
    for feather in (0.0, 2.0):
        side, worker = ready({**SCREEN, "feather_outward": feather})
        side.put_plate(1, plate())
        worker.once()
        found = side.matte()
        assert found is not None
        areas.append(found[2][..., 3].astype(int))
    assert (areas[1][areas[0] == 255] > 240).all()
    assert areas[1].sum() > areas[0].sum() * 1.1


@pytest.mark.parametrize(("wish", "shown"), [({}, False), ({"drop_specks": False}, True)])
def test_faint_specks_are_removed_unless_that_is_switched_off(
    wish: dict[str, Any], shown: bool
) -> None:
    side, worker = ready({**SCREEN, **wish})
    picture = plate()
    picture[4:6, 4:6] = (95, 165, 95)
    side.put_plate(1, picture)
    worker.once()
    found = side.matte()
    assert found is not None
    assert found[2][20, 30, 3] == 255
    assert found[2][4:6, 4:6, 3].any() == shown


def test_smoothing_takes_flicker_and_leaves_no_ghost() -> None:
    from matte_nodes.hosts.obs.worker import smoothed

    before = np.array([[0.50, 0.90, 1.0, 0.30, 0.0]], np.float32)
    alpha = np.array([[0.54, 0.10, 0.0, 0.00, 1.0]], np.float32)
    found = smoothed(alpha, before, 0.9)[0]
    assert abs(found[0] - 0.50) < 0.02  # flicker: mostly the past
    assert found[1] == alpha[0, 1]  # moved away: nothing of the room behind stays
    assert (found[2:] == alpha[0, 2:]).all()
    side, worker = ready({**SCREEN, "smoothing": 0.95})
    for number, shift in ((1, 0), (2, 20)):
        side.put_plate(number, plate(shift))
        worker.once()
    found_matte = side.matte()
    assert found_matte is not None
    assert (found_matte[2][12:, 18:38, 3] == 0).all()  # where the person was


def test_a_shows_colour_config_does_not_reach_the_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "show.ocio"
    config.write_text(
        "ocio_profile_version: 2\nroles: {default: lin, scene_linear: lin}\ncolorspaces:\n"
        "  - !<ColorSpace> {name: lin}\n"
        "displays: {d: [!<View> {name: v, colorspace: lin}]}\n"
    )
    monkeypatch.setenv("OCIO", str(config))
    side, worker = ready(SCREEN)
    side.put_plate(1, plate())
    worker.once()
    assert side.state == protocol.READY, side.text
    assert side.matte() is not None


def test_a_first_matte_that_takes_minutes_is_loading_and_errors_stay_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    side, worker = ready(SCREEN)
    states: list[int] = []
    matte = worker._matte

    def watched(pixels: Any) -> Any:
        states.append(side.state)
        if len(states) in (4, 5):
            raise ValueError("the card is gone")
        return matte(pixels)

    monkeypatch.setattr(worker, "_matte", watched)
    for number in range(1, 7):
        side.put_plate(number, plate() if number < 3 else plate()[:40])
        worker.once()
        assert side.state == (protocol.ERROR if number in (4, 5) else protocol.READY)
    # Cold at the first plate and at another size; after an error it stays an error.
    loading, ready_, error = protocol.LOADING, protocol.READY, protocol.ERROR
    assert states == [loading, ready_, loading, ready_, error, error]


def test_rest_does_not_freeze_the_plate_number() -> None:
    side, worker = ready({**SCREEN, "skip": True})
    side.put_plate(1, plate())
    worker.once()
    steps = worker._stream.steps  # type: ignore[union-attr]
    side.put_plate(2, plate())
    worker.once()
    assert worker._stream.steps == steps  # type: ignore[union-attr]
    found = side.matte()
    assert found is not None
    assert found[0] == 2
    side.put_plate(3, plate(4))
    worker.once()
    assert worker._stream.steps == steps + 1  # type: ignore[union-attr]


def test_the_process_ends_with_its_input(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("descriptors are handed over otherwise there")
    side = Side()
    side.put_settings(SCREEN)
    path = tmp_path / "memory"
    path.write_bytes(bytes(side.memory))
    handle = os.open(path, os.O_RDWR)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "matte_nodes.hosts.obs", "--memory", str(handle)],
        stdin=subprocess.PIPE, pass_fds=[handle],
    )  # fmt: skip
    os.close(handle)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no nice there")
@pytest.mark.parametrize("wish", [None, "0", "7"])
def test_the_process_steps_back_as_far_as_is_wished(wish: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "MATTE_OBS_NICE"}
    run = subprocess.run(
        [sys.executable, "-c", "import os; from matte_nodes.hosts.obs.__main__ import step_back; "
         "before = os.nice(0); step_back(); print(os.nice(0) - before)"],
        env=environment | ({} if wish is None else {"MATTE_OBS_NICE": wish}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(run.stdout) == (2 if wish is None else int(wish))


@pytest.mark.parametrize("wish", ["-1", "20", "", "five", "1.5"])
def test_another_wish_to_step_back_ends_the_process_with_a_reason(
    tmp_path: Path, wish: str
) -> None:
    path = tmp_path / "memory"
    path.write_bytes(bytes(Side().memory))
    with path.open("r+b") as memory:
        process = subprocess.Popen(
            [sys.executable, "-m", "matte_nodes.hosts.obs", "--memory", str(memory.fileno())],
            env={**os.environ, "MATTE_OBS_NICE": wish}, pass_fds=[memory.fileno()],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        said = process.stderr.read()  # its input is open meanwhile: it ends by itself
        assert process.wait(60) == 1
        process.communicate()
    assert f"matte live: MATTE_OBS_NICE is {wish!r}. It must be a whole number" in said


def test_a_memory_of_another_version_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    path.write_bytes(bytes(protocol.SIZE))
    with path.open("r+b") as memory:
        run = subprocess.run(
            [sys.executable, "-m", "matte_nodes.hosts.obs", "--memory", str(memory.fileno())],
            pass_fds=[memory.fileno()], stdin=subprocess.PIPE, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    # Either it says why, or its closed standard input ended it first.
    assert run.returncode == 0 or "matte install obs" in run.stderr


def counter() -> Any:
    """A card whose alpha is a tenth for each frame that the model remembers."""
    from matte_nodes import Inputs, Knob, LoadContext, Memory, ModelCard, Prediction

    class Counts:
        def step(self, inputs: Inputs, memory: Memory, knobs: Any) -> tuple[Prediction, Memory]:
            count = memory.get("count", np.zeros(1, np.float32)) + 1
            return Prediction(np.full(inputs.plate.shape[:2], count[0] / 10, np.float32)), {
                "count": count
            }

    def load(context: LoadContext) -> Counts:
        return Counts()

    return ModelCard(
        name="counter", title="Counter", summary="Counts.", load=load,
        knobs=(Knob("pace", "int", 1, "A knob of the step.", low=1, high=9),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "remembers"),
    [({"knobs": {"black_point": 0.05}}, True), ({"knobs": {"feather": 1.0}}, True),
     ({"feather_outward": 1.0}, True), ({"smoothing": 0.1}, True), ({"drop_specks": False}, True), ({"skip": True}, True),
     ({"knobs": {"pace": 2}}, False), ({"knobs": {"exposure": 1.0}}, False)],
)  # fmt: skip
def test_a_slider_leaves_the_models_memory_unless_the_model_reads_it(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], remembers: bool
) -> None:
    from types import SimpleNamespace

    from matte_nodes import models

    others = {"counter": SimpleNamespace(load=counter, value="tests")}
    card = counter()
    others["counter"].load = lambda: card
    monkeypatch.setattr(models, "_others", lambda: others)
    settings = {"model": "counter", "skip": False}
    side, worker = ready(settings)
    for number in (1, 2, 3):
        side.put_plate(number, plate())
        worker.once()
    side.put_settings({**settings, **change})
    side.put_plate(4, plate())
    worker.once()
    found = side.matte()
    assert side.text == ""
    assert found is not None
    expected = 0.4 if remembers else 0.1
    assert abs(float(np.median(found[2][..., 3])) / 255 - expected) < 0.06
