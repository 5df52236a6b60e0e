# SPDX-License-Identifier: Apache-2.0
"""FrameNode: a matting model with its knobs, one frame at a time. The only caller of models."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from matte_nodes import models, runtime
from matte_nodes import weights as files
from matte_nodes.card import (
    HINTS,
    Carrier,
    Hint,
    Inputs,
    KnobValue,
    LoadContext,
    Memory,
    Model,
    ModelCard,
    Prediction,
    Stage,
    Still,
    Window,
)
from matte_nodes.color import ColorConfig, NetworkView, PlateColor, guess_space
from matte_nodes.errors import ModelError, UsageError
from matte_nodes.media.as_array import InputWarning, as_array
from matte_nodes.node import frame as frames
from matte_nodes.node import hints
from matte_nodes.node import tiling as fit
from matte_nodes.node.hint_meaning import warn_of_mask, warn_of_range, warn_of_trimap
from matte_nodes.node.knobs import StageKnobs, checked
from matte_nodes.node.matte import Matte
from matte_nodes.node.plate_values import highest_code, low_codes_text
from matte_nodes.points import FramePoints, as_points
from matte_nodes.reads import Reads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float


class FrameNode:
    """A matting model as a node for single frames: plate and hints in, alpha and foreground out.

    `MatteNode` is this and clips: use that one.

    model: a registered name (`matte models` lists them) or a ModelCard. device: auto, cpu, cuda,
    cuda:N, mps or tensorrt; what is asked for is what is used. threads: of the network on the CPU,
    0 chooses (`runtime.default_threads`). ocio: a config file or ocio:// name, default $OCIO.
    ocio_variables: a JSON object of the variables that the config follows, in place of the
    process's environment.
    weights: a checkpoint file for a model that takes one, in place of the imported one. untrained:
    run it with random weights where
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
        ocio_variables: str | None = None,
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
        self.config = ColorConfig(ocio, _variables(ocio_variables))

    def __call__(
        self,
        plate: Float,
        *,
        trimap: Float | None = None,
        background: Float | None = None,
        segmentation: Float | None = None,
        points: Any = None,
        colorspace: str | None = None,
        output_colorspace: str | None = None,
    ) -> Matte:
        """Matte one still.

        plate, background: (H, W, 3) float32, unbounded, in `colorspace`: unless one is named the
        config's scene-linear space; uint8 and uint16 arrays are sRGB, as 8 and 16 bit files are.
        trimap, segmentation: (H, W), 0..1, bool, or integer codes. points: clicks and a box, as
        `matte_nodes.points.as_points` takes them. Returns a Matte
        whose foreground is straight, in the plate's own space if that is linear, otherwise in its
        linear counterpart, or in `output_colorspace`.

        Raises MissingInputError, HintSizeError, BadPlateError, ColorError, WeightsError.
        """
        picture = as_array(plate, "The plate")
        is_float = picture.dtype.kind not in "ui"
        space = colorspace or guess_space("", is_movie=False, is_float=is_float, extension="")
        color = self.plate_color(space, output=output_colorspace)
        given = frames.Given(
            picture,
            given_trimap(trimap),
            None if background is None else as_array(background, "The background"),
            given_mask(segmentation),
            still_points(points, picture),
        )
        frames.check(given, self.card)
        if given.trimap is not None:
            warn_of_trimap(given.trimap)
        if highest := highest_code(given.plate):
            warnings.warn(f"This picture {low_codes_text(highest)}.", InputWarning, 2)
        given = self.prepared(given)
        for complaint in given.complaints:
            warnings.warn(f"This picture: {complaint.text}", InputWarning, 2)
        seen = self.see(given, color)
        neighbours = self.still_neighbours(seen.inputs)
        prediction, _ = self.step(seen.inputs, {}, neighbours)
        return self.finish(prediction, seen, color)

    def plate_color(
        self, colorspace: str, *, output: str | None = None, encoded_output: bool = False
    ) -> PlateColor:
        """Return the transforms of a plate in `colorspace`, with this node's view and config."""
        knobs = self.knobs_of("view")
        view = NetworkView(
            kind=str(knobs["view"]),  # type: ignore[arg-type]
            exposure=float(knobs["exposure"]),
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
        """Return the model; load it on first use. Raises WeightsError, DeviceError."""
        checkpoint = files.checkpoint(self.card, self.weights, self.untrained)
        context = LoadContext(
            weights=files.require(self.card, checkpoint),
            checkpoint=checkpoint,
            device=self.device,
            threads=self.threads,
            half=self.half,
            untrained=self.untrained,
            knobs=self.knobs_of("step"),
        )
        keyed = self.reads.facts
        made = self._loader(self.card, context) if self._loader else self.card.load(context)
        if self._reads().facts != keyed:
            raise ModelError(
                f"A file of model {self.card.name!r} changed while it was loaded. Start again when "
                "it is whole."
            )
        return made

    @cached_property
    def reads(self) -> Reads:
        """What loading and running the model reads: files, variables, other packages' code."""
        return self._reads()

    def _reads(self) -> Reads:
        card, reads = self.card, Reads()
        for place, path in enumerate(card.files):
            reads.file(path, f"{place} {path.name}")
        for name in card.variables:
            reads.variable(name)
        for name in card.packages:
            reads.package(name)
        reads.code(card.load, card.architecture)
        return reads

    @cached_property
    def weights_identity(self) -> dict[str, str]:
        """sha256 by name of every weights file that this node runs with.

        For keys and provenance.
        """
        return files.identity(self.card, self.weights)

    def step(
        self, inputs: Inputs, memory: Memory, neighbours: tuple[Float, ...] = ()
    ) -> tuple[Prediction, Memory]:
        """Call the model once with only the hints that it declares, and check its prediction.

        Raises ModelError when the model fails, and DeviceError when memory does not suffice.
        """
        asked = replace(frames.offered(inputs, self.card), neighbours=neighbours)
        prediction, following = fit.any_step(
            self.model, self.card, asked, memory, self.knobs_of("step"), self.tile_side(asked)
        )
        return frames.checked_prediction(prediction, self.card, inputs.size), following

    def advance(self, inputs: Inputs, memory: Memory) -> Memory:
        """One call of a model with a `Bank`: the memory after a frame."""
        model = cast("Carrier", self.model)
        asked = frames.offered(inputs, self.card)
        return model.advance(asked, memory, self.knobs_of("step"))

    def turned(self, memory: Memory) -> Memory:
        """The state of a key frame for the other direction of time, for a model with a `Bank`."""
        return cast("Carrier", self.model).turned(memory)

    def answer(self, inputs: Inputs, masks: Mapping[str, Float]) -> Prediction:
        """Return the answer of a model with a `Bank` from the masks of its objects, checked."""
        model = cast("Carrier", self.model)
        asked = frames.offered(inputs, self.card)
        prediction = model.answer(asked, masks, self.knobs_of("step"))
        return frames.checked_prediction(prediction, self.card, inputs.size)

    def tile_side(self, inputs: Inputs) -> int:
        """Side of the tiles this plate is worked in; 0 when it is worked whole.

        By the plate's size alone, so that the same plate is always cut in the same way.
        """
        card, asked = self.card, int(self.knobs_of("step")["tile"])
        if not card.tileable or asked < 0:
            return 0
        height, width = inputs.size
        side = asked or card.tile_side
        return side if side and max(height, width) > side else 0

    def see(
        self,
        given: frames.Given,
        color: PlateColor,
        background_color: PlateColor | None = None,
    ) -> frames.Seen:
        """Return a checked frame as this node's model is to see it."""
        return frames.see(
            given, color, background_color,
            size=self._view_size(given), scene=self.card.wants_scene,
        )  # fmt: skip

    @property
    def finishing_sees_plate(self) -> bool:
        """Whether finishing looks at the plate that the model saw: it compares a clean plate with it."""
        compares = self.knobs["close_holes"] or self.knobs["segmentation_use"] == "bound"
        return "background" in self.card.needs and bool(compares)

    def _view_size(self, given: frames.Given) -> tuple[int, int] | None:
        """The size at which the model's plate is made: None is the plate's own.

        A model of one size that looks at the plate alone gets it at that size, and no picture of
        full size is made for it.
        """
        card, size = self.card, self.card.fixed_size
        if size is None or card.needs or card.takes or card.tileable or card.wants_scene:
            return None
        if not isinstance(card.memory, Still) or self.knobs["steady"]:
            return None  # steadying looks for motion in the plate that the model sees
        height, width = given.plate.shape[:2]
        return size if size[0] <= height and size[1] <= width else None

    def finish(
        self,
        prediction: Prediction,
        seen: frames.Seen,
        color: PlateColor,
        *,
        foreground: bool = True,
    ) -> Matte:
        """Return a prediction as a Matte, with this node's knobs. foreground: as `frames.finish`."""
        return frames.finish(
            prediction, seen, color, self.card, self.knobs, self.device.torch, foreground=foreground
        )

    def finished_alpha(self, prediction: Prediction, seen: frames.Seen) -> Float:
        """Return the alpha that `finish` would, (H, W) float32, without solving the foreground."""
        return frames.finished_alpha(prediction.alpha, seen.inputs, self.card, self.knobs)

    def prepared(self, given: frames.Given) -> frames.Given:
        """Return the frame with its inputs changed as the knobs ask.

        Its clean plate laid over the plate.
        """
        return frames.prepared(given, self.knobs_of("view"))

    def knobs_of(self, stage: Stage) -> Mapping[str, KnobValue]:
        """Return the knob values that a stage may read.

        Reading a later stage's raises ModelError.
        """
        return StageKnobs(self.card, self.knobs, stage)

    def hints_of(self, stage: Stage, connected: Collection[str] = HINTS) -> frozenset[Hint]:
        """Return the hints that the result of a stage depends on. connected: those that there are."""
        if stage == "finish":
            return frames.HINTS_OF_FINISH
        return frames.hints_of_step(self.card, self.knobs, connected)

    def window_offsets(self) -> tuple[int, ...]:
        """Return the frame offsets of the neighbours that a step sees; empty for most models."""
        memory = self.card.memory
        if not isinstance(memory, Window):
            return ()
        scale = int(self.knobs_of("step")[memory.scale_knob]) if memory.scale_knob else 1
        return tuple(offset * scale for offset in memory.offsets)

    def still_neighbours(self, inputs: Inputs) -> tuple[Float, ...]:
        """For a still every neighbour is the frame itself."""
        return (inputs.plate,) * len(self.window_offsets())


def _variables(told: str | None) -> dict[str, str] | None:
    """The variables of an OCIO config from their JSON text; None for those of this process."""
    if told is None:
        return None
    try:
        found = json.loads(told)
        if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
            return found
    except (ValueError, RecursionError):
        pass
    raise UsageError(f"ocio_variables is a JSON object of names and texts, not {told!r:.100}.")


def still_points(points: Any, picture: NDArray[Any]) -> FramePoints | None:
    """Return the points of a still, whatever frame number they name."""
    if points is None or picture.ndim != 3:
        return None
    found = as_points(points)
    frames = [frame for frame in found.frames if frame is not None] or [1]
    if len(frames) > 1:
        raise UsageError("A still has one frame, and the points name several.")
    return found.bound(frames, picture.shape[1], picture.shape[0]).at(frames[0])


def given_trimap(hint: Any) -> Float | None:
    """A trimap as a user gives it, (H, W) with exactly 0, 0.5 and 1."""
    return None if hint is None else hints.clean_trimap(_mask(hint, "The trimap"))


def given_mask(hint: Any) -> Float | None:
    """A segmentation as a user gives it, (H, W) float32 0..1."""
    if hint is None:
        return None
    array = _mask(hint, "The segmentation")
    if array.dtype.kind in "ui":
        white = hints.white(array)
        warn_of_mask(array, white)
        return array.astype(np.float32) / np.float32(white)
    values: Float = array.astype(np.float32, copy=False)
    if values.size and not 0 <= float(values.min()) <= float(values.max()) <= 1:
        warn_of_range(values)
        values = np.clip(values, 0, 1)  # NaN stays, and is refused by name later
    return values


def _mask(hint: Any, what: str) -> NDArray[Any]:
    """Integers of 0 and 1 alone are a mask: as 8-bit codes they would be a black picture."""
    array = as_array(hint, what, is_mask=True)
    if array.dtype.kind in "ui" and array.size and array.max() <= 1:
        return array.astype(np.float32)
    return array
