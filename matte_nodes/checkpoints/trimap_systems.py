# SPDX-License-Identifier: Apache-2.0
"""Recognises Deep Image Matting and AdaMatting."""

from __future__ import annotations

import re

from matte_nodes.checkpoints.recognition import Recognition, Shapes, number, present, vote
from matte_nodes.errors import WeightsError

_DIM_MARKS = ("conv1_1.weight", "conv5_3.weight", "deconv5_1.weight", "deconv1.weight")
_DIM_BASE = {
    "conv1_1.weight": 1,
    "conv1_2.weight": 1,
    "conv2_1.weight": 2,
    "conv3_1.weight": 4,
    "conv4_1.weight": 8,
    "conv5_1.weight": 8,
    "deconv4_1.weight": 4,
}


def _from_mmediting(name: str) -> str:
    """`backbone.encoder.layer3.2.weight` is `conv3_2.weight`; the rest loses its prefix."""
    found = re.fullmatch(r"backbone\.encoder\.layer(\d)\.(\d+)\.(weight|bias)", name)
    if found:
        stage, position, leaf = found.groups()
        return f"conv{stage}_{int(position) // 2 + 1}.{leaf}"
    name = re.sub(r"^backbone\.encoder\.conv6\.", "conv6_1.", name)
    return re.sub(r"^(backbone\.decoder|refiner)\.", "", name)


def _skips(hint: str) -> bool:
    """Whether the words speak of skips, and do not say that there are none."""
    negated = re.search(r"\b(no|non|without)\b[^.,;]{0,20}skip|noskip", hint)
    denied = re.search(r"skips?\W{0,3}(none|false|no|off)\b", hint)
    return "skip" in hint and negated is None and denied is None


def deep_image_matting(shapes: Shapes, hint: str) -> Recognition | None:
    """The paper's layout (pytorch-deep-image-matting), mmediting's; with or without stage 3."""
    if any(name.startswith("down1.conv1.cbr_unit") for name in shapes):
        raise WeightsError(
            "These are weights of foamliu's Deep-Image-Matting-PyTorch. That network is another "
            "one (batch normalisation after every convolution, no conv6, a decoder without "
            "activations, no refinement), so they do not fit deep-image-matting. Use the weights "
            "of pytorch-deep-image-matting or of mmediting."
        )
    names = {name: name for name in shapes}
    layout = "pytorch-deep-image-matting"
    if any(name.startswith("backbone.encoder.layer1.") for name in shapes):
        layout = "mmediting"
        names = {name: _from_mmediting(name) for name in shapes}
    ours = {names[name]: shape for name, shape in shapes.items()}
    if not present(ours, _DIM_MARKS):
        return None
    base = vote(ours, _DIM_BASE) or 64
    kernel = ours.get("conv6_1.weight", (0, 0, 1, 1))[-1]
    refine = any(name.startswith("refine_") for name in ours)
    skip = layout != "mmediting" and _skips(hint)
    options = {"width": base / 64, "conv6_kernel": kernel, "refine": refine, "skip": skip}
    stages = "stages 1 to 3 (refines)" if refine else "stage 1 (no refinement)"
    return Recognition(
        model="deep-image-matting",
        options=options,
        layout=layout,
        names=names,
        found=f"Deep Image Matting in the layout of {layout}: {stages}, conv6 of "
        f"{kernel} x {kernel}, width {number(base / 64)}.",
        open={} if layout == "mmediting" else {"skip": (skip, not skip)},
    )


_ADA_MARKS = (
    "encoder.conv1.weight",
    "prop_unit.cell.gates.weight",
    "t_decoder_upscale1.0.weight",
    "a_decoder_upscale1.0.weight",
)


def adamatting(shapes: Shapes, hint: str) -> Recognition | None:
    """The library's own layout; nobody published another for the paper's network."""
    if present(shapes, ("encoder_conv.0.weight", "log_sigma_t_sqr", "log_sigma_a_sqr")):
        raise WeightsError(
            "These are weights of a re-implementation of AdaMatting that is not the paper's "
            "network (other encoder, no recurrent propagation), so they do not fit adamatting."
        )
    if not present(shapes, _ADA_MARKS):
        return None
    factors = {
        "encoder.conv1.weight": 1,
        "encoder.layer1.0.conv1.weight": 1,
        "encoder.layer2.0.conv1.weight": 2,
        "encoder.layer3.0.conv1.weight": 4,
        "t_decoder_upscale1.0.weight": 32,
        "a_decoder_upscale1.0.weight": 32,
    }
    base = vote(shapes, factors) or 64
    return Recognition(
        model="adamatting",
        options={"width": base / 64},
        layout="matte-nodes",
        names={name: name for name in shapes},
        found=f"AdaMatting, width {number(base / 64)}.",
    )
