# SPDX-License-Identifier: Apache-2.0
"""A knob says which stage it touches; cache keys, chains and hosts follow from that alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes import Knob, MatteNode, ModelCard, Prediction
from matte_nodes.errors import BadPlateError, ModelError
from matte_nodes.node import align_background
from matte_nodes.node import knobs as node_knobs
from matte_nodes.node.frame import Given
from matte_nodes.shot import chain, fingerprint
from matte_nodes.shot.matte_node import MatteNode as Node
from tests.temporal.rig import disk, same
from tests.test_align import shaken, textured


class Difference:
    """Alpha is how far the plate is from the clean plate."""

    def step(self, inputs: Any, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        return Prediction(np.abs(inputs.plate - inputs.background).mean(2).clip(0, 1)), {}


CARD = ModelCard(
    "difference", "Difference", "Difference.", lambda context: Difference(),
    needs=frozenset({"background"}),
)  # fmt: skip


def test_a2_an_aligned_clean_plate_is_made_anew_when_the_segmentation_changes(
    tmp_path: Path,
) -> None:
    place = textured()
    background, _ = shaken(place)
    plate = place.copy()
    plate[40:200, 60:260] = background[40:200, 60:260]  # a subject with the clean plate's features
    mask = np.zeros(plate.shape[:2], np.float32)
    mask[40:200, 60:260] = 1
    node = MatteNode(CARD, align_background=True, foreground="solved")
    hints = {"background": background, "colorspace": "sRGB"}
    cold = node.connect(plate, segmentation=mask, **hints).at(1)
    cache = disk(tmp_path)
    other = node.connect(plate, segmentation=np.zeros_like(mask), cache=cache, **hints).at(1)
    warm = node.connect(plate, segmentation=mask, cache=cache, **hints).at(1)
    prepared = node.prepared(Given(plate, background=background, segmentation=mask)).background
    assert np.array_equal(prepared, align_background.aligned(background, plate, mask))
    assert not np.array_equal(prepared, align_background.aligned(background, plate))
    assert not same(cold, other), "the two masks must lead to different mattes"
    assert same(warm, cold)


def test_a3_a_new_knob_of_the_node_is_in_every_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gain = Knob("test_gain", "float", 1.0, low=0.0, high=4.0, help="A test.")
    with_gain = (*node_knobs.NODE_KNOBS, gain)
    for module in (node_knobs, fingerprint, chain):
        monkeypatch.setattr(module, "NODE_KNOBS", with_gain, raising=False)

    class Gained(Node):
        def step(self, inputs: Any, memory: Any, neighbours: Any = ()) -> Any:
            prediction, memory = super().step(inputs, memory, neighbours)
            return Prediction(prediction.alpha * np.float32(self.knobs["test_gain"])), memory

    plate, hints = textured(), {"background": textured(seed=3), "colorspace": "sRGB"}
    cache, cold = disk(tmp_path), Gained(CARD, test_gain=0.5).connect(plate, **hints).at(1)
    Gained(CARD).connect(plate, cache=cache, **hints).at(1)
    assert same(Gained(CARD, test_gain=0.5).connect(plate, cache=cache, **hints).at(1), cold)


def test_a_stage_cannot_read_the_knob_of_a_later_one() -> None:
    knobs = MatteNode("green-screen", gamma=2.0).knobs_of("step")
    assert knobs["tile"] == 0
    assert "gamma" not in knobs
    with pytest.raises(ModelError, match=r"gamma.*'finish'.*'step'"):
        knobs["gamma"]
    with pytest.raises(ModelError):
        knobs.get("gamma", 1.0)
    assert knobs.get("no_such_knob") is None


def test_the_default_of_a_new_knob_is_the_safe_one() -> None:
    knob = Knob("edge_width", "float", 0.0, help="A test.")
    assert knob.stage == "step"
    assert (knob.label, knob.title) == ("Edge width", "Edge width")


def test_a_trimap_s_width_is_whole_in_the_key() -> None:
    shot = MatteNode("green-screen").connect(textured())
    one, other = (shot.trimap(width).stamp(1) for width in (10.0000001, 10.0000002))
    assert one != other


def test_a_grey_plate_is_refused_warm_as_cold(tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    assert cv2.imwrite(str(grey), (textured()[..., 0] * 255).astype(np.uint8))
    node = MatteNode("green-screen")
    node.connect(grey, allow_grey=True, cache=disk(tmp_path / "cache")).at(1)
    with pytest.raises(BadPlateError, match="allow-grey"):
        node.connect(grey, cache=disk(tmp_path / "cache")).at(1)


def test_a_chain_shares_what_inputs_are_made_ready_by(tmp_path: Path) -> None:
    plate, background = textured(), shaken(textured())[0]
    knobs = {"align_background": "on", "exposure": 0.5, "tile": 64, "gamma": 1.2}
    built = chain.build(
        plate, "green-screen", knobs=knobs, node={}, connect={"background": background},
        refine="closed-form",
    )  # fmt: skip
    first, last = (node.knobs for node in built.nodes)
    assert (first["align_background"], first["exposure"]) == ("on", 0.5)
    assert (first["tile"], first["gamma"]) == (0, 1.0)
    assert [last[name] for name in knobs] == [*knobs.values()]


def test_only_the_alpha_of_an_early_node_is_used_so_it_gets_no_clean_plate_it_does_not_take() -> (
    None
):
    plate, background = textured(), textured(seed=3)
    built = chain.build(
        plate, "green-screen", knobs={}, node={}, connect={"background": background},
        refine="closed-form",
    )  # fmt: skip
    trimap = built.shot.hints["trimap"].clip
    assert "background" not in trimap._shot.hints  # type: ignore[attr-defined]
    assert "background" in built.shot.hints


def test_every_host_shows_one_label() -> None:
    from matte_nodes.hosts.nuke.knobs import user_knob
    from matte_nodes.hosts.obs.install import _knobs

    for knob in node_knobs.NODE_KNOBS:
        assert knob.label[0].isupper(), knob.name
        assert user_knob(knob, "knob_").label == knob.title == knob.as_dict()["title"]
    labels = {knob["name"]: knob["label"] for knob in _knobs(node_knobs.NODE_KNOBS)}
    assert labels["shrink"] == "Shrink / grow (px)"
    assert labels["black_point"] == "Black point"


def test_a_loaded_model_refuses_a_knob_that_its_loading_did_not_read() -> None:
    knobs = node_knobs.LoadKnobs({"width": 1.0, "mode": "a"})
    assert knobs["width"] == 1.0
    knobs.close()
    assert knobs.serve({"width": 1.0, "mode": "b"})
    assert not knobs.serve({"width": 0.5, "mode": "a"})
    assert knobs["width"] == 1.0
    with pytest.raises(ModelError, match=r"'mode'.*after it was loaded"):
        knobs["mode"]
