# SPDX-License-Identifier: Apache-2.0
"""Weights files from end to end: inspected, loaded into a network, converted to safetensors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor, nn

from matte_nodes.checkpoints.detect import recognise
from matte_nodes.checkpoints.fill import arrange, build, fill
from matte_nodes.checkpoints.read import read_tensors
from matte_nodes.checkpoints.recognition import Recognition
from matte_nodes.errors import WeightsError
from matte_nodes.whole_files import whole_file

_MARK = "matte_nodes."


@dataclass(frozen=True)
class FileTensors:
    """A weights file that was read. provenance: what `convert` wrote into it, else empty."""

    path: Path
    tensors: dict[str, Tensor]
    recognition: Recognition
    provenance: dict[str, str]


def provenance(path: Path) -> dict[str, str]:
    """What this library noted in a safetensors file: model, options, source, side. {} for others."""
    if path.suffix.lower() != ".safetensors":
        return {}
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    return {n.removeprefix(_MARK): t for n, t in metadata.items() if n.startswith(_MARK)}


def inspect(path: Path | str, **options: Any) -> FileTensors:
    """Read a weights file and tell what it is; nothing is built.

    options: what the tensors cannot tell (`Recognition.open`), by who knows. WeightsError when the
    file cannot be read, is no network of the library, or the options contradict it.
    """
    path = Path(path)
    tensors = read_tensors(path)
    try:
        recognition = recognise({n: tuple(t.shape) for n, t in tensors.items()}, path.stem)
    except WeightsError as error:
        raise type(error)(f"{path.name}: {error}") from error
    noted = provenance(path)
    try:
        saved = json.loads(noted.get("options", "{}"))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path.name}: its metadata is damaged ({error}).") from error
    known = {name: saved[name] for name in recognition.open if name in saved}
    recognition = recognition.decide({**known, **options})
    return FileTensors(path, tensors, recognition, noted)


def load(path: Path | str, **options: Any) -> tuple[nn.Module, Recognition]:
    """The network a weights file is for, filled, in evaluation mode, on the processor.

    CheckpointError (a WeightsError) with a table when a tensor is missing, extra or mis-shaped;
    otherwise as `inspect`.
    """
    file = inspect(path, **options)
    network = build(file.recognition)
    fill(network, file.recognition, file.tensors)
    return network, file.recognition


def convert(path: Path | str, out: Path | str, **options: Any) -> Recognition:
    """Write a weights file as safetensors under our names, with where it came from.

    The metadata hold model, options, layout, the source's file name and sha256, and the sentence
    of what was found. Written beside the target first: `out` is whole or not there. Errors as
    `load`.
    """
    from safetensors.torch import save_file

    file = inspect(path, **options)
    network = build(file.recognition)
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
