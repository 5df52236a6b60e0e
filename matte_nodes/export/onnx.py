# SPDX-License-Identifier: Apache-2.0
"""`matte export onnx`: our torch networks as ONNX files that the library runs again.

The file takes and gives what `Inputs` and `Prediction` hold (network copy 0..1, trimap 0/0.5/1),
so that its declaration is a few names; normalisation is inside the graph.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matte_nodes import weights
from matte_nodes.card import LoadContext, ModelCard
from matte_nodes.errors import ModelError
from matte_nodes.models.networks.blocks import imagenet
from matte_nodes.models.torch_network import TorchNetwork
from matte_nodes.runtime import Device
from matte_nodes.whole_files import whole_file, write_text

TOLERANCE = 1e-3


class _FromTrimap(nn.Module):
    """Picture and trimap to alpha, with the encoding of `models.trimap_input` inside."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, plate: Tensor, trimap: Tensor) -> Tensor:
        unknown = (trimap > 0) & (trimap < 1)
        codes = torch.where(unknown, torch.full_like(trimap, 128 / 255), trimap)
        answer: Tensor = self.network(torch.cat((imagenet(plate), codes), 1)).alpha
        return answer.clamp(0, 1)


class _FromPlate(nn.Module):
    """Picture to alpha; the network wants plate x scale + offset."""

    def __init__(
        self, network: nn.Module, pick: Callable[[Any], Tensor], scale: float, offset: float
    ) -> None:
        super().__init__()
        self.network, self.pick, self.scale, self.offset = network, pick, scale, offset

    def forward(self, plate: Tensor) -> Tensor:
        return self.pick(self.network(plate * self.scale + self.offset)).clamp(0, 1)


class _FromCleanPlate(nn.Module):
    """Plate and clean plate to alpha and foreground, every patch refined: sizes stay dynamic."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, plate: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
        answer = self.network(plate, background, refine_mode="full")
        return answer.alpha.clamp(0, 1), answer.foreground.clamp(0, 1)


class _FromMotion(nn.Module):
    """Plate, clean plate, mask and four neighbours to alpha and foreground."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, plate: Tensor, background: Tensor, segmentation: Tensor, neighbours: Tensor
    ) -> tuple[Tensor, Tensor]:
        weight = torch.tensor([0.299, 0.587, 0.114], dtype=plate.dtype).view(1, 3, 1, 1)
        grey = [(part * weight).sum(1, keepdim=True) for part in torch.split(neighbours, 3, 1)]
        seen = [x * 2 - 1 for x in (plate, background, segmentation, torch.cat(grey, 1))]
        answer = self.network(*seen)
        return ((answer.alpha + 1) / 2).clamp(0, 1), ((answer.foreground + 1) / 2).clamp(0, 1)


@dataclass(frozen=True)
class _Plan:
    """How one model is exported: wrapper, example shapes by role, sizes, what it gives."""

    wrap: Callable[[nn.Module], nn.Module]
    inputs: dict[str, int]
    outputs: tuple[str, ...]
    multiple: int
    fixed: tuple[int, int] | None = None
    window: tuple[int, ...] = ()


def _plate_plan(
    pick: Callable[[Any], Tensor],
    multiple: int,
    scale: float = 1.0,
    offset: float = 0.0,
    fixed: tuple[int, int] | None = None,
) -> _Plan:
    return _Plan(
        lambda network: _FromPlate(network, pick, scale, offset), {"plate": 3}, ("alpha",),
        multiple, fixed,
    )  # fmt: skip


PLANS: dict[str, _Plan] = {
    "deep-image-matting": _Plan(_FromTrimap, {"plate": 3, "trimap": 1}, ("alpha",), 32),
    "adamatting": _Plan(_FromTrimap, {"plate": 3, "trimap": 1}, ("alpha",), 16),
    "mmnet": _plate_plan(lambda answer: answer.alpha, 16, fixed=(256, 256)),
    # Its pyramid pools to 3 and 5 bins, which ONNX has only for a size that is known.
    "gfm": _plate_plan(lambda answer: answer.fusion, 32, scale=255.0, fixed=(512, 512)),
    "modnet": _plate_plan(lambda answer: answer, 32, scale=2.0, offset=-1.0),
    "selfie": _plate_plan(lambda answer: answer, 256, fixed=(256, 256)),
    "background-matting-v2": _Plan(
        _FromCleanPlate, {"plate": 3, "background": 3}, ("alpha", "foreground"), 16
    ),
    "background-matting": _Plan(
        _FromMotion, {"plate": 3, "background": 3, "segmentation": 1, "neighbours": 12},
        ("alpha", "foreground"), 4, window=(-40, -20, 20, 40),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What was written, and how near the file is to the network: largest difference by size."""

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
    """Write a model as NAME.onnx with its declaration NAME.json; compare it with torch.

    Raises ModelError for a model that has no torch network, that the exporter refuses, or whose
    file gives other answers; WeightsError when its weights are not here. Nothing half-written
    stays.
    """
    if card.name == "rvm":
        return _export_rvm(card, path, weights.checkpoint(card, checkpoint, untrained))
    plan = PLANS.get(card.name)
    if plan is None:
        raise ModelError(f"{card.name} is not a torch network: there is nothing to export.")
    context = LoadContext(
        weights=weights.require(card), checkpoint=weights.checkpoint(card, checkpoint, untrained),
        device=Device("cpu"), untrained=untrained,
        knobs={knob.name: knob.default for knob in card.knobs} | (knobs or {}),
    )  # fmt: skip
    found: Any = card.load(context)
    loaded: TorchNetwork = found._network
    wrapped = plan.wrap(loaded.network).eval()
    declaration = {
        "schema": 1, "title": card.title, "summary": card.summary,
        "inputs": {role: role for role in plan.inputs},
        "outputs": {name: name for name in plan.outputs},
        "multiple": plan.multiple, "fixed_size": plan.fixed, "window": list(plan.window),
        "tileable": card.tileable, "tile_side": card.tile_side, "tile_overlap": card.tile_overlap,
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
        factor = plan.multiple
        shapes = {role: {2: factor * rows, 3: factor * columns} for role in plan.inputs}
    try:
        with torch.inference_mode():
            program = torch.onnx.export(
                wrapped, tuple(example.values()), dynamo=True, verbose=False,
                input_names=list(example), output_names=list(plan.outputs), dynamic_shapes=shapes,
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
    expected = expected if isinstance(expected, tuple) else (expected,)
    pairs = zip(answers, expected, strict=True)
    return max(float(np.abs(got - want.numpy()).max()) for got, want in pairs)


def _export_rvm(card: ModelCard, path: Path, checkpoint: Path | None) -> Report:
    """rvm is an ONNX file already: a copy with a declaration that names its states."""
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
        "schema": 1, "title": card.title, "summary": card.summary, "inputs": {"plate": "src"},
        "outputs": {"alpha": "pha", "foreground": "fgr"},
        "states": {name: [f"{name}i", f"{name}o"] for name in ("r1", "r2", "r3", "r4")},
        "constants": {"downsample_ratio": [0.25]}, "licence": card.licence,
        "commercial": card.commercial, "papers": list(card.papers),
    }  # fmt: skip
    write_text(path.with_suffix(".json"), json.dumps(declaration, indent=2) + "\n")
    return Report(path, {"copied": 0.0})
