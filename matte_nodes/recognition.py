# SPDX-License-Identifier: Apache-2.0
"""Recognition: finds the network that a file's tensors belong to. Also helpers for detectors."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from matte_nodes.errors import WeightsError

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]


@dataclass(frozen=True)
class Recognition:
    """The network that a set of tensors belongs to, and how to load them into it."""

    options: Mapping[str, Any]
    """Arguments of `Architecture.build`, read from the tensors' shapes."""
    layout: str
    """The name of the project whose tensor names the file has."""
    names: Mapping[str, str]
    """Name in the file -> name in our network. Several names of the file may mean one of our
    tensors; they must then be equal."""
    found: str
    """One sentence for a person."""
    permutations: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Our name -> axes to transpose by (TensorFlow's order)."""
    dropped: frozenset[str] = frozenset()
    """Names in the file of tensors that do not affect the output."""
    optional: Callable[[str], bool] = lambda name: name.endswith("num_batches_tracked")
    """Whether a tensor of ours does not affect the output, so that the file may lack it."""
    model: str = ""
    """The id of the architecture. `checkpoints.recognise` fills it in."""
    open: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Options that the tensors cannot tell, with their allowed values. The first is assumed."""

    def decide(self, options: Mapping[str, Any]) -> Recognition:
        """Return a copy with these options set (by the user, or by the file's metadata).

        Raises WeightsError when the network has no such option, or when the tensors contradict it.
        """
        for name, value in options.items():
            if name in self.open:
                if value not in self.open[name]:
                    choices = ", ".join(map(str, self.open[name]))
                    raise WeightsError(f"{self.model}: {name} is one of {choices}, not {value!r}.")
            elif name not in self.options:
                known = ", ".join(self.options) or "none"
                raise WeightsError(f"{self.model} has no option {name!r} (it has: {known}).")
            elif not same(self.options[name], value):
                raise WeightsError(
                    f"{self.model}: {name} is {self.options[name]!r} by the tensors' shapes, "
                    f"not {value!r}."
                )
        still = {name: choices for name, choices in self.open.items() if name not in options}
        return replace(self, options={**self.options, **options}, open=still)

    @property
    def summary(self) -> str:
        """`found`, and the options that the tensors cannot tell."""
        if not self.open:
            return self.found
        assumed = "; ".join(
            f"{name} = {self.options[name]!r} is assumed (or {', '.join(map(repr, choices[1:]))})"
            for name, choices in self.open.items()
        )
        return f"{self.found} The tensors cannot tell: {assumed}."


def same(first: object, second: object) -> bool:
    """Whether two options are equal. JSON has no tuples, and rounds floats."""
    if isinstance(first, float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=1e-6)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return bool(first == second)


def vote(shapes: Shapes, factors: Mapping[str, int], axis: int = 0) -> int:
    """Return the base number of channels by majority vote: each named tensor votes for
    `shape[axis] / factor`. Return 0 if none of the tensors is there.

    One tensor of a wrong shape is outvoted, so that it can be reported.
    """
    said: Counter[int] = Counter()
    for name, factor in factors.items():
        shape = shapes.get(name, ())
        if len(shape) > axis and shape[axis] % factor == 0:
            said[shape[axis] // factor] += 1
    return said.most_common(1)[0][0] if said else 0


def present(shapes: Shapes, names: tuple[str, ...]) -> bool:
    """Whether half of the names or more are there. A damaged file is then still recognised."""
    return 2 * sum(name in shapes for name in names) >= len(names)


def numbered(shapes: Shapes, pattern: str) -> set[int]:
    """Return the numbers in the one group of a pattern, of the names that begin with it."""
    found = (re.match(pattern, name) for name in shapes)
    return {int(match.group(1)) for match in found if match}


def number(text: float) -> str:
    """Return a number in its shortest form: 0.5, 1, 1.4."""
    return f"{text:.4g}"


Detector: TypeAlias = Callable[[Shapes, str], Recognition | None]
"""Takes shapes by name (prefixes of wrappers removed) and a hint in lower case (the file's name).
Returns a Recognition, or None for another network. Raises WeightsError for a network that is known
and cannot be used."""
