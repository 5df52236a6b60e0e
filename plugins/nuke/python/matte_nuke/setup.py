# SPDX-License-Identifier: Apache-2.0
"""Reads the file that `matte install nuke` wrote here: the interpreter, and the needs of models."""

from __future__ import annotations

import json
import os
import sys
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
            # One folder serves several systems; each has been installed from there.
            here = found["systems"].get(sys.platform)
            if here is None and not os.environ.get("MATTE_PYTHON"):
                raise Trouble(
                    f"This plug-in was installed from {', '.join(sorted(found['systems']))}, not "
                    f"from {sys.platform}. Run 'matte install nuke --folder' with the same folder "
                    f"on a machine with {sys.platform} too, or set MATTE_PYTHON."
                )
            here = here or {"python": "", "environment": {}}
            self.python = str(os.environ.get("MATTE_PYTHON") or here["python"])
            self.home = os.environ.get("MATTE_HOME") or here["environment"].get("MATTE_HOME")
            self._models: dict[str, dict[str, Any]] = {m["name"]: m for m in found["models"]}
            self._neighbours: dict[str, Any] = dict(found["neighbours"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Trouble(
                f"{path} is missing or damaged ({error}). Run: matte install nuke"
            ) from error

    def needs(self, model: str) -> list[str]:
        """Return the hints that a model must be given."""
        return list(self._models.get(model, {}).get("needs", []))

    def reach(self, model: str, knobs: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Return how many frames before and after a frame its matte depends on.

        None: all that the shot has, as for auto, which may choose any model. knobs: the values on
        the node. Some mix in the frames beside it, whatever the model.
        """
        memory = self._models.get(model, {}).get("memory", {})
        beside = int(any(knobs.get(name, off) != off for name, off in self._neighbours.items()))
        if memory.get("kind") == "recurrent":
            return None, beside
        if memory.get("kind") == "window":
            scale = int(knobs.get(str(memory.get("scale_knob")), 1))
            steps = [scale * int(step) for step in memory["offsets"]] + [0]
            return beside - min(steps), beside + max(steps)
        return (beside, beside) if memory.get("kind") == "still" else (None, None)
