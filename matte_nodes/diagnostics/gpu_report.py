# SPDX-License-Identifier: Apache-2.0
"""Compares every available model on a GPU with the same model on the CPU.

A user with a GPU runs it and sends us the report: the code was written without one.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from matte_nodes import models, runtime, weights
from matte_nodes.card import ModelCard
from matte_nodes.errors import MatteError
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.testing.scene import Scene, scene

SIZES = ((540, 960), (1080, 1920))
REPEATS = 10
TOLERANCE = 5e-3


def report(device: str) -> str:
    """Return lines for people: the GPU, then each model's seconds, memory and largest difference.

    Raises DeviceError when the device is not available.
    """
    chosen = runtime.resolve_device(device)
    lines = [f"matte-nodes GPU report: {chosen}", *_machine(chosen)]
    for name in models.names():
        lines += _of_model(models.card(name), str(chosen))
    return "\n".join(lines)


def _machine(device: runtime.Device) -> Iterator[str]:
    import onnxruntime as ort
    import torch

    yield f"{platform.platform()}, Python {platform.python_version()}"
    yield f"onnxruntime {ort.__version__} {ort.get_available_providers()}"
    yield f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(device.index)
        yield f"card: {facts.name}, {facts.total_memory / 2**30:.1f} GiB"


def _of_model(card: ModelCard, device: str) -> Iterator[str]:
    terms = card.checkpoint
    untrained = terms is not None and not terms.optional and weights.brought(card) is None
    if not untrained and not weights.ready(card):
        yield f"{card.name}: its weights are not here"
        return
    # A classical model always runs on the CPU.
    if not card.weights and card.checkpoint is None:
        return
    for height, width in SIZES:
        made = scene(height, width)
        for half in (False, True):
            label = f"{card.name} {width} x {height}{' half' if half else ''}"
            try:
                yield f"{label}: {_measured(card, device, made, half, untrained)}"
            except (MatteError, RuntimeError) as error:
                yield f"{label}: {str(error).splitlines()[0]}"


def _measured(card: ModelCard, device: str, made: Scene, half: bool, untrained: bool) -> str:
    import torch

    hints: dict[str, Any] = {name: made.hint(name) for name in card.needs}
    node = MatteNode(card, device=device, half=half, untrained=untrained)
    reference = MatteNode(card, device="cpu", untrained=untrained)(made.plate, **hints)
    got = node(made.plate, **hints)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(REPEATS):
        got = node(made.plate, **hints)
    taken = (time.perf_counter() - began) / REPEATS
    memory = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    difference = float(np.abs(got.alpha - reference.alpha).max())
    verdict = "ok" if difference <= (0.02 if half else TOLERANCE) else "DIFFERS"
    return f"{taken * 1e3:.1f} ms, torch {memory:.0f} MiB, largest difference {difference:.1e} {verdict}"
