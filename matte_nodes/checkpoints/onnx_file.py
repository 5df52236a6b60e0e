# SPDX-License-Identifier: Apache-2.0
"""Reads the tensors of an ONNX file, and undoes the folding of PyTorch's exporter.

A Protocol Buffers reader of the few messages that are needed (protobuf.dev, "Encoding"; field
numbers of onnx.proto), so that reading weights needs no package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
# onnx.proto: ModelProto.graph, GraphProto.node and .initializer, NodeProto.input and .op_type,
# TensorProto.dims, .data_type, .float_data, .name, .raw_data, .data_location
_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_INPUT, _OP_TYPE = 1, 4
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
