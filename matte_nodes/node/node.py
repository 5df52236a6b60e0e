# SPDX-License-Identifier: Apache-2.0
"""MatteNode: any matting model as a compositing node. The only caller of models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from matte_nodes import models, runtime
from matte_nodes import weights as files
from matte_nodes.card import (
    Inputs,
    KnobValue,
    LoadContext,
    Memory,
    Model,
    ModelCard,
    Prediction,
    Still,
)
from matte_nodes.color import ColorConfig, NetworkView, PlateColor, guess_space
from matte_nodes.errors import InputError, UsageError
from matte_nodes.node import frame as frames
from matte_nodes.node import hints
from matte_nodes.node import tiling as fit
from matte_nodes.node.hints import HintKeys
from matte_nodes.node.knobs import checked
from matte_nodes.node.matte import Matte

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.media.clip import Clip
    from matte_nodes.shot.shot import Shot
    from matte_nodes.shot.stream import Stream
    from matte_nodes.temporal.cache import Cache

    HintSource: TypeAlias = (
        str | os.PathLike[str] | Clip | Shot | NDArray[Any] | Mapping[int, Any] | HintKeys[Any]
    )
    PlateSource: TypeAlias = str | os.PathLike[str] | Clip | Shot | NDArray[Any] | Sequence[Any]


class MatteNode:
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

    def __init__(
        self,
        model: str | ModelCard = "rvm",
        *,
        device: str = "auto",
        threads: int = 0,
        ocio: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        untrained: bool = False,
        half: bool = False,
        loader: Callable[[ModelCard, LoadContext], Model] | None = None,
        **knobs: KnobValue,
    ) -> None:
        self._loader = loader
        self.card = model if isinstance(model, ModelCard) else models.card(model)
        self.knobs: Mapping[str, KnobValue] = checked(self.card, knobs)
        if self.knobs["foreground"] == "native" and not self.card.predicts_foreground:
            raise frames.no_foreground(self.card)
        self.device = runtime.resolve_device(device)
        if not isinstance(threads, int) or threads < 0:
            raise UsageError(f"threads is a whole number, 0 or more, not {threads!r}.")
        self.threads = threads or runtime.default_threads(still=isinstance(self.card.memory, Still))
        self.half = half
        self.weights, self.untrained = weights, untrained
        self.config = ColorConfig(ocio)

    def __call__(
        self,
        plate: Float,
        *,
        trimap: Float | None = None,
        background: Float | None = None,
        segmentation: Float | None = None,
        colorspace: str | None = None,
        output_colorspace: str | None = None,
    ) -> Matte:
        """Matte one still.

        plate, background: (H, W, 3) float32, unbounded, in `colorspace`: unless one is named the
        config's scene-linear space; uint8 and uint16 arrays are sRGB, as 8 and 16 bit files are.
        trimap, segmentation: (H, W), 0..1, bool, or integer codes. Answers a Matte
        whose foreground is straight, in the plate's own space if that is linear, otherwise in its
        linear counterpart, or in `output_colorspace`.

        Raises MissingInputError, HintSizeError, BadPlateError, ColorError, WeightsError.
        """
        picture = np.asarray(plate)
        is_float = picture.dtype.kind not in "ui"
        space = colorspace or guess_space("", is_movie=False, is_float=is_float, extension="")
        color = self.plate_color(space, output=output_colorspace)
        given = frames.Given(
            picture,
            None if trimap is None else hints.clean_trimap(_mask(trimap)),
            _array(background),
            _plane(segmentation),
        )
        frames.check(given, self.card)
        given = self.aligned(given)
        seen = frames.see(given, color)
        neighbours = self.still_neighbours(seen.inputs)
        prediction, _ = self.step(seen.inputs, {}, neighbours)
        return self.finish(prediction, seen, color)

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
        encoded: bool = False,
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
        instead of its linear counterpart. missing: what a frame without a file is: `error`, `hold`
        (the frame before) or `skip`.

        cache: `memory`, `states` (checkpoints on disk too), `disk` (mattes and predictions too,
        shared between processes), `off` or None; or a `temporal.cache.Cache` that serves many
        shots. cuts: first frames of new takes, where memory starts anew, or "auto" to find them.
        warm_up, start: begin so many frames before frame `start` in place of the shot's first;
        frames before `start` are then not to be had (docs/caching.md).

        Raises MediaError, HintSizeError, MissingInputError, ColorError, UsageError.
        """
        from matte_nodes.shot.bind import connected

        return connected(
            self,
            plate,
            {"trimap": trimap, "background": background, "segmentation": segmentation},
            hint_keys=hint_keys,
            colorspace=colorspace,
            background_colorspace=background_colorspace,
            output_colorspace=output_colorspace,
            encoded=encoded,
            missing=missing,
            allow_grey=allow_grey,
            cache=cache,
            cuts=cuts,
            warm_up=warm_up,
            start=start,
        )

    def stream(self, *, colorspace: str = "scene_linear", cuts: str = "auto") -> Stream:
        """Live use: newest frame only, nothing grows; use it in a `with`.

        The memory starts anew at `reset`, at a new size and (cuts="auto", else "off") at a cut.
        """
        from matte_nodes.shot.stream import Stream

        return Stream(self, self.plate_color(colorspace), cuts)

    def plate_color(
        self, colorspace: str, *, output: str | None = None, encoded_output: bool = False
    ) -> PlateColor:
        """The transforms of a plate in `colorspace`, with this node's view and config."""
        view = NetworkView(
            kind=str(self.knobs["view"]),  # type: ignore[arg-type]
            exposure=float(self.knobs["exposure"]),
        )
        return PlateColor(
            colorspace,
            output=output,
            encoded_output=encoded_output,
            view=view,
            config=self.config,
        )

    @cached_property
    def model(self) -> Model:
        """The loaded model; WeightsError or DeviceError when it cannot be loaded."""
        context = LoadContext(
            weights=files.require(self.card),
            checkpoint=files.checkpoint(self.card, self.weights, self.untrained),
            device=self.device,
            threads=self.threads,
            half=self.half,
            untrained=self.untrained,
            knobs=self.knobs,
        )
        return self._loader(self.card, context) if self._loader else self.card.load(context)

    @cached_property
    def weights_identity(self) -> dict[str, str]:
        """sha256 by name of every weights file that this node runs with; for keys and provenance."""
        return files.identity(self.card, self.weights)

    def step(
        self, inputs: Inputs, memory: Memory, neighbours: tuple[Float, ...] = ()
    ) -> tuple[Prediction, Memory]:
        """One call of the model, with only the hints it declares, its answer checked.

        Raises ModelError when it fails, DeviceError when memory does not suffice.
        """
        asked = replace(frames.offered(inputs, self.card), neighbours=neighbours)
        prediction, following = fit.any_step(
            self.model, self.card, asked, memory, self.knobs, self.tile_side(asked)
        )
        size = inputs.plate.shape[:2]
        return frames.checked_prediction(prediction, self.card, (size[0], size[1])), following

    def tile_side(self, inputs: Inputs) -> int:
        """Side of the tiles this plate is worked in; 0 when it is worked whole.

        By the plate's size alone, so that the same plate is always cut in the same way.
        """
        card, asked = self.card, int(self.knobs["tile"])
        if not card.tileable or asked < 0:
            return 0
        height, width = inputs.plate.shape[:2]
        side = asked or card.tile_side
        return side if side and max(height, width) > side else 0

    def finish(self, prediction: Prediction, seen: frames.Seen, color: PlateColor) -> Matte:
        """A prediction to a Matte, with this node's knobs."""
        return frames.finish(prediction, seen, color, self.card, self.knobs, self.device.torch)

    def aligned(self, given: frames.Given) -> frames.Given:
        """The frame with its clean plate laid over the plate, if that is asked for."""
        if given.background is None or not self.knobs["align_background"]:
            return given
        from matte_nodes.node import align_background as align

        moved = align.aligned(given.background, given.plate, given.segmentation)
        return replace(given, background=moved)

    def window_offsets(self) -> tuple[int, ...]:
        """The frame offsets of the neighbours that a step sees; empty for most models."""
        from matte_nodes.card import Window

        memory = self.card.memory
        if not isinstance(memory, Window):
            return ()
        scale = int(self.knobs[memory.scale_knob]) if memory.scale_knob else 1
        return tuple(offset * scale for offset in memory.offsets)

    def still_neighbours(self, inputs: Inputs) -> tuple[Float, ...]:
        """For a still every neighbour is the frame itself."""
        return (inputs.plate,) * len(self.window_offsets())


def _plane(hint: Any) -> Float | None:
    if hint is None:
        return None
    array = _mask(hint)
    if array.dtype.kind not in "buif":
        raise InputError(f"A segmentation holds numbers, 0 to 1; this one holds {array.dtype}.")
    if array.dtype.kind in "ui":
        return array.astype(np.float32) / np.float32(hints.white(array))
    return array.astype(np.float32, copy=False)


def _mask(hint: Any) -> NDArray[Any]:
    """Integers of 0 and 1 alone are a mask: as 8-bit codes they would be a black picture."""
    array = np.asarray(hint)
    if array.dtype.kind in "ui" and array.size and array.max() <= 1:
        return array.astype(np.float32)
    return array


def _array(picture: Any) -> NDArray[Any] | None:
    return None if picture is None else np.asarray(picture)
