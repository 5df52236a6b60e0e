# SPDX-License-Identifier: Apache-2.0
"""`matte export nuke-cat`: numbers, operators, knobs, the files round it, and what is refused.

Weights are random (seeded) where none are published here; the shipped trimap network and selfie run
with their real ones.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from matte_nodes import models, weights
from matte_nodes.card import Inputs, LoadContext, ModelCard
from matte_nodes.errors import ModelError
from matte_nodes.export import nuke_cat as cat
from matte_nodes.node.tiling import fitted_step
from matte_nodes.runtime import Device
from tests.conftest import needs_weights
from tests.made import scenes
from tests.nuke.nk import Script, expression

ALLOWED = {
    "rgba.red", "rgba.green", "rgba.blue", "rgba.alpha", "depth.Z", "forward.u", "forward.v",
    "backward.u", "backward.v", "deep.front", "deep.back", "disparityL.x", "disparityL.y",
    "disparityR.x", "disparityR.y", "mask.a", "rotopaint_mask.a", "mask_planartrack.a",
    "mask_splinewarp.a",
}  # fmt: skip
SHIPPED = "trimap-cues"


def able() -> list[ModelCard]:
    """The models of this package that can become a .cat file."""
    return [card for card in models._own().values() if cat.can_be_exported(card)]


def small(card: ModelCard) -> dict[str, Any]:
    """Knobs of a small, quick network, as its architecture declares them."""
    declared = models.architecture(card)
    assert declared is not None
    return dict(declared.small)


def untrained(card: ModelCard) -> bool:
    """Whether its weights are random here."""
    return card.checkpoint is not None


def hint(name: str) -> str:
    """The hint that an exported model takes."""
    return "trimap" if "trimap" in models.card(name).needs else ""


def is_small(card: ModelCard) -> bool:
    """Whether it can be exported in seconds: GFM at 512 pixels takes a minute."""
    declared = models.architecture(card)
    assert declared is not None
    return max(declared.size.square, *(declared.export_size or (0, 0))) <= 256


def knobs_of(name: str) -> dict[str, Any]:
    """The knobs of an exported model."""
    card = models.card(name)
    defaults = {knob.name: knob.default for knob in card.knobs}
    return cat.plan_for(card, defaults).knobs


NAMES = [
    pytest.param(card.name, marks=needs_weights(card.name)) for card in able() if is_small(card)
]
_made: dict[str, tuple[Path, dict[str, Any]]] = {}


def made(name: str, factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder and report; each model is exported once."""
    if name not in _made:
        folder = factory.mktemp("cat") / name
        report = cat.export_cat(
            models.card(name), folder, untrained=untrained(models.card(name)),
            knobs=small(models.card(name)),
        )  # fmt: skip
        _made[name] = folder, report
    return _made[name]


