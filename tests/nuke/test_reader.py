# SPDX-License-Identifier: Apache-2.0
"""The reader of Nuke scripts itself: against Tcl's own parser, and against what must not be read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.nuke.desk import PLUGIN
from tests.nuke.mutations import mutants
from tests.nuke.nk import NkError, Script, commands

HERE = Path(__file__).parent
FILES = [HERE / "constructs.nk", *sorted(PLUGIN.rglob("*.gizmo"))]
needs_tcl = pytest.mark.skipif(not shutil.which("tclsh"), reason="tclsh is not here (apt: tcl)")


def of_tcl(path: Path) -> list[str] | None:
    """What tclsh makes of a file, a line a fact; None when it refuses the file."""
    run = subprocess.run(
        ["tclsh", str(HERE / "oracle.tcl"), str(path)], capture_output=True, text=True, check=False
    )
    return run.stdout.splitlines() if run.returncode == 0 else None


def hexed(text: str) -> str:
    return "x" + text.encode().hex()


def of_reader(text: str) -> list[str]:
    """The same facts by our reader."""
    script, numbers, lines = Script(text), {}, []
    lines.append(f"version {hexed(script.version)}")

    def tell(node: Any) -> None:
        numbers[id(node)] = len(numbers) + 1
        inputs = ",".join(str(numbers[id(n)] if n else 0) for n in node.inputs)
        lines.append(f"node {numbers[id(node)]} {node.kind} {inputs}".rstrip())
        lines.extend(f"knob {hexed(n)} {hexed(v[0])}" for n, v in node.knobs.items())
        lines.extend(f"own {' '.join(hexed(w) for w in knob.words)}" for knob in node.user_knobs)
        for child in node.children:
            tell(child)
        lines.extend(f"layer {hexed(f'{n} {chr(32).join(c)}')}" for n, c in node.layers.items())

    for node in script.nodes:
        tell(node)
    return lines


@needs_tcl
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_reader_and_tcl_agree_in_every_word(path: Path) -> None:
    found = of_tcl(path)
    assert found is not None
    assert sorted(line.rstrip() for line in found if line != "end") == sorted(
        of_reader(path.read_text())
    )


@needs_tcl
def test_what_tcl_refuses_the_reader_refuses(tmp_path: Path) -> None:
    """Damaged files: whatever Tcl cannot read, nor may we; what both read, both read alike."""
    refused = agreed = 0
    for number, text in enumerate(mutants((HERE / "constructs.nk").read_text(), 60, seed=3)):
        path = tmp_path / f"{number}.nk"
        path.write_text(text)
        theirs = of_tcl(path)
        try:
            ours: list[str] | None = of_reader(text)
        except (NkError, ValueError, IndexError):
            ours = None
        if theirs is None:
            refused += 1
            assert ours is None, text
        elif ours is not None:
            agreed += 1
    assert refused >= 5
    assert agreed >= 5


def test_real_world_constructs() -> None:
    script = Script((HERE / "constructs.nk").read_text())
    by_name = {node.name: node for node in script.nodes}
    names = {name: [n and n.name for n in node.inputs] for name, node in by_name.items()}
    assert names["Merge1"] == ["Dot1", None]
    assert names["Keymix1"] == ["Grade1", "Merge1", "Grade1"]
    assert names["Group1"] == ["Keymix1"]
    assert names["CopyBBox1"][0] == "Group1"
    group = by_name["Group1"]
    assert [knob.name for knob in group.user_knobs] == ["User", "mix", "kind", "go", "size_1", ""]
    assert group.user_knobs[2].choices == ["one", "two words", "three"]
    assert group.user_knobs[1].tooltip == 'between "0" and 1\nand more'
    assert group.value("mix") == "0.25"
    assert group.child("Inner").child("Output1").inputs == [group.child("Inner").child("Input1")]
    assert (
        by_name["Dot1"].value("label").startswith('two\nlines, a "quote", [value which], {brace}')
    )
    assert by_name["Grade1"].value("multiply") == "1 + parent.Dot1.xpos * 2"
    assert by_name["BackdropNode1"].inputs == []


BROKEN = {
    "a brace that is never closed": "Dot {\n name Dot1\n",
    "a group without its end": "Group {\n name Group1\n}\n Dot {\n  name Dot1\n }\n",
    "an end without its group": "Dot {\n name Dot1\n}\nend_group\n",
    "a push of what was never set": "push $N1234\n",
    "words behind a brace": "Dot {\n name Dot1\n}x\n",
    "a quote that is never closed": 'Dot {\n label "x\n name Dot1\n}\n',
    "set from an empty stack": "set N1 [stack 0]\n",
    "a push out of a group": (
        "Dot {\n name Dot1\n}\nset N1 [stack 0]\nGroup {\n name G\n}\n push $N1\n"
        " Output {\n  name O\n }\nend_group\n"
    ),
    "a knob without a name": "Group {\n addUserKnob {7}\n name G\n}\nend_group\n",
    "a bare variable in a text": 'Dot {\n label "$x"\n name Dot1\n}\n',
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_script_is_refused(what: str) -> None:
    with pytest.raises(NkError):
        Script(BROKEN[what])


def test_words() -> None:
    ((_, words),) = commands('a {b {c} d} "e\\n\\[f]" g\\ h')
    assert words == [("a", False), ("b {c} d", True), ("e\n[f]", False), ("g h", False)]
