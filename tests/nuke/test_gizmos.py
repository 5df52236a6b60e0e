# SPDX-License-Identifier: Apache-2.0
"""The gizmos: everything about them that can be known without Nuke."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from matte_nodes import models
from matte_nodes.hosts.nuke import gizmos
from tests.nuke import expected
from tests.nuke.checks import findings
from tests.nuke.desk import PLUGIN
from tests.nuke.mutations import meaning, mutants
from tests.nuke.nk import Script

EXPECTED = {"MatteNode.gizmo": expected.matte_node(), "MatteTrimap.gizmo": expected.matte_trimap()}


def text_of(name: str) -> str:
    return (PLUGIN / "gizmos" / name).read_text()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_committed_gizmo_is_what_the_declarations_give(name: str) -> None:
    assert text_of(name) == gizmos.files(expected.own_cards())[name], "run: make docs"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_gizmo_passes_every_structural_check(name: str) -> None:
    assert findings(text_of(name), EXPECTED[name]) == []


def test_no_other_gizmo_is_committed() -> None:
    assert {path.name for path in PLUGIN.rglob("*.gizmo")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_dropped_push_is_caught(name: str) -> None:
    """Nuke opens such a script without a word, with inputs swapped."""
    lines = text_of(name).splitlines()
    pushes = [n for n, line in enumerate(lines) if line.strip().startswith("push $")]
    caught = 0
    for number in pushes:
        broken = "\n".join([*lines[:number], *lines[number + 1 :], ""])
        Script(broken)  # it parses: only the wiring table can tell
        if meaning(broken) == meaning(text_of(name)):
            continue  # what was pushed lay on top already
        caught += 1
        assert any(" of (" in finding for finding in findings(broken, EXPECTED[name])), number
    assert caught >= len(pushes) / 2


def test_swapped_pushes_are_caught() -> None:
    text = text_of("MatteNode.gizmo")
    pair = " push $N_final\n push $N_checker\n"
    assert pair in text
    broken = text.replace(pair, " push $N_checker\n push $N_final\n")
    assert any(
        "over_checker" in finding for finding in findings(broken, EXPECTED["MatteNode.gizmo"])
    )


FAULTS = {
    "a read that is black in a render": ("on_error {{$gui?1:0}}", "on_error black", "an error in"),
    "a view in a render": ("{{$gui?parent.view:0}}", "{{parent.view}}", "shown"),
    "a read that is converted": (
        "  raw true\n  on_error",
        "  raw false\n  on_error",
        "must be raw",
    ),
    "a write that a farm would render": ("disable true", "disable false", "disabled until"),
    "an absolute path": ('file ""', 'file "/home/me/x.exr"', "absolute path"),
    "a drive letter": ('file ""', 'file "Z:/x.exr"', "absolute path"),
    "a broken link": ("parent.view:0}}", "parent.veiw:0}}", "which is not there"),
    "python 3.8": ("import matte_nuke; matte_nuke.cancel()", "(a := 1)", "cancel"),
    "other python": ("import matte_nuke; matte_nuke.cancel()", "import os", "more than call"),
    "an unknown function": ("matte_nuke.cancel()", "matte_nuke.stop()", "more than call"),
    "a foreign class": (" Merge2 {", " VectorBlur2 {", "not allowed"),
    "two inputs of one number": ("number 2", "number 1", "input numbers"),
    "a renamed input": ("name trimap\n", "name mask\n", "inputs are"),
    "a callback": (' label "', ' knobChanged "import x"\n label "', "knobChanged"),
    "Tcl that runs things": ("\\[value state]", "\\[exec rm]", "Tcl"),
    "a knob twice": ("operation over", "operation over\n  operation over", "twice"),
    "no layer": (" add_layer {fg fg.red fg.green fg.blue}\n", "", "layers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str) -> None:
    before, after, said = FAULTS[fault]
    text = text_of("MatteNode.gizmo")
    assert before in text
    found = findings(text.replace(before, after, 1), EXPECTED["MatteNode.gizmo"])
    assert any(said in finding for finding in found), found


def test_200_random_mutations_are_caught_by_the_structure_alone() -> None:
    text, wanted = text_of("MatteNode.gizmo"), EXPECTED["MatteNode.gizmo"]
    missed = [mutant for mutant in mutants(text, 200, seed=8) if not findings(mutant, wanted)]
    assert len(missed) <= 10, [_difference(text, mutant) for mutant in missed]


def _difference(text: str, mutant: str) -> object:
    pairs = zip(text.splitlines(), mutant.splitlines(), strict=False)
    return next((pair for pair in pairs if pair[0] != pair[1]), "the end")


def test_a_third_partys_model_is_in_an_installed_gizmo(plugin: Path) -> None:
    """tests/toy is another package, found by its entry point."""
    toys = [name for name in models.names() if name not in models.own_names()]
    assert toys
    group = Script((plugin / "gizmos" / "MatteNode.gizmo").read_text()).nodes[0]
    choices = next(knob.choices for knob in group.user_knobs if knob.name == "model")
    assert set(toys) <= set(choices)
    for name in toys:
        before = "model_" + re.sub(r"\W", "_", name) + "__"
        wanted = {before + knob.name for knob in models.card(name).knobs}
        assert wanted == {k.name for k in group.user_knobs if k.name.startswith(before)}
