# SPDX-License-Identifier: Apache-2.0
"""The steps for one frame: plate and hints, network copy, prediction, foreground, Matte.

Pure functions; time is the shot's, files are the media room's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import HINTS, Hint, Inputs, KnobValue, ModelCard, Prediction
from matte_nodes.color import PlateColor
from matte_nodes.errors import BadPlateError, HintSizeError, MissingInputError, ModelError
from matte_nodes.foreground import solve_foreground
from matte_nodes.media import halves
from matte_nodes.media.as_array import shape_advice
from matte_nodes.media.layouts import object_name
from matte_nodes.node import align_background, clean_plate_bound, finesse, hints, match_background
from matte_nodes.node.clean_plate_evidence import evidence_of
from matte_nodes.node.clean_plate_holes import close_holes
from matte_nodes.node.matte import Matte
from matte_nodes.node.plate_values import doubts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float
    from matte_nodes.points import FramePoints


LARGEST = 1e9
"""The largest value of a plate: 15,000 times what half floats hold. Squares of it still add up."""


@dataclass(frozen=True)
class Complaint:
    """Something about a frame's inputs that the user should know, and what to do about it."""

    kind: str
    """A name: a complaint of one kind is told once a shot, and then as a number of frames."""

    text: str
    """What is wrong and what to do, as it goes on after "Frame 12 of plate.mov: "."""


@dataclass(frozen=True)
class Given:
    """The inputs of one frame in plate space, with the pixels of their files.

    plate, background: (H, W, 3) of any pixel type. trimap, segmentation: (H, W) float32.
    points: in pixels of the plate. where: how messages name the frame. complaints: what does not
    fit together. has_own_space: whether the clean plate is of another colour space than the plate.
    """

    plate: NDArray[Any]
    trimap: Float | None = None
    background: NDArray[Any] | None = None
    segmentation: Float | None = None
    points: FramePoints | None = None
    where: str = "the plate"
    complaints: tuple[Complaint, ...] = ()
    has_own_space: bool = False


