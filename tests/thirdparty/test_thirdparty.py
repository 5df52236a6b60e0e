# SPDX-License-Identifier: Apache-2.0
"""A torch network of another package has every face that ours have.

tests/thirdparty/tiny_trimap.py is one file with an entry point. Nothing in matte_nodes names it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.cli.test_run import matte, whole
from tests.made import plate_sequence, read_named, scenes, write_image

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def tiny() -> Any:
    """The other package's module."""
    sys.path.insert(0, str(HERE))
    try:
        import tiny_trimap

        yield tiny_trimap
    finally:
        sys.path.remove(str(HERE))


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which the package is installed, with an empty home."""
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "MATTE_HOME": str(tmp_path / "home")}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Three plates with trimaps and true mattes."""
    plate = plate_sequence(tmp_path / "in", 3, size=(64, 96))
    (tmp_path / "keys").mkdir()
    for index, made in enumerate(scenes(3, 64, 96)):
        write_image(
            tmp_path / "keys" / f"alpha.{1001 + index}.png", np.uint8(made.alpha * 255), "Y"
        )
    return plate


@pytest.fixture
def weights(tiny: Any, tmp_path: Path) -> Path:
    """A file as its publisher would offer it."""
    torch.manual_seed(5)
    network = tiny.TinyTrimap(0.5)
    path = tmp_path / "tiny.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    return path


def done(*arguments: Any, env: dict[str, str]) -> str:
    result = matte(*arguments, env=env)
    assert result.returncode == 0, result.stderr
    return str(result.stdout)


