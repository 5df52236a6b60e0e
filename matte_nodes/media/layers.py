# SPDX-License-Identifier: Apache-2.0
"""Finds the channels of a file that hold the picture or the mask (EXR parts, layers and views).

A layer is what stands before the last dot of a channel's name (`ViewLayer.Combined.R`), or the
name of a part. One that is named is taken or an error. Without a name the picture is R, G, B
without a layer; else the one layer or part with R, G, B; else the one among several whose name
says that it is the picture (`rgba`, `beauty`, `Combined`, Houdini's `C`). A mask is the file's only
channel, a channel A or Y without a layer, or the one layer of one channel. Where two could be
meant, an error lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from matte_nodes.errors import MediaError

Purpose = Literal["picture", "mask"]

_COLOUR = (("R", "G", "B"), ("r", "g", "b"), ("red", "green", "blue"), ("Red", "Green", "Blue"))
_ALPHA = ("A", "a", "alpha", "Alpha")
_GREY = ("Y", "y", "I", "L", "V", "v")
_PICTURES = (
    "rgba",
    "rgb",
    "beauty",
    "combined",
    "c",
    "main",
    "default",
    "color",
    "colour",
    "image",
)
# Passes that hold directions, places, distances or numbers, by the last word of their names.
_DATA = {
    "n", "normal", "normals", "worldnormal", "p", "position", "pworld", "worldposition", "z",
    "depth", "worlddepth", "motion", "motionvector", "motionvectors", "velocity", "vector", "uv",
    "st", "id", "objectid", "materialid", "variance",
}  # fmt: skip
_VECTORS = {"x", "X", "u", "U"}
_DEPTHS = ("Z", "z", "ZBack", "depth", "Depth")
_NO_MASKS = (*_DEPTHS, "U", "X", "u", "x", "id", "ID")


@dataclass(frozen=True)
class Part:
    """One part (subimage) of a file."""

    index: int
    name: str
    """"" where the file has one part without a name."""
    view: str
    """The view it belongs to, "" when it does not say."""
    channels: tuple[str, ...]


@dataclass(frozen=True)
class ChosenChannels:
    """Channels to read."""

    part: int
    indices: tuple[int, ...]
    """Places of the channels in the part."""
    channels: tuple[str, ...]
    """What they are: R, G, B and A; or Y and A; or Y."""
    said: str
    """How to name them to a user: "C", "ViewLayer.Combined", "red of mask"; "" for R, G, B."""
    others: tuple[str, ...] = ()
    """Further masks in the file, by the names that choose them."""


@dataclass(frozen=True)
class _Group:
    """The channels of one layer of one part, by the last part of their names."""

    part: Part
    prefix: str
    view: str
    own: dict[str, int]
    alone: bool = True
    """Whether the file has one part."""

    @property
    def name(self) -> str:
        return self.prefix or self.part.name

    @property
    def is_root(self) -> bool:
        return not self.prefix

    @property
    def is_main(self) -> bool:
        """Whether these are the file's main channels: without a layer name, in no other named part."""
        return not self.prefix and (self.alone or not self.part.name or self.is_picture())

    def colour(self) -> tuple[int, ...] | None:
        for names in _COLOUR:
            if all(name in self.own for name in names):
                return tuple(self.own[name] for name in names)
        return None

    def alpha(self) -> int | None:
        return next((self.own[name] for name in _ALPHA if name in self.own), None)

    def grey(self) -> int | None:
        if set(self.own) & _VECTORS:  # N.x, N.y, N.z; uv.U, uv.V
            return None
        return next((self.own[name] for name in _GREY if name in self.own), None)

    def is_picture(self) -> bool:
        last = self.name.rpartition(".")[2].lower()
        return last in _PICTURES

    def is_data(self) -> bool:
        last = self.name.rpartition(".")[2].lower()
        return last in _DATA or last.rpartition("_")[2] in _DATA

    def is_mask(self) -> bool:
        if len(self.own) != 1:
            return False
        return not set(self.own) & set(_NO_MASKS)

    def mask_name(self) -> str:
        name = next(iter(self.own))
        return f"{self.name}.{name}" if self.name else name


