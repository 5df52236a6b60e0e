# SPDX-License-Identifier: Apache-2.0
"""Random checkpoints in every published layout, made from our networks by renaming backwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matte_nodes.models.networks.adamatting import AdaMatting
from matte_nodes.models.networks.background_matting import BackgroundMatting
from matte_nodes.models.networks.background_matting_v2 import BackgroundMattingV2
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.models.networks.gfm import GFM
from matte_nodes.models.networks.mmnet import MMNet
from matte_nodes.models.networks.modnet import MODNet
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting
from matte_nodes.models.networks.selfie import Selfie, layers

Tensors = dict[str, Tensor]


def plain(network: nn.Module) -> Tensors:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def parallel(tensors: Tensors) -> Tensors:
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


def mmediting(tensors: Tensors) -> Tensors:
    renamed = {}
    for name, tensor in tensors.items():
        new = re.sub(
            r"^conv(\d)_(\d)\.",
            lambda m: f"backbone.encoder.layer{m[1]}.{2 * int(m[2]) - 2}.",
            name,
        )
        if name.startswith("conv6_1."):
            new = name.replace("conv6_1", "backbone.encoder.conv6")
        elif name.startswith("deconv"):
            new = f"backbone.decoder.{name}"
        elif name.startswith("refine_"):
            new = f"refiner.{name}"
        renamed[new] = tensor
    return renamed


def doubled(rules: Mapping[str, str]) -> Callable[[Tensors], Tensors]:
    """The tensors, and those under a prefix once more under another."""

    def double(tensors: Tensors) -> Tensors:
        twins = {
            twin + name.removeprefix(own): tensor.clone()
            for name, tensor in tensors.items()
            for own, twin in rules.items()
            if name.startswith(own)
        }
        return {**tensors, **twins}

    return double


_STAGES = {f"resnet.layer{n}.": f"encoder{n}." for n in (2, 3, 4)}
gfm_resnet = doubled(
    {
        "resnet.conv1.": "encoder0.0.",
        "resnet.bn1.": "encoder0.1.",
        "resnet.layer1.": "encoder1.1.",
        **_STAGES,
    }
)
gfm_2b = doubled({"resnet.layer1.": "encoder1.", **_STAGES})
gfm_dense = doubled(
    {
        "densenet.features.conv0.": "encoder0.0.",
        "densenet.features.norm0.": "encoder0.1.",
        **{f"densenet.features.denseblock{n}.": f"encoder{n}.0." for n in (1, 2, 3, 4)},
        **{f"densenet.features.transition{n}.": f"encoder{n}.1." for n in (1, 2, 3)},
    }
)
modnet = doubled({"backbone.": "lr_branch.backbone."})

_TF = {
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
    "BatchNorm.weight": "BatchNorm.gamma",
    "BatchNorm.bias": "BatchNorm.beta",
}


def tensorflow(tensors: Tensors) -> Tensors:
    """MMNet's variables: TensorFlow's names and axes."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        new = name
        for ours, theirs in _TF.items():
            new = new.replace(ours, theirs)
        if tensor.ndim == 4 and "depthwise" in name:
            new = new.removesuffix("weight") + "depthwise_weights"
            tensor = tensor.permute(2, 3, 0, 1)
        elif tensor.ndim == 4:
            new = new.removesuffix("weight") + "weights"
            tensor = tensor.permute(2, 3, 1, 0)
        elif new.endswith(".bias"):
            new = new.removesuffix("bias") + "biases"
        found["MMNet/" + new.replace(".", "/") + ":0"] = tensor.contiguous()
    found["global_step:0"] = torch.tensor(7)
    found["MMNet/init_block/conv/weights/Adam:0"] = torch.zeros(3, 3, 3, 8)
    return found