@dataclass(frozen=True)
class Seen:
    """A prepared frame: the network's inputs, and what the foreground is solved from.

    background_color: the transforms of the clean plate where it has its own.
    """

    inputs: Inputs
    given: Given
    color: PlateColor
    background_color: PlateColor | None = None

    # Made when the frame is finished: no step of a model waits with them in memory.

    @cached_property
    def working(self) -> Float:
        """The plate in working space, (H, W, 3) float32. Nobody may change it."""
        return self.color.to_working(self.given.plate)

    @cached_property
    def background(self) -> Float | None:
        """The clean plate in the plate's working space, (H, W, 3) float32; None without one."""
        if self.given.background is None:
            return None
        own = self.background_color
        if own is None:
            return self.color.to_working(self.given.background)
        return own.to_output(own.to_working(self.given.background))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the plate."""
        height, width = self.given.plate.shape[:2]
        return height, width

    @property
    def later_bytes(self) -> int:
        """Bytes of the pictures that finishing adds."""
        pictures = 1 if self.given.background is None else 2
        return pictures * 3 * 4 * self.size[0] * self.size[1]

    def without_plate(self) -> Seen:
        """Return the frame without the plate that the model saw: finishing does not need it."""
        nothing = np.empty((0, 0, 3), np.float32)
        inputs = replace(self.inputs, plate=nothing, full_size=self.size, neighbours=(), scene=None)
        return replace(self, inputs=inputs)


@dataclass(frozen=True)
class Preparation:
    """A change that the node makes to one input before a model sees it, as a knob asks for it."""

    makes: Hint
    """The input that is changed."""

    knob: str
    """The choice that asks for it, with the value "off"; its stage is `view`."""

    reads: frozenset[Hint]
    """The other hints that the new input is made from; the plate is always given."""

    make: Callable[[Given, str], tuple[NDArray[Any], str]]
    """Takes the frame and the knob's value. Returns the new input, and a complaint or "". It is
    given no hint but the one it makes and those it reads."""

    def is_on(self, knobs: Mapping[str, KnobValue]) -> bool:
        """Whether the knob asks for it."""
        return knobs[self.knob] != "off"


def _laid_over(given: Given, how: Any) -> tuple[NDArray[Any], str]:
    assert given.background is not None
    found = align_background.laid_over(given.background, given.plate, given.segmentation, how)
    return found.pixels, found.complaint


def _same_light(given: Given, how: Any) -> tuple[NDArray[Any], str]:
    assert given.background is not None
    if given.has_own_space:
        return given.background, ""
    return match_background.matched(given.background, given.plate, given.segmentation, how), ""


PREPARATIONS: tuple[Preparation, ...] = (
    Preparation("background", "align_background", frozenset({"segmentation"}), _laid_over),
    Preparation("background", "match_background", frozenset({"segmentation"}), _same_light),
)


def prepared(given: Given, knobs: Mapping[str, KnobValue]) -> Given:
    """Return the frame with every change made to its inputs that the knobs ask for.

    What is odd about the plate is complained of.
    """
    if odd := doubts(given.plate):
        given = replace(given, complaints=(*given.complaints, Complaint("plate", odd)))
    for change in PREPARATIONS:
        if getattr(given, change.makes) is None or not change.is_on(knobs):
            continue
        hidden: dict[str, Any] = dict.fromkeys(set(HINTS) - {change.makes, *change.reads})
        made, complaint = change.make(replace(given, **hidden), str(knobs[change.knob]))
        new: dict[str, Any] = {change.makes: made}
        if complaint:
            new["complaints"] = (*given.complaints, Complaint(f"{change.makes} fit", complaint))
        given = replace(given, **new)
    return given


def hints_of_step(
    card: ModelCard, knobs: Mapping[str, KnobValue], connected: Collection[str] = HINTS
) -> frozenset[Hint]:
    """Return the hints that a step's answer depends on.

    Those it is given, and those they are made from. connected: the hints that there are.
    """
    names = set(card.needs | card.takes) & set(connected)
    for change in reversed(PREPARATIONS):
        if change.makes in names and change.is_on(knobs):
            names |= change.reads
    return frozenset(names)


HINTS_OF_FINISH: frozenset[Hint] = frozenset(HINTS)
"""The hints that finishing reads: the trimap is forced, the segmentation bounds, the clean plate
helps to solve the foreground."""


def check(given: Given, card: ModelCard) -> None:
    """Raise an error that names the frame if no model can work on its inputs.

    Raises BadPlateError (shape, type, not finite), HintSizeError, MissingInputError.
    """
    check_picture(given.plate, given.where)
    size = given.plate.shape[:2]
    for name in sorted(card.needs):
        if getattr(given, name) is None:
            raise MissingInputError(
                f"{given.where} has no {name}, and model {card.name!r} needs one: give it "
                f"({name}=... or --{name})."
            )
    for hint_name, kind in hints.HINT_KINDS.items():
        hint = getattr(given, hint_name)
        if hint is None:
            continue
        what = f"The {hint_name} of {given.where}"
        if kind.is_picture:
            check_picture(hint, what)
        elif hint.ndim != 2:
            raise HintSizeError(
                f"{what} must be one channel, (H, W), but has the shape {hint.shape}."
            )
        elif not np.isfinite(hint).all():
            raise BadPlateError(f"{what} has pixels that are NaN or infinite.")
        if hint.shape[:2] != size:
            raise HintSizeError(
                f"{what} is {hint.shape[1]} x {hint.shape[0]}, the plate is {size[1]} x {size[0]}. "
                "Render it at the plate's size."
            )


_CODES_FROM, _CODES_TO = 32, 65535
"""Floats whose highest value is in this range may be codes."""
_FEW_VALUES = 4
"""So many whole numbers may be lights of a made picture; a photograph has more codes."""


def check_picture(pixels: NDArray[Any], where: str) -> None:
    """(H, W, 3), at least one pixel, uint8/uint16/float16/float32, finite; or BadPlateError."""
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise BadPlateError(
            f"{where} must be an RGB picture (H, W, 3), not {pixels.shape}."
            f"{shape_advice(pixels.shape)}"
        )
    if 0 in pixels.shape:
        raise BadPlateError(f"{where} is empty: {pixels.shape[1]} x {pixels.shape[0]} pixels.")
    if pixels.dtype not in (np.uint8, np.uint16, np.float16, np.float32):
        raise BadPlateError(
            f"{where} has pixels of type {pixels.dtype}; give float32 (or uint8, uint16, float16)."
        )
    if pixels.dtype == np.float16:
        if not halves.is_finite(pixels):
            _raise_values(pixels, where)
    elif pixels.dtype.kind == "f":
        # Both answer NaN where there is one: half the time of isfinite.
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= -LARGEST and high <= LARGEST):
            _raise_values(pixels, where)
        if low >= 0 and _CODES_FROM <= high <= _CODES_TO and _has_codes(pixels):
            raise BadPlateError(
                f"{where} is of floats, but its values are whole numbers up to {high:g}: they look "
                "like 8- or 16-bit codes. Give it as uint8 or uint16, or divide by 255 (65535)."
            )


def _has_codes(pixels: NDArray[Any]) -> bool:
    """Whether all values are whole numbers, and more than a few different ones."""
    if (pixels[0] != np.rint(pixels[0])).any() or (pixels != np.rint(pixels)).any():
        return False
    return len(np.unique(pixels)) > _FEW_VALUES


def _raise_values(pixels: NDArray[Any], where: str) -> None:
    """Name the first pixel that is not finite, or too large to work with."""
    finite = np.isfinite(pixels)
    if not finite.all():
        bad = np.argwhere(~finite.all(axis=2))
        what = "NaN or infinite values"
        advice = "Expression with isnan, or a Median on them"
    else:
        bad = np.argwhere((np.abs(pixels) > LARGEST).any(axis=2))
        what = f"values beyond {LARGEST:g}, which sums cannot hold"
        advice = "Clamp"
    y, x = bad[0]
    raise BadPlateError(
        f"{where} has {len(bad)} pixel{'s' * (len(bad) > 1)} with {what}, the first at {x},{y} "
        f"from the top left. Clean the plate first (in Nuke: {advice})."
    )


def see(
    given: Given,
    color: PlateColor,
    background_color: PlateColor | None = None,
    neighbours: tuple[Float, ...] = (),
    *,
    size: tuple[int, int] | None = None,
    scene: bool = True,
) -> Seen:
    """Return the network copies of a frame. background_color: its output is the plate's working
    space.

    size: (H, W) at which the plate's copy is made; None is the plate's own. scene: make the plate in
    scene-linear light too.
    """
    background = given.background
    if background is not None:
        background = (background_color or color).to_network(background)
    trimap = None if given.trimap is None else hints.clean_trimap(given.trimap)
    height, width = given.plate.shape[:2]
    inputs = Inputs(
        plate=color.to_network_at(given.plate, size) if size else color.to_network(given.plate),
        trimap=trimap,
        background=background,
        segmentation=given.segmentation,
        neighbours=neighbours,
        scene=_exposed(color.to_working(given.plate), color.view.exposure) if scene else None,
        points=given.points,
        full_size=(height, width) if size and size != (height, width) else None,
    )
    return Seen(inputs, given, color, background_color)


def _exposed(working: Float, stops: float) -> Float:
    return working * np.float32(2.0**stops) if stops else working


def offered(inputs: Inputs, card: ModelCard) -> Inputs:
    """Return only the hints that the model declares: the node uses the others itself."""
    declared = card.needs | card.takes
    return replace(
        inputs,
        trimap=inputs.trimap if "trimap" in declared else None,
        background=inputs.background if "background" in declared else None,
        segmentation=inputs.segmentation if "segmentation" in declared else None,
        scene=inputs.scene if card.wants_scene else None,
        points=inputs.points if "points" in declared else None,
    )


def checked_prediction(
    prediction: Prediction, card: ModelCard, size: tuple[int, int]
) -> Prediction:
    """Return the prediction, if it is what the card declares. Raises ModelError if not."""
    pairs: list[tuple[str, Float, tuple[int, ...]]] = [("alpha", prediction.alpha, size)]
    if prediction.foreground is not None:
        pairs.append(("foreground", prediction.foreground, (*size, 3)))
    extras = {n for n in prediction.extras if "points" not in card.needs or not object_name(n)}
    if undeclared := extras - set(card.extras):
        raise ModelError(f"Model {card.name!r} gave extras it does not declare: {undeclared}.")
    pairs += [(name, extra, extra.shape) for name, extra in prediction.extras.items()]
    for name, array, shape in pairs:
        if array.shape != shape or array.dtype != np.float32:
            raise ModelError(
                f"Model {card.name!r} gave {name} as {array.dtype} {array.shape}; declared is "
                f"float32 {shape}. Report it to its author."
            )
        if not np.isfinite(array).all():
            raise ModelError(f"Model {card.name!r} gave {name} values that are NaN or infinite.")
    return prediction


def finish(
    prediction: Prediction,
    seen: Seen,
    color: PlateColor,
    card: ModelCard,
    knobs: Mapping[str, KnobValue],
    device: str = "cpu",
    *,
    foreground: bool = True,
) -> Matte:
    """Prediction to Matte: finesse, hints, rounding, then the foreground in working space.

    foreground: False leaves it 0 everywhere, for an output that holds the alpha alone.
    """
    alpha = finished_alpha(prediction.alpha, seen.inputs, card, knobs)
    if not foreground:
        nothing = np.broadcast_to(np.float32(0), (*alpha.shape, 3))
        return Matte(alpha, nothing, color.output, dict(prediction.extras))
    mode, own = str(knobs["foreground"]), prediction.foreground
    if mode == "native":
        if own is None:
            raise no_foreground(card)
        found = _native(own, alpha, seen.working, color)
    else:
        start = _decoded_at(own, color) if mode == "auto" and own is not None else None
        found = solve_foreground(
            seen.working, alpha, start=start, background=seen.background, device=device
        )
    found = _delivered(found, alpha, seen.given.plate, color, knobs)
    return Matte(alpha, found, color.output, dict(prediction.extras))


def _delivered(
    foreground: Float,
    alpha: Float,
    plate: NDArray[Any],
    color: PlateColor,
    knobs: Mapping[str, KnobValue],
) -> Float:
    """A straight foreground of working space in the output space, despilled where that is asked."""
    if knobs["despill"]:
        # The one knob that touches solid pixels: a cast that stopped at their edge would be seen.
        foreground = finesse.despill(
            foreground,
            screen=str(knobs["despill_screen"]),  # type: ignore[arg-type]
            amount=float(knobs["despill"]),
        )
    if color.output == color.working:
        return foreground
    if not knobs["despill"]:
        return _in_output(foreground, alpha, plate, color)
    foreground = color.to_output(foreground)
    foreground[alpha == 0] = 0
    return foreground


def _in_output(foreground: Float, alpha: Float, plate: NDArray[Any], color: PlateColor) -> Float:
    """A foreground of working space in output space: the plate where alpha is 1, 0 where it is 0.

    Only the soft pixels are converted: the curve of a float picture takes 60 ms at 720p.
    """
    import cv2

    solid = (alpha == 1).view(np.uint8)
    found = np.asarray(cv2.copyTo(color.plate_to_output(plate), solid), np.float32)
    places = np.flatnonzero((alpha > 0) & (alpha < 1))
    if len(places):
        soft = np.ascontiguousarray(foreground).reshape(-1, 3)[places]
        found.reshape(-1, 3)[places] = color.to_output(soft[None])[0]
    return found


def no_foreground(card: ModelCard) -> MissingInputError:
    """Return what to say when a model's own foreground is asked for and it has none."""
    return MissingInputError(
        f"Model {card.name!r} predicts no foreground of its own: use foreground='solved' "
        "(--foreground solved)."
    )


