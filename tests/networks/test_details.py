# SPDX-License-Identifier: Apache-2.0
"""Details that decide parity, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from matte_nodes.models.networks import background_matting_v2 as v2
from matte_nodes.models.networks.adamatting import AdaMatting, ConvLSTMCell, GlobalConvolution
from matte_nodes.models.networks.background_matting import BackgroundMatting
from matte_nodes.models.networks.blocks import pool_indexed, same_padding, unpool
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.models.networks.gfm import collaborate
from matte_nodes.models.networks.mmnet import double_legacy, scaled
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting

Alive = Callable[[nn.Module], nn.Module]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [
        (256, 3, 1, 1, (1, 1)),
        (256, 3, 2, 1, (0, 1)),
        (255, 3, 2, 1, (1, 1)),
        (64, 5, 2, 1, (1, 2)),
        (64, 3, 1, 8, (8, 8)),
        (64, 1, 1, 1, (0, 0)),
        (7, 2, 3, 1, (0, 1)),
    ],
)
def test_same_padding(
    size: int, kernel: int, stride: int, dilation: int, expected: tuple[int, int]
) -> None:
    assert same_padding(size, kernel, stride, dilation) == expected


def test_legacy_bilinear_has_no_half_pixel() -> None:
    x = torch.tensor([[[[0.0, 4.0], [8.0, 20.0]]]])
    expected = torch.tensor(
        [[0, 2, 4, 4], [4, 8, 12, 12], [8, 14, 20, 20], [8, 14, 20, 20]], dtype=torch.float32
    )
    assert torch.equal(double_legacy(x)[0, 0], expected)


@pytest.mark.parametrize(
    ("depth", "multiplier", "channels"),
    [(32, 1.0, 32), (32, 0.5, 16), (40, 0.75, 32), (24, 0.5, 16), (16, 0.25, 8), (40, 1.4, 56)],
)
def test_depth_multiplier(depth: int, multiplier: float, channels: int) -> None:
    assert scaled(depth, multiplier) == channels


def test_unpooling_puts_values_back_where_they_stood() -> None:
    x = torch.tensor([[[[1.0, 5.0, 0.0, 0.0], [2.0, 3.0, 0.0, 0.0]]]])
    pooled, where = pool_indexed(x)
    assert pooled.flatten().tolist() == [5, 0]
    back = unpool(torch.tensor([[[[7.0, 9.0]]]]), where, x)
    # among equal values the first one, in reading order, was the maximum
    assert back[0, 0].tolist() == [[0, 7, 9, 0], [0, 0, 0, 0]]


def test_convolutional_lstm_follows_its_equations() -> None:
    cell = ConvLSTMCell(2, 1, kernel=1)
    weight = torch.tensor([[0.5, -0.25, 1.0], [0.3, 0.1, -0.2], [1.0, 0.0, 0.5], [-1, 2, 0.4]])
    cell.gates.weight.copy_(weight[:, :, None, None])
    cell.gates.bias.copy_(torch.tensor([0.1, 0.2, -0.1, 0.0]))
    x, h, c = (0.8, -0.6), 0.3, -0.7

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    i, f, o, g = (
        row[0] * x[0] + row[1] * x[1] + row[2] * h + bias
        for row, bias in zip(weight.tolist(), (0.1, 0.2, -0.1, 0.0), strict=True)
    )
    new_cell = sigmoid(f) * c + sigmoid(i) * math.tanh(g)
    new_hidden = sigmoid(o) * math.tanh(new_cell)

    def pixel(*values: float) -> torch.Tensor:
        return torch.tensor(values).reshape(1, -1, 1, 1)

    hidden, memory = cell(pixel(*x), pixel(h), pixel(c))
    assert hidden.item() == pytest.approx(new_hidden, abs=1e-6)
    assert memory.item() == pytest.approx(new_cell, abs=1e-6)


def test_propagation_is_unrolled_three_times_and_remembers(alive: Alive) -> None:
    unit = alive(AdaMatting(0.125)).prop_unit
    assert unit.steps == 3
    x, trimap, alpha = torch.rand(1, 4, 16, 16), torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16)
    hidden = x.new_zeros((1, unit.channels, 16, 16))
    cell, expected = hidden, alpha
    for _ in range(3):
        seen = unit.features(torch.cat((x, trimap, expected), 1))
        hidden, cell = unit.cell(seen, hidden, cell)
        expected = expected + unit.correct(hidden)
    assert torch.allclose(unit(x, trimap, alpha), expected, atol=1e-6)
    # a cell that forgot between the steps would answer something else
    unit.steps = 1
    forgetful = alpha
    for _ in range(3):
        forgetful = unit(x, trimap, forgetful)
    assert not torch.allclose(forgetful, expected, atol=1e-3)


def test_adamatting_alpha_obeys_the_adapted_trimap(alive: Alive) -> None:
    answer = alive(AdaMatting(0.125))(torch.rand(1, 4, 64, 64))
    adapted = answer.adapted
    assert set(adapted.unique().tolist()) <= {0.0, 0.5, 1.0}
    assert (answer.alpha[adapted == 0] == 0).all()
    assert (answer.alpha[adapted == 1] == 1).all()
    unknown = adapted == 0.5
    assert unknown.any()
    assert torch.equal(answer.alpha[unknown], answer.estimate[unknown].clamp(0, 1))


def test_global_convolution_is_two_separable_branches() -> None:
    layer = GlobalConvolution(1, kernel=3)
    for parameter in layer.parameters():
        parameter.fill_(0.0 if parameter.ndim == 1 else 1.0)
    picture = torch.zeros(1, 1, 7, 7)
    picture[0, 0, 3, 3] = 1
    expected = torch.zeros(7, 7)
    expected[2:5, 2:5] = 2
    assert torch.equal(layer(picture)[0, 0], expected)


def test_collaborative_matting() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.1, 0.8, 0.3], [0.0, 0.1, 0.9]]).T.reshape(1, 3, 1, 3)
    focus = torch.tensor([0.3, 0.4, 0.6]).reshape(1, 1, 1, 3)
    assert collaborate("TT", scores, focus).flatten().tolist() == pytest.approx([0, 0.4, 1])
    two = scores[:, :2]
    assert collaborate("FT", two, focus).flatten().tolist() == pytest.approx([0.3, 1, 1])
    assert collaborate("BT", two, focus).flatten().tolist() == pytest.approx([0, 0.6, 0.4])


def test_published_wiring_does_not_see_the_motion(alive: Alive) -> None:
    image, plate, seg = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    still, moving = torch.zeros(1, 4, 32, 32), torch.rand(1, 4, 32, 32)
    network = alive(BackgroundMatting(0.125))
    assert torch.equal(network(image, plate, seg, still)[0], network(image, plate, seg, moving)[0])
    network.wiring = "paper"
    assert not torch.equal(
        network(image, plate, seg, still)[0], network(image, plate, seg, moving)[0]
    )


def test_skips_and_refinement_change_the_answer(alive: Alive) -> None:
    x = torch.rand(1, 4, 64, 32)
    network = alive(DeepImageMatting(0.125))
    answer = network(x)
    assert torch.equal(answer.alpha, answer.alpha_refined)
    assert not torch.equal(answer.alpha_stage1, answer.alpha_refined)
    network.skip = True
    assert not torch.equal(network(x).alpha_stage1, answer.alpha_stage1)
    assert DeepImageMatting(0.125, refine=False).eval()(x).alpha_refined is None


@pytest.mark.parametrize("kernel", [1, 3])
def test_refining_every_patch_is_refining_the_whole(alive: Alive, kernel: int) -> None:
    network = alive(v2.BackgroundMattingV2(refine_kernel=kernel))
    src, bgr = torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96)
    whole = network(src, bgr, refine_mode="full")
    every = network(src, bgr, refine_mode="thresholding", refine_threshold=-1.0)
    assert torch.allclose(whole.alpha, every.alpha, atol=1e-5)
    assert torch.allclose(whole.foreground, every.foreground, atol=1e-5)
    some = network(src, bgr, refine_mode="sampling", refine_sample_pixels=16 * 5)
    assert some.refined.sum((1, 2, 3)).max() <= 5
    inside = some.refined.repeat_interleave(4, 2).repeat_interleave(4, 3).bool()
    assert torch.allclose(some.alpha[inside], whole.alpha[inside], atol=1e-5)
    none = network(src, bgr, refine_mode="thresholding", refine_threshold=2.0)
    assert none.refined.sum() == 0
    assert none.alpha.shape == whole.alpha.shape


def test_patches_are_cut_where_they_stand() -> None:
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    where = (torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([0, 1]))
    cut = v2.crop_patches(x, where, 4, 1)
    assert cut.shape == (2, 1, 6, 6)
    assert torch.equal(cut[0, 0, 1:, 1:], x[0, 0, :5, :5])
    assert cut[0, 0, 0].sum() == 0
    assert torch.equal(cut[1, 0, :5, :5], x[0, 0, 3:, 3:])


def test_video_memory_is_only_what_is_passed(alive: Alive) -> None:
    network = alive(RobustVideoMatting())
    first, second = torch.rand(1, 3, 48, 64), torch.rand(1, 3, 48, 64)
    start = network(first)
    after = network(second, *start.states)
    assert [state.shape[1] for state in start.states] == list(network.state_channels)
    assert not torch.equal(after.alpha, network(second).alpha)
    # nothing was kept: the same arguments give the same answer, in any order
    assert torch.equal(network(first).alpha, start.alpha)
    assert torch.equal(network(second, *start.states).alpha, after.alpha)
    zeros = [torch.zeros(1, 1, 1, 1)] * 4
    assert torch.equal(network(first, *zeros).alpha, start.alpha)


def test_video_takes_any_size(alive: Alive) -> None:
    network = alive(RobustVideoMatting())
    answer = network(torch.rand(1, 3, 75, 101), downsample_ratio=0.5)
    again = network(torch.rand(1, 3, 75, 101), *answer.states, downsample_ratio=0.5)
    assert again.alpha.shape == (1, 1, 75, 101)
    assert again.foreground.shape == (1, 3, 75, 101)
