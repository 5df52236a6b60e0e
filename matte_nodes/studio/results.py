# SPDX-License-Identifier: Apache-2.0
"""Results: mattes that the service made for this session, by settings and frame, and how they look."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import InputError, MatteError
from matte_nodes.media.clip import paste
from matte_nodes.media.image import Image
from matte_nodes.media.layouts import layer_name, object_name
from matte_nodes.media.pattern import Pattern
from matte_nodes.publish.picture import DeliveredPicture, read_matte
from matte_nodes.render.view import View, fitted
from matte_nodes.studio import pictures
from matte_nodes.temporal.lru import Lru

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.studio.plate import Plate

FOLDER = "mattes"
NAME = "matte.####.exr"
KEPT = 4
VIEWS = 192 << 20
"""Bytes of views that are kept: 190 alphas of 960 x 540, or 48 with their foregrounds."""
OBJECT = "object."
KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Shown:
    """A matte over the display window. objects: the share of each, by the name of its layer."""

    alpha: Float
    foreground: Float
    colorspace: str
    objects: dict[str, Float]


class Results:
    """Which frames are matted with which settings. Thread-safe. folder: the session's.

    A frame has a file of its full size, or a `View` at the size of the page, or both.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self._views: Lru[View] = Lru(VIEWS)
        self._looks: dict[tuple[str, int], Path] = {}
        self._kept: OrderedDict[tuple[Path, int], Shown] = OrderedDict()
        self._lock = threading.Lock()

    def pattern(self, key: str) -> str:
        """Where a run with these settings writes its frames."""
        return str(self.folder / key / NAME)

    def note(self, key: str, frame: int, path: Path) -> None:
        """Remember the picture of a single frame, which the service keeps for a while."""
        with self._lock:
            self._looks[key, frame] = path

    def keep_view(self, key: str, frame: int, view: View) -> None:
        """Remember how a frame looks at one size. What the view before it had more is lost."""
        self._views.put(_name(key, frame), view, view.nbytes)

    def view(self, key: str, frame: int) -> View | None:
        """The newest look at a frame; None when it was dropped, or there was none."""
        return self._views.get(_name(key, frame))

    def has(self, key: str, frame: int) -> bool:
        """Whether a frame has a matte with these settings, at any size."""
        return self.path(key, frame) is not None or _name(key, frame) in self._views

    def path(self, key: str, frame: int) -> Path | None:
        """The file of a matte; None when there is none any more."""
        pattern = Pattern.parse(self.pattern(key))
        assert pattern is not None
        found = self._looks.get((key, frame))
        for path in (pattern.path(frame), found):
            if path is not None and path.is_file():
                return path
        return None

    def done(self, key: str) -> list[int]:
        """Frames that have a matte with these settings."""
        with self._lock:
            looks = {
                frame for (of, frame), path in self._looks.items() if of == key and path.is_file()
            }
        return sorted(looks | self._viewed(key) | self.files(key))

    def _viewed(self, key: str) -> set[int]:
        """Frames of which there is a view with these settings."""
        found = (name.partition(" ") for name in self._views.names())
        return {int(frame) for of, _, frame in found if of == key}

    def stale(self, key: str) -> list[int]:
        """Frames that have a matte only with other settings."""
        others: set[int] = set()
        if self.folder.is_dir():
            for own in self.folder.iterdir():
                if own.name != key and KEY.fullmatch(own.name):
                    others |= self.files(own.name)
        with self._lock:
            others |= {frame for of, frame in self._looks if of != key}
        viewed = (name.partition(" ") for name in self._views.names())
        others |= {int(frame) for of, _, frame in viewed if of != key}
        return sorted(others - set(self.done(key)))

    def files(self, key: str) -> set[int]:
        """Frames that a run has written with these settings."""
        pattern = Pattern.parse(self.pattern(key))
        return set(pattern.find()) if pattern is not None and pattern.folder.is_dir() else set()

    def shown(self, key: str, frame: int) -> Shown:
        """A matte over the display window. InputError when there is none."""
        path = self.path(key, frame)
        if path is None:
            raise InputError(f"Frame {frame} has no matte with these settings. Matte it (M).")
        place = path, path.stat().st_mtime_ns
        with self._lock:
            if (kept := self._kept.get(place)) is not None:
                self._kept.move_to_end(place)
                return kept
        found = _shown(read_matte(path), path)
        with self._lock:
            self._kept[place] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def picture(
        self, key: str, frame: int, part: str, width: int, plate: Plate
    ) -> tuple[bytes, str]:
        """The alpha, the foreground or an object's share as a file for the browser, and its type.

        A frame without a file is shown by the view that there is, at its own size.
        """
        view = self.view(key, frame)
        if self.path(key, frame) is None and view is not None:
            return _viewed(view, part, plate)
        found = self.shown(key, frame)
        height, full = found.alpha.shape
        size = fitted(full, height, width)
        small = pictures.resized(found.alpha, size)
        if part == "alpha":
            return pictures.plane_file(pictures.codes(small))
        if part.startswith(OBJECT):
            share = _share(found.objects, part)
            return pictures.plane_file(pictures.codes(pictures.resized(share, size)))
        _check_part(part)
        product = pictures.resized(found.foreground * found.alpha[..., None], size)
        return _colour(product, small, found.colorspace, plate)

    def value(self, key: str, frame: int, x: int, y: int) -> dict[str, Any]:
        """Alpha and straight linear foreground of a pixel."""
        found = self.shown(key, frame)
        if not (0 <= y < found.alpha.shape[0] and 0 <= x < found.alpha.shape[1]):
            raise InputError(f"The pixel {x},{y} lies outside of the picture.")
        return {
            "alpha": float(found.alpha[y, x]),
            "foreground": [float(number) for number in found.foreground[y, x]],
        }


