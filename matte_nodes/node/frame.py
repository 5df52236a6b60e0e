# SPDX-License-Identifier: Apache-2.0
"""The steps for one frame: plate and hints, network copy, prediction, foreground, Matte.

Pure functions; time is the shot's, files are the media room's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import HINTS, Hint, Inputs, KnobValue, ModelCard, Prediction
from matte_nodes.color import PlateColor
from matte_nodes.errors import BadPlateError, HintSizeError, MissingInputError, ModelError
from matte_nodes.foreground import solve_foreground
from matte_nodes.media.as_array import shape_advice
from matte_nodes.node import align_background, finesse, hints
from matte_nodes.node.clean_plate_holes import close_holes
from matte_nodes.node.matte import Matte

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
    fit together.
    """

    plate: NDArray[Any]
    trimap: Float | None = None
    background: NDArray[Any] | None = None
    segmentation: Float | None = None
    points: FramePoints | None = None
    where: str = "the plate"
    complaints: tuple[Complaint, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A prepared frame: the network's inputs, and the plate for the foreground."""

    inputs: Inputs
    given: Given
    working: Float
    background: Float | None


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


def _clean_plate(given: Given, how: str) -> tuple[NDArray[Any], str]:
    assert given.background is not None
    found = align_background.laid_over(
        given.background,
        given.plate,
        given.segmentation,
        how,  # type: ignore[arg-type]
    )
    return found.pixels, found.complaint


PREPARATIONS: tuple[Preparation, ...] = (
    Preparation("background", "align_background", frozenset({"segmentation"}), _clean_plate),
)


def prepared(given: Given, knobs: Mapping[str, KnobValue]) -> Given:
    """Return the frame with every change made to its inputs that the knobs ask for."""
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
    if pixels.dtype.kind == "f":
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
) -> Seen:
    """Return the network copies of a frame, and its working-space plate and background."""
    background = given.background
    if background is None:
        background_seen = background_working = None
    else:
        of_background = background_color or color
        background_seen = of_background.to_network(background)
        background_working = of_background.to_working(background)
        if background_color is not None:  # its output is the plate's working space
            background_working = background_color.to_output(background_working)
    trimap = None if given.trimap is None else hints.clean_trimap(given.trimap)
    working = color.to_working(given.plate)
    inputs = Inputs(
        plate=color.to_network(given.plate),
        trimap=trimap,
        background=background_seen,
        segmentation=given.segmentation,
        neighbours=neighbours,
        scene=_exposed(working, color.view.exposure),
        points=given.points,
    )
    return Seen(inputs, given, working, background_working)


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
    extras = {n for n in prediction.extras if "points" not in card.needs or n[:6] != "alpha."}
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
) -> Matte:
    """Prediction to Matte: finesse, hints, rounding, then the foreground in working space."""
    alpha = _finished_alpha(prediction.alpha, seen.inputs, card, knobs)
    foreground = _foreground(prediction, alpha, seen, color, card, knobs, device)
    if knobs["despill"]:
        # The one knob that touches solid pixels: a cast that stopped at their edge would be seen.
        foreground = finesse.despill(
            foreground,
            screen=str(knobs["despill_screen"]),  # type: ignore[arg-type]
            amount=float(knobs["despill"]),
        )
    if color.output != color.working:
        foreground = color.to_output(foreground)
        foreground[alpha == 0] = 0
        if not knobs["despill"]:
            solid = alpha == 1
            foreground[solid] = color.plate_to_output(seen.given.plate)[solid]
    return Matte(alpha, foreground, color.output, dict(prediction.extras))


def no_foreground(card: ModelCard) -> MissingInputError:
    """Return what to say when a model's own foreground is asked for and it has none."""
    return MissingInputError(
        f"Model {card.name!r} predicts no foreground of its own: use foreground='solved' "
        "(--foreground solved)."
    )


def _finished_alpha(
    alpha: Float, inputs: Inputs, card: ModelCard, knobs: Mapping[str, KnobValue]
) -> Float:
    alpha = np.clip(alpha, 0, 1)
    if inputs.background is not None and "background" in card.needs and knobs["close_holes"]:
        alpha = close_holes(alpha, inputs.plate, inputs.background, inputs.segmentation)
    alpha = finesse.apply_finesse(
        alpha,
        shrink=float(knobs["shrink"]),
        feather=float(knobs["feather"]),
        black_point=float(knobs["black_point"]),
        white_point=float(knobs["white_point"]),
        gamma=float(knobs["gamma"]),
    )
    if inputs.segmentation is not None:
        alpha = hints.bound_by_segmentation(
            alpha,
            inputs.segmentation,
            use=str(knobs["segmentation_use"]),  # type: ignore[arg-type]
            margin=float(knobs["segmentation_margin"]),
        )
    if inputs.trimap is not None:
        alpha = hints.force_trimap(alpha, inputs.trimap)
    # Half floats store 0.9998 as 1: round now, so that what is solid in the file is solid here.
    return alpha.astype(np.float16).astype(np.float32)


def _foreground(
    prediction: Prediction,
    alpha: Float,
    seen: Seen,
    color: PlateColor,
    card: ModelCard,
    knobs: Mapping[str, KnobValue],
    device: str,
) -> Float:
    """Straight foreground in working space: the plate where alpha is 1, 0 where it is 0."""
    mode, own = knobs["foreground"], prediction.foreground
    if mode == "native":
        if own is None:
            raise no_foreground(card)
        return _native(own, alpha, seen.working, color)
    start = None
    if mode == "auto" and own is not None:
        start = color.network_to_working(own)
    return solve_foreground(
        seen.working, alpha, start=start, background=seen.background, device=device
    )


def _native(own: Float, alpha: Float, working: Float, color: PlateColor) -> Float:
    """Return the model's own foreground in the band.

    Decoded there alone, it is a tenth of the pixels.
    """
    import cv2

    # 1 ms at 720p where numpy's where takes 5.
    solid = (alpha == 1).view(np.uint8)
    foreground = cv2.copyTo(working, solid, np.zeros_like(working))
    rows, columns = np.nonzero((alpha > 0) & (alpha < 1))
    if len(rows):
        foreground[rows, columns] = color.network_to_working(own[rows, columns][None])[0]
    return np.asarray(foreground, np.float32)
