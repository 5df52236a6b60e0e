# SPDX-License-Identifier: Apache-2.0
"""Points: the hint that says which subject is meant, by clicks and boxes on chosen frames.

Coordinates are pixels of the display window. The origin is the top left corner of the window, so
the pixel in column 3 of row 0 covers x from 3 to 4 and y from 0 to 1. Whole numbers name pixels.

The file is JSON, encoded as UTF-8 (docs/points.md describes it):

    {"schema": "matte-points", "version": 1, "width": 1920, "height": 1080,
     "objects": [{"name": "dancer", "frames": {
         "1001": {"subject": [[640, 360]], "not": [[100, 50]], "box": [500, 80, 800, 1000]}}}]}
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from matte_nodes.errors import HintSizeError, InputError, MediaError, UsageError
from matte_nodes.whole_files import read_plain, whole_file

SCHEMA = "matte-points"
VERSION = 1
ONLY = "object"
"""The name of an object that nobody named."""

PLACE = "{object}"
"""What stands for the name of an object in the name of an output."""

OUTPUTS = ("auto", "files", "layers", "union")
"""How several objects may be written. `auto` goes by the name of the output and by its layout."""

FIRST: None = None
"""In place of a frame number: the first frame of the shot."""

Frame: TypeAlias = "int | None"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_MARKS = ("subject", "not", "box")


@dataclass(frozen=True)
class Marks:
    """Clicks and a box of one object in one frame.

    subject: (x, y) pairs on the object. others: (x, y) pairs on anything else. box: x0, y0, x1, y1
    round the object, with x1 and y1 excluded; or None.
    """

    subject: tuple[tuple[float, float], ...] = ()
    others: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None

    def with_marks(self, other: Marks) -> Marks:
        """Both sets of marks. Raises UsageError when both have a box."""
        if self.box and other.box and self.box != other.box:
            raise UsageError(
                f"One object has two boxes in one frame, {_spelled(self.box)} and "
                f"{_spelled(other.box)}: give one."
            )
        return Marks(
            _united(self.subject, other.subject),
            _united(self.others, other.others),
            self.box or other.box,
        )

    def placed(self, x: float, y: float) -> Marks:
        """Return the marks as seen from another origin, which lies at x, y."""
        box = self.box
        return Marks(
            tuple((a - x, b - y) for a, b in self.subject),
            tuple((a - x, b - y) for a, b in self.others),
            None if box is None else (box[0] - x, box[1] - y, box[2] - x, box[3] - y),
        )

    def scaled(self, x: float, y: float) -> Marks:
        """Return the marks on a picture whose sides are so many times as long."""
        box = self.box
        return Marks(
            tuple((a * x, b * y) for a, b in self.subject),
            tuple((a * x, b * y) for a, b in self.others),
            None if box is None else (box[0] * x, box[1] * y, box[2] * x, box[3] * y),
        )

    @property
    def starts(self) -> bool:
        """Whether the object can be found from these marks alone: a box says where it ends."""
        return self.box is not None

    def as_dict(self) -> dict[str, Any]:
        """Return the marks as the file has them; marks that are not there are left out."""
        found: dict[str, Any] = {}
        if self.subject:
            found["subject"] = [list(point) for point in self.subject]
        if self.others:
            found["not"] = [list(point) for point in self.others]
        if self.box:
            found["box"] = list(self.box)
        return found


@dataclass(frozen=True)
class FramePoints:
    """The marks of each object in one frame, in pixels of the frame's picture.

    objects: the names of all objects of the shot, in their order; also those without marks here.
    marks: by name, for the objects that have marks in this frame.
    """

    objects: tuple[str, ...]
    marks: Mapping[str, Marks] = field(default_factory=dict)


@dataclass(frozen=True)
class Points:
    """Clicks and boxes for one or several objects on some frames of a shot; it never changes.

    objects: name to frame number (None: the shot's first frame) to marks, in the order in which
    the objects were named. size: width and height of the display window that they were made on, or
    None when nobody said. Raises UsageError for bad names and for an object without a subject
    click or a box.
    """

    objects: Mapping[str, Mapping[Frame, Marks]]
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.objects:
            raise UsageError("There are no points: give a click on the subject or a box round it.")
        seen: dict[str, str] = {}
        for name, frames in self.objects.items():
            if not _NAME.fullmatch(name):
                raise UsageError(
                    f"{name!r} cannot name an object: begin with a letter, then use letters, "
                    "digits, - and _, at most 64. It becomes the name of a layer."
                )
            # A layer's name has _ in place of -, and files of some disks have no capitals.
            plain = name.lower().replace("-", "_")
            if (twin := seen.get(plain)) is not None:
                raise UsageError(
                    f"Two objects have one name, {twin!r} and {name!r}: rename one of them."
                )
            seen[plain] = name
            _check_object(name, frames)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the objects, in their order."""
        return tuple(self.objects)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames that have marks, in order; None (the shot's first frame) comes first."""
        found = {frame for frames in self.objects.values() for frame in frames}
        return tuple(sorted(found, key=lambda n: (n is not None, n or 0)))

    def at(self, frame: Frame) -> FramePoints:
        """Return the marks of one frame."""
        marks = {name: frames[frame] for name, frames in self.objects.items() if frame in frames}
        return FramePoints(self.names, marks)

    def fingerprint(self, frame: Frame) -> str:
        """Return the content hash of one frame's marks: the order of clicks does not change it."""
        plain = {name: _canonical(marks) for name, marks in self.at(frame).marks.items()}
        return _digest([list(self.names), plain])

    @property
    def identity(self) -> str:
        """The content hash of everything."""
        return _digest([[str(n), self.fingerprint(n)] for n in self.frames])

    def bound(
        self, frames: Sequence[int], width: int, height: int, where: str = "The plate"
    ) -> Points:
        """Return the same points, checked against a shot;

        None is replaced by the shot's first frame.

        frames: the shot's frame numbers. width, height: of its display window. Raises UsageError
        for a frame that the shot has not and for a mark outside of the picture, and HintSizeError
        when the points were made on another size.
        """
        if self.size is not None and self.size != (width, height):
            raise HintSizeError(
                f"The points were made on a picture of {self.size[0]} x {self.size[1]}, but "
                f"{where} is {width} x {height}. Make them on this plate."
            )
        there, placed = set(frames), {}
        for name, given in self.objects.items():
            of_object: dict[Frame, Marks] = {}
            for frame, marks in given.items():
                number = frames[0] if frame is None else frame
                if number not in there:
                    raise UsageError(
                        f"The points of {name!r} name frame {number}, but {where} has "
                        f"{frames[0]}-{frames[-1]}."
                    )
                _check_inside(name, number, marks, width, height)
                known = of_object.get(number)
                of_object[number] = marks if known is None else known.with_marks(marks)
            placed[name] = dict(sorted(of_object.items(), key=lambda item: item[0] or 0))
        return Points(placed, (width, height))

    def as_dict(self) -> dict[str, Any]:
        """Return the points as the JSON file has them."""
        found: dict[str, Any] = {"schema": SCHEMA, "version": VERSION}
        if self.size:
            found["width"], found["height"] = self.size
        found["objects"] = [
            {
                "name": name,
                "frames": {
                    "first" if n is None else str(n): marks.as_dict() for n, marks in frames.items()
                },
            }
            for name, frames in self.objects.items()
        ]
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON file, whole or not at all."""
        with whole_file(Path(path)) as part:
            part.write_text(json.dumps(self.as_dict(), indent=1) + "\n", "utf-8")


def from_file(path: str | os.PathLike[str]) -> Points:
    """Read the JSON file.

    Raises MediaError when it cannot be read, UsageError when it is no such file.
    """
    try:
        # A pipe would be waited for; some editors begin a text with a mark of its encoding.
        text = read_plain(Path(os.path.realpath(path))).decode("utf-8-sig")
        plain = json.loads(text, object_pairs_hook=_once)
    except UsageError as error:
        raise UsageError(f"{os.fspath(path)}: {error}") from error
    except OSError as error:
        raise MediaError(f"{os.fspath(path)} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{os.fspath(path)} is not a JSON file: {error}.") from error
    try:
        return from_dict(plain)
    except UsageError as error:
        raise UsageError(f"{os.fspath(path)}: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raises UsageError for an entry that is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"The entry {twice!r} is there twice: join the two.")
    return found


def from_dict(plain: Any) -> Points:
    """Return points from the data of a JSON file.

    Raises UsageError says what is wrong and where.
    """
    if not isinstance(plain, Mapping) or plain.get("schema") != SCHEMA:
        raise UsageError(f'This is no file of points: it needs "schema": "{SCHEMA}".')
    if plain.get("version") != VERSION or isinstance(plain["version"], bool):
        raise UsageError(
            f"These points have version {plain.get('version')!r}; this release reads {VERSION}."
        )
    objects: dict[str, Mapping[Frame, Marks]] = {}
    listed = plain.get("objects")
    if not isinstance(listed, list):
        raise UsageError('"objects" must be a list.')
    for item in listed:
        if not isinstance(item, Mapping) or not isinstance(item.get("frames"), Mapping):
            raise UsageError('Each object needs a "name" and "frames".')
        name = str(item.get("name", ONLY))
        if name in objects:
            raise UsageError(f"Two objects have one name, {name!r}: rename one of them.")
        objects[name] = _by_frame(item["frames"], name)
    return Points(objects, _size(plain.get("width"), plain.get("height")))


def as_points(source: Any) -> Points:
    """Return points from anything that Python code may give.

    source: Points; the path of a JSON file; its data; a list of clicks (x, y, on the subject) of
    the first frame; {frame: clicks}; or {name: {frame: clicks}}. In place of a list of clicks you
    may give {"subject": [...], "not": [...], "box": [...]}. Raises UsageError.
    """
    if isinstance(source, Points):
        return source
    if isinstance(source, (str, os.PathLike)):
        return from_file(source)
    if isinstance(source, Mapping) and source.get("schema") == SCHEMA:
        return from_dict(source)
    named = isinstance(source, Mapping) and bool(source) and all(map(_is_name, source))
    if named and not _is_marks(source):
        return Points({name: _frames_of(marks, name) for name, marks in source.items()})
    return Points({ONLY: _frames_of(source, ONLY)})


def from_flags(
    clicks: Iterable[str] = (), others: Iterable[str] = (), boxes: Iterable[str] = ()
) -> Points:
    """Return points from the command line's texts.

    clicks, others: `X,Y[@FRAME]`. boxes: `X0,Y0,X1,Y1[@FRAME]`. Each may begin with the name of
    its object, as in `left=640,360@1001`. Without a frame it is the shot's first. Raises
    UsageError.
    """
    objects: dict[str, dict[Frame, Marks]] = {}
    for texts, flag, count in ((clicks, "--click", 2), (others, "--not", 2), (boxes, "--box", 4)):
        for text in texts:
            name, numbers, frame = _parsed(text, flag, count)
            if flag == "--click":
                marks = Marks(subject=((numbers[0], numbers[1]),))
            elif flag == "--not":
                marks = Marks(others=((numbers[0], numbers[1]),))
            else:
                marks = Marks(box=_box(numbers, name))
            frames = objects.setdefault(name, {})
            frames[frame] = frames[frame].with_marks(marks) if frame in frames else marks
    return Points(objects)


def marks_of(source: Any, name: str = ONLY) -> Marks:
    """Return marks from a list of clicks, or from {"subject", "not", "box"}. Raises UsageError."""
    if isinstance(source, Marks):
        return source
    if isinstance(source, Mapping):
        if unknown := set(source) - set(_MARKS):
            raise UsageError(
                f"The marks of {name!r} have {sorted(unknown)[0]!r}; known are {', '.join(_MARKS)}."
            )
        box = source.get("box")
        return Marks(
            _pairs(source.get("subject", ()), name),
            _pairs(source.get("not", ()), name),
            None if box is None else _box(box, name),
        )
    subject: list[tuple[float, float]] = []
    others: list[tuple[float, float]] = []
    for click in _listed(source, name):
        if len(_listed(click, name)) not in (2, 3):
            raise UsageError(
                f"A click of {name!r} is x, y, and True on the subject or False beside it, "
                f"not {click!r}."
            )
        pair = _pairs([click[:2]], name)[0]
        (subject if len(click) == 2 or click[2] else others).append(pair)
    return Marks(tuple(subject), tuple(others))


def _frames_of(source: Any, name: str) -> dict[Frame, Marks]:
    if isinstance(source, Mapping) and not _is_marks(source):
        return _by_frame(source, name)
    return {FIRST: marks_of(source, name)}


def _by_frame(source: Mapping[Any, Any], name: str) -> dict[Frame, Marks]:
    """Return marks by frame. Raises UsageError for a frame that is there twice ("1" and "01")."""
    found: dict[Frame, Marks] = {}
    for frame, marks in source.items():
        number = _frame_number(frame)
        if number in found:
            raise UsageError(f"The marks of {name!r} have frame {frame!s} twice: join the two.")
        found[number] = marks_of(marks, name)
    return found


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key != "first" and not re.fullmatch(r"[+-]?\d+", key)


def _is_marks(source: Mapping[Any, Any]) -> bool:
    """Whether this is {"subject": ..., "not": ...}, and no object of such a name."""
    return set(source) <= set(_MARKS) and not any(isinstance(m, Mapping) for m in source.values())


def _frame_number(frame: Any) -> Frame:
    if frame is None or frame == "first":
        return FIRST
    if isinstance(frame, str) and not re.fullmatch(r"[+-]?[0-9]{1,18}", frame):
        raise UsageError(f"There is no frame number {frame!r}: frames are whole numbers.")
    try:
        number = int(frame)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"There is no frame number {frame!r}: frames are whole numbers.") from None
    if isinstance(frame, bool) or (not isinstance(frame, str) and number != frame):
        raise UsageError(f"There is no frame number {frame!r}: frames are whole numbers.")
    return number


def _parsed(text: str, flag: str, count: int) -> tuple[str, list[float], Frame]:
    what = "X,Y[@FRAME]" if count == 2 else "X0,Y0,X1,Y1[@FRAME]"
    name, equals, rest = text.strip().rpartition("=")
    numbers, at, frame = rest.partition("@")
    try:
        values = [float(part) for part in numbers.split(",")]
        number = _frame_number(frame) if at and frame != "first" else FIRST
    except (ValueError, UsageError):
        values, number = [], FIRST
    if len(values) != count or not all(map(math.isfinite, values)) or (equals and not name):
        raise UsageError(f"{flag} is {what}, as in {_EXAMPLE[count]}; not {text!r}.")
    return name or ONLY, values, number


_EXAMPLE = {2: "640,360@1001", 4: "500,80,800,1000@1001"}


def _check_object(name: str, frames: Mapping[Frame, Marks]) -> None:
    if not any(marks.subject or marks.box for marks in frames.values()):
        raise UsageError(
            f"Object {name!r} has no click on it and no box: click on the subject at least once."
        )
    for frame, marks in frames.items():
        where = "the first frame" if frame is None else f"frame {frame}"
        if not (marks.subject or marks.others or marks.box):
            raise UsageError(f"Object {name!r} has no marks in {where}: leave the frame out.")
        both = {_pixel(p) for p in marks.subject} & {_pixel(p) for p in marks.others}
        if both:
            x, y = min(both)
            raise UsageError(
                f"The pixel {x},{y} in {where} is clicked as subject and as not subject of "
                f"{name!r}: take one click away."
            )


def _check_inside(name: str, frame: int, marks: Marks, width: int, height: int) -> None:
    for x, y in (*marks.subject, *marks.others):
        if not (0 <= x < width and 0 <= y < height):
            raise UsageError(
                f"The click {_spelled((x, y))} of {name!r} in frame {frame} lies outside of the "
                f"picture, which is {width} x {height} with 0,0 at the top left."
            )
    if marks.box and not (
        marks.box[0] < width and marks.box[1] < height and marks.box[2] > 0 and marks.box[3] > 0
    ):
        raise UsageError(
            f"The box {_spelled(marks.box)} of {name!r} in frame {frame} lies outside of the "
            f"picture, which is {width} x {height} with 0,0 at the top left."
        )


def _pairs(source: Any, name: str) -> tuple[tuple[float, float], ...]:
    pairs = []
    for point in _listed(source, name):
        numbers = _numbers(point, name)
        if len(numbers) != 2:
            raise UsageError(f"A click of {name!r} is x, y; not {point!r}.")
        pairs.append((numbers[0], numbers[1]))
    return tuple(pairs)


def _box(source: Any, name: str) -> tuple[float, float, float, float]:
    numbers = _numbers(source, name)
    if len(numbers) != 4:
        raise UsageError(f"A box of {name!r} is x0, y0, x1, y1; not {source!r}.")
    x0, y0, x1, y1 = numbers
    if x1 <= x0 or y1 <= y0:
        raise UsageError(
            f"The box {_spelled(numbers)} of {name!r} is empty: give the top left corner, then "
            "the bottom right one."
        )
    return x0, y0, x1, y1


def _numbers(source: Any, name: str) -> list[float]:
    listed = _listed(source, name)
    try:
        if any(isinstance(number, (bool, str, bytes)) for number in listed):
            raise TypeError
        numbers = [float(number) for number in listed]
    except (TypeError, ValueError, OverflowError):
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"A mark of {name!r} holds numbers, not {source!r}.")
    return numbers


def _listed(source: Any, name: str) -> list[Any]:
    if isinstance(source, (str, bytes, Mapping)) or not isinstance(source, Iterable):
        raise UsageError(f"The marks of {name!r} are a list, not {source!r}.")
    return list(source)


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    if width is None and height is None:
        return None
    if not all(type(side) is int and side > 0 for side in (width, height)):
        raise UsageError("A width and a height are whole numbers above 0: give both, or none.")
    return int(width), int(height)


def _united(
    one: tuple[tuple[float, float], ...], two: tuple[tuple[float, float], ...]
) -> tuple[tuple[float, float], ...]:
    return tuple(dict.fromkeys((*one, *two)))


def _pixel(point: tuple[float, float]) -> tuple[int, int]:
    return math.floor(point[0]), math.floor(point[1])


def _canonical(marks: Marks) -> list[Any]:
    return [sorted(marks.subject), sorted(marks.others), marks.box]


def _spelled(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)


def _digest(plain: Any) -> str:
    text = json.dumps(plain, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
