# SPDX-License-Identifier: Apache-2.0
"""Composites as a data set of pictures, in the layout that `matte eval` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.errors import MediaError
from matte_nodes.train import hints
from matte_nodes.train.data import Material, maker
from matte_nodes.whole_files import write_bytes

if TYPE_CHECKING:
    from matte_nodes.train.recipe import Recipe


def write_pictures(recipe: Recipe, material: Material, folder: Path, count: int) -> None:
    """Write plate/, alpha/, trimap/, foreground/ and background/ as 16-bit PNG (trimap 8-bit).

    In task "plate" the background is the imperfect clean plate. Raises MediaError when a file
    cannot be written.
    """
    make = maker(recipe, material, "train")
    for number in range(count):
        rng = np.random.default_rng([recipe.data.seed, number])
        made = make.composite(rng)
        trimap = hints.trimap(rng, made.alpha, narrow=recipe.data.narrow, wide=recipe.data.wide)
        background = made.background
        if recipe.task == "plate":
            _, background = hints.imperfect_clean_plate(rng, made.background, made.alpha)
        parts = {
            "plate": made.plate,
            "alpha": made.alpha,
            "foreground": made.foreground,
            "background": background,
        }
        for name, picture in parts.items():
            _write(folder / name / f"{number:05d}.png", (picture * 65535).round().astype(np.uint16))
        codes = np.select([trimap == 0, trimap == 1], [0, 255], 128).astype(np.uint8)
        _write(folder / "trimap" / f"{number:05d}.png", codes)


def _write(path: Path, picture: np.ndarray) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = picture[..., ::-1] if picture.ndim == 3 else picture
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(ordered))
    if not done:
        raise MediaError(f"{path} cannot be written.")
    write_bytes(path, data.tobytes())
