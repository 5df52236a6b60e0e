# SPDX-License-Identifier: Apache-2.0
"""The Blenders of this user: programs, their folders, and where the add-on belongs in each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes.errors import UsageError
from matte_nodes.hosts import install as installer
from matte_nodes.hosts.blender.build import ADDON

EXTENSION = "matte_nodes"
NOTE = "matte_nodes.json"
"""In the folder of Blender's settings: an add-on's own folder is replaced at each update."""
OLDEST, EXTENSIONS_SINCE = (3, 4), (4, 2)
SECONDS = 120  # a Blender on a slow network home, with all its add-ons


@dataclass(frozen=True)
class BlenderFolder:
    """One Blender: its version (major, minor), the add-on's folder in it, its program if known.

    config: the folder of the user's settings, which outlive the add-on.
    """

    version: tuple[int, int]
    folder: Path
    config: Path
    program: Path | None = None

    @property
    def note(self) -> Path:
        """Where the installer keeps which Python matting is done with."""
        return self.config / NOTE

    @property
    def name(self) -> str:
        """The name for artists."""
        return "Blender " + ".".join(map(str, self.version))


def user_root() -> Path:
    """Return the folder in which Blender keeps a folder for each of its versions."""
    if sys.platform == "win32":
        data = os.environ.get("APPDATA") or str(Path.home() / "AppData/Roaming")
        return Path(data) / "Blender Foundation/Blender"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/Blender"
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "blender"


def programs() -> Iterator[Path]:
    """Blender programs at the places where they usually are."""
    found = shutil.which("blender")
    if found and not _sandboxed(Path(found)):
        yield Path(found).resolve()
    globs = {
        "win32": (
            os.environ.get("PROGRAMFILES", r"C:\Program Files"),
            "Blender Foundation/Blender*/blender.exe",
        ),
        "darwin": ("/Applications", "Blender*.app/Contents/MacOS/Blender"),
    }.get(sys.platform, ("/opt", "blender*/blender"))
    yield from sorted(Path(globs[0]).glob(globs[1]))
    yield from sorted(Path.home().glob("blender-*/blender"))


def _sandboxed(program: Path) -> bool:
    """A Flatpak's Blender, which sees neither the user's Python nor its libraries."""
    return "flatpak" in program.resolve().parts


def folders() -> Iterator[BlenderFolder]:
    """Yield places in the user's folders, one for each version that was started once.

    Starts nothing.
    """
    root = user_root()
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if (found := re.fullmatch(r"(\d+)\.(\d+)", folder.name)) is None:
            continue
        version = int(found[1]), int(found[2])
        if version >= EXTENSIONS_SINCE:
            yield BlenderFolder(
                version, folder / "extensions/user_default" / EXTENSION, folder / "config"
            )
        elif version >= OLDEST:
            yield BlenderFolder(version, folder / "scripts/addons" / ADDON, folder / "config")


def asked(program: Path) -> BlenderFolder:
    """Return the place that a program names itself. Raises UsageError when it has none for us."""
    said = talk(program, "where")
    version = int(said["version"][0]), int(said["version"][1])
    if version < OLDEST:
        raise UsageError(f"{program} is Blender {version[0]}.{version[1]}; 3.4 is the oldest.")
    if not said["result"]:
        raise UsageError(
            f"{program} has no repository 'User Default'. Add it again in its preferences "
            "(Get Extensions, Repositories, +, Add Local Repository, module user_default)."
        )
    return BlenderFolder(version, Path(said["result"]), Path(said["config"]), program)


def known(program: Path | None) -> tuple[list[BlenderFolder], list[str]]:
    """Return where to install: a program's place, or all that are found.

    And why some are left out.
    """
    if program is not None:
        return [asked(program)], []
    found: dict[Path, BlenderFolder] = {}
    left = []
    for candidate in dict.fromkeys(programs()):
        try:
            place = asked(candidate)
        except UsageError as error:
            left.append(str(error))
            continue
        found.setdefault(place.folder, place)
    for place in folders():
        found.setdefault(place.folder, place)
    return sorted(found.values(), key=lambda place: (place.version, place.folder)), left


def talk(program: Path, verb: str) -> dict[str, Any]:
    """Let a Blender run plugins/blender/set_up.py with a verb. Raises UsageError with its words."""
    with tempfile.TemporaryDirectory() as work:
        answer = Path(work) / "answer.json"
        script = installer.sources("blender") / "set_up.py"
        said = ""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        try:
            ran = subprocess.run(
                [str(program), "-b", "--python-exit-code", "3", "--python", str(script), "--", verb,
                 str(answer)],
                capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS,
                stdin=subprocess.DEVNULL, env=environment, cwd=work,
            )  # fmt: skip
            said = " / ".join((ran.stdout + ran.stderr).strip().splitlines()[-3:])
            found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        except subprocess.TimeoutExpired as error:
            raise UsageError(
                f"{program} did not answer within {SECONDS} s. Start it once by hand and close it, "
                "then try again."
            ) from error
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{program} does not answer as a Blender does: {said or error}"
            ) from error
    return found
