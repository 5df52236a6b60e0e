# SPDX-License-Identifier: Apache-2.0
"""Background Matting (Sengupta et al. 2020): plate, clean plate, soft mask and motion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import (
    Checkpoint,
    Inputs,
    Knob,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
    Window,
)
from matte_nodes.media.resize import resized
from matte_nodes.models.shipped import BACKGROUND_MATTING
from matte_nodes.models.torch_model import picture
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array, trained_side

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture
    from matte_nodes.card import Float

BOX_MARGIN = 0.1


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.background_matting import ARCHITECTURE

    return ARCHITECTURE


class BackgroundMatting:
    """Prepares the inputs round the subject, runs the network on that part, and pastes the result
    back.
    """

    def __init__(self, context: LoadContext) -> None:
        self._network = TorchNetwork(context, architecture())
        self._trained = trained_side(context.checkpoint)

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha and foreground; an empty mask gives an empty matte, not a guess."""
        assert inputs.background is not None  # both declared in `needs`
        assert inputs.segmentation is not None
        size = inputs.plate.shape[:2]
        box = subject_box(inputs.segmentation)
        alpha = np.zeros(size, np.float32)
        foreground = np.zeros((*size, 3), np.float32)
        if box is None:
            return Prediction(alpha, foreground), {}
        side = self._side(str(knobs["network_size"]))
        network, square = self._network, (side, side)
        # Weights of this library learned on rough masks of many kinds, as they are given.
        mask = inputs.segmentation if self._trained else soft_mask(inputs.segmentation)
        parts = (inputs.plate, inputs.background, mask, picture("motion", inputs))
        tensors = [
            network.pixels(resized(np.ascontiguousarray(part[box]), square)) for part in parts
        ]
        answer = network.decoded(*tensors)
        there = (box[0].stop - box[0].start, box[1].stop - box[1].start)
        alpha[box] = largest_component(resized(array(answer["alpha"]), there).clip(0, 1))
        foreground[box] = resized(array(answer["foreground"]), there).clip(0, 1)
        # The network never saw the foreground of solid pixels apart from the plate.
        solid = alpha > 0.95
        foreground[solid] = inputs.plate[solid]
        return Prediction(alpha, foreground), {}

    def _side(self, asked: str) -> int:
        """Return the side of the network's square for a value of the knob `network_size`."""
        if asked != "auto":
            return int(asked)
        return 256 if 0 < self._trained < 256 else 512


def subject_box(
    mask: Float, margin: float = BOX_MARGIN, least: int = 0
) -> tuple[slice, slice] | None:
    """Return the square round the mask with a margin, kept inside the picture.

    None when it is empty.

    mask: (H, W) float32 0..1. margin: on each side, as a share of the subject's longer side.
    least: the same in pixels, where that is more. Returns rows and columns.
    """
    rows, columns = np.flatnonzero((mask > 0.2).any(1)), np.flatnonzero((mask > 0.2).any(0))
    if not len(rows):
        return None
    height, width = mask.shape
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = max(round(side * (1 + 2 * margin)), side + 2 * least)

    def span(first: int, last: int, length: int) -> slice:
        if side >= length:
            return slice(0, length)
        start = min(max((first + last + 1 - side) // 2, 0), length - side)
        return slice(start, start + side)

    return span(rows[0], rows[-1], height), span(columns[0], columns[-1], width)


def soft_mask(segmentation: Float) -> Float:
    """Return the mask as the published weights know it: binary, eroded, dilated, blurred.

    Published sizes: 10 erosions of a 3 px ellipse, 5 dilations of a 5 px one, a 31 px Gaussian.
    """
    import cv2

    binary = np.where(segmentation > 0.2, np.float32(1), np.float32(0))
    small = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    large = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    # A person is cut off by the lower edge of the picture: rows are added there first.
    foot = 25
    grown = np.pad(binary, ((0, foot), (0, 0)), mode="edge")
    grown = cv2.erode(grown, small, iterations=10)
    grown = cv2.dilate(grown, large, iterations=5)
    grown = cv2.GaussianBlur(grown, (31, 31), 0)
    return np.ascontiguousarray(grown[: len(binary)], np.float32)


def largest_component(alpha: Float) -> Float:
    """Return alpha with everything but its largest connected part (over 0.05) taken out."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.05).astype(np.uint8))
    if count <= 2:
        return alpha
    kept = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return np.where((labels == kept) | (labels == 0), alpha, np.float32(0))


CARD = ModelCard(
    name="background-matting",
    title="Background Matting",
    summary="A person before a known place: clean plate, rough mask and motion; alpha, foreground.",
    load=BackgroundMatting,
    architecture=architecture,
    needs=frozenset({"background", "segmentation"}),
    predicts_foreground=True,
    memory=Window((-2, -1, 1, 2), scale_knob="motion_step"),
    subject="people",
    knobs=(
        WIDTH,
        Knob(
            "motion_step", "int", 20, low=1, high=100, unit="frames",
            help="Distance of the neighbouring frames that show the motion: one and two steps "
            "before and after.",
        ),
        Knob(
            "network_size", "choice", "auto", choices=("auto", "256", "512", "768", "1024"),
            unit="px",
            help="Side of the square round the subject that the network sees. auto: 512, and 256 "
            "for weights that learned on smaller pictures than that.",
        ),
        Knob(
            "wiring", "choice", "auto", choices=("auto", "published", "paper"), reload=True,
            help="published: as the published weights were trained (the motion is ignored); "
            "paper: motion is used; auto goes by the checkpoint.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://github.com/senguptaumd/Background-Matting",
        "CC BY-NC-SA 4.0: non-commercial only",
        "no",
        ("netG_epoch_*.pth of real-fixed-cam", "of real-hand-held", "of syn-comp-adobe"),
        own=BACKGROUND_MATTING,
    ),
    auto={"background": 20},
    training_data="published weights: Adobe Composition-1k (non-commercial) and the authors' own clips. Ours: "
    "rendered people, 915 public-domain or CC0 photographs of people labelled by `selfie` and "
    "`closed-form-refined`, procedural things, over free places (docs/people.md)",
    papers=("Sengupta, Jayaram, Curless, Seitz, Kemelmacher-Shlizerman: Background Matting: The "
            "World is Your Green Screen, CVPR 2020",),
    limits="One person; the clean plate from the same place (align_background helps a hand-held "
           "camera). Our own weights are of a quarter of the width, with the difference "
           "to the clean plate as channels that the paper does not have: loose hair and thin leaves are "
           "filled between; `--refine closed-form-refined` sharpens them (docs/people.md).",
)  # fmt: skip
