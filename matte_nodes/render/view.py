# SPDX-License-Identifier: Apache-2.0
"""A look at one frame: its planes at the size of a screen, for pages that show them.

The full-size alpha is made as for a file, then reduced by area. The foreground is solved only
where it is asked for: without it, and without a file of the full size, a look takes a quarter of
the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import InputError
from matte_nodes.media.clip import Clip, paste
from matte_nodes.media.image import Image
from matte_nodes.media.resize import resized
from matte_nodes.render.coverage import Coverage
from matte_nodes.shot.chain import build
from matte_nodes.temporal.tensors import DamagedEntry, load_tensors, save_tensors
from matte_nodes.whole_files import whole_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

CHAIN = ("refine", "refine_width", "segmentation_model")
"""The options of a render that say which models are chained."""

_MOST = 65504.0
"""The largest half float."""

_OBJECT, _SPACE = "object ", "colorspace"


@dataclass(frozen=True)
class View:
    """Planes of one frame over its display window, at one size. Half floats, linear."""

    alpha: NDArray[np.float16]
    """(H, W), the mean alpha of each pixel's area."""
    premultiplied: NDArray[np.float16] | None
    """(H, W, 3), the mean of foreground x alpha; None where it was not asked for."""
    objects: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)
    """(H, W), each object's share, by name."""
    colorspace: str = ""
    """Of the foreground."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.alpha.shape[1], self.alpha.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        planes = [self.alpha, self.premultiplied, *self.objects.values()]
        return sum(plane.nbytes for plane in planes if plane is not None)

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not there."""
        told = np.frombuffer(self.colorspace.encode(), np.uint8)
        planes: dict[str, NDArray[Any]] = {"alpha": self.alpha, _SPACE: told}
        if self.premultiplied is not None:
            planes["premultiplied"] = self.premultiplied
        planes |= {f"{_OBJECT}{name}": plane for name, plane in self.objects.items()}
        with whole_file(path, durable=False) as scratch:
            save_tensors(scratch, planes, path.name)

    @staticmethod
    def load(path: Path) -> View:
        """Read a file that `save` wrote. Raises InputError for any other."""
        try:
            planes = load_tensors(path, path.name)
        except (DamagedEntry, OSError) as error:
            raise InputError(f"{path} is no look at a frame ({error}).") from error
        at = len(_OBJECT)
        objects = {name[at:]: one for name, one in planes.items() if name.startswith(_OBJECT)}
        told = planes[_SPACE].tobytes().decode()
        return View(planes["alpha"], planes.get("premultiplied"), objects, told)


def fitted(width: int, height: int, wanted: int) -> tuple[int, int]:
    """Width and height of a picture that is `wanted` pixels wide, never larger than it is.

    wanted: 0 is full size.
    """
    if wanted <= 0 or wanted >= width:
        return width, height
    return wanted, max(1, round(height * wanted / width))


def look(
    source: str,
    model: str,
    frame: int,
    width: int,
    *,
    foreground: bool,
    warn: Callable[[str], None],
    **chain: Any,
) -> View:
    """Return a frame's planes at a width; 0 is full size.

    source, model, chain: as `shot.chain.build` takes them. foreground: False solves none, and the
    view has none. warn: gets what the user should know about the inputs and the answer. Raises
    what building the chain and matting the frame raise.
    """
    made = build(source, model, **chain)
    shot = made.shot
    shot.notices.say = warn
    try:
        matte, alpha, shares = shot.look_at(frame, foreground=foreground)
        clip, space = shot.clip, shot.color.output
        small = _small(alpha, clip, width)
        product = None if matte is None else _small(_product(matte.foreground, alpha), clip, width)
        objects = {name: _small(share, clip, width) for name, share in shares.items()}
        for text in shot.notices.summary():
            warn(text)
    finally:
        shot.close()
    if made.automatic:
        coverage = Coverage()
        coverage.add(frame, alpha)
        for text in coverage.remarks(made.name):
            warn(text)
    return View(small, product, objects, space)


def _small(plane: Float, clip: Clip, width: int) -> NDArray[np.float16]:
    """A plane of the canvas (H, W) or (H, W, 3) over the display window, at a width."""
    window = clip.display_window
    if clip.canvas != window:
        three = plane.reshape(*plane.shape[:2], -1)
        names = ("Y",) * three.shape[2]
        placed = paste(Image(three, names, clip.canvas, window), window)
        plane = placed.reshape(*placed.shape[:2], *plane.shape[2:])
    across, down = fitted(window.width, window.height, width)
    small = np.clip(resized(plane, (down, across)), -_MOST, _MOST)
    return small.astype(np.float16)


def _product(foreground: Float, alpha: Float) -> Float:
    """foreground x alpha, (H, W, 3), in place: the foreground is 0 where there is no subject."""
    import cv2

    left, top, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
    part = slice(top, top + height), slice(left, left + width)
    foreground[part] *= alpha[part][..., None]
    return foreground
