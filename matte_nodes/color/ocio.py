# SPDX-License-Identifier: Apache-2.0
"""OpenColorIO itself, for configs that read files or follow variables.

A built-in config reads nothing else, so OpenImageIO's OCIO serves it. A config file may name LUT
files, and variables may choose among them. Here each transform tells its id, which OCIO makes from
the numbers in it, and the files that it was made from. `engine_for` notices when one changes.
"""

from __future__ import annotations

import copy
import hashlib
import os
import re
import threading
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from matte_nodes.color.fast import Float
from matte_nodes.errors import ColorError
from matte_nodes.reads import Sign

BUILT_IN = "ocio://"
OWN_VARIABLES = (
    "OCIO_ACTIVE_DISPLAYS", "OCIO_ACTIVE_VIEWS", "OCIO_INACTIVE_COLORSPACES",
    "OCIO_OPTIMIZATION_FLAGS", "OCIO_USER_CATEGORIES",
)  # fmt: skip
"""Variables by which OCIO changes what any config means."""

_NAMED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?|%([A-Za-z_][A-Za-z0-9_]*)%")
_DECLARED = re.compile(r"(?ms)^environment:\s*$(.*?)(?=^\S|\Z)")
_LARGEST_TEXT = 64 << 20


def variables_of(text: str) -> set[str]:
    """Return the names of the variables that a config's text uses or declares, and OCIO's own."""
    names = {one or two for one, two in _NAMED.findall(text)}
    for part in _DECLARED.findall(text):
        names |= set(re.findall(r"(?m)^\s+([A-Za-z_][A-Za-z0-9_]*)\s*:", part))
    return names | set(OWN_VARIABLES)


