# SPDX-License-Identifier: Apache-2.0
"""Weights that this project trained for a published network: taken until others are imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matte_nodes import models, weights
from matte_nodes.card import ModelCard, Source, Weights
from matte_nodes.errors import WeightsError
from matte_nodes.shot import choose_model


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """The card of `mmnet` with weights of our own, in a store of its own."""
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path / "store")
    file = tmp_path / "own.safetensors"
    file.write_bytes(b"own")
    source = Source("package", str(file))
    ours = Weights("own.safetensors", weights.sha256_of(file), 3, (source,), "Apache-2.0", "yes")
    card = models.card("mmnet")
    assert card.checkpoint is not None
    return replace(card, checkpoint=replace(card.checkpoint, own=ours))


def test_our_own_weights_are_taken_when_nothing_was_imported(own: ModelCard) -> None:
    path = weights.checkpoint(own, None, False)
    assert path is not None
    assert path.name == "own.safetensors"


def test_imported_weights_win(own: ModelCard) -> None:
    path = weights.imported(own)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"imported")
    assert weights.checkpoint(own, None, False) == path


def test_a_given_file_wins_over_both(own: ModelCard, tmp_path: Path) -> None:
    given = tmp_path / "given.safetensors"
    given.write_bytes(b"given")
    assert weights.checkpoint(own, given, False) == given


def test_untrained_is_untrained(own: ModelCard) -> None:
    assert weights.checkpoint(own, None, True) is None


def test_without_any_weights_it_is_an_error_that_says_what_to_bring(own: ModelCard) -> None:
    assert own.checkpoint is not None
    bare = replace(own, checkpoint=replace(own.checkpoint, own=None))
    with pytest.raises(WeightsError, match="has no weights here"):
        weights.checkpoint(bare, None, False)


def test_the_fingerprint_names_the_file_that_is_taken(own: ModelCard) -> None:
    first = weights.identity(own)["checkpoint"]
    path = weights.imported(own)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"imported")
    assert first == weights.sha256_of(Path(own.checkpoint.own.sources[0].location))  # type: ignore[union-attr]
    assert weights.identity(own)["checkpoint"] == weights.sha256_of(path) != first


def test_a_model_on_our_own_weights_is_ready(own: ModelCard) -> None:
    assert choose_model.is_ready(own)


@pytest.mark.parametrize("asked", [0, 64, 512])
def test_modnet_looks_at_the_side_that_its_weights_were_trained_at(
    asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark in the file says it; a knob that is not 0 wins; files of others mean 512."""
    from safetensors.torch import save_file

    from matte_nodes import MatteNode
    from matte_nodes.models import torch_model
    from matte_nodes.models.networks.modnet import MODNet

    network = MODNet()
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    seen: list[tuple[int, ...]] = []
    original = torch_model.resized

    def spy(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        seen.append(size)
        found: np.ndarray = original(picture, size)
        return found

    monkeypatch.setattr(torch_model, "resized", spy)
    for name, marks in (("ours", {"matte_nodes.side": "128"}), ("theirs", {})):
        path = tmp_path / f"{name}.safetensors"
        save_file(tensors, path, marks)
        node = MatteNode("modnet", device="cpu", weights=path, reference_size=asked)
        node(np.zeros((64, 64, 3), np.uint8))
    sides = [seen[0][0], seen[2][0]]
    assert sides == ([128, 512] if asked == 0 else [asked, asked])


@pytest.mark.parametrize(
    ("asked", "mark", "side"),
    [
        ("auto", "192", 256),
        ("auto", "", 512),
        ("512", "192", 512),
        ("auto", "256", 512),
        ("auto", "384", 512),
    ],
)
def test_background_matting_looks_at_the_side_that_its_weights_were_trained_at(
    asked: str, mark: str, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark of a small side means 256; a side that is asked for wins; files of others mean 512."""
    from safetensors.torch import save_file

    from matte_nodes import MatteNode
    from matte_nodes.models import background_matting
    from matte_nodes.models.networks.background_matting import BackgroundMatting

    network = BackgroundMatting(width=0.0625)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    path = tmp_path / "own.safetensors"
    save_file(tensors, path, {"matte_nodes.side": mark} if mark else {})
    seen: list[tuple[int, ...]] = []
    original = background_matting.resized

    def spy(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        seen.append(size)
        found: np.ndarray = original(picture, size)
        return found

    monkeypatch.setattr(background_matting, "resized", spy)
    node = MatteNode("background-matting", device="cpu", weights=path, network_size=asked)
    plate, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.float32)
    mask[16:48, 16:48] = 1
    node(plate, background=plate, segmentation=mask)
    assert seen[0] == (side, side)


@pytest.mark.parametrize("mark", ["192", ""])
def test_background_matting_on_weights_of_ours_sees_the_rough_mask_as_it_is(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published weights know a mask that was eroded, dilated and blurred; ours the one that is given."""
    from safetensors.torch import save_file

    from matte_nodes import MatteNode
    from matte_nodes.models import background_matting
    from matte_nodes.models.networks.background_matting import BackgroundMatting

    network = BackgroundMatting(width=0.0625)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    path = tmp_path / "own.safetensors"
    save_file(tensors, path, {"matte_nodes.side": mark} if mark else {})
    seen: list[np.ndarray] = []

    def spy(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        if picture.ndim == 2:
            seen.append(picture)
        return np.zeros((*size, *picture.shape[2:]), np.float32)

    monkeypatch.setattr(background_matting, "resized", spy)
    node = MatteNode("background-matting", device="cpu", weights=path)
    plate, mask = np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.float32)
    mask[30:66, 30:66] = 1
    node(plate, background=plate, segmentation=mask)
    values = set(np.unique(seen[0]).tolist())
    assert values == {0, 1} if mark else len(values) > 10


def test_the_weights_of_modnet_are_in_the_package_and_are_what_is_declared() -> None:
    own = models.card("modnet").checkpoint.own  # type: ignore[union-attr]
    assert own is not None
    assert weights.verify(own) == "ok"
    assert own.size < 14_000_000
    assert own.commercial == "yes"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home where nothing was imported."""
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path / "store")


@pytest.mark.usefixtures("bare")
def test_modnet_runs_in_an_empty_home_and_finds_nobody_in_a_sky() -> None:
    from matte_nodes import MatteNode

    rows = np.linspace(0, 1, 240)[:, None, None]
    sky = np.array([90, 140, 220]) * (1 - rows) + np.array([200, 215, 235]) * rows
    plate = np.broadcast_to(sky, (240, 320, 3)).astype(np.uint8)
    assert MatteNode("modnet", device="cpu")(plate).alpha.mean() < 0.1


@pytest.mark.usefixtures("bare")
def test_modnet_finds_a_person_as_selfie_does() -> None:
    import os

    import cv2

    from matte_nodes import MatteNode

    data = Path(os.environ.get("MATTE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    path = data / "portraits-nogt" / "misc" / "maggie_man.jpg"
    if not path.is_file():
        pytest.skip(f"no portrait at {path}")
    plate = np.ascontiguousarray(cv2.imread(str(path))[::4, ::4, ::-1])
    alpha = MatteNode("modnet", device="cpu")(plate).alpha
    person, outside = alpha[alpha.shape[0] // 2 :, alpha.shape[1] // 2], alpha[:10, :10]
    assert np.median(person) > 0.9
    assert outside.mean() < 0.1
    assert 0.2 < alpha.mean() < 0.7
