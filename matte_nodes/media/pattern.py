# SPDX-License-Identifier: Apache-2.0
"""Names of frames: `plate.####.exr`, `plate.%04d.exr`, `plate.@@@.exr`, and the files they match.

Every `#` and every `@` is one digit, as in Nuke: `####` is `%04d`. The last such token of the file
name counts; folders are taken as they are. Numbers wider than the padding match when they are not
padded further (`plate.10000.exr` is frame 10000 of `plate.####.exr`, `plate.01001.exr` is not of
that pattern). A minus sign may count as one of the digits, as in C's printf, or not.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matte_nodes.errors import MediaError
from matte_nodes.whole_files import is_temporary

_TOKEN = re.compile(r"#+|@+|%0?([0-9]*)d")
_NUMBER = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class Pattern:
    """A file name with a frame number in it: `folder / (prefix + number + suffix)`."""

    folder: Path
    prefix: str
    padding: int
    suffix: str

    @staticmethod
    def parse(spec: str | os.PathLike[str]) -> Pattern | None:
        """Return the pattern in a path's last part, or None when it has no frame token."""
        path = Path(os.fspath(spec))
        tokens = [t for t in _TOKEN.finditer(path.name) if not _is_a_number_sign(path.name, t)]
        if not tokens:
            return None
        token = tokens[-1]
        text = token.group()
        width = int(token.group(1) or 1) if text[0] == "%" else len(text)
        return Pattern(path.parent, path.name[: token.start()], width, path.name[token.end() :])

    def path(self, frame: int) -> Path:
        """Return the path of one frame's file."""
        return self.folder / f"{self.prefix}{frame:0{self.padding}d}{self.suffix}"

    def number(self, name: str) -> int | None:
        """Return the frame number in a file name with this padding; None when it does not match."""
        text = self._text(name)
        if text is None:
            return None
        digits = text.removeprefix("-")
        widths = {len(digits), len(text)}
        if max(widths) < self.padding:
            return None
        if digits[0] == "0" and len(digits) > 1 and self.padding not in widths:
            return None
        return int(text)

    def _text(self, name: str) -> str | None:
        if is_temporary(name):
            return None
        if not (name.startswith(self.prefix) and name.endswith(self.suffix)):
            # macOS spells accents decomposed; who types the name composes them.
            name = unicodedata.normalize("NFC", name)
            prefix, suffix = (unicodedata.normalize("NFC", t) for t in (self.prefix, self.suffix))
            if not (name.startswith(prefix) and name.endswith(suffix)):
                return None
            text = name[len(prefix) : len(name) - len(suffix)]
        else:
            text = name[len(self.prefix) : len(name) - len(self.suffix)]
        return text if _NUMBER.fullmatch(text) else None

    def find(self) -> dict[int, Path]:
        """Return the existing files by frame, in ascending order; see `search`."""
        return self.search()[0]

    def search(self) -> tuple[dict[int, Path], list[str]]:
        """Return the existing files by frame, in ascending order, and names that are left out.

        Left out are files whose numbers have another padding. Raises MediaError when the folder cannot be listed, or when one frame has two files
        (`plate.1001.exr` and `plate.01001.exr`): it is not known which file is right.
        """
        found: dict[int, Path] = {}
        spelled: dict[int, str] = {}
        for name in list_folder(as_spelled(self.folder)):
            text = self._text(name)
            if text is None:
                continue
            frame = int(text)
            if frame in spelled:
                raise MediaError(
                    f"{self}: frame {frame} has two files, {spelled[frame]!r} and {name!r}; "
                    "rename or remove one of them."
                )
            spelled[frame] = name
            if self.number(name) is not None:
                found[frame] = as_spelled(self.folder) / name
        if spelled and not found:
            other = next(iter(spelled.values()))
            raise MediaError(
                f"{self}: no file has a frame number of {self.padding} digits, but {other!r} is "
                "there; write one # for each of its digits."
            )
        others = [spelled[frame] for frame in sorted(spelled) if frame not in found]
        return dict(sorted(found.items())), others

    def __str__(self) -> str:
        return str(self.folder / f"{self.prefix}{'#' * self.padding}{self.suffix}")


def _is_a_number_sign(name: str, token: re.Match[str]) -> bool:
    """Whether a # is no place of a frame number: `x #2.png` is the second x."""
    after = name[token.end() : token.end() + 1]
    return token.group() == "#" and after.isdigit()


def as_spelled(path: Path) -> Path:
    """Return the path as it is on the disk: accents may be composed or decomposed there.

    The path itself where it exists, or where nothing of that name does.
    """
    if not str(path).isascii() and not path.exists():
        here = Path(path.anchor)
        for part in path.parts[1 if path.anchor else 0 :]:
            if not (here / part).exists():
                wanted = unicodedata.normalize("NFC", part)
                try:
                    names = os.listdir(here)
                except OSError:
                    return path
                same = [n for n in names if unicodedata.normalize("NFC", n) == wanted]
                if len(same) != 1:
                    return path
                part = same[0]
            here /= part
        return here
    return path


def list_folder(folder: Path) -> list[str]:
    """Return the sorted names in a folder. Raises MediaError when it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise MediaError(f"{folder}: cannot read the folder ({error.strerror}).") from error


def group(folder: Path, names: Iterable[str]) -> dict[Pattern, dict[int, Path]]:
    """Return file names grouped into sequences. The last number of the stem is the frame.

    A minus sign belongs to the number only where the name begins or after `.` or `_`:
    `shot-0005.exr` is frame 5 of `shot-####.exr`.
    """
    last = re.compile(r"(?s)(.*?)((?:(?<![^._])-)?[0-9]+)(\.[^.]*)?")
    buckets: dict[tuple[str, str], dict[int, str]] = {}
    for name in names:
        match = last.fullmatch(name)
        if match is None:
            continue
        prefix, text, suffix = match.group(1), match.group(2), match.group(3) or ""
        bucket = buckets.setdefault((prefix, suffix), {})
        if int(text) in bucket:
            raise MediaError(
                f"{folder}: frame {int(text)} has two files, {name!r} and "
                f"{prefix + bucket[int(text)] + suffix!r}; rename or remove one of them."
            )
        bucket[int(text)] = text
    result: dict[Pattern, dict[int, Path]] = {}
    for (prefix, suffix), texts in buckets.items():
        padding = min(len(text.removeprefix("-")) for text in texts.values())
        pattern = Pattern(folder, prefix, padding, suffix)
        result[pattern] = {
            frame: folder / (prefix + text + suffix) for frame, text in sorted(texts.items())
        }
    return result
