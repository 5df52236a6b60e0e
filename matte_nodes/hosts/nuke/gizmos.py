# SPDX-License-Identifier: Apache-2.0
"""MatteNode and MatteTrimap as Nuke groups, made from the models that are registered here."""

from __future__ import annotations

from collections.abc import Sequence

from matte_nodes import __version__, models
from matte_nodes.card import HINTS, ModelCard
from matte_nodes.hosts.nuke import knobs as k
from matte_nodes.hosts.nuke.script import Expression, Group, Node, UserKnob, written
from matte_nodes.node.hints import HINT_KINDS

MODULE = "matte_nuke"
COMPATIBILITY = 2
"""As in the plug-in's upkeep.py: raised when its Python needs another inside of the gizmo."""
OUTPUTS = ("premultiplied", "straight", "plate and alpha")
VIEWS = ("final", "alpha", "foreground", "plate", "trimap", "over checker")
HINT_CHANNELS = ("alpha", "red")
BETWEEN = ("hold", "nearest", "only")
TILE, TRIMAP_TILE = "0x4a7a6cff", "0x5f6f4aff"
CACHE = "[file dirname [value root.name]]/matte_nodes"
COLOURS = ("red", "green", "blue")
CHECKER = "(int(floor(x/64))+int(floor(y/64)))%2==0 ? 0.18 : 0.36"

WRITE = {
    "file": "", "proxy": "", "file_type": "exr", "raw": "true", "create_directories": "true",
    "datatype": "16 bit half", "compression": "Zip (1 scanline)", "metadata": "all metadata",
    # A farm that renders every Write of a script must pass these by; the plug-in turns them on.
    "disable": "true",
}  # fmt: skip
# Its name is the message of a render that meets a frame without a matte.
NO_MATTE = "no_matte_for_this_frame__press_Matte_range.exr"
# on_error counts from 0: error, black. A window shows black; a render ends with an error.
READ: dict[str, str | Expression] = {
    "file": NO_MATTE, "proxy": "", "file_type": "exr", "raw": "true",
    "on_error": Expression("$gui?1:0"), "before": "black", "after": "black", "origset": "true",
    "localizationPolicy": "off",
}  # fmt: skip
# A Read has no "error" for frames outside of first..last, so a render takes this Read there.
MISSING: dict[str, str | Expression] = {
    **READ, "on_error": "error", "before": "hold", "after": "hold",
}  # fmt: skip
# Frames of a run that works appear in the window as they come; a render never sees this Read.
LIVE: dict[str, str | Expression] = {**READ, "on_error": "black", "origset": "false"}
COMES = "parent.is_live&&frame>=live.first&&frame<=live.last"
MATTED = "parent.has_result&&frame>=result.first&&frame<=result.last"

HELP = (
    "MatteNode {version}: a matte and its foreground from any matting model.\n\n"
    "Connect the plate, and what the model needs: a trimap, a clean plate (background), a rough "
    "mask (segmentation). Press 'Matte range'. The matting is done by the matte service on this "
    "machine; the node shows what it wrote. Out come premultiplied RGBA and the straight "
    "foreground as layer fg, in the script's working space; the plate's other layers and its "
    "metadata pass through.\n\n"
    "Frames that were not matted are black in the viewer and an error in a render without a "
    "window. A render farm needs no plug-in: the node reads files."
)
TRIMAP_HELP = (
    "MatteTrimap {version}: a trimap from any coarse matte. White is foreground, black is "
    "background, grey is left to the model. The grey band should hold all of the soft edge and "
    "little else."
)


def cards() -> list[ModelCard]:
    """Return the models that the gizmo offers: all that are registered and can be loaded."""
    return models.cards()


def matte_node(known: Sequence[ModelCard]) -> str:
    """Return the text of MatteNode.gizmo for these models."""
    group = Group(
        "MatteNode",
        {
            "name": "MatteNode", "help": HELP.format(version=__version__),
            "label": "[value state]", "tile_color": TILE,
        },
        _knobs(known), {"fg": ("red", "green", "blue")}, _nodes(),
    )  # fmt: skip
    return written(group)


def _button(name: str, label: str, tooltip: str, *, line: bool = False) -> UserKnob:
    return UserKnob(
        k.BUTTON, name, label, tooltip, flags=("+STARTLINE",) if line else (),
        script=f"import {MODULE}; {MODULE}.{name}()",
    )  # fmt: skip


