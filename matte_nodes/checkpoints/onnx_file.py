# SPDX-License-Identifier: Apache-2.0
"""Reads the tensors of an ONNX file, and undoes the folding of PyTorch's exporter.

A Protocol Buffers reader of the few messages that are needed (protobuf.dev, "Encoding"; field
numbers of onnx.proto), so that reading weights needs no package.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matte_nodes.checkpoints.protobuf import fields, varint
from matte_nodes.errors import WeightsError

Convolutions: TypeAlias = Sequence[Sequence[str]]
"""The names of the inputs of each convolution (picture, weight, bias), in the file's order."""

_TYPES: dict[int, np.dtype[np.generic]] = {
    1: np.dtype("<f4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}
_HALF = 10
# onnx.proto: ModelProto.graph, GraphProto.node and .initializer, NodeProto.input and .op_type,
# TensorProto.dims, .data_type, .float_data, .name, .raw_data, .data_location
_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_INPUT, _OUTPUT, _OP_TYPE = 1, 2, 4
_GRAPH_INPUT, _GRAPH_OUTPUT = 11, 12
# ValueInfoProto.name, .type; TypeProto.tensor_type; its .elem_type, .shape; its .dim; of it
# .dim_value, .dim_param
_VALUE_NAME, _VALUE_TYPE, _TENSOR, _ELEMENT, _SHAPE, _DIM, _SIZE, _WORD = 1, 2, 1, 1, 2, 1, 1, 2
_DIMS, _DATA_TYPE, _FLOAT_DATA, _NAME, _RAW_DATA, _LOCATION = 1, 2, 4, 8, 9, 14


def _text(data: memoryview) -> str:
    return bytes(data).decode(errors="replace")


def _tensor(data: memoryview) -> tuple[str, NDArray[np.generic] | None]:
    """Return name and values of a TensorProto; None for a type that holds no weights."""
    name, kind, dims, raw = "", 0, [], memoryview(b"")
    for number, value, content in fields(data):
        if number == _DIMS and content:
            at = 0
            while at < len(content):
                size, at = varint(content, at)
                dims.append(size)
        elif number == _DIMS:
            dims.append(value)
        elif number == _DATA_TYPE:
            kind = value
        elif number == _NAME:
            name = _text(content)
        elif number in (_RAW_DATA, _FLOAT_DATA) and content:
            raw = content
        elif number == _LOCATION and value:
            raise WeightsError(
                "The ONNX file keeps its weights in a second file, which is not supported. Save "
                "it again as one file."
            )
    if kind not in _TYPES:
        return name, None
    try:
        return name, np.frombuffer(raw, _TYPES[kind]).reshape(dims)
    except ValueError as error:
        raise WeightsError(f"The ONNX file is damaged at {name!r}: {error}.") from error


def initializers(data: bytes) -> tuple[dict[str, NDArray[np.generic]], list[list[str]]]:
    """Return name -> array of every initializer, and the inputs' names of every convolution in
    order.
    """
    found: dict[str, NDArray[np.generic]] = {}
    convolutions: list[list[str]] = []
    for number, _, graph in fields(memoryview(data)):
        if number != _GRAPH:
            continue
        for part, _, content in fields(graph):
            if part == _INITIALIZER:
                name, array = _tensor(content)
                if array is not None:
                    found[name] = array
            elif part == _NODE:
                node = list(fields(content))
                if any(n == _OP_TYPE and _text(text) == "Conv" for n, _, text in node):
                    convolutions.append([_text(text) for n, _, text in node if n == _INPUT])
    if not found:
        raise WeightsError("There are no weights in the ONNX file.")
    return found, convolutions


@dataclass(frozen=True)
class Port:
    """An input or output of an ONNX file: its sides (0 where they are free), and words for those."""

    name: str
    sides: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    half: bool = False


@dataclass(frozen=True)
class Signature:
    """What an ONNX file takes and gives, and the names of its tensors. No tensor is read.

    last: by output, the operator that makes it (a cast after it is looked through).
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tensors: frozenset[str]
    last: Mapping[str, str]


def signature(path: Path) -> Signature:
    """Return the signature of an ONNX file, also of one whose weights are in another file.

    Raises WeightsError when it cannot be read as an ONNX file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _signature(bytes(data) if len(data) < 1 << 16 else data)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path.name} cannot be read as an ONNX file: {error}.") from error


def _signature(data: bytes | mmap.mmap) -> Signature:
    inputs: list[Port] = []
    outputs: list[Port] = []
    tensors: set[str] = set()
    made: dict[str, tuple[str, str]] = {}
    with memoryview(data) as whole:
        for number, _, graph in fields(whole):
            for part, _, content in fields(graph) if number == _GRAPH else ():
                if part == _INITIALIZER:
                    tensors |= {_text(text) for n, _, text in fields(content) if n == _NAME}
                elif part == _NODE:
                    _note(content, made)
                elif part in (_GRAPH_INPUT, _GRAPH_OUTPUT):
                    (inputs if part == _GRAPH_INPUT else outputs).append(_port(content))
                content.release()
            graph.release()
    if not inputs or not outputs:
        raise WeightsError("It has no inputs or no outputs: it is no network in ONNX.")
    last = {port.name: _maker(port.name, made) for port in outputs}
    taken = tuple(port for port in inputs if port.name not in tensors)
    return Signature(taken, tuple(outputs), frozenset(tensors), last)


def _note(node: memoryview, made: dict[str, tuple[str, str]]) -> None:
    """Note for each output of a node its operator and the node's first input."""
    parts = list(fields(node))
    kind = next((_text(text) for n, _, text in parts if n == _OP_TYPE), "")
    source = next((_text(text) for n, _, text in parts if n == _INPUT), "")
    made.update({_text(text): (kind, source) for n, _, text in parts if n == _OUTPUT})


def _maker(name: str, made: Mapping[str, tuple[str, str]]) -> str:
    kind, source = made.get(name, ("", ""))
    seen = 0
    while kind in ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape") and seen < 16:
        (kind, source), seen = made.get(source, ("", "")), seen + 1
    return kind


def _port(value: memoryview) -> Port:
    name, sides, words, half = "", [], [], False
    for number, _, content in fields(value):
        if number == _VALUE_NAME:
            name = _text(content)
        for inner, _, tensor in fields(content) if number == _VALUE_TYPE else ():
            for field, kind, shape in fields(tensor) if inner == _TENSOR else ():
                half = half or (field == _ELEMENT and kind == _HALF)
                for _, _, dim in fields(shape) if field == _SHAPE else ():
                    parts = {n: (value, _text(text)) for n, value, text in fields(dim)}
                    sides.append(parts[_SIZE][0] if _SIZE in parts else 0)
                    words.append(parts[_WORD][1] if _WORD in parts else "")
    return Port(name, tuple(sides), tuple(words), half)


def _normalised(network: nn.Module) -> list[tuple[str, str, float]]:
    """Return each convolution that a batch normalisation follows, that one, and its epsilon, in
    order.
    """
    pairs: list[tuple[str, str, float]] = []
    before = ""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and before:
            pairs.append((before, name, module.eps))
        before = name if isinstance(module, nn.Conv2d) else ""
    return pairs


def is_folded(tensors: Mapping[str, Tensor], convolutions: Convolutions) -> bool:
    """Whether an exporter gave convolutions numbers for names, and folded what followed them."""
    return any(_is_number(inputs[1]) for inputs in convolutions if len(inputs) > 1)


def _is_number(name: str) -> bool:
    # PyTorch's exporters write "1234", "onnx::Conv_1234" or "val_12".
    return re.fullmatch(r"(onnx::Conv_|val_)?\d+", name) is not None


def unfolded(
    network: nn.Module, tensors: Mapping[str, Tensor], convolutions: Convolutions
) -> dict[str, Tensor]:
    """Return an ONNX file's tensors under the names of the network.

    PyTorch's exporter folds each batch normalisation into the convolution before it, and gives the
    pair a number for a name. The file has them in the network's order. So each folded convolution
    goes back to its place, and its normalisation becomes one that only adds the bias. Raises
    WeightsError when the numbers of convolutions differ.
    """
    own = network.state_dict()
    pairs = _normalised(network)
    folded = [inputs for inputs in convolutions if inputs[1] not in own]
    if len(folded) != len(pairs) or any(len(inputs) != 3 for inputs in folded):
        raise WeightsError(
            f"The ONNX file has {len(folded)} unnamed convolutions, the network {len(pairs)}: it "
            "was made by an exporter that the library does not know."
        )
    ready = {name: tensor.float() for name, tensor in tensors.items() if name in own}
    for (conv, norm, eps), (_, weight, bias) in zip(pairs, folded, strict=True):
        shift = tensors[bias].float()
        ready[f"{conv}.weight"] = tensors[weight].float()
        if f"{conv}.bias" in own:
            ready[f"{conv}.bias"] = torch.zeros_like(shift)
        ready[f"{norm}.weight"] = torch.ones_like(shift)
        ready[f"{norm}.bias"] = shift
        ready[f"{norm}.running_mean"] = torch.zeros_like(shift)
        ready[f"{norm}.running_var"] = torch.full_like(shift, 1 - eps)
    return ready


def onnx_tensors(data: bytes) -> tuple[dict[str, Tensor], Convolutions]:
    """Return the tensors of an ONNX file by name, and the inputs of its convolutions in order."""
    arrays, convolutions = initializers(data)
    return {n: torch.from_numpy(array.copy()) for n, array in arrays.items()}, convolutions
