# SPDX-License-Identifier: Apache-2.0
"""What lies round a network for Nuke: the script that makes its .cat, and the Cattery folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matte_nodes.card import ModelCard
from matte_nodes.hosts.nuke import knobs as k
from matte_nodes.hosts.nuke.gizmos import HINT_CHANNELS
from matte_nodes.hosts.nuke.script import Expression, Group, Node, UserKnob, word, written
from matte_nodes.whole_files import write_text

CATEGORY = {"people": "Segmentation", "animals": "Segmentation"}
MINIMUM_NUKE = 14.0
"""Its torch is 1.12.1. That of Nuke 13, 1.6, ends Nuke when it meets these networks."""
HERE = "[python {nuke.script_directory()}]"
LABELS = {
    "linear": ("picture is linear", "Off for pictures that are display-encoded."),
    "exposure": ("exposure (stops)", "Of what the network sees."),
    "reference_size": ("reference size (px)", "Shorter side of what the network sees."),
    "downrez": (
        "downrez",
        "The network sees the picture at a half (2), a third (3) ... of its size, for large plates and "
        "small cards. The matte is enlarged again, and is softer.",
    ),
}
RANGES = {"reference_size": (64, 2048), "downrez": (1, 8)}
ON_CARD = UserKnob(
    k.LINK, "useGPUIfAvailable", "use GPU if available",
    "Nuke's own knob of the Inference node inside.", ("+STARTLINE",),
    script="network.useGPUIfAvailable",
)  # fmt: skip

PREMULTIPLY = UserKnob(
    k.SWITCH, "premultiply", "premultiply", "Off: the plate as it came, with the alpha.",
    ("+STARTLINE",), value="true",
)  # fmt: skip


def write(folder: Path, card: ModelCard, *, hint: str, knobs: Mapping[str, Any]) -> None:
    """create_cat.nk and Cattery/<name>/ with cat.json, init.py and the gizmo."""
    name = gizmo_name(card)
    write_text(folder / "create_cat.nk", creator(card, hint, knobs))
    cattery = folder / "Cattery" / name
    cattery.mkdir(parents=True, exist_ok=True)
    write_text(cattery / f"{name}.gizmo", gizmo(card, hint, knobs))
    write_text(
        cattery / "init.py",
        '# SPDX-License-Identifier: Apache-2.0\nimport nuke\n\nnuke.pluginAddPath("./")\n'
        "if nuke.NUKE_VERSION_MAJOR < 14:\n"
        f'    nuke.tprint("{name} needs Nuke 14.0 or newer.")\n'
        "else:\n"
        '    nuke.load("Inference")  # else the first use of its gizmo may not find the class\n',
    )
    facts = {
        "minimum_nuke_version_required": MINIMUM_NUKE,
        "version": 1,
        "category": CATEGORY.get(card.subject, "Matting"),
        "description": f"{card.summary} {card.limits} Weights: {card.licence}. Commercial use: "
        f"{card.commercial}.",
        "cats": [{"filepath": f"{name}.gizmo", "name": card.title}],
    }
    write_text(cattery / "cat.json", json.dumps(facts, indent=2) + "\n")


def gizmo_name(card: ModelCard) -> str:
    """MatteDeepImageMatting."""
    return "Matte" + "".join(part.capitalize() for part in card.name.split("-"))


def _user_knobs(knobs: Mapping[str, Any]) -> list[UserKnob]:
    found = []
    for name, default in knobs.items():
        label, tooltip = LABELS[name]
        if isinstance(default, bool):
            made = UserKnob(
                k.SWITCH, name, label, tooltip, ("+STARTLINE",), value=str(default).lower()
            )
        elif isinstance(default, int):
            low, high = RANGES[name]
            made = UserKnob(k.INT, name, label, tooltip, low=low, high=high, value=str(default))
        else:
            made = UserKnob(k.FLOAT, name, label, tooltip, low=-8, high=8, value=f"{default:g}")
        found.append(made)
    return found


def creator(card: ModelCard, hint: str, knobs: Mapping[str, Any]) -> str:
    """Return a script with one CatFileCreator; its paths are those of the folder it lies in."""
    name = gizmo_name(card)
    channels = ["rgba.red", "rgba.green", "rgba.blue", *(["rgba.alpha"] if hint else [])]
    lines = [
        "version 14.0 v1", "CatFileCreator {", " inputs 0",
        f" torchScriptFile {word(f'{HERE}/{card.name}.pt')}",
        f" catFile {word(f'{HERE}/Cattery/{name}/{name}.cat')}",
        f" channelsIn {word(', '.join(channels))}", " channelsOut rgba.alpha",
        f" modelId {name}", f" name {name}_creator",
        f" addUserKnob {{{' '.join(UserKnob(k.TAB, 'User').words())}}}",
    ]  # fmt: skip
    for knob in _user_knobs(knobs):
        lines.append(f" addUserKnob {{{' '.join(knob.words())}}}")
        lines.append(f" {knob.name} {knob.value}")
    return "\n".join([*lines, "}", ""])


def gizmo(card: ModelCard, hint: str, knobs: Mapping[str, Any]) -> str:
    """Return a group round Inference: the plate and its hint in, premultiplied plate and alpha out."""
    name = gizmo_name(card)
    found = f"[lsearch -inline [plugins -all {name}.cat] *.cat]"
    serialised = "".join(f"{name}:{{parent.{name}}};" for name in knobs)
    nodes = [Node("Input", "plate", (), {}, 0, 1)]
    source = "plate"
    if hint:
        nodes += [
            Node("Input", hint, (), {"number": "1"}, 0, 2),
            Node("Shuffle", f"{hint}_red", (hint,), {"alpha": "red"}, 1, 3),
            Node("Switch", f"{hint}_channel", (hint, f"{hint}_red"),
                 {"which": Expression(f"parent.{hint}_channel")}, 2, 2),
            Node("Copy", "with_hint", ("plate", f"{hint}_channel"),
                 {"from0": "rgba.alpha", "to0": "rgba.alpha"}, 3, 1),
        ]  # fmt: skip
        source = "with_hint"
    nodes += [
        Node("Inference", "network", (source,),
             {"modelFile": found, "serialiseKnob": serialised}, 4, 1),
        Node("Copy", "matted", ("plate", "network"),
             {"from0": "rgba.alpha", "to0": "rgba.alpha", "bbox": "B"}, 5, 1),
        Node("Premult", "premultiplied", ("matted",),
             {"disable": Expression("!parent.premultiply")}, 6, 1),
        Node("Assert", "guard", ("premultiplied",),
             {"expression": Expression(f"$nuke_version >= {MINIMUM_NUKE:g}"),
              "message": f"{name} needs Nuke {MINIMUM_NUKE} or newer."}, 7, 1),
        Node("Output", "Output1", ("guard",), {}, 8, 1),
    ]  # fmt: skip
    choose = [
        UserKnob(k.CHOICE, f"{hint}_channel", f"{hint} is in",
                 f"Which channel of the input holds the {hint}.", choices=HINT_CHANNELS,
                 value=HINT_CHANNELS[0])
    ] if hint else []  # fmt: skip
    group = Group(
        name,
        {"name": name, "help": f"{card.title}: {card.summary}\n\n{card.limits}\n\nWeights: "
                               f"{card.licence}. Commercial use: {card.commercial}."},
        [UserKnob(k.TAB, "matte_tab", card.title), *choose, *_user_knobs(knobs), PREMULTIPLY,
         ON_CARD], {}, nodes,
    )  # fmt: skip
    return written(group, "14.0 v1")
