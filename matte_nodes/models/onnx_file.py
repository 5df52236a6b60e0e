# SPDX-License-Identifier: Apache-2.0
"""Any ONNX file as a model: `--model path/net.onnx`, with a small declaration net.json beside it.

docs/onnx.md describes the declaration. What is not declared has the defaults of `_Picture`: the
network copy as it is (RGB, 0..1, NCHW).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matte_nodes import runtime
from matte_nodes.card import (
    HINTS,
    Inputs,
    KnobValue,
    LoadContext,
    Memory,
    MemoryKind,
    ModelCard,
    Prediction,
    Recurrent,
    Still,
    Weights,
    Window,
    checked_terms,
)
from matte_nodes.checkpoints.onnx_external import external_files
from matte_nodes.errors import ModelError, UnknownModelError
from matte_nodes.reads import hash_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

ROLES = ("plate", *HINTS, "neighbours")
_cards: dict[tuple[str, ...], ModelCard] = {}
_MOST_CARDS = 64


@dataclass(frozen=True)
class _Picture:
    """How one input of the file wants its picture: (x * scale - mean) / std, per channel."""

    name: str
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    order: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    def made(self, picture: Float) -> Float:
        """Return (H, W) or (H, W, C) as the file wants it."""
        planes = picture[..., None] if picture.ndim == 2 else picture
        if self.order == "bgr":
            planes = planes[..., ::-1]
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        planes = (planes * np.float32(self.scale) - mean) / std
        planes = planes if self.layout == "NHWC" else planes.transpose(2, 0, 1)
        return np.ascontiguousarray(planes, np.float32)[None]


class OnnxFile:
    """A session on the file, fed as its declaration says."""

    def __init__(self, context: LoadContext, path: Path, declared: Mapping[str, Any]) -> None:
        self._session: Any = runtime.onnx_session(path, context.device, context.threads)
        self._pictures = {
            role: _Picture(**({"name": how} if isinstance(how, str) else _tuples(how)))
            for role, how in declared["inputs"].items()
        }
        self._outputs = dict(declared["outputs"])
        self._states = {name: tuple(pair) for name, pair in declared.get("states", {}).items()}
        self._constants = {
            name: np.asarray(value, np.float32)
            for name, value in declared.get("constants", {}).items()
        }
        asked = {p.name for p in self._pictures.values()} | set(self._constants)
        asked |= {first for first, _ in self._states.values()}
        has = {item.name for item in self._session.get_inputs()}
        if asked != has:
            raise ModelError(
                f"{path.name} has the inputs {sorted(has)}, but {path.stem}.json declares "
                f"{sorted(asked)}."
            )
        gives = {item.name for item in self._session.get_outputs()}
        named = {*self._outputs.values(), *(last for _, last in self._states.values())}
        if missing := named - gives:
            raise ModelError(
                f"{path.name} has no output {sorted(missing)}; it has {sorted(gives)}."
            )

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """One run of the file; states go in and out by name."""
        feed: dict[str, NDArray[Any]] = dict(self._constants)
        for role, picture in self._pictures.items():
            given = (
                np.concatenate(inputs.neighbours, axis=2)
                if role == "neighbours"
                else getattr(inputs, role)
            )
            feed[picture.name] = picture.made(given)
        empty = np.zeros((1, 1, 1, 1), np.float32)
        for name, (first, _) in self._states.items():
            feed[first] = np.asarray(memory.get(name, empty))
        names = [*self._outputs.values(), *(last for _, last in self._states.values())]
        answers = dict(zip(names, self._session.run(names, feed), strict=True))
        planes = {role: _picture(answers[name]) for role, name in self._outputs.items()}
        alpha, foreground = planes.pop("alpha"), planes.pop("foreground", None)
        following = {name: answers[last] for name, (_, last) in self._states.items()}
        return Prediction(alpha.clip(0, 1), foreground, planes), following


def card_of(path: str | os.PathLike[str]) -> ModelCard:
    """Return the card of an ONNX file and its declaration.

    Raises UnknownModelError when either is missing, ModelError when the declaration is not one.
    """
    file = Path(path).absolute()
    beside = file.with_suffix(".json")
    for needed in (file, beside):
        if not needed.is_file():
            raise UnknownModelError(
                f"{needed}: there is no such file. An ONNX model is a file NAME.onnx with its "
                "declaration NAME.json beside it (docs/onnx.md)."
            )
    # The very same card as long as its files are the same: a service finds loaded models by it.
    state: tuple[str, ...] = (str(file), hash_of(beside), hash_of(file))
    state += tuple(hash_of(path) for path in external_files(file) if path.is_file())
    if state in _cards:
        return _cards[state]
    try:
        declared = json.loads(beside.read_text("utf-8"))
        while len(_cards) >= _MOST_CARDS:
            _cards.pop(next(iter(_cards)))
        return _cards.setdefault(state, _card(file, declared, hash_of(file)))
    except (
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        missing = f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ModelError(
            f"{beside} is not a valid declaration of an ONNX model: {missing}. docs/onnx.md lists "
            "what it holds."
        ) from error


def _card(file: Path, declared: Mapping[str, Any], sha256: str) -> ModelCard:
    inputs, outputs = declared["inputs"], declared["outputs"]
    if unknown := set(inputs) - set(ROLES):
        raise ValueError(f"inputs are {', '.join(ROLES)}, not {sorted(unknown)}")
    if "plate" not in inputs or "alpha" not in outputs:
        raise ValueError("it needs an input `plate` and an output `alpha`")
    fixed = declared.get("fixed_size")
    return ModelCard(
        name=f"onnx:{file.stem}",
        title=str(declared.get("title", file.stem)),
        summary=str(declared.get("summary", "A network from an ONNX file.")),
        load=lambda context: OnnxFile(context, file, declared),
        needs=frozenset(set(inputs) & set(HINTS)),
        predicts_foreground="foreground" in outputs,
        extras=tuple(sorted(set(outputs) - {"alpha", "foreground"})),
        memory=_memory(declared),
        multiple=int(declared.get("multiple", 1)),
        fixed_size=(int(fixed[0]), int(fixed[1])) if fixed else None,
        tileable=bool(declared.get("tileable", False)),
        tile_side=int(declared.get("tile_side", 0)),
        tile_overlap=int(declared.get("tile_overlap", 0)),
        files=(file.with_suffix(".json"), *external_files(file)),
        weights=(
            Weights(
                file=str(file), sha256=sha256, size=file.stat().st_size, sources=(),
                licence=str(declared.get("licence", "not stated")),
                commercial=checked_terms(
                    declared.get("commercial", "unclear"), file.with_suffix(".json")
                ),
            ),
        ),
        papers=tuple(declared.get("papers", ("the file's own",))),
    )  # fmt: skip


def _memory(declared: Mapping[str, Any]) -> MemoryKind:
    if declared.get("states"):
        return Recurrent()
    offsets = tuple(int(offset) for offset in declared.get("window", ()))
    return Window(offsets) if offsets else Still()


def _tuples(how: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in how.items()}


def _picture(answer: NDArray[Any]) -> Float:
    """Return (1, 1, H, W), (1, H, W, 1) or (1, H, W) as (H, W); (1, C, H, W) as (H, W, C)."""
    planes = answer[0]
    if planes.ndim == 2:
        return np.ascontiguousarray(planes, np.float32)
    if planes.shape[0] == 1:
        return np.ascontiguousarray(planes[0], np.float32)
    if planes.shape[-1] == 1:
        return np.ascontiguousarray(planes[..., 0], np.float32)
    channels_first = planes.shape[0] < planes.shape[-1]
    turned = planes.transpose(1, 2, 0) if channels_first else planes
    return np.ascontiguousarray(turned, np.float32)
