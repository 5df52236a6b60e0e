# SPDX-License-Identifier: Apache-2.0
"""Reads the file that `matte install nuke` wrote here: the interpreter, and the needs of models."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from .trouble import Trouble

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "install.json")


class Setup:
    """The Python of matte-nodes, its home, and the declarations that the plug-in needs.

    Raises Trouble when the plug-in was not put here by the installer.
    """

    def __init__(self, path: str = FILE) -> None:
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
            self.python = str(os.environ.get("MATTE_PYTHON") or found["python"])
            self.home = os.environ.get("MATTE_HOME") or found["environment"].get("MATTE_HOME")
            self._models: dict[str, dict[str, Any]] = {m["name"]: m for m in found["models"]}
            self._neighbours: dict[str, Any] = dict(found["neighbours"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Trouble(
                f"{path} is missing or damaged ({error}). Run: matte install nuke"
            ) from error

    def needs(self, model: str) -> list[str]:
        """Return the hints that a model must be given."""
        return list(self._models.get(model, {}).get("needs", []))

    def is_still(self, model: str, knobs: Mapping[str, Any]) -> bool:
        """Whether a frame depends on no other frame; auto may choose any model.

        knobs: the values on the node. Some mix in the frames beside it, whatever the model.
        """
        memory = self._models.get(model, {}).get("memory", {})
        alone = all(knobs.get(name, off) == off for name, off in self._neighbours.items())
        return bool(memory.get("kind") == "still") and alone
