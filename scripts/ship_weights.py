# SPDX-License-Identifier: Apache-2.0
"""Put a training's weights into the package: half floats, the recipe's hash, the declaration.

python scripts/ship_weights.py RUN/weights.safetensors trimap-cues
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from matte_nodes.weights import sha256_of

SHIPPED = Path(__file__).resolve().parents[1] / "matte_nodes" / "models" / "shipped"


def main(source: str, name: str) -> None:
    """Write SHIPPED/name.safetensors and its hash and size into the declarations."""
    with safe_open(source, framework="pt") as file:
        noted = file.metadata() or {}
        facts = noted["facts"]
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    halves = {key: halved(tensor) for key, tensor in tensors.items()}
    target = SHIPPED / f"{name}.safetensors"
    marks = {key: text for key, text in noted.items() if key.startswith("matte_nodes.")}
    save_file(halves, target, {"facts": facts, **marks})
    target.chmod(0o644)
    declarations = SHIPPED / "__init__.py"
    told = f'_shipped("{name}.safetensors", "{sha256_of(target)}", {target.stat().st_size})'
    text = declarations.read_text("utf-8")
    changed = re.sub(rf'_shipped\(\s*"{name}\.safetensors",[^)]*\)', told, text)
    declarations.write_text(changed, "utf-8")
    print(f"{target.name}: {target.stat().st_size} bytes; {facts}")


def halved(tensor: Tensor) -> Tensor:
    """Return a tensor as half floats; as it is where they are too small for it (running variances)."""
    if not tensor.is_floating_point() or float(tensor.abs().max()) > torch.finfo(torch.half).max:
        return tensor
    return tensor.half().contiguous()


if __name__ == "__main__":
    main(*sys.argv[1:])
