# SPDX-License-Identifier: Apache-2.0
"""Weights files from end to end: inspected, loaded into a network, converted to safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor, nn

from matte_nodes.architecture import Architecture
from matte_nodes.checkpoints.detect import recognise
from matte_nodes.checkpoints.fill import arrange, build, fill
from matte_nodes.checkpoints.onnx_file import is_folded, unfolded
from matte_nodes.checkpoints.read import read_file
from matte_nodes.errors import WeightsError
from matte_nodes.recognition import Recognition
from matte_nodes.whole_files import whole_file

_MARK = "matte_nodes."


@dataclass(frozen=True)
class FileTensors:
    """A weights file that was read. provenance: what `convert` wrote into it, else empty."""

    path: Path
    tensors: dict[str, Tensor]
    architecture: Architecture
    recognition: Recognition
    provenance: dict[str, str]

    def network(self) -> nn.Module:
        """Build the network and fill it. Raises CheckpointError with a table of misfits."""
        built = build(self.architecture, self.recognition)
        fill(built, self.recognition, self.tensors)
        return built


def provenance(path: Path) -> dict[str, str]:
    """Return what this library noted in a safetensors file: model, options, source, side.

    {} for others.
    """
    if path.suffix.lower() != ".safetensors":
        return {}
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    return {n.removeprefix(_MARK): t for n, t in metadata.items() if n.startswith(_MARK)}


def inspect(path: Path | str, architectures: Iterable[Architecture], **options: Any) -> FileTensors:
    """Read a weights file and recognise its network.

    architectures: the networks that it may be of. options: those that the tensors cannot tell
    (`Recognition.open`). Raises WeightsError when the file cannot be read, is of none of the
    networks, or contradicts the options.
    """
    path = Path(path)
    tensors, convolutions = read_file(path)

    def recognised() -> tuple[Architecture, Recognition]:
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        return recognise(shapes, known, path.stem)

    known = tuple(architectures)
    try:
        architecture, recognition = recognised()
        if is_folded(tensors, convolutions):
            network = _on_meta(architecture, recognition)
            tensors = unfolded(network, tensors, convolutions)
            architecture, recognition = recognised()
    except WeightsError as error:
        raise type(error)(f"{path.name}: {error}") from error
    noted = provenance(path)
    try:
        saved = json.loads(noted.get("options", "{}"))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path.name}: its metadata is damaged ({error}).") from error
    told = {name: saved[name] for name in recognition.open if name in saved}
    recognition = recognition.decide({**told, **options})
    return FileTensors(path, tensors, architecture, recognition, noted)


def _on_meta(architecture: Architecture, recognition: Recognition) -> nn.Module:
    with torch.device("meta"):
        return build(architecture, recognition)


def load(
    path: Path | str, architectures: Iterable[Architecture], **options: Any
) -> tuple[nn.Module, Recognition]:
    """Return the network of a weights file, filled, in evaluation mode, on the processor.

    Raises CheckpointError (a WeightsError) with a table when a tensor is missing, extra or of
    another shape; otherwise the errors of `inspect`.
    """
    file = inspect(path, architectures, **options)
    return file.network(), file.recognition


def convert(
    path: Path | str, out: Path | str, architectures: Iterable[Architecture], **options: Any
) -> Recognition:
    """Write a weights file as safetensors under our names, with where it came from.

    The metadata hold model, options, layout, the source's file name and sha256, and the sentence
    of what was found. Written beside the target first: `out` is whole or not there. Errors as
    `load`.
    """
    from safetensors.torch import save_file

    file = inspect(path, architectures, **options)
    network = build(file.architecture, file.recognition)
    ready = arrange(file.recognition, file.tensors, network.state_dict())
    out = Path(out)
    recognition = file.recognition
    with file.path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    metadata = {
        "format": "pt",
        f"{_MARK}model": recognition.model,
        f"{_MARK}options": json.dumps(dict(recognition.options), sort_keys=True),
        f"{_MARK}layout": recognition.layout,
        f"{_MARK}found": recognition.found,
        f"{_MARK}source": file.path.name,
        f"{_MARK}source_sha256": digest,
        **({f"{_MARK}side": file.provenance["side"]} if "side" in file.provenance else {}),
    }
    tensors = {name: tensor.contiguous() for name, tensor in ready.items()}
    with whole_file(out, durable=True) as partial:
        save_file(tensors, partial, metadata)
    return recognition
