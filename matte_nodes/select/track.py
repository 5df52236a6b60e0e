# SPDX-License-Identifier: Apache-2.0
"""Masks carried from one frame to the next by optical flow, and cut anew at their edges.

A state is what is known after a frame: the plate at the working size, the mask of each object, and
what each object looked like when it was last clicked. A step needs the state before and the new
frame and nothing else, so that a chain of steps gives the same pixels whenever it is run, and in
both directions of time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from matte_nodes.points import Marks
from matte_nodes.select.again import Again, again
from matte_nodes.select.cut import LIMIT, colour_odds, cut
from matte_nodes.select.flow import BAND, carried, codes_of, flow_between, left_behind
from matte_nodes.select.lost import SAME, found_again
from matte_nodes.select.segment import select

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float, Memory
    from matte_nodes.select.flow import Codes
    from matte_nodes.select.proposals import StandsOut

CARRIED, COLOUR = 3.0, 1.0
"""Weights of the odds inside the band: the carried mask, and colours."""

SPREAD = 0.25
"""Of the longer side: colours of the rest are taken from this far round the object."""

NOW_SUBJECT, NOW_REST = 0.3, 0.8
"""Shares of this frame, against the key frame, in the colours of the subject and of the rest."""

DOUBTED = -1.0
"""Colour odds below which no pixel is sure to be the subject's, however deep inside it lies."""

SALIENCE = 4.0
"""Weight of the odds of what stands out, where that is the same object."""

LEFT = 0.15
"""Share of a mask that must have colours of its object, or it has gone."""

SMALLER = 0.9
"""Share of its key frame's mask below which a correction is no better key."""

PART = 0.3
"""Share of a separate part that must lie where the object is."""

REST = 0.3
"""Share of its key frame's mask below which a followed mask may be a rest: the object is looked for."""

LEAST = 0.0004
"""Share of the picture below which an object is lost."""


def settled(
    plate: Float,
    mask: Float,
    believed: NDArray[np.bool_],
    key: tuple[Float, Float] | None = None,
    stands_out: StandsOut | None = None,
) -> Float:
    """Return the carried mask with its edge cut anew by this frame's colours.

    plate: (H, W, 3) float32 0..1. mask: (H, W) float32, carried here. believed: (H, W) bool, where
    the flow holds. key: plate and mask of the object's key frame, whose colours are known to be
    right; without one a leak would confirm itself. stands_out: a salience network, asked about the
    mask's surroundings and believed when it means the same object. Returns (H, W) float32 with 0
    and 1; empty when
    the object is lost.
    """
    inside = mask > 0.5
    if inside.mean() < LEAST:
        return np.zeros(mask.shape, np.float32)
    lab = cv2.cvtColor(np.ascontiguousarray(plate, np.float32), cv2.COLOR_RGB2Lab)
    side = max(mask.shape)
    band = max(2, round(BAND * side))
    deep, far = _distance(inside), _distance(~inside)
    if key is not None and _is_covered(lab, inside, key):
        return np.zeros(mask.shape, np.float32)
    colours = _colours(lab, mask, (deep, far), key)
    certain = believed & (colours > DOUBTED)
    sure = np.zeros(mask.shape, np.int8)
    sure[(deep > band) & certain] = 1
    sure[far > band] = -1
    # A thin object has no pixels deep inside: its ridge stands for them.
    ridge = inside & (deep >= cv2.dilate(deep, np.ones((3, 3), np.uint8))) & (deep > 1.5)
    sure[ridge & certain] = 1
    trust = np.where(believed, np.float32(CARRIED), np.float32(CARRIED / 3))
    odds = trust * (2 * mask - 1) + np.float32(COLOUR) * colours
    if stands_out is not None:
        odds = odds + np.float32(SALIENCE) * _salience(plate, inside, stands_out)
    found = cut(lab, np.clip(odds, -LIMIT, LIMIT), sure)
    return np.asarray(found, np.float32)


