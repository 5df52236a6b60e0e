# SPDX-License-Identifier: Apache-2.0
"""Flags made from declarations, and those that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from matte_nodes import models
from matte_nodes.card import HINTS, Knob
from matte_nodes.errors import MatteError, UsageError
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.points import from_file, from_flags

Function = TypeVar("Function", bound=Callable[..., Any])

_TYPES = {"float": click.FLOAT, "int": click.INT, "bool": click.BOOL, "text": click.STRING}


def with_knobs(command: click.Command) -> click.Command:
    """Add one flag to a verb for every knob of the node and of every registered model."""
    owners: dict[str, list[str]] = {}
    knobs: dict[str, Knob] = {knob.name: knob for knob in NODE_KNOBS}
    for name in models.names():
        try:
            card = models.card(name)
        except MatteError as error:  # a broken third-party package must not break the others
            click.echo(f"matte: {error}", err=True)
            continue
        for knob in card.knobs:
            knobs.setdefault(knob.name, knob)
            owners.setdefault(knob.name, []).append(name)
    used = {flag for parameter in command.params for flag in parameter.opts}
    for knob in knobs.values():
        whose = f"[{', '.join(owners[knob.name])}] " if knob.name in owners else ""
        unit = f" {knob.unit}" if knob.unit else ""
        # A third party's knob may have the name of a flag of ours.
        flag = knob.flag if knob.flag not in used else f"--knob{knob.flag[1:]}"
        option = click.Option(
            [
                flag,
                *(f"--{alias.replace('_', '-')}" for alias in knob.aliases),
                f"knob_{knob.name}",
            ],
            type=click.Choice(knob.choices) if knob.kind == "choice" else _TYPES[knob.kind],
            default=None,
            help=f"{whose}{knob.help} Default: {knob.default}{unit}.",
        )
        command.params.append(option)
    return command


def given_knobs(options: dict[str, Any]) -> dict[str, Any]:
    """Take the knob values that were given out of a verb's options."""
    found = {key: options.pop(key) for key in list(options) if key.startswith("knob_")}
    return {key[5:]: value for key, value in found.items() if value is not None}


def node_flags(function: Function) -> Function:
    """Flags that choose how a model runs."""
    for option in (
        click.option("--ocio", help="OCIO config: a file or an ocio:// name. Default: $OCIO."),
        click.option("--half", is_flag=True, help="Half precision, for torch networks on a card."),
        click.option("--allow-untrained", "untrained", is_flag=True,
                     help="Run a network that has no weights here with random ones, for tests."),
        click.option("--weights",
                     help="A checkpoint file, for a model that takes one (else the imported one)."),
        click.option("--threads", type=click.IntRange(0), default=0,
                     help="Threads of the network on the CPU; 0 is one less than there are cores, all with a model of stills."),
        click.option("--device", default="auto", show_default=True,
                     help="auto, cpu, cuda, cuda:N, mps or tensorrt: that, or an error."),
    ):  # fmt: skip
        function = option(function)
    return function


def chain_flags(function: Function) -> Function:
    """Flags that put further models before or behind the chosen one."""
    for option in (
        click.option("--segmentation-model", metavar="MODEL",
                     help="A model whose mask is the segmentation."),
        click.option("--refine-width", type=click.FloatRange(0, 1000), default=0.0,
                     show_default=True, help="With --refine: the unknown band, to each side of "
                     "the edge, in pixels of the plate; 0 is 0.75 % of its longer side."),
        click.option("--refine", metavar="MODEL",
                     help="A trimap model that solves the edges of the first one's mattes."),
    ):  # fmt: skip
        function = option(function)
    return function


def input_flags(function: Function) -> Function:
    """Flags for hints and for how the inputs are read."""
    options = [
        click.option(f"--{hint}", help=f"{hint.capitalize()}: a picture, pattern or movie.")
        for hint in HINTS
    ]
    options += [
        click.option("--hint-keys", type=click.Choice(["exact", "hold", "nearest", "only"]),
                     default="exact", show_default=True,
                     help="What a frame between sparse hint frames gets."),
        click.option("--colorspace", help="Colour space of the plate. Default: what the file says, "
                     "else by its kind."),
        click.option("--background-colorspace", help="Colour space of the clean plate."),
        click.option("--missing", type=click.Choice(["error", "hold", "skip"]), default="error",
                     show_default=True, help="What a frame without a file is."),
        click.option("--allow-grey", is_flag=True, help="Matte black-and-white footage."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def points_flags(function: Function) -> Function:
    """Flags for clicks and boxes; `fold_points` makes one hint of them."""
    where = "in pixels of the display window, from its top left corner"
    for option in (
        click.option("--points", metavar="FILE", help="Clicks and boxes from a JSON file."),
        click.option("--box", "boxes", multiple=True, metavar="X0,Y0,X1,Y1[@FRAME]",
                     help=f"A box round the subject, {where}."),
        click.option("--not", "others", multiple=True, metavar="X,Y[@FRAME]",
                     help="A click beside the subject, which takes a part away."),
        click.option("--click", "clicks", multiple=True, metavar="X,Y[@FRAME]",
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


def taken(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take these entries out of a verb's options."""
    return {name: options.pop(name) for name in names}


CHAIN = ("refine", "refine_width", "segmentation_model")
NODE = ("device", "threads", "ocio", "weights", "untrained", "half")
