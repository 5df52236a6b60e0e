# SPDX-License-Identifier: Apache-2.0
"""Recognises to which network tensors belong, by their names and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from matte_nodes.architecture import Architecture
from matte_nodes.errors import WeightsError
from matte_nodes.recognition import Recognition, Shape

# Prefixes that DataParallel, compiled modules and training wrappers add.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "netG.")


def _levels(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield name in the file -> name: as it is, then without one wrapper's prefix, two, ..."""
    cleaned = {name: name for name in names}
    yield cleaned
    stripping = True
    while stripping:
        stripping = False
        for prefix in _PREFIXES:
            having = sum(name.startswith(prefix) for name in cleaned.values())
            # Most of the names: one stray tensor must not change the result.
            if having and 2 * having > len(cleaned):
                cleaned = {name: clean.removeprefix(prefix) for name, clean in cleaned.items()}
                yield cleaned
                stripping = True


def recognise(
    shapes: Mapping[str, Shape], architectures: Iterable[Architecture], hint: str = ""
) -> tuple[Architecture, Recognition]:
    """Return the architecture that these tensors are of, with its options and tensor names.

    shapes: name -> shape, as in the file. architectures: asked in this order; the first that
    recognises the tensors is returned. hint: other words about the file (its name); a detector
    uses it only where the tensors cannot tell. Raises WeightsError when no architecture recognises
    the tensors; it gives the reason of a detector that knows the network and cannot use it.
    """
    if not shapes:
        raise WeightsError("The file contains no tensors.")
    refusal: WeightsError | None = None
    levels = list(_levels(shapes))
    for architecture in architectures:
        for cleaned in levels:
            plain = {cleaned[name]: tuple(shape) for name, shape in shapes.items()}
            try:
                found = architecture.detect(plain, hint.lower())
            except WeightsError as error:
                # Another architecture may still be the right one.
                refusal = refusal or error
                continue
            if found is not None:
                named = _under_file_names(found, cleaned)
                return architecture, replace(named, model=architecture.id)
    if refusal is not None:
        raise refusal
    some = ", ".join(sorted(shapes)[:4])
    raise WeightsError(
        f"The {len(shapes)} tensors ({some}, ...) belong to no network that is installed. Install "
        "the package of its network, or run an ONNX file of it: `--model FILE.onnx` (docs/onnx.md)."
    )


def _under_file_names(found: Recognition, cleaned: Mapping[str, str]) -> Recognition:
    return replace(
        found,
        names={n: found.names[c] for n, c in cleaned.items() if c in found.names},
        dropped=frozenset(n for n, c in cleaned.items() if c in found.dropped),
    )
