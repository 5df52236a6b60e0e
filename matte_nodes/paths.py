# SPDX-License-Identifier: Apache-2.0
"""The library's folders for weights, models and caches; under $MATTE_HOME when it is set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from matte_nodes.errors import ModelError


def weights_folder() -> Path:
    """`$MATTE_HOME/weights`, or `weights` in the platform's folder for user data."""
    return _home() / "weights"


def models_folder() -> Path:
    """`$MATTE_HOME/models`, or `models` beside the weights: declarations of fine-tuned models."""
    return _home() / "models"


def check_plain_name(name: object, declaration: Path) -> None:
    """Raise ModelError unless a file named in a declaration is a plain name in its own folder.

    Separators, `..`, drives and control characters could name a file outside of the folder.
    """
    text = name if isinstance(name, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", text):
        raise ModelError(
            f"{declaration} names the file {name!r:.100}. A declaration may only name a file of "
            "its own folder: letters, digits, '.', '_', '+' and '-'. Correct the declaration."
        )


_chosen: ContextVar[Path | None] = ContextVar("cache folder", default=None)


@contextmanager
def cache_at(folder: Path | None) -> Iterator[None]:
    """Caches that are opened inside are kept in this folder; None changes nothing."""
    token = _chosen.set(folder or _chosen.get())
    try:
        yield
    finally:
        _chosen.reset(token)


def cache_folder() -> Path:
    """`$MATTE_CACHE`, or `$MATTE_HOME/cache`, or the platform's folder for caches.

    Inside `cache_at` it is the folder that was named there.
    """
    if (chosen := _chosen.get()) is not None:
        return chosen
    if folder := os.environ.get("MATTE_CACHE"):
        return Path(folder).expanduser()
    if home := os.environ.get("MATTE_HOME"):
        return Path(home).expanduser() / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("matte-nodes", appauthor=False)


def _home() -> Path:
    if home := os.environ.get("MATTE_HOME"):
        return Path(home).expanduser()
    from platformdirs import user_data_path

    return user_data_path("matte-nodes", appauthor=False)