def choose(
    parts: Sequence[Part],
    *,
    layer: str = "",
    view: str = "",
    views: Sequence[str] = (),
    purpose: Purpose = "picture",
) -> ChosenChannels:
    """Return the channels of a file to read.

    views: the file's own list of views, its first being the one whose channels name no view.
    Raises MediaError that lists what there is when nothing or more than one thing fits.
    """
    groups = _groups(parts, views)
    if purpose == "mask" and not any(group.view for group in groups):
        view = ""  # a mask without views serves every view of the plate
    groups = _of_view(groups, view, views)
    if layer:
        return _named(groups, layer)
    if purpose == "mask":
        return _mask(groups)
    return _picture(groups)


def _groups(parts: Sequence[Part], views: Sequence[str]) -> list[_Group]:
    found: list[_Group] = []
    for part in parts:
        by_prefix: dict[str, dict[str, int]] = {}
        for index, channel in enumerate(part.channels):
            prefix, _, last = channel.rpartition(".")
            by_prefix.setdefault(prefix, {})[last] = index
        for prefix, own in by_prefix.items():
            named = [name for name in prefix.split(".") if name in views]
            plain = prefix
            if named:  # "right.R" or "diffuse.right.R": the layer is what is left
                plain = ".".join(name for name in prefix.split(".") if name not in views)
            view = part.view or (named[-1] if named else (views[0] if views else ""))
            found.append(_Group(part, plain, view, own, len(parts) == 1))
    return found


def _of_view(groups: list[_Group], view: str, views: Sequence[str]) -> list[_Group]:
    there = list(dict.fromkeys([*views, *(group.view for group in groups if group.view)]))
    if view:
        kept = [group for group in groups if group.view == view]
        if not kept and not there:  # a file without views: the name may be a layer's
            kept = [group for group in groups if view in group.prefix.split(".")]
        if not kept:
            has = f"its views are {', '.join(there)}" if there else "it has no views"
            raise MediaError(f"the file has no view {view!r}; {has}.")
        return kept
    return [group for group in groups if not there or group.view in ("", there[0])]


def _named(groups: list[_Group], layer: str) -> ChosenChannels:
    matching = [
        group
        for group in groups
        if layer in (group.prefix, group.part.name, f"{group.part.name}.{group.prefix}")
    ]
    exact = [group for group in matching if group.prefix in (layer, "")] or matching
    for group in exact:
        choice = _of_group(group, group.name)
        if choice is not None:
            return choice
    for group in groups:  # one channel by its whole name: mask.a
        for name, index in group.own.items():
            whole = f"{group.prefix}.{name}" if group.prefix else name
            if layer in (whole, f"{group.part.name}.{whole}"):
                return ChosenChannels(group.part.index, (index,), ("Y",), layer)
    if exact:
        inside = ", ".join(_channels(exact))
        raise MediaError(f"the layer {layer!r} has several channels; name one of them: {inside}.")
    raise MediaError(f"the file has no layer {layer!r}; it has {_listed(groups)}.")


def _of_group(group: _Group, said: str) -> ChosenChannels | None:
    """Return the colour and alpha of a layer, its grey, its alpha, or its only channel."""
    colour, alpha, grey = group.colour(), group.alpha(), group.grey()
    part = group.part.index
    if colour is not None:
        if alpha is None:
            return ChosenChannels(part, colour, ("R", "G", "B"), said)
        return ChosenChannels(part, (*colour, alpha), ("R", "G", "B", "A"), said)
    if grey is not None and alpha is not None:
        return ChosenChannels(part, (grey, alpha), ("Y", "A"), said)
    for one in (grey, alpha):
        if one is not None:
            return ChosenChannels(part, (one,), ("Y",), said)
    if len(group.own) == 1:
        return ChosenChannels(part, tuple(group.own.values()), ("Y",), said)
    return None


