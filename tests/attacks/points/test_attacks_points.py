# SPDX-License-Identifier: Apache-2.0
"""Points that a person, a script or a broken file may give: each is refused by one sentence.

Exit code 2 is a wrong request, 3 bad input. Nothing is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import HintSizeError, InputError, MatteError, MediaError, UsageError
from matte_nodes.points import as_points, from_dict, from_file, from_flags
from matte_nodes.service.request import checked
from tests.made import write_image

WIDTH, HEIGHT = 48, 32


def plate(folder: Path) -> str:
    for frame in (1001, 1002):
        write_image(folder / f"p.{frame}.png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    return str(folder / "p.####.png")


def refused(points: Any, folder: Path) -> MatteError:
    with pytest.raises(MatteError) as found:
        MatteNode("click", device="cpu").connect(plate(folder), points=points)
    assert str(found.value)[0].isupper() or str(found.value)[0] in "'\"/-"
    assert str(found.value).rstrip().endswith(".")
    return found.value


def document(*objects: Any, **more: Any) -> dict[str, Any]:
    return {"schema": "matte-points", "version": 1, "objects": list(objects), **more}


def dancer(frames: Any, name: str = "dancer") -> dict[str, Any]:
    return {"name": name, "frames": frames}


@pytest.mark.parametrize("place", [(-0.01, 5), (WIDTH, 5), (5, HEIGHT), (5, -1), (1e308, 5)])
def test_a_click_outside_of_the_display_window(place: Any, tmp_path: Path) -> None:
    error = refused({1001: [place]}, tmp_path)
    assert error.exit_code == 2
    assert f"in frame 1001 lies outside of the picture, which is {WIDTH} x {HEIGHT}" in str(error)


def test_a_click_on_overscan_is_outside_of_the_display_window(tmp_path: Path) -> None:
    """The data window is larger: its pixels there are no pixels of the display window."""
    path = exr(tmp_path, (-8, -8, WIDTH + 16, HEIGHT + 16))
    with pytest.raises(UsageError, match="outside of the picture"):
        MatteNode("click", device="cpu").connect(str(path), points={1: [(-4, 5)]})


@pytest.mark.parametrize("window", [(-8, -8, WIDTH + 16, HEIGHT + 16), (8, 4, 24, 20)])
def test_a_click_is_counted_from_the_display_window(window: Any, tmp_path: Path) -> None:
    """Whatever the data window is, the clicked thing is the one that is selected."""
    path = exr(tmp_path, window)
    shot = MatteNode("click", device="cpu").connect(str(path), points={1: [(16, 12)]})
    canvas = shot.clip.canvas
    alpha = shot.at(1).alpha
    assert alpha[12 - canvas.y, 16 - canvas.x] == 1
    assert alpha.mean() < 0.5


def exr(folder: Path, window: tuple[int, int, int, int]) -> Path:
    """A light square of 10 pixels round 16,12 of the display window, on grey."""
    x, y, width, height = window
    pixels = np.full((height, width, 3), 0.1, np.float32)
    pixels[7 - y : 17 - y, 11 - x : 21 - x] = (0.8, 0.6, 0.1)
    spec = oiio.ImageSpec(width, height, 3, "half")
    spec.x, spec.y = x, y
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = 0, 0, WIDTH, HEIGHT
    path = folder / "p.0001.exr"
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec)
    assert output.write_image(pixels)
    output.close()
    return path


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), -float("inf"), None, "5", True, [1]]
)
def test_a_place_that_is_no_number(number: Any, tmp_path: Path) -> None:
    error = refused({1001: [(number, 5)]}, tmp_path)
    assert error.exit_code == 2
    assert "holds numbers" in str(error)


def test_nan_in_a_file(tmp_path: Path) -> None:
    """Python's JSON reads NaN, Infinity and 1e999."""
    for text in ("NaN", "Infinity", "1e999"):
        path = tmp_path / "points.json"
        path.write_text(
            '{"schema": "matte-points", "version": 1, "objects": [{"name": "a", "frames": '
            f'{{"1001": {{"subject": [[{text}, 5]]}}}}}}]}}'
        )
        with pytest.raises(UsageError, match=r"points\.json: .*holds numbers"):
            from_file(path)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ({}, "no click on it and no box"),
        ({"1001": {}}, "no click on it and no box"),
        ({"1001": {"subject": []}}, "no click on it and no box"),
        ({"1001": {"not": [[5, 5]]}}, "no click on it and no box"),
        ({"1001": {"subject": [[5, 5]]}, "1002": {}}, "no marks in frame 1002"),
    ],
)
def test_an_empty_object(frames: Any, said: str, tmp_path: Path) -> None:
    error = refused(document(dancer(frames)), tmp_path)
    assert error.exit_code == 2
    assert said in str(error)


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", "../a", "{object}", "{}", "a{b", "{{Param.X}}", "", " ", "a.b", "a\nb",
             "a\0b", "-o", "#", "%d", "ß", "1", None]
)  # fmt: skip
def test_a_name_that_is_no_name(name: Any, tmp_path: Path) -> None:
    error = refused(document(dancer({"1001": {"subject": [[5, 5]]}}, name)), tmp_path) if (
        name is not None
    ) else UsageError("cannot name an object")  # fmt: skip
    assert error.exit_code == 2
    assert "cannot name an object" in str(error)


