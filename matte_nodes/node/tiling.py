# SPDX-License-Identifier: Apache-2.0
"""Lets every model take plates of any size: pads to a multiple, scales to a fixed size, or tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import Inputs, KnobValue, Memory, Model, ModelCard, Prediction
from matte_nodes.errors import DeviceError, MatteError, ModelError
from matte_nodes.media.resize import resized

if TYPE_CHECKING:
    from matte_nodes.card import Float

SMALLEST_TILE = 256


def any_step(
    model: Model,
    card: ModelCard,
    inputs: Inputs,
    memory: Memory,
    knobs: Mapping[str, KnobValue],
    side: int,
) -> tuple[Prediction, Memory]:
    """One step: whole, or by tiles of `side` pixels (0: whole while memory suffices).

    Raises DeviceError when memory does not suffice, ModelError when the model fails.
    """
    height, width = inputs.size
    try:
        if not side:
            try:
                return fitted_step(model, card, inputs, memory, knobs)
            except Exception as error:
                if not (out_of_memory(error) and card.tileable and int(knobs["tile"]) >= 0):
                    raise
            side = max(SMALLEST_TILE, max(height, width) // 2)
        return tiled_step(model, card, inputs, knobs, side), {}
    except MatteError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise DeviceError(
                f"{card.name} runs out of memory at {width} x {height}. Close other programs, use "
                "a machine with more memory, or give a smaller plate."
            ) from error
        said = next(iter(str(error).splitlines()), "")
        raise ModelError(
            f"Model {card.name!r} failed at {width} x {height} ({type(error).__name__}: {said}). "
            "Report it to its author."
        ) from error


def fitted_step(
    model: Model, card: ModelCard, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
) -> tuple[Prediction, Memory]:
    """Call the model at the size that its card declares; returns a prediction of the plate's size.

    fixed_size: pictures are reduced by area, and the result is enlarged by linear interpolation.
    multiple: edges are repeated at the bottom and right, then cut off again.
    """
    size = inputs.size
    if card.fixed_size and card.fixed_size != size:
        if inputs.full_size is None:
            small = _each(inputs, lambda picture: resized(picture, card.fixed_size or size))
        else:
            small = replace(inputs, full_size=None)
        prediction, following = model.step(small, memory, knobs)
        return _each_output(prediction, lambda picture: resized(picture, size)), following
    pad = [-side % card.multiple for side in size]
    if not any(pad):
        return model.step(inputs, memory, knobs)

    def grown(picture: Float) -> Float:
        edges = [(0, pad[0]), (0, pad[1])] + [(0, 0)] * (picture.ndim - 2)
        return np.pad(picture, edges, mode="edge")

    prediction, following = model.step(_each(inputs, grown), memory, knobs)
    return (
        _each_output(
            prediction, lambda picture: np.ascontiguousarray(picture[: size[0], : size[1]])
        ),
        following,
    )


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture, its bottom and right not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The tile as an index into (H, W, ...)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def tiles(size: tuple[int, int], side: int, overlap: int) -> Iterator[Tile]:
    """Tiles of at most `side` pixels that overlap by `overlap` and cover the picture."""
    for top, bottom in _spans(size[0], side, overlap):
        for left, right in _spans(size[1], side, overlap):
            yield Tile(top, left, bottom, right)


def _spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    if length <= side:
        return [(0, length)]
    count = -(-(length - overlap) // (side - overlap))
    starts = np.linspace(0, length - side, count).round().astype(int)
    return [(int(start), int(start) + side) for start in starts]


def tiled_step(
    model: Model,
    card: ModelCard,
    inputs: Inputs,
    knobs: Mapping[str, KnobValue],
    side: int,
) -> Prediction:
    """Return a still's prediction by tiles; uses smaller tiles when memory runs out.

    A tile without unknown pixels is not computed, unless the model returns more than alpha. A tile
    grows until it contains known pixels of both kinds. Raises DeviceError when even small tiles do
    not fit into memory.
    """
    while True:
        try:
            return _tiled(model, card, inputs, knobs, side)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if side <= SMALLEST_TILE:
                raise DeviceError(
                    f"{card.name} runs out of memory even by tiles of {side} pixels. Close other "
                    "programs, use a machine with more memory, or give a smaller plate."
                ) from error
            side = max(SMALLEST_TILE, side // 2)


def _tiled(
    model: Model, card: ModelCard, inputs: Inputs, knobs: Mapping[str, KnobValue], side: int
) -> Prediction:
    size, overlap = inputs.size, min(card.tile_overlap, side // 2)
    weight = np.zeros(size, np.float32)
    joined = _Joined(size)
    trimap, says_more = inputs.trimap, card.predicts_foreground or card.extras
    for tile in tiles(size, side, overlap):
        unknown = trimap is None or ((trimap[tile.window] > 0) & (trimap[tile.window] < 1)).any()
        if not unknown and not says_more:
            continue
        seen = tile if trimap is None else _with_both_sides(tile, trimap, overlap or side // 4)
        window = seen.window
        part = _each(inputs, partial(_cut, window=window))
        prediction, _ = fitted_step(model, card, part, {}, knobs)
        inner = np.s_[
            tile.top - seen.top : tile.bottom - seen.top,
            tile.left - seen.left : tile.right - seen.left,
        ]
        ramp = _ramp(tile, size, overlap)
        joined.blend("alpha", prediction.alpha[inner], tile, ramp)
        if prediction.foreground is not None:
            joined.blend("foreground", prediction.foreground[inner], tile, ramp)
        for name, extra in prediction.extras.items():
            joined.keep(name, extra[inner], tile, ramp > weight[tile.window])
        weight[tile.window] = np.maximum(weight[tile.window], ramp)
    alpha = joined.blended("alpha")
    if trimap is not None:
        known = (trimap == 0) | (trimap == 1)
        alpha[known] = trimap[known]
    foreground = joined.blended("foreground") if "foreground" in joined.sums else None
    return Prediction(alpha, foreground, joined.kept)


class _Joined:
    """Pictures put together from tiles, by name."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._weight: dict[str, Float] = {}
        self.sums: dict[str, Float] = {}
        self.kept: dict[str, Float] = {}
        self._start("alpha", ())

    def _start(self, name: str, channels: tuple[int, ...]) -> None:
        self.sums[name] = np.zeros((*self._size, *channels), np.float32)
        self._weight[name] = np.zeros(self._size, np.float32)

    def blend(self, name: str, part: Float, tile: Tile, ramp: Float) -> None:
        """Add a tile's part, weighted: tiles run into each other."""
        if name not in self.sums:
            self._start(name, part.shape[2:])
        weights = ramp if part.ndim == 2 else ramp[..., None]
        self.sums[name][tile.window] += part * weights
        self._weight[name][tile.window] += ramp

    def blended(self, name: str) -> Float:
        """Return the weighted mean; 0 where no tile was."""
        total, weight = self.sums[name], self._weight[name]
        weight = weight if total.ndim == 2 else weight[..., None]
        return np.divide(total, weight, out=total, where=weight > 0)

    def keep(self, name: str, part: Float, tile: Tile, better: Any) -> None:
        """Take a tile's part where that tile knows best: classes must not be mixed."""
        if name not in self.kept:
            self.kept[name] = np.zeros((*self._size, *part.shape[2:]), np.float32)
        self.kept[name][tile.window][better] = part[better]


