# SPDX-License-Identifier: Apache-2.0
"""Files of a job as PATH parameters, so that a farm can move them and map their paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes.errors import UsageError
from matte_nodes.media.pattern import Pattern
from matte_nodes.points import PLACE


@dataclass(frozen=True)
class FileParameter:
    """One PATH parameter of a job."""

    definition: Mapping[str, Any]
    """Its definition in the template."""
    value: str
    """Its value on this machine."""
    argument: str
    """The text that stands for it in a command."""

    @property
    def name(self) -> str:
        """The name of the parameter."""
        return str(self.definition["name"])


def input_parameter(name: str, spec: str) -> FileParameter:
    """Return a parameter for a file, a folder or a pattern that the job reads.

    A folder is declared without a data flow. Its needed files are listed in the asset references,
    so that the farm moves nothing else from it.
    """
    path = Path(os.path.abspath(one_line(spec)))
    label = _label(name, "INPUT")
    if path.is_file():
        return FileParameter(
            {"name": name, "type": "PATH", "objectType": "FILE", "dataFlow": "IN", **label},
            str(path),
            f"{{{{Param.{name}}}}}",
        )
    folder = path if path.is_dir() else path.parent
    return _folder(name, folder, "" if path.is_dir() else path.name, "NONE")


def output_parameter(name: str, spec: str) -> FileParameter:
    """Return a parameter for the folder that the job writes a pattern to. Raises UsageError for a
    single file.
    """
    if Pattern.parse(spec) is None:
        raise UsageError(
            f"{spec!r}: several machines cannot write one file. Give a pattern with #### for the "
            "frame number, and make a movie of the frames afterwards."
        )
    path = Path(os.path.abspath(spec))
    folder = written_folder(spec)
    return _folder(name, folder, path.relative_to(folder).as_posix(), "OUT")


def written_folder(spec: str) -> Path:
    """Return the folder that a job writes into: above folders that are named by objects."""
    folder = Path(os.path.abspath(spec)).parent
    while PLACE in str(folder):
        folder = folder.parent
    return folder


def literal(text: str) -> str:
    """Return a text for a template or a line of commands.

    Raises UsageError where the farm would read an expression or a new line in it.
    """
    if "{{" in text or "}}" in text:
        raise UsageError(f"{text!r}: names with {{{{ or }}}} cannot be written into a job.")
    return one_line(text)


def one_line(text: str) -> str:
    """Return a text without control characters. Raises UsageError for one that has some."""
    if not text.isprintable():
        raise UsageError(
            f"{text!r}: names with line feeds or other control characters cannot be written into a "
            "job. Rename the file."
        )
    return text


def _folder(name: str, folder: Path, file: str, flow: str) -> FileParameter:
    name = f"{name}Folder"
    definition = {"name": name, "type": "PATH", "objectType": "DIRECTORY", "dataFlow": flow}
    definition |= _label(name, "INPUT" if flow == "NONE" else "OUTPUT")
    inside = f"/{literal(file)}" if file else ""
    one_line(str(folder))
    return FileParameter(definition, str(folder), f"{{{{Param.{name}}}}}{inside}")


def _label(name: str, way: str) -> dict[str, Any]:
    is_file = not name.endswith("Folder")
    control = "CHOOSE_INPUT_FILE" if is_file else "CHOOSE_DIRECTORY"
    words = name.replace("Folder", " folder")
    assert way in ("INPUT", "OUTPUT")
    return {"userInterface": {"control": control, "label": words, "groupLabel": way.capitalize()}}
