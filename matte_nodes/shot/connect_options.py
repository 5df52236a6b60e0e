# SPDX-License-Identifier: Apache-2.0
"""ConnectOptions: all options for connecting clips to a node, declared once.

`MatteNode.connect`, the flags of `matte run`, the types that the service checks and the tables in
docs/ are made from these fields.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar, get_args

from matte_nodes.errors import UsageError
from matte_nodes.media.protocol import Missing
from matte_nodes.node.hints import HintKeys, KeyMode
from matte_nodes.temporal.cache_modes import MODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.media.clip import Clip
    from matte_nodes.shot.shot import Shot
    from matte_nodes.temporal.cache import Cache

    HintSource: TypeAlias = (
        str | os.PathLike[str] | Clip | Shot | NDArray[Any] | Mapping[int, Any] | HintKeys[Any]
    )
    PlateSource: TypeAlias = str | os.PathLike[str] | Clip | Shot | NDArray[Any] | Sequence[Any]

Kind = Literal["picture", "points", "text", "choice", "switch", "number"]
Group = Literal["input", "time", "output"]

_OPTION = "option"


@dataclass(frozen=True)
class Option:
    """An option as flags, service requests and docs show it."""

    help: str
    """What it does, in a sentence or two, for people."""

    kind: Kind
    """picture: a path or {frame: path}.

    points: clicks and boxes. The others: a text, one of the choices, a switch, a whole
    number."""

    group: Group
    """What it is about: which pictures come in, which frames in time, what goes out."""

    choices: tuple[str, ...] = ()
    """The values of a choice."""

    flag: bool = True
    """The command line has a flag for it."""

    request: bool = True
    """A request to the service may hold it among its `connect`."""

    name: str = ""
    """The keyword."""

    default: Any = None
    """The value when none is given."""


def _told(help: str, kind: Kind, group: Group, **more: Any) -> dict[str, Option]:
    return {_OPTION: Option(help, kind, group, **more)}


@dataclass(frozen=True, eq=False)
class ConnectOptions:
    """The plate, its hints, and how both are read.

    Each field is an argument of `MatteNode.connect`.

    Hints are given as the plate is, or as {frame: picture}. cache may also be a
    `temporal.cache.Cache`, which may serve many shots; None is off.

    Raises UsageError for a value that is not one of a field's choices.
    """

    plate: PlateSource
    """A pattern (plate.####.exr), movie, folder, still, array, list of arrays, Clip or Shot."""

    _: KW_ONLY

    trimap: HintSource | None = field(default=None, metadata=_told(
        "Trimap: black is background, white is subject, grey is left to the model.",
        "picture", "input",
    ))  # fmt: skip

    background: HintSource | None = field(default=None, metadata=_told(
        "Clean plate: the same place without the subject.", "picture", "input",
    ))  # fmt: skip

    segmentation: HintSource | None = field(default=None, metadata=_told(
        "Rough mask of the subject: it bounds the matte.", "picture", "input",
    ))  # fmt: skip

    points: Any = field(default=None, metadata=_told(
        "Clicks and boxes that say which subject is meant, in pixels of the display window from "
        "its "
        "top left corner: a JSON file, or {frame: [(x, y, True)]} (docs/points.md).",
        "points", "input",
    ))  # fmt: skip

    layer: str = field(default="", metadata=_told(
        "Layer, part or channel of the plate's file, by its name. Default: the picture.",
        "text", "input",
    ))  # fmt: skip

    stereo_view: str = field(default="", metadata=_told(
        "View of a stereo file, as left or right. Default: its first.", "text", "input",
    ))  # fmt: skip

    trimap_layer: str = field(default="", metadata=_told(
        "Layer, part or channel of the trimap's file, by its name.", "text", "input",
    ))  # fmt: skip

    background_layer: str = field(default="", metadata=_told(
        "Layer or part of the clean plate's file, by its name.", "text", "input",
    ))  # fmt: skip

    segmentation_layer: str = field(default="", metadata=_told(
        "Layer, part or channel of the segmentation's file, by its name.", "text", "input",
    ))  # fmt: skip

    hint_offset: int | str | None = field(default=None, metadata=_told(
        "What is added to the hints' numbers to get the plate's; first: the hint's first frame is "
        "the plate's first.",
        "text", "input",
    ))  # fmt: skip

    strict: bool = field(default=False, metadata=_told(
        "Assume nothing: what the inputs leave open is an error.", "switch", "input",
    ))  # fmt: skip

    rate: str | float | None = field(default=None, metadata=_told(
        "Frames a second of the plate, as in 25, 23.976 or 24000/1001. Default: what its files "
        "say.",
        "text", "time",
    ))  # fmt: skip

    hint_keys: str = field(default="exact", metadata=_told(
        "What a frame without a hint of its own gets: an error (exact), the hint before it (hold), "
        "the nearest, or none (only). A single picture serves every frame.",
        "choice", "input", choices=get_args(KeyMode),
    ))  # fmt: skip

    colorspace: str | None = field(default=None, metadata=_told(
        "Colour space of the plate. Default: what the file says, else by its kind.",
        "text", "input",
    ))  # fmt: skip

    background_colorspace: str | None = field(default=None, metadata=_told(
        "Colour space of the clean plate. Default: as for the plate.", "text", "input",
    ))  # fmt: skip

    missing: str = field(default="error", metadata=_told(
        "What a frame without a file is: an error, the frame before it (hold), or left out (skip).",
        "choice", "input", choices=get_args(Missing),
    ))  # fmt: skip

    allow_grey: bool = field(default=False, metadata=_told(
        "Matte black-and-white footage.", "switch", "input",
    ))  # fmt: skip

    output_colorspace: str | None = field(default=None, metadata=_told(
        "Colour space of the foreground. Default: the linear counterpart of the plate's.",
        "text", "output", request=False,
    ))  # fmt: skip

    encoded: bool | Literal["video", "screen"] = field(default=False, metadata=_told(
        "The foreground goes back to the plate's own encoding, as 8-bit files need it. That of a "
        "linear plate is BT.709 with video, as movies need it, and sRGB with screen.",
        "switch", "output", flag=False, request=False,
    ))  # fmt: skip

    cache: Cache | str | None = field(default="memory", metadata=_told(
        "What is kept: the newest states and mattes in memory (memory); also states on disk to go "
        "on from (states); also predictions and mattes on disk (disk); nothing (off).",
        "choice", "time", choices=MODES,
    ))  # fmt: skip

    cuts: Iterable[int] | str = field(default=(), metadata=_told(
        "First frames of new takes, as in 1012,1100, or auto to find them. Memory starts anew "
        "there.",
        "text", "time",
    ))  # fmt: skip

    warm_up: int | None = field(default=None, metadata=_told(
        "Models with a memory start this many frames before the first wanted frame, not at the "
        "shot's first: quicker on a farm, not exact (docs/caching.md).",
        "number", "time",
    ))  # fmt: skip

    start: int | None = field(default=None, metadata=_told(
        "With warm_up: the first wanted frame. Frames before it are then not available.",
        "number", "time", flag=False,
    ))  # fmt: skip

    def __post_init__(self) -> None:
        for option in options():
            value = getattr(self, option.name)
            if isinstance(value, str) and option.choices and value not in option.choices:
                raise UsageError(
                    f"{option.name} is one of {', '.join(option.choices)}, not {value!r}."
                )


def options() -> Iterator[Option]:
    """Yield the declarations of all keywords but `plate`, in their order."""
    for item in fields(ConnectOptions):
        if _OPTION in item.metadata:
            told: Option = item.metadata[_OPTION]
            yield replace(told, name=item.name, default=item.default)


Self = TypeVar("Self")
Given = ParamSpec("Given")
Options = TypeVar("Options")
Answer = TypeVar("Answer")


def takes(
    options: Callable[Given, Options],
) -> Callable[[Callable[[Self, Options], Answer]], Callable[Concatenate[Self, Given], Answer]]:
    """Give a method the arguments of `options`, for people and type checkers.

    It gets the object.
    """

    def decorate(
        method: Callable[[Self, Options], Answer],
    ) -> Callable[Concatenate[Self, Given], Answer]:
        @wraps(method)
        def taking(self: Self, /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
            return method(self, options(*args, **kwargs))

        own = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
        whole = signature(options)
        taking.__signature__ = whole.replace(  # type: ignore[attr-defined]
            parameters=[own, *whole.parameters.values()],
            return_annotation=signature(method).return_annotation,
        )
        return taking

    return decorate
