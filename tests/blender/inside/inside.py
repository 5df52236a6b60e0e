# SPDX-License-Identifier: Apache-2.0
"""What the tests' scripts use inside a Blender; Python 3.10, bpy of 3.4 to 5.0."""

from __future__ import annotations

import atexit
import json
import os
import sys
from typing import Any

import bpy

import addon_utils  # isort: skip (only Blender can find it)

_answer: dict[str, Any] = {}


def answer(**values: Any) -> None:
    """Hand values (plain JSON) to the test."""
    _answer.update(values)
    with open(os.environ["MATTE_TEST_ANSWER"], "w", encoding="utf-8") as file:
        json.dump(_answer, file)


def load(folder: str) -> Any:
    """Enable the add-on that lies in a folder, by its own name; answers its module."""
    parent, name = os.path.split(os.path.abspath(folder))
    sys.path.insert(0, parent)
    module = addon_utils.enable(name, default_set=True)
    assert module is not None, f"{name} cannot be enabled"
    return module


def over() -> bool:
    """Whether this Blender ends with its script; one with a window goes on."""
    return bool(bpy.app.background or getattr(bpy.app, "module", False))


def tidy() -> None:
    """Take out what was registered, once."""
    for name in [name for name in bpy.context.preferences.addons.keys() if "matte_nodes" in name]:  # noqa: SIM118
        addon_utils.disable(name, default_set=True)


atexit.register(tidy)
