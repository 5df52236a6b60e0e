# SPDX-License-Identifier: GPL-3.0-or-later
"""Work for one Matte node that goes on beside the artist: its inputs first, then another process."""

from __future__ import annotations

from typing import Any

from . import group
from .inputs import Inputs

running: dict[str, Work] = {}
"""All work that goes on, by the name that its node keeps its bakes under."""
CANCELLED = "cancelled"


class Work:
    """Base class of a bake, a review page and a fine-tuning. Call `step` until `ended`.

    doing: what the panel calls it. job: the other process, or the service's job; None while the
    inputs are prepared. state: "" while it runs, else how it ended. result: a sentence of that.
    done, total: the count that the panel shows. alone: no operator follows it, only the timer.
    changes: while it runs, the frames that the node shows are not all right.
    """

    doing = "at work"
    changes = False

    def __init__(self, name: str, inputs: Inputs) -> None:
        self.name, self.inputs = name, inputs
        self.job: Any = None
        self.alone = self._stopped = False
        self.state, self.result = "", ""
        self.done = self.total = 0
        self._preparing = inputs.steps()
        running[name] = self

    @property
    def ended(self) -> bool:
        """Whether it is over and its end was taken in."""
        return running.get(self.name) is not self

    @property
    def said(self) -> str:
        """The present work, in words, and how long it will take."""
        return self.inputs.said if self.job is None else self._told()

    @property
    def tree(self) -> Any:
        """The node's group, or None when it was deleted. An undo makes it another object."""
        for tree in group.mattes():
            if tree.matte_nodes.bake_name == self.name and tree.library is None:
                return tree
        return None

    def step(self, seconds: float = 0.0) -> bool:
        """Go on: render a part of the inputs, or hear what the process says.

        seconds: how long it may wait for news. Returns whether Blender must redraw. Raises Trouble.
        """
        if self.job is not None:
            return self._follow(seconds)
        try:
            if self._stopped:
                self.state = CANCELLED
                self._end(self.tree)
            elif next(self._preparing, self) is self:
                self.job = self._begun()
        except BaseException:
            self.leave()
            raise
        return True

    def cancel(self) -> None:
        """Stop; what is done stays."""
        self._stopped = True
        if self.job is not None:
            self.job.cancel()

    def leave(self) -> None:
        """Follow it no more, and take its inputs away."""
        running.pop(self.name, None)
        self.inputs.remove()

    def quit(self) -> None:
        """Blender or the add-on ends: stop what would be without an owner."""
        self.inputs.stop()

    def _told(self) -> str:
        """Return what the process does, in words."""
        raise NotImplementedError

    def _begun(self) -> Any:
        """Start the process, now that the inputs are there. Raises Trouble."""
        raise NotImplementedError

    def _follow(self, seconds: float) -> bool:
        """Take in what the process says. Returns whether Blender must redraw."""
        raise NotImplementedError

    def _end(self, tree: Any) -> None:
        """Leave, and show the end on the node (None: it was deleted)."""
        raise NotImplementedError