@pytest.fixture(params=NAMES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(model, folder, report)."""
    return request.param, *made(request.param, tmp_path_factory)


@pytest.fixture(autouse=True)
def plainly() -> Iterator[None]:
    """Nothing is compiled for the one time that it runs; small pictures on one core each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.jit.optimized_execution(False), torch.no_grad():
        yield
    torch.set_num_threads(threads)


def test_numbers_are_torchs_at_odd_sizes(exported: Any) -> None:
    name, _, report = exported
    differences = report["differences to eager"]
    assert len(differences) >= 3
    assert max(differences.values()) <= 1e-4, name


def test_operators_are_in_torch_2_1(exported: Any) -> None:
    name, folder, report = exported
    used = cat.operators(torch.jit.load(str(folder / f"{name}.pt")))
    assert len(used) > 10
    assert used <= cat.known_operators()
    assert report["operators torch 2.1 lacks"] == []


def test_knobs_survive(exported: Any) -> None:
    _, _, report = exported
    assert set(report["knobs"]) >= {"linear", "exposure"}
    assert all(fate.startswith("survives") for fate in report["knobs"].values())


def test_half_precision(exported: Any) -> None:
    _, _, report = exported
    assert isinstance(report["half precision"], float)
    assert report["half precision"] < 0.05


def test_any_size_and_extreme_values(exported: Any) -> None:
    name, folder, _ = exported
    model = torch.jit.load(str(folder / f"{name}.pt"))
    channels = 4 if hint(name) else 3
    for height, width in ((1, 1), (33, 1), (40, 200)):
        picture = torch.full((1, channels, height, width), 60000.0)
        picture[..., : width // 2] = -5.0
        answer = model(picture)
        assert answer.shape == (1, 1, height, width)
        assert torch.isfinite(answer).all()
        assert answer.min() >= 0
        assert answer.max() <= 1


@pytest.mark.parametrize("name", ["deep-image-matting", "adamatting"])
def test_it_answers_what_the_library_answers(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same network in the library, on the same display-encoded picture and trimap."""
    card, knobs = models.card(name), small(models.card(name))
    folder, _ = made(name, tmp_path_factory)
    values = {knob.name: knob.default for knob in card.knobs} | knobs
    model = card.load(
        LoadContext(weights={}, device=Device("cpu"), untrained=True, knobs=values, threads=1)
    )
    rng = np.random.default_rng(3)
    plate = rng.random((61, 83, 3), np.float32)
    trimap = (np.floor(rng.random((61, 83)) * 3) / 2).astype(np.float32)
    prediction, _ = fitted_step(model, card, Inputs(plate, trimap), {}, values)
    scripted = torch.jit.load(str(folder / f"{name}.pt"))
    scripted.linear = False
    answer = scripted(picture_of(plate, trimap))[0, 0].numpy()
    unknown = trimap == 0.5
    np.testing.assert_allclose(answer[unknown], prediction.alpha[unknown], atol=1e-4)
    assert (answer[trimap == 0] == 0).all()
    assert (answer[trimap == 1] == 1).all()


def test_the_shipped_network_sees_the_librarys_planes() -> None:
    """Made by torch alone, they are nearly those that OpenCV made in the training."""
    from matte_nodes.models import cues
    from matte_nodes.models.networks.cue_matting import encode

    scene = scenes(1, 151, 210)[0]
    plate = scene.plate.clip(0, 1).astype(np.float32)
    both = picture_of(plate, scene.trimap)
    found = encode(both[:, :3], both[:, 3:])[0].numpy().transpose(1, 2, 0)
    wanted = cues.planes(plate, scene.trimap)
    unknown = scene.trimap == 0.5
    difference = np.abs(found - wanted)[unknown]
    assert difference.shape[1] == cues.PLANES
    assert difference.mean(0).max() < 0.002
    assert np.abs(wanted[unknown] - wanted[unknown].mean(0)).mean(0)[3:15].max() > 0.05, "no proof"


def test_the_shipped_network_answers_what_the_library_answers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder, _ = made(SHIPPED, tmp_path_factory)
    card = models.card(SHIPPED)
    model = card.load(
        LoadContext(weights=weights.require(card), device=Device("cpu"), knobs={}, threads=1)
    )
    scene = scenes(1, 151, 210)[0]
    plate = scene.plate.clip(0, 1).astype(np.float32)
    prediction, _ = fitted_step(model, card, Inputs(plate, scene.trimap), {}, {})
    scripted = torch.jit.load(str(folder / f"{SHIPPED}.pt"))
    scripted.linear = False
    answer = scripted(picture_of(plate, scene.trimap))[0, 0].numpy()
    unknown = scene.trimap == 0.5
    difference = np.abs(answer - prediction.alpha)[unknown]
    assert difference.mean() < 0.005
    assert np.quantile(difference, 0.99) < 0.05
    assert (answer[~unknown] == scene.trimap[~unknown]).all()


def test_downrez_gives_the_network_a_smaller_picture(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The shipped network at half the size: near the whole one, softer, and the trimap is kept."""
    folder, report = made(SHIPPED, tmp_path_factory)
    assert report["knobs"]["downrez"] == "survives"
    scene = scenes(1, 151, 210)[0]
    picture = picture_of(scene.plate.clip(0, 1).astype(np.float32), scene.trimap)
    model = torch.jit.load(str(folder / f"{SHIPPED}.pt"))
    whole = model(picture)
    model.downrez = 2
    half = model(picture)
    assert half.shape == whole.shape
    assert 1e-3 < float((half - whole).abs().mean()) < 0.03
    known = torch.from_numpy(scene.trimap != 0.5)
    assert torch.equal(half[0, 0][known], torch.from_numpy(scene.trimap)[known])


def picture_of(plate: Any, trimap: Any) -> torch.Tensor:
    """(1, 4, H, W) as Inference hands it over."""
    both = np.dstack((plate, trimap)).transpose(2, 0, 1)[None]
    return torch.from_numpy(np.ascontiguousarray(both, np.float32))


@pytest.mark.parametrize("version", [13, 14, 16])
def test_a_nuke_that_is_too_old_is_told(
    version: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = made(SHIPPED, tmp_path_factory)
    (place,) = (folder / "Cattery").iterdir()
    said: list[str] = []
    loaded: list[str] = []
    nuke = SimpleNamespace(
        NUKE_VERSION_MAJOR=version, pluginAddPath=lambda path: None, tprint=said.append,
        load=loaded.append,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "nuke", nuke)
    exec((place / "init.py").read_text(), {})
    assert loaded == ([] if version < 14 else ["Inference"])
    assert bool(said) is (version < 14)


def test_distances_are_nearly_exact_and_their_pixels_are_known() -> None:
    """By blocks and a walk, where the training has OpenCV's exact ones."""
    import cv2

    from matte_nodes.models.networks.cue_planes import TorchTools

    rng = np.random.default_rng(1)
    noise = cv2.GaussianBlur(rng.random((271, 333), np.float32), (0, 0), 6)
    rows, columns = np.mgrid[:271, :333]
    one = np.zeros((271, 333), bool)
    one[130, 7] = True
    for known in (noise > 0.5, np.abs(np.sin(columns / 7 + rows / 31)) < 0.06, one):
        away, place = TorchTools().nearest(torch.from_numpy(known))
        at = place.numpy()
        assert known.reshape(-1)[at].all()
        there = np.hypot(at // 333 - rows, at % 333 - columns)
        np.testing.assert_allclose(there, away.numpy(), atol=1e-2)
        exact = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        difference = (np.log1p(away.numpy()) - np.log1p(exact)) / np.log1p(400)
        assert difference.min() > -1e-4
        assert difference[~known].mean() < 0.001
        whole = torch.empty(known.shape)
        TorchTools().put_distance(whole, torch.from_numpy(known))
        assert np.abs(np.log1p(whole.numpy()) - np.log1p(exact)).mean() < 0.006


@pytest.mark.parametrize("value", [None, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 9), (7, 1), (2, 3), (133, 151), (280, 64)])
def test_planes_of_parts_are_those_of_the_whole(size: tuple[int, int], value: float | None) -> None:
    """Made of a box when it is wanted, over band borders and beyond the picture's edges too."""
    from matte_nodes.models.networks.cue_planes import CuePlanes, CuePlanesInParts, TorchTools

    scene = scenes(1, *size)[0]
    plate = torch.from_numpy(scene.plate.clip(0, 1).astype(np.float32))
    trimap = torch.from_numpy(scene.trimap)
    trimap = trimap if value is None else torch.full_like(trimap, value)
    tools = TorchTools(32)
    tools.rows = 10000
    whole = CuePlanes(tools)(plate, trimap)
    maker = CuePlanesInParts(TorchTools())
    cues = maker(plate.permute(2, 0, 1).contiguous(), trimap)
    height, width = whole.shape[2:]
    for top, bottom in ((0, height), (0, 31), (height - 32, height), (height // 3, height // 2)):
        for left, right in ((0, width), (width // 5, width), (0, 17), (width - 33, width - 20)):
            left, bottom = max(0, left), max(bottom, top + 1)
            box = top, bottom, left, max(right, left + 1)
            if box[0] >= size[0] or box[2] >= size[1]:
                continue
            part = maker.part(cues, list(box))
            wanted = whole[:, :, box[0] : box[1], box[2] : box[3]]
            torch.testing.assert_close(part, wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", [(150, 420), (420, 131)])
def test_in_tiles_as_the_whole_network(size: tuple[int, int]) -> None:
    """Pictures of several bands and tiles: what is exported is compared at small sizes alone."""
    from matte_nodes.models.networks.cue_matting import CuesInPieces, CuesInside, TrimapCues

    torch.manual_seed(3)
    network = TrimapCues(0.25)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(network.net.answer.weight, std=0.5)
    network.eval()
    plate = np.random.default_rng(1).random((*size, 3), np.float32)
    trimap = np.full(size, 0.5, np.float32)
    trimap[:9], trimap[-9:] = 0, 1
    both = picture_of(plate, trimap)
    whole = CuesInside(network)(both[:, :3], both[:, 3:])
    pieces = CuesInPieces(network.net)(both[:, :3], both[:, 3:])
    assert whole[0, 0, 9:-9].std() > 0.01, "it says nothing"
    assert (whole - pieces).abs().max() < 6e-5


def test_a_picture_is_shortened_by_area_at_any_size() -> None:
    from matte_nodes.models.networks.cue_planes import TorchTools

    picture = torch.rand(31, 44, 3, generator=torch.Generator().manual_seed(1))
    for height, width in ((16, 22), (15, 14), (31, 44), (1, 1)):
        small = TorchTools().shrunk(picture, height, width).numpy()
        repeated = picture.repeat_interleave(height, 0).repeat_interleave(width, 1)
        wanted = repeated.reshape(height, 31, width, 44, 3).mean((1, 3)).numpy()
        np.testing.assert_allclose(small, wanted, atol=1e-5)


def test_linear_pictures_are_encoded() -> None:
    from matte_nodes.export.nuke_cat_network import seen

    picture = torch.tensor([0.0, 0.001, 0.18, 1.0, 7.0])
    wanted = torch.tensor([0.0, 0.01292, 0.46135, 1.0, 1.0])
    torch.testing.assert_close(seen(picture, True, 0.0), wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(seen(picture / 2, True, 1.0), wanted, atol=1e-4, rtol=0)
    assert torch.equal(seen(picture, False, 0.0), picture.clamp(0, 1))


def test_the_script_that_makes_the_cat(exported: Any) -> None:
    name, folder, _ = exported
    node = Script((folder / "create_cat.nk").read_text()).nodes[0]
    assert node.kind == "CatFileCreator"
    channels = {part.strip() for part in node.value("channelsIn").split(",")}
    assert channels | {node.value("channelsOut")} <= ALLOWED
    assert len(channels) == (4 if hint(name) else 3)
    assert node.value("torchScriptFile") == f"[python {{nuke.script_directory()}}]/{name}.pt"
    knobs = {knob.name for knob in node.user_knobs} - {"User"}
    assert knobs == set(knobs_of(name))
    model = torch.jit.load(str(folder / f"{name}.pt"))
    assert all(hasattr(model, knob) for knob in knobs)


def test_the_cattery_folder(exported: Any) -> None:
    name, folder, _ = exported
    (place,) = (folder / "Cattery").iterdir()
    facts = json.loads((place / "cat.json").read_text())
    assert models.card(name).commercial in facts["description"]
    start = (place / "init.py").read_text()
    ast.parse(start, feature_version=(3, 7))
    assert 'nuke.load("Inference")' in start
    assert facts["minimum_nuke_version_required"] == 14.0
    gizmo = place / facts["cats"][0]["filepath"]
    (group,) = Script(gizmo.read_text()).nodes
    inputs = [node.name for node in group.children if node.kind == "Input"]
    taken = hint(name)
    assert inputs == (["plate", taken] if taken else ["plate"])
    wiring = {node.name: [source.name for source in node.inputs] for node in group.children}
    source = "with_hint" if taken else "plate"
    assert wiring["network"] == [source]
    assert wiring["matted"] == ["plate", "network"], "B is the plate, alpha comes from A"
    assert wiring["guard"] == ["premultiplied"]
    assert wiring["Output1"] == ["guard"]
    guard = group.child("guard")
    assert guard.kind == "Assert"
    assert expression(guard.knobs["expression"]) == "$nuke_version >= 14"
    assert "needs Nuke 14.0" in guard.value("message")
    (card_knob,) = (knob for knob in group.user_knobs if knob.name == "useGPUIfAvailable")
    assert (card_knob.code, card_knob.script) == (41, "network.useGPUIfAvailable")
    assert group.child("premultiplied").value("disable") == "!parent.premultiply"
    if taken:
        assert wiring["with_hint"] == ["plate", f"{taken}_channel"]
    own = {knob.name for knob in group.user_knobs}
    for knob in knobs_of(name):
        assert knob in own
        assert f"{knob}:{{parent.{knob}}};" in group.child("network").value("serialiseKnob")
    for node in group.children:
        for value in node.knobs.values():
            if expression(value) and node is not guard:
                assert expression(value).removeprefix("!").removeprefix("parent.") in own


REFUSED = {
    "rvm": "recurrent", "background-matting": "window", "background-matting-v2": "one input",
    "closed-form": "no torch network",
    "u2netp": "no torch network",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_and_says_why(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=REFUSED[name]):
        cat.export_cat(models.card(name), tmp_path / "out", untrained=True)
    assert not (tmp_path / "out").exists()


def test_a_scripted_interpolate_would_be_caught() -> None:
    """It names an operator that torch 2.1 does not have: such a file does not load in Nuke."""

    class Scripted(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")

    missing = cat.operators(torch.jit.script(Scripted())) - cat.known_operators()
    assert any("upsample" in name for name in missing)


TORCHES = {
    "2.1": ("3.11", "MATTE_TORCH21", "torch21", "python"),
    "1.12.1": ("3.10", "MATTE_TORCH112", "torch112", "env/bin/python"),
}  # fmt: skip


def older_torch(version: str) -> str:
    """The interpreter of an environment with a Nuke's torch; made by scripts/ (900 MB from PyPI)."""
    needed, variable, name, inside = TORCHES[version]
    found = os.environ.get(variable)
    if found:
        return found
    scripts = Path(__file__).parents[2] / "scripts"
    if subprocess.run(["sh", str(scripts / "python_of.sh"), needed], check=False).returncode:
        pytest.skip(f"torch {version} needs Python {needed}")
    if version == "2.1" and not shutil.which("gcc"):
        pytest.skip(f"torch {version} needs gcc (for what stands in for CUDA)")
    place = Path.home() / ".cache" / "matte-nodes" / name
    made = subprocess.run(["sh", str(scripts / f"{name}.sh"), str(place)], check=False)
    if made.returncode:
        pytest.skip(f"torch {version} could not be had")
    return str(place / inside)


@pytest.mark.slow
@pytest.mark.parametrize("version", TORCHES)
@pytest.mark.parametrize(
    "name", [pytest.param(card.name, marks=needs_weights(card.name)) for card in able()]
)
def test_a_real_load_in_the_torch_of_a_nuke(name: str, version: str, tmp_path: Path) -> None:
    """Nuke 14 has torch 1.12.1, Nuke 15 and 16 have 2.1."""
    report = cat.export_cat(
        models.card(name), tmp_path, untrained=untrained(models.card(name)),
        knobs=small(models.card(name)),
        torch_python=older_torch(version),
    )  # fmt: skip
    there = report["loaded elsewhere"]
    assert there["torch"].startswith(version)
    assert there["difference"] < 1e-3
