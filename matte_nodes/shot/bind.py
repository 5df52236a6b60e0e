# SPDX-License-Identifier: Apache-2.0
"""Bind what the user connects (files, arrays, sparse keys, other shots) to the frames of a plate."""

from __future__ import annotations

import os
import warnings
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from matte_nodes.color import guess_space
from matte_nodes.errors import (
    BadPlateError,
    ColorError,
    HintSizeError,
    InputError,
    MediaError,
    MissingInputError,
    UsageError,
)
from matte_nodes.frame_range import parsed_numbers
from matte_nodes.media.as_array import InputWarning
from matte_nodes.media.clip import ArrayClip, Clip, ClipBase, ClipSource, open_clip, paste
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.layers import Purpose
from matte_nodes.media.sequence import SequenceClip
from matte_nodes.media.still import Want, spoken_rate
from matte_nodes.node.hint_meaning import (
    Meaning,
    check_colours,
    check_trimaps,
    mask_meaning,
    mask_values,
    nearly_black,
    plane_of,
)
from matte_nodes.node.hints import HINT_KINDS, HintKeys, KeyMode, clean_trimap
from matte_nodes.node.plate_values import highest_code, low_codes_text
from matte_nodes.points import FramePoints, Points, as_points
from matte_nodes.temporal.bank import KeyFrames
from matte_nodes.temporal.inputs import quick_sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.media.stat_cache import StatCache

MASKS = ("trimap", "segmentation")

# Rates that differ by less are one rate: 24 and 23.976, or what rounding makes of them.
_SAME_RATE = 0.01


def warm_place(clip: Clip, warm_up: int | None, start: int | None) -> int:
    """Return the index of a warm-started shot's first frame; 0 without a warm start."""
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


@dataclass(frozen=True)
class Reading:
    """How an input is read when its files allow several ways."""

    layer: str = ""
    """A layer, part or channel by name."""
    view: str = ""
    """A view of a stereo file."""
    rate: Fraction | None = None
    """Frames a second, in place of what the files say."""
    missing: str = "error"
    """What a frame without a file is: error, hold or skip."""


def told_rate(rate: str | float | Fraction | None) -> Fraction | None:
    """Return a rate as the user writes it: 25, "23.976", "24000/1001".

    Raises UsageError for anything else.
    """
    if rate is None or rate == "":
        return None
    try:
        exact = Fraction(str(rate)) if not isinstance(rate, Fraction) else rate
    except (ValueError, ZeroDivisionError):
        exact = Fraction(0)
    if not 0 < exact <= 100_000:
        raise UsageError(
            f"A rate is frames a second, as in 25, 23.976 or 24000/1001, not {rate!r}."
        )
    return exact if exact.denominator in (1, 1001) else spoken_rate(float(exact))


def told_offset(offset: str | int | None) -> int | Literal["first"] | None:
    """Return a hint's offset as the user writes it: 1000, "-1", "first".

    Raises UsageError for anything else.
    """
    if offset is None or offset == "":
        return None
    if offset == "first":
        return "first"
    try:
        return int(offset)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"hint_offset is a number of frames or 'first', not {offset!r} (--hint-offset)."
        ) from error