def _picture(groups: list[_Group]) -> ChosenChannels:
    coloured = [group for group in groups if group.colour() is not None]
    for those in (
        [group for group in coloured if group.is_root],
        coloured,
    ):
        if those:
            group = _the_one(those, groups)
            if group.is_data():
                raise MediaError(
                    f"its only picture is {group.name!r}, which is data by its name, not colours; "
                    f"name it to take it (--layer {group.name}, for a hint --segmentation-layer and the like)."
                )
            return _choice(group, group.name if len(groups) > 1 or group.name else "")
    for group in groups:
        if group.is_root and (choice := _of_group(group, group.name)) is not None:
            return choice
    masks = [group for group in groups if group.is_mask()]
    if len(masks) == 1:
        return _choice(masks[0], masks[0].mask_name())
    if len(groups) == 1 and (choice := _of_group(groups[0], groups[0].name)):
        return choice
    raise MediaError(
        f"the file has no R, G, B and no grey channel; it has {_listed(groups)}; name a layer "
        "(--layer)."
    )


def _choice(group: _Group, said: str) -> ChosenChannels:
    found = _of_group(group, said)
    assert found is not None
    return found


def _the_one(those: list[_Group], groups: list[_Group]) -> _Group:
    if len(those) == 1:
        return those[0]
    named = [group for group in those if group.is_picture()]
    plain = [group for group in those if not group.name]
    for chosen in (named, plain):
        if len(chosen) == 1:
            return chosen[0]
    raise MediaError(
        f"the file has more than one picture: {', '.join(_names(those))}; name one of them "
        "(--layer, for a hint --segmentation-layer and the like; --stereo-view)."
    )


def _mask(groups: list[_Group]) -> ChosenChannels:
    masks = [group for group in groups if group.is_mask()]
    coloured = [group for group in groups if group.colour() is not None]
    names = tuple(group.mask_name() for group in masks)
    root = [group for group in groups if group.is_main and group.colour() is None]
    for group in root:
        if group.alpha() is not None or group.grey() is not None:
            only = len(groups) == 1 and len(group.own) == 1
            choice = _of_group(group, "" if only else next(iter(group.own)))
            assert choice is not None
            return choice
    if len(masks) == 1 and (not coloured or all(not g.is_root for g in coloured)):
        with_alpha = [group for group in coloured if group.alpha() is not None]
        if not with_alpha:
            return _choice(masks[0], names[0])
    if coloured:
        group = _the_one([g for g in coloured if g.is_root] or coloured, groups)
        found = _choice(group, group.name)
        return ChosenChannels(found.part, found.indices, found.channels, found.said, names)
    if len(groups) == 1 and len(groups[0].own) == 1 and not set(groups[0].own) & set(_DEPTHS):
        return _choice(groups[0], groups[0].mask_name())
    raise MediaError(
        f"it is not clear which channel is the mask. The file has {_listed(groups)}; name one of "
        "them "
        "(--segmentation-layer, --trimap-layer)."
    )


def _names(groups: Iterable[_Group]) -> list[str]:
    names = []
    for group in groups:
        name = group.name or "R, G, B without a layer"
        if group.prefix and group.part.name not in ("", group.prefix):
            name = f"{group.part.name}.{group.prefix}"
        names.append(name)
    return list(dict.fromkeys(names))


def _channels(groups: Iterable[_Group]) -> list[str]:
    return [f"{g.name}.{name}" if g.name else name for g in groups for name in g.own]


def _listed(groups: Sequence[_Group]) -> str:
    """Return all channels by their whole names, the first two dozen."""
    names = _channels(groups)
    return ", ".join(names[:24]) + (f" and {len(names) - 24} more" if len(names) > 24 else "")