def asked(path: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that a config follows; those that are not set are
    left out.
    """
    text = "" if path.startswith(BUILT_IN) else _text(path)
    return {name: environment[name] for name in sorted(variables_of(text)) if name in environment}


def _text(path: str) -> str:
    """The text of a config, of the one inside an archive too; "" where it cannot be read."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, archive.open("config.ocio") as file:
                return file.read(_LARGEST_TEXT).decode("utf-8", "replace")
        with open(path, "rb") as file:
            return file.read(_LARGEST_TEXT).decode("utf-8", "replace")
    except (OSError, KeyError, zipfile.BadZipFile):
        return ""


class Processor:
    """One transform of a config.

    id: a hash that OCIO makes from the numbers in it and from how it works them out.
    """

    def __init__(self, processor: Any, flags: Any) -> None:
        cpu = processor.getOptimizedCPUProcessor(flags)
        said = f"{processor.getCacheID()} {cpu.getCacheID()}"
        self.id = hashlib.sha256(said.encode()).hexdigest()
        self.files = tuple(processor.getProcessorMetadata().getFiles())
        self._cpu = cpu

    def apply(self, pixels: Float) -> Float:
        """Convert (..., 3) float32; the result is a new array."""
        import PyOpenColorIO as ocio

        flat = np.array(pixels.reshape(-1, 3), np.float32, order="C")
        if flat.size:
            self._cpu.apply(ocio.PackedImageDesc(flat, flat.shape[0], 1, 3))
        return flat.reshape(pixels.shape)


class Engine:
    """A config under some variables, as its files were when it was opened. Thread-safe.

    path: a file, an archive, or a built-in name. variables: what `asked` returned.
    """

    def __init__(self, path: str, variables: Mapping[str, str]) -> None:
        import PyOpenColorIO as ocio

        self._path, self._variables = path, dict(variables)
        self._lock = threading.RLock()
        self._made: dict[tuple[str, ...], Processor] = {}
        self._signs: dict[str, Sign | None] = {}
        _forget_old_files()
        if not path.startswith(BUILT_IN):
            self._see(path)
        try:
            self._config = ocio.Config.CreateFromFile(_pinned(path))
            self._follow()
            self._context = self._new_context()
        except ocio.Exception as error:
            raise ColorError(f"OCIO config {path} cannot be read: {error}") from error
        self._flags = _flags(self._variables.get("OCIO_OPTIMIZATION_FLAGS", ""))
        self._places = self._folders()

    def default_view(self) -> tuple[str, str]:
        """Return the default display and its view."""
        display = str(self._config.getDefaultDisplay())
        return display, str(self._config.getDefaultView(display))

    def convert(self, source: str, target: str) -> Processor:
        """Return the transform from one colour space to another."""
        return self._processor("convert", source, target)

    def display(self, source: str, *, inverse: bool) -> Processor:
        """Return the transform from a space through the default view, or back."""
        return self._processor("inverse view" if inverse else "view", source, *self.default_view())

    def is_current(self) -> bool:
        """Whether every file and folder that was looked at is as it was."""
        return all(
            sign is not None and sign.is_settled and sign == _sign(path)
            for path, sign in self._signs.items()
        )

    def _processor(self, kind: str, *names: str) -> Processor:
        import PyOpenColorIO as ocio

        with self._lock:
            if (kind, *names) not in self._made:
                _forget_old_files()
                try:
                    found = self._new(kind, *names)
                except ocio.Exception as error:
                    raise ColorError(
                        f"OpenColorIO could not make the transform from {names[0]!r} with the "
                        f"config {self._path}: {error}"
                    ) from error
                for file in found.files:
                    self._see(file)
                    for other in self._candidates(file):
                        self._see(other)
                self._made[kind, *names] = found
            return self._made[kind, *names]

    def _new(self, kind: str, source: str, *names: str) -> Processor:
        import PyOpenColorIO as ocio

        if kind == "convert":
            made = self._config.getProcessor(self._context, source, names[0])
        else:
            view = ocio.DisplayViewTransform(source, names[0], names[1])
            inverse = kind == "inverse view"
            way = ocio.TRANSFORM_DIR_INVERSE if inverse else ocio.TRANSFORM_DIR_FORWARD
            made = self._config.getProcessor(self._context, view, way)
        return Processor(made, self._flags)

    def _candidates(self, file: str) -> list[str]:
        """Where OCIO looked for a file, or would: one that comes to lie there may be found first."""
        inside = [one for one in self._places if file.startswith(one.rstrip("/\\") + os.sep)]
        names = {os.path.relpath(file, one) for one in inside}
        return [os.path.join(place, name) for name in sorted(names) for place in self._places]

    def _see(self, path: str) -> None:
        self._signs[path] = _sign(path)
        with _read_lock:
            _read[path] = self._signs[path]

    def _follow(self) -> None:
        """Set what OCIO takes from its own variables: they may be those of another process."""
        config, told = self._config, self._variables
        if views := told.get("OCIO_ACTIVE_VIEWS"):
            config.setActiveViews(views)
        if displays := told.get("OCIO_ACTIVE_DISPLAYS"):
            config.setActiveDisplays(displays)
        if hidden := told.get("OCIO_INACTIVE_COLORSPACES"):
            config.setInactiveColorSpaces(hidden)

    def _new_context(self) -> Any:
        """The context of our variables alone, with the config's own defaults."""
        context = copy.deepcopy(self._config.getCurrentContext())
        context.clearStringVars()
        for name in self._config.getEnvironmentVarNames():
            context.setStringVar(name, self._config.getEnvironmentVarDefault(name))
        for name, value in self._variables.items():
            context.setStringVar(name, value)
        return context

    def _folders(self) -> list[str]:
        """The folders that OCIO looks for files in."""
        context = self._context
        base = context.getWorkingDir() or os.path.dirname(self._path)
        found = [base, *(context.resolveStringVar(path) for path in context.getSearchPaths())]
        return [os.path.join(base, one) for one in dict.fromkeys(found) if one]


_read: dict[str, Sign | None] = {}
"""What any config of this process read since OCIO's caches were last cleared."""
_read_lock = threading.Lock()


def _forget_old_files() -> None:
    """Clear OCIO's caches if a file has changed: they hold content by path, for all configs.

    Transforms that exist keep what they read.
    """
    import PyOpenColorIO as ocio

    with _read_lock:
        if all(s is not None and s.is_settled and s == _sign(p) for p, s in _read.items()):
            return
        ocio.ClearAllCaches()
        _read.clear()


_engines: dict[tuple[str, tuple[tuple[str, str], ...]], Engine] = {}
_engines_lock = threading.Lock()
_MOST = 8


def engine_for(path: str, variables: Mapping[str, str]) -> Engine:
    """Return the config as it is now: the one that is open, unless one of its files changed."""
    key = path, tuple(sorted(variables.items()))
    with _engines_lock:
        kept = _engines.get(key)
        if kept is not None and kept.is_current():
            return kept
        while len(_engines) >= _MOST:
            _engines.pop(next(iter(_engines)))
        made = _engines[key] = Engine(path, variables)
        return made


def engine_version() -> str:
    """Return OpenColorIO's version."""
    import PyOpenColorIO as ocio

    return str(ocio.__version__)


def _sign(path: str) -> Sign | None:
    try:
        return Sign.of(path, os.stat(path))
    except OSError:
        return Sign(path, -1, 0, 0, is_settled=True)  # not there: it may come


def _flags(told: str) -> Any:
    import PyOpenColorIO as ocio

    if not told:
        return ocio.OPTIMIZATION_DEFAULT
    try:
        return ocio.OptimizationFlags(int(told, 0))
    except ValueError as error:
        raise ColorError(
            f"OCIO_OPTIMIZATION_FLAGS is a number, as 0 or 0x3, not {told!r}."
        ) from error


def _pinned(path: str) -> str:
    """The built-in config that OpenImageIO has under this name, whose spaces we looked up there."""
    import OpenImageIO
    import PyOpenColorIO as ocio

    kind = {"default": "cg", "cg-config-latest": "cg", "studio-config-latest": "studio"}.get(
        path.removeprefix(BUILT_IN)
    )
    if not path.startswith(BUILT_IN) or kind is None:
        return path
    most = _numbers(str(OpenImageIO.get_string_attribute("opencolorio_version")))[:2]
    fitting = [
        (_numbers(name.rpartition("ocio-v")[2]), name)
        for name in (
            one if isinstance(one, str) else one[0] for one in ocio.BuiltinConfigRegistry()
        )
        if name.startswith(f"{kind}-config-") and _numbers(name.rpartition("ocio-v")[2]) <= most
    ]
    return BUILT_IN + max(fitting)[1] if fitting else path


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