@pytest.mark.parametrize("twin", ["dancer", "Dancer", "DANCER"])
def test_two_objects_of_one_name(twin: str, tmp_path: Path) -> None:
    frames = {"1001": {"subject": [[5, 5]]}}
    error = refused(document(dancer(frames), dancer(frames, twin)), tmp_path)
    assert error.exit_code == 2
    assert "Two objects have one name" in str(error)


def test_two_names_of_one_layer(tmp_path: Path) -> None:
    """A layer's name has _ in place of -: one of them would be lost in the EXR."""
    frames = {"1001": {"subject": [[5, 5]]}}
    error = refused(document(dancer(frames, "left-hand"), dancer(frames, "left_hand")), tmp_path)
    assert "'left-hand' and 'left_hand'" in str(error)


def test_an_object_with_the_name_of_the_whole_matte_s_channel() -> None:
    """alpha.V is the whole matte in the layout blender; an object V has a layer of its own."""
    from matte_nodes.media import layouts
    from matte_nodes.media.image import Image, Rect

    window = Rect(0, 0, 2, 2)
    image = Image(np.zeros((2, 2, 3), np.float32), ("R", "G", "B"), window, window)
    plane = np.ones((2, 2), np.float32)
    frame = layouts.OutputFrame(
        1, plane, np.zeros((2, 2, 3), np.float32), window, image,
        {"alpha.V": plane, "alpha.b": plane},
    )  # fmt: skip
    names, pixels = layouts.blender(frame)
    assert names.count("alpha.V") == 1
    assert {"alpha_V.V", "alpha_b.V"} <= set(names)
    assert pixels.shape[2] == len(names)


@pytest.mark.parametrize("version", [2, 0, "1", None, 1.5, True, [1]])
def test_a_version_that_is_not_read(version: Any, tmp_path: Path) -> None:
    error = refused({**document(), "version": version}, tmp_path)
    assert error.exit_code == 2
    assert "this release reads 1" in str(error)


@pytest.mark.parametrize(
    "box", [[20, 5, 10, 15], [5, 20, 15, 10], [5, 5, 5, 9], [5, 5, 9], [5, 5, 9, 9, 9], [], "box"]
)
def test_a_box_that_is_none(box: Any, tmp_path: Path) -> None:
    error = refused(document(dancer({"1001": {"box": box}})), tmp_path)
    assert error.exit_code == 2
    assert "'dancer'" in str(error)


def test_a_box_outside_of_the_picture(tmp_path: Path) -> None:
    error = refused({1001: {"box": (WIDTH, 0, WIDTH + 9, 9)}}, tmp_path)
    assert "lies outside of the picture" in str(error)


@pytest.mark.parametrize("box", [(5, 5, 5.2, 5.2), (-1e9, -1e9, 1e9, 1e9), (47.5, 31.5, 60, 60)])
def test_a_box_that_is_tiny_or_huge_is_a_box(box: Any, tmp_path: Path) -> None:
    shot = MatteNode("click", device="cpu").connect(plate(tmp_path), points={1001: {"box": box}})
    alpha = shot.at(1001).alpha
    assert np.isfinite(alpha).all()
    assert 0 <= alpha.min() <= alpha.max() <= 1


@pytest.mark.parametrize("frame", [1000, 1003, -5, 10**12])
def test_a_frame_that_the_shot_has_not(frame: int, tmp_path: Path) -> None:
    error = refused({frame: [(5, 5)]}, tmp_path)
    assert error.exit_code == 2
    assert f"name frame {frame}, but" in str(error)
    assert "1001-1002" in str(error)


