# SPDX-License-Identifier: Apache-2.0
"""Where the library keeps things: weights apart from caches, under $MATTE_HOME when it is set."""

from __future__ import annotations

import os
from pathlib import Path


def weights_folder() -> Path:
    """`$MATTE_HOME/weights`, or `weights` in the platform's folder for user data."""
    return _home() / "weights"


def models_folder() -> Path:
    """`$MATTE_HOME/models`, or `models` beside the weights: declarations of fine-tuned models."""
    return _home() / "models"


def cache_folder() -> Path:
    """`$MATTE_CACHE`, or `$MATTE_HOME/cache`, or the platform's folder for caches."""
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
