# SPDX-License-Identifier: Apache-2.0
"""`matte select`, `matte run --model select`: from clicks to files; the service's and farm's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
from click.testing import CliRunner

from matte_nodes.cli import matte
from matte_nodes.errors import UsageError
from matte_nodes.points import as_points
from matte_nodes.service.request import checked, parse
from matte_nodes.shot.chain import build
from tests.select.scenes import BLUE, RED, Thing, clip, iou

MOVING = Thing(5, RED, (40, 55), (6, 1))
STANDING = Thing(6, BLUE, (120, 40), (0, 0), (14, 12))
COUNT = 3


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("plates")
    frames, masks = clip([STANDING, MOVING], COUNT)
    for time, picture in enumerate(frames):
        cv2.imwrite(str(folder / f"plate.{1001 + time}.png"), picture[..., ::-1])
    return folder, masks


def run(*words: str) -> Any:
    done = CliRunner().invoke(matte, [*words, "--no-service", "--quiet"], catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def channels(path: Path) -> dict[str, Any]:
    """The channels of an EXR over its display window."""
    picture = oiio.ImageBuf(str(path))
    window, whole = picture.roi, picture.roi_full
    found = np.zeros((whole.height, whole.width, picture.nchannels), np.float32)
    found[window.ybegin : window.yend, window.xbegin : window.xend] = picture.get_pixels(oiio.FLOAT)
    return dict(zip(picture.spec().channelnames, np.moveaxis(found, 2, 0), strict=True))


def test_one_command_makes_mattes_of_a_click(plates: Any, tmp_path: Path) -> None:
    folder, masks = plates
    out = tmp_path / "matte.####.exr"
    run("select", f"{folder}/plate.####.png", "--click", "40,55@1001", "-o", str(out))
    for time in range(COUNT):
        alpha = channels(tmp_path / f"matte.{1001 + time}.exr")["A"]
        assert iou(alpha > 0.5, masks[time][1]) > 0.85, time
        assert ((alpha > 0.05) & (alpha < 0.95)).any(), time


def test_a_second_run_does_nothing_and_a_new_click_does_what_it_reaches(
    plates: Any, tmp_path: Path
) -> None:
    source, out = f"{plates[0]}/plate.####.png", str(tmp_path / "mask.####.exr")
    words = ["select", source, "--mask-only", "-o", out, "--click", "40,55@1001"]
    box = ["--box", "20,35,62,75@1002"]
    run(*words, *box)
    times = [(tmp_path / f"mask.{n}.exr").stat().st_mtime_ns for n in (1001, 1002, 1003)]
    run(*words, *box)
    assert [(tmp_path / f"mask.{n}.exr").stat().st_mtime_ns for n in (1001, 1002, 1003)] == times
    run(*words, *box, "--not", "5,5@1001")
    later = [(tmp_path / f"mask.{n}.exr").stat().st_mtime_ns for n in (1001, 1002, 1003)]
    assert [a != b for a, b in zip(times, later, strict=True)] == [True, False, False]


def test_several_objects_are_layers_and_their_union(plates: Any, tmp_path: Path) -> None:
    folder, masks = plates
    run(
        "select", f"{folder}/plate.####.png", "--click", "front=40,55@1001",
        "--click", "back=120,40@1001", "-o", str(tmp_path / "matte.####.exr"),
    )  # fmt: skip
    found = channels(tmp_path / "matte.1003.exr")
    layers = {name.split(".")[1]: a for name, a in found.items() if name.startswith("alpha.")}
    assert sorted(layers) == ["back", "front"]  # EXR sorts its channels
    assert (
        oiio.ImageInput.open(str(tmp_path / "matte.1003.exr")).spec()["matte/objects"]
        == "front back"
    )
    assert iou(layers["front"] > 0.5, masks[2][1]) > 0.8
    assert iou(layers["back"] > 0.5, masks[2][0]) > 0.8
    assert np.allclose(layers["front"] + layers["back"], found["A"], atol=2e-3)


def test_a_file_of_points_and_the_named_chain_give_the_same(plates: Any, tmp_path: Path) -> None:
    source = f"{plates[0]}/plate.####.png"
    as_points({1001: [(40, 55)]}).save(tmp_path / "points.json")
    run("select", source, "--click", "40,55@1001", "-o", str(tmp_path / "a.####.exr"))
    run("run", source, "--model", "select", "--points", str(tmp_path / "points.json"),
        "-o", str(tmp_path / "b.####.exr"))  # fmt: skip
    one, two = (channels(tmp_path / f"{name}.1002.exr")["A"] for name in "ab")
    assert np.array_equal(one, two)


def test_without_clicks_the_command_says_what_to_give(plates: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--click X,Y@FRAME"):
        run("select", f"{plates[0]}/plate.####.png", "-o", str(tmp_path / "m.####.exr"))
    with pytest.raises(UsageError, match="not both"):
        run("select", f"{plates[0]}/plate.####.png", "-o", str(tmp_path / "m.####.exr"),
            "--click", "1,1", "--points", "x.json")  # fmt: skip


def test_auto_takes_points_as_a_selection() -> None:
    frames, _ = clip([MOVING], 1)
    points = {1: [(40, 55)]}
    chain = build(frames, "auto", knobs={}, node={"device": "cpu"}, connect={"points": points})
    assert chain.name.startswith("click -> ")


def test_the_service_takes_points_as_data() -> None:
    points = as_points({"a": {1: [(1, 2)]}, "b": {1: {"box": (0, 0, 4, 4)}}}).as_dict()
    asked = {
        "source": "p.####.png", "output": "m.####.exr", "model": "select", "cwd": "/",
        "connect": {"points": points},
    }  # fmt: skip
    message = parse(json.dumps({"op": "render", "request": asked}).encode())
    assert checked(message["request"]).connect["points"] == points
    with pytest.raises(UsageError, match=r"connect\.points"):
        checked({**asked, "connect": {"points": "points.json"}})
