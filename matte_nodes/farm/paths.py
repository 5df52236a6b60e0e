# SPDX-License-Identifier: Apache-2.0
"""Files of a job as PATH parameters, so that a farm can move them and say where they are now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes.errors import UsageError
from matte_nodes.media.pattern import Pattern


@dataclass(frozen=True)
class FileParameter:
    """One PATH parameter: its definition, its value here, and what a command writes for it."""

    definition: Mapping[str, Any]
    value: str
    argument: str

    @property
    def name(self) -> str:
        """The parameter's name."""
        return str(self.definition["name"])


def input_parameter(name: str, spec: str) -> FileParameter:
    """A parameter for a file, a folder or a pattern that is read.

    Folders are declared without a data flow: the files of them that are needed are listed in the
    asset references, so that nothing else in the folder is moved.
    """
    path = Path(os.path.abspath(spec))
    label = _label(name, "INPUT")
    if path.is_file():
        return FileParameter(
            {"name": name, "type": "PATH", "objectType": "FILE", "dataFlow": "IN", **label},
            str(path), f"{{{{Param.{name}}}}}",
        )  # fmt: skip
    folder = path if path.is_dir() else path.parent
    return _folder(name, folder, "" if path.is_dir() else path.name, "NONE")


def output_parameter(name: str, spec: str) -> FileParameter:
    """A parameter for the folder of a pattern that is written; UsageError when it is none."""
    if Pattern.parse(spec) is None:
        raise UsageError(
            f"{spec!r}: several machines cannot write one file; give a pattern with #### for the "
            "frame number, and make a movie of the frames afterwards."
        )
    path = Path(os.path.abspath(spec))
    return _folder(name, path.parent, path.name, "OUT")


def literal(text: str) -> str:
    """A text as it stands in a template; UsageError when it would be taken for an expression."""
    if "{{" in text or "}}" in text:
        raise UsageError(f"{text!r}: names with {{{{ or }}}} cannot be written into a job.")
    return text


def _folder(name: str, folder: Path, file: str, flow: str) -> FileParameter:
    name = f"{name}Folder"
    definition = {"name": name, "type": "PATH", "objectType": "DIRECTORY", "dataFlow": flow}
    definition |= _label(name, "INPUT" if flow == "NONE" else "OUTPUT")
    inside = f"/{literal(file)}" if file else ""
    return FileParameter(definition, str(folder), f"{{{{Param.{name}}}}}{inside}")


def _label(name: str, way: str) -> dict[str, Any]:
    is_file = not name.endswith("Folder")
    control = "CHOOSE_INPUT_FILE" if is_file else "CHOOSE_DIRECTORY"
    words = name.replace("Folder", " folder")
    assert way in ("INPUT", "OUTPUT")
    return {"userInterface": {"control": control, "label": words, "groupLabel": way.capitalize()}}
