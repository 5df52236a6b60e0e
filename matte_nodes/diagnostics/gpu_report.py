# SPDX-License-Identifier: Apache-2.0
"""Compares every available model, and the foreground solver, on a GPU with the same on the CPU.

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
from matte_nodes.foreground import solve_foreground
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.testing.scene import Scene, scene

SIZES = ((540, 960), (1080, 1920))
REPEATS = 10
TILE = 256
TOLERANCE = 5e-3


def report(device: str) -> str:
    """Return lines for people: the GPU, then each model's seconds, memory and largest difference.

    Raises DeviceError when the device is not available.
    """
    chosen = runtime.resolve_device(device)
    lines = [f"matte-nodes GPU report: {chosen}", *_machine(chosen)]
    lines += _of_solver(chosen)
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


def _of_solver(device: runtime.Device) -> Iterator[str]:
    for height, width in SIZES:
        made = scene(height, width)
        try:
            reference = solve_foreground(made.plate, made.alpha)
            got = solve_foreground(made.plate, made.alpha, device=device.torch)
            began = time.perf_counter()
            for _ in range(REPEATS):
                got = solve_foreground(made.plate, made.alpha, device=device.torch)
            taken = (time.perf_counter() - began) / REPEATS
        except (MatteError, RuntimeError) as error:
            yield f"foreground {width} x {height}: {str(error).splitlines()[0]}"
            continue
        difference = float(np.abs(got - reference).max())
        yield f"foreground {width} x {height}: {_verdict(taken, difference, TOLERANCE)}"


def _verdict(seconds: float, difference: float, limit: float) -> str:
    word = "ok" if difference <= limit else "DIFFERS"
    return f"{seconds * 1e3:.1f} ms, largest difference {difference:.1e} {word}"


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
        ways: list[tuple[bool, int]] = [(False, 0), (True, 0)]
        if card.tileable:
            ways.append((False, TILE))
        for half, tile in ways:
            label = f"{card.name} {width} x {height}{' half' * half}{' in tiles' * bool(tile)}"
            try:
                yield f"{label}: {_measured(card, device, made, half, tile, untrained)}"
            except (MatteError, RuntimeError) as error:
                yield f"{label}: {str(error).splitlines()[0]}"


def _measured(
    card: ModelCard, device: str, made: Scene, half: bool, tile: int, untrained: bool
) -> str:
    import torch

    hints: dict[str, Any] = {name: made.hint(name) for name in card.needs}
    node = MatteNode(card, device=device, half=half, untrained=untrained, tile=tile)
    reference = MatteNode(card, device="cpu", untrained=untrained, tile=tile)(made.plate, **hints)
    got = node(made.plate, **hints)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(REPEATS):
        got = node(made.plate, **hints)
    taken = (time.perf_counter() - began) / REPEATS
    memory = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    difference = float(np.abs(got.alpha - reference.alpha).max())
    said = _verdict(taken, difference, 0.02 if half else TOLERANCE)
    return f"torch {memory:.0f} MiB, {said}"
