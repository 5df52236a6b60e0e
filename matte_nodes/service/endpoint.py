# SPDX-License-Identifier: Apache-2.0
"""Where the service can be reached: its folder, its lock, its socket, its token, what code it runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from matte_nodes import __version__
from matte_nodes.errors import MatteError
from matte_nodes.models import ENTRY_POINT_GROUP
from matte_nodes.service.client import (
    ALREADY_RUNNING,
    ENDPOINT,
    PROTOCOL,
    folders,
    make_folder,
    private_folder,
)
from matte_nodes.whole_files import write_text

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux takes 107, macOS 103."""


class AlreadyRunningError(MatteError):
    """This user has a service with this home already."""

    exit_code = ALREADY_RUNNING


class Endpoint:
    """A listening socket with its token, for as long as this process holds the user's lock.

    tcp: 127.0.0.1 with a port of the system's choice, as on Windows, in place of a Unix socket.
    Raises AlreadyRunningError.
    """

    def __init__(self, *, tcp: bool = False) -> None:
        from filelock import FileLock, Timeout

        self.folder = Path(make_folder())
        self._lock = FileLock(self.folder / "lock", timeout=0, mode=0o600)
        try:
            self._lock.acquire()
        except Timeout:
            raise AlreadyRunningError(
                f"A matte service of this user runs already ({self.folder}). "
                "End it with `matte serve --stop`."
            ) from None
        self.token = secrets.token_hex(32)
        self.path: Path | None = None
        if tcp or not hasattr(socket, "AF_UNIX"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.bind(("127.0.0.1", 0))
        else:
            self.socket, self.path = _unix_socket(self.folder)
        self.socket.listen(64)

    def publish(self) -> None:
        """Write the file that tells clients where and how: mode 0600, whole or not there."""

        facts = {
            "unix": str(self.path) if self.path else None,
            "tcp": None if self.path else self.socket.getsockname()[1],
            "token": self.token, "pid": os.getpid(), "protocol": PROTOCOL, "version": __version__,
        }  # fmt: skip
        write_text(self.folder / ENDPOINT, json.dumps(facts), mode=0o600, durable=False)

    def close(self) -> None:
        """Nobody can come any more. The next service starts when this process has ended."""
        with contextlib.suppress(OSError):
            (self.folder / ENDPOINT).unlink()
        self.socket.close()
        if self.path:
            with contextlib.suppress(OSError):
                self.path.unlink()


def _unix_socket(folder: Path) -> tuple[socket.socket, Path]:
    """Bound in the folder itself, or where its path is too long or its disk takes none, in /tmp."""
    error: OSError | None = None
    for place in dict.fromkeys([folder, *map(Path, folders()[1:])]):
        path = place / "socket"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH or not private_folder(str(place)):
            continue
        try:
            # We hold the lock: whoever bound this one is dead.
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
    """Names the code that runs here: our files, other packages' models, the cards that are seen.

    Another stamp means that the answer could be another: a service that was started before an
    update, or before a model's file was edited.
    """
    digest = hashlib.sha256(os.environ.get("CUDA_VISIBLE_DEVICES", "all").encode())
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