def mediapipe(tensors: Tensors) -> Tensors:
    """Selfie's tensors under the names and axes of its TensorFlow Lite file."""
    full, filters = layers()
    modules = {name: f"conv2d_{n}" if n else "conv2d" for n, name in enumerate(full)}
    modules |= {
        name: f"depthwise_conv2d_{n}" if n else "depthwise_conv2d" for n, name in enumerate(filters)
    }
    modules["segment"] = "segment"
    found = {}
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        if leaf == "weight":
            first = module in filters or module == "segment"
            tensor = tensor.permute(1, 2, 3, 0) if first else tensor.permute(0, 2, 3, 1)
        found[f"{modules[module]}/{'Kernel' if leaf == 'weight' else 'Bias'}"] = tensor.contiguous()
    found["up_sampling2d/Size"] = torch.tensor([32, 32], dtype=torch.int32)
    return found


Make = Callable[[], nn.Module]
# name: the network, its layout, what is recognised, options that the tensors cannot tell
LAYOUTS: dict[str, tuple[Make, Callable[[Tensors], Tensors], str, dict[str, Any]]] = {
    "dim-stage1": (lambda: DeepImageMatting(0.125, refine=False), dict, "deep-image-matting", {}),
    "dim-stage3": (lambda: DeepImageMatting(0.25, conv6_kernel=3), dict, "deep-image-matting", {}),
    "dim-skip": (
        lambda: DeepImageMatting(0.0625, skip=True, conv6_kernel=3),
        parallel,
        "deep-image-matting",
        {"skip": True},
    ),
    "dim-mmediting": (lambda: DeepImageMatting(0.125), mmediting, "deep-image-matting", {}),
    "adamatting": (lambda: AdaMatting(0.125), dict, "adamatting", {}),
    "mmnet-tf": (lambda: MMNet(0.5), tensorflow, "mmnet", {}),
    "mmnet-tf-0.75": (lambda: MMNet(0.75), tensorflow, "mmnet", {}),
    "mmnet": (lambda: MMNet(1.4), dict, "mmnet", {}),
    "bm": (lambda: BackgroundMatting(0.125), parallel, "background-matting", {}),
    "bm-paper": (
        lambda: BackgroundMatting(0.25, "paper", (2, 1), part_channels=8),
        dict,
        "background-matting",
        {"wiring": "paper"},
    ),
    "bm2": (BackgroundMattingV2, dict, "background-matting-v2", {}),
    "bm2-resnet50": (
        lambda: BackgroundMattingV2("resnet50", 1),
        dict,
        "background-matting-v2",
        {},
    ),
    "gfm-r34-tt": (lambda: GFM("r34", "TT", 0.0625), gfm_resnet, "gfm", {}),
    "gfm-r34-bt": (lambda: GFM("r34", "BT", 0.125), gfm_resnet, "gfm", {"rosta": "BT"}),
    "gfm-r34-ft": (lambda: GFM("r34", "FT", 0.0625), gfm_resnet, "gfm", {}),
    "gfm-r34-2b": (lambda: GFM("r34_2b", "TT", 0.0625), gfm_2b, "gfm", {}),
    "gfm-d121-rim": (lambda: GFM("d121", "RIM", 0.0625), gfm_dense, "gfm", {}),
    "gfm-r101": (lambda: GFM("r101", "TT", 0.0625), gfm_resnet, "gfm", {}),
    "modnet": (MODNet, lambda tensors: parallel(modnet(tensors)), "modnet", {}),
    "rvm": (RobustVideoMatting, dict, "rvm", {}),
    "selfie": (Selfie, dict, "selfie", {}),
    "selfie-tflite": (Selfie, mediapipe, "selfie", {}),
}


def inputs(model: str) -> tuple[Tensor, ...]:
    """Random pictures for a network."""
    channels = {
        "deep-image-matting": (4,),
        "adamatting": (4,),
        "background-matting": (3, 3, 1, 4),
        "background-matting-v2": (3, 3),
    }.get(model, (3,))
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.rand(1, count, 64, 64, generator=generator) for count in channels)


def flat(answer: Any) -> list[Tensor]:
    """Every tensor of a network's answer."""
    if isinstance(answer, Tensor):
        return [answer]
    if isinstance(answer, dict):
        answer = list(answer.values())
    return [t for part in answer if part is not None for t in flat(part)]


def arrays(tensors: Tensors) -> dict[str, Any]:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}
