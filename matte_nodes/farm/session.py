# SPDX-License-Identifier: Apache-2.0
"""A worker's session: keeps the model loaded between chunks and prints progress lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from matte_nodes import models, weights
from matte_nodes.errors import WeightsError
from matte_nodes.render.progress import Quiet
from matte_nodes.service import remote
from matte_nodes.service.client import Client, ServiceError
from matte_nodes.service.endpoint import code_stamp

PID = "MATTE_FARM_SERVICE"
"""The process of the service that this session started; it ends it."""


def enter(names: Sequence[str], *, own_weights: bool = False, cache: Path | None = None) -> None:
    """Start the service that keeps models loaded, or use the user's running service.

    Raises WeightsError before the first chunk when a model's weights are missing on this machine.
    With MATTE_SERVICE=off, each chunk loads the model itself. cache: the folder in which a service
    that is started here keeps states.
    """

    for name in names:
        card = models.card(name)
        missing = [item.file for item in card.weights if not weights.find(item)]
        if missing and not own_weights:
            raise WeightsError(
                f"{', '.join(missing)} of {name} is not on this worker: run "
                f"`matte models pull {name}` there, or share MATTE_HOME."
            )
    if not remote.is_wanted():
        tell("MATTE_SERVICE is off: every chunk loads the model itself")
        return
    # Pass the whole environment: studios add matte-nodes and models by PYTHONPATH. A service
    # without it would run other code, and the chunks would not use it.
    folder = {"MATTE_CACHE": str(cache)} if cache else {}
    client = Client(python=sys.executable, environment={**os.environ, **folder})
    before = client.hello()
    hello = client.ensure()
    if before is None or before["pid"] != hello["pid"]:
        sys.stdout.write(f"openjd_env: {PID}={hello['pid']}\n")
    if hello["code"] != code_stamp():
        tell(
            f"the service that runs here (process {hello['pid']}) has other code, models or cards: "
            "every chunk loads the model itself. `matte serve --stop` ends it."
        )
        return
    tell(f"the model stays loaded in process {hello['pid']}")


def leave() -> None:
    """Stop the service that `enter` started, unless other jobs use it."""

    own = os.environ.get(PID)
    try:
        client = Client()
        hello = client.hello()
        if own and hello is not None and str(hello["pid"]) == own:
            ended = client.retire()
            tell(f"the service, process {own}, " + ("ends" if ended else "is at work for others"))
    except ServiceError as error:  # gone, or another version's: nothing to end
        tell(str(error))


def tell(text: str) -> None:
    """Print a status line that the farm shows."""
    sys.stdout.write(f"openjd_status: {' '.join(text.split())}\n")
    sys.stdout.flush()


def progress(share: float, text: str) -> None:
    """Print the progress, 0 to 100, and the last finished work."""
    sys.stdout.write(f"openjd_progress: {min(100.0, share):.1f}\n")
    tell(text)


class Lines(Quiet):
    """Prints progress and status lines of Open Job Description. share: part of the whole task,
    0..1.
    """

    def __init__(self, begin: float = 0.0, end: float = 100.0) -> None:
        super().__init__()
        self._begin, self._end = begin, end

    def warn(self, text: str) -> None:
        """Print what the user should know about the result."""
        tell(text)

    def frame(self, frame: int, path: Path) -> None:
        """Print the finished frame and the speed."""
        super().frame(frame, path)
        share = self._begin + (self._end - self._begin) * self.count / max(1, self.total)
        speed = f", {self.rate:.2f} frames/s" if self.rate else ""
        progress(share, f"frame {frame} ({self.count} of {self.total}){speed}")
