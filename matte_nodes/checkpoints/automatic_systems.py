# SPDX-License-Identifier: Apache-2.0
"""Recognises GFM, MODNet and Robust Video Matting."""

from __future__ import annotations

import re
from typing import Any

from matte_nodes.checkpoints.recognition import Recognition, Shapes, number, present, vote
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.gfm import Backbone, Rosta, plan

_GFM_MARKS = ("psp_module.bottleneck.weight", "bridge_block.0.weight", "decoder4_g.0.weight")
# the same tensor under the name of the stage that uses it, as GFM's files have it
_GFM_TWINS: dict[str, tuple[tuple[str, str], ...]] = {
    "resnet": (
        (r"encoder0\.0\.", "resnet.conv1."),
        (r"encoder0\.1\.", "resnet.bn1."),
        (r"encoder1\.1\.", "resnet.layer1."),
        (r"encoder([234])\.", r"resnet.layer\1."),
    ),
    "r34_2b": ((r"encoder([1-4])\.", r"resnet.layer\1."),),
    "d121": (
        (r"encoder0\.0\.", "densenet.features.conv0."),
        (r"encoder0\.1\.", "densenet.features.norm0."),
        (r"encoder([1-4])\.0\.", r"densenet.features.denseblock\1."),
        (r"encoder([1-3])\.1\.", r"densenet.features.transition\1."),
    ),
}
_GFM_UNUSED = ("resnet.fc.", "densenet.classifier.", "densenet.features.norm5.")


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        renamed, count = re.subn("^" + pattern, replacement, name)
        if count:
            return renamed
    return name


def _gfm_widths(
    shapes: Shapes, plan: dict[str, tuple[int, int, int]]
) -> dict[str, tuple[int, ...]]:
    """Decoders and context layers whose width is not the plan's."""
    found: dict[str, tuple[int, ...]] = {}
    for name, row in plan.items():
        parts = [shapes.get(f"{name}.{index}.weight") for index in (0, 3, 6)]
        if all(parts):
            said = tuple(part[0] for part in parts if part)
            if said != row:
                found[name] = said
    return found


def _gfm_rosta(shapes: Shapes, backbone: str, hint: str) -> tuple[Rosta, ...]:
    """The representation; both where the tensors cannot tell, the likelier first."""
    if any(re.match(r"decoder0_[gf]_(tt|ft|bt)\.", name) for name in shapes):
        return ("RIM",)
    leaf = "0" if backbone == "r34_2b" else "6"
    if shapes.get(f"decoder0_g.{leaf}.weight", (3,))[0] == 3:
        return ("TT",)
    return ("BT", "FT") if re.search(r"(?<![a-z])bt(?![a-z])", hint) else ("FT", "BT")


def gfm(shapes: Shapes, hint: str) -> Recognition | None:
    """All published variants; the second set of names for the encoder is checked, then dropped."""
    if any(name.startswith("tfi_") for name in shapes):
        raise WeightsError("These are weights of P3M-Net, which the library does not have.")
    if not present(shapes, _GFM_MARKS):
        return None
    if any(name.startswith("densenet.") for name in shapes) or (
        "encoder1.0.denselayer1.conv1.weight" in shapes
    ):
        backbone: Backbone = "d121"
    elif any(name.startswith(("psp6.", "decoder6_")) for name in shapes):
        backbone = "r34_2b"
    else:
        deep = "layer1.0.conv3.weight"
        wide = f"resnet.{deep}" in shapes or f"encoder1.1.{deep[7:]}" in shapes
        backbone = "r101" if wide else "r34"
    factors = {
        f"{name}.{index}.weight": row[place]
        for name, row in plan(backbone, 1).items()
        for place, index in enumerate((0, 3, 6))
    }
    base = vote(shapes, factors) or 64
    rules = _GFM_TWINS[backbone if backbone in _GFM_TWINS else "resnet"]
    rostas = _gfm_rosta(shapes, backbone, hint)
    options: dict[str, Any] = {"backbone": backbone, "rosta": rostas[0], "width": base / 64}
    widths = _gfm_widths(shapes, plan(backbone, base))
    if widths:
        options["widths"] = widths
    return Recognition(
        model="gfm",
        options=options,
        layout="GFM",
        names={name: _rename(name, rules) for name in shapes},
        found=f"GFM with a {backbone} encoder, {rostas[0]}, width {number(base / 64)}.",
        optional=lambda name: name.endswith("num_batches_tracked") or name.startswith(_GFM_UNUSED),
        open={"rosta": rostas} if len(rostas) > 1 else {},
    )


def modnet(shapes: Shapes, hint: str) -> Recognition | None:
    """The published layout, in which the encoder stands twice."""
    marks = ("f_branch.conv_lr4x.layers.0.weight", "hr_branch.tohr_enc2x.layers.0.weight")
    if not present(shapes, marks):
        return None
    return Recognition(
        model="modnet",
        options={},
        layout="MODNet",
        names={
            name: name.removeprefix("lr_branch.") if "backbone." in name else name
            for name in shapes
        },
        found="MODNet on MobileNetV2.",
        optional=lambda name: (
            name.endswith("num_batches_tracked")
            or name.startswith(("lr_branch.conv_lr.", "hr_branch.conv_hr."))
        ),
    )


def robust_video_matting(shapes: Shapes, hint: str) -> Recognition | None:
    """MobileNetV3 or ResNet-50; the published PyTorch files, and what its ONNX files hold."""
    marks = ("decoder.decode4.gru.ih.0.weight", "project_mat.conv.weight")
    if not present(shapes, marks):
        return None
    if not any(name.startswith("refiner.conv.") for name in shapes):
        raise WeightsError(
            "These are weights of Robust Video Matting with the fast guided filter, which has no "
            "learned refiner. Use the published weights (deep guided filter)."
        )
    light = any(name.startswith("backbone.features.") for name in shapes)
    backbone = "mobilenetv3" if light else "resnet50"
    note = "" if "project_seg.conv.weight" in shapes else " The segmentation head is not in it."
    return Recognition(
        model="rvm",
        options={"backbone": backbone},
        layout="RobustVideoMatting",
        names={name: name for name in shapes},
        found=f"Robust Video Matting with a {backbone} encoder.{note}",
        optional=lambda name: (
            name.endswith("num_batches_tracked") or name.startswith("project_seg.")
        ),
    )
