# SPDX-License-Identifier: Apache-2.0
"""Reads the tensors of a weights file, whatever its format, and never runs anything in it."""

from __future__ import annotations

import math
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from matte_nodes.checkpoints.onnx_file import Convolutions, onnx_tensors
from matte_nodes.errors import WeightsError

# where training scripts keep the network inside a checkpoint, in the order they are looked for
_NESTS = ("state_dict", "model", "model_state_dict", "network", "net", "netG", "params", "weights")
_NPZ_LIMIT = 4 << 30
# Weights hardly shrink when they are packed: a file that unpacks to more is made to fill memory.
_NPZ_RATIO, _NPZ_SMALL = 20, 64 << 20


def _scalars() -> list[Any]:
    """Plain numbers as numpy pickled them (a best score, an epoch): harmless, and common."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")]
    return [(scalar, "numpy.core.multiarray.scalar"), scalar, np.dtype, *kinds]


def _pickled(path: Path, error: Exception) -> WeightsError:
    named = re.search(r"GLOBAL (\S+)", str(error))
    wanted = f" (It asks for {named.group(1)}.)" if named else ""
    return WeightsError(
        f"{path.name} holds more than tensors (a pickled module, or code), and opening such a "
        "file would run whatever is in it, so it is refused. If you trust it, open it where its "
        "publisher's code is installed and keep the tensors alone:\n"
        "    import torch\n"
        f"    checkpoint = torch.load({path.name!r}, map_location='cpu', weights_only=False)\n"
        "    module = checkpoint['model'] if isinstance(checkpoint, dict) else checkpoint\n"
        "    torch.save(module.state_dict(), 'tensors.pth')\n"
        f"and import tensors.pth.{wanted}"
    )


def _is_program(path: Path) -> bool:
    """Whether it is a TorchScript archive (told by its table of constants)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _torch(path: Path) -> dict[str, Tensor]:
    if _is_program(path):
        raise WeightsError(
            f"{path.name} is a TorchScript archive, which is a program and not only weights. "
            "Import the PyTorch weights (a dictionary of tensors), or run an ONNX file of the "
            "network: `--model FILE.onnx`."
        )
    try:
        with torch.serialization.safe_globals(_scalars()), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle's protocol
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _pickled(path, error) from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise WeightsError(f"{path.name} is damaged or not a checkpoint: {error}") from error
    return _unnest(path, content)


def _unnest(path: Path, content: object) -> dict[str, Tensor]:
    """Return the dictionary of tensors inside `state_dict`, `model` and the like, to any depth."""
    while isinstance(content, Mapping):
        tensors = {str(n): t for n, t in content.items() if isinstance(t, Tensor)}
        inside = next((n for n in _NESTS if isinstance(content.get(n), Mapping)), None)
        if tensors and inside is None:
            return tensors
        content = content[inside] if inside is not None else None
    raise WeightsError(f"{path.name} does not contain a dictionary of tensors (a state_dict).")


def _npz(path: Path) -> dict[str, Tensor]:
    try:
        _check_npz(path)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
    except (
        ValueError, TypeError, EOFError, OSError, MemoryError, NotImplementedError, RuntimeError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise WeightsError(
            f"{path.name} is not a readable npz file of plain arrays: {error}. Arrays of objects "
            "are "
            "pickles and are refused."
        ) from error


def _check_npz(path: Path) -> None:
    """Raise WeightsError for an archive that unpacks to much more than it is, ValueError for an
    array that is larger than its part of the archive. Nothing is unpacked but the headers.
    """
    most = min(_NPZ_LIMIT, max(_NPZ_SMALL, _NPZ_RATIO * path.stat().st_size))
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > most:
            raise WeightsError(
                f"{path.name} would unpack to {size >> 20} MiB, more than the {most >> 20} MiB "
                "that are allowed for a file of its size; refused."
            )
        for member in members:
            if not member.filename.endswith(".npy"):
                continue
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                if version not in ((1, 0), (2, 0)):
                    raise ValueError(f"{member.filename} has an unknown version of the format")
                header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
                shape, _, kind = header(file)
                if math.prod(shape) * kind.itemsize > member.file_size:
                    raise ValueError(f"{member.filename} says it is larger than it is: {shape}")


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path.name} is damaged or cut short: {error}") from error


def _tflite(path: Path) -> dict[str, Tensor]:
    from matte_nodes.checkpoints.tflite import constants

    return {name: torch.from_numpy(a.copy()) for name, a in constants(path.read_bytes()).items()}


def read_file(path: Path | str) -> tuple[dict[str, Tensor], Convolutions]:
    """Return what `read_tensors` returns.

    For an ONNX file, also return its convolutions' inputs in order.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx" and path.is_file():
        return onnx_tensors(path.read_bytes())
    return read_tensors(path), ()


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """Return name -> tensor of a file: safetensors; PyTorch (.pth, .pt, .ckpt, .tar); numpy (.npz);
    TensorFlow Lite (.tflite); ONNX (.onnx).

    Names are the file's own. Raises WeightsError when it cannot be read, is damaged, or would have
    to be
    unpickled.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"There is no file {path}.")
    readers = {
        ".safetensors": _safetensors,
        ".npz": _npz,
        ".onnx": lambda path: onnx_tensors(path.read_bytes())[0],
        ".tflite": _tflite,
    }
    if path.suffix.lower() in readers:
        return readers[path.suffix.lower()](path)
    if path.suffix.lower() in (".index", ".meta") or ".data-0" in path.name:
        raise WeightsError(
            f"{path.name} is part of a TensorFlow checkpoint. Save its variables as npz where "
            "TensorFlow is installed:\n"
            "    import numpy, tensorflow\n"
            f"    reader = tensorflow.train.load_checkpoint({str(path.with_suffix(''))!r})\n"
            "    numpy.savez('variables.npz', **{name: reader.get_tensor(name)\n"
            "                for name in reader.get_variable_to_shape_map()})\n"
            "and import variables.npz."
        )
    # everything else is taken for PyTorch: its publishers use many endings, or none
    return _torch(path)
