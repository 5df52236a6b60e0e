# SPDX-License-Identifier: Apache-2.0
"""Clips of people for a network with a memory, and the training of that network on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from matte_nodes.errors import UsageError, WeightsError
from matte_nodes.models.networks.mobilenet import MobileNetV2
from matte_nodes.models.networks.modnet import MODNet
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting, fill_encoder
from matte_nodes.train import losses, parents, systems
from matte_nodes.train.people import clips, learn
from matte_nodes.train.people.composites import Composer, Mix
from matte_nodes.train.people.pool import Folders, PicturePool, read
from tests.train.test_people import labels


@pytest.fixture
def pool(tmp_path: Path) -> PicturePool:
    return read(Folders(labels=[labels(tmp_path / "labels")]), False)


def test_a_clip_is_the_same_each_time_and_every_frame_adds_up(pool: PicturePool) -> None:
    composer = Composer(pool, Mix(own_place=0.0, empty=0.0), 32)
    moving = 0
    for number in range(8):
        frames, again = clips.clip(composer, 5, number, 4), clips.clip(composer, 5, number, 4)
        for one, other in zip(frames, again, strict=True):
            for layer, same in zip(one, other, strict=True):
                np.testing.assert_array_equal(layer, same)
            assert one.plate.shape == (32, 32, 3)
            assert one.alpha.min() >= 0
            assert one.alpha.max() <= 1
        moving += int(not np.array_equal(frames[0].alpha, frames[-1].alpha))
    assert 4 <= moving < 8  # a fifth stands still


def test_a_composite_that_moves_is_composed_of_its_layers(pool: PicturePool) -> None:
    scene = Composer(pool, Mix(own_place=0.0, empty=0.0), 40).scene(np.random.default_rng(2))[0]
    way = clips.Way((0.3, 0.1), 8.0, 0.1)
    found = clips.apart(scene, way, clips.Way((0.0, 0.0), 0.0, 0.0), 1.0)
    made = found.foreground * found.alpha + found.background * (1 - found.alpha)
    np.testing.assert_allclose(found.plate, made, atol=1e-6)
    np.testing.assert_allclose(found.background, scene.background, atol=1e-6)
    assert np.abs(found.alpha - scene.alpha).max() > 0.3


def test_what_the_edge_cuts_goes_on_behind_it() -> None:
    layer = np.zeros((20, 20, 1), np.float32)
    layer[12:, 5:15] = 1
    up = np.array([[1, 0, 0], [0, 1, -4]], np.float32)
    assert clips.warped(layer, up)[-1, 10, 0] == 1


def test_a_photograph_moves_with_its_label(pool: PicturePool) -> None:
    scene, whole = Composer(pool, Mix(own_place=1.0, empty=0.0), 40).scene(np.random.default_rng(1))
    assert whole
    found = clips.together(scene, clips.Way((0.2, 0.0), 0.0, 0.0), 1.0)
    shifted = np.roll(scene.alpha, 4, axis=1)
    np.testing.assert_allclose(found.alpha[4:-4, 8:-8], shifted[4:-4, 8:-8], atol=1e-5)
    np.testing.assert_allclose(
        found.plate[4:-4, 8:-8], np.roll(scene.plate, 4, axis=1)[4:-4, 8:-8], atol=1e-5
    )


def test_a_network_answers_a_clip_frame_after_frame_with_its_states() -> None:
    torch.manual_seed(1)
    network = RobustVideoMatting("mobilenetv2").eval()
    clip = torch.rand(3, 1, 3, 64, 64)
    with torch.inference_mode():
        found = systems.find("rvm").answer(network, {"plate": clip}).alpha
        states: tuple[torch.Tensor, ...] = ()
        for frame, alpha in zip(clip, found, strict=True):
            answer = network(frame, *states, downsample_ratio=0.5)
            states = answer.states
            torch.testing.assert_close(alpha[None], answer.alpha)
        first = network(clip[2], downsample_ratio=0.5).alpha
    assert not torch.equal(found[2:], first)


def test_coherence_is_the_error_of_the_change_in_time(pool: PicturePool) -> None:
    torch.manual_seed(1)
    network = RobustVideoMatting("mobilenetv2").eval()
    system = systems.find("rvm")
    given = learn.clip_batch(Composer(pool, Mix(empty=0.0), 64), 5, 0, 2, 3)
    with torch.inference_mode():
        named = learn.clip_losses(system, network, given, {"coherence": 1.0, "l1": 0.5})
        alpha = system.answer(network, given).alpha.reshape(3, 2, 1, 64, 64)
    true = given["alpha"]
    want = losses.temporal_coherence(alpha[1:], alpha[:-1], true[1:], true[:-1])
    torch.testing.assert_close(named["coherence"], want)
    torch.testing.assert_close(named["total"], want + 0.5 * (alpha - true).abs().mean())


def test_a_network_with_a_memory_is_not_fine_tuned_from_single_frames() -> None:
    with pytest.raises(UsageError, match="'rvm' cannot be fine-tuned"):
        parents.find("rvm")


def test_an_encoder_of_modnet_answers_the_same_in_the_video_network() -> None:
    torch.manual_seed(3)
    modnet, video = MODNet().eval(), RobustVideoMatting("mobilenetv2").eval()
    fill_encoder(video, modnet.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    mean, deviation = (
        torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.inference_mode():
        want = modnet.backbone(picture * 2 - 1)[0]
        found = video.backbone((picture - mean) / deviation)[0]
    torch.testing.assert_close(found[..., 2:-2, 2:-2], want[..., 2:-2, 2:-2], atol=1e-4, rtol=1e-3)


def test_torchvision_s_encoder_fills_the_video_network_as_it_is() -> None:
    torch.manual_seed(3)
    given = MobileNetV2((17,), last=1280, nested=True)
    video = RobustVideoMatting("mobilenetv2")
    fill_encoder(video, given.state_dict())
    for name, tensor in video.backbone.state_dict().items():
        torch.testing.assert_close(tensor, given.state_dict()[name])


def test_tensors_of_another_encoder_are_refused() -> None:
    with pytest.raises(WeightsError, match="no MobileNetV2"):
        fill_encoder(RobustVideoMatting("mobilenetv2"), {"conv1.weight": torch.zeros(1)})
