# SPDX-License-Identifier: Apache-2.0
"""BiRefNet and its Swin encoder: bounded memory changes nothing, layouts are told by tensors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.errors import WeightsError
from matte_nodes.models.networks import birefnet as module
from matte_nodes.models.networks import swin
from matte_nodes.models.networks.birefnet import SWIN_L, BiRefNet, detect, pieces_of

Alive = Callable[[nn.Module], nn.Module]
Shapes = dict[str, tuple[int, ...]]


def _shapes(**options: Any) -> Shapes:
    """Names and shapes as a published file has them."""
    with torch.device("meta"):
        network = BiRefNet(**options)
    found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name in list(found):
        if name.endswith("relative_position_bias_table"):
            side = network.bb.layers[0].blocks[0].window ** 2
            found[name.replace("bias_table", "index")] = (side, side)
    return found


PUBLISHED: dict[str, dict[str, Any]] = {
    "swin_v1_t": {},
    "swin_v1_s": {"depths": (2, 2, 18, 2)},
    "swin_v1_b": {
        "embed": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32), "window": 12,
    },
    "swin_v1_l": dict(SWIN_L),
    "narrow": {"embed": 24, "inner": 16, "branch": 32, "window": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_encoder_is_told_by_tensors(name: str) -> None:
    options = PUBLISHED[name]
    found = detect(_shapes(**options), "model")
    assert found is not None
    usual = {"embed": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24), "window": 7}
    usual |= {"inner": 64, "branch": 256, "size": 1024}
    assert found.options == usual | options
    with torch.device("meta"):
        built = BiRefNet(**found.options).state_dict()
    kept = {found.names[n] for n in _shapes(**options) if n not in found.dropped}
    assert kept == set(built)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("birefnet_hr-matting", 2048),
        ("birefnet_dynamic-matting", 0),
        ("birefnet_lite-matting", 1024),
        ("birefnet-general-bb_swin_v1_tiny-epoch_232", 1024),
        ("model", 1024),
        ("three_people", 1024),
    ],
)
def test_the_size_goes_by_the_name(name: str, size: int) -> None:
    found = detect(_shapes(), name)
    assert found is not None
    assert found.options["size"] == size
    assert found.open["size"][0] == size
    assert found.decide({"size": 2048}).options["size"] == 2048


def test_other_encoders_are_refused_in_words() -> None:
    shapes = {re.sub(r"^bb\.layers", "bb.blocks", name): shape for name, shape in _shapes().items()}
    with pytest.raises(WeightsError, match="encoder that the library does not have"):
        detect(shapes, "")


def test_rmbg_terms_are_named() -> None:
    found = detect(_shapes(), "rmbg-2.0")
    assert found is not None
    assert "non-commercial" in found.summary


def test_pieces_are_cut_where_they_stand() -> None:
    picture = torch.randn(2, 3, 8, 12)
    pieces = pieces_of(picture, torch.zeros(1, 1, 4, 3))
    assert pieces.shape == (2, 3 * 2 * 4, 4, 3)
    # channel 1, second row of pieces, third column
    assert torch.equal(pieces[:, 8 + 4 + 2], picture[:, 1, 4:8, 6:9])


@pytest.fixture
def narrow(alive: Alive) -> nn.Module:
    return alive(BiRefNet.narrow(0.125))


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 128)])
def test_logits_have_the_size_of_the_picture(narrow: nn.Module, size: tuple[int, int]) -> None:
    logits = narrow(torch.randn(1, 3, *size))
    assert logits.shape == (1, 1, *size)
    assert torch.isfinite(logits).all()
    assert logits.min() < 0  # not squeezed to 0..1


def test_bounded_memory_changes_nothing(narrow: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = torch.randn(1, 3, 96, 128)
    whole = narrow(rgb)
    monkeypatch.setattr(module, "_STRIP", 8 * 128 * 7)
    monkeypatch.setattr(swin, "_TOKENS", 100)
    assert (narrow(rgb) - whole).abs().max() < 1e-5 * whole.abs().max()


@pytest.mark.parametrize("rows", [1, 3, 8, 100])
def test_the_last_reference_is_the_sum_of_its_channels(
    rows: int, alive: Alive, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = alive(module._Reference(3, 5, 4))
    picture, weight = torch.randn(2, 3, 17, 9), torch.randn(1, 5, 1, 1)
    plain = F.conv2d(reference(picture), weight)
    monkeypatch.setattr(module, "_STRIP", 4 * 9 * rows)
    assert (reference.weighed(picture, weight) - plain).abs().max() < 1e-5


def test_windows_go_back_where_they_were() -> None:
    x = torch.randn(2, 12, 8, 3)
    windows = swin.windows_of(x, 4)
    assert windows.shape == (12, 16, 3)
    assert torch.equal(windows[1].reshape(4, 4, 3), x[0, :4, 4:8])
    assert torch.equal(swin.picture_of(windows, 4, (12, 8)), x)


def test_relative_index_is_of_pairs() -> None:
    index = swin.relative_index(3)
    # the same place, and one column and one row apart, in a table of 5 x 5
    assert index[4, 4] == 2 * 5 + 2
    assert index[4, 3] == 2 * 5 + 3
    assert index[4, 1] == 3 * 5 + 2


def test_shifted_windows_keep_opposite_sides_apart(alive: Alive) -> None:
    block = alive(swin._Block(8, 2, 4, 2))
    x = torch.randn(1, 8, 8, 8)
    mask = swin._shift_mask(8, 8, 4, x)

    def changed(at: tuple[int, int]) -> Tensor:
        moved = x.clone()
        moved[0, at[0], at[1]] = torch.randn(8)
        return (block(moved, mask) - block(x, mask)).abs().amax((0, 3)) > 1e-6

    # rows 0 and 7 share a window after the shift, and must not see each other
    assert not changed((0, 0))[7].any()
    assert not changed((0, 0))[:, 7].any()
    assert changed((0, 0))[1, 1]
    assert changed((3, 3))[4, 4]


def test_a_trace_works_in_half_precision(alive: Alive) -> None:
    # as Nuke's "Optimize for Speed and Memory" makes it
    network = alive(BiRefNet.narrow(0.125))
    rgb = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        traced = torch.jit.trace(network, rgb, check_trace=False)
        assert (traced(rgb) - network(rgb)).abs().max() < 1e-5
        half = traced.half()(rgb.half())
    assert half.dtype == torch.float16
    assert (half.float() - network.float()(rgb)).abs().mean() < 0.05
