# SPDX-License-Identifier: Apache-2.0
"""Watches which files a model opens and which variables it asks for, by Python's own audit events."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

_SOURCES = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".pth", ".egg-link")


@dataclass
class Watched:
    """What was read while somebody watched."""

    roots: frozenset[str]
    """Modules whose reads count, by the beginning of their names."""
    files: set[str] = field(default_factory=set)
    """Absolute paths of files that were opened for reading, code left out."""
    variables: set[str] = field(default_factory=set)
    """Names of environment variables that were asked for."""
    thread: int = field(default_factory=threading.get_ident)


_watching: list[Watched] = []
_is_hooked: list[bool] = []


@contextmanager
def watched(roots: frozenset[str]) -> Iterator[Watched]:
    """Watch what modules of these roots read in this thread, by whatever library they read it.

    Files that a library opens outside of Python are not seen: what safetensors and onnxruntime
    open are the weights, which a card declares.
    """
    if not _is_hooked:
        sys.addaudithook(_heard)  # it cannot be taken away; it is idle when nobody watches
        _is_hooked.append(True)
    found = Watched(roots)
    kind = type(os.environ)
    asked = kind.__getitem__

    def noted(self: Any, name: str) -> str:
        if threading.get_ident() == found.thread and _reaches(sys._getframe(1), found.roots, 3):
            found.variables.add(name)
        return asked(self, name)

    _watching.append(found)
    kind.__getitem__ = noted  # type: ignore[method-assign]
    try:
        yield found
    finally:
        kind.__getitem__ = asked  # type: ignore[method-assign]
        _watching.remove(found)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watching:
        return
    path, mode = arguments[0], arguments[1]
    if not isinstance(path, (str, bytes)) or (isinstance(mode, str) and set(mode) & set("wax")):
        return
    name = os.path.abspath(os.fsdecode(path))
    for found in _watching:
        if threading.get_ident() != found.thread or name.endswith(_SOURCES):
            continue
        if _reaches(sys._getframe(1), found.roots, 64) and not os.path.isdir(name):
            found.files.add(name)


def _reaches(frame: FrameType | None, roots: frozenset[str], deepest: int) -> bool:
    """Whether a module of these roots is among the callers. Imports read for themselves."""
    for _ in range(deepest):
        if frame is None:
            return False
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("importlib"):
            return False
        if any(name == root or name.startswith(root + ".") for root in roots):
            return True
        frame = frame.f_back
    return False
