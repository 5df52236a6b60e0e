# SPDX-License-Identifier: Apache-2.0
"""Looking through a whole store: is every entry what its name and its hash say?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from matte_nodes.temporal.pictures import load_matte
from matte_nodes.temporal.store import Entry, Store
from matte_nodes.temporal.tensors import DamagedEntry, load_tensors


def damaged(store: Store) -> Iterator[tuple[Entry, str]]:
    """Yield (entry, what is wrong) for every entry that cannot be used; drops none of them."""
    for entry in store.entries():
        try:
            check(entry.kind, entry.path)
        except FileNotFoundError:
            continue  # collected meanwhile
        except (DamagedEntry, OSError, MemoryError, ValueError) as error:
            yield entry, str(error)


def check(kind: str, path: Path) -> None:
    """Raise DamagedEntry when a file is not a whole entry of its own name."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise DamagedEntry(f"{path.name} is no file")
    if kind == "results":
        load_matte(path, path.stem, None)
    else:
        load_tensors(path, path.stem)
