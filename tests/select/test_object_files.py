# SPDX-License-Identifier: Apache-2.0
"""One file for each object: names, errors, resume, the sum of neighbours, movies, farm jobs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
from click.testing import CliRunner

from matte_nodes.cli import matte
from matte_nodes.errors import OutputError
from matte_nodes.media.clip import open_clip
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from matte_nodes.select.shares import dealt
from tests.select.scenes import BLUE, RED, Thing, clip, iou
from tests.select.test_select_command import channels, run

MOVING = Thing(5, RED, (40, 55), (6, 1))
STANDING = Thing(6, BLUE, (120, 40), (0, 0), (14, 12))
POINTS = {"front": {1: [MOVING.at(0)]}, "back": {1: [STANDING.at(0)]}}
CLICKS = "--click", "front=40,55@1", "--click", "back=120,40@1"


@pytest.fixture(scope="module")
def masks() -> list[Any]:
    return clip([STANDING, MOVING], 3)[1]


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plate")
    for number, picture in enumerate(clip([STANDING, MOVING], 3)[0], 1):
        assert cv2.imwrite(str(folder / f"p.{number:04d}.png"), picture[..., ::-1])
    return str(folder / "p.####.png")


def render(plate: str, output: Path, points: Any = POINTS, **more: Any) -> Render:
    return Render(
        plate, str(output), "click", knobs={}, node={"device": "cpu"},
        connect={"points": points}, **more,
    )  # fmt: skip


def do(plate: str, output: Path, points: Any = POINTS, **more: Any) -> None:
    render(plate, output, points, **more).run(None, None, Quiet())


def changed(paths: list[Path]) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in paths}


def test_each_object_has_files_of_its_own(plate: str, masks: Any, tmp_path: Path) -> None:
    do(plate, tmp_path / "m.{object}.####.exr")
    names = sorted(path.name for path in tmp_path.glob("*.exr"))
    assert names == [f"m.{name}.{n:04d}.exr" for name in ("back", "front") for n in (1, 2, 3)]
    for name, index in (("front", 1), ("back", 0)):
        found = channels(tmp_path / f"m.{name}.0003.exr")
        assert iou(found["A"] > 0.5, masks[2][index]) > 0.8
        assert not any(layer.startswith("alpha.") for layer in found)
        # Premultiplied by its own alpha, so it lies over anything by itself.
        assert np.allclose(found["R"], found["fg.R"] * found["A"], atol=1e-3)


def test_the_name_may_be_a_folder(plate: str, tmp_path: Path) -> None:
    do(plate, tmp_path / "{object}" / "m.####.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "front"]
    assert (tmp_path / "front" / "m.0003.png").is_file()


def test_the_files_are_the_layers(plate: str, tmp_path: Path) -> None:
    do(plate, tmp_path / "all.####.exr")
    do(plate, tmp_path / "m.{object}.####.exr")
    layers = channels(tmp_path / "all.0002.exr")
    for name in ("front", "back"):
        own = channels(tmp_path / f"m.{name}.0002.exr")
        assert np.array_equal(own["A"], layers[f"alpha.{name}"])


def test_neighbours_share_soft_pixels_and_sum_to_at_most_one(tmp_path: Path) -> None:
    """Two things that touch: the soft pixels between them are of both, the union is not above 1."""
    one, two = Thing(5, RED, (60, 55), (0, 0), (16, 20)), Thing(6, BLUE, (92, 55), (0, 0), (16, 20))
    picture = clip([one, two], 1)[0][0]
    cv2.imwrite(str(tmp_path / "p.0001.png"), picture[..., ::-1])
    points = {"one": {1: [one.at(0)]}, "two": {1: [two.at(0)]}}
    source = str(tmp_path / "p.####.png")
    Render(
        source, str(tmp_path / "m.{object}.####.exr"), "select", knobs={},
        node={"device": "cpu"}, connect={"points": points},
    ).run(None, None, Quiet())  # fmt: skip
    a, b = (channels(tmp_path / f"m.{name}.0001.exr")["A"] for name in points)
    assert ((a > 0.05) & (b > 0.05)).any()
    assert float((a.astype(np.float64) + b).max()) <= 1.0


def test_a_second_run_does_nothing_and_a_lost_file_is_made_again(
    plate: str, tmp_path: Path
) -> None:
    output = tmp_path / "m.{object}.####.exr"
    do(plate, output)
    files = sorted(tmp_path.glob("*.exr"))
    before = changed(files)
    do(plate, output)
    assert changed(files) == before
    (tmp_path / "m.back.0002.exr").unlink()
    do(plate, output)
    after = changed(files)
    assert {name for name in before if before[name] != after[name]} == {
        "m.back.0002.exr", "m.front.0002.exr",
    }  # fmt: skip


def test_another_object_s_file_under_this_name_is_not_taken(plate: str, tmp_path: Path) -> None:
    output = tmp_path / "m.{object}.####.exr"
    do(plate, output)
    wrong, right = tmp_path / "m.front.0002.exr", (tmp_path / "m.front.0002.exr").read_bytes()
    wrong.write_bytes((tmp_path / "m.back.0002.exr").read_bytes())
    for log in tmp_path.glob(".*.jsonl"):
        log.unlink()  # the files alone must tell
    do(plate, output)
    assert channels(wrong)["A"].sum() == pytest.approx(
        channels_of(right, tmp_path / "kept.exr")["A"].sum()
    )


def channels_of(data: bytes, path: Path) -> Any:
    path.write_bytes(data)
    return channels(path)


def test_each_file_says_its_object_and_has_a_list_of_its_own(plate: str, tmp_path: Path) -> None:
    do(plate, tmp_path / "m.{object}.####.exr")
    for name in ("front", "back"):
        spec = oiio.ImageInput.open(str(tmp_path / f"m.{name}.0001.exr")).spec()
        assert spec["matte/object"] == name
        lines = (tmp_path / f".m.{name}.____.exr.matte.jsonl").read_text().splitlines()
        assert [json.loads(line)["frame"] for line in lines if '"frame"' in line] == [1, 2, 3]


def test_a_movie_for_each_object(plate: str, masks: Any, tmp_path: Path) -> None:
    do(plate, tmp_path / "m.{object}.mkv")
    for name, index in (("front", 1), ("back", 0)):
        movie = open_clip(tmp_path / f"m.{name}.mkv")
        frame = movie.read(movie.frames[2])
        alpha = np.asarray(frame.pixels[..., 3], np.float32)
        assert iou(alpha > alpha.max() / 2, masks[2][index]) > 0.8
        movie.close()
    before = changed(sorted(tmp_path.glob("*.mkv")))
    do(plate, tmp_path / "m.{object}.mkv")
    assert changed(sorted(tmp_path.glob("*.mkv"))) == before


def test_one_object_that_nobody_named_is_object(plate: str, tmp_path: Path) -> None:
    do(plate, tmp_path / "m.{object}.####.exr", {1: [MOVING.at(0)]})
    assert (tmp_path / "m.object.0001.exr").is_file()


def test_cryptomatte_files_of_one_object_keep_its_name(plate: str, tmp_path: Path) -> None:
    do(plate, tmp_path / "m.{object}.####.exr", layout="cryptomatte")
    spec = oiio.ImageInput.open(str(tmp_path / "m.front.0001.exr")).spec()
    manifest = next(a.value for a in spec.extra_attribs if a.name.endswith("/manifest"))
    assert list(json.loads(manifest)) == ["front"]


def test_several_objects_without_a_place_for_the_name_are_refused(
    plate: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"2 objects \(front, back\).*m\.\{object\}\.####\.png"):
        render(plate, tmp_path / "m.####.png")
    with pytest.raises(OutputError, match=r"no place for the name.*m\.\{object\}\.####\.exr"):
        render(plate, tmp_path / "m.####.exr", objects="files")
    with pytest.raises(OutputError, match="no layers for objects"):
        render(plate, tmp_path / "m.####.png", objects="layers")
    with pytest.raises(OutputError, match="leave --objects union out"):
        render(plate, tmp_path / "m.{object}.####.png", objects="union")
    with pytest.raises(OutputError, match="no object was chosen"):
        Render(plate, str(tmp_path / "m.{object}.####.exr"), "green-screen", knobs={},
               node={"device": "cpu"}, connect={})  # fmt: skip


def test_the_union_alone(plate: str, masks: Any, tmp_path: Path) -> None:
    do(plate, tmp_path / "m.####.exr", objects="union")
    do(plate, tmp_path / "m.####.png", objects="union")
    found = channels(tmp_path / "m.0003.exr")
    assert not any(layer.startswith("alpha.") for layer in found)
    assert iou(found["A"] > 0.5, masks[2][0] | masks[2][1]) > 0.8
    grey = cv2.imread(str(tmp_path / "m.0003.png"), cv2.IMREAD_UNCHANGED)
    assert iou(grey > 32767, found["A"] > 0.5) > 0.99
    do(plate, tmp_path / "m.####.exr")  # layers now: another content
    assert "alpha.front" in channels(tmp_path / "m.0003.exr")


def test_the_command_line_writes_and_refuses(plate: str, tmp_path: Path) -> None:
    run("select", plate, "--mask-only", *CLICKS, "-o", str(tmp_path / "m.{object}.####.png"))
    assert len(list(tmp_path.glob("m.front.*.png"))) == 3
    with pytest.raises(OutputError) as refused:
        run("select", plate, "--mask-only", *CLICKS, "-o", str(tmp_path / "n.####.png"))
    assert refused.value.exit_code == 6


def test_a_farm_job_of_object_files_is_whole(
    plate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks record every object, Validate asks for each, and a lost file of one is a problem."""
    monkeypatch.setenv("MATTE_SERVICE", "off")  # a service of another version may be running here
    output = str(tmp_path / "m" / "{object}" / "m.####.exr")
    words = [plate, f"--output={output}", "--model=click", *CLICKS, "--not", "front=5,5@1"]
    listed = CliRunner().invoke(matte, ["farm", "commands", *words, "--chunk=2"])
    assert listed.exit_code == 0, listed.output
    last = listed.output.splitlines()[-1]
    assert "--object=front --object=back" in last
    for line in listed.output.splitlines():
        if line.startswith("matte farm chunk"):
            assert CliRunner().invoke(matte, shlex.split(line)[1:]).exit_code == 0
    done = CliRunner().invoke(matte, shlex.split(last)[1:])
    assert done.exit_code == 0, done.output
    assert "6 frames are whole" in done.output
    assert sorted(path.name for path in (tmp_path / "m").iterdir() if path.name[0] != ".") == [
        "back", "front",
    ]  # fmt: skip
    (tmp_path / "m" / "back" / "m.0002.exr").unlink()
    lost = CliRunner().invoke(matte, shlex.split(last)[1:])
    assert lost.exit_code == 1
    assert "Object back: Frames 2 are missing" in lost.output


