# SPDX-License-Identifier: Apache-2.0
"""Bind what the user connects (files, arrays, sparse keys, other shots) to the frames of a plate."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from matte_nodes.color import guess_space
from matte_nodes.errors import BadPlateError, HintSizeError, MissingInputError, UsageError
from matte_nodes.frame_range import parsed_numbers
from matte_nodes.media.clip import ArrayClip, Clip, ClipSource, open_clip, paste
from matte_nodes.media.image import Image
from matte_nodes.node.hints import HINT_KINDS, HintKeys, KeyMode
from matte_nodes.temporal.inputs import quick_sign

if TYPE_CHECKING:
    from numpy.typing import NDArray


def warm_place(clip: Clip, warm_up: int | None, start: int | None) -> int:
    """The place of the first frame that a warm-started shot has; 0 without a warm start."""
    if warm_up is None or start is None:
        return 0
    if warm_up < 0:
        raise UsageError(f"A warm start takes 0 frames or more, not {warm_up}.")
    if start not in clip.frames:
        raise UsageError(
            f"{clip.name} has no frame {start} to start at: it has "
            f"{clip.frames[0]}-{clip.frames[-1]}."
        )
    return clip.frames.index(start)


def cut_frames(cuts: Iterable[int] | str) -> list[int]:
    """Cuts as frame numbers: a list of them, or "1012,1100"."""
    return parsed_numbers(cuts, "Cuts (the first frames of new takes, or auto)")


class BoundHint:
    """One hint of a shot: which picture serves which frame, placed on the plate's canvas."""

    def __init__(self, name: str, source: Any, plate: Clip, keys: str) -> None:
        if keys not in get_args(KeyMode):
            raise UsageError(f"hint_keys is one of {', '.join(get_args(KeyMode))}, not {keys!r}.")
        self.name, self._plate = name, plate
        self.clip, frames, keys = _hint_clip(source, name, keys)
        self.is_still = len(self.clip.frames) == 1 and keys != "only"
        mode = "hold" if self.is_still else keys
        self._keys = HintKeys({number: number for number in frames}, mode)  # type: ignore[arg-type]
        self._cached: tuple[tuple[int, Hashable], NDArray[Any]] | None = None
        expected = (plate.display_window.height, plate.display_window.width)
        got = (self.clip.display_window.height, self.clip.display_window.width)
        if got != expected:
            raise HintSizeError(
                f"The {name} {self.clip.name} is {got[1]} x {got[0]}, the plate {plate.name} is "
                f"{expected[1]} x {expected[0]}. Render it at the plate's size."
            )

    def source_frame(self, frame: int) -> int | None:
        """The hint's own frame that serves this frame of the plate, or None."""
        try:
            return self._keys.source(frame)
        except MissingInputError as error:
            raise MissingInputError(
                f"The {self.name} {self.clip.name} has no frame {frame}. Render it, or let keys "
                "serve the frames between them (hint_keys='hold', --hint-keys hold)."
            ) from error

    def pixels(self, frame: int) -> NDArray[Any] | None:
        """The picture for a frame of the plate, on the plate's canvas, as it lies in its file."""
        source = self.source_frame(frame)
        if source is None:
            return None
        asked = source, quick_sign(self.clip, source)
        if self._cached is not None and self._cached[0] == asked:
            return self._cached[1]
        image = self.clip.read(source)
        kind = HINT_KINDS[self.name]
        pixels = rgb(image, self.clip, source) if kind.is_picture else plane(image, self.name)
        placed = paste(_replaced(image, pixels), self._plate.canvas)
        placed = kind.values(placed if kind.is_picture else placed[..., 0])
        self._cached = asked, placed
        return placed


def _hint_clip(source: Any, name: str, keys: str) -> tuple[Clip, list[int], str]:
    if isinstance(source, HintKeys):
        return _keyed_clip(dict(source.items()), name), sorted(source), source.mode
    if isinstance(source, Mapping):
        if not source:
            raise UsageError(f"The {name} has no keys: give {{frame: picture}}.")
        return _keyed_clip(source, name), sorted(source), "hold" if keys == "exact" else keys
    clip = as_clip(source, name, "skip")
    return clip, list(clip.frames), keys


