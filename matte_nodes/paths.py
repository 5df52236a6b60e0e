# SPDX-License-Identifier: Apache-2.0
"""Where the library keeps things: weights apart from caches, under $MATTE_HOME when it is set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path


def weights_folder() -> Path:
    """`$MATTE_HOME/weights`, or `weights` in the platform's folder for user data."""
    return _home() / "weights"


def models_folder() -> Path:
    """`$MATTE_HOME/models`, or `models` beside the weights: declarations of fine-tuned models."""
    return _home() / "models"


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
