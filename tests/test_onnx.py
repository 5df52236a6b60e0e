# SPDX-License-Identifier: Apache-2.0
"""Export to ONNX, and ONNX files with a declaration as models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode, models
from matte_nodes.errors import ModelError, UnknownModelError
from matte_nodes.testing import ModelCompliance
from matte_nodes.testing.scene import scene
from tests.conftest import needs_weights

pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small AdaMatting with random weights, as a file."""
    from matte_nodes.export.onnx import export_onnx

    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    report = export_onnx(models.card("adamatting"), path, untrained=True, knobs={"width": 0.0625})
    assert report.ok
    assert len(report.differences) == 2  # two sizes: they are dynamic
    return path


def test_the_exported_file_gives_the_networks_answers(exported: Path) -> None:
    made = scene(64, 96)
    torch_alpha = MatteNode("adamatting", untrained=True, width=0.0625)(
        made.plate, trimap=made.trimap
    ).alpha
    file_alpha = MatteNode(str(exported))(made.plate, trimap=made.trimap).alpha
    assert np.abs(torch_alpha - file_alpha).max() < 2e-3


def test_the_exported_file_is_a_compliant_model(exported: Path) -> None:
    suite = type("Suite", (ModelCompliance,), {"card": models.card(str(exported))})()
    node = MatteNode(suite.card)
    suite.test_sizes(node)
    suite.test_deterministic(node)
    suite.test_trimap_is_forced(node)
    suite.test_missing_input_is_refused(node)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "knobs"), [("birefnet", {"size": "256"}), ("vitmatte", {"width": 0.125})]
)
def test_networks_of_one_size_round_trip(name: str, knobs: dict[str, Any], tmp_path: Path) -> None:
    from matte_nodes.export.onnx import export_onnx

    knobs = {"width": 0.125, **knobs}
    card, made = models.card(name), scene(96, 128)
    report = export_onnx(card, tmp_path / "net.onnx", untrained=True, knobs=knobs)
    assert report.ok
    file = models.card(str(tmp_path / "net.onnx"))
    assert file.fixed_size == ((256, 256) if name == "birefnet" else (1024, 1024))
    assert file.tile_side in (0, 1024)
    hints = {hint: made.hint(hint) for hint in card.needs}
    if name == "birefnet":  # at its size the file and the model see the same
        own = MatteNode(card, untrained=True, **knobs)(made.plate).alpha
        assert np.abs(own - MatteNode(file)(made.plate, **hints).alpha).max() < 2e-3
    else:
        assert MatteNode(file)(made.plate, **hints).alpha.shape == (96, 128)


@needs_weights("rvm")
def test_recurrent_states_are_declared(tmp_path: Path) -> None:
    from matte_nodes.export.onnx import export_onnx

    export_onnx(models.card("rvm"), tmp_path / "video.onnx")
    plates = [scene(64, 96, time=t).plate for t in range(3)]
    own = dict(MatteNode("rvm", downsample_ratio=0.25).connect(plates).render())
    file = dict(MatteNode(str(tmp_path / "video.onnx")).connect(plates).render())
    assert all(np.array_equal(own[n].alpha, file[n].alpha) for n in own)


def test_a_file_without_its_declaration_is_named(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(UnknownModelError, match=r"net\.json"):
        models.card(str(tmp_path / "net.onnx"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"inputs": {"colour": "x"}, "outputs": {"alpha": "y"}}']
)
def test_a_broken_declaration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.onnx").write_bytes(b"")
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(ModelError, match=r"net\.json"):
        models.card(str(tmp_path / "net.onnx"))


def test_a_declaration_that_does_not_fit_the_file(exported: Path, tmp_path: Path) -> None:
    declared = json.loads(exported.with_suffix(".json").read_text())
    declared["inputs"] = {"plate": "src"}
    (tmp_path / "net.onnx").write_bytes(exported.read_bytes())
    (tmp_path / "net.json").write_text(json.dumps(declared))
    with pytest.raises(ModelError, match="src"):
        _ = MatteNode(str(tmp_path / "net.onnx")).model


def test_a_classical_model_has_nothing_to_export(tmp_path: Path) -> None:
    from matte_nodes.export.onnx import export_onnx

    with pytest.raises(ModelError, match="nothing to export"):
        export_onnx(models.card("closed-form"), tmp_path / "x.onnx")
