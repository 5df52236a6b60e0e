# SPDX-License-Identifier: Apache-2.0
"""Recognises MMNet and MediaPipe's selfie segmentation: TensorFlow's names and axes, or ours."""

from __future__ import annotations

import re

from matte_nodes.checkpoints.recognition import Recognition, Shapes, number, present

# TensorFlow's kernels: height, width, inputs, outputs (depthwise: height, width, channels, 1)
_CONV = (3, 2, 0, 1)
_DEPTHWISE = (2, 3, 0, 1)
_OPTIMISER = re.compile(r"/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1)$|^(beta\d_power|global_step)$")
_LEAVES = {
    "weights": "weight",
    "depthwise_weights": "weight",
    "biases": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _depth_multiplier(shapes: Shapes) -> float:
    """The simplest multiplier under which most layers have their channels."""
    from matte_nodes.models.networks.mmnet import depths, scaled

    known = [(shapes[name][0], depth) for name, depth in depths().items() if shapes.get(name)]

    def fitting(percent: int) -> tuple[int, int, int]:
        fits = sum(scaled(depth, percent / 100) == channels for channels, depth in known)
        plain = next(
            rank for rank, step in enumerate((100, 50, 25, 10, 5, 1)) if not percent % step
        )
        return -fits, plain, abs(percent - 100)

    return min(range(5, 401), key=fitting) / 100


def mmnet(shapes: Shapes, hint: str) -> Recognition | None:
    """TensorFlow's variable names (`MMNet/...`, from an npz) or ours; any depth multiplier."""
    marks = (
        "init_block.conv.weight",
        "enc_block9.merge.pointwise_conv.weight",
        "dec_block0.pointwise_conv.weight",
    )
    names: dict[str, str] = {}
    dropped: set[str] = set()
    permutations: dict[str, tuple[int, ...]] = {}
    ours: dict[str, tuple[int, ...]] = {}
    foreign = any(name.startswith("MMNet/") for name in shapes)
    for name, shape in shapes.items():
        target = name
        if foreign:
            plain = name.removesuffix(":0")
            if _OPTIMISER.search(plain):
                dropped.add(name)
                continue
            scope, _, leaf = plain.removeprefix("MMNet/").rpartition("/")
            target = f"{scope.replace('/', '.')}.{_LEAVES.get(leaf, leaf)}"
            if len(shape) == 4:
                axes = _DEPTHWISE if leaf == "depthwise_weights" else _CONV
                permutations[target] = axes
                shape = tuple(shape[axis] for axis in axes)
        names[name] = target
        ours[target] = shape
    if not present(ours, marks):
        return None
    width = _depth_multiplier(ours)
    return Recognition(
        model="mmnet",
        options={"width": width},
        layout="MMNet (TensorFlow)" if foreign else "matte-nodes",
        names=names,
        found=f"MMNet, depth multiplier {number(width)}.",
        permutations=permutations,
        dropped=frozenset(dropped),
        optional=lambda name: name.endswith("num_batches_tracked") or name.startswith("aux_block."),
    )


def selfie(shapes: Shapes, hint: str) -> Recognition | None:
    """The tensors of MediaPipe's tflite file (`conv2d_7/Kernel`) or ours."""
    if present(shapes, ("stem.weight", "context_gate.weight", "segment.weight")):
        return Recognition(
            model="selfie",
            options={},
            layout="matte-nodes",
            names={name: name for name in shapes},
            found="MediaPipe selfie segmentation.",
        )
    marks = ("conv2d/Kernel", "conv2d_42/Kernel", "depthwise_conv2d_10/Kernel")
    if not present(shapes, marks):
        return None
    from matte_nodes.models.networks.selfie import layers

    full, filters = layers()
    modules = {"segment": "segment", "conv2d_transpose": "segment"}
    modules |= {f"conv2d_{index}" if index else "conv2d": n for index, n in enumerate(full)}
    modules |= {
        f"depthwise_conv2d_{index}" if index else "depthwise_conv2d": n
        for index, n in enumerate(filters)
    }
    names: dict[str, str] = {}
    dropped: set[str] = set()
    permutations: dict[str, tuple[int, ...]] = {}
    for name in shapes:
        layer, _, leaf = name.partition("/")
        if leaf in ("Size", "Axes"):
            dropped.add(name)
            continue
        kind = {"Kernel": "weight", "Bias": "bias"}.get(leaf, leaf)
        target = f"{modules.get(layer, layer)}.{kind}"
        names[name] = target
        if kind == "weight":
            # outputs, height, width, inputs; depthwise 1, height, width, channels; the last layer
            # is a transposed convolution, whose inputs come first in ours
            own = layer.startswith("depthwise") or target == "segment.weight"
            permutations[target] = (3, 0, 1, 2) if own else (0, 3, 1, 2)
    landscape = "conv2d_transpose/Kernel" in shapes
    size = "144 x 256 (landscape)" if landscape else "256 x 256"
    return Recognition(
        model="selfie",
        options={},
        layout="MediaPipe tflite",
        names=names,
        found=f"MediaPipe selfie segmentation, trained at {size}.",
        permutations=permutations,
        dropped=frozenset(dropped),
    )
