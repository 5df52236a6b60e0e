# SPDX-License-Identifier: Apache-2.0
"""Recognises Background Matting and Background Matting v2."""

from __future__ import annotations

import re
from typing import Any

from matte_nodes.checkpoints.recognition import Recognition, Shapes, number, present, vote
from matte_nodes.errors import WeightsError

_BM_MARKS = ("model_enc1.1.weight", "comb_back.0.weight", "model_al_out.1.weight")
_BM_BASE = {
    "model_enc1.1.weight": 1,
    "model_enc1.4.weight": 2,
    "model_enc2.0.weight": 4,
    "model_enc_back.7.weight": 4,
    "model_res_dec.0.weight": 4,
    "model_al_out.1.weight": 2,
    "model_fg_out.1.weight": 1,
}


def _children(shapes: Shapes, prefix: str, inner: str) -> int:
    """How many `prefix.N.inner...` blocks there are."""
    return len(
        {
            name[len(prefix) + 1 :].split(".")[0]
            for name in shapes
            if name.startswith(f"{prefix}.") and f".{inner}." in name
        }
    )


def background_matting(shapes: Shapes, hint: str) -> Recognition | None:
    """The published netG, any `ngf`, `nf_part` and numbers of blocks."""
    if not present(shapes, _BM_MARKS):
        return None
    base = vote(shapes, _BM_BASE) or 64
    part = vote(shapes, dict.fromkeys(("comb_back.0.weight", "comb_seg.0.weight"), 1)) or base
    shared = _children(shapes, "model_res_dec", "conv_block")
    head = max(
        _children(shapes, name, "conv_block") for name in ("model_res_dec_al", "model_res_dec_fg")
    )
    options: dict[str, Any] = {"width": base / 64, "blocks": (shared, head)}
    if part != base:
        options["part_channels"] = part
    wirings = ("published", "paper")
    if re.search(r"wiring[ =_-]paper|matting[ _-]paper", hint):
        wirings = ("paper", "published")
    options["wiring"] = wirings[0]
    return Recognition(
        model="background-matting",
        options=options,
        layout="Background-Matting netG",
        names={name: name for name in shapes},
        found=f"Background Matting, width {number(base / 64)}, {shared} shared and {head} + {head} "
        "residual blocks.",
        open={"wiring": wirings},
    )


def background_matting_v2(shapes: Shapes, hint: str) -> Recognition | None:
    """MobileNetV2, ResNet-50 or ResNet-101, with the refiner of 3 x 3 or 1 x 1."""
    marks = ("aspp.convs.0.0.weight", "aspp.project.0.weight", "decoder.conv4.weight")
    if not present(shapes, marks) or not any(n.startswith("backbone.") for n in shapes):
        return None
    if not any(name.startswith("refiner.") for name in shapes):
        raise WeightsError(
            "These are weights of Background Matting v2 without its refiner (MattingBase, the "
            "first stage of training). Use the weights of the whole network (MattingRefine)."
        )
    if any(name.startswith("backbone.features.") for name in shapes):
        backbone = "mobilenetv2"
    else:
        backbone = "resnet101" if "backbone.layer3.22.conv1.weight" in shapes else "resnet50"
    kernel = shapes.get("refiner.conv1.weight", (0, 0, 3, 3))[-1]
    return Recognition(
        model="background-matting-v2",
        options={"backbone": backbone, "refine_kernel": kernel},
        layout="BackgroundMattingV2",
        names={name: name for name in shapes},
        found=f"Background Matting v2 with a {backbone} encoder, refiner of {kernel} x {kernel}.",
    )