class BoundHint:
    """One hint of a shot: which picture serves which frame, placed on the plate's canvas.

    keys: what a frame between sparse keys gets. offset: what is added to the hint's numbers to get
    the plate's, or "first" for first frame to first frame. reading: which layer and view. The
    hint is looked at before the first frame, so that all its frames are read in one way.
    """

    def __init__(
        self,
        name: str,
        source: Any,
        plate: Clip,
        keys: str,
        *,
        offset: int | Literal["first"] | None = None,
        reading: Reading | None = None,
    ) -> None:
        if keys not in get_args(KeyMode):
            raise UsageError(f"hint_keys is one of {', '.join(get_args(KeyMode))}, not {keys!r}.")
        self.name, self._plate = name, plate
        self.clip, frames, keys = _hint_clip(source, name, keys, reading or Reading())
        # "only" is about painted keys: a clean plate that is one picture is every frame's.
        is_key = keys == "only" and name != "background"
        self.is_still = len(self.clip.frames) == 1 and not is_key
        mode = "hold" if self.is_still else keys
        expected = (plate.display_window.height, plate.display_window.width)
        got = (self.clip.display_window.height, self.clip.display_window.width)
        if got != expected:
            raise HintSizeError(
                f"The {name} {self.clip.name} is {got[1]} x {got[0]}, the plate {plate.name} is "
                f"{expected[1]} x {expected[0]}. Render it at the plate's size."
            )
        self.offset, lined_up = (0, ()) if self.is_still else self._lined_up(frames, offset)
        lined_up = (*lined_up, *self._one_for_all(source))
        self._keys = HintKeys({n + self.offset: n for n in frames}, mode)  # type: ignore[arg-type]
        self._cached: tuple[tuple[int, Hashable], NDArray[Any]] | None = None
        self._has_warned = False
        self.meaning = self._meaning()
        unlike = (*self._other_rate(), *self._other_aspect())
        taken = (*lined_up, *unlike, *self.meaning.assumptions)
        self.assumptions = (*taken, *self.clip.assumptions)
        if name == "trimap" and self._is_given and mode != "only":
            pictures = (plane_of(self.clip.read(n), self.meaning) for n in frames)
            self.assumptions += check_trimaps(pictures, self._title)

    @property
    def _title(self) -> str:
        return f"{self.name} {self.clip.name}"

    @property
    def _is_given(self) -> bool:
        """Whether the pictures are a user's: those that another node computes are what they say."""
        if isinstance(self.clip, ArrayClip):
            return True
        return self.clip.file_part(self.clip.frames[0]) is not None

    def _lined_up(
        self, frames: list[int], offset: int | Literal["first"] | None
    ) -> tuple[int, tuple[str, ...]]:
        """Return what is added to the hint's numbers, and what was assumed for that.

        Raises InputError when the numbers of hint and plate do not meet and nothing was said.
        """
        plate = self._plate.frames
        first = plate[0] - frames[0]
        if offset is not None:
            return (first if offset == "first" else offset), ()
        met = first == 0 or (frames[-1] >= plate[0] and frames[0] <= plate[-1])
        same = len(frames) == len(plate) > 1
        if met and not (same and first):
            return 0, ()
        ranges = f"frames {frames[0]}-{frames[-1]}, the plate {plate[0]}-{plate[-1]}"
        if same and self.clip.is_movie != self._plate.is_movie:
            said = f"the {self._title} has {ranges}; its first frame is laid on the plate's first"
            return first, (said,)
        raise InputError(
            f"The {self._title} has {ranges}. Line them up: --hint-offset first lays first frame "
            f"on first frame, --hint-offset N adds N to the hint's numbers (0: they are right as "
            "they are). In Python: hint_offset."
        )

    def _one_for_all(self, source: Any) -> tuple[str, ...]:
        """Return what is assumed where a pattern of names has one picture alone."""
        if not self.is_still or len(self._plate.frames) == 1 or not is_file(source):
            return ()
        if self.clip.is_movie or os.path.isfile(source) or self.name == "background":
            return ()
        return (f"the {self._title} has frame {self.clip.frames[0]} alone; it serves every frame",)

    def _other_rate(self) -> tuple[str, ...]:
        """Return what is assumed of a movie that has another rate than the plate."""
        ours, plate = self.clip.rate, self._plate.rate
        if self.is_still or not self.clip.is_movie or not ours or not plate:
            return ()
        if abs(ours / plate - 1) < _SAME_RATE:
            return ()
        said = f"the {self._title} has {float(ours):g} frames a second, the plate {float(plate):g}"
        return (f"{said}; frame is laid on frame, whatever the rates are",)

    def _other_aspect(self) -> tuple[str, ...]:
        """Return what is assumed of pictures whose pixels have another shape than the plate's."""
        ours, plate = self.clip.pixel_aspect, self._plate.pixel_aspect
        # Codes of a file without a place for it say 1: nobody wrote that.
        if ours == 1 or not self._is_given or abs(ours / plate - 1) < _SAME_RATE:
            return ()
        said = f"the {self._title} has a pixel aspect of {ours:.4g}, the plate {plate:.4g}"
        return (f"{said}; pixel is laid on pixel",)

    def _meaning(self) -> Meaning:
        if self.name == "background" or not self._is_given:
            return Meaning()
        frames = self.clip.frames
        looked_at = dict.fromkeys((frames[0], frames[len(frames) // 2], frames[-1]))
        images = (self.clip.read(frame) for frame in looked_at)
        return mask_meaning(images, self._title, self.clip.others)

    @property
    def taken(self) -> str:
        """The chosen channels and how they are read, in words."""
        return ", ".join(filter(None, (base_name(self.clip.taken), self.meaning.said)))

    @property
    def read_as(self) -> str:
        """The way its pictures are read, as part of keys."""
        return self.meaning.said

    def is_painted(self, frame: int) -> bool:
        """Whether the hint has a picture of its own for this frame of the plate."""
        return frame in self._keys

    def held_from(self, frame: int) -> int | None:
        """The plate's frame that this frame's picture was made for, if it is another one."""
        if len(self._plate.frames) == 1 or self.is_painted(frame):
            return None
        source = self.source_frame(frame)
        return None if source is None else source + self.offset

    def source_frame(self, frame: int) -> int | None:
        """Return the hint's own frame that serves this frame of the plate, or None."""
        try:
            return self._keys.at(frame)
        except MissingInputError as error:
            own = self._keys.frames
            raise MissingInputError(
                f"The {self._title} has no picture for frame {frame} of the plate: it serves "
                f"{own[0]}-{own[-1]}. Render it, shift it (--hint-offset), or let keys serve the "
                "frames between them (hint_keys='hold', --hint-keys hold)."
            ) from error

    def pixels(self, frame: int) -> NDArray[Any] | None:
        """Return the picture for a frame of the plate, on the plate's canvas, as it lies in its
        file.
        """
        source = self.source_frame(frame)
        if source is None:
            return None
        asked = source, quick_sign(self.clip, source)
        if self._cached is not None and self._cached[0] == asked:
            return self._cached[1]
        image = self.clip.read(source)
        where = f"{self._title}, frame {source},"
        is_picture = HINT_KINDS[self.name].is_picture
        if not is_picture and self._is_given:
            check_colours(image, self.meaning, where)
            self._warn_of_black(image, where)
        if is_picture:
            pixels = rgb(image, self.clip, source)
        elif self.name == "trimap":
            pixels = clean_trimap(plane_of(image, self.meaning))[..., None]
        else:
            pixels = mask_values(image, self.meaning, where)[..., None]
        placed = paste(self._on_display(_replaced(image, pixels)), self._plate.canvas)
        if not is_picture:
            placed = placed[..., 0]
        self._cached = asked, placed
        return placed

    def _warn_of_black(self, image: Image, where: str) -> None:
        """Warn once of a frame with the codes of labels among frames that are grey pictures."""
        if self._has_warned or self.clip.is_movie:  # compressed black has such codes too
            return
        if highest := nearly_black(image, self.meaning):
            self._has_warned = True
            warnings.warn(
                f"The {where} has no code above {highest} and is taken as nearly black, as the "
                "other frames are grey pictures. Write all frames with one white.",
                InputWarning,
                3,
            )

    def _on_display(self, image: Image) -> Image:
        """Return the image moved so that its display window lies on the plate's."""
        own, plate, data = image.display_window, self._plate.display_window, image.data_window
        right, down = plate.x - own.x, plate.y - own.y
        if not (right or down):
            return image
        moved = Rect(data.x + right, data.y + down, data.width, data.height)
        return replace(image, data_window=moved, display_window=plate)


def base_name(taken: str) -> str:
    """Return what was taken, without the folders of the file's name."""
    before, of, name = taken.rpartition(" of ")
    return f"{before}{of}{os.path.basename(name) or name}"


class BoundPoints:
    """The points of a shot, in the pixels of the plate's canvas."""

    read_as = ""

    def __init__(self, source: Any, plate: Clip) -> None:
        shown, canvas = plate.display_window, plate.canvas
        self.points = as_points(source).bound(
            plate.frames, shown.width, shown.height, where=plate.name
        )
        self._offset = canvas.x - shown.x, canvas.y - shown.y
        self.clip: Clip = PointsClip(self.points, plate)

    def source_frame(self, frame: int) -> int | None:
        """Return the frame itself where it has marks, else None."""
        return frame if frame in self.clip.frames else None

    def pixels(self, frame: int) -> FramePoints:
        """Return the marks of a frame of the plate; all objects' names in every frame."""
        found = self.points.at(frame)
        marks = {name: marks.placed(*self._offset) for name, marks in found.marks.items()}
        return FramePoints(found.objects, marks)


def key_frames(plate: Clip, hints: Mapping[str, BoundHint | BoundPoints]) -> KeyFrames:
    """Return which objects have marks in which frames of a shot.

    A painted hint is of the first object.
    """
    bound = hints["points"]
    assert isinstance(bound, BoundPoints)
    names = bound.points.names
    marked: dict[int, frozenset[str]] = {}
    started: dict[int, frozenset[str]] = {}
    painted = [hint for name, hint in hints.items() if name in ("segmentation", "trimap")]
    for place, frame in enumerate(plate.frames):
        marks = bound.points.at(frame).marks
        found, alone = set(marks), {name for name, m in marks.items() if m.starts}
        if any(isinstance(hint, BoundHint) and hint.is_painted(frame) for hint in painted):
            found.add(names[0])
            alone.add(names[0])
        if found:
            marked[place], started[place] = frozenset(found), frozenset(alone)
    return KeyFrames(names, marked, started)


class PointsClip(ClipBase):
    """Points as a clip has its frames: for keys, which ask every hint what a frame of it is."""

    def __init__(self, points: Points, plate: Clip) -> None:
        self._points = points
        self.name = "points"
        self.frames = [frame for frame in points.frames if frame is not None]
        self.canvas, self.display_window = plate.canvas, plate.display_window
        self.rate, self.pixel_aspect, self.colorspace = plate.rate, plate.pixel_aspect, ""

    def read(self, frame: int) -> Image:
        """Points are no pixels: UsageError."""
        raise UsageError("Points are clicks and boxes, not a picture.")

    def stamp(self, frame: int, look: StatCache | None = None) -> str:
        """Return the fingerprint of the frame's marks."""
        return self._points.fingerprint(frame)

    def close(self) -> None:
        """Nothing is open."""


def _hint_clip(source: Any, name: str, keys: str, reading: Reading) -> tuple[Clip, list[int], str]:
    if isinstance(source, HintKeys):
        return _keyed_clip(dict(source.items()), name, reading), sorted(source), source.mode
    if isinstance(source, Mapping):
        if not source:
            raise UsageError(f"The {name} has no keys: give {{frame: picture}}.")
        mode = "hold" if keys == "exact" else keys
        return _keyed_clip(source, name, reading), sorted(source), mode
    clip = as_clip(source, name, replace(reading, missing="skip"))
    return clip, list(clip.frames), keys


def _keyed_clip(keys: Mapping[int, Any], name: str, reading: Reading) -> Clip:
    """{frame: array or file} as a clip. Files alone are read at each use, as a sequence's are."""
    clips = {
        frame: _key_file(picture, name, frame, reading)
        for frame, picture in keys.items()
        if isinstance(picture, (str, os.PathLike))
    }
    if len(clips) == len(keys) and all(isinstance(clip, SequenceClip) for clip in clips.values()):
        stills = {frame: next(iter(clip.files().values())) for frame, clip in clips.items()}
        purpose: Purpose = "mask" if name in MASKS else "picture"
        want = Want(reading.layer, reading.view, purpose)
        first = os.fspath(keys[min(keys)])
        return SequenceClip(first, stills, missing="skip", want=want, rate=reading.rate)
    read = {frame: clip.read(clip.frames[0]).pixels for frame, clip in clips.items()}
    arrays = {frame: np.asarray(read.get(frame, keys[frame])) for frame in keys}
    return ArrayClip(arrays, name=f"{name} keys")


def _key_file(picture: Any, name: str, frame: int, reading: Reading) -> Clip:
    clip = as_clip(picture, name, reading)
    if len(clip.frames) != 1:
        raise UsageError(f"The {name} key at frame {frame} is a clip; give one picture.")
    return clip


def is_file(source: Any) -> bool:
    """Whether an input is given by the name of a file."""
    return isinstance(source, (str, os.PathLike))


def as_clip(source: Any, name: str, reading: Reading | None = None) -> Clip:
    """Return a clip from anything that can be connected to the input `name`.

    Raises MediaError when the frame numbers are too far apart for one shot.
    """
    how = reading or Reading()
    if isinstance(source, (str, os.PathLike)):
        clip = open_clip(
            source,
            missing=how.missing,  # type: ignore[arg-type]
            layer=how.layer,
            view=how.view,
            purpose="mask" if name in MASKS else "picture",
            rate=how.rate,
        )
        if isinstance(clip, SequenceClip):
            clip.check_gaps()
        return clip
    if how.layer or how.view:
        raise UsageError(
            f"A layer or view can be chosen only in a file, but the {name} is an array of pixels."
        )
    if isinstance(source, ClipSource):
        return source.as_hint(name)
    return ArrayClip(source, name=name)


def rgb(image: Image, clip: Clip, frame: int, *, allow_grey: bool = False) -> NDArray[Any]:
    """Return (H, W, 3): the R, G, B of a picture, by name. Raises BadPlateError for a grey one."""
    channels = list(image.channels)
    if {"R", "G", "B"} <= set(channels):
        index = [channels.index(name) for name in "RGB"]
        return (
            image.pixels
            if index == [0, 1, 2] == list(range(len(channels)))
            else (image.pixels[..., index])
        )
    if allow_grey and "Y" in channels:
        return np.repeat(image.pixels[..., [channels.index("Y")]], 3, axis=2)
    raise BadPlateError(
        f"Frame {frame} of {clip.name} has the channels {', '.join(channels)}, not R, G, B. "
        "A grey picture is a hint (--trimap, --segmentation); to matte black-and-white footage "
        "say so (--allow-grey)."
    )


def spaces(
    clip: Clip, colorspace: str | None, background: Clip | None, background_colorspace: str | None
) -> tuple[str, str]:
    """Return names of the plate's and the background's colour space."""
    plate = colorspace or guessed(clip)
    if background is None:
        return plate, plate
    if background_colorspace:
        return plate, background_colorspace
    same_kind = background.is_movie == clip.is_movie and _suffix(background) == _suffix(clip)
    return plate, plate if colorspace and same_kind else guessed(background)


def said_space(clip: Clip) -> str:
    """Return the colour space that a clip's files say; "" where it is only usual for their kind."""
    return clip.colorspace if clip.is_tagged else ""


def low_codes(clip: Clip) -> tuple[str, ...]:
    """Return what to say of a picture of 16 bits that has low codes alone; a sentence each.

    Codes of 8, 10 or 12 bits in 16 are nearly black. Three frames are looked at, the second only
    where the first is dark: a fade begins so. Movies say how many bits they have.
    """
    if clip.is_movie or (isinstance(clip, SequenceClip) and clip.pixel_type != "uint16"):
        return ()
    highest = 0
    frames = (clip.frames[0], clip.frames[len(clip.frames) // 2], clip.frames[-1])
    for frame in dict.fromkeys(frames):
        try:
            pixels = clip.read(frame).pixels
        except MediaError:  # the frame's own turn says so
            return ()
        found = highest_code(pixels)
        if not found and pixels.any():
            return ()
        highest = max(highest, found)
    return (f"{clip.name} {low_codes_text(highest)}",) if highest else ()


def guessed(clip: Clip) -> str:
    """Return the colour space of a clip that nobody named: what its files say, else by their kind."""
    try:
        return guess_space(
            clip.colorspace,
            is_movie=clip.is_movie,
            is_float=clip_is_float(clip),
            extension=_suffix(clip),
        )
    except ColorError as error:
        raise ColorError(f"{clip.name}: {error}") from error


def clip_is_float(clip: Clip) -> bool:
    """Whether the clip's pixels are floating point, by its first file: names may be wrong.

    A frame is read only where the file's header cannot tell.
    """
    if clip.is_movie:
        return False
    if isinstance(clip, SequenceClip):
        return clip.is_float
    return clip.read(clip.frames[0]).pixels.dtype.kind == "f"


def _suffix(clip: Clip) -> str:
    return os.path.splitext(clip.name)[1].lower()


def _replaced(image: Image, pixels: NDArray[Any]) -> Image:
    return replace(image, pixels=pixels, channels=tuple("RGB"[: pixels.shape[2]]))
