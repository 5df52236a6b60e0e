# SPDX-License-Identifier: Apache-2.0
"""Several objects in an output: a file for each, a layer for each, or their union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from matte_nodes.errors import OutputError
from matte_nodes.media.layouts import LAYOUTS, OutputFrame, object_name
from matte_nodes.points import OUTPUTS, PLACE, as_points
from matte_nodes.temporal.digest import digest


@dataclass(frozen=True)
class ObjectFiles:
    """The files of one object, or those of the whole matte."""

    name: str
    """The object; "" for all of them together."""
    output: str
    """The name of its files, as an output is named."""
    layers: tuple[str, ...]
    """The objects that its files hold by name."""

    @property
    def texts(self) -> dict[str, str]:
        """The texts that only these files hold."""
        return {"matte/object": self.name} if self.name else {}

    def key(self, key: str) -> str:
        """Return the key of these files of a frame. That of all objects is the frame's own."""
        return digest(key, self.name) if self.name else key

    def frame(self, whole: OutputFrame) -> OutputFrame:
        """Return what its file of a frame holds: the object's share as alpha, a half.

        The straight foreground is that of the whole matte.
        """
        extras = {
            name: extra
            for name, extra in whole.extras.items()
            if object_name(name) in ("", *self.layers)
        }
        alpha = whole.extras.get(f"alpha.{self.name}")
        if alpha is None:  # of all objects; one object alone is the whole matte
            return replace(whole, extras=extras)
        rounded = np.asarray(alpha, np.float16).astype(np.float32)
        return replace(whole, alpha=rounded, extras=extras)


def named(output: str, name: str) -> str:
    """Return an output's name for one object."""
    return output.replace(PLACE, name)


def outputs(output: str, points: object) -> list[str]:
    """Return the names of all files that a request writes: one a object, where the name asks so."""
    if PLACE not in output or points is None:
        return [output]
    return [named(output, name) for name in as_points(points).names]


def object_files(
    output: str, layout: str, names: Sequence[str], asked: str
) -> tuple[ObjectFiles, ...]:
    """Return what is written: one entry, or one for each object.

    layout: a name of LAYOUTS. names: of the objects; empty without points. asked: one of OUTPUTS.
    Raises OutputError where name, layout and `asked` do not fit.
    """
    if asked not in OUTPUTS:
        raise OutputError(f"Objects are written as {', '.join(OUTPUTS)}, not as {asked!r}.")
    has_place = PLACE in output
    if has_place and not names:
        raise OutputError(
            f"{output}: {PLACE} stands for the name of an object, but no object was chosen. Click on "
            f"one (--click NAME=X,Y@FRAME), or take {PLACE} out of the name."
        )
    if has_place and asked in ("layers", "union"):
        raise OutputError(
            f"{output}: {PLACE} makes a file for each object. Take it out of the name, or leave "
            f"--objects {asked} out."
        )
    if asked == "files" and not has_place:
        raise OutputError(
            f"{output}: There is no place for the name of the object. Put {PLACE} there, as in "
            f"{example(output)}."
        )
    held = LAYOUTS[layout].objects
    if asked == "layers" and held != "layers":
        fit = ", ".join(name for name, one in LAYOUTS.items() if one.objects == "layers")
        raise OutputError(
            f"{output}: Layout {layout} has no layers for objects. Use one of {fit}, as EXR."
        )
    if has_place:
        # A Cryptomatte is nothing without names.
        return tuple(
            ObjectFiles(name, named(output, name), (name,) if layout == "cryptomatte" else ())
            for name in names
        )
    if asked == "auto" and held == "one" and len(names) > 1:
        raise OutputError(
            f"{output}: There are {len(names)} objects ({', '.join(names)}), and layout {layout} has "
            f"one matte in a file. Put {PLACE} in the name for a file each, as in "
            f"{example(output)}; write EXR for layers; or write all of them as one matte "
            "(--objects union)."
        )
    return (ObjectFiles("", output, () if asked == "union" else tuple(names)),)


def example(output: str) -> str:
    """Return the output's name with a place for the object's name."""
    path = Path(output)
    first, dot, rest = path.name.partition(".")
    return str(path.with_name(f"{first}.{PLACE}{dot}{rest}"))
