# SPDX-License-Identifier: Apache-2.0
"""Composites of people and animals for training, made while it runs: sample N of a seed is always
the same.

A rendered cut-out is put over another place. A labelled photograph is taken as it is (its own
place behind it), or its cut-out is put over another place, as the mix says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from matte_nodes.train.people.pool import Codes, Labelled, PicturePool
from matte_nodes.train.textures import Pictures, Rng

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.floating[Any]]

T = TypeVar("T")


@dataclass(frozen=True)
class Mix:
    """What samples are made of.

    people, animals, labelled: shares of rendered people, rendered animals, labelled photographs;
    those
    of a kind that the pool does not have go to the others. own_place: how many labelled photographs
    are taken as they are. empty: how many pictures hold no subject. second: how often another
    subject stands behind the first. soft: weight of the soft band of labels, which are no truth.
    far: the largest window round a cut-out, in sides of the cut-out: how small subjects become.
    stretch: the longest picture, in its shorter sides, that is stretched to a square: for networks that
    see every plate so. 1: none is. dark: how many places are dark rooms with pools of light. things:
    how many places hold things that are no subject. crowd: how many pictures show a row of people.
    near: the smallest window in a cut-out, in sides of it. A small window of long hair shows hair alone.
    near_photograph: the same of a photograph that is taken as it is.
    wild: how many subjects and photographs get other hues, and how many stills are turned and pulled:
    few photographs then look like more.
    """

    people: float = 0.5
    animals: float = 0.0
    labelled: float = 0.5
    own_place: float = 0.5
    empty: float = 0.03
    second: float = 0.12
    soft: float = 0.5
    far: float = 1.7
    stretch: float = 1.0
    dark: float = 0.0
    things: float = 0.0
    crowd: float = 0.0
    near: float = 0.55
    near_photograph: float = 0.55
    wild: float = 0.0

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest window round a cut-out, in its shorter sides."""
        return self.near, self.far


class Sample(NamedTuple):
    """(H, W, 3) or (H, W, 1) float32, 0..1, display-encoded, straight.

    Weight: how much it counts.
    """

    plate: Float
    foreground: Float
    background: Float
    alpha: Float
    weight: Float


@dataclass(frozen=True)
class Composer:
    """Makes samples of this side in pixels from a pool."""

    pool: PicturePool
    mix: Mix
    side: int

    def __call__(self, seed: int, number: int) -> Sample:
        """Return sample `number` of this seed: always the same."""
        rng = np.random.default_rng([seed, number])
        scene = self.scene(rng)[0]
        if happens(rng, self.mix.wild):
            scene = turned(rng, scene)
        if self.mix.stretch > 1:
            scene = stretched(rng, scene, self.mix.stretch)
        return finished(rng, scene)

    def scene(self, rng: Rng) -> tuple[Sample, bool]:
        """Return a sample as no camera has seen it yet, and whether it is a whole photograph."""
        kind = self._kind(rng)
        if kind == "labelled":
            pair = _one(rng, self.pool.labelled)
            if rng.random() < self.mix.own_place:
                whole = whole_photograph(
                    rng, pair, self.side, self.mix.soft, self.mix.near_photograph
                )
                if happens(rng, self.mix.wild):
                    whole = recoloured(rng, whole)
                return whole, True
        place = toned(rng, self.place(rng))
        if happens(rng, self.mix.things):
            place = furnished(rng, place)
        if happens(rng, self.mix.dark):
            place = dimmed(rng, place)
        if rng.random() < self.mix.empty:
            none = np.zeros_like(place)
            empty = none[..., :1]
            return Sample(place, none, place, empty, np.ones_like(empty)), False
        if happens(rng, self.mix.crowd):
            front, alpha = row(rng, lambda: self._cutout(rng, kind), self.side)
        else:
            front, alpha = subject(rng, self._cutout(rng, kind), self.side, self.mix.reach)
        if happens(rng, self.mix.wild):
            front = mixed_channels(front, hues(rng))
        front = lit_like(rng, toned(rng, front), alpha, place)
        weight = np.ones_like(alpha)
        if kind == "labelled":
            weight = soft_weight(alpha, self.mix.soft)
        if rng.random() < self.mix.second:
            other, beside = subject(rng, self._cutout(rng, kind), self.side, self.mix.reach)
            both = alpha + beside * (1 - alpha)
            mixed = front * alpha + toned(rng, other) * beside * (1 - alpha)
            front, alpha = mixed / np.maximum(both, 1e-4), both
        if rng.random() < 0.3:
            place = shadowed(rng, place, alpha)
        return composed(front, place, alpha, weight), False

    def _kind(self, rng: Rng) -> str:
        shares = {
            "people": self.mix.people * bool(self.pool.people),
            "animals": self.mix.animals * bool(self.pool.animals),
            "labelled": self.mix.labelled * bool(self.pool.labelled),
        }
        weights = np.array(list(shares.values()))
        return str(rng.choice(list(shares), p=weights / weights.sum()))

    def _cutout(self, rng: Rng, kind: str) -> Codes:
        if kind == "labelled":
            return _one(rng, self.pool.labelled).cutout
        return _one(rng, self.pool.people if kind == "people" else self.pool.animals)

    def place(self, rng: Rng) -> Float:
        """Return a place without a subject.

        Part of a panorama or a photograph, or a painted texture.
        """
        found = self._part_of_place(rng)
        if rng.random() < 0.25:
            other = self._part_of_place(rng)
            (top, bottom), (left, right) = (
                sorted(int(v) for v in rng.integers(0, self.side + 1, 2)) for _ in "yx"
            )
            if rng.random() < 0.5:
                top, bottom = 0, self.side
            found[top:bottom, left:right] = other[top:bottom, left:right]
        if rng.random() < 0.4:
            found = blurred(found, rng.uniform(0.5, max(0.6, self.side / 40)))
        return found

    def _part_of_place(self, rng: Rng) -> Float:
        spheres, flat = len(self.pool.panoramas), len(self.pool.places)
        painted = rng.random() < 0.2 or not spheres + flat
        if painted:
            return Pictures()(rng, self.side).astype(np.float32)
        if rng.random() < spheres / (spheres + flat):
            return looked_at(rng, _one(rng, self.pool.panoramas), self.side)
        picture = _one(rng, self.pool.places)
        reach = int(min(picture.shape[:2]) * rng.uniform(0.3, 1))
        y, x = (int(rng.integers(0, n - reach + 1)) for n in picture.shape[:2])
        return _scaled(picture[y : y + reach, x : x + reach], self.side, rng.random() < 0.5)


