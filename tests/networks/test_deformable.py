# SPDX-License-Identifier: Apache-2.0
"""The deformable convolution against onnxruntime's DeformConv."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from matte_nodes.models.networks import deformable
from matte_nodes.models.networks.deformable import DeformableConv, deformable_convolution

SIZES = ((9, 13), (1, 6), (5, 1), (1, 1))


def _made(kernel: int, size: tuple[int, int], reach: float = 3.0) -> tuple[Tensor, ...]:
    """Map, offsets of some pixels (many of them beyond the picture), modulator, weight."""
    taps = kernel * kernel
    return (
        torch.randn(2, 5, *size),
        torch.randn(2, 2 * taps, *size) * reach,
        torch.rand(2, taps, *size) * 2,
        torch.randn(7, 5, kernel, kernel) / kernel,
    )


def _onnxruntime(x: Tensor, offsets: Tensor, modulator: Tensor, weight: Tensor) -> Tensor:
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    given = {
        "x": x, "w": weight, "o": offsets, "b": torch.zeros(len(weight)), "m": modulator,
    }  # fmt: skip
    half = weight.shape[-1] // 2
    node = onnx.helper.make_node(
        "DeformConv", list(given), ["y"], kernel_shape=list(weight.shape[2:]), pads=[half] * 4
    )
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "deform",
        [value(name, 1, list(tensor.shape)) for name, tensor in given.items()],
        [value("y", 1, None)],
    )  # fmt: skip
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", deformable.ONNX_OPSET)], ir_version=9
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {name: tensor.numpy() for name, tensor in given.items()}
    return torch.from_numpy(session.run(["y"], feed)[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_equals_onnxruntime(kernel: int, size: tuple[int, int]) -> None:
    made = _made(kernel, size)
    ours = deformable_convolution(*made)
    assert ours.shape == (2, 7, *size)
    assert (ours - _onnxruntime(*made)).abs().max() < 2e-5


def test_without_offsets_it_is_a_convolution() -> None:
    x, offsets, modulator, weight = _made(3, (8, 10), reach=0)
    plain = F.conv2d(x, weight, padding=1)
    ours = deformable_convolution(x, offsets, torch.ones_like(modulator), weight)
    assert (ours - plain).abs().max() < 1e-5
    # and untrained layers are one
    layer = DeformableConv(5, 7, 3)
    plain = F.conv2d(x, layer.regular_conv.weight, padding=1)
    assert (layer(x) - plain).abs().max() < 1e-5


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_strips_give_the_same(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _made(3, (9, 13))
    whole = deformable_convolution(*made)
    monkeypatch.setattr(deformable, "_COLUMNS", rows * 13 * made[3][0].numel())
    assert (deformable_convolution(*made) - whole).abs().max() < 1e-5


def test_an_offset_is_down_then_right() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    offsets = torch.zeros(1, 2, 3, 4)
    offsets[:, 0] = 1
    moved = deformable_convolution(x, offsets, torch.ones(1, 1, 3, 4), torch.ones(1, 1, 1, 1))
    assert (moved[0, 0, :2] - x[0, 0, 1:]).abs().max() < 1e-5
    assert moved[0, 0, 2].abs().max() < 1e-5


def test_half_precision_finds_its_pixels_on_a_wide_map() -> None:
    # 16 bits have no odd numbers beyond 2048: positions must not be in them
    x = (torch.arange(4000.0) % 7).reshape(1, 1, 1, 4000).half()
    moved = deformable_convolution(
        x, torch.zeros(1, 2, 1, 4000).half(), torch.ones(1, 1, 1, 4000).half(),
        torch.ones(1, 1, 1, 1).half(),
    )  # fmt: skip
    assert moved.dtype == torch.float16
    assert (moved.float() - x.float()).abs().max() < 0.01


def test_it_can_be_trained() -> None:
    with torch.inference_mode(False):
        layer = DeformableConv(2, 3, 3)
        layer(torch.randn(1, 2, 6, 6)).square().mean().backward()
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_an_exported_layer_is_one_node(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    layer = DeformableConv(3, 4, 3).eval()
    for convolution in (layer.offset_conv, layer.modulator_conv):
        convolution.weight.normal_(0, 0.3)
    x = torch.randn(1, 3, 10, 12)
    program = torch.onnx.export(
        layer, (x,), dynamo=True, verbose=False, opset_version=deformable.ONNX_OPSET,
        input_names=["x"], output_names=["y"],
    )  # fmt: skip
    file = tmp_path / "layer.onnx"
    program.save(str(file), external_data=False)
    kinds = [node.op_type for node in onnx.load(file).graph.node]
    assert kinds.count("DeformConv") == 1
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    answer = torch.from_numpy(session.run(["y"], {"x": x.numpy()})[0])
    assert (answer - layer(x)).abs().max() < 1e-5
