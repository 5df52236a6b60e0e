# SPDX-License-Identifier: Apache-2.0
"""Nodes of older and newer scripts, what a studio sets by the environment, results to remove."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from matte_nodes.hosts.nuke import gizmos
from tests.nuke.desk import Desk

OLDER = Path(__file__).parent / "older" / "MatteNode_1.gizmo"


def older(desk: Desk) -> Any:
    """A matted node as the first version made it, from its own gizmo."""
    made = desk.open()
    desk.press()
    desk.node = node = desk.nuke.load(str(OLDER))
    node.setInput(0, desk.plate)
    desk.set(model="green-screen", model_green_screen__screen_level=0.25, has_result=True)
    for knob in ("file", "first", "last"):
        node.node("result")[knob]._value = made.node("result")[knob].value()
    desk.nuke.delete(made)
    return node


def test_the_plug_in_and_its_gizmo_have_one_number(desk: Desk) -> None:
    upkeep = importlib.import_module("matte_nuke.upkeep")
    assert upkeep.COMPATIBILITY == gizmos.COMPATIBILITY
    desk.open()
    assert desk.text("compatibility") == gizmos.COMPATIBILITY


def test_an_older_node_says_what_to_do_and_keeps_its_result(desk: Desk) -> None:
    older(desk)
    before = desk.shown(1002)
    desk.press_and_fail("Renew old MatteNodes")
    assert desk.shown(1002) == before
    with pytest.raises(desk.actions.Trouble, match="Renew old MatteNodes"):
        desk.press("export_farm_job")


def test_a_newer_node_says_what_to_do(desk: Desk) -> None:
    desk.open()
    desk.set(compatibility=gizmos.COMPATIBILITY + 1)
    desk.press_and_fail("matte install nuke")


def test_an_older_node_says_so_when_its_panel_opens(desk: Desk) -> None:
    node = older(desk)
    desk.nuke._state.update(node=node, knob=desk.nuke.Knob(node, "showPanel", 1, ""))
    desk.actions.knob_changed()
    assert "Renew old MatteNodes" in desk.text("error")


def test_messages_can_be_copied(desk: Desk) -> None:
    node = desk.open(gui=True)
    desk.nuke._state.update(node=node, knob=desk.nuke.Knob(node, "showPanel", 1, ""))
    desk.actions.knob_changed()
    for name in ("state", "error"):
        assert node[name].enabled
        assert node[name].flags & desk.nuke.READ_ONLY


def test_an_old_node_is_renewed_with_all_that_it_has(desk: Desk) -> None:
    old = older(desk)
    desk.set(knob_shrink=2.0, clicks="+1,2@1001")
    desk.press_and_fail("Renew")
    before, below = desk.shown(1002), desk.nuke.Node("Blur", "Blur1")
    below.setInput(0, old)
    (new,) = desk.actions.renew_all()
    assert old.deleted
    assert new.name() == "MatteNode1"
    assert new.input(0) is desk.plate
    assert below.input(0) is new
    assert (new["knob_shrink"].value(), new["clicks"].value()) == (2.0, "+1,2@1001")
    assert new["model"].value() == "green-screen"
    desk.node = new
    assert desk.shown(1002) == before
    assert desk.actions.renew_all() == [], "it is of this version now"
    desk.press()
    assert desk.text("state") == "done: 5 of 5 frames (5 matted now)"


def test_a_studio_sets_model_and_cache_by_the_environment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.open()
    assert desk.actions.create()["model"].value() == "auto"
    monkeypatch.setenv("MATTE_NUKE_MODEL", "rvm")
    monkeypatch.setenv("MATTE_NUKE_CACHE", "/mnt/fast/mattes")
    node = desk.actions.create()
    assert node["model"].value() == "rvm"
    assert node["cache_folder"].value() == "/mnt/fast/mattes"


def test_a_model_that_is_not_there_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open()
    monkeypatch.setenv("MATTE_NUKE_MODEL", "no-such-model")
    node = desk.actions.create()
    assert "MATTE_NUKE_MODEL" in node["error"].value()
    assert node["model"].value() == "auto"


def test_the_device_auto_is_the_studios(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.nuke.test_handover import make_plan

    desk.open()
    monkeypatch.setenv("MATTE_NUKE_DEVICE", "cuda:1")
    assert make_plan(desk).request("/run")["node"]["device"] == "cuda:1"
    desk.set(device="cpu")
    assert make_plan(desk).request("/run")["node"]["device"] == "cpu"


def test_an_installation_of_another_system_says_so(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = importlib.import_module("matte_nuke.setup")
    said = json.loads(Path(setup.FILE).read_text())
    said["systems"] = {"amiga": {"python": "/x", "environment": {}}}
    (tmp_path / "install.json").write_text(json.dumps(said))
    with pytest.raises(desk.actions.Trouble, match="installed from amiga"):
        setup.Setup(str(tmp_path / "install.json"))
    monkeypatch.setenv("MATTE_PYTHON", "/opt/matte/python")
    assert setup.Setup(str(tmp_path / "install.json")).python == "/opt/matte/python"


def three_versions(desk: Desk) -> list[str]:
    """Three results; the node shows the last one. Their names, by age."""
    desk.open(gui=True)
    names = []
    for shrink in (0.0, 1.0, 2.0):
        desk.set(knob_shrink=shrink, always_render=True)
        desk.press()
        names.append(desk.result(1001).parent.name)
    assert len(set(names)) == 3
    return names


def test_old_results_are_removed_but_for_those_that_a_script_names(desk: Desk) -> None:
    first, second, third = three_versions(desk)
    (desk.folder / "shot_v001.nk").write_text(f"Read {{ file /x/{first}/matte.%04d.exr }}")
    desk.nuke.session.ANSWERS.append(True)
    desk.press("prune", wait=False)
    assert desk.versions() == sorted([first, third])
    assert not (desk.folder / "matte_nodes" / "inputs").exists()
    assert "removed 1 results" in desk.text("state")
    assert second not in desk.versions()


def test_an_autosave_counts_as_a_script(desk: Desk) -> None:
    first, second, _ = three_versions(desk)
    (desk.folder / "shot.nk.autosave").write_text(f"{first} {second}")
    desk.nuke.session.ANSWERS.append(True)
    desk.press("prune", wait=False)
    assert len(desk.versions()) == 3


def test_nothing_is_removed_when_the_artist_says_no(desk: Desk) -> None:
    three_versions(desk)
    desk.nuke.session.ANSWERS.append(False)
    desk.press("prune", wait=False)
    assert len(desk.versions()) == 3
    question = next(call[1] for call in desk.nuke.CALLS if call[0] == "ask")
    assert "Remove 2 results" in question


def test_a_cache_that_scripts_elsewhere_share_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    three_versions(desk)
    desk.nuke.root().file = str(tmp_path / "elsewhere" / "shot.nk")
    desk.set(cache_folder=str(desk.folder / "matte_nodes"))
    desk.press("prune", wait=False)
    assert "Nothing was removed" in desk.text("error")
    assert len(desk.versions()) == 3


def test_without_a_window_nothing_is_removed_unless_it_is_said(desk: Desk) -> None:
    names = three_versions(desk)
    desk.nuke.GUI = False
    desk.actions.prune(desk.node)
    assert len(desk.versions()) == 3
    desk.actions.prune(desk.node, sure=True)
    assert desk.versions() == [names[-1]]


def test_a_link_that_gives_one_value_all_the_time_is_taken(desk: Desk) -> None:
    from tests.nuke.test_handover import make_plan

    desk.open()
    desk.node["knob_gamma"].is_animated = True
    desk.node["knob_gamma"]._value = lambda frame: 1.5
    assert make_plan(desk).request("/run")["knobs"]["gamma"] == 1.5
    desk.node["knob_gamma"]._value = lambda frame: 1.5 if frame < 1004 else 2.0
    with pytest.raises(desk.actions.Trouble, match="animated"):
        make_plan(desk)
    desk.set(last=1003)
    assert make_plan(desk).request("/run")["knobs"]["gamma"] == 1.5


def test_a_relative_script_is_a_saved_script(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open()
    monkeypatch.chdir(desk.folder)
    desk.nuke.root().file = "shot.nk"
    desk.press()
    assert desk.text("state").startswith("done")
    assert desk.result(1001).is_file()
    assert desk.result(1001).is_absolute()


def test_a_service_of_another_version_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    """The plug-in's client names its Python: it speaks only to services that run that code."""
    client = importlib.import_module("matte_nuke.matte_client").Client
    desk.open()
    desk.press()
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 0123456789abcdef\n")
    other.chmod(0o755)
    assert client(str(other), str(desk.home)).hello() is None
    assert client(sys.executable, str(desk.home)).hello()["pid"] == desk.client.hello()["pid"]
