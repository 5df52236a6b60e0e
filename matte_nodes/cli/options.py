# SPDX-License-Identifier: Apache-2.0
"""Flags made from declarations, and those that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from matte_nodes.cli.knob_flags import ModelName, flag
from matte_nodes.errors import UsageError
from matte_nodes.points import OUTPUTS, PLACE, from_file, from_flags
from matte_nodes.shot.connect_options import Group, Option
from matte_nodes.shot.connect_options import options as connect_options

Function = TypeVar("Function", bound=Callable[..., Any])

OUTPUT, MODEL, INPUT, TIME = "Output", "Model", "Inputs", "Frames and time"
MACHINE, REPORT = "Machine", "Messages"
_HEADINGS: dict[Group, str] = {"input": INPUT, "time": TIME, "output": OUTPUT}


def node_flags(function: Function) -> Function:
    """Flags that choose how a model runs."""
    for option in (
        flag("--ocio", group=INPUT, help="OCIO config: a file or an ocio:// name. Default: $OCIO."),
        flag("--half", group=MACHINE, is_flag=True, help="Half precision, for torch networks on a card."),
        flag("--threads", group=MACHINE, type=click.IntRange(0), metavar="N", default=0,
             help="Threads of the network on the CPU; 0 chooses."),
        flag("--device", group=MACHINE, default="auto", show_default=True,
             help="auto, cpu, cuda, cuda:N, mps or tensorrt: that, or an error."),
        flag("--allow-untrained", "untrained", group=MODEL, is_flag=True,
             help="Run a network that has no weights here with random ones, for tests."),
        flag("--weights", group=MODEL,
             help="A checkpoint file, for a model that takes one (else the imported one)."),
    ):  # fmt: skip
        function = option(function)
    return function


def chain_flags(function: Function) -> Function:
    """Flags that put further models before or behind the chosen one."""
    for option in (
        flag("--segmentation-model", group=MODEL, metavar="MODEL", type=ModelName(),
             help="A model whose mask is the segmentation."),
        flag("--refine-width", group=MODEL, type=click.FloatRange(0, 1000), metavar="PIXELS", default=0.0,
             show_default=True, help="With --refine: half-width of the refined edge, in pixels; "
             "0 is 0.75 % of the plate's longer side."),
        flag("--refine", group=MODEL, metavar="MODEL", type=ModelName(),
             help="A trimap model that solves the edges of the first one's mattes."),
    ):  # fmt: skip
        function = option(function)
    return function


def finish_flags(function: Function) -> Function:
    """Flags for cut-outs: pictures and movies that open anywhere (`media.finish.Finish`)."""
    output = _HEADINGS["output"]
    for option in (
        flag("--objects", group=output, type=click.Choice(OUTPUTS), default="auto", show_default=True,
             help=f"Write several objects as files (with {PLACE} in the output's name), as layers of "
             "an EXR, or as one matte; auto by the output's name."),
        flag("--plate-window", group=output, is_flag=True,
             help="Keep the plate's data window in layout nuke; else it is the matte's."),
        flag("--no-audio", "audio", group=output, is_flag=True, flag_value=False, default=True,
             help="Leave the plate's sound out of movies."),
        flag("--bits", group=output, type=click.Choice(["8", "16"]),
             help="Bits a channel of cut-outs in PNG and TIFF. Default: as the plate has."),
        flag("--square", group=output, is_flag=True, help="Make one still a square, for products."),
        flag("--trim", group=output, metavar="PERCENT", type=click.FloatRange(0, 100),
             help="Cut one still to the subject, with a margin in percent of its longer side."),
        flag("--over", group=output, metavar="COLOUR|PICTURE", default="",
             help="Put the subject over white, #20c0ff, checker, a picture, or blur (its own plate)."),
    ):  # fmt: skip
        function = option(function)
    return function


def connect_flags(*groups: Group, **defaults: Any) -> Callable[[Function], Function]:
    """Flags for the keywords of `MatteNode.connect` in these groups.

    defaults: where a verb has another default than Python.
    """

    def decorate(function: Function) -> Function:
        for option in reversed([*connect_options()]):
            # Clicks and boxes have flags of their own: `points_flags`.
            if option.flag and option.kind != "points" and option.group in groups:
                function = _connect_flag(option, defaults.get(option.name, option.default))(
                    function
                )
        return function

    return decorate


def points_flags(function: Function) -> Function:
    """Flags for clicks and boxes; `fold_points` makes one hint of them."""
    where = "in pixels of the display window, from its top left corner"
    for option in (
        flag("--points", group=_HEADINGS["input"], metavar="FILE", help="Clicks and boxes from a JSON file."),
        flag("--box", "boxes", multiple=True, group=_HEADINGS["input"], metavar="X0,Y0,X1,Y1[@FRAME]",
                     help=f"A box round the subject, {where}."),
        flag("--not", "others", multiple=True, group=_HEADINGS["input"], metavar="X,Y[@FRAME]",
                     help="A click beside the subject, which takes a part away."),
        flag("--click", "clicks", multiple=True, group=_HEADINGS["input"], metavar="X,Y[@FRAME]",
                     help=f"A click on the subject, {where}; without a frame, in the shot's "
                     "first. NAME=X,Y@FRAME names one of several objects."),
    ):  # fmt: skip
        function = option(function)
    return function


def fold_points(options: dict[str, Any]) -> None:
    """Put one hint `points`, as plain data, in the place of the flags for clicks and boxes.

    Raises UsageError for flags beside a file, and for what they say.
    """
    clicks, others, boxes = (options.pop(name) for name in ("clicks", "others", "boxes"))
    path = options.pop("points")
    if path is not None and (clicks or others or boxes):
        raise UsageError("Give the clicks by flags or in a file (--points), not both.")
    if path is not None:
        options["points"] = from_file(path).as_dict()
    elif clicks or others or boxes:
        options["points"] = from_flags(clicks, others, boxes).as_dict()
    else:
        options["points"] = None


def _connect_flag(option: Option, default: Any) -> Callable[[Function], Function]:
    spelling = "--" + option.name.replace("_", "-")
    told: dict[str, Any] = {"group": _HEADINGS[option.group], "help": option.help}
    if option.kind == "switch":
        return flag(spelling, is_flag=True, **told)
    if option.kind == "choice":
        kind = click.Choice(option.choices)
        return flag(spelling, type=kind, default=default, show_default=True, **told)
    if option.kind == "number":
        return flag(spelling, type=click.IntRange(0), metavar="N", **told)
    return flag(spelling, metavar="PATH" if option.kind == "picture" else None, **told)


def connect_keywords(values: dict[str, Any]) -> dict[str, Any]:
    """Take the keywords of `MatteNode.connect` out of a verb's values."""
    return {o.name: values.pop(o.name) for o in connect_options() if o.name in values}


def taken(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take these entries out of a verb's values."""
    return {name: values.pop(name) for name in names}


CHAIN = ("refine", "refine_width", "segmentation_model")
NODE = ("device", "threads", "ocio", "weights", "untrained", "half")
