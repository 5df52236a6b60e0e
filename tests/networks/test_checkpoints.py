# SPDX-License-Identifier: Apache-2.0
"""Every published layout is recognised and gives the same answer; misfits are refused, listed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from matte_nodes import checkpoints, models
from matte_nodes.architecture import Architecture, Options
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.background_matting import BackgroundMatting
from matte_nodes.models.networks.deep_image_matting import ARCHITECTURE as DIM
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.models.networks.gfm import ARCHITECTURE as GFM_DECLARED
from matte_nodes.models.networks.gfm import GFM

from .layouts import (
    VARIANTS,
    WRITERS,
    arrays,
    flat,
    gfm_resnet,
    inputs,
    own,
    parallel,
    plain,
)

ALL = models.architectures()
Alive = Callable[[nn.Module], nn.Module]


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _recognise(shapes: dict[str, tuple[int, ...]], hint: str = "") -> checkpoints.Recognition:
    return checkpoints.recognise(shapes, ALL, hint)[1]


def test_every_layout_that_is_declared_is_tested() -> None:
    declared = {layout for architecture in own() for layout in architecture.layouts}
    assert set(WRITERS) <= declared


@pytest.mark.parametrize(("architecture", "options"), VARIANTS)
def test_round_trip(
    architecture: Architecture, options: Options, alive: Alive, tmp_path: Path
) -> None:
    network = alive(architecture.build(**options))
    pictures = inputs(architecture)
    expected = flat(network(*pictures))
    ours = plain(network)
    files = {"ours": ours, "parallel": parallel(ours)}
    files |= {
        name: WRITERS[name](network, ours) for name in architecture.layouts if name in WRITERS
    }
    for name, tensors in files.items():
        if tensors is None:
            continue
        path = tmp_path / f"{name}.npz"
        np.savez(path, **arrays(tensors))
        recognition = checkpoints.inspect(path, ALL).recognition
        assert recognition.model == architecture.id
        if name in architecture.layouts:
            assert recognition.layout == name
        told = {option: getattr(network, option) for option in recognition.open}
        loaded, _ = checkpoints.load(path, ALL, **told)
        for got, wanted in zip(flat(loaded(*pictures)), expected, strict=True):
            assert torch.equal(got, wanted), name
        # and once more through the library's own file, which remembers what the tensors cannot tell
        out = tmp_path / "ours.safetensors"
        checkpoints.convert(path, out, ALL, **told)
        again, _ = checkpoints.load(out, ALL)
        for got, wanted in zip(flat(again(*pictures)), expected, strict=True):
            assert torch.equal(got, wanted), name


@pytest.mark.parametrize("nest", ["state_dict", "model", "plain", "both"])
@pytest.mark.parametrize("old", [False, True])
def test_pytorch_files(nest: str, old: bool, alive: Alive, tmp_path: Path) -> None:
    network = alive(DeepImageMatting(0.0625))
    tensors = plain(network)
    content = {
        "plain": tensors,
        "state_dict": {"state_dict": tensors, "epoch": 3, "best_sad": np.float64(52.9)},
        "model": {"model": tensors, "optimizer": {"state": {0: {"step": 1}}}},
        "both": {"model": {"state_dict": tensors}, "args": {"lr": 1e-5}},
    }[nest]
    path = tmp_path / "stage1_skip_sad_52.9.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    loaded, recognition = checkpoints.load(path, ALL)
    # the file's name speaks of skips; a person can say otherwise
    assert recognition.options["skip"] is True
    assert "skip = True is assumed" in recognition.summary
    loaded, recognition = checkpoints.load(path, ALL, skip=False)
    assert recognition.summary == recognition.found
    x = inputs(DIM)[0]
    assert torch.equal(loaded(x).alpha, network(x).alpha)


@pytest.mark.parametrize(
    ("name", "skip"),
    [("stage1_skip", True), ("stage1_sad_54.4", False), ("dim-no-skip", False), ("noskip", False),
     ("without additive skips", False), ("skip: none", False), ("additive skips", True)],
)  # fmt: skip
def test_names_that_speak_of_skips(name: str, skip: bool) -> None:
    shapes = _shapes(plain(DeepImageMatting(0.0625)))
    assert _recognise(shapes, name).options["skip"] is skip


def test_two_class_gfm_is_told_by_its_name() -> None:
    shapes = _shapes(plain(GFM("r34", "BT", 0.0625)))
    assert _recognise(shapes, "gfm_r34_bt").options["rosta"] == "BT"
    found = _recognise(shapes, "gfm")
    assert found.open == {"rosta": ("FT", "BT")}
    with pytest.raises(WeightsError, match="rosta is one of FT, BT"):
        found.decide({"rosta": "TT"})


def test_options_are_read_from_shapes() -> None:
    network = BackgroundMatting(0.375, blocks=(3, 2), part_channels=20)
    found = _recognise(_shapes(plain(network)))
    assert found.options == {
        "width": 0.375, "blocks": (3, 2), "part_channels": 20, "wiring": "published",
    }  # fmt: skip
    with pytest.raises(WeightsError, match=r"width is 0\.375 by the tensors' shapes"):
        found.decide({"width": 1.0})
    with pytest.raises(WeightsError, match="no option 'colour'"):
        found.decide({"colour": "red"})


def test_widths_off_the_plan_are_read_from_shapes(alive: Alive, tmp_path: Path) -> None:
    widths = {"decoder4_g": (12, 8, 20), "decoder2_f": (8, 12, 8)}
    network = alive(GFM("r34", "TT", 0.0625, widths))
    save_file(gfm_resnet(plain(network)), tmp_path / "wide.safetensors")
    loaded, recognition = checkpoints.load(tmp_path / "wide.safetensors", ALL)
    assert recognition.options["widths"] == widths
    picture = inputs(GFM_DECLARED)[0]
    assert torch.equal(loaded(picture).fusion, network(picture).fusion)


def test_what_is_wrong_is_listed_and_nothing_loaded() -> None:
    source = DeepImageMatting(0.0625)
    tensors = plain(source)
    del tensors["conv3_2.bias"]
    tensors["conv9_9.weight"] = torch.zeros(2, 3)
    tensors["deconv1.weight"] = torch.zeros(1, 4, 3, 3)
    tensors["conv1_1.bias"] = torch.full((4,), float("nan"))
    recognition = _recognise(_shapes(tensors))
    network = checkpoints.build(DIM, recognition)
    before = plain(network)
    with pytest.raises(checkpoints.CheckpointError) as error:
        checkpoints.fill(network, recognition, tensors)
    found = {(row.problem, row.name) for row in error.value.rows}
    assert found == {
        ("missing", "conv3_2.bias"),
        ("extra", "conv9_9.weight"),
        ("shape", "deconv1.weight"),
        ("values", "conv1_1.bias"),
    }
    assert "4 of its tensors do not fit; nothing was loaded" in str(error.value)
    assert "1 x 4 x 5 x 5" in str(error.value)
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())


def test_one_wrong_shape_does_not_change_the_width() -> None:
    tensors = plain(DeepImageMatting(0.0625))
    tensors["conv1_1.weight"] = torch.zeros(64, 4, 3, 3)
    recognition = _recognise(_shapes(tensors))
    assert recognition.options["width"] == 0.0625


def test_twins_that_differ_are_refused() -> None:
    tensors = gfm_resnet(plain(GFM("r34", "TT", 0.0625)))
    tensors["encoder2.0.conv1.weight"] += 1
    recognition = _recognise(_shapes(tensors))
    with pytest.raises(checkpoints.CheckpointError) as error:
        checkpoints.fill(GFM("r34", "TT", 0.0625), recognition, tensors)
    assert [row.problem for row in error.value.rows] == ["twin"]


def test_half_precision_becomes_full(alive: Alive, tmp_path: Path) -> None:
    network = alive(DeepImageMatting(0.0625))
    half = {name: tensor.half() for name, tensor in plain(network).items()}
    save_file(half, tmp_path / "half.safetensors")
    loaded, _ = checkpoints.load(tmp_path / "half.safetensors", ALL)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}


def test_provenance_is_written(alive: Alive, tmp_path: Path) -> None:
    path, out = tmp_path / "netG_epoch_64.pth", tmp_path / "bm.safetensors"
    torch.save(plain(alive(BackgroundMatting(0.0625))), path)
    recognition = checkpoints.convert(path, out, ALL, wiring="paper")
    assert "Background Matting, width 0.0625" in recognition.found
    with safetensors.safe_open(out, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["matte_nodes.model"] == "background-matting"
    assert metadata["matte_nodes.source"] == "netG_epoch_64.pth"
    assert len(metadata["matte_nodes.source_sha256"]) == 64
    assert json.loads(metadata["matte_nodes.options"])["wiring"] == "paper"
    assert checkpoints.inspect(out, ALL).recognition.options["wiring"] == "paper"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["down1.conv1.cbr_unit.0.weight", "up1.conv.cbr_unit.0.weight"], "foamliu"),
        (["encoder_conv.0.weight", "log_sigma_t_sqr", "log_sigma_a_sqr"], "re-implementation"),
        (["tfi_3.0.weight", "psp_module.bottleneck.weight"], "P3M-Net"),
        (["layer.weight"], "belong to no network"),
        ([], "no tensors"),
    ],
)
def test_foreign_networks_are_named(names: list[str], says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        _recognise(dict.fromkeys(names, (1, 1, 1, 1)))
