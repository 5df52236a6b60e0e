# SPDX-License-Identifier: Apache-2.0
"""`matte install obs`: builds the plug-in, installs it for the user, and declares the models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes import models, weights
from matte_nodes.errors import MatteError, OutputError, UsageError
from matte_nodes.hosts import install as installer
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.runtime import PROVIDERS
from matte_nodes.whole_files import whole_file, write_text

if TYPE_CHECKING:
    from matte_nodes.card import Knob
    from matte_nodes.hosts.finding import State
    from matte_nodes.hosts.install import Options

NAME = "matte-nodes"
# The best trade in bench/bench_live_models.py: the network as a whole at 256 x 144.
DEFAULT_MODEL, DEFAULT_WIDTH = "rvm", 256
SET_UP = "install.json"
FLATPAK, FLATPAK_EXTENSION = "com.obsproject.Studio", "com.obsproject.Studio.Plugin.MatteNodes"
OUTSIDE = f"flatpak override --user --talk-name=org.freedesktop.Flatpak {FLATPAK}"
"""What lets the OBS of a Flatpak start a program outside of its sandbox: our daemon."""


def folder(options: Options | None = None) -> Path:
    """Return the plug-in's own folder, where OBS looks for this user's plug-ins."""
    if options is not None and options.folder is not None:
        return options.folder.expanduser().absolute() / NAME
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "obs-studio/plugins" / NAME
    if sys.platform == "darwin":
        support = Path.home() / "Library/Application Support"
        return support / "obs-studio/plugins" / f"{NAME}.plugin"
    if flatpak():
        return _flatpak_config() / "plugins" / NAME
    from platformdirs import user_config_path

    return user_config_path() / "obs-studio/plugins" / NAME


def _flatpak_config() -> Path:
    """Return the folder that the OBS of a Flatpak sees as its own configuration."""
    return Path.home() / f".var/app/{FLATPAK}/config/obs-studio"


def _flatpak_roots() -> tuple[Path, Path]:
    return Path("/var/lib/flatpak"), Path.home() / ".local/share/flatpak"


def _native() -> bool:
    found = shutil.which("obs")
    return bool(found) and "/snap/" not in str(found)


def flatpak() -> bool:
    """Whether this user's OBS is a Flatpak, and there is none of the system beside it."""
    return not _native() and any((root / "app" / FLATPAK).exists() for root in _flatpak_roots())


def _extension() -> bool:
    """Whether the plug-in comes as an extension of the Flatpak."""
    return flatpak() and any(
        (root / "runtime" / FLATPAK_EXTENSION).exists() for root in _flatpak_roots()
    )


def _extension_data() -> Path:
    """Return where the extension looks for what it is to run: its own folder is read-only."""
    return _flatpak_config() / "plugin_config" / NAME


def _may_start_outside() -> bool:
    """Whether `OUTSIDE` was run, here or for all users."""
    for root in _flatpak_roots():
        try:
            text = (root / "overrides" / FLATPAK).read_text(encoding="utf-8")
        except OSError:
            continue
        if "org.freedesktop.Flatpak=talk" in text.replace(" ", ""):
            return True
    return False


def _places(root: Path) -> tuple[Path, Path]:
    """Return the paths of the binary and of the data."""
    if sys.platform == "darwin":
        return root / "Contents/MacOS" / NAME, root / "Contents/Resources"
    name = f"{NAME}.dll" if sys.platform == "win32" else f"{NAME}.so"
    return root / "bin/64bit" / name, root / "data"


def sandboxed() -> str | None:
    """Return why this machine's OBS cannot start our daemon, or None."""
    if not _native() and not flatpak() and Path("/snap/obs-studio").exists():
        return "is a Snap: its confinement does not let it start this Python"
    return None


def install(options: Options) -> list[str]:
    """Build the plug-in (or take a built one), copy it and declare the models. Raises UsageError,
    OutputError.
    """
    reason = sandboxed()
    if reason:
        raise UsageError(f"The OBS on this machine {reason}. Install OBS from your distribution.")
    source, root = installer.sources("obs"), folder(options)
    binary, data = _places(root)
    if options.folder is None and _extension():
        return _declare_to_extension()
    done = []
    with tempfile.TemporaryDirectory() as work:
        built = options.binary or _build(source, Path(work))
        done.append(f"{'took' if options.binary else 'built'} {built.name}")
        declared, left = declaration()
        try:
            binary.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source / "data", data, dirs_exist_ok=True)
            # Write beside it and rename: a running OBS has the old file mapped.
            with whole_file(binary, durable=True) as fresh:
                shutil.copyfile(built, fresh)
                fresh.chmod(0o755)
            write_text(data / SET_UP, json.dumps(declared, indent=1))
        except OSError as error:
            raise OutputError(f"{root} cannot be written ({error}).") from error
    done.append(f"put it into {root}")
    return [*done, *_told(declared, left)]


def _declare_to_extension() -> list[str]:
    declared, left = declaration()
    path = _extension_data() / SET_UP
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(declared, indent=1))
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}).") from error
    return [f"the plug-in is an extension of the Flatpak; wrote {path}", *_told(declared, left)]


