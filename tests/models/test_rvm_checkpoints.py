# SPDX-License-Identifier: Apache-2.0
"""rvm takes an imported PyTorch checkpoint of either backbone, and any published ONNX file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from matte_nodes import MatteNode, models, weights
from matte_nodes.card import Inputs, LoadContext
from matte_nodes.cli import matte
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting
from matte_nodes.runtime import Device
from matte_nodes.shot.choose_model import is_ready
from matte_nodes.testing.scene import scene
from tests.conftest import needs_weights

CARD = models.card("rvm")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder."""
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    return tmp_path


def _file(folder: Path, backbone: Any, name: str | None = None) -> tuple[Path, RobustVideoMatting]:
    torch.manual_seed(3)
    network = RobustVideoMatting(backbone).eval()
    path = folder / (name or f"rvm_{backbone}.pth")
    torch.save(network.state_dict(), path)
    return path, network


def _expected(network: RobustVideoMatting, plates: list[np.ndarray]) -> list[np.ndarray]:
    """Alphas of the network itself over a shot."""
    states: tuple[Any, ...] = ()
    found = []
    with torch.inference_mode():
        for plate in plates:
            src = torch.from_numpy(plate).permute(2, 0, 1)[None]
            answer = network(src, *states, downsample_ratio=0.5, refine=True)
            states = answer.states
            found.append(answer.alpha[0, 0].numpy())
    return found


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenetv3"])
def test_an_imported_checkpoint_runs(backbone: str, home: Path) -> None:
    path, network = _file(home, backbone)
    assert not is_ready(CARD)
    told = CliRunner().invoke(matte, ["models", "import", str(path)])
    assert told.exit_code == 0, told.output
    assert backbone in told.output
    assert is_ready(CARD)
    node = MatteNode("rvm", device="cpu", threads=1)
    assert list(node.weights_identity) == ["checkpoint"]
    plates = [scene(64, 80, time=t).plate for t in range(2)]
    memory: Any = {}
    for plate, expected in zip(plates, _expected(network, plates), strict=True):
        prediction, memory = node.model.step(Inputs(plate), memory, {"downsample_ratio": 0.5})
        assert np.abs(prediction.alpha - expected).max() < 1e-4


def test_a_checkpoint_can_be_named(home: Path) -> None:
    path, _ = _file(home, "resnet50")
    matte = MatteNode("rvm", device="cpu", threads=1, weights=path)(scene(48, 64).plate)
    assert matte.alpha.shape == (48, 64)


def test_without_a_checkpoint_the_published_file_is_asked_for(home: Path) -> None:
    with pytest.raises(WeightsError, match="matte models pull rvm"):
        MatteNode("rvm", device="cpu")(scene(48, 64).plate)


def test_onnxruntime_on_a_pytorch_file_is_an_error(home: Path) -> None:
    path, _ = _file(home, "mobilenetv3")
    with pytest.raises(WeightsError, match="no ONNX file"):
        MatteNode("rvm", device="cpu", weights=path, engine="onnx")(scene(48, 64).plate)


def test_another_networks_checkpoint_is_refused(home: Path) -> None:
    from matte_nodes.models.networks.modnet import MODNet

    path = home / "modnet.pth"
    torch.save(MODNet().state_dict(), path)
    with pytest.raises(WeightsError, match="checkpoint of 'modnet'"):
        MatteNode("rvm", device="cpu", weights=path)(scene(48, 64).plate)


def test_an_imported_checkpoint_changes_the_identity(home: Path) -> None:
    before = weights.identity(CARD)
    path, _ = _file(home, "resnet50")
    given = weights.identity(CARD, path)
    assert set(before) == {CARD.weights[0].file}
    assert set(given) == {"checkpoint"}


def _signed(path: Path, inputs: tuple[str, ...]) -> Path:
    """An ONNX file with the published inputs and outputs; alpha is the red channel."""
    onnx = pytest.importorskip("onnx")
    helper, value = onnx.helper, onnx.helper.make_tensor_value_info
    rank4: Any = [None] * 4
    given = [value(name, 1, [1] if name == "downsample_ratio" else rank4) for name in inputs]
    nodes = [
        helper.make_node("Identity", ["src"], ["fgr"]),
        helper.make_node("Gather", ["src", "red"], ["pha"], axis=1),
        *(helper.make_node("Identity", [f"r{n}i"], [f"r{n}o"]) for n in (1, 2, 3, 4)),
    ]
    outputs = [value(name, 1, rank4) for name in ("fgr", "pha", "r1o", "r2o", "r3o", "r4o")]
    red = onnx.numpy_helper.from_array(np.array([0], np.int64), "red")
    graph = helper.make_graph(nodes, "rvm", given, outputs, [red])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


PUBLISHED = ("src", "r1i", "r2i", "r3i", "r4i", "downsample_ratio")


def test_an_onnx_file_of_any_backbone_runs_in_onnxruntime(home: Path) -> None:
    path = _signed(home / "rvm_resnet50_fp32.onnx", PUBLISHED)
    plate = scene(48, 64).plate
    node = MatteNode("rvm", device="cpu", threads=1, weights=path)
    seen = node.plate_color("scene_linear").to_network(plate)
    assert np.abs(node(plate).alpha - seen[..., 0]).max() < 1e-3


def test_an_onnx_file_of_another_signature_is_refused(home: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = _signed(home / "other.onnx", (*PUBLISHED, "trimap"))
    assert onnx.load(path)
    with pytest.raises(WeightsError, match="not a file of Robust Video Matting"):
        MatteNode("rvm", device="cpu", weights=path)(scene(48, 64).plate)


@needs_weights("rvm")
def test_the_published_file_by_name_is_the_default(tmp_path: Path) -> None:
    published = weights.require(CARD)[CARD.weights[0].file]
    copy = tmp_path / "mine.onnx"
    shutil.copyfile(published, copy)
    plate = scene(64, 96).plate
    default, named = (MatteNode("rvm", device="cpu", weights=w)(plate) for w in (None, copy))
    assert np.array_equal(default.alpha, named.alpha)


def test_a_damaged_published_file_does_not_matter_beside_a_checkpoint(home: Path) -> None:
    path, _ = _file(home, "mobilenetv3")
    place = weights.place(CARD.weights[0])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"broken")
    checkpoint = weights.checkpoint(CARD, path, untrained=False)
    assert weights.require(CARD, checkpoint) == {}
    context = LoadContext({}, Device("cpu"), checkpoint=checkpoint, knobs={"engine": "auto"})
    assert CARD.load(context)
