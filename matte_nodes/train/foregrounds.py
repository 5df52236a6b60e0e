# SPDX-License-Identifier: Apache-2.0
"""Procedural foregrounds with exact alpha, so that training can start without a data set.

Each maker takes a Generator, a side in pixels and a painter of textures, and returns a Layer.
`FOREGROUNDS` names them; recipes give their shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.train.strands import Layer, curve, draw, fill, fur, hair, outline
from matte_nodes.train.textures import Pictures, Rng, colour, noise

if TYPE_CHECKING:
    from matte_nodes.card import Float

Maker = Callable[[Rng, int, Pictures], Layer]


def solid(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Return a smooth body with parts of other colours that may reach its edge.

    Flags, ribbons, limbs.
    """
    layer = Layer(paint(rng, side), fill(side, outline(rng, side)))
    for _ in range(int(rng.integers(0, 4))):
        other = np.broadcast_to(colour(rng), (side, side, 3)) if rng.random() < 0.5 else None
        picture = paint(rng, side) if other is None else other.astype(np.float32)
        contour = outline(rng, side, rough=rng.uniform(0.1, 0.5))
        contour = (contour - contour.mean(0)) * rng.uniform(0.15, 0.7) + _on_edge(rng, layer.alpha)
        layer = Layer(picture, fill(side, contour.astype(np.float32))).over(layer)
    return layer