def _keyed_clip(keys: Mapping[int, Any], name: str) -> Clip:
    """{frame: array or file} as a clip; files are read as they are, one still each."""
    arrays = {}
    for frame, picture in keys.items():
        if isinstance(picture, (str, os.PathLike)):
            clip = open_clip(picture)
            if len(clip.frames) != 1:
                raise UsageError(f"The {name} key at frame {frame} is a clip; give one picture.")
            picture = clip.read(clip.frames[0]).pixels
        arrays[frame] = np.asarray(picture)
    return ArrayClip(arrays, name=f"{name} keys")


def as_clip(source: Any, name: str, missing: str = "error") -> Clip:
    """Anything that can be connected, as a clip."""
    if isinstance(source, (str, os.PathLike)):
        return open_clip(source, missing=missing)  # type: ignore[arg-type]
    if isinstance(source, ClipSource):
        return source.as_hint(name)
    return ArrayClip(source, name=name)


def rgb(image: Image, clip: Clip, frame: int, *, allow_grey: bool = False) -> NDArray[Any]:
    """(H, W, 3): the R, G, B of a picture, by name; BadPlateError for a grey one."""
    channels = list(image.channels)
    if {"R", "G", "B"} <= set(channels):
        index = [channels.index(name) for name in "RGB"]
        return image.pixels if index == [0, 1, 2] == list(range(len(channels))) else (
            image.pixels[..., index]
        )  # fmt: skip
    if allow_grey and "Y" in channels:
        return np.repeat(image.pixels[..., [channels.index("Y")]], 3, axis=2)
    raise BadPlateError(
        f"Frame {frame} of {clip.name} has the channels {', '.join(channels)}, not R, G, B. "
        "A grey picture is a hint (--trimap, --segmentation); to matte black-and-white footage "
        "say so (--allow-grey)."
    )


def plane(image: Image, name: str) -> NDArray[Any]:
    """(H, W, 1): the one channel of a hint: A where it varies, else Y or R."""
    channels = list(image.channels)
    if "A" in channels:
        alpha = image.pixels[..., [channels.index("A")]]
        if len(channels) == 1 or alpha.min() != alpha.max():
            return alpha
    for wanted in ("Y", "R"):
        if wanted in channels:
            return image.pixels[..., [channels.index(wanted)]]
    return image.pixels[..., :1]


def spaces(
    clip: Clip, colorspace: str | None, background: Clip | None, background_colorspace: str | None
) -> tuple[str, str]:
    """Names of the plate's and the background's colour space."""
    plate = colorspace or guessed(clip)
    if background is None:
        return plate, plate
    if background_colorspace:
        return plate, background_colorspace
    same_kind = background.is_movie == clip.is_movie and _suffix(background) == _suffix(clip)
    return plate, plate if colorspace and same_kind else guessed(background)


def guessed(clip: Clip) -> str:
    """The colour space of a clip that nobody named: what its files say, else by their kind."""
    return guess_space(
        clip.colorspace,
        is_movie=clip.is_movie,
        is_float=clip_is_float(clip),
        extension=_suffix(clip),
    )


def clip_is_float(clip: Clip) -> bool:
    """Whether the clip's pixels are floating point; a frame is read only where that can tell."""
    known = {".exr": True, ".hdr": True} | dict.fromkeys((".png", ".jpg", ".jpeg", ".dpx"), False)
    if clip.is_movie or _suffix(clip) in known:
        return known.get(_suffix(clip), False)
    return clip.read(clip.frames[0]).pixels.dtype.kind == "f"


def _suffix(clip: Clip) -> str:
    return os.path.splitext(clip.name)[1].lower()


def _replaced(image: Image, pixels: NDArray[Any]) -> Image:
    return replace(image, pixels=pixels, channels=tuple("RGB"[: pixels.shape[2]]))