def _is_covered(lab: Float, inside: NDArray[np.bool_], key: tuple[Float, Float]) -> bool:
    """Whether nearly all of the mask looks like what was round the object in its key frame.

    Something then stands before it, or it has left. New light makes colours that were in neither,
    which say nothing.
    """
    return bool((_key_odds(lab, key)[inside] > 0).mean() < LEFT)


def _key_odds(lab: Float, key: tuple[Float, Float]) -> Float:
    """Log odds of each pixel's colour: the object's in its key frame, or that of what was round it."""
    known = cv2.cvtColor(np.ascontiguousarray(key[0], np.float32), cv2.COLOR_RGB2Lab)
    was = key[1] > 0.5
    around = (~was) & (_distance(~was) <= SPREAD * max(was.shape))
    none = np.zeros(lab.shape[:2], np.float32)
    return colour_odds(
        np.concatenate([lab, known]),
        np.concatenate([none, was.astype(np.float32)]),
        np.concatenate([none, around.astype(np.float32)]),
    )[: len(lab)]


def _salience(plate: Float, inside: NDArray[np.bool_], stands_out: StandsOut) -> Float:
    """-1..1: what stands out round a mask; 0 everywhere when that is another object."""
    rows, columns = np.nonzero(inside.any(axis=1))[0], np.nonzero(inside.any(axis=0))[0]
    high, wide = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    margin = max(4, round(0.3 * max(high, wide)))
    part = (
        slice(max(0, rows[0] - margin), rows[-1] + 1 + margin),
        slice(max(0, columns[0] - margin), columns[-1] + 1 + margin),
    )
    map_here = stands_out(np.ascontiguousarray(plate[part]))
    found = np.zeros(inside.shape, np.float32)
    there = map_here > 0.5
    shared = (there & inside[part]).sum() / max(1, (there | inside[part]).sum())
    if shared >= SAME:
        found[part] = (2 * map_here - 1) * np.float32((shared - SAME) / (1 - SAME))
    return found


def _colours(
    lab: Float, mask: Float, away: tuple[Float, Float], key: tuple[Float, Float] | None
) -> Float:
    """Return colour odds from this frame's certain pixels and from the key frame's."""
    deep, far = away
    spread = SPREAD * max(mask.shape)
    subject = np.where(mask > 0.5, np.minimum(deep, 3.0), 0).astype(np.float32)
    rest = np.where((mask <= 0.5) & (far <= spread), np.minimum(far, 3.0), 0).astype(np.float32)
    if key is None:
        return np.clip(colour_odds(lab, subject, rest), -4, 4)
    known = cv2.cvtColor(np.ascontiguousarray(key[0], np.float32), cv2.COLOR_RGB2Lab)
    was = key[1] > 0.5
    around = (~was) & (_distance(~was) <= spread)
    both = [
        np.concatenate(
            [
                now * np.float32(share / max(now.sum(), 1)),
                then.astype(np.float32) * np.float32((1 - share) / max(then.sum(), 1)),
            ]
        )
        for now, then, share in ((subject, was, NOW_SUBJECT), (rest, around, NOW_REST))
    ]
    odds = colour_odds(np.concatenate([lab, known]), both[0], both[1])[: len(lab)]
    return np.clip(odds, -4, 4)


