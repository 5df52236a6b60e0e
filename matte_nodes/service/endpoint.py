# SPDX-License-Identifier: Apache-2.0
"""The service's address: folder, lock, socket, token, and the fingerprint of its code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matte_nodes import __version__
from matte_nodes.errors import MatteError
from matte_nodes.models import ENTRY_POINT_GROUP
from matte_nodes.reads import Reads
from matte_nodes.service.client import (
    ALREADY_RUNNING,
    PROTOCOL,
    folders,
    make_folder,
    private_folder,
)
from matte_nodes.whole_files import write_text

if TYPE_CHECKING:
    from filelock import FileLock

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux takes 107, macOS 103."""


class AlreadyRunningError(MatteError):
    """A service of this user, home and code is running already."""

    exit_code = ALREADY_RUNNING


class Endpoint:
    """A listening socket with its token, for as long as this process holds its lock.

    Each version of the code has its own lock, socket and file, so that a service of an older
    version never serves a newer plug-in: both run side by side. code: see `code_stamp`. tcp: use
    127.0.0.1 with a free port, as on Windows, and not a Unix socket. Raises AlreadyRunningError.
    """

    def __init__(self, code: str, *, tcp: bool = False) -> None:
        self.folder, self.code = Path(make_folder()), code
        self._name = code[:8]
        lock = _locked(self.folder, self._name)
        if lock is None:
            raise AlreadyRunningError(
                f"A matte service of this user runs already ({self.folder}). "
                "End it with `matte serve --stop`."
            )
        self._lock = lock
        _remove_dead(self.folder, self._name)
        self.token = secrets.token_hex(32)
        self.path: Path | None = None
        if tcp or not hasattr(socket, "AF_UNIX"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.bind(("127.0.0.1", 0))
        else:
            self.socket, self.path = _unix_socket(self.folder, self._name)
        self.socket.listen(64)

    def publish(self) -> None:
        """Write the file that tells clients where and how: mode 0600, whole or not there."""

        facts = {
            "unix": str(self.path) if self.path else None,
            "tcp": None if self.path else self.socket.getsockname()[1],
            "token": self.token, "pid": os.getpid(), "protocol": PROTOCOL, "version": __version__,
            "code": self.code, "python": os.path.abspath(sys.executable),
        }  # fmt: skip
        write_text(self._file, json.dumps(facts), mode=0o600, durable=False)

    @property
    def _file(self) -> Path:
        return self.folder / f"service-{self._name}.json"

    def close(self) -> None:
        """Close the socket: no client can connect.

        The next service starts after this process ends.
        """
        with contextlib.suppress(OSError):
            self._file.unlink()
        self.socket.close()
        if self.path:
            with contextlib.suppress(OSError):
                self.path.unlink()


def _locked(folder: Path, name: str) -> FileLock | None:
    """Return the lock of one version of the code, held by this process; None if another has it."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / f"lock-{name}", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _remove_dead(folder: Path, own: str) -> None:
    """Remove the files of services of other versions that were killed."""
    for path in folder.glob("service-*.json"):
        name = path.stem.removeprefix("service-")
        lock = None if name == own else _locked(folder, name)
        if lock is not None:
            for left in (path, folder / f"s{name}"):
                with contextlib.suppress(OSError):
                    left.unlink()
            lock.release()


def _unix_socket(folder: Path, name: str) -> tuple[socket.socket, Path]:
    """Bind in the folder, or in /tmp where the path is too long or the disk takes no sockets."""
    error: OSError | None = None
    for place in dict.fromkeys([folder, *map(Path, folders()[1:])]):
        path = place / f"s{name}"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH or not private_folder(str(place)):
            continue
        try:
            # We hold the lock, so the process that bound this one is dead.
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        except FileNotFoundError:
            pass
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.bind(os.fspath(path))
        except OSError as problem:
            line.close()
            error = problem
            continue
        path.chmod(0o600)
        return line, path
    raise MatteError(f"No place for the matte service's socket: tried {folder} and /tmp ({error}).")


def code_stamp() -> str:
    """Return a hash that names this code: our files, other packages' models, the visible GPUs, the
    variables by which libraries choose their code.

    A service with another stamp could give other pixels: it was started before an update, before a
    model's file was edited, or with another ATEN_CPU_CAPABILITY.
    """
    reads = Reads()
    reads.variables()
    digest = hashlib.sha256(os.environ.get("CUDA_VISIBLE_DEVICES", "all").encode())
    digest.update(json.dumps(reads.facts).encode())
    for path in _code_files():
        with contextlib.suppress(OSError):
            found = path.stat()
            digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _code_files() -> Iterator[Path]:
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    yield from sorted(Path(__file__).parents[1].rglob("*.py"))
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        with contextlib.suppress(ImportError, ValueError):
            spec = find_spec(point.module.split(".")[0])
            if spec and spec.origin:
                origin = Path(spec.origin)
                is_package = bool(spec.submodule_search_locations)
                yield from sorted(origin.parent.rglob("*.py")) if is_package else [origin]
