# SPDX-License-Identifier: Apache-2.0
"""Reports the progress of a render: a bar for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from matte_nodes.errors import MatteError, OutputError


class Quiet:
    """Says nothing; counts frames, so that the others know speed and time left."""

    def __init__(self) -> None:
        self.total = self.count = 0
        self._began = self._first = 0.0

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def start(self, total: int, **facts: Any) -> None:
        """Before the first frame."""
        self.total, self._began = total, time.monotonic()

    def resume(self, left: int, **facts: Any) -> None:
        """A run that was cut off goes on, with so many frames left.

        Starts one that had not begun.
        """
        if self.total:
            self.count = self.total - left
        else:
            self.start(left, **facts)

    def before(self, count: int) -> None:
        """So many further frames were done before."""

    def frame(self, frame: int, path: Path) -> None:
        """A frame is whole on disk."""
        self.count += 1
        if self.count == 1:
            self._first = time.monotonic()

    def warn(self, text: str) -> None:
        """Something about the inputs that the user should know."""

    def done(self, output: str) -> None:
        """After the last frame."""

    @property
    def rate(self) -> float:
        """Frames a second, the first one's start-up left out."""
        spent = time.monotonic() - self._first
        return (self.count - 1) / spent if self.count > 1 and spent > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds left, when they can be told."""
        return (self.total - self.count) / self.rate if self.rate else None


class JsonLines(Quiet):
    """One object a line on stdout: start, frame, warning, done, error."""

    def start(self, total: int, **facts: Any) -> None:
        """Say what will be done."""
        super().start(total, **facts)
        self._say(event="start", total=total, **facts)

    def frame(self, frame: int, path: Path) -> None:
        """Say which frame is done, how fast it goes, how long it will take."""
        super().frame(frame, path)
        left = self.left
        self._say(
            event="frame",
            frame=frame,
            done=self.count,
            total=self.total,
            path=str(path),
            frames_per_second=round(self.rate, 3),
            seconds_left=None if left is None else round(left, 1),
        )

    def warn(self, text: str) -> None:
        """Say it as an event of its own."""
        self._say(event="warning", message=text)

    def done(self, output: str) -> None:
        """Say that all is done."""
        self._say(event="done", frames=self.count, output=output)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OutputError) and isinstance(error.__cause__, OSError):
            with suppress(OutputError):
                self._say(event="error", message=str(error), exit_code=error.exit_code)
        elif isinstance(error, MatteError):
            self._say(event="error", message=str(error), exit_code=error.exit_code)
        elif isinstance(error, KeyboardInterrupt):
            self._say(event="error", message="Stopped; whole frames stay.", exit_code=130)
        elif error is not None:
            self._say(event="error", message=str(error) or type(error).__name__, exit_code=1)

    def _say(self, **facts: Any) -> None:
        try:
            sys.stdout.write(json.dumps(facts) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"The standard output cannot be written ({error.strerror}). Frames that are whole "
                "stay. Make room, or run without --json."
            ) from error


def _frames(count: int) -> str:
    return f"{count} frame{'s' * (count != 1)}"


class Bar(Quiet):
    """A progress bar on stderr, with frames a second and time left."""

    def __enter__(self) -> Bar:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            console=self._console,
        )
        return self

    def start(self, total: int, **facts: Any) -> None:
        """Show what will be done and the empty bar."""
        super().start(total, **facts)
        self._before = int(facts.get("done_before", 0))
        for note in facts.get("notes", ()):
            self._console.print(note, markup=False, highlight=False)
        self._console.print(
            f"{facts['model']} on {facts['device']}: {facts['input']} -> {facts['output']} "
            f"({facts['colorspace']})",
            markup=False,
            highlight=False,
        )
        self._progress.start()
        self._task = self._progress.add_task("matte", total=total, speed="")

    def before(self, count: int) -> None:
        """Count them for the last line, and move the bar."""
        self._before += count
        self._progress.update(self._task, advance=count)

    def frame(self, frame: int, path: Path) -> None:
        """Move the bar."""
        super().frame(frame, path)
        left = self.left
        speed = f"{self.rate:.1f} frames/s" + (f", {left:.0f} s left" if left else "")
        self._progress.update(self._task, advance=1, speed=speed if self.rate else "")

    def warn(self, text: str) -> None:
        """Print it above the bar."""
        self._console.print(f"Warning: {text}", markup=False, highlight=False)

    def done(self, output: str) -> None:
        """Say where the result is."""
        self._progress.stop()
        said = _frames(self.count)
        if self._before:
            said += f", {_frames(self._before)} done before (--again does them anew)"
        self._console.print(f"{said}: {output}", markup=False, highlight=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress.live.is_started:  # else it would put an empty line before the error
            self._progress.stop()


def reporter(*, as_json: bool, quiet: bool) -> Quiet:
    """JSON lines when asked for, silence when asked for, else a bar."""
    if as_json:
        return JsonLines()
    return Quiet() if quiet else Bar()
