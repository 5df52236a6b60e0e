# SPDX-License-Identifier: Apache-2.0
"""`matte install blender`: build the extension, check it, put it into the Blenders that are here.

With a folder (`--folder`) the zip is put there for others to install, and nothing else is touched.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matte_nodes.errors import OutputError, UsageError
from matte_nodes.hosts import install as installer
from matte_nodes.hosts.blender import build, manifest, places
from matte_nodes.hosts.blender.places import EXTENSION, BlenderFolder
from matte_nodes.whole_files import whole_file

if TYPE_CHECKING:
    from matte_nodes.hosts.finding import State
    from matte_nodes.hosts.install import Options

BY_HAND = "enable it there: Edit > Preferences > Add-ons > Matte"


def install(options: Options) -> list[str]:
    """Build, check, unpack, enable.

    A second time changes nothing. Raises UsageError, OutputError.
    """
    if options.folder is not None:
        zipped = build.archive(options.folder.expanduser().absolute())
        return [
            f"built and checked {zipped}",
            "Blender 4.2 and newer: Edit > Preferences > Get Extensions > Install from Disk",
            "Blender 3.4 to 4.1: Edit > Preferences > Add-ons > Install",
            f"its preferences must name a Python with matte-nodes, such as {sys.executable}",
        ]
    found, done = places.known(options.binary)
    if not found:
        raise UsageError(
            "No Blender was found. Start it once, or name its program with --binary, or make a zip "
            "to install from disk: matte install blender --folder DIR"
            + "".join(f"\n{x}" for x in done)
        )
    with tempfile.TemporaryDirectory() as work:
        zipped = build.archive(Path(work))
        done.append(f"built and checked {zipped.name}")
        for place in found:
            _put(zipped, place)
            done += [f"{place.name}: put it into {place.folder}", f"{place.name}: {_enable(place)}"]
    done.append(f"it will run {sys.executable}")
    done.append("start Blender again: in a compositor, Add > Matte, and the sidebar's tab 'Matte'")
    return done


def uninstall(options: Options) -> list[str]:
    """Take the add-on out again. Files keep their Matte nodes, settings and bakes."""
    if options.folder is not None:
        zipped = options.folder.expanduser().absolute() / f"{EXTENSION}-{build.version()}.zip"
        if not zipped.is_file():
            return [f"nothing of ours in {zipped.parent}"]
        zipped.unlink()
        return [f"removed {zipped}"]
    found, done = places.known(options.binary)
    for place in found:
        if not _ours(place.folder):
            continue
        if place.program is not None:
            try:
                places.talk(place.program, "disable")
            except UsageError as error:
                done.append(f"{place.name} still lists it as enabled: {error}")
        try:
            shutil.rmtree(place.folder)
            place.note.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{place.folder} cannot be removed ({error}).") from error
        done.append(f"{place.name}: removed {place.folder}")
    if not any("removed" in line for line in done):
        return [*done, "nothing of ours in any Blender here"]
    return [*done, "files keep their Matte nodes and render as before; new bakes need the add-on"]


def _put(zipped: Path, place: BlenderFolder) -> None:
    """Unpack beside the place, then swap: a Blender never finds half of it."""
    target = place.folder
    if target.exists() and not _ours(target):
        raise OutputError(f"{target} is there already and is not ours. Move it away.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".matte-", dir=target.parent) as work:
            with zipfile.ZipFile(zipped) as packed:
                packed.extractall(work)
            fresh = Path(work) / build.ADDON
            if target.exists():
                target.rename(Path(work) / "old")
            fresh.rename(target)
        facts = {"python": sys.executable, "environment": installer.environment()}
        place.config.mkdir(parents=True, exist_ok=True)
        with whole_file(place.note) as part:
            part.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"{target} cannot be written ({error}).") from error


def _enable(place: BlenderFolder) -> str:
    if place.program is None:
        return BY_HAND
    try:
        if places.talk(place.program, "enable")["result"]:
            return "enabled"
    except UsageError as error:
        return f"not enabled ({error}); {BY_HAND}"
    return f"not enabled, its console says why; {BY_HAND}"


def _ours(folder: Path) -> bool:
    return _manifest(folder).get("id") == EXTENSION


def _manifest(folder: Path) -> dict[str, object]:
    try:
        return tomllib.loads((folder / manifest.FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def findings() -> Iterator[tuple[str, State, str, str]]:
    """Yield what, state, detail and advice for `matte doctor`; no Blender is started for it."""
    here = [place for place in places.folders() if _ours(place.folder)]
    if not here:
        yield "Blender add-on", "note", "not installed", "matte install blender"
    for place in here:
        what = f"{place.name} add-on"
        try:
            python = json.loads(place.note.read_text("utf-8"))["python"]
        except FileNotFoundError:
            yield what, "note", "installed by hand: its preferences name the Python", ""
            continue
        except (OSError, ValueError, KeyError, TypeError):
            yield what, "problem", f"{place.note} is damaged", "matte install blender"
            continue
        if not Path(python).is_file():
            yield what, "problem", f"its Python {python} is gone", "matte install blender"
        elif _old(place.folder):
            yield what, "problem", "not that of this matte-nodes", "matte install blender"
        else:
            yield what, "ok", f"{place.folder}, runs {python}", ""


def _old(folder: Path) -> bool:
    """Whether a file differs from what would be installed now."""
    return any(
        not (folder / name).is_file() or (folder / name).read_bytes() != data
        for name, data in build.files().items()
    )
