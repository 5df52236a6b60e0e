# SPDX-License-Identifier: Apache-2.0
"""`matte install nuke`: the gizmos of this environment's models, and two lines in the user's .nuke.

With a folder (`--folder`, a studio's place on $NUKE_PATH) the plug-in is put there and no file of
the user's is touched.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes.errors import OutputError
from matte_nodes.hosts import install as installer
from matte_nodes.hosts.nuke import gizmos
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.service import client
from matte_nodes.whole_files import whole_file

if TYPE_CHECKING:
    from matte_nodes.hosts.finding import State
    from matte_nodes.hosts.install import Options

NAME = "matte_nodes"
MARK = "# matte-nodes (matte install nuke)"
LINES = f'import nuke  {MARK}\nnuke.pluginAddPath("./{NAME}")  {MARK}\n'
PACKAGE = f"python/{gizmos.MODULE}"
SET_UP, CLIENT = "install.json", "matte_client.py"


def user_folder() -> Path:
    """Return the folder that Nuke reads for this user."""
    return Path.home() / ".nuke"


def install(options: Options) -> list[str]:
    """Write the plug-in and make it known to Nuke.

    A second time changes nothing. Raises OutputError.
    """
    root = _root(options)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".matte-", dir=root.parent) as work:
            fresh = Path(work) / NAME
            build(fresh, _others(root))
            _replace(fresh, root, Path(work))
        done = [f"put the plug-in into {root}", f"it will run {sys.executable}"]
        if options.folder is None:
            start = user_folder() / "init.py"
            text = start.read_text("utf-8") if start.is_file() else ""
            _write(start, _without(text) + LINES)
            done.append(f"added two lines to {start}")
        else:
            done.append(f"put {root} onto the environment variable NUKE_PATH of your artists")
    except (OSError, UnicodeError) as error:
        raise OutputError(f"{root} cannot be written ({error}).") from error
    done.append("models: " + ", ".join(card.name for card in gizmos.cards()))
    done.append("start Nuke again: the nodes are in the toolbar's menu 'Matte'")
    return done


def uninstall(options: Options) -> list[str]:
    """Take the plug-in and its lines out again. Scripts keep their nodes and results."""
    root, done = _root(options), []
    try:
        start = user_folder() / "init.py"
        if options.folder is None and start.is_file():
            text = start.read_text("utf-8")
            left = _without(text)
            if left != text:
                if left.strip():
                    _write(start, left)
                else:
                    start.unlink()
                done.append(f"took our lines out of {start}")
        if (root / PACKAGE / SET_UP).is_file():
            shutil.rmtree(root)
            done.append(f"removed {root}")
    except (OSError, UnicodeError) as error:
        raise OutputError(f"{root} cannot be removed ({error}).") from error
    if not done:
        return [f"nothing of ours in {root}"]
    return [*done, "scripts keep their MatteNodes and results; their buttons no longer work"]


def build(target: Path, others: dict[str, Any] | None = None) -> None:
    """The whole plug-in in a new folder: our files, this registry's gizmos, the client, the set-up.

    others: what other systems that share the folder have installed. All users can read what comes.
    """
    source = installer.sources("nuke")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.gizmo"))
    (target / "gizmos").mkdir(exist_ok=True)
    for name, text in gizmos.files().items():
        (target / "gizmos" / name).write_text(text, "utf-8", newline="\n")
    shutil.copyfile(client.__file__, target / PACKAGE / CLIENT)
    said = declaration()
    said["systems"] = {**(others or {}), **said["systems"]}
    (target / PACKAGE / SET_UP).write_text(json.dumps(said, indent=1) + "\n", "utf-8")
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # a studio's umask may say otherwise


def declaration() -> dict[str, Any]:
    """Return what the plug-in must know: the interpreter, its home, what each model needs."""
    return {
        "systems": {
            sys.platform: {"python": sys.executable, "environment": installer.environment()},
        },
        "models": [
            {"name": name, **{key: card.as_dict()[key] for key in ("needs", "takes", "memory")}}
            for card in gizmos.cards()
            for name in (card.name, *card.old_names)
        ],
        # At another value than this, a frame also needs the frames beside it.
        "neighbours": {knob.name: knob.default for knob in NODE_KNOBS if knob.neighbours},
    }


def _others(root: Path) -> dict[str, Any]:
    """Return the entries of other systems in an earlier installation."""
    try:
        systems = json.loads((root / PACKAGE / SET_UP).read_text("utf-8"))["systems"]
        return {name: said for name, said in systems.items() if name != sys.platform}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _root(options: Options) -> Path:
    folder = user_folder() if options.folder is None else options.folder.expanduser().absolute()
    return folder / NAME


def _replace(fresh: Path, root: Path, work: Path) -> None:
    """Put the new folder in the old one's place; refuses a folder that is not ours."""
    if root.exists():
        if not (root / PACKAGE / SET_UP).is_file():
            raise OutputError(f"{root} is there already and is not ours. Move it away.")
        root.rename(work / "old")
    fresh.rename(root)


def _without(text: str) -> str:
    kept = "".join(line for line in text.splitlines(True) if MARK not in line)
    return kept if not kept or kept.endswith("\n") else kept + "\n"


def _write(path: Path, text: str) -> None:
    """Whole or not at all: an artist's own start-up file is in it."""
    with whole_file(path.resolve(), durable=True) as part:  # it may be a link on purpose
        part.write_text(text, "utf-8")
        if path.exists():
            shutil.copymode(path, part)


def findings() -> Iterator[tuple[str, State, str, str]]:
    """Yield what, state, detail and advice for `matte doctor`."""
    root = user_folder() / NAME
    try:
        said = json.loads((root / PACKAGE / SET_UP).read_text("utf-8"))
        python = said["systems"][sys.platform]["python"]
    except FileNotFoundError:
        yield "Nuke plug-in", "note", "not installed", "matte install nuke"
        return
    except (OSError, ValueError, KeyError, TypeError):
        yield "Nuke plug-in", "problem", f"{root} is damaged", "matte install nuke"
        return
    if not Path(python).is_file():
        yield "Nuke plug-in", "problem", f"its Python {python} is gone", "matte install nuke"
    else:
        yield "Nuke plug-in", "ok", f"{root}, runs {python}", ""