def _one(rng: Rng, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def _scaled(picture: Codes, side: int, mirrored: bool = False) -> Float:
    import cv2

    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_LINEAR
    found = cv2.resize(picture, (side, side), interpolation=how).astype(np.float32) / 255
    return np.ascontiguousarray(found[:, ::-1] if mirrored else found)


def blurred(picture: Float, sigma: float) -> Float:
    """Gaussian blur, the shape kept."""
    import cv2

    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32).reshape(picture.shape)


def looked_at(rng: Rng, sphere: Codes, side: int) -> Float:
    """Return a perspective view of a panorama.

    Field of view 35 to 100 degrees, any direction, nearly level.
    """
    import cv2

    focal = side / 2 / math.tan(math.radians(rng.uniform(35, 100)) / 2)
    yaw, pitch = rng.uniform(0, 2 * math.pi), rng.normal(0, 0.12)
    y, x = np.mgrid[:side, :side].astype(np.float32) - side / 2
    down = y * math.cos(pitch) - focal * math.sin(pitch)
    ahead = y * math.sin(pitch) + focal * math.cos(pitch)
    height, width = sphere.shape[:2]
    column = ((np.arctan2(x, ahead) + yaw) / (2 * math.pi)) % 1 * width
    row = (np.arctan2(down, np.hypot(x, ahead)) / math.pi + 0.5) * height
    view = cv2.remap(
        sphere, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    return np.asarray(view, np.float32) / 255


def toned(rng: Rng, picture: Float) -> Float:
    """Gamma, contrast, brightness, colour cast and saturation changed a little."""
    moved = picture.clip(0, 1) ** np.float32(rng.uniform(0.7, 1.45))
    moved = (moved - 0.5) * np.float32(rng.uniform(0.75, 1.2)) + np.float32(
        0.5 + rng.normal(0, 0.06)
    )
    moved = moved * (1 + rng.normal(0, 0.07, 3)).astype(np.float32)
    grey = moved.mean(2, keepdims=True)
    found: Float = (grey + (moved - grey) * np.float32(rng.uniform(0.35, 1.3))).clip(0, 1)
    return found


def happens(rng: Rng, share: float) -> bool:
    """Return True in this share of calls.

    A share of 0 draws nothing: recipes that do not have it make the pictures that they always made.
    """
    return share > 0 and rng.random() < share


def furnished(rng: Rng, place: Float) -> Float:
    """Return a place with one to three sharp things in it, as large as a subject may be."""
    from matte_nodes.train.foregrounds import shaded, solid

    side = len(place)
    paint = Pictures()
    for _ in range(int(rng.integers(1, 4))):
        thing = (solid, shaded)[int(rng.integers(2))](rng, side, paint)
        size = rng.uniform(0.25, 1.0)
        centre = rng.uniform(0, side, 2)
        corner = centre - size * side / 2
        move = np.array([[size, 0, corner[0]], [0, size, corner[1]]], np.float32)
        ink, cover = (_moved(layer, move, side) for layer in (thing.colour, thing.alpha))
        place = ink * cover[..., None] + place * (1 - cover[..., None])
    found: Float = place.astype(np.float32)
    return found


def _moved(layer: Float, move: Float, side: int) -> Float:
    import cv2

    return np.asarray(cv2.warpAffine(np.asarray(layer, np.float32), move, (side, side)), np.float32)


def dimmed(rng: Rng, place: Float) -> Float:
    """Return a place as a dark room or a stage: a few per cent of its light, and pools of light.

    The subject keeps most of its own light, as before a window at night or in a follow spot.
    """
    side = len(place)
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side
    light = np.full((side, side, 3), rng.uniform(0.02, 0.3), np.float32)
    for _ in range(int(rng.integers(0, 4))):
        y, x = rng.uniform(-0.2, 1.2, 2)
        wide, high = rng.uniform(0.08, 0.5, 2)
        pool = np.exp(-(((columns - x) / wide) ** 2) - ((rows - y) / high) ** 2)
        light += pool[..., None] * (rng.uniform(0.1, 0.9) * rng.uniform(0.5, 1, 3)).astype(
            np.float32
        )
    found: Float = (place * light.clip(0, 1)).astype(np.float32)
    return found


def row(rng: Rng, cutout: Callable[[], Codes], side: int) -> tuple[Float, Float]:
    """Return a row of subjects in front of each other: straight colour and alpha.

    Three to six cut-outs are drawn; one that a side of its picture cuts is left out. Their pictures
    stand on the lower edge, the tallest behind: where a cut-out ends, the whole picture ends as well.
    """
    front = np.zeros((side, side, 3), np.float32)
    alpha = np.zeros((side, side, 1), np.float32)
    sizes = np.sort(rng.uniform(0.35, 0.85, int(rng.integers(3, 7))))[::-1]
    for size in (round(side * float(share)) for share in sizes):
        one = next((each for each in (cutout() for _ in range(6)) if free_at_sides(each)), None)
        if one is None:
            continue
        most = max(one.shape[:2])
        square = np.zeros((most, most, 4), np.float32)
        left = (most - one.shape[1]) // 2
        square[most - one.shape[0] :, left : left + one.shape[1]] = _premultiplied(one)
        ink, cover = straight(square, size, rng.random() < 0.5)
        x = int(rng.integers(-size // 3, side - size * 2 // 3))
        window = (slice(side - size, side), slice(max(0, x), min(side, x + size)))
        part = (slice(None), slice(window[1].start - x, window[1].stop - x))
        ink, cover = toned(rng, ink)[part], cover[part]
        front[window] = ink * cover + front[window] * (1 - cover)
        alpha[window] = cover + alpha[window] * (1 - cover)
    return (front / np.maximum(alpha, 1e-4)).clip(0, 1), alpha


def free_at_sides(cutout: Codes) -> bool:
    """Return True if the left, right and upper edge do not cut the subject."""
    alpha = cutout[..., 3]
    return max(int(edge.max()) for edge in (alpha[0], alpha[:, 0], alpha[:, -1])) <= 40


def lit_like(rng: Rng, front: Float, alpha: Float, place: Float) -> Float:
    """Return a subject brought a random part of the way to the brightness of its place."""
    mean = float((front * alpha).sum()) / max(3 * float(alpha.sum()), 1e-3)
    ratio = float(np.clip(place.mean() / max(mean, 0.02), 0.4, 2.5))
    found: Float = (front * np.float32(ratio ** rng.uniform(0, 0.5))).clip(0, 1)
    return found


def shadowed(rng: Rng, place: Float, alpha: Float) -> Float:
    """Return a place with the subject's soft shadow on it."""
    side = len(place)
    shade = blurred(alpha, side / 20)
    reach = max(1, side // 10)
    move = tuple(int(v) for v in rng.integers(-reach, reach + 1, 2))
    shade = np.roll(shade, move, (0, 1))
    return place * (1 - np.float32(rng.uniform(0, 0.5)) * shade)


def soft_weight(alpha: Float, soft: float) -> Float:
    """1, and `soft` where a label is neither 0 nor 1."""
    between = (alpha > 0.02) & (alpha < 0.98)
    return np.where(between, np.float32(soft), np.float32(1))


def composed(front: Float, back: Float, alpha: Float, weight: Float) -> Sample:
    """`alpha F + (1 - alpha) B`."""
    return Sample(front * alpha + back * (1 - alpha), front, back, alpha, weight)


def whole_photograph(
    rng: Rng, pair: Labelled, side: int, soft: float, near: float = 0.55
) -> Sample:
    """Return a square of a labelled photograph with its own place behind it.

    near: the smallest square, in shorter sides of the photograph.
    """
    height, width = pair.plate.shape[:2]
    reach = int(min(height, width) * rng.uniform(near, 1))
    y = int(rng.integers(0, height - reach + 1)) if rng.random() < 0.7 else 0
    x = int(rng.integers(0, width - reach + 1))
    window = (slice(y, y + reach), slice(x, x + reach))
    mirrored = rng.random() < 0.5
    plate = _scaled(pair.plate[window], side, mirrored)
    front, alpha = straight(_premultiplied(pair.cutout[window]), side, mirrored)
    back = np.where(alpha < 0.95, (plate - alpha * front) / np.maximum(1 - alpha, 0.05), plate)
    return Sample(plate, front, back.clip(0, 1), alpha, soft_weight(alpha, soft))


def hues(rng: Rng) -> Float:
    """Draw a 3 x 3 matrix that turns hues by any angle, and changes each channel's gain a little."""
    angle = rng.uniform(-math.pi, math.pi) * rng.uniform(0.2, 1)
    axis = np.full(3, 1 / math.sqrt(3))  # grey stays grey
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    matrix: Float = (turn * rng.uniform(0.7, 1.3, (3, 1))).astype(np.float32)
    return matrix


def mixed_channels(picture: Float, matrix: Float) -> Float:
    """Return a picture (H, W, 3) whose channels are mixed by a 3 x 3 matrix, clipped to 0..1."""
    found: Float = (picture @ matrix.T).clip(0, 1)
    return found


def recoloured(rng: Rng, sample: Sample) -> Sample:
    """Return a sample in other hues, its three pictures by one matrix."""
    matrix = hues(rng)
    plate, front, back = (mixed_channels(picture, matrix) for picture in sample[:3])
    return sample._replace(plate=plate, foreground=front, background=back)


def turned(rng: Rng, sample: Sample) -> Sample:
    """Return a sample turned by up to 20 degrees and pulled along its sides, all layers alike."""
    import cv2

    side = len(sample.plate)
    middle = (side / 2 - 0.5, side / 2 - 0.5)
    move = cv2.getRotationMatrix2D(middle, rng.uniform(-20, 20), rng.uniform(1.0, 1.3))
    pull = rng.uniform(0.85, 1.15, 2)
    move[:, :2] = pull[:, None] * move[:, :2]
    move[:, 2] = pull * move[:, 2] + (1 - pull) * side / 2
    return through(sample, lambda layer: warped(layer, move))


def warped(layer: Float, matrix: Float, mirrored: bool = False) -> Float:
    """Return a layer (H, W, C) moved by a 2 x 3 matrix; its border is repeated, or mirrored."""
    import cv2

    how = cv2.BORDER_REFLECT if mirrored else cv2.BORDER_REPLICATE
    size = (layer.shape[1], layer.shape[0])
    moved = cv2.warpAffine(
        layer.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR, borderMode=how
    )
    return np.asarray(moved, np.float32).reshape(layer.shape)


def through(sample: Sample, change: Callable[[Float], Float]) -> Sample:
    """Return a sample whose layers are changed alike; the foreground goes premultiplied."""
    alpha = change(sample.alpha)
    front = change(sample.foreground * sample.alpha) / np.maximum(alpha, 1e-4)
    plate, back, weight = (change(x) for x in (sample.plate, sample.background, sample.weight))
    return Sample(plate, front.clip(0, 1), back, alpha, weight)


def stretched(rng: Rng, sample: Sample, most: float) -> Sample:
    """Return a part of a sample that is up to `most` times as wide as high, or as high as wide,
    stretched to the sample's own square.
    """
    import cv2

    side = len(sample.plate)
    reach = math.log(most)
    ratio = math.exp(rng.uniform(-reach, reach))
    height, width = (round(side * min(1.0, share)) for share in (1 / ratio, ratio))
    y, x = int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1))
    window = (slice(y, y + height), slice(x, x + width))

    def grown(layer: Float) -> Float:
        found = cv2.resize(np.ascontiguousarray(layer[window]), (side, side))
        return np.asarray(found, np.float32).reshape(layer.shape)

    return through(sample, grown)


def _premultiplied(cutout: Codes) -> Float:
    found = cutout.astype(np.float32) / 255
    found[..., :3] *= found[..., 3:]
    return found


def straight(premultiplied: Float, side: int, mirrored: bool) -> tuple[Float, Float]:
    """Return a premultiplied RGBA square at another size, as straight colour and alpha."""
    import cv2

    how = cv2.INTER_AREA if premultiplied.shape[0] > side else cv2.INTER_LINEAR
    small = cv2.resize(premultiplied, (side, side), interpolation=how)
    small = np.ascontiguousarray(small[:, ::-1] if mirrored else small)
    alpha = small[..., 3:].clip(0, 1)
    return (small[..., :3] / np.maximum(alpha, 1e-4)).clip(0, 1), alpha


def subject(
    rng: Rng, cutout: Codes, side: int, reach: tuple[float, float] = (0.55, 1.7)
) -> tuple[Float, Float]:
    """Return a square window of a cut-out: straight colour (side, side, 3) and alpha (side, side, 1).

    reach: the smallest and the largest window, in shorter sides of the cut-out.

    The window may be larger than the cut-out, but a subject that the cut-out's edge cuts stays cut
    by the edge of the window: nothing ends in mid-air.
    """
    height, width = cutout.shape[:2]
    alpha = cutout[..., 3]
    edges = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    top, bottom, left, right = (bool(edge.max() > 40) for edge in edges)
    near, far = reach
    share = rng.uniform(near, 1) if rng.random() < 0.6 else rng.uniform(1, far)
    size = int(min(height, width) * share)
    y = _start(rng, size, height, top, bottom)
    x = _start(rng, size, width, left, right)
    if y is None or x is None:
        size = min(height, width)
        y, x = (0 if top else height - size), (width - size) // 2
    window = np.zeros((size, size, 4), np.float32)
    rows, columns = slice(max(0, y), min(height, y + size)), slice(max(0, x), min(width, x + size))
    window[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x] = _premultiplied(
        cutout[rows, columns]
    )
    return straight(window, side, rng.random() < 0.5)


def _start(rng: Rng, size: int, length: int, low: bool, high: bool) -> int | None:
    """Return where a window of this size begins along one axis.

    low, high: which ends cut the subject.
    """
    if size <= length:
        return int(rng.integers(0, length - size + 1))
    if low and high:
        return None
    if low:
        return 0
    if high:
        return length - size
    return int(rng.integers(length - size, 1))


def finished(rng: Rng, sample: Sample, grain_of: Rng | None = None) -> Sample:
    """Return what a camera does: another tone, black and white, blur, noise, JPEG.

    grain_of: draws the noise alone, for a frame of a clip that has the rest from `rng`.
    """
    import cv2

    plate = sample.plate
    if rng.random() < 0.3:
        plate = toned(rng, plate)
    if rng.random() < 0.08:
        plate = np.repeat(plate.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.25:
        plate = blurred(plate, rng.uniform(0.3, 1.2))
    if rng.random() < 0.4:
        grain = (grain_of or rng).standard_normal(plate.shape, np.float32)
        plate = plate + np.float32(rng.uniform(0.003, 0.04)) * grain
    plate = plate.clip(0, 1).astype(np.float32)
    if rng.random() < 0.3:
        codes = np.round(plate * 255).astype(np.uint8)
        quality = [int(cv2.IMWRITE_JPEG_QUALITY), int(rng.integers(25, 90))]
        decoded = cv2.imdecode(cv2.imencode(".jpg", codes, quality)[1], cv2.IMREAD_COLOR)
        plate = np.asarray(decoded, np.float32) / 255
    return sample._replace(plate=plate)
