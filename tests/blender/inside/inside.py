# SPDX-License-Identifier: Apache-2.0
"""What the tests' scripts use inside a Blender; Python 3.10, bpy of 3.4 to 5.0."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
from typing import Any

import bpy

_answer: dict[str, Any] = {}
_loaded: list[Any] = []


def answer(**values: Any) -> None:
    """Hand values (plain JSON) to the test."""
    _answer.update(values)
    with open(os.environ["MATTE_TEST_ANSWER"], "w", encoding="utf-8") as file:
        json.dump(_answer, file)


def load(folder: str) -> Any:
    """Register the add-on that lies in a folder, by its own name; answers its module."""
    parent, name = os.path.split(os.path.abspath(folder))
    sys.path.insert(0, parent)
    module = importlib.import_module(name)
    module.register()
    _loaded.append(module)
    return module


def over() -> bool:
    """Whether this Blender ends with its script; one with a window goes on."""
    return bool(bpy.app.background or getattr(bpy.app, "module", False))


def tidy() -> None:
    """Take out what was registered, once."""
    while _loaded:
        _loaded.pop().unregister()
    import addon_utils

    for name in [name for name in bpy.context.preferences.addons.keys() if "matte_nodes" in name]:  # noqa: SIM118
        addon_utils.disable(name)


atexit.register(tidy)
