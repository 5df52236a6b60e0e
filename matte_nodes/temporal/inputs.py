# SPDX-License-Identifier: Apache-2.0
"""Identifies pictures for keys by the hash of their file, kept by the file's size and times."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

from matte_nodes.errors import InputChangedError, MediaError, MissingFrameError
from matte_nodes.reads import Sign, hashed
from matte_nodes.temporal.stat_cache import Look

if TYPE_CHECKING:
    from matte_nodes.media.clip import Clip
    from matte_nodes.temporal.memo import Memo

_tokens = itertools.count()


class PictureId(NamedTuple):
    """The identity of a picture, and whether it holds for as long as its sign stays the same."""

    text: str
    lasting: bool


class PictureSource(NamedTuple):
    """The file of a picture, and the part of it."""

    path: str
    part: str


class FileHashes:
    """Hashes of whole files; a file whose size and times are known is not read again."""

    def __init__(self, memo: Memo | None) -> None:
        self.memo = memo
        self._known: dict[Sign, str] = {}

    def of(self, sign: Sign, look: Look) -> PictureId:
        """Return the sha256 of the bytes of a file in this state, hexadecimal.

        Raises MediaError when it cannot be read, InputChangedError when the file is in another
        state by now: its bytes are not those that were asked for.
        """
        found = look.hashes.get(sign) or self._known.get(sign)
        if found is None and self.memo is not None and sign.is_settled:
            found = self.memo.get(_memo_key(sign))
        if found is not None:
            look.hashes[sign] = found
            if sign.is_settled:
                self._known[sign] = found
            return PictureId(found, sign.is_settled)
        try:
            found, after = hashed(sign.path)
        except OSError as error:
            raise MediaError(f"{sign.path} cannot be read ({error.strerror}).") from error
        if after != sign:
            raise InputChangedError(
                f"{sign.path} was changed while it was read. Start again when it is whole."
            )
        look.hashes[sign] = found
        lasting = sign.is_settled and after.is_settled
        if lasting:
            self._known[sign] = found
            if self.memo is not None:
                self.memo.put(_memo_key(sign), found)
        return PictureId(found, lasting)


class InputPictures:
    """Signs and identities of one clip's pictures.

    hashes: of files. content: identities are hashes of content, the same in every process;
    otherwise they are cheap (path, size and times; which array) and serve this process alone.
    """

    def __init__(self, clip: Clip, hashes: FileHashes, *, content: bool) -> None:
        self.clip, self._hashes, self._content = clip, hashes, content
        self._token = f"clip {next(_tokens)}"
        self._places: dict[int, PictureSource | None] = {}
        self._arrays: dict[int, str] = {}
        self._opened = clip.opened
        # Once hashed, always hashed: the identity of a file must not change because it grew older.
        self._young: set[Sign] = set()

    def sign(self, frame: int, look: Look) -> Hashable:
        """Return what changes whenever the picture does; costs one question to the disk at most.

        Raises MissingFrameError for a frame without a file, MediaError for a movie that was
        replaced since it was opened.
        """
        place = self._place(frame)
        if place is None:
            return frame if self.clip.is_constant else self.clip.stamp(frame, look)
        try:
            sign = look.sign(place.path)
        except MissingFrameError as error:
            raise MissingFrameError(f"{self.clip.name}: frame {frame}: {error}") from error
        if self._opened is not None and not self._opened.is_still(sign):
            raise MediaError(f"{self.clip.name} was changed after it was opened. Connect it again.")
        return sign

    def id(self, frame: int, sign: Hashable, look: Look) -> PictureId:
        """The identity of the picture whose sign this is."""
        place = self._place(frame)
        if place is None:
            return PictureId(self._array(frame) if sign == frame else str(sign), True)
        assert isinstance(sign, Sign)
        if not sign.is_settled:
            self._young.add(sign)
        if self._content or sign in self._young:
            found = self._hashes.of(sign, look)
        else:
            found = PictureId(sign.text, True)
        return PictureId(f"{found.text} {place.part}", found.lasting)

    def _array(self, frame: int) -> str:
        if frame not in self._arrays:
            named = self.clip.stamp(frame) if self._content else f"{self._token}:{frame}"
            self._arrays[frame] = named
        return self._arrays[frame]

    def _place(self, frame: int) -> PictureSource | None:
        if frame not in self._places:
            self._places[frame] = _place_of(self.clip, frame)
        return self._places[frame]


def quick_sign(clip: Clip, frame: int) -> Hashable:
    """Return a cheap text that changes with the picture's file, as key for a cache of pixels."""
    place = _place_of(clip, frame)
    if place is None:
        return frame if clip.is_constant else clip.stamp(frame, Look())
    sign = Look().sign(place.path)
    return sign if sign.is_settled else object()


def _place_of(clip: Clip, frame: int) -> PictureSource | None:
    found = clip.file_part(frame)
    return None if found is None else PictureSource(os.path.abspath(found.path), found.part)


def _memo_key(sign: Sign) -> str:
    return hashlib.sha256(sign.text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