def followed(
    plate: Float,
    objects: Sequence[str],
    marks: Mapping[str, Marks],
    memory: Memory,
    stands_out: StandsOut | None,
    painted: Float | None = None,
) -> Memory:
    """One step: the state after this frame, from the state after the frame beside it.

    plate: (h, w, 3) float32, of the working size. objects: names of all objects, in their order.
    marks: of this frame, in its pixels. memory: the state, or nothing. painted: (h, w) float32, a
    mask or trimap (0.5: undecided) of the first object that somebody drew. Returns `plate`
    (h, w, 3) uint8, and for each object that is known `NAME/mask`, `NAME/key_mask` (h, w) and
    `NAME/key_plate` (h, w, 3), uint8.
    """
    codes = codes_of(plate)
    arrived = _arrived(codes, memory)
    masks: dict[str, Float] = {}
    following: dict[str, Any] = {"plate": codes}
    for name in objects:
        carried_here = None if arrived is None else arrived.masks.get(name)
        own, key = joined_marks(name, marks), _key_of(name, memory)
        if painted is not None and name == objects[0]:
            masks[name] = from_painting(plate, painted, carried_here)
        elif own is not None:
            if key is None or own.starts:
                masks[name] = select(plate, own, stands_out)
            else:
                believed = None if arrived is None else arrived.believed
                masks[name], is_better = _corrected(
                    plate, own, (carried_here, believed), key, stands_out
                )
                if not is_better:  # the old key shows more of the object
                    following |= _key_tensors(name, memory)
                    continue
        elif carried_here is not None:
            assert arrived is not None
            assert key is not None
            found = settled(plate, carried_here, arrived.believed, key, stands_out)
            masks[name] = _restored(plate, found, key, stands_out)
            following |= _key_tensors(name, memory)
            continue
        else:
            continue
        following[f"{name}/key_plate"] = codes
        following[f"{name}/key_mask"] = codes_of(masks[name])
    for name, mask in _apart(masks, arrived, marks).items():
        following[f"{name}/mask"] = codes_of(mask)
    return following


def _key_tensors(name: str, memory: Memory) -> dict[str, Any]:
    """The part of a state that holds an object's key frame."""
    return {n: memory[n] for n in (f"{name}/key_plate", f"{name}/key_mask")}


def _key_of(name: str, memory: Memory) -> tuple[Float, Float] | None:
    """Plate and mask of an object's key frame, 0..1; None where it had none yet."""
    if f"{name}/key_plate" not in memory:
        return None
    plate, mask = (np.asarray(t, np.float32) for t in _key_tensors(name, memory).values())
    return plate / np.float32(255), mask / np.float32(255)


def _corrected(
    plate: Float,
    own: Marks,
    came: tuple[Float | None, NDArray[np.bool_] | None],
    key: tuple[Float, Float],
    stands_out: StandsOut | None,
) -> tuple[Float, bool]:
    """A mask by clicks on what was followed here, and whether it makes a better key frame.

    came: the mask that the flow brought, and where the flow is believed. What was followed is made
    as in any other frame, then the clicks change it. A frame in which something stands before the
    object is no better key than one in which all of it was seen.
    """
    mask, believed = came
    if mask is None or believed is None or mask.mean() < LEAST:
        there = again(plate, key)
        followed = None if there is None or not there.seen.any() else there.seen.astype(np.float32)
    else:
        followed = _restored(
            plate, settled(plate, mask, believed, key, stands_out), key, stands_out
        )
    if followed is not None and followed.mean() < LEAST:
        followed = None
    found = select(plate, own, stands_out, followed)
    return found, bool(found.sum() >= SMALLER * key[1].sum())


def _restored(
    plate: Float, found: Float, key: tuple[Float, Float], stands_out: StandsOut | None
) -> Float:
    """Return a followed mask with the parts that are in sight again, without parts of others.

    found: (H, W) float32, what was followed here. Where it is sure where all of the object is, a
    separate part that lies elsewhere is dropped.
    """
    there = again(plate, key)
    if there is None:
        return _or_again(plate, found, key, stands_out)
    if there.sure:
        found = found * _touching(found > 0.5, there.whole) * ~_of_others(plate, there, key)
    if there.seen.mean() < LEAST:
        return np.asarray(found, np.float32)
    everywhere = np.ones(found.shape, bool)
    seen = settled(plate, there.seen.astype(np.float32), everywhere, key, None)
    return np.maximum(found, seen).astype(np.float32)


def _or_again(
    plate: Float, found: Float, key: tuple[Float, Float], stands_out: StandsOut | None
) -> Float:
    """Return what was followed, or the object where it is found again when little of it is left.

    What is little may be a rest that it left behind.
    """
    if found.mean() >= LEAST and found.sum() >= REST * key[1].sum():
        return found
    there = found_again(plate, key, stands_out)
    if there.any():
        return there
    return found if found.mean() >= LEAST else np.zeros_like(found)


