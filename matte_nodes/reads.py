# SPDX-License-Identifier: Apache-2.0
"""What a result was made from, besides pictures: files by their content, variables, code versions.

Every part of the library that opens a file, asks an environment variable or runs another package's
code notes it in a `Reads`. Cache keys, resume logs, farm and publish take their keys from there.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

PIXEL_VARIABLES = (
    "ATEN_", "BLIS_", "CUBLAS_", "CUDNN_", "DNNL_", "GOTO_", "MKL_", "NPY_", "NUMBA_CPU_",
    "NVIDIA_TF32", "ONEDNN_", "OPENBLAS_", "OPENCV_", "OPENIMAGEIO_", "ORT_", "PYTORCH_",
    "TORCH_", "XNNPACK_",
)  # fmt: skip
"""How the names of variables begin by which libraries choose their code: other code, other last
bits. Torch chooses by ATEN_CPU_CAPABILITY, oneDNN by ONEDNN_MAX_CPU_ISA. What OCIO chooses by is
the matter of `color`."""

LIBRARIES = (
    "numpy", "opencv-python", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "torch",
    "OpenImageIO", "opencolorio", "av", "pymatting", "numba", "scipy", "safetensors",
    "pi-heif", "pillow-heif", "pillow",
)  # fmt: skip
"""Packages that decode, compute or encode pixels for this library."""

_IMPORTED_AS = {"cv2": "opencv-python", "PyOpenColorIO": "opencolorio"}
_HOLD = ("func", "__wrapped__", "__self__", "load", "architecture")

# They name places, or say how much is printed. A farm has other places on each machine.
_NO_PIXELS = re.compile(
    r"_(HOME|DIR|DIRS|PATH|PATHS|CACHE|CACHE_DIR|LOG|LOGS|VERBOSE|LEVEL|DEBUG)$"
)


@dataclass(frozen=True)
class Sign:
    """What tells a file that was changed: its path, size and times (of content and of entry)."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    is_settled: bool = field(compare=False)
    """Whether a later change of the file is sure to show in its times.

    Two writes within one tick of the file system's clock leave the same times: a file that young
    is not trusted. Linux ticks every 4 to 10 ms; whole seconds mean a coarse clock.
    """

    @staticmethod
    def of(path: str, stat: os.stat_result) -> Sign:
        """Return the sign of a file that was asked for just now."""
        newest = max(stat.st_mtime_ns, stat.st_ctime_ns)
        tick = 50_000_000 if newest % 1_000_000_000 else 2_100_000_000
        settled = time.time_ns() - newest > tick
        return Sign(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, settled)

    def is_still(self, other: Sign) -> bool:
        """Whether a file has the size and time that it had. Links and permissions may differ."""
        return (self.path, self.size, self.mtime_ns) == (other.path, other.size, other.mtime_ns)

    @property
    def text(self) -> str:
        """The sign as one text, for memos."""
        return f"{self.size}:{self.mtime_ns}:{self.ctime_ns}:{self.path}"


def hashed(path: str) -> tuple[str, Sign]:
    """Return the sha256 of a file's bytes, hexadecimal, and its sign after it was read.

    Raises OSError.
    """
    with open(path, "rb") as file:
        before = os.fstat(file.fileno())
        found = hashlib.file_digest(file, "sha256").hexdigest()
        after = Sign.of(path, os.fstat(file.fileno()))
    # Written meanwhile: what was hashed is no state of the file that its sign could stand for.
    same = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.size, after.mtime_ns, after.ctime_ns,
    )  # fmt: skip
    settled = same and Sign.of(path, before).is_settled and after.is_settled
    return found, Sign(path, after.size, after.mtime_ns, after.ctime_ns, settled)


_known: dict[Sign, str] = {}


