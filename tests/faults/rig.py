# SPDX-License-Identifier: Apache-2.0
"""How odd inputs are tried: `matte run` in this process, its words, and the frames it wrote.

All pictures here are 64 x 48, made for this project and in the public domain. The screen is green.
The subject is a red bar (x 6-13, y 4-39), a blue foot (x 6-29, y 32-39) and a white marker
(x 34+2n to 37+2n, y 8-15 in frame n, from 0). The alpha of `green-screen` is exactly 1 on these
448 pixels and 0 elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import av
import click
import numpy as np
from numpy.typing import NDArray

from matte_nodes.cli import _said, matte
from matte_nodes.errors import MatteError
from tests.made import attributes_of, read_named

HERE = Path(__file__).parent
SUBJECT = 448
Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Case:
    """One row of docs/odd-input.md."""

    room: str
    """Hints, EXR, Stills, Movies, Numbers."""
    given: str
    """What comes in."""
    answer: str
    """taken, said (taken, with an assumption that is printed) or refused."""
    does: str
    """What happens."""
    test: str
    """Name of the test that shows it."""


CASES: list[Case] = []


def odd(room: str, given: str, answer: str, does: str) -> Callable[[Test], Test]:
    """A test of an odd input, and its row in the docs."""

    def registered(test: Test) -> Test:
        CASES.append(Case(room, given, answer, does, test.__name__))
        return test

    return registered


@dataclass
class Ran:
    """What `matte run` did: exit code, all it printed, and the folder it wrote into."""

    code: int
    said: str
    folder: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    def frame(self, number: int) -> dict[str, NDArray[np.float32]]:
        """The channels of one written EXR."""
        return read_named(self.folder / f"out.{number:04d}.exr")

    def facts(self, number: int) -> dict[str, Any]:
        """The metadata of one written EXR."""
        return attributes_of(self.folder / f"out.{number:04d}.exr")

    @property
    def frames(self) -> list[int]:
        """Numbers of the EXR files written."""
        return sorted(int(path.name.split(".")[-2]) for path in self.folder.glob("out.*.exr"))

    def refused(self, *words: str) -> str:
        """The message; fails when the run went through or a word is missing in it."""
        assert self.code in (2, 3), (self.code, self.said)
        assert not self.frames
        lowered = self.said.lower()
        for word in words:
            assert word.lower() in lowered, self.said
        return self.said


def run(folder: Path, source: object, *flags: object, output: str = "out.####.exr") -> Ran:
    """`matte run source -o folder/out.####.exr --model green-screen flags`."""
    folder.mkdir(exist_ok=True)
    arguments = ["run", str(source), "-o", str(folder / output), "--json", "--no-service"]
    if "--model" not in flags:
        arguments += ["--model", "green-screen"]
    printed = io.StringIO()
    code = 0
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("always")
        warnings.showwarning = _said  # type: ignore[assignment]
        try:
            matte.main([*arguments, *map(str, flags)], standalone_mode=False)
        except MatteError as error:
            code = error.exit_code
            printed.write(f"matte: {error}\n")
        except click.ClickException as error:
            code = error.exit_code
            printed.write(error.format_message())
    events = []
    for line in printed.getvalue().splitlines():
        if line.startswith("{"):
            events.append(json.loads(line))
    return Ran(code, printed.getvalue(), folder, events)


def marker(alpha: NDArray[np.float32]) -> int:
    """The number n of the frame that an alpha is of, by its marker."""
    columns = np.nonzero(alpha[12, 30:] > 0.5)[0]
    assert len(columns) == 4, columns
    return int(columns[0] + 30 - 34) // 2


def is_subject(channels: dict[str, NDArray[np.float32]], n: int | None = 0) -> None:
    """Fails unless alpha is the subject's, with the marker of frame n (None: not looked at)."""
    alpha = channels["A"]
    assert alpha.sum() == SUBJECT, alpha.sum()
    assert set(np.unique(alpha)) == {0.0, 1.0}
    if n is not None:
        assert marker(alpha) == n


def picture(n: int = 0) -> NDArray[np.float32]:
    """(48, 64, 3) float32: the picture of frame n in codes of 0 to 1."""
    pixels = np.empty((48, 64, 3), np.float32)
    pixels[:] = (0.1, 0.7, 0.15)
    pixels[4:40, 6:14] = (0.8, 0.15, 0.1)
    pixels[32:40, 6:30] = (0.1, 0.15, 0.8)
    pixels[8:16, 34 + 2 * n : 38 + 2 * n] = (0.9, 0.9, 0.9)
    return pixels


def mask(n: int = 0) -> NDArray[np.float32]:
    """(48, 64) float32: the subject of frame n."""
    result = np.zeros((48, 64), np.float32)
    result[4:40, 6:14] = result[32:40, 6:30] = result[8:16, 34 + 2 * n : 38 + 2 * n] = 1
    return result


def movie_frames(path: Path) -> list[NDArray[Any]]:
    """All frames of a written movie, (H, W, 3 or 4) float32 in codes of 0 to 1."""
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="gbrap16le").astype(np.float32) / 65535
            for frame in container.decode(video=0)
        ]
