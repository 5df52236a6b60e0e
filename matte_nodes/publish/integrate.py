# SPDX-License-Identifier: Apache-2.0
"""Publishes versions: files are copied to a hidden folder, verified, and renamed into place.

<root>/<name>/v001/<the frames>, review.html, manifest.json. No version is ever replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matte_nodes.errors import OutputError
from matte_nodes.whole_files import describe, prepare_folder, temporary_folder, write_text

MANIFEST = "manifest.json"
SCHEMA = 1
_TRIES = 100
_BLOCK = 1 << 20


def integrate(
    files: Sequence[Path],
    root: Path,
    name: str,
    facts: Mapping[str, Any],
    *,
    version: int | None = None,
) -> Path:
    """Copy files into the next version of a name and return its folder.

    version: use this number. Raises OutputError when it is taken. The whole version appears at
    once, by a rename. The rename replaces nothing, not even an empty folder or a version that
    another publish made meanwhile.
    """
    if not re.fullmatch(r"[^/\\.\s][^/\\]*", name):
        raise OutputError(
            f"{name!r} cannot be the name of a publish, because it is not a valid folder name."
        )
    home = root / name
    prepare_folder(home)
    try:
        with temporary_folder(home) as part:
            entries = [_copied(path, part / path.name) for path in files]
            if len({entry["file"] for entry in entries}) != len(entries):
                raise OutputError(
                    "Two files of the publish have the same name. Rename one of them."
                )
            return _placed(part, home, name, entries, facts, version)
    except OSError as error:
        raise OutputError(f"{home}: cannot be published ({describe(error, home)}).") from error


def damaged(folder: Path) -> Iterator[tuple[str, str]]:
    """Return the files of a published version that differ from its manifest, and how they differ.

    Returns an empty result for a folder that is not a version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return
    try:
        entries = json.loads(path.read_text("utf-8"))["files"]
        listed = {str(e["file"]): (int(e["size"]), str(e["sha256"])) for e in entries}
    except (OSError, ValueError, KeyError, TypeError):
        yield MANIFEST, "cannot be read"
        return
    for name, (size, digest) in listed.items():
        file = folder / name
        if not file.is_file():
            yield name, "is gone"
        elif file.stat().st_size != size or _sha256(file) != digest:
            yield name, "was changed since it was published"
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name not in listed and name != MANIFEST and name[0] != ".":
            yield name, "was added since it was published"


def versions(home: Path) -> list[int]:
    """Return the version numbers that are taken in a name's folder, by files or folders."""
    names = os.listdir(home) if home.is_dir() else []
    return sorted(int(n[1:]) for n in names if re.fullmatch(r"v\d{3,}", n))


def _placed(
    part: Path,
    home: Path,
    name: str,
    entries: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    version: int | None,
) -> Path:
    for _ in range(_TRIES):
        number = version or max(versions(home), default=0) + 1
        final = home / f"v{number:03d}"
        manifest = {
            "schema": SCHEMA,
            "name": name,
            "version": number,
            "published": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
            "files": list(entries),
        }
        write_text(part / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        if not final.exists() and _renamed(part, final):
            return final
        if version is not None:
            raise OutputError(
                f"{final} exists already. Versions are never replaced: publish without a number "
                "to get the next one."
            )
    raise OutputError(f"{home}: no free version was found in {_TRIES} tries.")


def _renamed(part: Path, final: Path) -> bool:
    """Rename a folder into place. rename(2) never replaces a folder with files in it; an empty one
    is checked for.
    """
    try:
        os.rename(part, final)
    except OSError:
        if final.exists():
            return False
        raise
    return True


def _copied(source: Path, target: Path) -> dict[str, Any]:
    """Copy a file, hash what was read, then read the copy and compare. Disks and networks make
    errors.
    """
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())
    shutil.copystat(source, target)
    if _sha256(target) != digest.hexdigest():
        raise OutputError(
            f"{target}: the copy differs from the original. Check the disk, then publish again."
        )
    return {
        "file": target.name,
        "size": target.stat().st_size,
        "sha256": digest.hexdigest(),
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
