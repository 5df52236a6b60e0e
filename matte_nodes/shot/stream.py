# SPDX-License-Identifier: Apache-2.0
"""Stream: the live face of a node. One frame in, one matte out; nothing grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from matte_nodes.card import Memory, Still
from matte_nodes.color import PlateColor
from matte_nodes.errors import UsageError
from matte_nodes.media.as_array import as_array
from matte_nodes.node import frame as frames
from matte_nodes.node.knobs import active_neighbour_knobs, all_knobs
from matte_nodes.node.matte import Matte
from matte_nodes.node.node import given_mask, given_trimap, still_points
from matte_nodes.points import FramePoints
from matte_nodes.shot.notices import Notices
from matte_nodes.temporal.cuts import LiveCuts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.node.node import FrameNode


class Stream:
    """Live matting: `step` each newest frame; the memory starts anew at a cut or a new size.

    cuts: "auto" finds cuts by the newest two frames; "off" leaves them to `reset`. A model with a
    window sees only frames that have come: the newest stands for later ones. color: gives the
    transforms of floating point frames (True) and of frames of codes (False). Raises UsageError for
    a node with a knob that looks at frames to come (`steady`).
    """

    def __init__(
        self, node: FrameNode, color: Callable[[bool], PlateColor], cuts: str = "auto"
    ) -> None:
        if cuts not in ("auto", "off"):
            raise UsageError(f"Cuts of a stream are auto or off, not {cuts!r}.")
        for knob in active_neighbour_knobs(node.knobs):
            raise UsageError(
                f"{knob.name} looks at the next frame, which a live picture does not have yet. "
                f"Leave it at {knob.default}."
            )
        self.node, self._color = node, color
        remembers = not isinstance(node.card.memory, Still)
        self._cuts = LiveCuts() if cuts == "auto" and remembers else None
        self.steps = 0
        self._notices = Notices("the live picture")
        offsets = node.window_offsets()
        self._past: deque[Float] = deque(maxlen=1 + max((-o for o in offsets), default=0))
        self._memory: Memory = {}
        self._size: tuple[int, ...] | None = None
        self._objects: tuple[str, ...] = ()
        self._open = True

    def __enter__(self) -> Stream:
        _ = self.node.model  # load now: the first frame must not wait for it
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reset()
        self._open = False

    def reset(self) -> None:
        """Forget everything: the next frame starts a shot (after a cut, on another camera)."""
        self._memory, self._size, self._objects = {}, None, ()
        self._past.clear()
        if self._cuts is not None:
            self._cuts.forget()

    def go_on_from(self, other: Stream) -> bool:
        """Take over the memory of another stream. Return whether it fits.

        It fits when both have the same loaded model, and their knobs differ only in what is made
        from the model's answer.
        """
        node, before = self.node, other.node
        same = node.model is before.model and all(
            node.knobs[knob.name] == before.knobs[knob.name]
            for knob in all_knobs(node.card)
            if knob.stage != "finish"
        )
        if same:
            self._memory, self._size, self._cuts = other._memory, other._size, other._cuts
            self._past.extend(other._past)
            self._objects = other._objects
        return same

    def step(
        self,
        plate: Any,
        *,
        trimap: Any = None,
        background: Any = None,
        segmentation: Any = None,
        points: Any = None,
    ) -> Matte:
        """Return the matte of the newest frame.

        plate: (H, W, 3) float32, or uint8 or uint16 codes, in the stream's colour space; unless
        one was named, codes are sRGB and floats scene-linear, as in `MatteNode.__call__`. Hints as in
        `MatteNode.__call__`; a model that follows what was clicked needs points in its first frame
        alone. Raises UsageError when the stream is closed, and BadPlateError,
        HintSizeError, MissingInputError.
        """
        if not self._open:
            raise UsageError("This stream is closed; open another with node.stream().")
        picture = as_array(plate, "The live frame")
        given = frames.Given(
            picture,
            given_trimap(trimap),
            None if background is None else as_array(background, "The background"),
            given_mask(segmentation),
            self._marks(points, picture),
            "The live frame",
        )
        frames.check(given, self.node.card)
        color = self._color(picture.dtype.kind == "f")
        given = self.node.prepared(given)
        self._notices.add(self.steps + 1, given.complaints)
        if given.plate.shape != self._size:
            objects = self._objects
            self.reset()
            self._objects = objects
            self._size = given.plate.shape
        seen = frames.see(given, color, scene=self.node.card.wants_scene)
        if self._cuts is not None and self._cuts.is_cut(seen.inputs.plate):
            self._memory = {}
            self._past.clear()
        self._past.append(seen.inputs.plate)
        prediction, self._memory = self.node.step(seen.inputs, self._memory, self._neighbours())
        self.steps += 1
        return self.node.finish(prediction, seen, color)

    def _marks(self, points: Any, picture: NDArray[Any]) -> FramePoints | None:
        """Return the marks of a frame: its own, or none of the objects that are followed already."""
        found = still_points(points, picture)
        if found is None and self._memory and picture.shape == self._size and self._objects:
            return FramePoints(self._objects)
        self._objects = () if found is None else found.objects
        return found

    def _neighbours(self) -> tuple[Float, ...]:
        newest = len(self._past) - 1
        return tuple(
            self._past[min(max(newest + offset, 0), newest)]
            for offset in self.node.window_offsets()
        )
