# SPDX-License-Identifier: Apache-2.0
"""`matte export onnx`: our torch networks as ONNX files that the library runs again.

The file takes and gives what `Inputs` and `Prediction` hold (network copy 0..1, trimap 0/0.5/1),
so that its declaration is a few names; normalisation is inside the graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matte_nodes import models, weights
from matte_nodes.architecture import CHANNELS, Architecture, PublishedOnnx
from matte_nodes.card import Bank, ModelCard, Recurrent, Window
from matte_nodes.errors import ModelError
from matte_nodes.models.torch_model import GREY
from matte_nodes.models.torch_network import network_to_export
from matte_nodes.whole_files import whole_file, write_text

TOLERANCE = 1e-3


class _Exported(nn.Module):
    """Pictures, as `Inputs` holds them, to alpha and, where there is one, foreground."""

    def __init__(self, network: nn.Module, plan: _Plan) -> None:
        super().__init__()
        self.network, self.plan = network, plan
        if isinstance(plan.architecture.encode, nn.Module):
            self.encoder = plan.architecture.encode

    def forward(self, *pictures: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the order of the plan."""
        architecture, call = self.plan.architecture, self.plan.call
        made = [
            _motion(picture) if role == "motion" else picture
            for role, picture in zip(architecture.inputs, pictures, strict=True)
        ]
        found = architecture(self.network, *made, **call)
        return tuple(found[name].clamp(0, 1) for name in self.plan.outputs)


def _motion(neighbours: Tensor) -> Tensor:
    """(1, 12, H, W), four neighbouring plates, to (1, 4, H, W), their grey."""
    weight = torch.tensor(GREY.tolist(), dtype=neighbours.dtype).view(1, 3, 1, 1)
    grey = [(part * weight).sum(1, keepdim=True) for part in torch.split(neighbours, 3, 1)]
    return torch.cat(grey, 1)


@dataclass(frozen=True)
class _Plan:
    """How one model is exported."""

    architecture: Architecture
    outputs: tuple[str, ...]
    call: Mapping[str, Any]
    window: tuple[int, ...] = ()
    size: tuple[int, int] | None = None

    @property
    def inputs(self) -> dict[str, int]:
        """The file's inputs with their channels."""
        return {
            "neighbours" if role == "motion" else role: 12 if role == "motion" else CHANNELS[role]
            for role in self.architecture.inputs
        }

    @property
    def fixed(self) -> tuple[int, int] | None:
        """(height, width) that the file always works at, or None."""
        declared, square = self.architecture, self.architecture.size.square
        fixed = self.size or declared.onnx_size or declared.export_size
        return fixed or ((square, square) if square else None)

    def tile_side(self, card: ModelCard) -> int:
        """Return the side of the tiles: those of a file of one size have that size."""
        return min(self.fixed) if self.fixed and card.tileable else card.tile_side


def _plan_for(card: ModelCard, architecture: Architecture, knobs: Mapping[str, Any]) -> _Plan:
    if isinstance(card.memory, Recurrent | Bank):
        raise ModelError(f"{card.name} has a memory in time that its network does not declare.")
    if architecture.script is not None:
        raise ModelError(
            f"{card.name} makes its planes by code that depends on the picture, which ONNX cannot "
            "hold. `matte export nuke-cat` can."
        )
    window: tuple[int, ...] = ()
    if isinstance(card.memory, Window):
        scale = int(knobs[card.memory.scale_knob]) if card.memory.scale_knob else 1
        window = tuple(offset * scale for offset in card.memory.offsets)
    outputs = ("alpha", "foreground") if card.predicts_foreground else ("alpha",)
    call = architecture.call({**knobs, **architecture.export_knobs})
    return _Plan(architecture, outputs, call, window)


