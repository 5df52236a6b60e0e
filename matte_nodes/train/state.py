# SPDX-License-Identifier: Apache-2.0
"""The whole state of a training as one safetensors file: written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes.errors import WeightsError
from matte_nodes.whole_files import whole_file

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


def save(
    path: Path,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    marks: Mapping[str, str] | None = None,
) -> None:
    """Write tensors and facts (as JSON in the file's metadata) under a name that is whole or old.

    marks: further metadata, as `checkpoints` reads it.
    """
    from safetensors.torch import save_file

    kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    told = {"facts": json.dumps(dict(facts), sort_keys=True), **(marks or {})}
    with whole_file(path, durable=True) as part:
        save_file(kept, part, told)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts as `save` wrote them. Raises WeightsError for another kind of file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise WeightsError(f"{path} is not a saved training: {error}") from error


def pack(network: nn.Module, average: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """Network, average and optimiser as one flat mapping of tensors."""
    found: dict[str, Tensor] = {}
    for prefix, module in (("network", network), ("average", average)):
        found |= {f"{prefix}.{name}": t for name, t in module.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        found |= {f"optimiser.{index}.{name}": tensor for name, tensor in values.items()}
    return found


def unpack(
    tensors: Mapping[str, Tensor], network: nn.Module, average: nn.Module, optimiser: Optimizer
) -> None:
    """Put back what `pack` took."""
    for prefix, module in (("network.", network), ("average.", average)):
        module.load_state_dict(
            {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        )
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    whole = optimiser.state_dict()
    whole["state"] = state
    optimiser.load_state_dict(whole)
