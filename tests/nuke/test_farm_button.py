# SPDX-License-Identifier: Apache-2.0
"""The button Export farm job: a real bundle by `matte farm bundle`, and what is said when not."""

from __future__ import annotations

import stat
from pathlib import Path

import click
import numpy as np
import pytest

from tests.conftest import needs_weights
from tests.farm.engine import command
from tests.made import read_named
from tests.nuke.desk import Desk

pytest.importorskip("openjd.model", reason="openjd is not here")


@pytest.mark.parametrize("gui", [False, True])
def test_the_bundle_is_written_and_its_output_is_shown(desk: Desk, gui: bool) -> None:
    desk.open(gui=gui)
    desk.set(always_render=True, knob_shrink=-1.5, knob_align_background="off")
    desk.press("export_farm_job")
    assert desk.text("error") == ""
    bundle = Path(str(desk.text("state")).replace("farm job: ", ""))
    template = next(bundle.glob("template.*")).read_text()
    asked = "".join(path.read_text() for path in bundle.iterdir() if path.is_file())
    assert "matte.####" in asked.replace("%04d", "####")
    assert "green-screen" in asked
    assert "jobtemplate-2023-09" in template
    assert desk.rendered() == ["plate"]
    assert (bundle.parent / "plate.1005.exr").is_file(), "the farm needs the rendered plate"
    shown = desk.result(1002)
    assert shown.parent == bundle.parent / "out"
    assert desk.text("has_result") is True


@needs_weights("rvm")
def test_the_farm_gives_the_pixels_of_the_button(desk: Desk) -> None:
    """The plate's file begins before the range on the node, and the model has a memory."""
    desk.open(size=(144, 176))
    desk.person()
    desk.set(model="rvm", first=1003)
    desk.press()
    here = read_named(desk.result(1004))["A"]
    assert 0.2 < here.mean() < 0.8
    desk.press("export_farm_job")
    bundle = Path(str(desk.text("state")).replace("farm job: ", ""))
    command(
        "openjd", "run", bundle / "template.json", "--step", "Validate", "--run-dependencies",
        "-p", f"file://{bundle / 'job_parameters.json'}", home=desk.folder / "worker",
    )  # fmt: skip
    there = desk.result(1004)
    assert there.parent == bundle.parent / "out"
    assert np.array_equal(read_named(there)["A"], here)


def test_each_job_has_a_folder_of_its_own(desk: Desk) -> None:
    desk.open()
    desk.press("export_farm_job")
    first = desk.text("state")
    desk.press("export_farm_job")
    assert desk.text("state") != first


def test_proxy_mode_is_refused(desk: Desk) -> None:
    desk.open()
    desk.nuke.root().is_proxy = True
    with pytest.raises(desk.actions.Trouble, match="Proxy"):
        desk.press("export_farm_job")


def test_what_the_command_says_is_on_the_node(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.open(gui=True)
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'no room on the disk'\nexit 6\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("MATTE_PYTHON", str(script))
    desk.press("export_farm_job")
    assert desk.text("state") == "error"
    assert "no room on the disk" in desk.text("error")
    assert desk.text("has_result") is False


def test_every_flag_of_the_command_exists(desk: Desk) -> None:
    """All inputs and every knob of every model become flags that `matte farm bundle` has."""
    from matte_nuke import farm  # type: ignore[import-not-found]

    from matte_nodes import cli, models
    from matte_nodes.cli.knob_flags import KnobCommand
    from matte_nodes.node.knobs import all_knobs
    from tests.nuke.expected import own_cards

    desk.open()
    group = cli.matte.get_command(None, "farm")  # type: ignore[arg-type]
    command = group.get_command(None, "bundle")  # type: ignore[union-attr]
    assert isinstance(command, KnobCommand)
    for card in own_cards():
        request = {
            "source": "p", "output": "o", "model": card.name, "layout": "nuke", "frames": [1, 2],
            "output_colorspace": "x", "node": {"device": "cpu", "ocio": "c"},
            "knobs": {knob.name: knob.default for knob in all_knobs(models.card(card.name))},
            "connect": dict.fromkeys(
                ("colorspace", "trimap", "background", "background_colorspace", "segmentation",
                 "hint_keys", "start"), "h",
            ),
        }  # fmt: skip
        words = farm.command("python", request, "b")
        context = click.Context(command)
        command.offer_knobs(context, words)
        flags = {flag for parameter in command.get_params(context) for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= flags
