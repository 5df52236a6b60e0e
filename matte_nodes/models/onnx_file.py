# SPDX-License-Identifier: Apache-2.0
"""Any ONNX file as a model: `--model path/net.onnx`, with a small declaration net.json beside it.

docs/onnx.md describes the declaration. What is not declared has the defaults of `Picture`: the
network copy as it is (RGB, 0..1, NCHW).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes import runtime
from matte_nodes.card import (
    HINTS,
    Inputs,
    KnobValue,
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
from matte_nodes.errors import ModelError, UnknownModelError
from matte_nodes.models.onnx_answers import ACTIVATIONS, alpha_of
from matte_nodes.models.onnx_pictures import Fit, Picture, check_keys, plane
from matte_nodes.reads import hash_of

if TYPE_CHECKING:
    from matte_nodes.card import Float
    from matte_nodes.runtime import Device

ROLES = ("plate", *HINTS, "neighbours")
_cards: dict[tuple[str, ...], ModelCard] = {}
_MOST_CARDS = 64
"""What an input can be. "plate+trimap" is one input with the channels of both."""

_KEYS = (
    "inputs", "outputs", "activation", "states", "constants", "window", "multiple", "fixed_size",
    "fit", "shorter", "longest", "tileable", "tile_side", "tile_overlap", "title", "summary",
    "licence", "commercial", "papers", "about", "schema", "weights", "parity",
)  # fmt: skip
"""All that a declaration may hold; the last four are notes that `matte` writes."""

_CHANNELS = (1, 3, 4, 6)
"""Channels of an input that is a picture: a mask, a plate, both, a plate and a clean plate."""

_KINDS: Mapping[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


class OnnxFile:
    """A session on the file, fed as its declaration says."""

    def __init__(
        self, path: Path, declared: Mapping[str, Any], device: Device, threads: int = 0
    ) -> None:
        self._session: Any = runtime.onnx_session(path, device, threads)
        self._file = path.name
        self._pictures = {
            tuple(role.split("+")): Picture.declared(how)
            for role, how in declared["inputs"].items()
        }
        self._fit = Fit.declared(declared)
        self._activation = str(declared.get("activation", "none"))
        self._outputs = dict(declared["outputs"])
        self._states = {name: tuple(pair) for name, pair in declared.get("states", {}).items()}
        self._kinds = {item.name: item.type for item in self._session.get_inputs()}
        self._constants = declared.get("constants", {})
        asked = {p.name for p in self._pictures.values()} | set(self._constants)
        asked |= {first for first, _ in self._states.values()}
        if asked != set(self._kinds):
            raise ModelError(
                f"{path.name} has the inputs {sorted(self._kinds)}, but its declaration names "
                f"{sorted(asked)}."
            )
        if odd := {n: kind for n, kind in self._kinds.items() if kind not in _KINDS}:
            raise ModelError(
                f"{path.name} takes other numbers than float32 and float16: {odd}. Convert it to a "
                "file that takes pictures of 0..1."
            )
        for item in self._session.get_inputs():
            if item.name in {picture.name for picture in self._pictures.values()}:
                _check_layout(path.name, item.name, item.shape)
        outputs = {item.name: item.type for item in self._session.get_outputs()}
        alpha = self._outputs["alpha"]
        if outputs.get(alpha, "tensor(float)") not in _KINDS:
            raise ModelError(
                f"{path.name} gives {outputs[alpha]} as alpha: labels, and no soft edges. Name an "
                "output of floats in the declaration, or convert the file to give one."
            )
        gives = set(outputs)
        named = {*self._outputs.values(), *(last for _, last in self._states.values())}
        if missing := named - gives:
            raise ModelError(
                f"{path.name} has no output {sorted(missing)}; it has {sorted(gives)}."
            )

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """One run of the file; states go in and out by name.

        Raises ModelError when the answer is no alpha.
        """
        found, following = self.raw(inputs, memory)
        alpha, foreground = found.pop("alpha"), found.pop("foreground", None)
        hinted = inputs.trimap is not None or inputs.background is not None
        alpha = alpha_of(alpha, self._activation, self._file, hinted=hinted)
        size = inputs.plate.shape[:2]
        back = {name: self._fit.back(plane, size) for name, plane in found.items()}
        if foreground is not None:
            foreground = self._fit.back(foreground, size)
        return Prediction(self._fit.back(alpha, size), foreground, back), following

    def raw(self, inputs: Inputs, memory: Memory) -> tuple[dict[str, Float], Memory]:
        """The file's own answers by role, at its size and without activation, and its states."""
        feed = {n: np.asarray(v, self._kind(n)) for n, v in self._constants.items()}
        size = inputs.plate.shape[:2]
        for roles, picture in self._pictures.items():
            planes = np.concatenate([self._put(role, inputs, size) for role in roles], axis=2)
            feed[picture.name] = picture.made(planes, self._kind(picture.name))
        for name, (first, _) in self._states.items():
            empty = np.zeros((1, 1, 1, 1), np.float32)
            feed[first] = np.asarray(memory.get(name, empty), self._kind(first))
        names = [*self._outputs.values(), *(last for _, last in self._states.values())]
        answers = dict(zip(names, self._session.run(names, feed), strict=True))
        following = {name: answers[last] for name, (_, last) in self._states.items()}
        found = {role: plane(answers[name]) for role, name in self._outputs.items()}
        if found["alpha"].ndim != 2:
            raise ModelError(
                f"{self._file}: the output {self._outputs['alpha']!r} has "
                f"{found['alpha'].shape[2]} channels; alpha has one."
            )
        return found, following

    def _kind(self, name: str) -> type[np.floating[Any]]:
        return _KINDS[self._kinds[name]]

    def _put(self, role: str, inputs: Inputs, size: tuple[int, int]) -> Float:
        """A picture (H, W, C) at the file's size."""
        given = (
            np.concatenate(inputs.neighbours, axis=2)
            if role == "neighbours"
            else getattr(inputs, role)
        )
        found = self._fit.put(given if given.ndim == 3 else given[..., None], size)
        if role == "trimap" and found.shape[:2] != size:
            # Mixed values are of unknown pixels too.
            found = np.where((found > 0) & (found < 1), np.float32(0.5), found)
        return found


