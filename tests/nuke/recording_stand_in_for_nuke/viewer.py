# SPDX-License-Identifier: Apache-2.0
"""What leaves a node at a frame, as the NDK's headers say of Switch, Read and expressions."""

from __future__ import annotations

import os
import re

from . import session
from .knobs import MENUS


def number(node, name):
    """The number that a knob has at the frame that is shown; menus count from 0, as in Nuke."""
    knob = node[name]
    if knob.link is not None:
        return _worked_out(knob.link, node)
    menu = knob.choices or MENUS.get(name, [])
    return menu.index(knob.value()) if knob.value() in menu else int(knob.value())


def _worked_out(text, node):
    """An expression of Nuke's, as far as our gizmos go: ?:, &&, comparisons, $gui, frame, links."""

    def linked(match):
        head, knob = match.group(1), match.group(2)
        place = node.parent.children.get(head) if node.parent else None
        of = {"parent": node.parent, "root": session.STATE["root"]}.get(head, place)
        return str(number(of, knob))

    text = re.sub(r"([a-z_]\w*)\.([a-z_]\w*)", linked, text)
    text = text.replace("$gui", str(int(session.gui()))).replace("&&", " and ")
    text = re.sub(r"\bframe\b", str(session.STATE["frame"]), text)
    while "(" in text:
        text = re.sub(r"\(([^()]*)\)", lambda found: str(_choice(found.group(1))), text)
    return _choice(text)


def _choice(text):
    if "?" not in text:
        return int(eval(text, {}))
    asked, _, rest = text.partition("?")
    yes, _, no = rest.partition(":")
    return _choice(yes if eval(asked, {}) else no)


def shown(node, at):
    """What leaves a node at a frame: a file, "black", or the name of the node that makes it.

    Raises RuntimeError where Nuke's render would end with an error.
    """
    session.STATE["frame"] = at
    while node.kind in ("Group", "Output", "Dot", "Switch"):
        if node.kind == "Group":
            node = node.children["Output1"]
        else:
            node = node.input(number(node, "which") if node.kind == "Switch" else 0)
        if node.kind == "Merge2" and node["operation"].value() == "plus":
            node = node.input(1)  # rgba is A's: B has none
    if node.kind != "Read":
        return "black" if node.fullName().endswith(".nothing") else node.fullName()
    return _read_shows(node, at)


ROWS = {"rgba": ["red", "green", "blue", "alpha"], "fg": ["red", "green", "blue"]}


def layers(node, at):
    """Return what leaves a node at a frame: for each channel where it comes from, black left out.

    A channel of a Read comes from "NODE.CHANNEL"; a sum is "A + B". Each node as in the NDK: Remove,
    Merge2 plus with also_merge all, Shuffle from one or two layers, Copy, Switch.
    """
    session.STATE["frame"] = at
    kind = node.kind
    if kind == "Group":
        return layers(node.children["Output1"], at)
    if kind == "Input":
        place = int(node["number"].value()) if node.knob("number") else 0
        return layers(node.parent.input(place), at)
    if kind == "Read":
        return {name: node.name() + "." + name for name in node.has}
    if kind == "Switch":
        return layers(node.input(number(node, "which")), at)
    found = layers(node.input(0), at)
    if kind == "Remove":
        gone = [node[k].value() for k in ("channels", "channels2") if node.knob(k)]
        return {name: of for name, of in found.items() if name.split(".")[0] not in gone}
    if kind == "Merge2" and node["operation"].value() == "plus":
        assert node["also_merge"].value() == "all"
        for name, of in layers(node.input(1), at).items():
            found[name] = found[name] + " + " + of if name in found else of
    elif kind == "Copy":
        other = layers(node.input(1), at)
        for place in range(4):
            if node.knob(f"from{place}"):
                found[node[f"to{place}"].value()] = other[node[f"from{place}"].value()]
    elif kind == "Shuffle":
        found = _shuffled(node, found)
    return found


def _shuffled(node, found):
    def said(knob, usual):
        return node[knob].value() if node.knob(knob) else usual

    one, two = said("in", "rgba"), said("in2", "none")
    made = {name: of for name, of in found.items() if not name.startswith("rgba.")}
    for colour in ROWS["rgba"]:
        wanted = said(colour, colour)
        layer = two if wanted.endswith("2") else one
        source = found.get(layer + "." + wanted.rstrip("2"))
        if source is not None:
            made["rgba." + colour] = source
    return made


def box(node, at):
    """Return whose bounding box leaves the node: of each Read's name, with + for a union."""
    session.STATE["frame"] = at
    if node.kind == "Group":
        return box(node.children["Output1"], at)
    if node.kind == "Input":
        return box(node.parent.input(0), at)
    if node.kind == "Read":
        return {node.name()}
    if node.kind == "Switch":
        return box(node.input(number(node, "which")), at)
    mine = box(node.input(0), at)
    if node.kind not in ("Merge2", "Copy"):
        return mine
    other, rule = box(node.input(1), at), MENUS["bbox"][number(node, "bbox")]
    return {"union": mine | other, "intersection": mine & other, "A": other, "B": mine}[rule]


def _read_shows(read, at):
    """As Read's knobs say in the NDK: before and after outside of first..last, on_error inside."""
    first, last = number(read, "first"), number(read, "last")
    side = "before" if at < first else "after" if at > last else ""
    mode, length = MENUS[side][number(read, side)] if side else "", last - first + 1
    if mode == "black":
        return "black"
    if mode == "hold":
        at = first if side == "before" else last
    elif mode == "loop":
        at = first + (at - first) % length
    elif mode == "bounce":
        step = (at - first) % max(2 * length - 2, 1)
        at = first + min(step, 2 * length - 2 - step)
    path = _file_at(read, at)
    if os.path.isfile(path):
        return path
    on_error = MENUS["on_error"][number(read, "on_error")]
    if on_error == "error":
        raise RuntimeError(read.fullName() + ": " + path + ": No such file or directory")
    if on_error == "nearest frame":
        near = [n for n in range(first, last + 1) if os.path.isfile(_file_at(read, n))]
        return _file_at(read, min(near, key=lambda n: abs(n - at))) if near else "black"
    return on_error


def _file_at(read, at):
    session.STATE["frame"] = at
    proxy = session.STATE["root"].proxy() and read["proxy"].value()
    return os.path.abspath(read["proxy" if proxy else "file"].evaluate())
