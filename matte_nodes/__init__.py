# SPDX-License-Identifier: Apache-2.0
"""Every image and video matting model behind one MatteNode."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matte_nodes.architecture import (
        Answer,
        Architecture,
        Parity,
        Published,
        Size,
        Training,
    )
    from matte_nodes.card import (
        Bank,
        Checkpoint,
        Inputs,
        Knob,
        LoadContext,
        Memory,
        Model,
        ModelCard,
        Prediction,
        Recurrent,
        Source,
        Still,
        Weights,
        Window,
    )
    from matte_nodes.errors import MatteError
    from matte_nodes.media.clip import Clip, open_clip
    from matte_nodes.models.torch_model import torch_model
    from matte_nodes.node.hints import HintKeys
    from matte_nodes.node.matte import Matte
    from matte_nodes.recognition import Recognition
    from matte_nodes.shot.matte_node import MatteNode
    from matte_nodes.shot.shot import Shot
    from matte_nodes.shot.stream import Stream

__version__ = "0.1.0"

# Where each public name lives; they are imported when first used, so that `import matte_nodes`
# costs next to nothing and `matte --help` loads no runtime.
_HOMES = {
    "Answer": "architecture",
    "Architecture": "architecture",
    "Bank": "card",
    "Checkpoint": "card",
    "Clip": "media.clip",
    "HintKeys": "node.hints",
    "Inputs": "card",
    "Knob": "card",
    "LoadContext": "card",
    "Matte": "node.matte",
    "MatteError": "errors",
    "MatteNode": "shot.matte_node",
    "Memory": "card",
    "Model": "card",
    "ModelCard": "card",
    "Parity": "architecture",
    "Prediction": "card",
    "Published": "architecture",
    "Recognition": "recognition",
    "Recurrent": "card",
    "Shot": "shot.shot",
    "Size": "architecture",
    "Source": "card",
    "Still": "card",
    "Stream": "shot.stream",
    "Training": "architecture",
    "Weights": "card",
    "Window": "card",
    "open_clip": "media.clip",
    "torch_model": "models.torch_model",
}

__all__ = [
    "Answer",
    "Architecture",
    "Bank",
    "Checkpoint",
    "Clip",
    "HintKeys",
    "Inputs",
    "Knob",
    "LoadContext",
    "Matte",
    "MatteError",
    "MatteNode",
    "Memory",
    "Model",
    "ModelCard",
    "Parity",
    "Prediction",
    "Published",
    "Recognition",
    "Recurrent",
    "Shot",
    "Size",
    "Source",
    "Still",
    "Stream",
    "Training",
    "Weights",
    "Window",
    "open_clip",
    "torch_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
