# SPDX-License-Identifier: Apache-2.0
"""Reads the fields of a protobuf message, as ONNX files are, without a schema and without torch."""

from __future__ import annotations

from collections.abc import Iterator

from matte_nodes.errors import WeightsError


def varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WeightsError("The ONNX file is damaged or cut short.")
        octet = data[at]
        value |= (octet & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if octet < 0x80:
            return value, at


def fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Field number, number (for varints) and content (for all others) of each field."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
            yield key >> 3, value, data[:0]
            continue
        if wire == 2:
            size, at = varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise WeightsError("The ONNX file is damaged (an unknown wire type).")
        if at + size > len(data):
            raise WeightsError("The ONNX file is damaged or cut short.")
        yield key >> 3, 0, data[at : at + size]
        at += size
