# SPDX-License-Identifier: Apache-2.0
"""MatteNode: any matting model as a compositing node, for frames, clips and live pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from matte_nodes.color import PlateColor, guess_space
from matte_nodes.errors import MissingInputError
from matte_nodes.node.hints import HintKeys
from matte_nodes.node.node import FrameNode
from matte_nodes.shot import bind
from matte_nodes.shot.shot import Shot
from matte_nodes.shot.stream import Stream
from matte_nodes.temporal.cache import Cache, as_cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.media.clip import Clip

    HintSource: TypeAlias = (
        str | os.PathLike[str] | Clip | Shot | NDArray[Any] | Mapping[int, Any] | HintKeys[Any]
    )
    PlateSource: TypeAlias = str | os.PathLike[str] | Clip | Shot | NDArray[Any] | Sequence[Any]


class MatteNode(FrameNode):
    """A matting model as a node: plate and hints in, alpha and foreground out.

    model: a registered name (`matte models` lists them) or a ModelCard. device: auto, cpu, cuda,
    cuda:N, mps or tensorrt; what is asked for is what is used. threads: of the network on the CPU,
    0 chooses (`runtime.default_threads`). ocio: a config file or ocio:// name, default $OCIO.
    weights: a checkpoint file for a model that takes one, in place of the imported one. untrained: run it with random weights where
    there are none (for tests). half: half precision, for torch networks. loader: called in place
    of the card's `load`, so that nodes can share loaded models. Every other keyword is a knob of
    the model or of the node. The model is loaded when it is first needed.

    Raises UnknownModelError, UnknownKnobError, KnobValueError, MissingInputError (a native
    foreground of a model that has none), DeviceError, ColorError.
    """

    def connect(
        self,
        plate: PlateSource,
        *,
        trimap: HintSource | None = None,
        background: HintSource | None = None,
        segmentation: HintSource | None = None,
        hint_keys: str = "exact",
        colorspace: str | None = None,
        background_colorspace: str | None = None,
        output_colorspace: str | None = None,
        encoded: bool | Literal["video"] = False,
        missing: str = "error",
        allow_grey: bool = False,
        cache: Cache | str | None = "memory",
        cuts: Iterable[int] | str = (),
        warm_up: int | None = None,
        start: int | None = None,
    ) -> Shot:
        """Connect clips: a Shot gives the matte of any frame, in any order.

        plate: a pattern (plate.####.exr), movie, folder, still, array, Clip or Shot. Hints: the
        same, or {frame: picture} keys; a single picture serves every frame. hint_keys says what a
        frame between sparse keys gets: `hold`, `nearest`, `only`, or `exact` (a missing frame is
        an error). colorspace: of the plate; default is what the file says, else by its kind.
        encoded: the foreground goes back to the plate's own encoding (for movies and 8-bit files)
        instead of its linear counterpart; "video": that of a linear plate is BT.709. missing: what
        a frame without a file is: `error`, `hold` (the frame before) or `skip`.

        cache: `memory`, `states` (checkpoints on disk too), `disk` (mattes and predictions too,
        shared between processes), `off` or None; or a `temporal.cache.Cache` that serves many
        shots. cuts: first frames of new takes, where memory starts anew, or "auto" to find them.
        warm_up, start: begin so many frames before frame `start` in place of the shot's first;
        frames before `start` are then not to be had (docs/caching.md).

        Raises MediaError, HintSizeError, MissingInputError, ColorError, UsageError.
        """
        clip = bind.as_clip(plate, "plate", missing)
        given = {"trimap": trimap, "background": background, "segmentation": segmentation}
        sources = {name: source for name, source in given.items() if source is not None}
        for name in sorted(self.card.needs - set(sources)):
            raise MissingInputError(
                f"Model {self.card.name!r} needs a {name}: connect one ({name}=... or --{name})."
            )
        bound = {
            name: bind.BoundHint(name, source, clip, hint_keys) for name, source in sources.items()
        }
        color, background_color = self._colors(
            clip,
            bound["background"].clip if "background" in bound else None,
            (colorspace, background_colorspace, output_colorspace),
            encoded=encoded,
        )
        return Shot(
            self,
            clip,
            bound,
            color,
            background_color,
            allow_grey,
            cache=as_cache(cache),
            cuts=cuts,
            warm_up=warm_up,
            start=start,
        )

    def _colors(
        self,
        clip: Clip,
        background: Clip | None,
        spaces: tuple[str | None, str | None, str | None],
        *,
        encoded: bool | Literal["video"],
    ) -> tuple[PlateColor, PlateColor | None]:
        """The transforms of the plate and of the clean plate.

        spaces: of the plate, the clean plate and the output, as the user named them.
        """
        plate_space, background_space = bind.spaces(clip, spaces[0], background, spaces[1])
        color = self.plate_color(plate_space, output=spaces[2], encoded_output=bool(encoded))
        if encoded == "video" and spaces[2] is None and color.plate == color.working:
            # A linear plate has no encoding to go back to: movies are BT.709 unless asked.
            video = guess_space("bt709", is_movie=True, is_float=False, extension=".mov")
            color = self.plate_color(plate_space, output=video)
        if background is None:
            return color, None
        return color, self.plate_color(background_space, output=color.working)

    def stream(self, *, colorspace: str = "scene_linear", cuts: str = "auto") -> Stream:
        """Live use: newest frame only, nothing grows; use it in a `with`.

        The memory starts anew at `reset`, at a new size and (cuts="auto", else "off") at a cut.
        """
        return Stream(self, self.plate_color(colorspace), cuts)