def _knobs(known: Sequence[ModelCard]) -> list[UserKnob]:
    return [
        *_matte_knobs(known),
        *k.declared(known),
        *_input_knobs(),
        UserKnob(k.TAB, "about_tab", "About"),
        UserKnob(k.LINE, "about", "version", script=f"matte-nodes {__version__}"),
    ]


def _matte_knobs(known: Sequence[ModelCard]) -> list[UserKnob]:
    """Return the first tab's knobs: model, range, buttons and states."""
    # Scripts that were saved with an old name go on: a menu refuses what is not in it.
    old = (name for card in known for name in card.old_names)
    names = (k.AUTO, *(card.name for card in known), *old)
    hidden = ("+INVISIBLE",)
    return [
        UserKnob(k.TAB, "matte_tab", "MatteNode"),
        UserKnob(
            k.CHOICE, "model", "model",
            "Which model mattes; auto: the best that can run for what is connected.",
            choices=names, value=k.AUTO,
        ),
        UserKnob(
            k.CHOICE, "view", "view", "What the viewer shows. A render without a window always gets final.",
            choices=VIEWS, value=VIEWS[0],
        ),
        UserKnob(
            k.INT, "first", "range", "First frame of the shot. Models with a memory start here.",
            value=Expression("root.first_frame"),
        ),
        UserKnob(
            k.INT, "last", "to", "Last frame of the shot.", ("-STARTLINE",),
            value=Expression("root.last_frame"),
        ),
        _button("reset_range", "Reset", "Set the range to the frames of the plate."),
        UserKnob(
            k.CHOICE, "output", "output",
            "What the result's rgb is: the foreground premultiplied or straight, or the plate as it "
            "came. Alpha and the layer fg are there in each case.",
            choices=OUTPUTS, value=OUTPUTS[0],
        ),
        UserKnob(k.SWITCH, "pass_layers", "plate's layers",
                 "The plate's other layers and its metadata pass through.", value="true"),
        UserKnob(k.SWITCH, "tight", "tight bbox",
                 "The bounding box is the matte's own: quicker below, but it cuts the plate's layers "
                 "too. Off: it holds the plate's as well.", value="false"),
        _button("matte_frame", "Matte frame", "Matte the frame that is shown.", line=True),
        _button("matte_range", "Matte range", "Matte the range; what is done already stays."),
        _button("cancel", "Cancel", "Stop; frames that are done stay."),
        _button("export_farm_job", "Export farm job",
                "Write an Open Job Description bundle that mattes the range on a farm."),
        _button("reveal_cache", "Reveal cache", "Open the folder of the result."),
        _button("reload", "Reload", "Look at the files again: a farm may have written more."),
        UserKnob(k.TEXT, "state", "state", "How the last run went.", ("+DISABLED", "+STARTLINE")),
        UserKnob(k.TEXT, "error", "last error", "What went wrong, and what to do about it.",
                 ("+DISABLED", "+STARTLINE")),
        UserKnob(k.SWITCH, "has_result", flags=hidden, value="false"),
        UserKnob(k.TEXT, "settings", flags=hidden),
        UserKnob(k.TEXT, "inputs_seen", flags=hidden),
        UserKnob(k.TEXT, "usual_tile", flags=hidden),
        UserKnob(k.TEXT, "run", flags=hidden),
        UserKnob(k.SWITCH, "is_live", flags=hidden, value="false"),
        UserKnob(k.INT, "compatibility", flags=hidden, value=str(COMPATIBILITY)),
    ]  # fmt: skip


def _input_knobs() -> list[UserKnob]:
    """Return the knobs of the tab Inputs."""
    return [
        UserKnob(k.TAB, "input_tab", "Inputs"),
        *(
            UserKnob(
                k.CHOICE, f"{hint}_channel", f"{hint} is in",
                f"Which channel of the input holds the {hint}.", choices=HINT_CHANNELS,
                value=HINT_CHANNELS[0],
            )
            for hint in HINTS if not HINT_KINDS[hint].is_picture
        ),
        *_key_knobs(),
        *_click_knobs(),
        UserKnob(
            k.TEXT, "working_space", "working space",
            "Colour space of the pixels in this script; empty: what the project settings say.",
        ),
        UserKnob(
            k.FILE, "ocio_config", "OCIO config",
            "The config that knows that name; empty: $OCIO, else the project settings.",
        ),
        UserKnob(
            k.SWITCH, "always_render", "always render the inputs",
            "Off: the file of a plain Read is handed over as it is, where that is the same.",
            ("+STARTLINE",), value="false",
        ),
        UserKnob(k.TEXT, "device", "device", "auto, cpu, cuda, cuda:1, mps, tensorrt.",
                 value="auto"),
        UserKnob(
            k.FILE, "cache_folder", "cache",
            "Where results go, a folder for each version, and rendered inputs. Results are removed "
            "by the button beside it alone.",
            value=CACHE,
        ),
        _button("prune", "Remove old results", "Remove results that no node here and no script in "
                "this folder shows, and the kept inputs. It asks first."),
    ]  # fmt: skip