def test_it_runs_and_its_weights_are_asked_for(
    clip: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    command = ("run", clip, "-o", tmp_path / "out" / "m.####.exr", "--model", "tiny-trimap",
               "--trimap", clip.parent / "trimap.####.png")  # fmt: skip
    refused = matte(*command, env=home)
    assert refused.returncode == 4
    assert "matte models import FILE" in refused.stderr
    assert "https://example.org/tiny-trimap" in refused.stderr
    done(*command, "--allow-untrained", "--width", 0.25, env=home)
    assert len(whole(tmp_path / "out")) == 3


def test_its_checkpoint_is_imported_and_used(
    tiny: Any, weights: Path, clip: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    told = done("models", "import", weights, env=home)
    assert "Tiny trimap network, width 0.5." in told
    assert "MIT; commercial use: yes" in told
    trimap = clip.parent / "trimap.####.png"
    done("run", clip, "-o", tmp_path / "out" / "m.####.exr", "--model", "tiny-trimap", "--trimap",
         trimap, "--layout", "alpha", env=home)  # fmt: skip
    made = scenes(1, 64, 96)[0]
    network = tiny.TinyTrimap(0.5).eval()
    network.load_state_dict(torch.load(weights, weights_only=True)["state_dict"])
    from matte_nodes import MatteNode

    node = MatteNode("green-screen")
    plate = node.plate_color("scene_linear").to_network(made.plate.astype(np.float16))
    pictures = (torch.from_numpy(p.astype(np.float32)) for p in (plate.transpose(2, 0, 1)[None],
                                                                 made.trimap[None, None]))  # fmt: skip
    with torch.inference_mode():
        wanted = network(tiny.encode(*pictures))[0, 0].numpy()
    wanted = np.where((made.trimap > 0) & (made.trimap < 1), wanted, made.trimap)
    got = next(iter(read_named(tmp_path / "out" / "m.1001.exr").values()))
    assert np.abs(got - wanted).max() < 2e-3


def test_it_is_exported_as_onnx_and_the_file_runs(
    weights: Path, clip: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    pytest.importorskip("onnxscript")
    file = tmp_path / "tiny.onnx"
    told = done("export", "onnx", "tiny-trimap", "-o", file, "--weights", weights, env=home)
    assert told.count("largest difference") == 2
    trimap = clip.parent / "trimap.####.png"
    alphas = []
    for model, more in (("tiny-trimap", ["--weights", weights]), (file, [])):
        out = tmp_path / f"out-{len(alphas)}"
        done("run", clip, "-o", out / "m.####.exr", "--model", model, "--trimap", trimap, *more,
             env=home)  # fmt: skip
        alphas.append(read_named(out / "m.1002.exr")["A"])
    assert np.abs(alphas[0] - alphas[1]).max() < 2e-3


def test_it_is_exported_for_nuke(weights: Path, tmp_path: Path, home: dict[str, str]) -> None:
    done("export", "nuke-cat", "tiny-trimap", "--out", tmp_path / "cat", "--weights", weights,
         env=home)  # fmt: skip
    report = json.loads((tmp_path / "cat" / "report.json").read_text())
    assert report["operators torch 2.1 lacks"] == []
    assert max(report["differences to eager"].values()) < 1e-4
    assert report["half precision"] < 0.05
    assert (tmp_path / "cat" / "create_cat.nk").is_file()


def test_it_is_trained_by_a_recipe_and_the_result_is_imported(
    tmp_path: Path, home: dict[str, str]
) -> None:
    done("train", HERE / "tiny.toml", "-o", tmp_path / "work", "--try", env=home)
    told = done("models", "import", tmp_path / "work" / "weights.safetensors", env=home)
    assert "Tiny trimap network, width 0.5." in told


def test_it_is_fine_tuned_on_key_frames(
    weights: Path, clip: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    done("models", "import", weights, env=home)
    trimap = clip.parent / "trimap.####.png"
    done("finetune", clip, "--keys", tmp_path / "keys" / "alpha.####.png", "--model", "tiny-trimap",
         "--trimap", trimap, "--name", "tiny-shot", "--steps", 3, "--crop", 32, env=home)  # fmt: skip
    done("run", clip, "-o", tmp_path / "out" / "m.####.exr", "--model", "tiny-shot", "--trimap",
         trimap, env=home)  # fmt: skip
    assert len(whole(tmp_path / "out")) == 3
    told = json.loads(done("models", "card", "tiny-shot", "--json", env=home))
    assert told["licence"] if "licence" in told else "MIT" in json.dumps(told)


def test_it_has_parity_with_published_outputs(
    tiny: Any, tmp_path: Path, home: dict[str, str]
) -> None:
    from matte_nodes.diagnostics.parity_recipe import image, trimap, weight

    network = tiny.TinyTrimap(0.25).eval()
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    network.load_state_dict(
        {name: torch.from_numpy(weight(name, tuple(s), 3)) for name, s in shapes.items()}
    )
    x = np.concatenate((image("rgb", (1, 3, 16, 24), salt=3), trimap("t", (1, 1, 16, 24), 3)), 1)
    with torch.inference_mode():
        alpha = network(torch.from_numpy(x)).numpy()
    (tmp_path / "fixtures").mkdir()
    np.savez(tmp_path / "fixtures" / "tiny.npz", alpha=alpha)
    content = {
        "network": "tiny", "salt": 3, "tensors": shapes, "outputs": {"alpha": list(alpha.shape)},
        "inputs": {"x": ["rgb: image()", "t: trimap()", [1, 4, 16, 24]]},
    }  # fmt: skip
    (tmp_path / "fixtures" / "tiny.json").write_text(json.dumps(content))
    told = done("bench", "parity", tmp_path / "fixtures", env=home)
    assert told.startswith("ok   tiny  tiny-trimap")
    np.savez(tmp_path / "fixtures" / "tiny.npz", alpha=alpha + 1e-3)
    assert matte("bench", "parity", tmp_path / "fixtures", env=home).returncode == 1


def test_it_is_listed_among_the_models_and_networks(home: dict[str, str]) -> None:
    assert "tiny-trimap" in done("models", env=home)
    refused = matte("train", "nowhere", "-o", "work", env=home)
    assert refused.returncode == 2
    unknown = matte("finetune", "in.exr", "--model", "green-screen", "--keys", "k.png", env=home)
    assert "tiny-trimap" in unknown.stderr


def test_it_passes_the_compliance_suite(tiny: Any) -> None:
    from matte_nodes.node.node import MatteNode
    from matte_nodes.testing import ModelCompliance

    options = {"card": tiny.CARD, "node_options": {"untrained": True, "threads": 1}}
    suite = type("Suite", (ModelCompliance,), options)()
    node = MatteNode(tiny.CARD, device="cpu", untrained=True, threads=1)
    suite.test_card_is_complete()
    suite.test_sizes(node)
    suite.test_deterministic(node)
    suite.test_trimap_is_forced(node)
    suite.test_missing_input_is_refused(node)
