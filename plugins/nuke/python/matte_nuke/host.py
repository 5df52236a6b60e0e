# SPDX-License-Identifier: Apache-2.0
"""The layer that touches Nuke: knobs are set here, inputs are rendered here, on its main thread."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import nuke

from . import kept
from .trouble import Trouble
from .versions import extent

RED = 0xC03030FF


def nuke_folder() -> str:
    """Return Nuke's own folder."""
    return os.path.dirname(str(nuke.EXE_PATH))


def on_main(function: Callable[..., Any], *given: Any) -> None:
    """Call it on Nuke's main thread; on that thread itself, at once (waiting there would hang)."""
    if not nuke.GUI or threading.current_thread() is threading.main_thread():
        function(*given)
    else:
        nuke.executeInMainThread(function, args=given)


def file_of(read: Any) -> str:
    """Return a Read's file pattern as Nuke opens it: after a pipeline's filename filters."""
    return str(nuke.filename(read) or "")


def place() -> str:
    """Return the frame that is shown, with a p in proxy mode."""
    return f"{int(nuke.frame())}{'p' if nuke.root().proxy() else ''}"


def hashes(source: Any, frames: list[int]) -> dict[int, str]:
    """Return the hash that Nuke has for a node at each frame; {} where it has none.

    Nuke answers for the current frame, so that is moved, and put back.
    """
    found, before = {}, int(nuke.frame())
    try:
        with no_undo():
            for frame in frames:
                nuke.frame(frame)
                found[frame] = ",".join(f"{value:x}" for value in source.opHashes())
    except RuntimeError:
        return {}
    finally:
        with no_undo():
            nuke.frame(before)
    return found


def files_above(node: Any) -> list[str]:
    """Return the patterns of all files that are read above a node, the node's own too."""
    found: dict[str, None] = {}
    seen, left = set(), [node]
    while left:
        here = left.pop()
        if here is None or here.fullName() in seen:
            continue
        seen.add(here.fullName())
        knob = here.knob("file")
        if knob is not None and not here.Class().startswith("Write"):
            found[str(nuke.filename(here) or "")] = None
        left += here.dependencies(nuke.INPUTS | nuke.HIDDEN_INPUTS | nuke.EXPRESSIONS)
        if hasattr(here, "nodes"):
            left += here.nodes()
    return sorted(found)


@contextmanager
def no_undo() -> Iterator[None]:
    """Keep what the plug-in sets out of the artist's undo history."""
    was_off = bool(nuke.Undo.disabled())
    nuke.Undo.disable()
    try:
        yield
    finally:
        if not was_off:
            nuke.Undo.enable()


