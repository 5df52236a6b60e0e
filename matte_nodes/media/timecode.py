# SPDX-License-Identifier: Apache-2.0
"""SMPTE ST 12 time code: parsed from movies, counted on by frames, packed as EXR stores it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TEXT = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.,])(\d{2})")


@dataclass(frozen=True)
class Timecode:
    """A count of frames since 00:00:00:00 at a whole number of frames a second.

    drop: drop-frame counting (29.97 and 59.94): the first 2 (or 4) numbers of every minute are
    left out, except every tenth.
    """

    count: int
    base: int
    drop: bool = False

    @staticmethod
    def parse(text: str, rate: Fraction | None) -> Timecode | None:
        """`01:00:00:00`, with `;` before the frames for drop-frame; None when it is not one."""
        match = _TEXT.fullmatch(text.strip())
        if match is None or not rate:
            return None
        hours, minutes, seconds, frames = (int(match.group(i)) for i in (1, 2, 3, 5))
        base = round(rate)
        drop = match.group(4) != ":" and base % 30 == 0
        if minutes > 59 or seconds > 59 or frames >= base:
            return None
        count = ((hours * 60 + minutes) * 60 + seconds) * base + frames
        if drop:
            total = hours * 60 + minutes
            count -= base // 15 * (total - total // 10)
        return Timecode(count, base, drop)

    def plus(self, frames: int) -> Timecode:
        """Return the time code so many frames later."""
        return Timecode(self.count + frames, self.base, self.drop)

    def fields(self) -> tuple[int, int, int, int]:
        """Hours, minutes, seconds, frames; wraps after 24 hours."""
        count = self.count
        if self.drop:
            dropped = self.base // 15
            ten = 600 * self.base - 9 * dropped
            minute = 60 * self.base - dropped
            tens, rest = divmod(count % (ten * 144), ten)
            extra = (rest - dropped) // minute if rest >= 60 * self.base else 0
            count = count % (ten * 144) + dropped * (9 * tens + max(extra, 0))
        seconds, frame = divmod(count, self.base)
        return seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, frame

    def __str__(self) -> str:
        hours, minutes, seconds, frame = self.fields()
        return f"{hours:02}:{minutes:02}:{seconds:02}{';' if self.drop else ':'}{frame:02}"

    def packed(self) -> tuple[int, int]:
        """Return the two words of an EXR timeCode attribute (binary-coded decimals, TV60 packing)."""
        hours, minutes, seconds, frame = self.fields()
        if self.base > 30:  # two frames share a number above 30; the field bit tells them apart
            field, frame = frame % 2, frame // 2
        else:
            field = 0
        word = _bcd(frame) | self.drop << 6 | _bcd(seconds) << 8 | field << 15
        return word | _bcd(minutes) << 16 | _bcd(hours) << 24, 0

    @staticmethod
    def unpack(words: tuple[int, int], rate: Fraction | None) -> Timecode | None:
        """Return the time code of an EXR attribute.

        None when it is not one or the rate is unknown.
        """
        word = int(words[0]) & 0xFFFFFFFF
        fields = [_decimal(word >> 24 & 0x3F), _decimal(word >> 16 & 0x7F)]
        fields += [_decimal(word >> 8 & 0x7F), _decimal(word & 0x3F)]
        if rate and round(rate) > 30:
            fields[3] = fields[3] * 2 + (word >> 15 & 1)
        text = "{:02}:{:02}:{:02}{sep}{:02}".format(*fields, sep=";" if word & 0x40 else ":")
        return Timecode.parse(text, rate)


def _bcd(number: int) -> int:
    return number // 10 << 4 | number % 10


def _decimal(bcd: int) -> int:
    return (bcd >> 4) * 10 + (bcd & 15)
