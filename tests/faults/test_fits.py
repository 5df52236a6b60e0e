# SPDX-License-Identifier: Apache-2.0
"""Inputs that do not fit each other, and pictures of other libraries in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.errors import MatteError
from tests.faults.rig import SUBJECT, odd, picture, run
from tests.made import write_image
from tests.media.samples import write_picture
from tests.test_align import noisy, shaken, textured, with_subject


def warned(ran: Any) -> list[str]:
    return [event["message"] for event in ran.events if event["event"] == "warning"]


def with_clean_plate(folder: Path, background: NDArray[Any]) -> Any:
    """`matte run` of a place with a subject, and a clean plate."""
    plate, _ = with_subject(textured(480, 640))
    write_picture(folder / "plate.1.png", noisy(plate, 1))
    write_picture(folder / "clean.png", noisy(background, 2))
    return run(
        folder / "out", folder / "plate.#.png", "--background", folder / "clean.png",
        "--model", "clean-plate-cues",
    )  # fmt: skip


@odd(
    "Hints",
    "A clean plate of another place",
    "said",
    "Used, with a warning that names the frame (`matte/warnings`).",
)
def test_a_clean_plate_of_another_place(tmp_path: Path) -> None:
    ran = with_clean_plate(tmp_path, textured(480, 640, seed=77))
    assert ran.code == 0, ran.said
    assert "the clean plate does not fit" in warned(ran)[0]
    assert "the clean plate does not fit" in ran.facts(1)["matte/warnings"]


@odd("Hints", "A hand-held clean plate", "taken", "Laid over the plate, in each frame.")
def test_a_hand_held_clean_plate(tmp_path: Path) -> None:
    ran = with_clean_plate(tmp_path, shaken(textured(480, 640))[0])
    assert ran.code == 0, ran.said
    assert not warned(ran)
    _, mask = with_subject(textured(480, 640))
    inner = np.s_[20:-20, 20:-20]
    assert np.abs(ran.frame(1)["A"][inner] - mask[inner]).mean() < 0.05


@odd(
    "Hints",
    "A segmentation that is held over frames where the subject has moved",
    "said",
    "As it is, with a warning that names the frame.",
)
def test_a_held_segmentation(tmp_path: Path) -> None:
    for number in (1, 2):
        write_image(tmp_path / f"plate.{number}.exr", picture().astype(np.float16))
    mask = np.zeros((*picture().shape[:2], 1), np.float16)
    mask[2:36, 4:16] = 1
    write_image(tmp_path / "mask.1.exr", mask, channels=("Y",))
    ran = run(
        tmp_path / "out", tmp_path / "plate.#.exr", "--segmentation", tmp_path / "mask.1.exr",
        "--segmentation-margin", "2", "--hint-keys", "hold",
    )  # fmt: skip
    assert ran.code == 0, ran.said
    assert any("segmentation" in text and "frame 2" in text for text in warned(ran))


@odd("Numbers", "A sequence with gaps", "refused", "All gaps are named, before the first frame.")
def test_gaps(tmp_path: Path) -> None:
    for number in (1, 2, 4):
        write_image(tmp_path / f"plate.{number}.exr", picture().astype(np.float16))
    ran = run(tmp_path / "out", tmp_path / "plate.#.exr")
    assert ran.code == 3
    assert "frame 3 of 1-4 has no file" in ran.said
    assert ran.frames == []


@odd(
    "Python",
    "A PIL image, a torch tensor, float64, nested lists",
    "taken",
    "As an array with these values.",
)
def test_pictures_of_other_libraries() -> None:
    torch, images = pytest.importorskip("torch"), pytest.importorskip("PIL.Image")
    codes = (picture().clip(0, 1) * 255).round().astype(np.uint8)
    node = MatteNode("green-screen")
    expected = node(codes).alpha
    assert np.count_nonzero(expected == 1) == SUBJECT
    for same in (images.fromarray(codes), torch.from_numpy(codes)):
        assert np.array_equal(node(same).alpha, expected)
    floats = picture().astype(np.float32)
    for same in (floats.astype(np.float64), floats.tolist()):
        assert np.array_equal(node(same).alpha, node(floats).alpha)


@odd("Python", "A file name in place of a picture", "refused", "`node.connect` is named.")
@pytest.mark.parametrize("path", ["plate.png", Path("plate.png"), b"plate.png"])
def test_a_file_name_in_place_of_a_picture(path: Any) -> None:
    with pytest.raises(MatteError, match=r"node\.connect"):
        MatteNode("green-screen")(path)


@odd(
    "Python",
    "Channels first, four channels, grey, a batch",
    "refused",
    "What to do with each is in the message.",
)
def test_other_shapes() -> None:
    floats = picture().astype(np.float32)
    for shape, word in (
        (floats.transpose(2, 0, 1), "channels first"),
        (np.dstack([floats, floats[..., :1]]), "R, G and B alone"),
        (floats[..., 0], "grey"),
        (floats[None], "one picture"),
    ):
        with pytest.raises(MatteError, match=word):
            MatteNode("green-screen")(shape)


@odd("Python", "Frames of codes in a stream", "taken", "sRGB, as a still's.")
def test_codes_in_a_stream() -> None:
    codes = (picture().clip(0, 1) * 255).round().astype(np.uint8)
    node = MatteNode("green-screen")
    with node.stream() as live:
        assert np.array_equal(live.step(codes).alpha, node(codes).alpha)
