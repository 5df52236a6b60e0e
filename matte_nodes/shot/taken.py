# SPDX-License-Identifier: Apache-2.0
"""Describes in words what was read from each input of a shot, and each assumption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from matte_nodes.errors import InputError


@dataclass(frozen=True)
class Taken:
    """One input of a shot."""

    name: str
    """plate, trimap, background or segmentation."""
    what: str
    """Which channels of which file, without folders: "C of beauty.####.exr"."""
    space: str = ""
    """The colour space and how it is known; "" for masks."""
    assumptions: tuple[str, ...] = ()
    """What the file leaves open and how it was taken; a sentence each."""
    unsaid: tuple[str, ...] = ()
    """The same for what `space` tells already, and what most files leave open."""

    @property
    def line(self) -> str:
        """ "plate: C of beauty.####.exr, ACEScg (by its tag)"."""
        return f"{self.name}: {', '.join(filter(None, (self.what, self.space)))}"

    def facts(self) -> dict[str, object]:
        """Return the same for machines."""
        return {
            "input": self.name,
            "taken": self.what,
            "space": self.space,
            "assumptions": [*self.assumptions, *self.unsaid],
        }


def line(inputs: Iterable[Taken]) -> str:
    """One line for all inputs."""
    return "; ".join(taken.line for taken in inputs)


def check_strict(inputs: Iterable[Taken]) -> None:
    """Raise InputError that lists all assumptions, where there are any."""
    found = [text for taken in inputs for text in (*taken.assumptions, *taken.unsaid)]
    if found:
        raise InputError(
            f"--strict allows no assumptions, but {'; '.join(found)}. Choose these explicitly, or run "
            "without --strict."
        )


def space_text(space: str, told: str | None, said: str) -> tuple[str, tuple[str, ...]]:
    """Return a colour space and how it is known, for `Taken.space`, and what was assumed.

    space: the name in the OCIO config. told: what the user named. said: what the file says.
    """
    if told:
        return f"{space} (as told)", ()
    if said:
        return f"{space} (by its tag)", ()
    return (
        f"{space} (assumed, the file does not say)",
        (f"the file does not say its colour space and {space} was taken (--colorspace)",),
    )


def texts(inputs: Iterable[Taken]) -> Mapping[str, str]:
    """Provenance: what was taken, for the metadata of each file."""
    found = list(inputs)
    facts = {"matte/inputs": line(found)}
    assumed = [text for taken in found for text in taken.assumptions]
    if assumed:
        facts["matte/assumed"] = "; ".join(assumed)
    return facts