def hash_of(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file's bytes; the file is read again only when its size or times change.

    Raises OSError.
    """
    name = os.path.abspath(path)
    sign = Sign.of(name, os.stat(name))
    found = _known.get(sign) if sign.is_settled else None
    if found is None:
        found, sign = hashed(name)
        if sign.is_settled:
            _known[sign] = found
    return found


class Reads:
    """A record of what was opened and asked, each by a name that is the same on every machine."""

    def __init__(self) -> None:
        self._facts: dict[str, str] = {}

    @property
    def facts(self) -> dict[str, str]:
        """What was read, by name, sorted: a file's sha256, a variable's value, a version."""
        return dict(sorted(self._facts.items()))

    def note(self, name: str, value: str) -> None:
        """Note any other fact."""
        self._facts[name] = value

    def file(self, path: str | os.PathLike[str], name: str = "") -> None:
        """Note a file by its content. name: instead of the file's own name, without folders."""
        named = f"file {name or os.path.basename(path)}"
        try:
            self._facts[named] = hash_of(path)
        except OSError as error:
            self._facts[named] = f"cannot be read: {error.strerror}"

    def variable(self, name: str) -> str:
        """Return an environment variable, and note it; "" where it is not set."""
        value = os.environ.get(name, "")
        self._facts[f"${name}"] = value
        return value

    def variables(self, beginnings: Iterable[str] = PIXEL_VARIABLES) -> None:
        """Note all environment variables that are set and begin so, except those of places."""
        starts = tuple(beginnings)
        for name in os.environ:
            if name.startswith(starts) and not _NO_PIXELS.search(name):
                self.variable(name)

    def package(self, name: str) -> None:
        """Note the version of an installed package, by its distribution or import name."""
        self._facts[f"package {name}"] = version_of(name)

    def libraries(self) -> None:
        """Note the versions of all libraries that decode, compute or encode pixels here."""
        for name in LIBRARIES:
            if found := version_of(name, by_import=False):
                self._facts[f"package {name}"] = found

    @staticmethod
    def roots(*things: object) -> list[str]:
        """Return the top-level modules of other packages that these functions and classes are of."""
        return sorted(_roots(things))

    def code(self, *things: object) -> None:
        """Note other packages' code that these functions and classes belong to, by its content."""
        for root in self.roots(*things):
            self._facts[f"code {root}"] = _code_of(root)
            for name in _distributions(root):
                self.package(name)


@functools.cache
def version_of(name: str, *, by_import: bool = True) -> str:
    """Return the version of an installed package, "" where it is not installed.

    name: of the distribution. by_import: an import name will do as well; looking that up takes
    0.1 s where the name is none of a distribution.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        owners = _owners().get(name, ()) if by_import else ()
        return ", ".join(f"{one} {version(one)}" for one in owners)


@functools.cache
def _owners() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()


@functools.cache
def _distributions(root: str) -> tuple[str, ...]:
    """The distributions that a top-level package belongs to, and those that they ask for."""
    from importlib.metadata import PackageNotFoundError, requires

    place = getattr(sys.modules.get(root), "__file__", None) or ""
    if "site-packages" not in place and not version_of(root):
        return ()
    found: list[str] = []
    for name in sorted(set(_owners().get(root, ()))):
        found.append(name)
        try:
            asked = requires(name) or []
        except PackageNotFoundError:
            continue
        found += [_name_of(one) for one in asked if "extra ==" not in one]
    return tuple(dict.fromkeys(found))


@functools.cache
def _our_own() -> frozenset[str]:
    """Distributions that this library itself asks for: their versions are in every key."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        asked = requires("matte-nodes") or []
    except PackageNotFoundError:
        asked = []
    return frozenset(_name_of(one).lower() for one in (*asked, *LIBRARIES))


def _name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _roots(things: Iterable[object]) -> set[str]:
    """Top-level modules of other packages that these things, and what they hold, come from."""
    found = {_module_of(thing).partition(".")[0] for thing in _held(things)}
    ours = {__package__, "", "builtins", *(sys.stdlib_module_names - {"__main__"})}
    return {root for root in found - ours if _IMPORTED_AS.get(root, root).lower() not in _our_own()}


def _module_of(thing: object) -> str:
    name = getattr(thing, "__module__", None)
    return name if isinstance(name, str) else type(thing).__module__


def _held(things: Iterable[object], depth: int = 3) -> Iterator[object]:
    """The things, and the functions and classes that they hold: closures, partials, methods."""
    for thing in things:
        if thing is None or isinstance(thing, (str, bytes, int, float, ModuleType)):
            continue
        yield thing
        if depth:
            inner = [getattr(thing, name, None) for name in _HOLD]
            for cell in getattr(thing, "__closure__", None) or ():
                try:
                    inner.append(cell.cell_contents)
                except ValueError:  # not filled yet
                    continue
            kept = (one for one in inner if callable(one) or hasattr(one, "load"))
            yield from _held(kept, depth - 1)


@functools.cache
def _code_of(root: str) -> str:
    """A hash over the source files of a top-level module or package that is imported.

    Taken once: the code that runs is the one that was imported, also when its file changes later.
    """
    module = sys.modules.get(root)
    place = getattr(module, "__file__", None)
    if module is None or not place:
        return _source_of(module)
    folder = Path(place).parent
    files = [Path(place)]
    if hasattr(module, "__path__"):
        files = sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".so", ".pyd"))
    total = hashlib.sha256()
    for path in files:
        try:
            total.update(f"{path.relative_to(folder)} {hash_of(path)}\n".encode())
        except OSError:
            continue
    return total.hexdigest()


def _source_of(module: ModuleType | None) -> str:
    try:
        return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()  # type: ignore[arg-type]
    except (OSError, TypeError):
        return "has no file"