def test_a_bundle_of_object_files_declares_the_folder_above(plate: str, tmp_path: Path) -> None:
    output = str(tmp_path / "m" / "{object}" / "m.####.exr")
    made = CliRunner().invoke(
        matte, ["farm", "bundle", plate, f"--output={output}", "--model=click", *CLICKS,
                f"--bundle={tmp_path / 'job'}"],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    values = (tmp_path / "job" / "job_parameters.json").read_text()
    assert str(tmp_path / "m") in values
    assert "{object}" not in values
    template = next((tmp_path / "job").glob("template.*")).read_text()
    assert "{{Param.OutputFolder}}/{object}/m.####.exr" in template
    assert "--object=front" in template


def test_shares_are_halves_that_sum_to_the_alpha() -> None:
    """Shares that are rounded each by itself sum to more than the alpha in many pixels."""
    draw = np.random.default_rng(5)
    alpha = draw.random((64, 64)).astype(np.float16).astype(np.float32)
    alpha[:20] = 1
    claims = draw.random((3, 64, 64)).astype(np.float32)
    parts = dealt(alpha, claims)
    assert np.array_equal(parts, parts.astype(np.float16))
    assert np.array_equal(parts.sum(axis=0, dtype=np.float64), alpha)
    naive = alpha * claims / claims.sum(axis=0)
    assert (naive.astype(np.float16).sum(axis=0, dtype=np.float64) > alpha).any()
    assert np.abs(parts - naive).max() < 2 / 2048


def test_an_empty_object_has_no_share() -> None:
    alpha = np.ones((2, 2), np.float32)
    parts = dealt(alpha, np.stack([np.zeros((2, 2)), np.ones((2, 2))]).astype(np.float32))
    assert parts[0].max() == 0
    assert np.array_equal(parts[1], alpha)