def _told(declared: dict[str, Any], left: list[str]) -> Iterator[str]:
    yield f"it will run {declared['python']}"
    yield "models: " + ", ".join(model["name"] for model in declared["models"])
    if left:
        yield "left out, their weights are not here: " + ", ".join(left)
    if flatpak() and not _may_start_outside():
        yield f"OBS is a Flatpak and may not start this Python yet. Allow it once: {OUTSIDE}"
    yield "start OBS again; add the filter 'Matte', or better the source 'Matte Camera'"


def uninstall(options: Options) -> list[str]:
    """Remove the plug-in's folder if it is ours. Raises UsageError, OutputError."""
    root = folder(options)
    if options.folder is None and _extension():
        (_extension_data() / SET_UP).unlink(missing_ok=True)
        return [
            f"the extension is no longer told what to run; flatpak uninstall {FLATPAK_EXTENSION}"
        ]
    if not (_places(root)[1] / SET_UP).is_file():
        return [f"nothing of ours in {root}"]
    try:
        shutil.rmtree(root)
    except OSError as error:
        raise OutputError(f"{root} cannot be removed ({error}). Close OBS first.") from error
    return [
        f"removed {root}",
        "OBS now shows the raw camera wherever the filter 'Matte' was: remove those sources",
    ]


def _build(source: Path, work: Path) -> Path:
    if not shutil.which("cmake"):
        raise UsageError(
            "The plug-in cannot be built, because cmake is not installed. Install cmake, a C "
            "compiler and "
            "the headers of OBS (Debian: apt-get install cmake gcc libobs-dev), or give --binary."
        )
    steps = (
        ["cmake", "-S", str(source), "-B", str(work), "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", str(work), "--config", "Release"],
    )
    for step in steps:
        run = subprocess.run(step, capture_output=True, text=True, check=False)
        if run.returncode:
            tail = " / ".join((run.stdout + run.stderr).strip().splitlines()[-3:])
            raise UsageError(
                f"The plug-in could not be built: {tail}. The headers of OBS are needed (Debian: "
                "apt-get install cmake gcc libobs-dev)."
            )
    found = [p for p in work.rglob(f"{NAME}.*") if p.suffix in (".so", ".dll", ".dylib")]
    if not found:
        raise UsageError("The build of the plug-in made no binary; give one with --binary.")
    return found[0]


def declaration() -> tuple[dict[str, Any], list[str]]:
    """Return what the plug-in reads: interpreter, environment, models, knobs, and omitted models.

    Raises UsageError when no live model has its weights here.
    """
    known, left = [], []
    for name in models.names():
        card = models.card(name)
        if card.needs - {"background"}:
            continue
        try:
            weights.require(card, weights.checkpoint(card, None, False))
        except MatteError:
            left.append(name)
            continue
        known.append(
            {
                "name": name,
                "title": card.title + (" (needs a clean plate)" if card.needs else ""),
                "clean_plate": "background" in card.needs | card.takes,
                "knobs": list(_knobs(card.knobs)),
            }
        )
    if not known:
        raise UsageError(
            f"No live model has its weights here: run `matte models pull {DEFAULT_MODEL}` first."
        )
    have = [model["name"] for model in known]
    return {
        "python": sys.executable,
        "environment": installer.environment(),
        "default_model": DEFAULT_MODEL if DEFAULT_MODEL in have else have[0],
        "default_width": DEFAULT_WIDTH,
        "devices": [{"name": name} for name in ("auto", *PROVIDERS)],
        "knobs": list(_knobs(NODE_KNOBS)),
        "models": known,
    }, left


def _knobs(knobs: tuple[Knob, ...]) -> Iterator[dict[str, Any]]:
    for knob in knobs:
        if not knob.live or knob.neighbours:
            continue
        yield {
            **{key: value for key, value in asdict(knob).items() if value is not None},
            "label": knob.title,
            "choices": [{"name": choice} for choice in knob.choices],
        }


def findings() -> Iterator[tuple[str, State, str, str]]:
    """Return (subject, state, detail, advice) rows for `matte doctor`."""
    root = folder()
    binary, data = _places(root)
    reason = sandboxed()
    if reason:
        yield "OBS", "problem", f"the OBS here {reason}", "install OBS from your distribution"
    if _extension():
        root = data = _extension_data()
    elif not binary.is_file():
        yield "OBS plug-in", "note", "not installed", "matte install obs"
        return
    if flatpak() and not _may_start_outside():
        yield "OBS", "problem", "a Flatpak that may not start our Python", OUTSIDE
    try:
        python = json.loads((data / SET_UP).read_text(encoding="utf-8"))["python"]
    except (OSError, ValueError, KeyError, TypeError):
        yield "OBS plug-in", "problem", f"{data / SET_UP} is missing", "matte install obs"
        return
    if Path(python).is_file():
        yield "OBS plug-in", "ok", f"{root}, runs {python}", ""
    else:
        yield "OBS plug-in", "problem", f"its Python {python} is gone", "matte install obs"
