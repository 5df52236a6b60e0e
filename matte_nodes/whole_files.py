# SPDX-License-Identifier: Apache-2.0
"""Whole files only: written under a temporary name in the same folder, then renamed into place.

Temporary names (`.matte-<host>-<process>-<number>.tmp`) match no pattern that can be written: they
are hidden and end in `.tmp`, and a picture's or movie's name does not. A process that is killed
leaves its temporary files; the next writer of the same machine removes those of dead processes.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from matte_nodes.errors import OutputError

TEMPORARY_PREFIX = ".matte-"
TEMPORARY_SUFFIX = ".tmp"
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_NAME = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}{_HOST}-(\d+)-\d+{re.escape(TEMPORARY_SUFFIX)}")
_count = itertools.count()


def is_temporary(name: str) -> bool:
    """True for the names that our writers give to files that are not whole yet."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def temporary(final: Path) -> Path:
    """A new name beside the final one, for a file that is not whole yet."""
    number = next(_count)
    return final.with_name(f"{TEMPORARY_PREFIX}{_HOST}-{os.getpid()}-{number}{TEMPORARY_SUFFIX}")


def prepare_folder(folder: Path) -> None:
    """Make the folder, prove that files can be written there, remove what dead writers left.

    Raises OutputError with the reason, before any work is done.
    """
    probe = temporary(folder / "probe")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        names = os.listdir(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder}: cannot write in this folder ({reason})") from error
    _remove_left(folder, names)


def tidy_folder(folder: Path) -> None:
    """Remove what writers left that have died since `prepare_folder`."""
    with suppress(OSError):
        _remove_left(folder, os.listdir(folder))


def _remove_left(folder: Path, names: list[str]) -> None:
    for name in names:
        match = _NAME.fullmatch(name)
        if match and not _is_alive(int(match.group(1))):
            with suppress(OSError):
                (folder / name).unlink()


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # asking would end the process there; leave its files alone
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    # A killed child stays in the table until its parent asks for it, and a host seldom does.
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{process}/stat").read_text("ascii", "replace")
        return status.rpartition(")")[2].split()[0] not in ("Z", "X")
    return True


@contextmanager
def whole_file(final: Path) -> Iterator[Path]:
    """Yield a temporary path; it becomes `final` when the block succeeds and vanishes otherwise.

    OSError inside becomes OutputError with a reason an artist can act on.
    """
    path = temporary(final)
    try:
        yield path
        os.replace(path, final)
    except OSError as error:
        raise OutputError(f"{final}: cannot be written ({describe(error, final)})") from error
    finally:
        discard(path)


def describe(error: OSError, path: Path) -> str:
    """The reason in plain words; names how much room is left when the disk is full."""
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