@dataclass(frozen=True)
class Report:
    """The written file, and its largest difference to the torch network for each size."""

    path: Path
    differences: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether every difference is within tolerance."""
        return max(self.differences.values()) <= TOLERANCE


def export_onnx(
    card: ModelCard,
    path: Path,
    *,
    checkpoint: str | None = None,
    untrained: bool = False,
    knobs: dict[str, Any] | None = None,
) -> Report:
    """Write a model as NAME.onnx with its declaration NAME.json, and compare it with torch.

    Raises ModelError for a model without a torch network, for one that the exporter refuses, and
    for a file with different results. Raises WeightsError when its weights are not here. Leaves no
    partial file.
    """
    architecture = models.architecture(card)
    if architecture is None:
        raise ModelError(f"{card.name} is not a torch network: there is nothing to export.")
    if architecture.published_onnx is not None:
        brought = weights.checkpoint(card, checkpoint, untrained)
        return _copy(card, architecture.published_onnx, path, brought)
    values = {knob.name: knob.default for knob in card.knobs} | (knobs or {})
    plan = _plan_for(card, architecture, values)
    network = network_to_export(card, checkpoint=checkpoint, untrained=untrained, knobs=values)
    if architecture.onnx_size_of is not None:
        plan = replace(plan, size=architecture.onnx_size_of(network, values))
    wrapped = _Exported(network, plan).eval()
    declaration = {
        "schema": 1, "title": card.title, "summary": card.summary,
        "inputs": {role: role for role in plan.inputs},
        "outputs": {name: name for name in plan.outputs},
        "multiple": architecture.multiple, "fixed_size": plan.fixed, "window": list(plan.window),
        "tileable": card.tileable, "tile_side": plan.tile_side(card), "tile_overlap": card.tile_overlap,
        "licence": card.licence, "commercial": card.commercial, "papers": list(card.papers),
        "weights": weights.identity(card, checkpoint),
    }  # fmt: skip
    sizes = [plan.fixed] if plan.fixed else [(192, 256), (256, 160)]
    return _write(wrapped, plan, declaration, path, [size for size in sizes if size])


def _example(plan: _Plan, size: tuple[int, int], seed: int) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    made = {}
    for role, channels in plan.inputs.items():
        values = rng.random((1, channels, *size), np.float32)
        if role == "trimap":
            values = (np.floor(values * 3).clip(0, 2) / 2).astype(np.float32)
        made[role] = torch.from_numpy(values)
    return made


def _write(
    wrapped: nn.Module, plan: _Plan, declaration: dict[str, Any], path: Path,
    sizes: list[tuple[int, int]],
) -> Report:  # fmt: skip
    example = _example(plan, sizes[0], 0)
    shapes: Any = None
    if not plan.fixed:
        rows = torch.export.Dim("rows", min=1, max=8192)
        columns = torch.export.Dim("columns", min=1, max=8192)
        factor = plan.architecture.multiple
        shapes = (tuple({2: factor * rows, 3: factor * columns} for _ in plan.inputs),)
    try:
        with torch.inference_mode():
            program = torch.onnx.export(
                wrapped, tuple(example.values()), dynamo=True, verbose=False,
                input_names=list(example), output_names=list(plan.outputs), dynamic_shapes=shapes,
                opset_version=plan.architecture.export_opset,
            )  # fmt: skip
        assert program is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, durable=True) as part:
            program.save(str(part), external_data=False)
            differences = {
                f"{size[1]} x {size[0]}": _difference(wrapped, part, _example(plan, size, 1), plan)
                for size in sizes
            }
            report = Report(path, differences)
            if not report.ok:
                raise ModelError(
                    f"{path.name} would differ from torch by {differences}; not written."
                )
        told = {**declaration, "parity": differences}
        write_text(path.with_suffix(".json"), json.dumps(told, indent=2) + "\n")
        return report
    except ImportError as error:
        raise ModelError("Export needs the onnx extra: pip install 'matte-nodes[onnx]'.") from error


def _difference(wrapped: nn.Module, file: Path, example: dict[str, Tensor], plan: _Plan) -> float:
    import onnxruntime as ort

    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    answers = session.run(list(plan.outputs), {k: v.numpy() for k, v in example.items()})
    with torch.inference_mode():
        expected = wrapped(*example.values())
    pairs = zip(answers, expected, strict=True)
    return max(float(np.abs(got - want.numpy()).max()) for got, want in pairs)


def _copy(card: ModelCard, published: PublishedOnnx, path: Path, checkpoint: Path | None) -> Report:
    """Copy a published ONNX file, and declare its inputs, outputs and states."""
    import shutil

    if checkpoint is not None and checkpoint.suffix.lower() != ".onnx":
        raise ModelError(
            f"{checkpoint.name} is no ONNX file, and rvm is exported only as a copy of one. Its "
            "publisher has ONNX files of both backbones: name one with --weights FILE.onnx."
        )
    source = checkpoint or weights.require(card)[card.weights[0].file]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, durable=True) as part:
        shutil.copyfile(source, part)
    declaration = {
        "schema": 1, "title": card.title, "summary": card.summary,
        "inputs": dict(published.inputs), "outputs": dict(published.outputs),
        "states": {name: list(pair) for name, pair in published.states.items()},
        "constants": dict(published.constants), "licence": card.licence,
        "commercial": card.commercial, "papers": list(card.papers),
    }  # fmt: skip
    write_text(path.with_suffix(".json"), json.dumps(declaration, indent=2) + "\n")
    return Report(path, {"copied": 0.0})