def _of_others(plate: Float, there: Again, key: tuple[Float, Float]) -> NDArray[np.bool_]:
    """Where something stands before an object, or beside it, that has not its colours."""
    lab = cv2.cvtColor(np.ascontiguousarray(plate, np.float32), cv2.COLOR_RGB2Lab)
    reach = 2 * round(BAND * max(plate.shape[:2])) + 1
    near = cv2.dilate(there.whole.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    elsewhere = ~near | (there.whole & ~there.seen)
    odds = cv2.GaussianBlur(_key_odds(lab, key), (0, 0), 1.5)
    return np.asarray(elsewhere & (odds < 0), bool)


def _touching(mask: NDArray[np.bool_], whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of a mask of which a good part lies in another."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    keep = [n for n in range(1, count) if whole[labels == n].mean() > PART]
    return np.isin(labels, keep)


@dataclass(frozen=True)
class _Arrived:
    """What the flow brings from the frame beside: masks by object, and where it is believed."""

    masks: Mapping[str, Float]
    believed: NDArray[np.bool_]


def _arrived(codes: Codes, memory: Memory) -> _Arrived | None:
    before = memory.get("plate")
    names = [name[:-5] for name in memory if name.endswith("/mask")]
    if before is None or not names or before.shape != codes.shape:
        return None
    flow = flow_between(codes, np.asarray(before, np.uint8))
    masks = {}
    for name in names:
        mask = np.asarray(memory[f"{name}/mask"], np.float32) / np.float32(255)
        masks[name] = np.where(left_behind(mask, flow), np.float32(0), carried(mask, flow.back))
    return _Arrived(masks, flow.is_back)


def joined_marks(name: str, marks: Mapping[str, Marks]) -> Marks | None:
    """Return an object's marks, with the clicks on the other objects as clicks beside it."""
    own = marks.get(name)
    if own is None:
        return None
    others = [p for other, m in marks.items() if other != name for p in m.subject]
    return Marks(own.subject, (*own.others, *others), own.box)


def from_painting(plate: Float, painted: Float, before: Float | None) -> Float:
    """Return a drawn mask as it is; the undecided part of a drawn trimap cut by colours."""
    undecided = (painted > 0.05) & (painted < 0.95)
    if undecided.mean() < 0.02:
        return (painted > 0.5).astype(np.float32)
    lab = cv2.cvtColor(np.ascontiguousarray(plate, np.float32), cv2.COLOR_RGB2Lab)
    subject, rest = (painted >= 0.95), (painted <= 0.05)
    odds = np.clip(colour_odds(lab, subject.astype(np.float32), rest.astype(np.float32)), -4, 4)
    if before is not None:
        odds = odds + np.float32(CARRIED) * (2 * before - 1)
    sure = subject.astype(np.int8) - rest.astype(np.int8)
    return cut(lab, np.clip(odds, -LIMIT, LIMIT), sure).astype(np.float32)


def _apart(
    masks: Mapping[str, Float], arrived: _Arrived | None, fresh: Collection[str]
) -> dict[str, Float]:
    """Return masks that share no pixel.

    A pixel of two objects belongs to the one that it was more of before. Where one of them was
    marked in this frame (`fresh`) it belongs to the smaller one: what is held before who holds it.
    """
    none: Float = np.zeros((1, 1), np.float32)
    before = {} if arrived is None else arrived.masks
    found = {name: mask.copy() for name, mask in masks.items()}
    names = list(masks)
    for index, one in enumerate(names):
        for two in names[index + 1 :]:
            both = (masks[one] > 0.5) & (masks[two] > 0.5)
            if one in fresh or two in fresh:
                of_one = np.full(both.shape, masks[one].sum() <= masks[two].sum())
            else:
                of_one = np.asarray(before.get(one, none) >= before.get(two, none))
            found[two][both & of_one] = 0
            found[one][both & ~of_one] = 0
    return found


def _distance(mask: NDArray[np.bool_]) -> Float:
    """Return pixels to the nearest pixel outside of the mask; the border of the picture is none."""
    if mask.all():
        return np.full(mask.shape, np.float32(max(mask.shape)))
    away = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # The last bits depend on the number of threads. Its square is whole.
    return np.asarray(np.sqrt(np.rint(away * away)), np.float32)
