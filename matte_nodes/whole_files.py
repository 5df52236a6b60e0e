# SPDX-License-Identifier: Apache-2.0
"""Whole files only: written under a temporary name in the same folder, then renamed into place.

A temporary file `.matte-<machine>-<32 random digits>.tmp` is created exclusively and never through
a link: nobody can guess its name, and two writers never share one, whatever their host names and
process ids are. It matches no pattern that can be written: it is hidden and ends in `.tmp`, and a
picture's or movie's name does not. Its writer holds a lock on it. A process that is killed leaves
its temporary files without a lock; the next writer of the same machine removes those.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from matte_nodes.errors import OutputError

_locks: Any
try:
    import fcntl

    _locks = fcntl
except ImportError:  # Windows: a file that is open cannot be removed there
    _locks = None

TEMPORARY_PREFIX = ".matte-"
TEMPORARY_SUFFIX = ".tmp"
CLAIM_PREFIX = f"{TEMPORARY_PREFIX}claim-"
"""Begins the name of a lock file beside an output: the same name on every machine."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe in the file's place is an error, not a trap
_STALE = 24 * 3600.0
"""Seconds after which an unlocked temporary file of another machine is a dead writer's."""
_TRIES = 100


def is_temporary(name: str) -> bool:
    """True for the names that our writers give to files that are not whole yet."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def temporary_name() -> str:
    """Return a new name that nobody can guess."""
    return f"{TEMPORARY_PREFIX}{_machine()}-{secrets.token_hex(16)}{TEMPORARY_SUFFIX}"


@cache
def _machine() -> str:
    """Eight digits for the running system: the same in every container on it, new at each start.

    Locks of one system are seen by all of its processes, in whatever process namespace.
    """
    try:
        told = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    except (OSError, ValueError):
        told = socket.gethostname()
    return hashlib.sha256(told.encode()).hexdigest()[:8]


class TemporaryFile:
    """A file that is not whole yet. `commit` renames it to `final`, `discard` removes it.

    path: where to write; the file is there, empty, and locked. mode: its permissions before the
    umask. durable: what was written survives a power cut after `commit`. shared: another process
    may have put its own whole file under the name at the same moment, and that one is as good
    (entries of a cache). Raises OSError when the file cannot be made.
    """

    def __init__(
        self, final: Path, *, mode: int = 0o666, durable: bool = False, shared: bool = False
    ) -> None:
        self.final, self._durable, self._shared = final, durable, shared
        self.path, self._handle = _created(final.parent, mode)
        self._placed = False

    def commit(self) -> None:
        """Put the file into place.

        Raises OSError. Raises OutputError when it is not what was written.
        """
        self._adopt()
        if self._durable:
            os.fsync(self._handle)
        if _locks is None:  # Windows renames no open file
            os.close(self._handle)
            self._handle = -1
        os.replace(self.path, self.final)
        self._placed = True
        if not self._shared and self._handle >= 0 and not is_at(self.final, self._handle):
            raise _taken(self.final)
        if self._durable:
            _sync_folder(self.final.parent)
        self._close()

    def discard(self) -> None:
        """Remove the file, unless it is in place; nothing is raised."""
        self._close()
        if not self._placed:
            discard(self.path)

    def _adopt(self) -> None:
        """What lies at the path is our file, or one that our own library put in its place.

        safetensors does that. A link, or another user's file, is nothing of ours: OutputError.
        """
        if is_at(self.path, self._handle):
            return
        own, found = os.fstat(self._handle), os.lstat(self.path)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != own.st_uid or found.st_nlink != 1:
            raise _taken(self.path)
        handle = open_plain(self.path, os.O_RDWR)
        os.close(self._handle)
        self._handle = handle
        if not is_at(self.path, handle):
            raise _taken(self.path)
        if os.name == "posix":
            os.chmod(handle, stat.S_IMODE(own.st_mode))

    def _close(self) -> None:
        if self._handle >= 0:
            with suppress(OSError):
                os.close(self._handle)
            self._handle = -1


def _taken(path: Path) -> OutputError:
    return OutputError(
        f"{path}: Another program has put its own file here at the same moment. Let one run end "
        "before another one writes into this folder."
    )


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """Yield a new hidden folder in the folder `beside`, locked; what is left of it is removed.

    Rename it to put it into place. Raises OSError.
    """
    path = beside / temporary_name()
    path.mkdir()
    handle = os.open(path, os.O_RDONLY) if _locks is not None else -1
    try:
        if handle >= 0:
            try_lock(handle)
        yield path
    finally:
        if handle >= 0:
            os.close(handle)
        shutil.rmtree(path, ignore_errors=True)


def _created(folder: Path, mode: int) -> tuple[Path, int]:
    """Return a new, empty, locked file in a folder, and its descriptor."""
    for _ in range(_TRIES):
        path = folder / temporary_name()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK, mode)
        # Between the two calls a cleaner may have taken it for a dead writer's: take another.
        if try_lock(handle) is not False and is_at(path, handle):
            return path, handle
        os.close(handle)
    raise OSError(errno.EAGAIN, "temporary files vanish as soon as they are made")


def try_lock(handle: int) -> bool | None:
    """Lock an open file for this process; returns False when another has it, None without locks
    here.

    The lock ends with the descriptor, and so with the process, also when it is killed.
    """
    if _locks is None:
        return None
    try:
        _locks.flock(handle, _locks.LOCK_EX | _locks.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        return False if error.errno == errno.EACCES else None
    return True


def is_at(path: Path, handle: int) -> bool:
    """Whether an open file still lies under this name.

    Some network disks give a file another number at each look. There its kind, owner, size and
    times tell: nobody can set the last one.
    """
    try:
        found, own = os.lstat(path), os.fstat(handle)
    except OSError:
        return False
    if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
        return True
    return own.st_nlink > 0 and _facts(found) == _facts(own)


def _facts(found: os.stat_result) -> tuple[int, ...]:
    kind = stat.S_IFMT(found.st_mode)
    return found.st_dev, kind, found.st_uid, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@contextmanager
def whole_file(
    final: Path, *, mode: int = 0o666, durable: bool = False, shared: bool = False
) -> Iterator[Path]:
    """Yield a temporary path; it becomes `final` when the block succeeds and vanishes otherwise.

    Arguments as of `TemporaryFile`. OSError inside becomes OutputError with a reason an artist can
    act on. A link that lies under the final name is replaced, never followed.
    """
    try:
        file = TemporaryFile(final, mode=mode, durable=durable, shared=shared)
    except OSError as error:
        raise _failed(final, error) from error
    try:
        yield file.path
        file.commit()
    except OSError as error:
        raise _failed(final, error) from error
    finally:
        file.discard()


def write_text(final: Path, text: str, *, mode: int = 0o666, durable: bool = True) -> None:
    """Write a text file, UTF-8, lines ending in a line feed, whole or not at all.

    Raises OutputError.
    """
    with whole_file(final, mode=mode, durable=durable) as path:
        path.write_text(text, "utf-8", newline="\n")


def write_bytes(final: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OutputError."""
    with whole_file(final) as path:
        path.write_bytes(data)


