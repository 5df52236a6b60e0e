# SPDX-License-Identifier: Apache-2.0
"""People and animals as a source of foregrounds: files by seed, clips, and a sheet to look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from matte_nodes.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.uint8]
    Draw = Callable[[int, int], Codes | None]

Kind = Literal["people", "animals"]
VARIABLE = "MATTE_PEOPLE"
SIDE = 256
_FLOORS = ((60, 160, 60), (150, 150, 150), (40, 60, 90), (180, 190, 200))


def assets(folder: Path | None) -> Path:
    """Return the folder of assets: the one given, or that of the variable MATTE_PEOPLE.

    Raises UsageError when there is neither.
    """
    import os

    if folder is None and not os.environ.get(VARIABLE):
        raise UsageError(
            "Clothes, hair, lights and animals come from a folder of yours. Give it with --assets, "
            f"or set {VARIABLE}. docs/people.md says what it holds and where to find it."
        )
    return folder or Path(os.environ[VARIABLE])


def drawer(kind: Kind, folder: Path) -> Draw:
    """Return a function of seed and side that draws one subject.

    Straight RGBA, or None when it is out of view.
    """
    if kind == "people":
        from matte_nodes.train.people.person import Assets, Studio

        return Studio(Assets(folder)).person
    from matte_nodes.train.people.animals import Zoo

    return Zoo(folder).animal


def write(
    kind: Kind,
    folder: Path,
    out: Path,
    seeds: range,
    side: int = SIDE,
    say: Callable[[str], None] = lambda message: None,
) -> int:
    """Draw the subjects of these seeds as `out/NNNNNN.png`; those that are there are kept.

    Straight RGBA, display-encoded, 8 bits. Returns how many were drawn now. Each file is whole or
    not there.
    """
    import cv2

    from matte_nodes.whole_files import whole_file

    out.mkdir(parents=True, exist_ok=True)
    draw: Draw | None = None
    drawn = 0
    for seed in seeds:
        path = out / f"{seed:06d}.png"
        if path.is_file():
            continue
        draw = draw or drawer(kind, folder)
        picture = draw(seed, side)
        if picture is None or not (picture[..., 3] > 127).any():
            continue
        _, packed = cv2.imencode(".png", picture[..., [2, 1, 0, 3]])
        with whole_file(path) as part:
            part.write_bytes(packed.tobytes())
        drawn += 1
        if drawn % 25 == 0:
            say(f"{kind}: {drawn} drawn, seed {seed}")
    _note(kind, folder, out, side)
    return drawn


def _note(kind: Kind, folder: Path, out: Path, side: int) -> None:
    from matte_nodes.whole_files import whole_file

    facts = {"kind": kind, "side": side, "assets": folder.name}
    with whole_file(out / "source.json") as part:
        part.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def clip(
    folder: Path, seed: int, side: int, frames: int, rate: float = 25.0, shutter: float = 0.5
) -> Iterator[Codes]:
    """Yield frames of one person who moves: pose, camera and hair.

    Blurred while the shutter is open.

    shutter: part of a frame's time, 0: sharp. Yields straight RGBA, (side, side, 4) uint8.
    """
    from matte_nodes.train.people.person import Assets, Studio

    studio = Studio(Assets(folder))
    for frame in range(frames):
        seconds = frame / rate
        if shutter:
            yield studio.blurred(seed, side, seconds, shutter / rate)
        else:
            yield studio.person(seed, side, seconds)


def sheet(pictures: list[Path], out: Path, columns: int = 8, side: int = 192) -> None:
    """A sheet of cut-outs over plain colours, to be looked at."""
    import cv2

    tiles = []
    for index, path in enumerate(pictures):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
            continue
        alpha = picture[..., 3:] / np.float32(255)
        floor = np.array(_FLOORS[index % len(_FLOORS)], np.float32)
        over = picture[..., :3] * alpha + floor * (1 - alpha)
        tiles.append(cv2.resize(over, (side, side), interpolation=cv2.INTER_AREA))
    if not tiles:
        raise UsageError("There is nothing to show on a sheet. Ask for at least one picture.")
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    cv2.imwrite(str(out), np.round(np.vstack(rows)).astype(np.uint8))
