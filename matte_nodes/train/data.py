# SPDX-License-Identifier: Apache-2.0
"""Reads a training's pictures and writes the folder of samples that are made from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.train.samples import Maker
from matte_nodes.train.textures import Pictures
from matte_nodes.whole_files import whole_file, write_text

if TYPE_CHECKING:
    from matte_nodes.train.recipe import Recipe

STACK = 32
LARGEST = 1600
NOTES = frozenset((".json", ".md", ".txt"))  # `matte train compose` writes one, too


@dataclass(frozen=True)
class Material:
    """Pictures of the user's: photographs for training, others held out, own foregrounds.

    All (H, W, 3) or, foregrounds, (H, W, 4) uint8, straight. backgrounds: what foregrounds are put
    over, if not over the photographs.
    """

    photographs: Sequence[np.ndarray] = ()
    heldout: Sequence[np.ndarray] = ()
    foregrounds: Sequence[np.ndarray] = field(default=())
    backgrounds: Sequence[np.ndarray] | None = None


def read_pictures(place: Path | None, *, alpha: bool = False) -> list[np.ndarray]:
    """Return all pictures of a folder, or those that a manifest (one path a line) names, in name order.

    Pictures are scaled down to at most 1600 pixels; notes beside them (NOTES) are left out. alpha: straight RGBA is wanted. Raises
    InputError for a place without pictures, for a file that is none, or that has no alpha.
    """
    import cv2

    if place is None:
        return []
    if place.is_dir():
        files = (path for path in place.iterdir() if path.is_file())
        paths = sorted(p for p in files if p.name[0] != "." and p.suffix.lower() not in NOTES)
    elif place.is_file():
        lines = place.read_text(encoding="utf-8").splitlines()
        paths = [place.parent / line.strip() for line in lines if line.strip()]
    else:
        raise InputError(f"{place}: there is no such folder or manifest.")
    found = []
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED if alpha else cv2.IMREAD_COLOR)
        if picture is None:
            raise InputError(f"{path} cannot be read as a picture.")
        if alpha and (picture.ndim != 3 or picture.shape[2] != 4):
            raise InputError(f"{path} has no alpha: a foreground is a straight RGBA picture.")
        if picture.dtype == np.uint16:
            picture = (picture // 257).astype(np.uint8)
        scale = min(1.0, LARGEST / max(picture.shape[:2]))
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        order = [2, 1, 0, 3] if alpha else [2, 1, 0]
        found.append(np.ascontiguousarray(picture[..., order]))
    if not found:
        raise InputError(f"{place} contains no pictures.")
    return found


def maker(recipe: Recipe, material: Material, part: Literal["train", "heldout"]) -> Maker:
    """Return the maker of one part's samples."""
    photographs = material.photographs if part == "train" else material.heldout
    return Maker(
        recipe.task,
        recipe.data.side,
        recipe.foregrounds if part == "train" else recipe.heldout,
        recipe.route,
        Pictures(photographs, recipe.data.share),
        recipe.data.narrow,
        recipe.data.wide,
        recipe.data.calm,
        tuple(material.foregrounds),
        recipe.data.own,
        None if material.backgrounds is None else Pictures(material.backgrounds, recipe.data.share),
        tuple(recipe.data.zooms),
        recipe.data.coarse,
        recipe.data.whole,
        recipe.data.shadow,
        recipe.data.matched,
    )


def make_samples(
    recipe: Recipe,
    material: Material,
    part: Literal["train", "heldout"],
    folder: Path,
    say: Callable[[str], None] = lambda message: None,
) -> None:
    """Write the samples of a part as stacks; those that are there are kept.

    Raises InputError when the folder holds samples of other data.
    """
    data = recipe.data
    count, seed = (
        (data.samples, data.seed) if part == "train" else (data.heldout_samples, data.heldout_seed)
    )
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"data": recipe.data_digest, "part": part, "pictures": _digest(material, part)}
    note = folder / "samples.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) != facts:
        raise InputError(
            f"{folder} holds samples of another recipe or of other pictures: give another folder, "
            "or remove it."
        )
    write_text(note, json.dumps(facts, indent=1))
    make = maker(recipe, material, part)
    for index in range(-(-count // STACK)):
        path = folder / f"{index:04d}.npy"
        if path.is_file():
            continue
        numbers = range(index * STACK, min(count, (index + 1) * STACK))
        stack = np.stack([make(seed, number) for number in numbers])
        with whole_file(path) as scratch, scratch.open("wb") as file:
            np.save(file, stack)
        say(f"{part}: {numbers.stop} of {count} samples")


def _digest(material: Material, part: str) -> str:
    import hashlib

    total = hashlib.sha256()
    pictures = material.photographs if part == "train" else material.heldout
    for picture in (*pictures, *material.foregrounds, *(material.backgrounds or ())):
        total.update(str(picture.shape).encode())
        total.update(np.ascontiguousarray(picture).data)
    return total.hexdigest()
