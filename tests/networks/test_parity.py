# SPDX-License-Identifier: Apache-2.0
"""The published networks' answers, and fixtures that are spoilt or not understood."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from matte_nodes.diagnostics.parity import run_parity
from matte_nodes.diagnostics.parity_recipe import image, make_inputs, trimap, weight
from matte_nodes.errors import MatteError
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.models.networks.gfm import GFM, undecided
from matte_nodes.models.networks.mmnet import MMNet
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting

from .layouts import arrays, plain, tensorflow


def test_published_networks(parity_folder: Path, tmp_path: Path) -> None:
    # the two largest take a minute of random numbers each; `matte bench parity` runs them too
    slow = {"gfm-d121-rim", "gfm-r34-2b-tt"}
    for path in parity_folder.iterdir():
        if path.suffix in (".json", ".npz") and path.stem not in slow:
            (tmp_path / path.name).symlink_to(path)
    rows = run_parity(tmp_path)
    assert len(rows) >= 15
    assert [row for row in rows if not row.ok] == []


@pytest.mark.slow
def test_every_published_network(parity_folder: Path) -> None:
    assert [row for row in run_parity(parity_folder) if not row.ok] == []


def test_recipe_is_the_published_one() -> None:
    # numbers written down once from the fixtures' own recipe
    made = weight("conv1_1.weight", (2, 3, 1, 1), salt=1, gain=1.6)
    assert made.dtype == np.float32
    assert made.flatten().tolist() == pytest.approx(
        [1.265715, -0.8246276, -0.3878929, -0.8365167, 0.3248976, 0.2375818], rel=1e-5
    )
    assert weight("bn.bias", (2,), 3).tolist() == pytest.approx([-0.197568, -0.0364681], rel=1e-5)
    assert weight("bn.weight", (2,), 3).tolist() == pytest.approx([0.9112712, 0.65737], rel=1e-5)
    variance = weight("bn.running_var", (2,), 3)
    assert variance.tolist() == pytest.approx([0.9501629, 1.0810262], rel=1e-5)
    assert weight("bn.num_batches_tracked", ()).dtype == np.int64
    picture = image("src0", (1, 1, 1, 3), -2, 2, 6)
    assert picture.flatten().tolist() == pytest.approx([0.5570861, 0.5765517, -0.1384343], rel=1e-5)
    blocks = trimap("trimap", (1, 1, 20, 12), 1)
    assert blocks.shape == (1, 1, 20, 12)
    assert set(np.unique(blocks)) <= {np.float32(0), np.float32(128 / 255), np.float32(1)}
    assert (blocks[0, 0, :8, :8] == blocks[0, 0, 0, 0]).all()


def test_inputs_are_made_from_their_words() -> None:
    made = make_inputs(
        {
            "x": ["rgb: image(low=-2,high=2)", "trimap()", [1, 4, 16, 16]],
            "src0..2": ["image(), three frames in order, downsample_ratio 0.5", [1, 3, 8, 8]],
        },
        salt=5,
    )
    assert list(made) == ["x", "src0", "src1", "src2"]
    assert np.array_equal(made["x"][:, :3], image("rgb", (1, 3, 16, 16), -2, 2, 5))
    assert np.array_equal(made["x"][:, 3:], trimap("trimap", (1, 1, 16, 16), 5))
    assert np.array_equal(made["src2"], image("src2", (1, 3, 8, 8), salt=5))
    with pytest.raises(ValueError, match="nothing to make it from"):
        make_inputs({"y": ["noise()", [1, 3, 8, 8]]}, 0)


def _filled(network: nn.Module, salt: int) -> nn.Module:
    state = {
        name: torch.from_numpy(np.asarray(weight(name, tuple(tensor.shape), salt, 1.2)))
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(state)
    return network.eval()


def _write(
    folder: Path,
    name: str,
    network: nn.Module,
    inputs: dict[str, Any],
    outputs: dict[str, torch.Tensor],
    **more: Any,
) -> None:
    content = {
        "network": name,
        "salt": 9,
        "gain": 1.2,
        "inputs": inputs,
        "outputs": {key: list(value.shape) for key, value in outputs.items()},
        "tensors": {key: list(value.shape) for key, value in network.state_dict().items()},
        **more,
    }
    (folder / f"{name}.json").write_text(json.dumps(content))
    np.savez(folder / f"{name}.npz", **arrays(outputs))


def _deep(folder: Path, name: str = "deep-image-matting", skip: bool = False) -> None:
    network = _filled(DeepImageMatting(0.0625, skip=skip), 9)
    x = np.concatenate((image("rgb", (1, 3, 32, 64), -2, 2, 9), trimap("t", (1, 1, 32, 64), 9)), 1)
    answer = network(torch.from_numpy(x))._asdict()
    _write(
        folder, name, network, {"x": ["rgb: image(low=-2,high=2)", "t: trimap()", [1, 4, 32, 64]]},
        answer,
    )  # fmt: skip


def test_other_widths_and_variants_pass(tmp_path: Path) -> None:
    _deep(tmp_path)
    _deep(tmp_path, "with-skip", skip=True)
    # nothing says that this one adds its encoder's maps: the other variant is tried, and named
    _deep(tmp_path, "unnamed", skip=True)
    network = _filled(RobustVideoMatting(), 9)
    outputs, states = {}, ()
    for number in range(2):
        frame = torch.from_numpy(image(f"src{number}", (1, 3, 40, 56), salt=9))
        answer = network(frame, *states, downsample_ratio=0.75)
        states = answer.states
        outputs |= {f"alpha{number}": answer.alpha, f"foreground{number}": answer.foreground}
    words = {"src0..1": ["image(), two frames, downsample_ratio 0.75", [1, 3, 40, 56]]}
    _write(tmp_path, "video", network, words, outputs)
    network = _filled(GFM("r34", "BT", 0.125), 9)
    answer = network(torch.from_numpy(image("rgb", (1, 3, 32, 32), 0, 1, 9))).answers["BT"]
    _write(tmp_path, "gfm", network, {"rgb": ["image()", [1, 3, 32, 32]]}, answer._asdict())
    small = MMNet(0.5).eval()
    x = image("X", (1, 32, 32, 3), salt=9)
    logits = small(torch.from_numpy(x).permute(0, 3, 1, 2)).logits.permute(0, 2, 3, 1)
    np.savez(
        tmp_path / "mmnet.npz",
        X=x, L=logits, P=logits.softmax(-1), **arrays(tensorflow(plain(small))),
    )  # fmt: skip
    rows = run_parity(tmp_path)
    assert [row for row in rows if not row.ok] == []
    assert {row.fixture for row in rows} == {
        "deep-image-matting", "with-skip", "unnamed", "video", "gfm", "mmnet",
    }  # fmt: skip
    assert all("skip cannot be told" in row.note for row in rows if row.fixture == "unnamed")
    assert len([row for row in rows if row.fixture == "video"]) == 4


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "deep-image-matting.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "salt": (lambda f: _edit(f, lambda c: c.update(salt=10)), ""),
    "tensor missing": (lambda f: _edit(f, lambda c: c["tensors"].pop("conv2_1.bias")), "missing"),
    "tensor mis-shaped": (
        lambda f: _edit(f, lambda c: c["tensors"].update({"conv2_1.bias": [9]})), "shape"),
    "tensor extra": (lambda f: _edit(f, lambda c: c["tensors"].update(more=[3])), "extra"),
    "unknown network": (
        lambda f: _edit(f, lambda c: c.update(tensors={"a": [1]})), "belong to no network"),
    "unknown recipe": (
        lambda f: _edit(f, lambda c: c.update(inputs={"x": ["noise()", [1, 4, 32, 32]]})),
        "nothing to make it from"),
    "input of another size": (
        lambda f: _edit(f, lambda c: c["inputs"]["x"].__setitem__(2, [1, 4, 64, 64])), "shape"),
    "no inputs": (lambda f: _edit(f, lambda c: c.pop("inputs")), "not understood"),
    "not json": (lambda f: (f / "deep-image-matting.json").write_text("{"), "not understood"),
    "a list": (lambda f: (f / "deep-image-matting.json").write_text("[]"), "not understood"),
    "no npz": (lambda f: (f / "deep-image-matting.npz").unlink(), "not understood"),
    "npz cut short": (
        lambda f: (f / "deep-image-matting.npz").write_bytes(
            (f / "deep-image-matting.npz").read_bytes()[:500]),
        "not understood"),
    "output absent": (
        lambda f: np.savez(f / "deep-image-matting.npz", alpha_stage1=np.zeros((1, 1, 32, 64))),
        "does not hold the output"),
    "values not finite": (
        lambda f: np.savez(
            f / "deep-image-matting.npz",
            alpha_stage1=np.full((1, 1, 32, 64), np.nan),
            alpha_refined=np.full((1, 1, 32, 64), np.nan)),
        ""),
    "json gone": (lambda f: (f / "deep-image-matting.json").unlink(), "not understood"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(SPOILT))
def test_spoilt_fixtures_fail(what: str, tmp_path: Path) -> None:
    spoil, says = SPOILT[what]
    _deep(tmp_path)
    _deep(tmp_path, "whole")
    assert all(row.ok for row in run_parity(tmp_path))
    spoil(tmp_path)
    rows = run_parity(tmp_path)
    bad = [row for row in rows if row.fixture == "deep-image-matting"]
    assert bad
    assert not any(row.ok for row in bad)
    assert all(says in row.note for row in bad)
    assert all(row.ok for row in rows if row.fixture == "whole")


def test_one_pixel_is_enough(tmp_path: Path) -> None:
    _deep(tmp_path)
    path = tmp_path / "deep-image-matting.npz"
    with np.load(path) as file:
        outputs = {name: file[name].copy() for name in file.files}
    outputs["alpha_refined"][0, 0, 5, 5] += 2e-4
    np.savez(path, **outputs)
    rows = {row.output: row for row in run_parity(tmp_path)}
    assert rows["alpha_stage1"].ok
    assert not rows["alpha_refined"].ok
    assert rows["alpha_refined"].difference == pytest.approx(2e-4, rel=0.05)


def test_folders_without_fixtures(tmp_path: Path) -> None:
    (row,) = run_parity(tmp_path)
    assert not row.ok
    assert math.isnan(row.difference)
    with pytest.raises(MatteError, match="no folder"):
        run_parity(tmp_path / "absent")


def test_pixels_of_two_minds_are_left_out() -> None:
    glance = np.array([[0.5, 0.9], [0.50005, 0.2], [0.1, 0.3]], np.float32).reshape(1, 3, 1, 2)
    found = undecided("fusion", {"glance": glance})
    assert found is not None
    assert found.flatten().tolist() == [True, False]
    assert undecided("focus", {"glance": glance}) is None
    both = undecided("out_3", {"out_0_0": glance, "out_1_0": glance[..., ::-1]})
    assert both is not None
    assert both.flatten().tolist() == [True, True]
