# SPDX-License-Identifier: Apache-2.0
"""The constant tensors of a TensorFlow Lite file.

A FlatBuffers reader of the few parts that are needed (flatbuffers.dev, "Internals"; the tables of
`schema.fbs`: Model, SubGraph, Tensor, Buffer). Every offset is checked against the file's end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import WeightsError

_TYPES: dict[int, np.dtype[np.generic]] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    2: np.dtype("<i4"),
}
# field numbers in the schema
_MODEL_SUBGRAPHS, _MODEL_BUFFERS = 2, 4
_SUBGRAPH_TENSORS = 0
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_BUFFER_DATA = 0


class _Table:
    """One table at an offset of the file."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def _number(self, code: str, at: int) -> int:
        if at < 0:
            raise struct.error("an offset before the file")
        value: int = struct.unpack_from(code, self.data, at)[0]
        return value

    def _field(self, number: int) -> int | None:
        """Return where a field stands; None when the table has not got it."""
        vtable = self.at - self._number("<i", self.at)
        slot = 4 + 2 * number
        if slot >= self._number("<H", vtable):
            return None
        offset = self._number("<H", vtable + slot)
        return self.at + offset if offset else None

    def scalar(self, number: int, code: str) -> int:
        at = self._field(number)
        return 0 if at is None else self._number(code, at)

    def vector(self, number: int, width: int) -> tuple[int, int]:
        """Return where the elements of a vector begin, and how many there are."""
        at = self._field(number)
        if at is None:
            return 0, 0
        start = at + self._number("<I", at)
        count = self._number("<I", start)
        if start + 4 + count * width > len(self.data):
            raise struct.error("a vector goes beyond the end")
        return start + 4, count

    def octets(self, number: int) -> bytes:
        start, count = self.vector(number, 1)
        return self.data[start : start + count]

    def tables(self, number: int) -> Iterator[_Table]:
        start, count = self.vector(number, 4)
        for at in range(start, start + 4 * count, 4):
            yield _Table(self.data, at + self._number("<I", at))


def constants(data: bytes) -> dict[str, NDArray[np.generic]]:
    """Return name -> array of every tensor that has data in the file (32 or 16 bit floats, 32 bit
    integers). Raises WeightsError when it is no such file, or a broken one."""
    if data[4:8] != b"TFL3":
        raise WeightsError("This is no TensorFlow Lite file (its mark TFL3 is missing).")
    try:
        return _constants(data)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise WeightsError(f"The TensorFlow Lite file is damaged: {error}.") from error


def _constants(data: bytes) -> dict[str, NDArray[np.generic]]:
    model = _Table(data, struct.unpack_from("<I", data, 0)[0])
    buffers = list(model.tables(_MODEL_BUFFERS))
    found: dict[str, NDArray[np.generic]] = {}
    for graph in model.tables(_MODEL_SUBGRAPHS):
        for tensor in graph.tables(_SUBGRAPH_TENSORS):
            index = tensor.scalar(_TENSOR_BUFFER, "<I")
            raw = buffers[index].octets(_BUFFER_DATA) if index < len(buffers) else b""
            kind = _TYPES.get(tensor.scalar(_TENSOR_TYPE, "<B"))
            if not raw or kind is None:
                continue
            start, count = tensor.vector(_TENSOR_SHAPE, 4)
            shape = np.frombuffer(data, "<i4", count, start)
            name = tensor.octets(_TENSOR_NAME).decode()
            found[name] = np.frombuffer(raw, kind).reshape(tuple(shape))
    return found
