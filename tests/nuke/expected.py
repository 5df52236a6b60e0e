# SPDX-License-Identifier: Apache-2.0
"""What our gizmos must be, written by hand where a mistake would change a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from matte_nodes import __version__, models
from matte_nodes.card import Knob, ModelCard
from matte_nodes.hosts.nuke import gizmos
from matte_nodes.hosts.nuke.script import Expression, UserKnob
from matte_nodes.node.knobs import NODE_KNOBS
from tests.nuke.checks import CODES, Expected

CALLS = frozenset({
    "matte_frame", "matte_range", "cancel", "export_farm_job", "reveal_cache", "click_subject",
    "click_not", "click_along", "click_box", "clear_clicks", "keys_of_roto", "prune", "reload",
    "reset_range",
})  # fmt: skip
WRITE = {
    "file": "", "proxy": "", "file_type": "exr", "raw": "true", "create_directories": "true",
    "datatype": "16 bit half", "compression": "Zip (1 scanline)", "metadata": "all metadata",
    "disable": "true",
}  # fmt: skip
READ = {
    "file": "no_matte_for_this_frame__press_Matte_range.exr", "proxy": "", "file_type": "exr",
    "raw": "true", "on_error": "{{$gui?1:0}}", "before": "black", "after": "black",
    "origset": "true", "localizationPolicy": "off",
}  # fmt: skip
GREY = {"red": "alpha", "green": "alpha", "blue": "alpha"}
BLACK = {"red": "black", "green": "black", "blue": "black", "alpha": "black"}
CHECKER = "(int(floor(x/64))+int(floor(y/64)))%2==0 ? 0.18 : 0.36"

# Input 0 of a Merge2 and of a MergeExpression is B, the one below; input 1 is A.
MATTE_NODE: dict[str, tuple[str, tuple[str | None, ...], dict[str, str]]] = {
    "plate": ("Input", (), {}),
    "trimap": ("Input", (), {"number": "1"}),
    "background": ("Input", (), {"number": "2"}),
    "segmentation": ("Input", (), {"number": "3"}),
    "write_plate": ("Write", ("plate",), {"channels": "rgb", **WRITE}),
    "write_background": ("Write", ("background",), {"channels": "rgb", **WRITE}),
    "trimap_red": ("Shuffle", ("trimap",), {"alpha": "red"}),
    "trimap_channel": ("Switch", ("trimap", "trimap_red"), {"which": "{{parent.trimap_channel}}"}),
    "write_trimap": ("Write", ("trimap_channel",), {"channels": "alpha", **WRITE}),
    "segmentation_red": ("Shuffle", ("segmentation",), {"alpha": "red"}),
    "segmentation_channel": (
        "Switch", ("segmentation", "segmentation_red"),
        {"which": "{{parent.segmentation_channel}}"},
    ),
    "write_segmentation": ("Write", ("segmentation_channel",), {"channels": "alpha", **WRITE}),
    "nothing": ("Shuffle", ("plate",), BLACK),
    "result": ("Read", (), READ),
    "missing": ("Read", (), {**READ, "on_error": "error", "before": "hold", "after": "hold"}),
    "live": ("Read", (), {**READ, "on_error": "black", "origset": "false"}),
    "final": (
        "Switch", ("nothing", "result", "missing", "live"),
        {"which": "{{$gui?(parent.is_live&&frame>=live.first&&frame<=live.last?3:"
         "parent.has_result):(parent.has_result&&frame>=result.first&&"
         "frame<=result.last?1:2)}}"},
    ),
    "plate_rest": ("Remove", ("plate",), {"channels": "rgba", "channels2": "fg"}),
    "with_plate": (
        "Merge2", ("plate_rest", "final"),
        {"operation": "plus", "also_merge": "all", "metainput": "All",
         "bbox": "{{parent.tight?2:0}}"},
    ),
    "passed": ("Switch", ("final", "with_plate"), {"which": "{{parent.pass_layers}}"}),
    "straight": ("Shuffle", ("passed",), {"in": "fg", "in2": "rgba", "alpha": "alpha2"}),
    "plate_and_alpha": (
        "Copy", ("passed", "plate"),
        {"from0": "rgba.red", "to0": "rgba.red", "from1": "rgba.green", "to1": "rgba.green",
         "from2": "rgba.blue", "to2": "rgba.blue", "bbox": "{{parent.tight?3:0}}"},
    ),
    "output": ("Switch", ("passed", "straight", "plate_and_alpha"), {"which": "{{parent.output}}"}),
    "view_alpha": ("Shuffle", ("final",), GREY),
    "view_trimap": ("Shuffle", ("trimap_channel",), GREY),
    "checker": (
        "Expression", ("plate",),
        {"expr0": CHECKER, "expr1": CHECKER, "expr2": CHECKER, "expr3": "1"},
    ),
    "over_checker": ("Merge2", ("checker", "final"), {"operation": "over"}),
    "shown": (
        "Switch",
        ("output", "view_alpha", "straight", "plate", "view_trimap", "over_checker"),
        {"which": "{{$gui?parent.view:0}}"},
    ),
    "Output1": ("Output", ("shown",), {}),
}  # fmt: skip

MATTE_TRIMAP: dict[str, tuple[str, tuple[str | None, ...], dict[str, str]]] = {
    "matte": ("Input", (), {}),
    "matte_red": ("Shuffle", ("matte",), {"alpha": "red"}),
    "matte_channel": ("Switch", ("matte", "matte_red"), {"which": "{{parent.matte_channel}}"}),
    "grow": ("Dilate", ("matte_channel",), {"channels": "alpha", "size": "{{parent.outside}}"}),
    "shrink": ("Dilate", ("matte_channel",), {"channels": "alpha", "size": "{{-parent.inside}}"}),
    "bands": (
        "MergeExpression", ("shrink", "grow"),
        {"temp_name0": "low", "temp_expr0": "parent.low", "temp_name1": "high",
         "temp_expr1": "parent.high", "expr3": "(Aa>low ? 0.5 : 0)+(Ba>=high ? 0.5 : 0)"},
    ),
    "grey": ("Shuffle", ("bands",), GREY),
    "Output1": ("Output", ("grey",), {}),
}  # fmt: skip


def own_cards() -> list[ModelCard]:
    """The project's models, without packages that happen to be installed."""
    return [models.card(name) for name in models.own_names()]


