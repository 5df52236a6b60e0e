# SPDX-License-Identifier: Apache-2.0
"""Alphas that are wrong in the ways of matting models, and the error of what is made with them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

GROUNDS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0), "magenta": (1.0, 0.0, 1.0)}


def perturbed(alpha: Float, seed: int = 0) -> dict[str, Float]:
    """The true alpha and wrong ones, by name; alpha: (H, W) float32 in 0..1.

    eroded, dilated: the lowest and the highest alpha within 1 and 2 pixels. shifted: moved by so
    many pixels to the right and half as many down. holes: blobs inside the subject at 0.3 to 0.9.
    ghosts: blobs outside it at 0.1 to 0.6. blurred: a Gaussian of 2 pixels, as a network at a
    quarter of the size gives. coarse: a quarter of the size and back. noisy: 0.06 more or less
    where alpha is soft. lifted, thinned: the powers 0.6 and 1.6.
    """
    rng = np.random.default_rng(seed)
    height, width = alpha.shape
    size = (width, height)
    wrong = {"true": alpha}
    for reach in (1, 2):
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        wrong[f"eroded {reach}"] = cv2.erode(alpha, disc)
        wrong[f"dilated {reach}"] = cv2.dilate(alpha, disc)
        move = np.array([[1, 0, reach], [0, 1, reach / 2]])
        wrong[f"shifted {reach}"] = cv2.warpAffine(
            alpha, move, size, borderMode=cv2.BORDER_REPLICATE
        )
    blobs = _blobs(rng, alpha.shape)
    depth = rng.uniform(0.1, 0.7)
    wrong["holes"] = alpha * (1 - np.float32(depth) * blobs)
    wrong["ghosts"] = np.maximum(alpha, np.float32(rng.uniform(0.1, 0.6)) * blobs)
    wrong["blurred"] = cv2.GaussianBlur(alpha, (0, 0), 2)
    small = cv2.resize(
        alpha, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA
    )
    wrong["coarse"] = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    soft = (alpha > 0) & (alpha < 1)
    noise = rng.normal(0, 0.06, alpha.shape).astype(np.float32)
    wrong["noisy"] = np.where(soft, alpha + noise, alpha)
    wrong["lifted"] = alpha**0.6
    wrong["thinned"] = alpha**1.6
    # As a matte is written: in half precision.
    return {
        name: np.clip(wrong_one, 0, 1).astype(np.float16).astype(np.float32)
        for name, wrong_one in wrong.items()
    }


def _blobs(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """About a fifth of the picture covered by soft blobs: (H, W) in 0..1."""
    noise = cv2.GaussianBlur(
        rng.normal(0, 1, shape).astype(np.float32), (0, 0), max(2.0, min(shape) / 40)
    )
    noise /= max(float(noise.std()), 1e-6)
    return np.clip((noise - 0.7) * 3, 0, 1).astype(np.float32)


def encoded(linear: Float) -> Float:
    """sRGB's curve, as a screen shows light; clipped to 0..1."""
    light = np.clip(linear, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(
        np.float32
    )


def composite_errors(
    foreground: Float, alpha: Float, true_foreground: Float, true_alpha: Float
) -> dict[str, float]:
    """Mean absolute error of the composites by ground, where either alpha is soft.

    In display encoding, where an error in the dark counts as much as it shows; "linear NAME" holds
    the error of linear light.
    """
    where = ((alpha > 0) & (alpha < 1)) | ((true_alpha > 0) & (true_alpha < 1))
    mix, true_mix = alpha[where][:, None], true_alpha[where][:, None]
    errors = {}
    for name, ground in GROUNDS.items():
        behind = np.float32(ground)
        made = foreground[where] * mix + (1 - mix) * behind
        right = true_foreground[where] * true_mix + (1 - true_mix) * behind
        errors[name] = float(np.abs(encoded(made) - encoded(right)).mean())
        errors[f"linear {name}"] = float(np.abs(made - right).mean())
    return errors