def shaded(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Return a photographed thing: a body of few parts, lit from one side, its rim in other light.

    What a trimap knows of it (the middle) is brighter or of another colour than what it does not
    know (the rim), as on every round thing before a camera. Edges are as sharp as a lens makes
    them.
    """
    import cv2

    contour = outline(rng, side, rough=rng.uniform(0.0, 0.3))
    layer = Layer(paint(rng, side), fill(side, contour))
    for _ in range(int(rng.integers(0, 5))):
        size = rng.uniform(0.08, 0.55)
        part = (outline(rng, side, rough=0.15) - 0.5 * side) * size * rng.uniform(0.3, 1.0, 2)
        place = _on_edge(rng, layer.alpha) if rng.random() < 0.7 else rng.uniform(0, side, 2)
        ink = paint(rng, side) if rng.random() < 0.5 else _plain(rng, side)
        piece = Layer(ink, fill(side, (part + place).astype(np.float32)))
        layer = piece.over(layer) if rng.random() < 0.7 else layer.over(piece)
    inside = (layer.alpha > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / side
    height = _soft(np.sqrt(depth.clip(0, rng.uniform(0.05, 0.3))), side * 0.01)
    down, right = np.gradient(height * side * rng.uniform(0.05, 0.25))
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * right + np.sin(angle) * down
    light = (1 + rng.uniform(0.2, 1.0) * slope / np.sqrt(1 + right**2 + down**2)).clip(0.15, 1.8)
    rim = np.exp(-depth / rng.uniform(0.005, 0.06))[..., None] * rng.uniform(0, 0.8)
    glow = colour(rng, 0.8) if rng.random() < 0.3 else np.zeros(3, np.float32)
    lit = layer.colour * light[..., None]
    return Layer((lit * (1 - rim) + glow * rim).clip(0, 1).astype(np.float32), layer.alpha)


def hairy(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Return a head or body with long hair, mostly of a colour that the body has not got."""
    contour = outline(rng, side, rough=0.15)
    body = Layer(paint(rng, side), fill(side, contour))
    ink = (
        colour(rng, 0.5) * np.float32(rng.choice([0.35, 0.7, 1.0]))
        if rng.random() < paint.strange
        else body.colour
    )
    locks = hair(rng, side, contour, ink)
    return locks.over(body) if rng.random() < 0.8 else body.over(locks)


def furry(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Return an animal or a toy: fur along the contour, of the body's own colours or nearly."""
    contour = outline(rng, side, rough=0.2)
    body = Layer(paint(rng, side), fill(side, contour))
    ink = body.colour if rng.random() < 0.7 else colour(rng)
    return fur(rng, side, contour, ink).over(body)


def foliage(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Stems with leaves, each leaf a pointed ellipse with the texture of all and its own light."""
    import cv2

    stems: list[Float] = []
    root = rng.uniform(0.2, 0.8, 2) * side
    reach = side * rng.uniform(0.25, 0.6)
    for _ in range(int(rng.integers(3, 14))):
        stems.append(
            curve(root, rng.uniform(0, 6.3), reach * rng.uniform(0.4, 1), rng.normal(), 0, 0)  # type: ignore[arg-type]
        )
    layer = draw(rng, side, stems, colour(rng, 0.1), thick=(0.8, 3.5), spread=0.1)
    scale = 3
    canvas = np.zeros((side * scale, side * scale), np.uint8)
    light = np.ones((side, side), np.float32)
    slim, size = rng.uniform(0.15, 0.7), side * rng.uniform(0.015, 0.09)
    for stem in stems:
        for point in stem[2:].repeat(int(rng.integers(1, 5)), 0):
            angle, long = rng.uniform(0, 6.3), size * rng.uniform(0.5, 1.5)
            across = np.array([-np.sin(angle), np.cos(angle)]) * long * slim
            ahead = np.array([np.cos(angle), np.sin(angle)]) * long
            leaf = np.stack((point, point + ahead * 0.7 + across, point + 2 * ahead,
                             point + ahead * 0.7 - across))  # fmt: skip
            cv2.fillPoly(canvas, [np.round(leaf * scale).astype(np.int32)], 255)
            spot = np.round(leaf).astype(np.int32)
            cv2.fillPoly(light, [spot], float(np.exp(rng.normal(0, 0.3))))
    cover = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    picture = (paint(rng, side) * light[..., None]).clip(0, 1)
    return Layer(picture, cover).over(layer)


def smoke(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Fractal haze over its own slowly changing colour, sometimes round a solid body."""
    shade = noise(rng, side, coarsest=rng.uniform(0.2, 0.8), octaves=6, fall=0.6)
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    x, y = rng.uniform(0.2, 0.8, 2) * side
    away = np.hypot(columns - x, rows - y) / (side * rng.uniform(0.25, 0.6))
    alpha = (shade * rng.uniform(1, 2) - rng.uniform(0.1, 0.6)) * (1 - away).clip(0, 1) * 2.5
    tint = (colour(rng, 0.6) + 0.15 * (noise(rng, side, coarsest=0.5)[..., None] - 0.5)).clip(0, 1)
    haze = Layer(tint.astype(np.float32), alpha.clip(0, 1).astype(np.float32))
    core = Layer(paint(rng, side), fill(side, (outline(rng, side) - (x, y)) * 0.5 + (x, y)))
    return haze.over(core) if rng.random() < 0.6 else core.over(haze)


def glass(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Return a clear body.

    Low alpha inside, denser at the rim, with highlights and an opaque holder.
    """
    import cv2

    cover = fill(side, outline(rng, side, rough=0.08))
    depth = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    rim = np.exp(-depth / (side * rng.uniform(0.01, 0.05)))
    alpha = cover * (rng.uniform(0.03, 0.55) + rng.uniform(0.2, 0.9) * rim)
    spark = noise(rng, side, coarsest=0.25, octaves=4)
    alpha += cover * (spark > rng.uniform(0.75, 0.9)) * rng.uniform(0.2, 0.8)
    tint = np.broadcast_to(colour(rng, 0.7), (side, side, 3)) * (0.7 + 0.6 * spark[..., None])
    pane = Layer(tint.clip(0, 1).astype(np.float32), _soft(alpha.clip(0, 1), 0.7))
    small = (outline(rng, side) - 0.5 * side) * 0.45 + _on_edge(rng, cover)
    return Layer(paint(rng, side), fill(side, small.astype(np.float32))).over(pane)


def mesh(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Wire mesh, lace or a net: bent bars with shading, crisp holes, a solid frame on one side."""
    import cv2

    scale = 3
    big = side * scale
    rows, columns = np.mgrid[0:big, 0:big].astype(np.float32) / scale
    bend = cv2.resize(noise(rng, side, coarsest=0.6, octaves=2), (big, big)) * rng.uniform(0, 50)
    period, share = rng.uniform(5, 28), rng.uniform(0.12, 0.6)
    angle = rng.uniform(0, np.pi)
    cover = np.zeros((big, big), bool)
    light = np.zeros((side, side), np.float32)
    for turn in (angle, angle + rng.uniform(0.9, 2.2)):
        phase = (np.cos(turn) * columns + np.sin(turn) * rows + bend) / period
        part = phase - np.floor(phase)
        cover |= part < share
        inside = cv2.resize(np.sin(np.pi * (part / share).clip(0, 1)), (side, side))
        light = np.maximum(light, inside)
    alpha = cv2.resize(cover.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    tint = paint(rng, side) if rng.random() < 0.4 else np.broadcast_to(colour(rng), (side, side, 3))
    tint = (tint * (0.5 + rng.uniform(0, 1) * light[..., None])).clip(0, 1).astype(np.float32)
    net = Layer(tint, alpha * fill(side, outline(rng, side)))
    edge = (outline(rng, side) - 0.5 * side) * 0.6 + _on_edge(rng, net.alpha)
    return Layer(paint(rng, side), fill(side, edge.astype(np.float32))).over(net)


def basket(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Things behind a wire mesh, the background between the wires: baskets, cages, lace over cloth."""
    net = mesh(rng, side, paint)
    things = [Layer(_plain(rng, side), np.zeros((side, side), np.float32))]
    for _ in range(int(rng.integers(1, 5))):
        slim = np.array([rng.uniform(0.05, 0.4), rng.uniform(0.3, 0.9)])
        part = (outline(rng, side, rough=0.1) - 0.5 * side) * slim[:: rng.choice([1, -1])]
        place = _on_edge(rng, net.alpha)
        ink = paint(rng, side) if rng.random() < 0.4 else _plain(rng, side)
        things.append(Layer(ink, fill(side, (part + place).astype(np.float32))).over(things[-1]))
    return net.over(things[-1])


def carried(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Return a body that holds flags, signs, sticks.

    Flat things of colours that the body has not got.
    """
    layer = (hairy, furry, shaded, shaded)[int(rng.integers(4))](rng, side, paint)
    for _ in range(int(rng.integers(1, 3))):
        foot, turn = _on_edge(rng, layer.alpha), rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(turn), np.sin(turn)]) * side * rng.uniform(0.2, 0.55)
        tip = foot + along
        stick = np.linspace(foot, tip, 12).astype(np.float32)
        rod = draw(rng, side, [stick], colour(rng), thick=(2.0, 9.0), spread=0.1, strength=(1, 1))
        aside = np.array([-along[1], along[0]]) * rng.uniform(0.3, 1.2) * rng.choice([-1, 1])
        low, sag = foot + along * rng.uniform(0.0, 0.6), rng.normal(0, 0.15) * along
        bow = np.sin(np.linspace(0, np.pi, 30))[:, None] * rng.normal(0, 0.08) * along
        top = np.linspace(tip, tip + aside + sag, 30) + bow
        base = np.linspace(low + aside + sag, low, 30) + bow
        cloth = fill(side, np.concatenate((top, base)).astype(np.float32))
        folds = 0.8 + 0.4 * noise(rng, side, coarsest=rng.uniform(0.1, 0.5), octaves=2)[..., None]
        ink = paint(rng, side) if rng.random() < 0.6 else _plain(rng, side)
        flag = Layer((ink * folds).clip(0, 1).astype(np.float32), cloth)
        held = rod.over(flag)
        layer = held.over(layer) if rng.random() < 0.4 else layer.over(held)
    return layer


def holed(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Return a body with round and ragged holes in it."""
    layer = solid(rng, side, paint)
    alpha = layer.alpha
    for _ in range(int(rng.integers(2, 14))):
        hole = (outline(rng, side, rough=0.4) - 0.5 * side) * rng.uniform(0.03, 0.25)
        alpha = alpha * (1 - fill(side, (hole + rng.uniform(0, side, 2)).astype(np.float32)))
    return Layer(layer.colour, alpha)


def feather(rng: Rng, side: int, paint: Pictures) -> Layer:
    """Feathers: a quill with close barbs at both sides, split here and there."""
    contour = outline(rng, side, rough=0.1)
    layer = Layer(paint(rng, side), fill(side, contour))
    centre = contour.mean(0)
    for _ in range(int(rng.integers(2, 9))):
        root = contour[int(rng.integers(len(contour)))]
        away = float(np.arctan2(*(root - centre)[::-1])) + rng.normal(0, 0.3)
        quill = curve(root, away, side * rng.uniform(0.15, 0.4), rng.normal(0, 0.4), 0, 0)
        dense = np.linspace(0, len(quill) - 1, 160)
        whole = np.stack([np.interp(dense, range(len(quill)), quill[:, k]) for k in (0, 1)], 1)
        wide, lean = side * rng.uniform(0.02, 0.08), rng.uniform(0.4, 1.1)
        barbs = [quill]
        for at in whole:
            if rng.random() < 0.12:
                continue
            for sign in (-1, 1):
                turn = away + sign * lean + rng.normal(0, 0.06)
                barbs.append(curve(at, turn, wide * rng.uniform(0.7, 1), -sign * 0.3, 0, 0))
        layer = draw(rng, side, barbs, colour(rng), thick=(0.5, 1.4), spread=0.15).over(layer)
    return layer


FOREGROUNDS: Mapping[str, Maker] = {
    "solid": solid,
    "shaded": shaded,
    "hair": hairy,
    "fur": furry,
    "foliage": foliage,
    "smoke": smoke,
    "glass": glass,
    "mesh": mesh,
    "basket": basket,
    "carried": carried,
    "holes": holed,
    "feather": feather,
}


def blurred(layer: Layer, kernel: Float) -> Layer:
    """Return a layer seen through a blur (motion, defocus): premultiplied, filtered, straight again."""
    import cv2

    alpha = cv2.filter2D(layer.alpha, -1, kernel, borderType=cv2.BORDER_REPLICATE).clip(0, 1)
    mixed = cv2.filter2D(
        layer.colour * layer.alpha[..., None], -1, kernel, borderType=cv2.BORDER_REPLICATE
    )
    straight = mixed / np.maximum(alpha, np.float32(1e-3))[..., None]
    colours = np.where(alpha[..., None] > 1e-3, straight, layer.colour)
    return Layer(colours.clip(0, 1).astype(np.float32), alpha)


def motion_kernel(rng: Rng, length: float) -> Float:
    """Return a line of this length in a random direction; sums to 1."""
    import cv2

    side = 2 * int(np.ceil(length / 2)) + 3
    canvas = np.zeros((side, side), np.float32)
    angle, middle = rng.uniform(0, np.pi), side // 2
    dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    first, last = (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))
    cv2.line(canvas, first, last, 1.0, 1, cv2.LINE_AA)
    return canvas / max(float(canvas.sum()), 1e-6)


def disc_kernel(radius: float) -> Float:
    """Return a disc, as a lens out of focus spreads a point; sums to 1."""
    reach = int(np.ceil(radius)) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = (radius + 0.5 - np.hypot(rows, columns)).clip(0, 1).astype(np.float32)
    found: Float = kernel / kernel.sum()
    return found


def make(rng: Rng, side: int, paint: Pictures, shares: Mapping[str, float]) -> Layer:
    """Return a foreground by the shares of a recipe, sometimes two merged, sometimes blurred."""
    names = sorted(shares)
    weights = np.array([shares[name] for name in names], np.float64)
    picked = rng.choice(names, 2, p=weights / weights.sum())
    layer = FOREGROUNDS[str(picked[0])](rng, side, paint)
    if rng.random() < 0.15:
        layer = FOREGROUNDS[str(picked[1])](rng, side, paint).over(layer)
    if rng.random() < 0.1:
        layer = blurred(layer, motion_kernel(rng, rng.uniform(4, 40)))
    if rng.random() < 0.4:
        layer = blurred(
            layer, disc_kernel(rng.uniform(0.4, 1.5) if rng.random() < 0.7 else rng.uniform(1.5, 8))
        )
    return layer


def _plain(rng: Rng, side: int) -> Float:
    """One colour with slow changes, as of plastic, cloth, skin."""
    shade = 0.85 + 0.3 * noise(rng, side, coarsest=0.5, octaves=3)[..., None]
    found: Float = (colour(rng) * shade).clip(0, 1).astype(np.float32)
    return found


def _on_edge(rng: Rng, alpha: Float) -> Float:
    """Return a point near the contour of a coverage (the middle of the picture if it has none)."""
    rows, columns = np.nonzero((alpha > 0.3) & (alpha < 0.7))
    if not len(rows):
        return np.array([alpha.shape[1] / 2, alpha.shape[0] / 2], np.float32)
    index = int(rng.integers(len(rows)))
    return np.array([columns[index], rows[index]], np.float32)


def _soft(alpha: Float, sigma: float) -> Float:
    import cv2

    found: Float = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), sigma)
    return found