def append(path: Path, text: str) -> None:
    """Append to a file, made when it is not there, in one write: writers do not tear each other's.

    Raises OSError; a link or anything but a plain file in its place is one.
    """
    handle = open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def read_plain(path: Path, limit: int = -1) -> bytes:
    """Return the bytes of a plain file, at most `limit`.

    Raises OSError; a link or a pipe is one.
    """
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def open_plain(path: Path, flags: int) -> int:
    """Return a descriptor of a plain file.

    Raises OSError; a link, pipe, device or folder is one.
    """
    handle = os.open(path, flags | _NO_LINK | _NO_WAIT, 0o666)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is not a plain file")


def prepare_folder(folder: Path) -> None:
    """Make the folder, prove that files can be written there, remove what dead writers left.

    Raises OutputError with the reason, before any work is done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(folder / "probe").discard()
        names = os.listdir(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder}: cannot write in this folder ({reason}).") from error
    _remove_left(folder, names)


def tidy_folder(folder: Path) -> None:
    """Remove what writers left that have died since `prepare_folder`."""
    with suppress(OSError):
        _remove_left(folder, os.listdir(folder))


def _remove_left(folder: Path, names: list[str]) -> None:
    for name in names:
        if is_temporary(name):
            with suppress(OSError):
                _remove_dead(folder / name)


def _remove_dead(path: Path) -> None:
    """Remove a temporary file or folder whose writer is dead: no process holds its lock."""
    found = path.lstat()
    # Without a claim two runs may do a frame twice, no more: a dead one's goes at once.
    own = path.name.startswith((f"{TEMPORARY_PREFIX}{_machine()}-", CLAIM_PREFIX))
    if not own and time.time() - found.st_mtime < _STALE:
        return  # another machine's: whether its lock is seen here depends on the file system
    is_folder = stat.S_ISDIR(found.st_mode)
    if not is_folder and not stat.S_ISREG(found.st_mode):
        return
    if _locks is None:
        if not is_folder:
            path.unlink()  # fails while it is open
        return
    handle = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | _NO_LINK | _NO_WAIT)
    try:
        if try_lock(handle) and is_at(path, handle):
            if is_folder:
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; not every system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _failed(final: Path, error: OSError) -> OutputError:
    return OutputError(f"{final}: cannot be written ({describe(error, final)}).")


def describe(error: OSError, path: Path) -> str:
    """Return the reason in plain words; names how much room is left when the disk is full."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_room(path) or "the disk is full"
    return error.strerror or str(error)


def no_room(path: Path) -> str:
    """ "the disk is full, ..." when less than a megabyte is left beside a path, else ""."""
    with suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        if free < 1 << 20:
            return f"the disk is full, {free >> 10} KiB are left"
    return ""


def discard(path: Path) -> None:
    """Remove a temporary file if it is still there."""
    with suppress(OSError):
        path.unlink()