def _key_knobs() -> list[UserKnob]:
    """Return the knobs of hints that are drawn on some frames only."""
    told = "Frames on which the {} is drawn, as in 1001 1012-1014; empty: on every frame."
    return [
        *(
            UserKnob(k.TEXT, f"{hint}_keys", f"{hint} keys", told.format(hint))
            for hint in HINTS if not HINT_KINDS[hint].is_picture
        ),
        _button("keys_of_roto", "From Roto", "Take the frames from the keys of the Rotos above."),
        UserKnob(
            k.CHOICE, "hint_between", "between keys",
            "What a frame without a key gets: the key before it, the nearest, or none (for models "
            "that carry a mask along).", choices=BETWEEN, value=BETWEEN[0],
        ),
    ]  # fmt: skip


def _click_knobs() -> list[UserKnob]:
    """Return the knobs of clicks: for models that select a subject."""
    return [
        UserKnob(
            k.PLACE, "pick", "position",
            "Drag it onto the subject in the viewer, then press a button. It may be animated, or "
            "follow a Tracker.",
        ),
        _button("click_subject", "Subject", "A click on the subject in the frame that is shown.",
                line=True),
        _button("click_not", "Not subject", "A click beside the subject in the frame that is shown."),
        _button("click_along", "Along", "Clicks on the subject along the moving position, every "
                "tenth frame of the range."),
        UserKnob(k.BOX, "box", "box", "Drag its corners round the subject in the viewer, then press "
                 "Box."),
        _button("click_box", "Box", "This box is round the subject in the frame that is shown.",
                line=True),
        _button("clear_clicks", "Clear", "Take all clicks and boxes away."),
        UserKnob(k.TEXT, "click_object", "object", "Name of the object that is clicked on, where "
                 "there are several. Each becomes a layer alpha.NAME."),
        UserKnob(k.TEXT, "clicks", "clicks", "+X,Y@FRAME on the subject, -X,Y@FRAME beside it, "
                 "boxX,Y,R,T@FRAME round it, NAME= in front for several objects; pixels from the lower left corner."),
    ]  # fmt: skip


def _nodes() -> list[Node]:
    which = {hint: f"{hint}_channel" for hint in ("trimap", "segmentation")}
    nodes = [
        Node("Input", name, (), {"number": str(number)} if number else {}, 0, column)
        for number, (name, column) in enumerate(
            {"plate": 2, "trimap": 6, "background": 0, "segmentation": 8}.items()
        )
    ]
    nodes += [
        Node("Write", "write_plate", ("plate",), {"channels": "rgb", **WRITE}, 1, 1),
        Node("Write", "write_background", ("background",), {"channels": "rgb", **WRITE}, 1, 0),
    ]
    for hint, knob in which.items():
        column = 6 if hint == "trimap" else 8
        nodes += [
            Node("Shuffle", f"{hint}_red", (hint,), {"alpha": "red"}, 1, column + 1),
            Node("Switch", knob, (hint, f"{hint}_red"),
                 {"which": Expression(f"parent.{knob}")}, 2, column),
            Node("Write", f"write_{hint}", (knob,), {"channels": "alpha", **WRITE}, 3, column + 1),
        ]  # fmt: skip
    black = dict.fromkeys(("red", "green", "blue", "alpha"), "black")
    grey = dict.fromkeys(("red", "green", "blue"), "alpha")
    nodes += [
        Node("Shuffle", "nothing", ("plate",), black, 1, 3),
        Node("Read", "result", (), READ, 1, 4),
        Node("Read", "missing", (), MISSING, 1, 5),
        Node("Read", "live", (), LIVE, 2, 5),
        Node("Switch", "final", ("nothing", "result", "missing", "live"), {
            "which": Expression(f"$gui?({COMES}?3:parent.has_result):({MATTED}?1:2)"),
        }, 3, 4),
        *_passing_nodes(),
        Node("Shuffle", "view_alpha", ("final",), grey, 6, 4),
        Node("Shuffle", "view_trimap", ("trimap_channel",), grey, 6, 6),
        Node("Expression", "checker", ("plate",),
             {**{f"expr{n}": CHECKER for n in range(3)}, "expr3": "1"}, 4, 1),
        Node("Merge2", "over_checker", ("checker", "final"), {"operation": "over"}, 6, 1),
        Node("Switch", "shown",
             ("output", "view_alpha", "straight", "plate", "view_trimap", "over_checker"),
             {"which": Expression("$gui?parent.view:0")}, 8, 3),
        Node("Output", "Output1", ("shown",), {}, 9, 3),
    ]  # fmt: skip
    return nodes


