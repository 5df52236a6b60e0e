# SPDX-License-Identifier: Apache-2.0
"""Which further files an ONNX file keeps its weights in."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from matte_nodes.checkpoints.protobuf import fields
from matte_nodes.errors import WeightsError

# onnx.proto: the messages in which a tensor may stand, and the fields that lead to it. A tensor's
# field 13 holds pairs of texts, of which "location" is the name of a file in the same folder.
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "pair"},
}
_DEEPEST = 64


def external_files(path: Path) -> list[Path]:
    """Return the files beside an ONNX file that it reads, sorted; none for a damaged file."""
    found: set[str] = set()
    with path.open("rb") as file:
        if not path.stat().st_size:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            view = memoryview(data)
            try:
                found = set(_locations(view, "model", 0))
            except WeightsError:
                found = set()  # loading it tells what is wrong
            finally:
                view.release()
    return [path.parent / name for name in sorted(found)]


def _locations(data: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise WeightsError("The ONNX file is damaged (it has graphs in graphs without an end).")
    inside = _INSIDE[kind]
    for number, _, content in fields(data):
        within = inside.get(number)
        if within == "pair":
            pair = {n: bytes(text).decode("utf-8", "replace") for n, _, text in fields(content)}
            if pair.get(1) == "location":
                yield pair.get(2, "")
        elif within is not None:
            yield from _locations(content, within, depth + 1)