def _name(key: str, frame: int) -> str:
    return f"{key} {frame}"


def fits(view: View | None, part: str, size: tuple[int, int]) -> bool:
    """Whether a view has a part at a size (width, height)."""
    if view is None or view.size != size:
        return False
    return part != "foreground" or view.premultiplied is not None


def _viewed(view: View, part: str, plate: Plate) -> tuple[bytes, str]:
    """A part of a view as a file for the browser, and its type."""
    alpha = view.alpha.astype(np.float32)
    if part == "alpha":
        return pictures.plane_file(pictures.codes(alpha))
    if part.startswith(OBJECT):
        named = {layer_name(name): share for name, share in view.objects.items()}
        share = _share(named, part).astype(np.float32)
        return pictures.plane_file(pictures.codes(share))
    _check_part(part)
    if view.premultiplied is None:
        raise InputError("Only the alpha of this older result is kept. Matte the frame again (M).")
    return _colour(view.premultiplied, alpha, view.colorspace, plate)


def _share(objects: Mapping[str, NDArray[Any]], part: str) -> NDArray[Any]:
    share = objects.get(layer_name(part[len(OBJECT) :]))
    if share is None:
        raise InputError(f"The matte has no object {part[len(OBJECT) :]!r:.70}.")
    return share


def _check_part(part: str) -> None:
    if part != "foreground":
        raise InputError(f"A matte has no part {part!r:.50}.")


def _colour(
    product: NDArray[Any], alpha: NDArray[Any], space: str, plate: Plate
) -> tuple[bytes, str]:
    """A straight foreground as a file for the browser, and its type, from foreground x alpha.

    Scaled premultiplied, so that no black is mixed in; worked out where there is a subject alone.
    """
    import cv2

    left, top, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
    part = slice(top, top + height), slice(left, left + width)
    codes = np.zeros(product.shape, np.uint8)
    if width:
        straight = product[part] / np.maximum(alpha[part], np.float32(1e-3))[..., None]
        shown = plate.shown(space, np.ascontiguousarray(straight, np.float32))
        codes[part] = pictures.codes(shown)
    return pictures.colour_file(codes, exact=True)


def _shown(picture: DeliveredPicture, path: Path) -> Shown:
    window = picture.display_window

    def placed(pixels: NDArray[Any]) -> NDArray[Any]:
        names = ("Y",) * pixels.shape[2]
        return paste(Image(pixels, names, picture.data_window, window), window)

    alpha = placed(picture.alpha[..., None])[..., 0]
    if picture.foreground is None:
        raise InputError(f"{path} holds no foreground.")
    return Shown(
        alpha,
        placed(picture.foreground),
        picture.says("matte/colorspace") or "lin_rec709",
        {name: placed(plane[..., None])[..., 0] for name, plane in _objects(path).items()},
    )


def _objects(path: Path) -> dict[str, Float]:
    """The layers `alpha.NAME` of a file."""
    import OpenImageIO as oiio

    if path.suffix != ".exr":
        return {}
    source = oiio.ImageInput.open(str(path))
    if source is None:
        oiio.geterror()
        return {}
    try:
        names = {n: own for n in source.spec().channelnames if (own := object_name(n))}
        if not names:
            return {}
        pixels: Any = source.read_image("float")
        every = list(source.spec().channelnames)
        return {own: np.ascontiguousarray(pixels[..., every.index(n)]) for n, own in names.items()}
    except MatteError:
        return {}
    finally:
        source.close()
