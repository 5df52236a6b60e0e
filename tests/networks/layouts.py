# SPDX-License-Identifier: Apache-2.0
"""Random checkpoints of every declared network in every layout that it reads.

A published layout is made from our network by renaming backwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from matte_nodes import models
from matte_nodes.architecture import CHANNELS, Architecture
from matte_nodes.models.networks.selfie import layers

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


def _mmediting(network: nn.Module, tensors: Tensors) -> Tensors | None:
    return None if network.skip else mmediting(tensors)  # mmediting's network has no skips


def _gfm(network: nn.Module, tensors: Tensors) -> Tensors | None:
    write = {"r34_2b": gfm_2b, "d121": gfm_dense}.get(str(network.backbone), gfm_resnet)
    return write(tensors)


def vitmatte_authors(tensors: Tensors) -> Tensors:
    """Our names, which are those of the transformers library, as the authors' files have them."""
    rules = (
        (r"embeddings\.position_embeddings", "pos_embed"),
        (r"embeddings\.projection", "patch_embed.proj"),
        (r"encoder\.layer\.", "blocks."),
        (r"\.attention\.", ".attn."),
        (r"fusion_blocks", "fusion_blks"),
        (r"batch_norm", "bn"),
    )
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def transformers_video(tensors: Tensors) -> Tensors:
    """The library's own names; it holds one table twice."""
    found = {name.removeprefix("net."): tensor for name, tensor in tensors.items()}
    twin = found["shared_image_embedding.positional_embedding"].clone()
    return {**found, "prompt_encoder.shared_embedding.positional_embedding": twin}


Writer = Callable[[nn.Module, Tensors], Tensors | None]
WRITERS: dict[str, Writer] = {
    "mmediting": _mmediting,
    "MMNet (TensorFlow)": lambda network, tensors: tensorflow(tensors),
    "MediaPipe tflite": lambda network, tensors: mediapipe(tensors),
    "GFM": _gfm,
    "MODNet": lambda network, tensors: modnet(tensors),
    "transformers Sam2Video": lambda network, tensors: transformers_video(tensors),
    "transformers EdgeTamVideo": lambda network, tensors: transformers_video(tensors),
    "ViTMatte": lambda network, tensors: vitmatte_authors(tensors),
}
"""How a layout is written, where its names are not ours. None: not for this variant."""


def own() -> list[Architecture]:
    """The networks of this package."""
    ours = {name for name, card in models._own().items() if card.architecture}
    found = {}
    for name in ours:
        architecture = models.architecture(models.card(name))
        assert architecture is not None
        found[architecture.id] = architecture
    return sorted(found.values(), key=lambda architecture: architecture.id)


VARIANTS = [
    pytest.param(architecture, options, id=f"{architecture.id}-{number}")
    for architecture in own()
    for number, options in enumerate(architecture.variants)
]
"""Every declared variant of every network: parameters `architecture` and `options`."""


def inputs(architecture: Architecture, side: int = 64, other: int = 0) -> tuple[Tensor, ...]:
    """Random inputs of a network, encoded from random pictures of (side, other) pixels."""
    generator = torch.Generator().manual_seed(3)
    pictures = []
    for role in architecture.inputs:
        made = torch.rand(1, CHANNELS[role], side, other or side, generator=generator)
        pictures.append((made * 3).floor().clamp(0, 2) / 2 if role == "trimap" else made)
    return architecture.encoded(*pictures)


def flat(answer: Any) -> list[Tensor]:
    """Every tensor of a network's answer."""
    if isinstance(answer, Tensor):
        return [answer]
    if isinstance(answer, dict):
        answer = list(answer.values())
    return [t for part in answer if part is not None for t in flat(part)]


def arrays(tensors: Tensors) -> dict[str, Any]:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}