class Face:
    """One MatteNode as the artist sees it; every method is called on the main thread."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def name(self) -> str:
        """The node's full name."""
        return str(self.node.fullName())

    def say(self, state: str, error: str = "") -> None:
        """Show how it goes; an error reddens the node. A node that was deleted is left alone."""
        try:
            with no_undo():
                self.node["state"].setValue(state)
                self.node["error"].setValue(error)
                tile, usual = self.node["tile_color"], self.node["usual_tile"]
                if error and int(tile.value()) != RED:
                    usual.setValue(str(int(tile.value())))
                    tile.setValue(RED)
                elif not error and int(tile.value()) == RED:
                    tile.setValue(int(usual.value() or 0))
        except ValueError:  # Nuke's word for a node that is gone
            return

    @property
    def run(self) -> str:
        """The name of the run that works for this node; "" for none. It outlives a new node name."""
        knob = self.node.knob("run")
        return "" if knob is None else str(knob.value() or "")

    def begin(self, run: str) -> None:
        """Note the run. A script that is saved meanwhile does not hold it."""
        with no_undo():
            for name in ("run", "is_live"):
                self.node[name].setFlag(nuke.DO_NOT_WRITE)
            self.node["run"].setValue(run)

    def end(self) -> None:
        """There is no run any more; the result is shown instead of frames that came."""
        try:
            with no_undo():
                self.node["run"].setValue("")
                self.node["is_live"].setValue(False)
        except ValueError:  # the node was deleted meanwhile
            return

    def show_live(self, pattern: str, first: int, last: int) -> None:
        """Show frames of the run that works, in the window only; the result stays as it is."""
        try:
            live = self.node.node("live")
            with no_undo():
                for name in ("file", "proxy"):
                    live[name].setValue(pattern.replace(os.sep, "/"))
                for name, frame in (("first", first), ("last", last)):
                    live[name].setValue(frame)
                self.node["is_live"].setValue(True)
                live["reload"].execute()  # else a frame that was missing stays black
        except ValueError:
            return

    def reload(self) -> None:
        """Look at the files of the result again, as a farm may have written more of them."""
        self.node.node("result")["reload"].execute()

    def shown(self, *, proxy: bool) -> str:
        """Return the folder that the Read inside shows; "" before the first result."""
        knob = self.node.node("result")["proxy" if proxy else "file"]
        return os.path.dirname(str(knob.evaluate() or ""))

    def show(
        self, pattern: str, frames: list[int], settings: str, inputs: str, *, proxy: bool
    ) -> None:
        """Point the Read inside at a pattern of files, by its absolute path.

        A script that is copied or published finds them so. frames: those that are there or will
        be; the Read's range holds all that lie in its folders besides. inputs: the inputs' hashes.
        """
        read = self.node.node("result")
        shown = {knob: str(read[knob].value() or "") for knob in ("file", "proxy")}
        shown["proxy" if proxy else "file"] = pattern.replace(os.sep, "/")
        # Outside of its range a Read is black, so the range is never smaller than the folders.
        # The range belongs to the files and to their proxies alike.
        every = [*frames, *extent(shown["file"]), *extent(shown["proxy"])]
        with no_undo():
            for name, path in shown.items():
                read[name].setValue(path)
            for name in ("first", "origfirst"):
                read[name].setValue(min(every))
            for name in ("last", "origlast"):
                read[name].setValue(max(every))
            self.node["settings"].setValue(settings)
            self.node["inputs_seen"].setValue(inputs)
            self.node["has_result"].setValue(True)

    def keys(self, name: str, source: Any, frames: list[int]) -> dict[int, str]:
        """Return the names of an input's kept files; {} where Nuke has no hash for it."""
        write, root = self.node.node("write_" + name), nuke.root()
        channel = self.node.knob(name + "_channel")
        parts = [
            str(write["channels"].value()), str(channel.value()) if channel else "",
            "proxy" if root.proxy() else "full",
            *(path + " " + kept.stamp(path) for path in files_above(source)),
        ]  # fmt: skip
        found = hashes(source, frames)
        return {frame: kept.key(name, [*parts, value]) for frame, value in found.items()}

    def render(self, name: str, pattern: str, first: int, last: int) -> None:
        """Write one input's frames as they are in the script; Nuke shows its own progress."""
        write = self.node.node("write_" + name)
        with no_undo():
            for knob in ("file", "proxy"):
                write[knob].setValue(pattern)
            write["disable"].setValue(False)
            try:
                nuke.execute(write, first, last, 1)
            except RuntimeError as error:
                if "ancel" in str(error):
                    raise Cancelled from error
                raise Trouble(f"The {name} could not be rendered: {error}") from error
            finally:
                write["disable"].setValue(True)
                for knob in ("file", "proxy"):
                    write[knob].setValue("")


class Cancelled(Exception):  # noqa: N818 (no error)
    """The artist stopped the rendering of an input."""


class Progress:
    """Nuke's progress bar, or lines on standard output where there is no window."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._task = nuke.ProgressTask(title) if nuke.GUI else None

    def tell(self, sentence: str, done: int, total: int) -> None:
        """A sentence, and how much is done."""
        if self._task is None:
            share = f" ({done}/{total})" if total else ""
            sys.stdout.write(f"{self._title}: {sentence}{share}\n")
            sys.stdout.flush()
            return
        self._task.setMessage(sentence)
        if total:
            self._task.setProgress(int(100 * done / total))

    @property
    def cancelled(self) -> bool:
        """Whether the artist pressed the bar's Cancel."""
        return self._task is not None and bool(self._task.isCancelled())
