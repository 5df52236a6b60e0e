# SPDX-License-Identifier: Apache-2.0
"""Chains and `auto`: a coarse model, then a trimap model; the best model that can run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_nodes import MatteNode, weights
from matte_nodes.errors import UnknownKnobError, UsageError, WeightsError
from matte_nodes.models import card
from matte_nodes.shot import chain
from matte_nodes.shot import choose_model as auto
from matte_nodes.testing.scene import scene
from tests.conftest import needs_weights


def build(model: str, **options: object) -> chain.Chain:
    made = scene(96, 128)
    hints = options.pop("connect", {})
    knobs = options.pop("knobs", {})
    return chain.build(made.plate, model, knobs=knobs, node={}, connect=hints, **options)  # type: ignore[arg-type]


def test_refine_solves_the_band_of_the_first_model() -> None:
    made = scene(96, 128)
    built = build("green-screen", refine="closed-form", refine_width=4.0)
    alpha = built.shot.at(1).alpha
    by_hand = MatteNode("closed-form").connect(
        made.plate, trimap=MatteNode("green-screen").connect(made.plate).trimap(4.0)
    )
    assert built.name == "green-screen -> closed-form"
    assert np.array_equal(alpha, by_hand.at(1).alpha)


def test_what_the_given_trimap_knows_stays_known_through_a_chain() -> None:
    made = scene(96, 128)
    drawn = np.full((96, 128), 0.5, np.float32)
    drawn[40:56, :], drawn[:8] = 1, 0  # a bar that crosses the subject's edges
    built = build("green-screen", refine="closed-form", refine_width=6.0, connect={"trimap": drawn})
    alpha = built.shot.at(1).alpha
    assert (alpha[40:56] == 1).all()
    assert (alpha[:8] == 0).all()
    free = MatteNode("green-screen")(made.plate).alpha
    assert (free[40:56] == 0).any()


def test_knobs_go_to_the_model_that_has_them() -> None:
    built = build(
        "green-screen", refine="closed-form",
        knobs={"screen_level": 0.2, "light": "linear", "gamma": 1.2, "exposure": 0.5},
    )  # fmt: skip
    first, last = built.nodes
    assert first.knobs["screen_level"] == 0.2
    assert last.knobs["light"] == "linear"
    assert (first.knobs["gamma"], last.knobs["gamma"]) == (1.0, 1.2)
    assert first.knobs["exposure"] == last.knobs["exposure"] == 0.5


def test_a_knob_of_no_model_is_refused() -> None:
    with pytest.raises(UnknownKnobError, match="downsample_ratio"):
        build("green-screen", refine="closed-form", knobs={"downsample_ratio": 0.5})


def test_refining_needs_a_trimap_model() -> None:
    with pytest.raises(UsageError, match="needs no trimap"):
        build("closed-form", refine="green-screen", connect={"trimap": scene(96, 128).trimap})


def test_segmentation_by_a_model_bounds_the_subject() -> None:
    built = build("green-screen", segmentation_model="green-screen")
    assert built.shot.at(1).alpha.shape == (96, 128)
    assert built.name == "green-screen -> green-screen"
    with pytest.raises(UsageError, match="not both"):
        build(
            "green-screen", segmentation_model="green-screen",
            connect={"segmentation": scene(96, 128).segmentation},
        )  # fmt: skip


def test_terms_of_a_chain_are_the_strictest() -> None:
    assert build("green-screen", refine="closed-form").commercial == "yes"


def test_auto_takes_a_trimap_model_for_a_trimap() -> None:
    choice = auto.choose({"trimap"})
    assert choice.model == "closed-form-refined"
    assert "trimap was given" in choice.sentence
    assert "Licence" in choice.sentence


def test_auto_takes_the_shipped_network_where_closed_form_cannot_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert auto.choose({"trimap"}).model == "trimap-cues"


def test_auto_without_anything_says_what_to_pull(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="matte models pull rvm"):
        auto.choose(set())


@needs_weights("selfie")
def test_auto_prefers_rvm_then_selfie_with_its_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = card("selfie").weights[0]
    source = weights.find(item)
    assert source is not None
    monkeypatch.setenv("MATTE_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / item.file).write_bytes(source.read_bytes())
    choice = auto.choose(set())
    assert (choice.model, choice.refine) == ("selfie", "closed-form-refined")
    assert auto.choose(set(), live=True).refine is None
    heavy = card("rvm").weights[0]
    with (tmp_path / "weights" / heavy.file).open("wb") as file:
        file.truncate(heavy.size)  # as large as the real one: enough to be counted as here
    assert auto.choose(set()).model == "rvm"


def test_auto_takes_an_imported_clean_plate_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "background-matting-v2.safetensors").write_bytes(b"")
    assert auto.choose({"background"}).model == "background-matting-v2"
    # The older one needs a segmentation too: it is not taken without.
    (tmp_path / "weights" / "background-matting-v2.safetensors").unlink()
    (tmp_path / "weights" / "background-matting.safetensors").write_bytes(b"")
    assert auto.choose({"background"}).model == "clean-plate-cues"
    assert auto.choose({"background", "segmentation"}).model == "background-matting"
