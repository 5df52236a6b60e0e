# SPDX-License-Identifier: Apache-2.0
"""What a file of tensors was found to be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from matte_nodes.errors import WeightsError

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]


@dataclass(frozen=True)
class Recognition:
    """Which network a set of tensors belongs to, and how to put them into ours.

    model: the library's model id. options: arguments for the network's constructor. layout: who
    wrote the file, in a word or two. names: name in the file -> name in our network; several names
    of the file may mean one tensor of ours (they must then be equal). permutations: our name ->
    axes to transpose by (TensorFlow's order). dropped: names of the file that no answer depends
    on. optional: names of ours that no answer depends on, so that a file may lack them. open:
    options that the tensors cannot tell, with the choices there are; the first is assumed (it may
    have been chosen by the file's name).
    found: one sentence for a person.
    """

    model: str
    options: Mapping[str, Any]
    layout: str
    names: Mapping[str, str]
    found: str
    permutations: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    optional: Callable[[str], bool] = lambda name: name.endswith("num_batches_tracked")
    open: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def decide(self, options: Mapping[str, Any]) -> Recognition:
        """The same with options set by who knows better (a person, or the file's own metadata).

        WeightsError when the network has no such option, or when the tensors themselves say
        otherwise.
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
        """`found`, and what could not be told from the tensors."""
        if not self.open:
            return self.found
        assumed = "; ".join(
            f"{name} = {self.options[name]!r} is assumed (or {', '.join(map(repr, choices[1:]))})"
            for name, choices in self.open.items()
        )
        return f"{self.found} The tensors cannot tell: {assumed}."


def same(first: Any, second: Any) -> bool:
    """Equal as options are: JSON has no tuples, and floats come back a hair off."""
    if isinstance(first, float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=1e-6)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return bool(first == second)


def vote(shapes: Shapes, factors: Mapping[str, int], axis: int = 0) -> int:
    """The base number of channels, by majority: each named tensor says `shape[axis] / factor`.

    One tensor of a wrong shape is outvoted, so that it is reported for what it is. 0 if none of
    the tensors is there.
    """
    said: Counter[int] = Counter()
    for name, factor in factors.items():
        shape = shapes.get(name, ())
        if len(shape) > axis and shape[axis] % factor == 0:
            said[shape[axis] // factor] += 1
    return said.most_common(1)[0][0] if said else 0


def present(shapes: Shapes, names: tuple[str, ...]) -> bool:
    """Half of the marking names or more are there: a damaged file is still known for its kind."""
    return 2 * sum(name in shapes for name in names) >= len(names)


def number(text: float) -> str:
    """0.5, 1, 1.4: as short as it can be said."""
    return f"{text:.4g}"


Detector: TypeAlias = Callable[[Shapes, str], Recognition | None]
"""Shapes under cleaned names, and a hint in lower case (the file's name): a recognition or None."""
