# SPDX-License-Identifier: Apache-2.0
"""Every image and video matting model behind one MatteNode."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import MatteError
    from .hints import HintKeys
    from .matte import Matte
    from .media.clip import Clip, open_clip
    from .model import (
        Bank,
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
    from .node import MatteNode
    from .shot import Shot
    from .stream import Stream

__version__ = "0.1.0"

# Where each public name lives; they are imported when first used, so that `import matte_nodes`
# costs next to nothing and `matte --help` loads no runtime.
_HOMES = {
    "Bank": "model",
    "Clip": "media.clip",
    "HintKeys": "hints",
    "Inputs": "model",
    "Knob": "model",
    "LoadContext": "model",
    "Matte": "matte",
    "MatteError": "errors",
    "MatteNode": "node",
    "Memory": "model",
    "Model": "model",
    "ModelCard": "model",
    "Prediction": "model",
    "Recurrent": "model",
    "Shot": "shot",
    "Source": "model",
    "Still": "model",
    "Stream": "stream",
    "Weights": "model",
    "Window": "model",
    "open_clip": "media.clip",
}

__all__ = [
    "Bank",
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
    "Prediction",
    "Recurrent",
    "Shot",
    "Source",
    "Still",
    "Stream",
    "Weights",
    "Window",
    "open_clip",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
