# SPDX-License-Identifier: Apache-2.0
"""SAM 2 and EdgeTAM with random weights: our steps against the library's own loop; order; state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from matte_nodes import MatteNode, checkpoints, models
from matte_nodes.card import Inputs, LoadContext
from matte_nodes.errors import ModelError
from matte_nodes.models.networks import video_segmenters as networks
from matte_nodes.models.segmenter import VideoSegmenterModel
from matte_nodes.points import FramePoints, Marks
from matte_nodes.runtime import resolve_device
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store
from tests.select.scenes import BLUE, RED, Thing, clip

pytest.importorskip("transformers", reason="transformers is not installed: matte-nodes[select]")

SIDE = 256
NAMES = ("sam2", "edgetam")
MOVING = Thing(5, RED, (40, 55), (6, 1))
STANDING = Thing(6, BLUE, (120, 40), (0, 0), (14, 12))
FRAMES = clip([STANDING, MOVING], 7)[0]


def filled(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights with which masks are neither empty nor full."""
    torch.manual_seed(4)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim > 1:
            tensor.normal_(0, (1.5 / tensor[0].numel()) ** 0.5)
        elif tensor.is_floating_point() and name.endswith("weight"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.1)
    head: Any = network
    head.net.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(20)  # it is never hidden
    return network.eval()


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def published(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the library saves it: its names, one table twice."""
    architecture = models.architecture(models.card(name))
    assert architecture is not None
    network: Any = filled(architecture.build(**architecture.variants[0]))
    tensors = {n.removeprefix("net."): t.clone() for n, t in network.state_dict().items()}
    twin = tensors["shared_image_embedding.positional_embedding"].clone()
    tensors["prompt_encoder.shared_embedding.positional_embedding"] = twin
    path = tmp_path_factory.mktemp(name) / "model.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def model(name: str, published: Path) -> Any:
    context = LoadContext(
        {}, resolve_device("cpu"), 1, checkpoint=published, knobs={"side": str(SIDE)}
    )
    architecture = models.architecture(models.card(name))
    assert architecture is not None
    return VideoSegmenterModel(context, architecture)


def plate(picture: Any) -> Any:
    return picture.astype(np.float32) / np.float32(255)


def seen(model: Any, picture: Any) -> torch.Tensor:
    """A frame as the library's loop takes it."""
    from matte_nodes.media.resize import resized

    square = resized(plate(picture), (SIDE, SIDE)).transpose(2, 0, 1)[None]
    return networks.imagenet(torch.from_numpy(np.ascontiguousarray(square)))


def session(model: Any, frames: Any = None) -> Any:
    video = None if frames is None else torch.cat([seen(model, f) for f in frames])
    return model._segmenter.session(video, SIDE, SIDE, dtype=torch.float32)


def clicked(held: Any, frame: int, name: str, at: Any, label: int = 1) -> None:
    """What the library's processor does with a click in the pixels of our frames."""
    height, width = FRAMES[0].shape[:2]
    scaled = [at[0] * SIDE / width, at[1] * SIDE / height]
    place = held.obj_id_to_idx(name)
    asked = {
        "point_coords": torch.tensor([[[scaled]]]).float(),
        "point_labels": torch.tensor([[[label]]]).int(),
    }
    held.add_point_inputs(place, frame, asked)
    held.obj_with_new_inputs.append(name)


def codes(logits: torch.Tensor) -> Any:
    return (torch.sigmoid(logits.float()) * 255).round().to(torch.uint8).numpy()


def stepped(model: Any, frames: Any, marks: Any, names: Any = ("a", "b")) -> list[Any]:
    """Our memories after each frame. marks: by place, by object."""
    memory: Any = {}
    found = []
    for place, picture in enumerate(frames):
        points = FramePoints(names, marks.get(place, {}))
        memory = model.advance(Inputs(plate(picture), points=points), memory, {})
        found.append(memory)
    return found


def test_masks_are_those_of_the_librarys_own_loop(model: Any) -> None:
    """Two objects, the second clicked on later, over a stream of frames."""
    marks = {
        0: {"a": Marks(subject=(MOVING.at(0),))},
        2: {"b": Marks(subject=(STANDING.at(2),))},
    }
    ours = stepped(model, FRAMES, marks)
    held = session(model)
    varied = 0
    for place, picture in enumerate(FRAMES):
        for name, mark in marks.get(place, {}).items():
            clicked(held, place, name, mark.subject[0])
        answer = model._net(held, frame=seen(model, picture), frame_idx=place)
        for index, name in enumerate(answer.object_ids):
            theirs = codes(answer.pred_masks[index, 0])
            assert np.array_equal(ours[place][f"{name}/mask"], theirs), (place, name)
            varied += len(np.unique(theirs)) > 20
    assert varied > len(FRAMES)  # masks that are one value everywhere would prove nothing


def test_backwards_is_the_librarys_reverse_loop(model: Any) -> None:
    """From a click on the last frame; the library's video has as many frames as it looks back."""
    last = 15
    frames = [FRAMES[n % len(FRAMES)] for n in range(last + 1)]
    marks = {0: {"a": Marks(subject=((40.0, 50.0),))}}
    ours = stepped(model, frames[: -len(FRAMES) : -1], marks, ("a",))
    held = session(model, frames)
    clicked(held, last, "a", (40.0, 50.0))
    model._net(held, frame_idx=last)
    loop = model._net.propagate_in_video_iterator(held, last, len(ours) - 1, reverse=True)
    for number, answer in enumerate(loop):
        assert np.array_equal(ours[number]["a/mask"], codes(answer.pred_masks[0, 0])), number


def test_a_correction_is_the_librarys_own(model: Any) -> None:
    """A click on a frame that was followed already: memory and click together."""
    first = {0: {"a": Marks(subject=(MOVING.at(0),))}}
    plain = stepped(model, FRAMES[:4], first, ("a",))
    better = stepped(model, FRAMES[:4], {**first, 3: {"a": Marks(others=((9.0, 9.0),))}}, ("a",))
    held = session(model)
    clicked(held, 0, "a", MOVING.at(0))
    for place, picture in enumerate(FRAMES[:4]):
        model._net(held, frame=seen(model, picture), frame_idx=place)
    clicked(held, 3, "a", (9.0, 9.0), 0)
    answer = model._net(held, frame=seen(model, FRAMES[3]), frame_idx=3)
    assert np.array_equal(better[3]["a/mask"], codes(answer.pred_masks[0, 0]))
    assert not np.array_equal(better[3]["a/mask"], plain[3]["a/mask"])


@pytest.fixture(scope="module")
def node(name: str, published: Path) -> MatteNode:
    return MatteNode(name, device="cpu", threads=1, weights=published, side=str(SIDE))


KEYS = {"a": {1: [MOVING.at(0)], 5: [(*MOVING.at(4), True), (3, 3, False)]},
        "b": {3: [STANDING.at(2)]}}  # fmt: skip


def alphas(shot: Any) -> dict[int, Any]:
    return {frame: matte.extras["alpha.a"] for frame, matte in shot.render()}


@pytest.fixture(scope="module")
def straight(node: Any) -> tuple[dict[int, Any], int]:
    """The mattes of a straight render, and its steps."""
    shot = node.connect(FRAMES, points=KEYS, cache="off")
    return alphas(shot), shot.steps


def test_any_order_gives_the_pixels_of_a_straight_render(node: Any, straight: Any) -> None:
    shot = node.connect(FRAMES, points=KEYS)
    for frame in (6, 2, 7, 1, 4, 3, 5):
        assert np.array_equal(shot.at(frame).extras["alpha.a"], straight[0][frame]), frame


def test_sixty_requests_take_no_more_steps_than_a_straight_render(node: Any, straight: Any) -> None:
    shot = node.connect(FRAMES, points=KEYS, cache="off")
    for frame in np.random.default_rng(3).integers(1, len(FRAMES) + 1, 60):
        shot._steps.prediction(shot._steps.load(int(frame) - 1, look := _look()), look)
    assert shot.steps <= 1.3 * straight[1]


def _look() -> Any:
    from matte_nodes.temporal.stat_cache import Look

    return Look()


def test_states_are_saved_loaded_and_hashed(node: Any, straight: Any, tmp_path: Path) -> None:
    first = node.connect(FRAMES, points=KEYS, cache=Cache("disk", store=Store(tmp_path)))
    first.at(6)
    again = node.connect(FRAMES, points=KEYS, cache=Cache("disk", store=Store(tmp_path)))
    assert np.array_equal(again.at(7).extras["alpha.a"], straight[0][7])
    assert again.steps < first.steps
    assert again.stamp(7) == first.stamp(7)
    moved = {**KEYS, "b": {3: [STANDING.at(0), (2, 2, False)]}}
    assert node.connect(FRAMES, points=moved).stamp(7) != first.stamp(7)


def test_a_painted_key_is_the_mask_of_its_frame(node: Any) -> None:
    drawn = np.zeros(FRAMES[0].shape[:2], np.float32)
    drawn[30:80, 40:100] = 1
    shot = node.connect(FRAMES[:3], points={1: [(70, 50)]}, segmentation={1: drawn})
    assert ((shot.at(1).alpha > 0.5) == (drawn > 0.5)).mean() > 0.97


def test_a_painted_key_steers_the_frames_after_it(model: Any) -> None:
    """Masks of random weights may agree to a code of 8 bits, so what is remembered is compared."""
    drawn = np.zeros(FRAMES[0].shape[:2], np.float32)
    drawn[30:80, 40:100] = 1
    points = FramePoints(("a",), {"a": Marks(subject=((70, 50),))})
    first = Inputs(plate(FRAMES[0]), points=points)
    remembered = []
    for shown in (first, replace(first, segmentation=drawn)):
        memory = model.advance(shown, {}, {})
        memory = model.advance(Inputs(plate(FRAMES[1]), points=FramePoints(("a",))), memory, {})
        remembered.append(memory["a/past_pointers"])
    assert not np.array_equal(*remembered)


def test_more_key_frames_than_are_remembered_keep_the_first(model: Any) -> None:
    from matte_nodes.models.segmenter import KEYS as MOST
    from matte_nodes.models.segmenter import _Object

    one = _Object()
    for number in range(MOST + 4):
        value = np.full((1, 2), number, np.float32)
        one = _Object(one.keys.aged(), one.past).after(value, value, is_key=True)
    assert [int(v[0, 0]) for v in one.keys.pointers] == [11, 10, 9, 8, 7, 6, 5, 0]


def test_the_import_says_what_the_file_is(name: str, published: Path, tmp_path: Path) -> None:
    found = checkpoints.inspect(published, models.architectures()).recognition
    assert found.model == name
    assert "transformers" in found.summary
    checkpoints.convert(published, tmp_path / "ours.safetensors", models.architectures())
    again = checkpoints.inspect(tmp_path / "ours.safetensors", models.architectures())
    assert again.recognition.model == name


def test_without_transformers_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'matte-nodes\[select\]'"):
        networks.edgetam(16, (1, 1, 2, 1), 128, SIDE)
