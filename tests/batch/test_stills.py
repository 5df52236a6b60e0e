# SPDX-License-Identifier: Apache-2.0
"""A folder of stills by one command: what is a still, what is a clip, what fails alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from matte_nodes import MatteNode
from matte_nodes.batch import folder
from matte_nodes.cli import matte as command
from matte_nodes.errors import InputError, MatteError, OutputError, UsageError
from tests.made import write_image


def picture(seed: int, height: int = 40, width: int = 56) -> np.ndarray[Any, Any]:
    """A disc before a green screen; seed moves it."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    alpha = np.clip((12 - np.hypot(y - 20, x - 16 - 3 * seed)) / 2, 0, 1)[..., None]
    mixed = np.array([0.8, 0.3, 0.2]) * alpha + np.array([0.1, 0.75, 0.2]) * (1 - alpha)
    return np.rint(mixed * 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two phone photos, one named twice, one of another size in a subfolder, one broken."""
    place = tmp_path / "photos"
    (place / "more").mkdir(parents=True)
    write_image(place / "20240101_101112.png", picture(0))
    write_image(place / "20260105_111213.png", picture(1))
    write_image(place / "cat.png", picture(2, 64, 48))
    write_image(place / "cat.tif", picture(3))
    write_image(place / "more" / "dog.png", picture(4, 30, 80))
    return place


def matte(*words: object) -> Result:
    """`matte run` with the green screen."""
    given = [str(word) for word in words]
    return CliRunner().invoke(
        command, ["run", *given, "--model", "green-screen", "--no-service", "--device", "cpu"]
    )


def alpha_of(path: Path) -> np.ndarray[Any, Any]:
    """The alpha of a cut-out."""
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found[..., 3])


def test_two_phone_photos_are_two_stills(photos: Path, tmp_path: Path) -> None:
    result = matte(photos, "-o", f"{tmp_path}/out/")
    assert result.exit_code == 0, result.output
    found = sorted(p.name for p in (tmp_path / "out").glob("*.png"))
    assert found == ["20240101_101112.png", "20260105_111213.png", "cat.png.png", "cat.tif.png"]
    assert alpha_of(tmp_path / "out" / "cat.png.png").shape == (64, 48)


def test_a_still_of_a_folder_is_the_still_alone(photos: Path, tmp_path: Path) -> None:
    matte(photos, "-o", f"{tmp_path}/out/")
    matte(photos / "20240101_101112.png", "-o", tmp_path / "alone.png")
    together, alone = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                       for path in (tmp_path / "out" / "20240101_101112.png", tmp_path / "alone.png"))  # fmt: skip
    assert np.array_equal(together, alone)


def test_recursive_keeps_the_subfolders(photos: Path, tmp_path: Path) -> None:
    matte(photos, "-o", f"{tmp_path}/out/", "--recursive")
    assert alpha_of(tmp_path / "out" / "more" / "dog.png").shape == (30, 80)


def test_the_star_is_the_name_of_the_picture(photos: Path, tmp_path: Path) -> None:
    matte(photos, "-o", f"{tmp_path}/out/*_cut.webp")
    assert (tmp_path / "out" / "20240101_101112_cut.webp").is_file()


def test_a_broken_picture_fails_alone_and_is_told_of_at_the_end(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_text("no picture")
    result = matte(photos, "-o", f"{tmp_path}/out/", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 3
    assert events[-1] == {"event": "done", "files": 4, "done_before": 0, "failed": 1}
    wrong = next(event for event in events if event["event"] == "error")
    assert "broken.jpg" in wrong["message"]
    said = matte(photos, "-o", f"{tmp_path}/out/").stderr.splitlines()
    assert said[-1].startswith("matte: ")
    assert "broken.jpg" in said[-1]


def test_a_second_run_does_only_what_is_missing(photos: Path, tmp_path: Path) -> None:
    matte(photos, "-o", f"{tmp_path}/out/")
    (tmp_path / "out" / "20240101_101112.png").unlink()
    write_image(photos / "20260105_111213.png", picture(7))
    result = matte(photos, "-o", f"{tmp_path}/out/", "--json")
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["files"], last["done_before"]) == (2, 2)


def test_numbered_pictures_are_one_clip_and_with_each_they_are_stills(tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    for number in (1001, 1002, 1003):
        write_image(place / f"plate.{number}.png", picture(number - 1001))
    write_image(place / "poster.png", picture(5))
    items = folder.found(place, f"{tmp_path}/out/", layout="auto", recursive=False, each=False)
    assert [(Path(item.output).name, item.frames) for item in items] == [
        ("plate.####.png", 3), ("poster.png", 1),
    ]  # fmt: skip
    assert (
        len(folder.found(place, f"{tmp_path}/out/", layout="auto", recursive=False, each=True)) == 4
    )
    assert matte(place, "-o", f"{tmp_path}/out/").exit_code == 0
    assert (tmp_path / "out" / "plate.1002.png").is_file()


def test_a_folder_of_trimaps_gives_each_still_its_own(tmp_path: Path) -> None:
    place, hints = tmp_path / "in", tmp_path / "hints"
    place.mkdir()
    hints.mkdir()
    for name, fill in (("a", 255), ("b", 0)):
        write_image(place / f"{name}.png", picture(1))
        write_image(hints / f"{name}.png", np.full((40, 56), fill, np.uint8), "Y")
    result = matte(place, "-o", f"{tmp_path}/out/", "--segmentation", hints)
    assert result.exit_code == 0, result.output
    assert alpha_of(tmp_path / "out" / "a.png").max() == 255
    assert alpha_of(tmp_path / "out" / "b.png").max() == 0
    (hints / "b.png").unlink()
    result = matte(place, "-o", f"{tmp_path}/other/", "--segmentation", hints)
    assert result.exit_code == 3
    assert "holds no picture named b" in result.stderr


def test_what_a_folder_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        folder.found(
            tmp_path / "empty", f"{tmp_path}/out/", layout="auto", recursive=False, each=False
        )
    write_image(tmp_path / "a.png", picture(0))
    with pytest.raises(OutputError, match="Would replace"):
        folder.found(tmp_path, str(tmp_path), layout="auto", recursive=False, each=False)
    with pytest.raises(OutputError, match="one \\*"):
        folder.found(tmp_path, f"{tmp_path}/*_*.png", layout="auto", recursive=False, each=False)
    said = matte(tmp_path, "-o", f"{tmp_path}/out/", "--frames", "1-2")
    assert isinstance(said.exception, UsageError)


def test_many_yields_a_matte_or_the_error_of_each_path(photos: Path) -> None:
    (photos / "broken.jpg").write_text("no picture")
    paths = [photos / "cat.png", photos / "broken.jpg", photos / "20240101_101112.png"]
    found = dict(MatteNode("green-screen", device="cpu").many(paths))
    assert list(found) == paths
    cat = found[paths[0]]
    assert not isinstance(cat, MatteError)
    assert cat.alpha.shape == (64, 48)
    assert isinstance(found[paths[1]], InputError)