def _check_layout(file: str, name: str, shape: Any) -> None:
    """Refuse an input that takes no single picture as (1, C, H, W). Open sides are texts or None."""
    sides = [side if isinstance(side, int) else 0 for side in shape]
    found = " x ".join(str(side) for side in shape)
    if len(sides) == 4 and sides[3] in _CHANNELS and sides[1] not in (0, *_CHANNELS):
        reason = "the channels come last (NHWC). Convert it with the channels first (NCHW)"
    elif len(sides) == 4 and sides[0] > 1:
        reason = f"it takes {sides[0]} pictures at a time. Export it for one"
    else:
        return
    raise ModelError(f"{file}: the input {name!r} is {found}: {reason}.")


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
                "declaration NAME.json beside it: `matte models import NAME.onnx` writes it."
            )
    # Not above: readers of checkpoints import torch, and `--help` must not.
    from matte_nodes.checkpoints.onnx_external import external_files

    # The very same card as long as its files are the same: a service finds loaded models by it.
    digests = {part: hash_of(part) for part in (file, *external_files(file)) if part.is_file()}
    state = (str(file), hash_of(beside), *digests.values())
    if state in _cards:
        return _cards[state]
    try:
        declared = json.loads(beside.read_text("utf-8"))
        while len(_cards) >= _MOST_CARDS:
            _cards.pop(next(iter(_cards)))
        return _cards.setdefault(state, _card(file, declared, digests))
    except (
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        missing = f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ModelError(
            f"{beside} is not a valid declaration of an ONNX model: {missing}. docs/onnx.md lists "
            "what it holds."
        ) from error


def _card(file: Path, declared: Mapping[str, Any], digests: Mapping[Path, str]) -> ModelCard:
    check_keys(declared, _KEYS, "it")
    inputs, outputs = declared["inputs"], declared["outputs"]
    for how in inputs.values():
        Picture.declared(how)
    roles = [role for joined in inputs for role in joined.split("+")]
    if (unknown := set(roles) - set(ROLES)) or len(roles) != len(set(roles)):
        raise ValueError(
            f"inputs are {', '.join(ROLES)}, each once, not {sorted(unknown or roles)}"
        )
    if "plate" not in roles or "alpha" not in outputs:
        raise ValueError("it needs an input `plate` and an output `alpha`")
    if (activation := declared.get("activation", "none")) not in ACTIVATIONS:
        raise ValueError(f'"activation" is {", ".join(ACTIVATIONS)}, not {activation!r}')
    fit = Fit.declared(declared)
    return ModelCard(
        name=f"onnx:{file.stem}",
        title=str(declared.get("title", file.stem)),
        summary=str(declared.get("summary", "A network from an ONNX file.")),
        load=lambda context: OnnxFile(file, declared, context.device, context.threads),
        needs=frozenset(set(roles) & set(HINTS)),
        predicts_foreground="foreground" in outputs,
        extras=tuple(sorted(set(outputs) - {"alpha", "foreground"})),
        memory=_memory(declared),
        multiple=fit.multiple if fit.by_node else 1,
        fixed_size=fit.fixed if fit.by_node else None,
        algorithm_version=2 if fit.fixed and fit.by_node else 1,
        tileable=bool(declared.get("tileable", False)),
        tile_side=int(declared.get("tile_side", 0)),
        tile_overlap=int(declared.get("tile_overlap", 0)),
        files=(file.with_suffix(".json"), *(part for part in digests if part != file)),
        weights=tuple(
            Weights(
                file=str(part), sha256=digest, size=part.stat().st_size, sources=(),
                licence=str(declared.get("licence", "not stated")),
                commercial=checked_terms(
                    declared.get("commercial", "unclear"), file.with_suffix(".json")
                ),
            )
            for part, digest in digests.items()
        ),
        papers=tuple(declared.get("papers", ("the file's own",))),
    )  # fmt: skip


def _memory(declared: Mapping[str, Any]) -> MemoryKind:
    if declared.get("states"):
        return Recurrent()
    offsets = tuple(int(offset) for offset in declared.get("window", ()))
    return Window(offsets) if offsets else Still()