def declared(knob: Knob, before: str) -> tuple[Any, ...]:
    """A declared knob as a row of `Expected.own`, by rules written here once more."""
    number = knob.kind in ("float", "int")
    label = (knob.label or knob.name.replace("_", " ")) + (f" ({knob.unit})" if knob.unit else "")
    value = (
        {True: "true", False: "false"}.get(knob.default) if knob.kind == "bool" else knob.default
    )
    if isinstance(value, float):
        value = f"{value:g}"
    return (
        CODES[knob.kind], before + knob.name, label, knob.help,
        ("+STARTLINE",) if knob.kind in ("bool", "int") else (),
        (knob.low, knob.high) if number else None, knob.choices, None, 0, str(value),
    )  # fmt: skip


def _knobs() -> Iterator[tuple[Any, ...]]:
    """Fixed knobs from the writer's list (for their prose), declared ones from the cards."""
    cards = own_cards()
    rows = {knob.name: row(knob) for knob in gizmos._knobs(cards)}
    names = [name for name in rows if not re.match(r"(knob|model|group|end_group)_", name)]
    before_groups = names.index("input_tab")
    for name in names[:before_groups]:
        yield rows[name]
    for card in cards:
        safe = card.name.replace("-", "_")
        if card.knobs:
            yield (20, f"group_{safe}", card.title, "", (), None, (), None, 1, None)
            yield from (declared(knob, f"model_{safe}__") for knob in card.knobs)
            yield (20, f"end_group_{safe}", None, "", (), None, (), None, -1, None)
    yield (20, "group_shared", "Every model", "", (), None, (), None, 1, None)
    yield from (declared(knob, "knob_") for knob in NODE_KNOBS)
    yield (20, "end_group_shared", None, "", (), None, (), None, -1, None)
    for name in names[before_groups:]:
        yield rows[name]


def row(knob: UserKnob) -> tuple[Any, ...]:
    """A knob of the writer as a row of `Expected.own`."""
    value = knob.value.text if isinstance(knob.value, Expression) else knob.value
    limits = None if knob.low is None else (knob.low, knob.high)
    return (
        knob.code, knob.name, knob.label, knob.tooltip, knob.flags, limits, knob.choices,
        knob.script or None, knob.group, value,
    )  # fmt: skip


def matte_node() -> Expected:
    """What MatteNode.gizmo must be."""
    return Expected(
        "MatteNode", ("plate", "trimap", "background", "segmentation"), MATTE_NODE, list(_knobs()),
        {"name": "MatteNode", "help": gizmos.HELP.format(version=__version__),
         "label": "[value state]", "tile_color": "0x4a7a6cff"},
        {"fg": ["fg.red", "fg.green", "fg.blue"]}, CALLS,
    )  # fmt: skip


def matte_trimap() -> Expected:
    """What MatteTrimap.gizmo must be."""
    own = [
        (20, "trimap_tab", "MatteTrimap", "", (), None, (), None, 0, None),
        (4, "matte_channel", "matte is in", "Which channel holds the matte.", (), None,
         ("alpha", "red"), None, 0, "alpha"),
        (7, "outside", "outside (px)", "How far the grey band reaches out of the matte.", (),
         (0, 100), (), None, 0, "10"),
        (7, "inside", "inside (px)", "How far the grey band reaches into the matte.", (),
         (0, 100), (), None, 0, "10"),
        (7, "low", "black below", "Matte up to here counts as background.", (), (0, 1), (), None,
         0, "0.05"),
        (7, "high", "white above", "Matte from here on counts as foreground.", (), (0, 1), (), None,
         0, "0.95"),
    ]  # fmt: skip
    texts = {
        "name": "MatteTrimap", "help": gizmos.TRIMAP_HELP.format(version=__version__),
        "tile_color": "0x5f6f4aff",
    }  # fmt: skip
    return Expected("MatteTrimap", ("matte",), MATTE_TRIMAP, own, texts)
