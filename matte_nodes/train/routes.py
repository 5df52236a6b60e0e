# SPDX-License-Identifier: Apache-2.0
"""Composition routes: how a foreground is put over another background without visible traces.

Layers and backgrounds are display-encoded float32, 0..1, (H, W, 3); alpha is (H, W). A route
returns the composite with the layers that were mixed, so that `alpha * F + (1 - alpha) * B` is the
composite (up to noise over both).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from matte_nodes.train.foregrounds import disc_kernel
from matte_nodes.train.strands import Layer
from matte_nodes.train.textures import Rng

if TYPE_CHECKING:
    from matte_nodes.card import Float

Light = Literal["display", "linear"]
GAMMA = 2.2


@dataclass(frozen=True)
class Composite:
    """A plate with what it was made of. light: in which the layers were mixed."""

    plate: Float
    foreground: Float
    background: Float
    alpha: Float
    light: Light


@dataclass(frozen=True)
class Route:
    """The probability of each step of a composition. Defaults are Deep Image Matting's route.

    linear: mixed in linear light. denoise: both layers cleaned by non-local means. sharpness:
    background blurred by a random disc (RSSN: box blurs of 20..60 pixels on high-resolution
    pictures). noise: one common Gaussian noise over foreground, background and plate, of up to
    `noise_sigma` (RSSN: 10 of 255). harmonise: colour statistics of the background brought to
    those of the foreground or the reverse. camera: sharpening and JPEG compression of the plate.
    """

    linear: float = 0.0
    denoise: float = 0.0
    sharpness: float = 0.0
    noise: float = 0.0
    noise_sigma: float = 10 / 255
    harmonise: float = 0.0
    camera: float = 0.0


def compose(rng: Rng, layer: Layer, background: Float, route: Route) -> Composite:
    """One composite by a route."""
    front, back = layer.colour, background
    if rng.random() < route.denoise:
        front, back = denoised(front), denoised(back)
    if rng.random() < route.sharpness:
        back = defocused(back, float(np.exp(rng.uniform(np.log(0.6), np.log(12)))))
    if rng.random() < route.harmonise:
        amount = rng.uniform(0.4, 1.0)
        if rng.random() < 0.5:
            back = harmonised(back, front, layer.alpha, amount)
        else:
            front = harmonised(front, back, 1 - layer.alpha, amount)
    light: Light = "linear" if rng.random() < route.linear else "display"
    plate = mixed(front, back, layer.alpha, light)
    if rng.random() < route.noise:
        front, back, plate = with_noise(rng, (front, back, plate), route.noise_sigma)
    if rng.random() < route.camera:
        plate = through_camera(rng, plate)
    return Composite(plate, front, back, layer.alpha, light)


def mixed(front: Float, back: Float, alpha: Float, light: Light = "display") -> Float:
    """`alpha * F + (1 - alpha) * B`, in display-encoded values or in linear light (gamma 2.2)."""
    cover = alpha[..., None]
    if light == "display":
        plain: Float = cover * front + (1 - cover) * back
        return plain
    # A blur may leave values a rounding below 0, which have no power.
    front, back = np.maximum(front, 0), np.maximum(back, 0)
    total = cover * front**GAMMA + (1 - cover) * back**GAMMA
    found: Float = np.power(total.clip(0, 1), np.float32(1 / GAMMA)).astype(np.float32)
    return found


def denoised(picture: Float, strength: float = 5.0) -> Float:
    """Non-local means (Buades, Coll, Morel 2005) of OpenCV: takes a camera's grain out."""
    import cv2

    codes = np.round(picture.clip(0, 1) * 255).astype(np.uint8)
    clean = cv2.fastNlMeansDenoisingColored(codes, None, strength, strength, 5, 11)
    found: Float = clean.astype(np.float32) / np.float32(255)
    return found


def defocused(picture: Float, radius: float) -> Float:
    """Return a picture blurred by a disc of this radius: a background behind the plane of focus."""
    import cv2

    found: Float = cv2.filter2D(picture, -1, disc_kernel(radius), borderType=cv2.BORDER_REFLECT)
    return found


def with_noise(rng: Rng, pictures: tuple[Float, ...], sigma: float) -> tuple[Float, ...]:
    """One and the same Gaussian noise over all pictures: grain does not tell them apart."""
    grain = rng.normal(0, rng.uniform(0, sigma), pictures[0].shape).astype(np.float32)
    return tuple((picture + grain).clip(0, 1) for picture in pictures)


def harmonised(picture: Float, like: Float, where: Float, amount: float = 1.0) -> Float:
    """Mean and spread of each Lab channel brought to those of another picture.

    where: (H, W) weights of the pixels of `like` that count. (Reinhard et al. 2001.)
    """
    import cv2

    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    other = cv2.cvtColor(like, cv2.COLOR_RGB2LAB)
    weights = (where / max(float(where.sum()), 1e-6))[..., None]
    mean = (other * weights).sum((0, 1))
    spread = np.sqrt((np.square(other - mean) * weights).sum((0, 1)))
    own_mean, own_spread = lab.mean((0, 1)), lab.std((0, 1))
    gain = (spread / np.maximum(own_spread, 1.0)).clip(0.3, 2.0)
    moved = ((lab - own_mean) * gain + mean).astype(np.float32)
    back = cv2.cvtColor(moved, cv2.COLOR_LAB2RGB).clip(0, 1)
    found: Float = (picture * np.float32(1 - amount) + back * np.float32(amount)).clip(0, 1)
    return found


def through_camera(rng: Rng, plate: Float) -> Float:
    """Return what a camera does after the lens: sharpening or slight blur, JPEG."""
    import cv2

    soft = cv2.GaussianBlur(plate, (0, 0), rng.uniform(0.5, 1.2))
    plate = (plate + np.float32(rng.uniform(-0.6, 0.8)) * (plate - soft)).clip(0, 1)
    if rng.random() < 0.6:
        quality = [int(cv2.IMWRITE_JPEG_QUALITY), int(rng.integers(60, 98))]
        codes = np.round(plate[..., ::-1] * 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", codes, quality)
        decoded = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert decoded is not None
        plate = decoded[..., ::-1].astype(np.float32) / 255
    return np.ascontiguousarray(plate)
