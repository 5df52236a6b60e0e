# SPDX-License-Identifier: Apache-2.0
"""Reads parity fixtures: weights and inputs are made by a recipe, so that they need not be stored.

numpy's RandomState is frozen by numpy's compatibility policy: the same numbers everywhere.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Fixture:
    """The contents of a fixture: tensors, inputs and outputs by name, and its other fields."""

    name: str
    tensors: Mapping[str, Array]
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    hint: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""


def _random(text: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(text.encode()) & 0x7FFFFFFF)


def weight(key: str, shape: tuple[int, ...], salt: int = 0, gain: float = 1.0) -> Array:
    """Return the recipe's tensor `key`: float32 normal by fan-in; positive where it must be."""
    random, leaf = _random(f"{salt}:{key}"), key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        return (0.5 + random.rand(*shape)).astype(np.float32)
    if leaf in ("running_mean", "bias"):
        return (0.1 * random.randn(*shape)).astype(np.float32)
    if len(shape) < 2:
        return (0.5 + random.rand(*shape)).astype(np.float32)
    scale = np.sqrt(gain / int(np.prod(shape[1:])))
    return np.asarray(random.randn(*shape) * scale, np.float32)


def image(
    name: str, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0, salt: int = 0
) -> Array:
    """Return the recipe's input `name`: float32, uniform in [low, high)."""
    noise = _random(f"{salt}:input:{name}").rand(*shape)
    return (low + (high - low) * noise).astype(np.float32)


def trimap(name: str, shape: tuple[int, ...], salt: int = 0) -> Array:
    """Return the recipe's trimap `name`: float32 0, 128/255 and 1 in blocks of 8 pixels."""
    count, channels, height, width = shape
    blocks = (count, channels, -(-height // 8), -(-width // 8))
    levels = _random(f"{salt}:input:{name}").randint(0, 3, blocks)
    full = levels.repeat(8, 2).repeat(8, 3)[:, :, :height, :width]
    values = np.array([0.0, 128 / 255, 1.0], np.float32)
    made: Array = values[full]
    return made


_CALL = re.compile(r"(?:(\w+)\s*:\s*)?\b(image|trimap)(?:\(([^)]*)\)|\s*$)")


def _names(name: str) -> list[str]:
    """`src0..2` is src0, src1, src2."""
    span = re.fullmatch(r"(\D*)(\d+)\.\.\D*(\d+)", name)
    if span is None:
        return [name]
    stem, first, last = span.groups()
    return [f"{stem}{index}" for index in range(int(first), int(last) + 1)]


def make_inputs(declared: Mapping[str, list[Any]], salt: int) -> dict[str, Array]:
    """Arrays (N, C, H, W) from a fixture's words: `{"x": ["image(low=-1,high=1)", shape]}`.

    Several words make one input by channels: each trimap takes one, the images share the rest.
    """
    made: dict[str, Array] = {}
    for names, (*words, shape) in declared.items():
        calls = [call for word in words for call in _CALL.findall(word)]
        if not calls:
            raise ValueError(f"input {names}: nothing to make it from in {words}")
        images = sum(kind == "image" for _, kind, _ in calls)
        rest = shape[1] - (len(calls) - images)
        for name in _names(names):
            parts = []
            for label, kind, arguments in calls:
                channels = (
                    shape[1] if len(calls) == 1 else 1 if kind == "trimap" else rest // images
                )
                size = (shape[0], channels, *shape[2:])
                key = name if len(calls) == 1 else label or kind
                if kind == "trimap":
                    parts.append(trimap(key, size, salt))
                    continue
                pairs = (part.split("=") for part in arguments.split(",") if part.strip())
                numbers = {n.strip(): float(value) for n, value in pairs}
                parts.append(image(key, size, salt=salt, **numbers))
            made[name] = np.concatenate(parts, 1)
    return made


def read_fixture(path: Path) -> Fixture:
    """Return a NAME.json with its NAME.npz, or an npz that stands alone (MMNet).

    Raises ValueError, KeyError, OSError or json's errors when it is not such a fixture.
    """
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        outputs = {name: arrays.pop(name) for name in ("L", "P") if name in arrays}
        rgb = arrays.pop("X").transpose(0, 3, 1, 2)
        return Fixture(path.stem, arrays, {"X": rgb}, outputs)
    content = json.loads(path.read_text(encoding="utf-8"))
    salt, gain = int(content.get("salt", 0)), float(content.get("gain", 1.0))
    aliases = content.get("aliases", {})
    tensors = {
        name: weight(aliases.get(name, name), tuple(shape), salt, gain)
        for name, shape in content["tensors"].items()
    }
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
        outputs = {name: file[name] for name in file.files}
    for name, shape in content["outputs"].items():
        if name not in outputs or outputs[name].shape != tuple(shape):
            raise ValueError(f"the npz does not hold the output {name} of shape {shape}")
    inputs = make_inputs(content["inputs"], salt)
    hint = f"{content.get('network', '')} {path.stem} {content.get('notes', '')}"
    words = json.dumps(content.get("inputs", {})) + " " + str(content.get("notes", ""))
    # What is not a field of every fixture may be an option of the run.
    options = {**content, **content.get("options", {})}
    return Fixture(path.stem, tensors, inputs, outputs, hint, options, words)