def _passing_nodes() -> list[Node]:
    """Return the nodes by which the plate's other layers pass, and the choice of the output.

    The plate without rgba and fg, plus the result: each channel comes from one of the two.
    """
    copied = {f"{way}{n}": f"rgba.{c}" for n, c in enumerate(COLOURS) for way in ("from", "to")}
    return [
        Node("Remove", "plate_rest", ("plate",), {"channels": "rgba", "channels2": "fg"}, 2, 3),
        # Numbers of the menu bbox: union, intersection, A, B.
        Node("Merge2", "with_plate", ("plate_rest", "final"), {
            "operation": "plus", "also_merge": "all", "metainput": "All",
            "bbox": Expression("parent.tight?2:0"),
        }, 4, 3),
        Node("Switch", "passed", ("final", "with_plate"),
             {"which": Expression("parent.pass_layers")}, 5, 3),
        Node("Shuffle", "straight", ("passed",),
             {"in": "fg", "in2": "rgba", "alpha": "alpha2"}, 6, 5),
        Node("Copy", "plate_and_alpha", ("passed", "plate"),
             {**copied, "bbox": Expression("parent.tight?3:0")}, 6, 2),
        Node("Switch", "output", ("passed", "straight", "plate_and_alpha"),
             {"which": Expression("parent.output")}, 7, 3),
    ]  # fmt: skip


def matte_trimap() -> str:
    """Return the text of MatteTrimap.gizmo."""
    channels = dict.fromkeys(("red", "green", "blue"), "alpha")
    grown = "(Aa>low ? 0.5 : 0)+(Ba>=high ? 0.5 : 0)"
    group = Group(
        "MatteTrimap",
        {"name": "MatteTrimap", "help": TRIMAP_HELP.format(version=__version__),
         "tile_color": TRIMAP_TILE},
        [
            UserKnob(k.TAB, "trimap_tab", "MatteTrimap"),
            UserKnob(k.CHOICE, "matte_channel", "matte is in", "Which channel holds the matte.",
                     choices=HINT_CHANNELS, value=HINT_CHANNELS[0]),
            UserKnob(k.FLOAT, "outside", "outside (px)",
                     "How far the grey band reaches out of the matte.", low=0.0, high=100.0, value="10"),
            UserKnob(k.FLOAT, "inside", "inside (px)",
                     "How far the grey band reaches into the matte.", low=0.0, high=100.0, value="10"),
            UserKnob(k.FLOAT, "low", "black below", "Matte up to here counts as background.",
                     low=0.0, high=1.0, value="0.05"),
            UserKnob(k.FLOAT, "high", "white above", "Matte from here on counts as foreground.",
                     low=0.0, high=1.0, value="0.95"),
        ],
        {},
        [
            Node("Input", "matte", (), {}, 0, 1),
            Node("Shuffle", "matte_red", ("matte",), {"alpha": "red"}, 1, 2),
            Node("Switch", "matte_channel", ("matte", "matte_red"),
                 {"which": Expression("parent.matte_channel")}, 2, 1),
            Node("Dilate", "grow", ("matte_channel",),
                 {"channels": "alpha", "size": Expression("parent.outside")}, 3, 0),
            Node("Dilate", "shrink", ("matte_channel",),
                 {"channels": "alpha", "size": Expression("-parent.inside")}, 3, 1),
            Node("MergeExpression", "bands", ("shrink", "grow"), {
                "temp_name0": "low", "temp_expr0": "parent.low",
                "temp_name1": "high", "temp_expr1": "parent.high",
                "expr3": grown,
            }, 4, 1),
            Node("Shuffle", "grey", ("bands",), channels, 5, 1),
            Node("Output", "Output1", ("grey",), {}, 6, 1),
        ],
    )  # fmt: skip
    return written(group)


def files(known: Sequence[ModelCard] | None = None) -> dict[str, str]:
    """Return every gizmo by its file name."""
    shown = cards() if known is None else known
    return {"MatteNode.gizmo": matte_node(shown), "MatteTrimap.gizmo": matte_trimap()}
