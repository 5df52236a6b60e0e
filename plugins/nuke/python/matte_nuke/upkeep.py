# SPDX-License-Identifier: Apache-2.0
"""Nodes of older scripts, new nodes as a studio wants them, and results that nobody shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import nuke

from . import host, kept, versions
from .trouble import Trouble

COMPATIBILITY = 2
"""Raised whenever the inside of the gizmo changes so that this Python needs the new one."""
# Knobs of a node that a renewed one has of its own.
OWN = ("compatibility", "about", "run", "is_live")
DEFAULTS = {
    "model": "MATTE_NUKE_MODEL", "cache_folder": "MATTE_NUKE_CACHE",
}  # fmt: skip


def create() -> Any:
    """Make a MatteNode with the defaults that the environment names."""
    node = nuke.createNode("MatteNode")
    for knob, name in DEFAULTS.items():
        value = os.environ.get(name)
        if value:
            try:
                node[knob].setValue(value)
            except TypeError:  # a menu's word for what is not in it
                host.Face(node).say("error", f"${name} is {value!r}, which is no {knob} here.")
    return node


def is_ours(node: Any) -> bool:
    """Whether it is a MatteNode, of any version."""
    return node.Class() == "Group" and bool(node.knob("has_result") and node.knob("cache_folder"))


def compatibility(node: Any) -> int:
    """Return the number of the plug-in's version that made a node."""
    knob = node.knob("compatibility")
    return 1 if knob is None else int(knob.value())


def check(node: Any) -> None:
    """Raise Trouble for a node of another version, with what to do about it."""
    found = compatibility(node)
    if found < COMPATIBILITY:
        raise Trouble(
            f"This node is of an older matte-nodes (compatibility {found}; this one is "
            f"{COMPATIBILITY}). Its result stays as it is. To matte again choose 'Renew old "
            "MatteNodes' in the toolbar's menu Matte: knobs, inputs and result are taken over."
        )
    if found > COMPATIBILITY:
        raise Trouble(
            f"This node is of a newer matte-nodes (compatibility {found}; this one is "
            f"{COMPATIBILITY}). Its result stays as it is. To matte again update matte-nodes, run "
            "'matte install nuke' and start Nuke anew."
        )


def renew_all() -> list[Any]:
    """Replace every MatteNode of an older version in the script. Returns the new nodes."""
    old = [n for n in nuke.allNodes("Group") if is_ours(n) and compatibility(n) < COMPATIBILITY]
    return [renew(node) for node in old]


def renew(node: Any) -> Any:
    """Replace a MatteNode by one of this version: name, place, knobs, inputs and result stay."""
    new: Any = nuke.createNode("MatteNode", inpanel=False)
    for number in range(node.inputs()):
        new.setInput(number, node.input(number))
    for name, knob in node.knobs().items():
        taken = new.knob(name)
        if taken is None or taken.Class() != knob.Class() or name in OWN:
            continue
        if knob.Class() != "PyScript_Knob" and name != "name":
            with suppress(TypeError, ValueError):  # a menu that has lost an entry
                taken.fromScript(knob.toScript())
    inner, shown = node.node("result"), new.node("result")
    for name in ("file", "proxy", "first", "last", "origfirst", "origlast"):
        shown[name].fromScript(inner[name].toScript())
    for below in node.dependent(nuke.INPUTS):
        for number in range(below.inputs()):
            if below.input(number) is node or below.input(number) == node:
                below.setInput(number, new)
    name = str(node.name())
    nuke.delete(node)
    new.setName(name)
    host.Face(new).say("renewed: the result is as it was")
    return new


def prune(node: Any = None, *, sure: bool = False) -> None:
    """Remove results that no MatteNode here and no script nearby shows, and kept inputs.

    sure: without a window nobody can be asked.
    """
    face = host.Face(node or nuke.thisNode())
    base = str(face.node["cache_folder"].evaluate() or "")
    folder = os.path.abspath(os.path.dirname(str(nuke.root().name())))
    if os.path.dirname(os.path.abspath(base)) != folder:
        face.say(
            "error",
            f"Nothing was removed: {base} is not in this script's folder, so scripts elsewhere may "
            "show what is in it.",
        )
        return
    old = unused(base, set(_shown_here()), folder)
    size = sum(_size(path) for path in old)
    question = (
        f"Remove {len(old)} results ({size / 1e9:.1f} GB) and the kept inputs from {base}? No node "
        f"of this script shows them, and no script in {folder} "
        "names them. A script in another folder that shows one of them would lose it."
    )
    if not os.path.isdir(base) or not (sure or (nuke.GUI and nuke.ask(question))):
        return
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(os.path.join(base, kept.FOLDER), ignore_errors=True)
    face.say(f"removed {len(old)} results ({size / 1e9:.1f} GB)")


def unused(base: str, shown: set[str], folder: str) -> list[str]:
    """Return folders of versions that are not in `shown` and that no script of a folder names."""
    found = [path for path in versions.every(base) if os.path.basename(path) not in shown]
    for text in _scripts(folder):
        found = [path for path in found if os.path.basename(path) not in text]
    return found


def _shown_here() -> Iterator[str]:
    every: list[Any] = nuke.allNodes("Group")
    for node in every:
        if is_ours(node):
            for knob in ("file", "proxy"):
                path = str(node.node("result")[knob].value() or "")
                yield os.path.basename(os.path.dirname(path))


def _scripts(folder: str) -> Iterator[str]:
    """Texts of the scripts in a folder: autosaves and backups too."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        if ".nk" in name and os.path.isfile(os.path.join(folder, name)):
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                yield file.read()


def _size(folder: str) -> int:
    with suppress(OSError):
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    return 0
