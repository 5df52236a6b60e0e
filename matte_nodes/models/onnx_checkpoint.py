# SPDX-License-Identifier: Apache-2.0
"""Models that run on a published ONNX file of a known family: `load` of their cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matte_nodes.card import LoadContext, Model
from matte_nodes.models.onnx_file import OnnxFile


def is_onnx(path: Path | None) -> bool:
    """Whether a checkpoint is an ONNX file, by its name."""
    return path is not None and path.suffix.lower() == ".onnx"


def open_family(context: LoadContext, path: Path, model: str) -> OnnxFile:
    """The file in onnxruntime, declared as its family is.

    Raises WeightsError when it is of another family than the card `model` runs.
    """
    from matte_nodes.models.onnx_families import declared_for  # this imports torch

    return OnnxFile(path, declared_for(path, model), context.device, context.threads)


def onnx_model(model: str, file: str) -> Callable[[LoadContext], Model]:
    """Return the `load` of a card without a network of its own: it runs its ONNX file `file`."""

    def load(context: LoadContext) -> Model:
        return open_family(context, context.weights[file], model)

    return load
