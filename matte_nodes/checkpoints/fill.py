# SPDX-License-Identifier: Apache-2.0
"""Builds the network of a recognition and puts tensors into it: all of them, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from matte_nodes.architecture import Architecture
from matte_nodes.errors import WeightsError
from matte_nodes.recognition import Recognition, Shape

_SHOWN = 20


@dataclass(frozen=True)
class Row:
    """One tensor that does not fit. problem: missing, extra, shape, twin or values."""

    name: str
    problem: str
    expected: Shape | None = None
    found: Shape | None = None

    def __str__(self) -> str:
        def shape(value: Shape | None) -> str:
            return "-" if value is None else " x ".join(map(str, value)) or "scalar"

        return f"{self.problem:8} {self.name:48} {shape(self.expected):>18} {shape(self.found):>18}"


class CheckpointError(WeightsError):
    """Tensors do not fit their network; `rows` says which, the message shows them as a table."""

    def __init__(self, recognition: Recognition, rows: list[Row]) -> None:
        self.recognition = recognition
        self.rows = tuple(rows)
        lines = [
            f"{recognition.found} {len(rows)} of its tensors do not fit; nothing was loaded.",
            f"{'problem':8} {'tensor':48} {'expected':>18} {'found':>18}",
            *map(str, rows[:_SHOWN]),
        ]
        if len(rows) > _SHOWN:
            lines.append(f"... and {len(rows) - _SHOWN} more")
        super().__init__("\n".join(lines))


def build(architecture: Architecture, recognition: Recognition) -> nn.Module:
    """Return the network of a recognition, untrained, in evaluation mode."""
    return architecture.build(**recognition.options).eval()


def arrange(
    recognition: Recognition, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Tensors under our names, with our axes, in 32 bits; those that a file may lack are zeros.

    wanted: the network's own tensors. Raises CheckpointError with every misfit.
    """
    rows: list[Row] = []
    ready: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name in recognition.dropped:
            continue
        target = recognition.names.get(name, name)
        axes = recognition.permutations.get(target)
        if axes is not None and tensor.ndim == len(axes):
            tensor = tensor.permute(axes).contiguous()
        found = tuple(tensor.shape)
        if target not in wanted:
            rows.append(Row(name, "extra", found=found))
        elif found != (expected := tuple(wanted[target].shape)):
            rows.append(Row(name, "shape", expected, found))
        else:
            value = tensor.to(wanted[target].dtype)
            if not bool(torch.isfinite(value).all()):
                rows.append(Row(name, "values", expected, found))
            elif target in ready and not torch.equal(ready[target], value):
                rows.append(Row(name, "twin", expected, found))
            ready[target] = value
    seen = {recognition.names.get(row.name, row.name) for row in rows}
    for target, own in wanted.items():
        if target in ready or target in seen:
            continue
        if recognition.optional(target):
            ready[target] = torch.zeros_like(own)
        else:
            rows.append(Row(target, "missing", tuple(own.shape)))
    if rows:
        raise CheckpointError(recognition, rows)
    return ready


def fill(network: nn.Module, recognition: Recognition, tensors: Mapping[str, Tensor]) -> None:
    """Load the tensors (under the file's names) into `network`, which `build` made.

    CheckpointError, with a table and nothing loaded, when one is missing, extra, of another
    shape, not finite, or unlike its twin (some files hold a tensor under two names).
    """
    network.load_state_dict(arrange(recognition, tensors, network.state_dict()))
