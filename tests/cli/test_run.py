# SPDX-License-Identifier: Apache-2.0
"""`matte run` as a user calls it: real files in, whole files out, one-line errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needs_weights
from tests.made import (
    attributes_of,
    plate_sequence,
    read_named,
    scenes,
    write_image,
    write_movie,
)


def matte(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command; never raises."""
    return subprocess.run(
        [sys.executable, "-m", "matte_nodes", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=250, **options,
    )  # fmt: skip


def fails(code: int, *arguments: object, says: str) -> str:
    """The command ends with this code and one line on stderr that says this."""
    result = matte("run", *arguments)
    assert result.returncode == code, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("matte:")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert says in lines[0], lines[0]
    return lines[0]


def whole(folder: Path) -> list[str]:
    """Names of the pictures in a folder; nothing else may be there."""
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.iterdir() if not path.name.endswith(".jsonl"))
    assert not [name for name in names if "tmp" in name or "part" in name], names
    return names


def test_sequence_to_nuke_exr(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    out = tmp_path / "out" / "matte.####.exr"
    result = matte(
        "run", plate, "-o", out, "--model", "green-screen", "--screen-level", 0.2, "--json"
    )
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["start", "frame", "frame", "frame", "done"]
    assert whole(tmp_path / "out") == [f"matte.{n}.exr" for n in (1001, 1002, 1003)]
    got = read_named(tmp_path / "out" / "matte.1002.exr")
    plate_pixels = read_named(tmp_path / "in" / "plate.1002.exr")
    assert {"R", "G", "B", "A", "fg.R", "fg.G", "fg.B"} <= set(got)
    solid, alpha = got["A"] == 1, got["A"]
    assert solid.any()
    assert ((alpha > 0) & (alpha < 1)).any()
    for name in "RGB":
        assert np.array_equal(got[f"fg.{name}"][solid], plate_pixels[name][solid])
        premultiplied = got[f"fg.{name}"] * alpha
        assert np.abs(got[name] - premultiplied).max() < 1e-3
    facts = attributes_of(tmp_path / "out" / "matte.1002.exr")
    assert facts["matte/model"] == "green-screen"
    assert facts["matte/association"] == "premultiplied"
    assert "matte/working_space" in facts


def test_hdr_comes_through_the_files(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1, gain=8.0)
    result = matte(
        "run", plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "closed-form",
        "--trimap", tmp_path / "in" / "trimap.####.png", "--exposure", -3,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    got = read_named(tmp_path / "out" / "m.1001.exr")
    source = read_named(tmp_path / "in" / "plate.1001.exr")
    solid = got["A"] == 1
    assert got["fg.R"].max() > 5
    assert np.array_equal(got["fg.R"][solid], source["R"][solid])


def test_frames_of_a_recurrent_model_start_at_the_first(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 6)
    for name, extra in (("all", []), ("some", ["--frames", "1004-1005"])):
        result = matte("run", plate, "-o", tmp_path / name / "m.####.exr", "--model", "toy", *extra)
        assert result.returncode == 0, result.stderr
    assert whole(tmp_path / "some") == ["m.1004.exr", "m.1005.exr"]
    for number in (1004, 1005):
        one = read_named(tmp_path / "all" / f"m.{number}.exr")
        two = read_named(tmp_path / "some" / f"m.{number}.exr")
        assert all(np.array_equal(one[name], two[name]) for name in one)


@needs_weights("rvm")
def test_movie_with_the_real_model(tmp_path: Path) -> None:
    frames = [np.uint8(np.clip(made.plate, 0, 1) * 255) for made in scenes(3, 96, 128)]
    write_movie(tmp_path / "in.mkv", frames)
    result = matte("run", tmp_path / "in.mkv", "-o", tmp_path / "out" / "m.%04d.exr")
    assert result.returncode == 0, result.stderr
    assert whole(tmp_path / "out") == ["m.0001.exr", "m.0002.exr", "m.0003.exr"]


def test_prores_out_and_back(tmp_path: Path) -> None:
    frames = [np.uint8(np.clip(made.plate, 0, 1) * 255) for made in scenes(3, 96, 128)]
    write_movie(tmp_path / "in.mkv", frames)
    result = matte(
        "run", tmp_path / "in.mkv", "-o", tmp_path / "m.mov", "--model", "green-screen",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    from matte_nodes import open_clip

    clip = open_clip(tmp_path / "m.mov")
    assert len(clip.frames) == 3
    assert "A" in clip.read(2).channels


def test_unknown_model_says_what_there_is(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    fails(2, plate, "-o", tmp_path / "m.####.exr", "--model", "rwm", says="Did you mean 'rvm'")


def test_knob_of_another_model_is_refused(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    fails(2, plate, "-o", tmp_path / "m.####.exr", "--model", "green-screen",
          "--downsample-ratio", 0.5, says="has no knob 'downsample_ratio'")  # fmt: skip


def test_frames_outside_the_clip(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    fails(2, plate, "-o", tmp_path / "m.####.exr", "--model", "green-screen",
          "--frames", "1-10", says="1001-1002")  # fmt: skip


@pytest.mark.parametrize("asked", ["1000-1002", "1002-1003", "1003"])
def test_a_range_that_reaches_out_of_the_clip(tmp_path: Path, asked: str) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    fails(2, plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "green-screen",
          "--frames", asked, says="1001-1002")  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_frames_that_would_share_one_file(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    fails(6, plate, "-o", tmp_path / "m.exr", "--model", "green-screen", says="2 frames")
    assert not (tmp_path / "m.exr").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is a folder"),
        ("m" * 260 + ".####.exr", "name too long"),
        ("d" * 300 + "/m.####.exr", "name too long"),
    ],
)
def test_outputs_without_a_usable_name(tmp_path: Path, name: str, says: str) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    fails(
        6, plate, "-o", f"{tmp_path}/{name}" if name else "", "--model", "green-screen", says=says
    )


@pytest.mark.parametrize("name", ["m.####.bmp", "m.avi", "m.####.avi"])
def test_a_kind_that_is_not_written_is_said_before_anything_is_loaded(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "empty"))
    plate = plate_sequence(tmp_path / "in", 2)
    line = fails(
        6, plate, "-o", tmp_path / "out" / name, "--model", "gfm", says="cannot be written"
    )
    assert ".mov" in line
    assert not (tmp_path / "out").exists()


def test_a_long_name_leaves_room_for_its_manifest(tmp_path: Path) -> None:
    """The manifest's own name is longer than the output's."""
    plate, name = plate_sequence(tmp_path / "in", 2), "m" * 240 + ".####.exr"
    command = ["run", plate, "-o", tmp_path / name, "--model", "green-screen", "--json"]
    assert frames_done(matte(*command)) == [1001, 1002]
    assert frames_done(matte(*command)) == []


def test_truncated_exr_in_mid_sequence(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 4)
    victim = tmp_path / "in" / "plate.1003.exr"
    victim.write_bytes(victim.read_bytes()[:2000])
    line = fails(3, plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "green-screen",
                 says="plate.1003.exr")  # fmt: skip
    assert "1003" in line
    assert whole(tmp_path / "out") == ["m.1001.exr", "m.1002.exr"]


def test_missing_frame_and_its_choices(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 4)
    (tmp_path / "in" / "plate.1003.exr").unlink()
    common = [plate, "--model", "green-screen"]
    fails(3, *common, "-o", tmp_path / "e" / "m.####.exr", says="1003")
    assert (
        matte("run", *common, "-o", tmp_path / "s" / "m.####.exr", "--missing", "skip").returncode
        == 0
    )
    assert whole(tmp_path / "s") == ["m.1001.exr", "m.1002.exr", "m.1004.exr"]
    assert (
        matte("run", *common, "-o", tmp_path / "h" / "m.####.exr", "--missing", "hold").returncode
        == 0
    )
    held, before = (read_named(tmp_path / "h" / f"m.{n}.exr") for n in (1003, 1002))
    assert all(np.array_equal(held[name], before[name]) for name in held)


def test_nan_pixels_are_counted(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    broken = scenes(2)[1].plate.astype(np.float16)
    broken[5, 6, 0], broken[7, 8] = np.nan, np.inf
    write_image(tmp_path / "in" / "plate.1002.exr", broken)
    line = fails(3, plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "green-screen",
                 says="2 pixels with NaN or infinite values, the first at 6,5")  # fmt: skip
    assert "1002" in line
    assert whole(tmp_path / "out") == ["m.1001.exr"]


def test_mixed_sizes(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    write_image(tmp_path / "in" / "plate.1002.exr", np.zeros((20, 20, 3), np.float16))
    fails(3, plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "green-screen", says="1002")


def test_grey_16_bit_plate(tmp_path: Path) -> None:
    write_image(tmp_path / "grey.png", np.zeros((20, 30), np.uint16), "Y")
    fails(3, tmp_path / "grey.png", "-o", tmp_path / "m.exr", "--model", "green-screen",
          says="not R, G, B")  # fmt: skip


def test_movie_without_frames(tmp_path: Path) -> None:
    write_movie(tmp_path / "empty.mkv", [np.zeros((16, 16, 3), np.uint8)])
    content = (tmp_path / "empty.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 3])
    fails(3, tmp_path / "cut.mkv", "-o", tmp_path / "out" / "m.####.exr", "--model", "green-screen",
          says="cut.mkv")  # fmt: skip


def test_output_folder_without_permission(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    (tmp_path / "file").write_text("not a folder")
    fails(6, plate, "-o", tmp_path / "file" / "m.####.exr", "--model", "green-screen", says="file")


def test_output_equal_to_input(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    before = (tmp_path / "in" / "plate.1001.exr").read_bytes()
    fails(6, plate, "-o", tmp_path / "in" / "plate.%04d.exr", "--model", "green-screen",
          says="would overwrite the input")  # fmt: skip
    assert (tmp_path / "in" / "plate.1001.exr").read_bytes() == before


def test_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: every write beyond it fails."""
    plate = plate_sequence(tmp_path / "in", 2, size=(300, 400))
    code = (
        "import resource, runpy, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "sys.argv = ['matte', *sys.argv[1:]]\n"
        "runpy.run_module('matte_nodes', run_name='__main__')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "run", str(plate), "-o", str(tmp_path / "out" / "m.####.exr"),
         "--model", "green-screen"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 6, result.stderr
    assert "Traceback" not in result.stderr
    assert whole(tmp_path / "out") == []


@pytest.mark.parametrize(
    "name", ["a b", "100%", "-dash", "ünïcödé", "br[ack]et", "new\nline", "'\"$(x)"]
)
def test_hostile_names(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    plate = plate_sequence(folder, 1)
    result = matte("run", "-o", folder / "m.####.exr", "--model", "green-screen", "--", plate)
    assert result.returncode == 0, result.stderr
    assert (folder / "m.1001.exr").is_file()


def test_unknown_colour_space(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    fails(3, plate, "-o", tmp_path / "m.####.exr", "--model", "green-screen",
          "--colorspace", "ACEScgg", says="ACEScg")  # fmt: skip


def test_device_that_is_not_here(tmp_path: Path) -> None:
    from matte_nodes import runtime

    if runtime.nvidia_devices():
        pytest.skip("there is a card here")
    plate = plate_sequence(tmp_path / "in", 1)
    fails(
        5,
        plate,
        "-o",
        tmp_path / "m.####.exr",
        "--model",
        "green-screen",
        "--device",
        "cuda",
        says="no NVIDIA driver",
    )


def test_weights_that_are_not_here(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    environment = {**os.environ, "MATTE_HOME": str(tmp_path / "nowhere")}
    result = matte(
        "run", plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "rvm", env=environment
    )
    assert result.returncode == 4
    assert "matte models pull rvm" in result.stderr
    assert not (tmp_path / "out").exists()


def test_compare_makes_a_sheet(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    result = matte("compare", plate, "-o", tmp_path / "sheet.png", "--model", "green-screen",
                   "--model", "closed-form", "--trimap", tmp_path / "in" / "trimap.####.png")  # fmt: skip
    assert result.returncode == 0, result.stderr
    sheet = read_named(tmp_path / "sheet.png")
    assert sheet["R"].shape[1] == 4 * 96
    assert sheet["R"].shape[0] > 2 * 72


def test_compare_runs_what_can_run(tmp_path: Path) -> None:
    """With a trimap, trimap models whose checkpoints are not here are left out, not fatal."""
    plate, home = plate_sequence(tmp_path / "in", 1), tmp_path / "empty home"
    result = matte("compare", plate, "-o", tmp_path / "s.png", "--trimap",
                   tmp_path / "in" / "trimap.####.png",
                   env={**os.environ, "MATTE_HOME": str(home)})  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "s.png").is_file()


@pytest.mark.parametrize(("name", "says"), [("d.png", "is a folder"), ("f/s.png", "f: cannot")])
def test_compare_says_first_where_it_cannot_write(tmp_path: Path, name: str, says: str) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    (tmp_path / "d.png").mkdir()
    (tmp_path / "f").write_bytes(b"a file where the folder should be")
    # a model that cannot run: the output is looked at before
    result = matte("compare", plate, "-o", tmp_path / name, "--model", "gfm")
    assert result.returncode == 6
    assert says in result.stderr


def test_eval_names_the_file_of_another_size(tmp_path: Path) -> None:
    plate = np.uint8(np.clip(scenes(1)[0].plate, 0, 1) * 255)
    for folder, pixels in (("plate", plate), ("alpha", plate[:-2, :, 0])):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "one.png", pixels)
    result = matte("eval", tmp_path, "--model", "green-screen")
    assert result.returncode == 3, result.stderr
    assert "one.png" in result.stderr
    assert "one size" in result.stderr


def test_compare_never_writes_over_its_input(tmp_path: Path) -> None:
    plate = tmp_path / "plate.png"
    write_image(plate, np.uint8(np.clip(scenes(1)[0].plate, 0, 1) * 255))
    before = plate.read_bytes()
    for output, says in ((plate, "overwrite"), (tmp_path / "sheet.jpg", "PNG")):
        result = matte("compare", plate, "-o", output, "--model", "green-screen")
        assert result.returncode == 6, result.stderr
        assert says in result.stderr
    assert plate.read_bytes() == before


def test_a_broken_package_does_not_break_the_other_models(tmp_path: Path) -> None:
    folder = tmp_path / "broken-0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n")
    (folder / "entry_points.txt").write_text(
        "[matte_nodes.models]\nno-module = nowhere_at_all:CARD\nno-card = os:path\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    for command in (["models", "--json"], ["models"], ["models", "card", "rvm"], ["run", "--help"]):
        result = matte(*command, env=environment)
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
    said = matte("models", "--json", env=environment)
    assert "nowhere_at_all" in said.stderr
    assert "rvm" in {card["name"] for card in json.loads(said.stdout)}
    asked = matte("models", "card", "no-card", env=environment)
    assert asked.returncode == 7
    assert "not a ModelCard" in asked.stderr


def test_models_as_json() -> None:
    result = matte("models", "--json")
    cards = {card["name"]: card for card in json.loads(result.stdout)}
    assert cards["rvm"]["commercial"] == "unclear"
    assert cards["closed-form"]["needs"] == ["trimap"]
    listed = {
        card["name"] for card in json.loads(matte("models", "--json", "--commercial-only").stdout)
    }
    assert "rvm" not in listed
    assert "closed-form" in listed


def frames_done(result: subprocess.CompletedProcess[str]) -> list[int]:
    """The frames that a --json run says it did."""
    events = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return [event["frame"] for event in events if event["event"] == "frame"]


def test_second_run_does_nothing(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 4)
    command = ["run", plate, "-o", tmp_path / "out" / "m.####.exr", "--model", "toy", "--json"]
    assert frames_done(matte(*command)) == [1001, 1002, 1003, 1004]
    again = matte(*command)
    assert again.returncode == 0
    assert frames_done(again) == []
    assert "0 frames, 4 frames done before (--again" in matte(*command[:-1]).stderr
    assert frames_done(matte(*command, "--again")) == [1001, 1002, 1003, 1004]


def test_missing_and_changed_frames_are_redone(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 5)
    still = ["run", plate, "-o", tmp_path / "s" / "m.####.exr", "--model", "green-screen", "--json"]
    recurrent = ["run", plate, "-o", tmp_path / "r" / "m.####.exr", "--model", "toy", "--json"]
    assert len(frames_done(matte(*still))) == len(frames_done(matte(*recurrent))) == 5
    (tmp_path / "s" / "m.1002.exr").unlink()
    write_image(tmp_path / "in" / "plate.1004.exr", (scenes(5)[0].plate * 0.5).astype(np.float16))
    assert frames_done(matte(*still)) == [1002, 1004]
    assert frames_done(matte(*recurrent)) == [1004, 1005]  # the state carries the change on
    assert frames_done(matte(*still, "--gamma", 0.9)) == [1001, 1002, 1003, 1004, 1005]


@pytest.mark.parametrize("ending", ["exr", "png", "tif"])
@pytest.mark.parametrize("manifest", [True, False])
def test_a_result_that_was_cut_short_is_redone(tmp_path: Path, ending: str, manifest: bool) -> None:
    """By a copy that broke off: its header still holds the key."""
    plate = plate_sequence(tmp_path / "in", 2)
    command = [
        "run",
        plate,
        "-o",
        tmp_path / f"m.####.{ending}",
        "--model",
        "green-screen",
        "--json",
    ]
    assert frames_done(matte(*command)) == [1001, 1002]
    victim = tmp_path / f"m.1002.{ending}"
    whole_one = victim.read_bytes()
    victim.write_bytes(whole_one[: len(whole_one) - 40])
    if not manifest:
        (tmp_path / f".m.____.{ending}.matte.jsonl").unlink()
    assert 1002 in frames_done(matte(*command))
    assert len(victim.read_bytes()) == len(whole_one)


def test_frames_whose_manifest_is_lost_are_recognised(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    for ending in ("exr", "png", "tif"):
        out = tmp_path / ending
        command = [
            "run",
            plate,
            "-o",
            out / f"m.####.{ending}",
            "--model",
            "green-screen",
            "--json",
        ]
        assert len(frames_done(matte(*command))) == 3
        for path in out.glob(".*.jsonl"):
            path.unlink()
        # A TIFF holds no sum of its pixels: nobody knows whether it is whole.
        done = [1001, 1002, 1003] if ending == "tif" else []
        assert frames_done(matte(*command)) == done, ending


def test_movie_is_done_once(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    command = ["run", plate, "-o", tmp_path / "m.mov", "--model", "green-screen", "--json"]
    assert len(frames_done(matte(*command))) == 3
    assert frames_done(matte(*command)) == []