def _with_both_sides(tile: Tile, trimap: Float, step: int) -> Tile:
    """Return the tile, grown until it holds known background and foreground (or is the picture)."""
    height, width = trimap.shape
    while True:
        part = trimap[tile.window]
        if (part == 0).any() and (part == 1).any():
            return tile
        grown = Tile(
            max(0, tile.top - step),
            max(0, tile.left - step),
            min(height, tile.bottom + step),
            min(width, tile.right + step),
        )
        if grown == tile:
            return tile
        tile, step = grown, step * 2


def _cut(picture: Float, window: tuple[slice, slice]) -> Float:
    return picture[window]


def _ramp(tile: Tile, size: tuple[int, int], overlap: int) -> Float:
    """Weights that fall off over the overlap, except at the picture's own edges."""

    def side(start: int, stop: int, length: int) -> Float:
        weight = np.ones(stop - start, np.float32)
        fall = np.linspace(0, 1, overlap + 2, dtype=np.float32)[1:-1]
        if start > 0 and overlap:
            weight[:overlap] = fall
        if stop < length and overlap:
            weight[-overlap:] = np.minimum(weight[-overlap:], fall[::-1])
        return weight

    rows = side(tile.top, tile.bottom, size[0])
    columns = side(tile.left, tile.right, size[1])
    return rows[:, None] * columns[None]


def _each(inputs: Inputs, change: Callable[[Float], Float]) -> Inputs:
    """Return the inputs with every picture changed; trimaps stay exactly 0, 0.5 and 1."""

    def plane(name: str) -> Any:
        picture = getattr(inputs, name)
        return None if picture is None else change(picture)

    trimap = plane("trimap")
    if trimap is not None:
        trimap = np.where(trimap <= 0, 0, np.where(trimap >= 1, 1, 0.5)).astype(np.float32)
    return replace(
        inputs,
        plate=change(inputs.plate),
        trimap=trimap,
        background=plane("background"),
        scene=plane("scene"),
        segmentation=plane("segmentation"),
        neighbours=tuple(change(picture) for picture in inputs.neighbours),
    )


def _each_output(prediction: Prediction, change: Callable[[Float], Float]) -> Prediction:
    own = prediction.foreground
    return Prediction(
        change(prediction.alpha),
        None if own is None else change(own),
        {name: change(extra) for name, extra in prediction.extras.items()},
    )


_SIGNS = (
    "out of memory", "failed to allocate", "bad_alloc", "can't allocate memory",
    "cannot allocate memory",
)  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any runtime says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _SIGNS)