def finished_alpha(
    alpha: Float, inputs: Inputs, card: ModelCard, knobs: Mapping[str, KnobValue]
) -> Float:
    """Return the alpha of the Matte from the model's, (H, W) float32: holes, finesse, hints."""
    alpha = np.clip(alpha, 0, 1)
    evidence = evidence_of(inputs, card)
    if evidence is not None and knobs["close_holes"]:
        alpha = close_holes(alpha, evidence, inputs.segmentation)
    alpha = finesse.apply_finesse(
        alpha,
        shrink=float(knobs["shrink"]),
        feather=float(knobs["feather"]),
        black_point=float(knobs["black_point"]),
        white_point=float(knobs["white_point"]),
        gamma=float(knobs["gamma"]),
    )
    if inputs.segmentation is not None:
        use, margin = str(knobs["segmentation_use"]), float(knobs["segmentation_margin"])
        away = None
        if use == "bound":
            away = clean_plate_bound.distances(alpha, inputs.segmentation, margin, evidence)
        alpha = hints.bound_by_segmentation(
            alpha,
            inputs.segmentation,
            use=use,  # type: ignore[arg-type]
            margin=margin,
            away=away,
        )
    if inputs.trimap is not None:
        alpha = hints.force_trimap(alpha, inputs.trimap)
    # Half floats store 0.9998 as 1: round now, so that what is solid in the file is solid here.
    return halves.to_float(halves.to_half(alpha))


def _native(own: Float, alpha: Float, working: Float, color: PlateColor) -> Float:
    """Return the plate where alpha is 1, the model's own foreground in the band, and 0."""
    import cv2

    # 1 ms at 720p where numpy's where takes 5.
    foreground = np.asarray(cv2.copyTo(working, (alpha == 1).view(np.uint8)), np.float32)
    places = np.flatnonzero((alpha > 0) & (alpha < 1))
    if len(places):
        foreground.reshape(-1, 3)[places] = _decoded_at(own, color)(places)
    return foreground


def _decoded_at(own: Float, color: PlateColor) -> Callable[[NDArray[np.intp]], Float]:
    """A model's own foreground in working space at some pixels: (N,) their places in the picture
    row by row, to (N, 3).

    Decoded at the band alone, it is a tenth of the pixels.
    """

    def at(places: NDArray[np.intp]) -> Float:
        rows, columns = np.divmod(places, own.shape[1])
        found: Float = color.network_to_working(own[rows, columns][None])[0]
        return found

    return at
