# SPDX-License-Identifier: Apache-2.0
"""What composites of people are made of: cut-outs, labelled photographs, and places."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from matte_nodes.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Codes: TypeAlias = "NDArray[np.uint8]"
HELDOUT_EVERY = 16
HELDOUT_SEEDS = 900_000
"""Pictures rendered by a seed from here on are held out."""


@dataclass(frozen=True)
class Labelled:
    """A photograph and its label: plate (H, W, 3), cutout (H, W, 4) straight, both display-encoded."""

    plate: Codes
    cutout: Codes


@dataclass(frozen=True)
class PicturePool:
    """All pictures of one part (training or held out), (H, W, C) uint8, display-encoded.

    people, animals: rendered cut-outs, straight RGBA. labelled: photographs with labels.
    panoramas: whole spheres, 2:1. places: photographs without people. digest: their fingerprint.
    """

    people: Sequence[Codes] = ()
    animals: Sequence[Codes] = ()
    labelled: Sequence[Labelled] = ()
    panoramas: Sequence[Codes] = ()
    places: Sequence[Codes] = ()
    digest: str = field(default="", repr=False)


@dataclass(frozen=True)
class Folders:
    """Where the pictures lie. Each may be None.

    people, animals: folders of NNNNNN.png as `matte train compose people` writes them. labels:
    folders that `scripts/label_people.py` wrote, each with `plates/`. panoramas: HDR pictures.
    places: a folder of photographs.
    """

    people: Path | None = None
    animals: Path | None = None
    labels: Sequence[Path] = ()
    panoramas: Path | None = None
    places: Path | None = None


def read(folders: Folders, heldout: bool, most: int = 1_000_000) -> PicturePool:
    """Return the pictures of one part. most: read at most so many cut-outs of each kind.

    Held-out photographs are those whose sha256 says so (one of 16); held-out cut-outs those of
    seeds
    from 900,000 on. Raises InputError when there is no cut-out at all.
    """
    total = hashlib.sha256()
    people = [_cutout(path, total) for path in _rendered(folders.people, heldout)[:most]]
    animals = [_cutout(path, total) for path in _rendered(folders.animals, heldout)[:most]]
    labelled = [pair for folder in folders.labels for pair in _labelled(folder, heldout, total)][
        :most
    ]
    if not (people or animals or labelled):
        raise InputError("There are no people and no animals. Give folders of cut-outs or labels.")
    panoramas = [_panorama(path, total) for path in _files(folders.panoramas, (".exr", ".hdr"))]
    places = [_place(path, total) for path in _files(folders.places, (".png", ".jpg", ".jpeg"))]
    return PicturePool(people, animals, labelled, panoramas, places, total.hexdigest())


def _files(folder: Path | None, endings: tuple[str, ...]) -> list[Path]:
    if folder is None:
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in endings)


def _rendered(folder: Path | None, heldout: bool) -> list[Path]:
    return [
        path
        for path in _files(folder, (".png",))
        if path.stem.isdigit() and (int(path.stem) >= HELDOUT_SEEDS) == heldout
    ]


def _picture(path: Path, flags: int, total: hashlib._Hash) -> NDArray[np.generic]:
    import cv2

    content = path.read_bytes()
    total.update(hashlib.sha256(content).digest())
    found = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if found is None:
        raise InputError(f"{path} cannot be read as a picture. Remove it, or make it again.")
    return np.asarray(found)


def _cutout(path: Path, total: hashlib._Hash) -> Codes:
    import cv2

    picture = _picture(path, cv2.IMREAD_UNCHANGED, total)
    if picture.ndim != 3 or picture.shape[2] != 4:
        raise InputError(f"{path} has no alpha. A cut-out is a straight RGBA picture.")
    return np.ascontiguousarray(picture[..., [2, 1, 0, 3]], np.uint8)


def _labelled(folder: Path, heldout: bool, total: hashlib._Hash) -> list[Labelled]:
    import cv2

    found = []
    lines = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    for line in sorted(map(json.loads, lines), key=lambda line: str(line["name"])):
        held = int(line["sha256"][:8], 16) % HELDOUT_EVERY == 0
        if line["left_out"] or held != heldout:
            continue
        stem = Path(line["name"]).stem
        plate = _picture(folder / "plates" / f"{stem}.png", cv2.IMREAD_COLOR, total)
        cutout = _cutout(folder / f"{stem}.png", total)
        found.append(Labelled(np.ascontiguousarray(plate[..., ::-1], np.uint8), cutout))
    return found


def _panorama(path: Path, total: hashlib._Hash) -> Codes:
    total.update(hashlib.sha256(path.read_bytes()).digest())
    return read_panorama(path)


def read_panorama(path: Path) -> Codes:
    """Return a panorama, (H, W, 3) uint8, display-encoded, an eighth of it bright."""
    linear = linear_picture(path)
    bounded = (linear / (np.percentile(linear, 88) + 1e-6) * 0.7).clip(0, 1)
    return encoded(bounded)


def linear_picture(path: Path) -> NDArray[np.float32]:
    """Return the stored values of a picture's first three channels, (H, W, 3) float32."""
    import OpenImageIO as oiio

    found = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
    if found is None:
        raise InputError(f"{path} cannot be read as a picture. Remove it, or make it again.")
    return np.ascontiguousarray(found[..., :3], np.float32)


def _place(path: Path, total: hashlib._Hash, largest: int = 900) -> Codes:
    import cv2

    picture = _picture(path, cv2.IMREAD_COLOR, total)
    scale = min(1.0, largest / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[..., ::-1], np.uint8)


def encoded(linear: NDArray[np.float32]) -> Codes:
    """Linear 0..1 as sRGB codes."""
    curve = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(curve * 255).astype(np.uint8)