@pytest.mark.parametrize(
    "frame", ["1001.5", 1001.5, "1_001", "١", " 1001", "", "1e3", True, float("nan"), "9" * 30]
)
def test_a_frame_that_is_no_number(frame: Any, tmp_path: Path) -> None:
    error = refused({"dancer": {frame: [(5, 5)]}}, tmp_path)
    assert error.exit_code == 2
    assert "no frame number" in str(error)


def test_one_frame_in_two_spellings(tmp_path: Path) -> None:
    both = {"1001": {"subject": [[5, 5]]}, "01001": {"subject": [[9, 9]]}}
    assert "twice" in str(refused(document(dancer(both)), tmp_path))


def test_one_frame_twice_in_a_file(tmp_path: Path) -> None:
    """Python's JSON keeps the last one and says nothing."""
    path = tmp_path / "points.json"
    path.write_text(
        '{"schema": "matte-points", "version": 1, "objects": [{"name": "a", "frames": '
        '{"1001": {"subject": [[5, 5]]}, "1001": {"subject": [[9, 9]]}}}]}'
    )
    with pytest.raises(UsageError, match="'1001' is there twice"):
        from_file(path)


def test_points_of_another_plate(tmp_path: Path) -> None:
    marks = dancer({"1001": {"subject": [[5, 5]]}})
    error = refused(document(marks, width=HEIGHT, height=WIDTH), tmp_path)
    assert isinstance(error, HintSizeError)
    assert error.exit_code == 3


@pytest.mark.parametrize(
    "size", [{"width": 48}, {"width": 0, "height": 32}, {"width": "48", "height": "32"},
             {"width": 48.0, "height": 32.0}, {"width": True, "height": True}]
)  # fmt: skip
def test_a_size_that_is_none(size: Any) -> None:
    with pytest.raises(UsageError, match="whole numbers above 0"):
        from_dict(document(dancer({"1": {"subject": [[0, 0]]}}), **size))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[" * 100_000, b"\xff\xfe{\x00", b"null", b"[]", b'"text"', b"\0" * 64]
)
def test_a_file_that_is_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    path.write_bytes(data)
    with pytest.raises((InputError, UsageError), match=r"points\.json"):
        from_file(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "points.json")
    with pytest.raises(MediaError, match="plain file"):
        from_file(tmp_path / "points.json")
    with pytest.raises(MediaError):
        from_file(tmp_path)


def test_a_file_of_a_windows_editor_and_a_link_are_read(tmp_path: Path) -> None:
    text = json.dumps(document(dancer({"1001": {"subject": [[5, 5]]}})))
    path = tmp_path / "points.json"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "link.json").symlink_to(path)
    assert from_file(path) == from_file(tmp_path / "link.json") == from_dict(json.loads(text))


@pytest.mark.parametrize(
    ("clicks", "boxes"),
    [(["5,5@1001@2"], []), (["a/b=5,5"], []), (["{object}=5,5"], []), (["5;5"], []),
     (["5,5,@1001"], []), ([], ["9,9,5,5"]), ([], ["5,5,9"]), (["5,5@1_001"], [])],
)  # fmt: skip
def test_flags_that_say_nothing(clicks: Any, boxes: Any) -> None:
    with pytest.raises(UsageError) as found:
        from_flags(clicks, (), boxes)
    assert found.value.exit_code == 2


def test_very_many_clicks_are_clicks(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    clicks = [(float(x), float(y)) for x, y in draw.random((20_000, 2)) * (WIDTH, HEIGHT)]
    shot = MatteNode("click", device="cpu").connect(plate(tmp_path), points={1001: clicks})
    assert shot.at(1001).alpha.mean() > 0.9


def test_the_service_refuses_the_same(tmp_path: Path) -> None:
    asked = {"source": "p.####.png", "output": "m.####.exr", "model": "click", "cwd": "/"}
    for points in ("points.json", [[5, 5]], 7):
        with pytest.raises(UsageError, match=r"connect\.points"):
            checked({**asked, "connect": {"points": points}})


def test_the_command_says_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    for words, code, said in (
        (["--click", "99,5@1001"], 2, "lies outside"),
        (["--click", "5,5@9"], 2, "name frame 9"),
        (["--points", str(tmp_path / "none.json")], 3, "cannot be read"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "matte_nodes", "select", plate(tmp_path), "--no-service",
             "--quiet", "-o", str(tmp_path / "out" / "m.####.exr"), *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_python_values_of_numpy_are_numbers() -> None:
    found = as_points({np.int64(1001): [(np.float32(5), np.int64(6), np.True_)]})
    assert found.objects["object"][1001].subject == ((5.0, 6.0),)
