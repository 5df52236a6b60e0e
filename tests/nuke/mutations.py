# SPDX-License-Identifier: Apache-2.0
"""Random damage to a gizmo's text: what an editor, a merge or a bad generator does."""

from __future__ import annotations

import random

from tests.nuke.nk import NkError, Node, Script

CHARS = '{}[]"\\$ abcxyz0123456789.'


def mutated(text: str, rng: random.Random) -> str:
    """One change: a line, a word or a character deleted, doubled, swapped or replaced."""
    kind = rng.choice(
        (
            "drop line",
            "double line",
            "swap lines",
            "drop char",
            "change char",
            "change word",
            "drop word",
        )
    )
    lines = text.splitlines()
    at = rng.randrange(len(lines) - 1)
    if kind == "drop line":
        del lines[at]
    elif kind == "double line":
        lines.insert(at, lines[at])
    elif kind == "swap lines":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    elif kind in ("change word", "drop word"):
        words = lines[at].split(" ")
        place = rng.randrange(len(words))
        words[place] = rng.choice(text.split()) if kind == "change word" else ""
        lines[at] = " ".join(words)
    else:
        place = rng.randrange(len(text))
        return (
            text[:place] + (rng.choice(CHARS) if kind == "change char" else "") + text[place + 1 :]
        )
    return "\n".join([*lines, ""])


def meaning(text: str) -> object:
    """What Nuke would make of it, as far as the reader can tell: equal for equal scripts."""
    try:
        script = Script(text)
    except (NkError, ValueError, IndexError):
        return object()
    return (script.version, [_node(node) for node in script.nodes], script.layers,
            [node.kind for node in script.other])  # fmt: skip


def _node(node: Node) -> object:
    return (
        node.kind, node.knobs, node.layers, node.repeated,
        [vars(knob) | {"line": 0} for knob in node.user_knobs],
        [source and source.name for source in node.inputs],
        [_node(child) for child in node.children],
    )  # fmt: skip


def mutants(text: str, count: int, seed: int) -> list[str]:
    """So many different texts that do not mean what this one means."""
    rng, found, same = random.Random(seed), [], meaning(text)
    while len(found) < count:
        other = mutated(text, rng)
        if other not in found and meaning(other) != same:
            found.append(other)
    return found
