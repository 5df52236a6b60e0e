# SPDX-License-Identifier: Apache-2.0
"""Bundles: what is in them, what is refused, what `matte farm commands` prints."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from matte_nodes.cli import matte, verb
from tests.made import plate_sequence, write_movie


def invoke(*arguments: object, code: int = 0) -> str:
    """The command, in this process."""
    answer = CliRunner().invoke(matte, [str(argument) for argument in arguments])
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        assert code, answer.exception
        return str(answer.exception)
    assert answer.exit_code == code, answer.output
    return answer.output


def written(tmp_path: Path, *flags: object) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """Template, assets and folder of a bundle of a made plate of 12 frames."""
    plate = plate_sequence(tmp_path / "in", 12)
    folder = tmp_path / "bundle"
    invoke(
        "farm", "bundle", plate, "-o", tmp_path / "out" / "m.####.exr", "--bundle", folder, *flags
    )
    template = json.loads((folder / "template.json").read_text())
    assets = json.loads((folder / "asset_references.json").read_text())["assetReferences"]
    return template, assets, folder


def names(assets: dict[str, Any]) -> list[str]:
    return [Path(path).name for path in assets["inputs"]["filenames"]]


def steps(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in template["steps"]}


def chunk_of(step: dict[str, Any]) -> dict[str, Any]:
    return dict(step["parameterSpace"]["taskParameterDefinitions"][0])


def test_a_model_without_memory_is_cut_anywhere(tmp_path: Path) -> None:
    template, assets, folder = written(tmp_path, "--model", "green-screen", "--chunk", 4)
    found = steps(template)
    assert list(found) == ["Matte", "Validate"]
    assert chunk_of(found["Matte"])["range"] == "1001-1012"
    assert found["Validate"]["dependencies"] == [{"dependsOn": "Matte"}]
    values = json.loads((folder / "job_parameters.json").read_text())
    listed = json.loads((folder / "parameter_values.json").read_text())["parameterValues"]
    assert {item["name"]: item["value"] for item in listed} == values
    assert values["OutputFolder"] == str(tmp_path / "out")
    assert assets["outputs"]["directories"] == [str(tmp_path / "out")]
    assert names(assets) == [f"plate.{n}.exr" for n in range(1001, 1013)]
    assert "hostRequirements" not in found["Matte"]


def test_flags_travel_as_they_were_given(tmp_path: Path) -> None:
    template, _, _ = written(
        tmp_path, "--model", "green-screen", "--gamma", "1.5", "--screen-level", "0.2",
        "--layout", "alpha", "--half",
    )  # fmt: skip
    arguments = steps(template)["Matte"]["script"]["actions"]["onRun"]["args"]
    for word in ("--gamma=1.5", "--screen-level=0.2", "--layout=alpha", "--half",
                 "--model=green-screen", "--frames={{Task.Param.Frame}}"):  # fmt: skip
        assert word in arguments
    assert not [word for word in arguments if "feather" in word]


def test_every_flag_of_run_that_is_not_this_machines_is_there() -> None:
    run = {param.name for param in verb("run").params}
    left = {"as_json", "quiet", "no_service", "detect_cuts", "again", "cache", "session"}
    left |= {"recursive", "each", "jobs"}  # of folders of stills, of one machine
    for sub in ("bundle", "commands", "chunk"):
        mine = {param.name for param in verb("farm").commands[sub].params}  # type: ignore[attr-defined]
        assert run - mine == left


def test_hints_are_assets_and_parameters(tmp_path: Path) -> None:
    template, assets, _ = written(
        tmp_path, "--model", "closed-form", "--trimap", tmp_path / "in" / "trimap.####.png"
    )
    assert "trimap.1007.png" in names(assets)
    kinds = {item["name"]: item for item in template["parameterDefinitions"]}
    assert kinds["TrimapFolder"]["dataFlow"] == "NONE"  # or the whole folder would be sent
    arguments = steps(template)["Matte"]["script"]["actions"]["onRun"]["args"]
    assert "--trimap={{Param.TrimapFolder}}/trimap.####.png" in arguments


def test_a_card_is_asked_for_where_one_is_needed(tmp_path: Path) -> None:
    template, _, _ = written(tmp_path, "--model", "green-screen", "--gpus", 2, "--gpu-memory", 8000)
    assert steps(template)["Matte"]["hostRequirements"]["amounts"] == [
        {"name": "amount.worker.gpu", "min": 2}, {"name": "amount.worker.gpu.memory", "min": 8000},
    ]  # fmt: skip
    assert "hostRequirements" not in steps(template)["Validate"]


def test_device_cuda_asks_for_a_card_without_having_one_here(tmp_path: Path) -> None:
    template, _, _ = written(tmp_path, "--model", "green-screen", "--device", "cuda")
    step = steps(template)["Matte"]
    assert step["hostRequirements"]["amounts"][0]["min"] == 1
    assert "--device=cuda" in step["script"]["actions"]["onRun"]["args"]


def test_timeouts_and_cancelling(tmp_path: Path) -> None:
    template, _, _ = written(tmp_path, "--model", "green-screen", "--timeout", 77)
    run = steps(template)["Matte"]["script"]["actions"]["onRun"]
    assert run["timeout"] == 77
    assert run["cancelation"]["mode"] == "NOTIFY_THEN_TERMINATE"


def test_warm_chunks_need_the_frames_before_them(tmp_path: Path) -> None:
    template, assets, _ = written(
        tmp_path, "--model", "rvm", "--frames", "1008-1010", "--warm-up", "2", "--chunk", 2
    )
    # Two before the first, one that says that the shot does not begin there, one to each side.
    assert names(assets) == [f"plate.{n}.exr" for n in range(1004, 1012)]
    arguments = steps(template)["Matte"]["script"]["actions"]["onRun"]["args"]
    assert {"--warm-up=2", "--overlap=1", "--job-last=1010"} <= set(arguments)


def test_exact_chunks_need_the_take_from_its_beginning(tmp_path: Path) -> None:
    template, assets, _ = written(
        tmp_path, "--model", "rvm", "--frames", "1008-1010", "--cuts", "1004,1009", "--chunk", 2
    )
    assert names(assets)[0] == "plate.1003.exr"
    found = steps(template)
    assert list(found) == ["Matte_1008_1008", "Matte_1009_1010", "Validate"]
    assert [len(step.get("dependencies", [])) for step in found.values()] == [0, 0, 2]
    assert "--cuts=1004,1009" in found["Validate"]["script"]["actions"]["onRun"]["args"]


def test_cuts_are_found_when_the_bundle_is_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    takes = [rng.integers(0, 255, (6, 8, 3), np.uint8) for _ in range(2)]
    frames = [np.kron(takes[index // 8], np.ones((16, 16, 1), np.uint8)) for index in range(16)]
    write_movie(tmp_path / "plate.mkv", frames)
    folder = tmp_path / "bundle"
    invoke("farm", "bundle", tmp_path / "plate.mkv", "-o", tmp_path / "m.####.exr", "--bundle",
           folder, "--model", "rvm", "--cuts", "auto", "--chunk", 8)  # fmt: skip
    found = steps(json.loads((folder / "template.json").read_text()))
    assert list(found) == ["Matte_1_8", "Matte_9_16", "Validate"]
    assert not any(step.get("dependencies") for step in list(found.values())[:-1])
    assert "--cuts=9" in found["Matte_1_8"]["script"]["actions"]["onRun"]["args"]


def test_commands_are_one_a_chunk(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 12)
    out = tmp_path / "a b" / "m.####.exr"
    text = invoke("farm", "commands", plate, "-o", out, "--model", "rvm", "--warm-up", 3,
                  "--chunk", 5)  # fmt: skip
    lines = [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]
    assert [line[-1] for line in lines[:-1]] == [
        "--frames=1001-1004", "--frames=1005-1008", "--frames=1009-1012",
    ]  # fmt: skip
    assert all(line[:3] == ["matte", "farm", "chunk"] for line in lines[:-1])
    assert lines[-1][:3] == ["matte", "farm", "validate"]
    assert f"--output={out}" in lines[0]
    assert "--overlap=1" in lines[-1]


def test_commands_run_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plate_sequence(tmp_path / "in it's", 4)
    monkeypatch.chdir(tmp_path)
    text = invoke(
        "farm", "commands", "in it's/plate.####.exr", "-o", "out/m.####.exr", "--model",
        "closed-form", "--trimap", "in it's/trimap.####.png",
    )  # fmt: skip
    lines = [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]
    assert lines[0][3] == str(tmp_path / "in it's" / "plate.####.exr")
    for line in lines:
        assert f"--output={tmp_path / 'out' / 'm.####.exr'}" in line
    assert f"--trimap={tmp_path}/in it's/trimap.####.png" in lines[0]


def test_what_to_type_next_can_be_pasted(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    folder = tmp_path / "my job's"
    said = invoke("farm", "bundle", plate, "-o", tmp_path / "o" / "m.####.exr", "--bundle", folder,
                  "--model", "green-screen")  # fmt: skip
    here, farm = (shlex.split(line.partition(": ")[2]) for line in said.splitlines()[-2:])
    assert here[2] == str(folder / "template.json")
    assert here[-1] == f"file://{folder / 'job_parameters.json'}"
    assert farm == ["deadline", "bundle", "submit", str(folder)]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["-o", "m.mov"], "several machines cannot write one file"),
        (["-o", "m.exr"], "several machines cannot write one file"),
        (["-o", "m.####.exr", "--frames", "1-5"], "are not in"),
        (["-o", "m.####.exr", "--frames", "1002-1009"], "has no frame 1009"),
        (["-o", "m.####.exr", "--no-such-knob", "1"], ""),
    ],
)
def test_refused_before_anything_is_written(flags: list[str], says: str, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    folder = tmp_path / "bundle"
    said = invoke(
        "farm", "bundle", plate, *flags, "--model", "green-screen", "--bundle", folder, code=2
    )
    assert says in said
    assert not folder.exists()


def test_an_onnx_file_goes_by_its_path(tmp_path: Path) -> None:
    net = tmp_path / "net.onnx"
    net.write_bytes(b"not read at submission")
    net.with_suffix(".json").write_text('{"inputs": {"plate": "x"}, "outputs": {"alpha": "y"}}')
    template, assets, _ = written(tmp_path, "--model", net)
    assert {"net.onnx", "net.json"} <= set(names(assets))
    text = json.dumps(template)
    assert f"--model={net}" in text
    assert "onnx:net" not in text
