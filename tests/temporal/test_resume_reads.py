# SPDX-License-Identifier: Apache-2.0
"""A second `matte run` is done only over what it would write itself: each case by the command, in this process."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.cli import matte as command
from tests.color.test_config_reads import CONFIG, cube
from tests.conftest import set_anew
from tests.made import write_image

pytest.importorskip("onnx")

_WRITTEN = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")


def net(path: Path, *, external: bool = False, gain: float = 1.0) -> None:
    """A network: alpha is the mean of the plate's channels, times a gain."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.full((1, 3, 1, 1), gain / 3, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "h", "w"])],
        [weight],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    if external:
        onnx.save_model(
            model, path, save_as_external_data=True, location="net.data", size_threshold=0
        )
    else:
        onnx.save_model(model, path)


def declare(path: Path, **picture: Any) -> None:
    said = {"inputs": {"plate": {"name": "x", **picture}}, "outputs": {"alpha": "y"}}
    path.with_suffix(".json").write_text(json.dumps(said))


class Desk:
    """Two plates, a network in a file, and what `matte run` makes of them."""

    def __init__(self, folder: Path, env: pytest.MonkeyPatch, printed: Any) -> None:
        self.folder, self.printed, self.env = folder, printed, env
        env.setenv("MATTE_HOME", str(folder / "home"))
        for name in ("OCIO", "SHOT"):
            env.delenv(name, raising=False)
        self.plate(0)
        net(folder / "net.onnx", external=True)
        declare(folder / "net.onnx")
        for shot, gain in (("a", 0.5), ("b", 0.25)):
            (folder / "luts" / shot).mkdir(parents=True)
            (folder / "luts" / shot / "grade.cube").write_text(cube(gain))
        (folder / "config.ocio").write_text(CONFIG.format(dark=0.5))

    def plate(self, seed: int, **attributes: Any) -> None:
        for number in (1, 2):
            rng = np.random.default_rng(10 * seed + number)
            pixels = rng.random((12, 16, 3)).astype(np.float16)
            write_image(self.folder / f"p.{number:04d}.exr", pixels, compression="none", DateTime="2026:01:01 00:00:00",
                        **attributes)  # fmt: skip

    def run(self, *more: str, out: str = "out/m.####.exr") -> int:
        """Run it. Returns how many frames were really matted."""
        asked = [
            "run", str(self.folder / "p.####.exr"), "-o", str(self.folder / out), "--model",
            str(self.folder / "net.onnx"), "--ocio", str(self.folder / "config.ocio"),
            "--colorspace", "Graded", "--json", "--no-service", *more,
        ]  # fmt: skip
        self.printed.readouterr()
        command.main(asked, standalone_mode=False)
        told = self.printed.readouterr()
        events = [json.loads(line) for line in told.out.splitlines() if line.strip()]
        return sum(event["event"] == "frame" for event in events)

    def files(self, folder: str = "out") -> dict[str, bytes]:
        """The files' bytes, without the time at which each was written."""
        paths = sorted((self.folder / folder).glob("m.*"))
        return {path.name: _WRITTEN.sub(b"", path.read_bytes()) for path in paths}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Desk:
    return Desk(tmp_path, monkeypatch, capfd)


def lut(desk: Desk) -> None:
    (desk.folder / "luts/a/grade.cube").write_text(cube(0.8))


def variable(desk: Desk) -> None:
    desk.env.setenv("SHOT", "b")


def flags(desk: Desk) -> None:
    set_anew(desk.env, "OCIO_OPTIMIZATION_FLAGS", "0", "1")


def declaration(desk: Desk) -> None:
    declare(desk.folder / "net.onnx", scale=0.5)


def external(desk: Desk) -> None:
    desk.folder.joinpath("net.data").write_bytes(np.full(3, 0.1, np.float32).tobytes())


def dispatch(desk: Desk) -> None:
    set_anew(desk.env, "ATEN_CPU_CAPABILITY", "default", "avx2")


def onednn(desk: Desk) -> None:
    set_anew(desk.env, "ONEDNN_MAX_CPU_ISA", "SSE41", "AVX2")


def rate(desk: Desk) -> None:
    desk.plate(0, FramesPerSecond=48.0)


CHANGES: dict[str, Callable[[Desk], None]] = {
    "LUT behind the same config": lut, "context variable": variable, "flags of OCIO": flags,
    "declaration": declaration, "external data": external, "dispatch of torch": dispatch,
    "dispatch of oneDNN": onednn, "rate of the plate": rate,
}  # fmt: skip


def test_a_second_run_is_never_done_over_what_changed(desk: Desk) -> None:
    assert desk.run() == 2
    assert desk.run() == 0
    for name, change in CHANGES.items():
        change(desk)
        assert desk.run() == 2, name
        assert desk.run("--cache", "off", out="cold/m.####.exr") == 2
        assert desk.files() == desk.files("cold"), name
        shutil.rmtree(desk.folder / "cold")
    assert desk.run() == 0


def flipped(path: Path, other: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 40):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))


def zeros(path: Path, other: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def another_frame(path: Path, other: Path) -> None:
    shutil.copyfile(other, path)


@pytest.mark.parametrize("with_log", [True, False], ids=["log", "log lost"])
@pytest.mark.parametrize("suffix", ["exr", "png", "npy"])
def test_a_damaged_file_is_written_again(desk: Desk, suffix: str, with_log: bool) -> None:
    out = f"out/m.####.{suffix}"
    assert desk.run(out=out) == 2
    good = desk.files()
    path, other = (desk.folder / f"out/m.{number:04d}.{suffix}" for number in (1, 2))
    for damage in (flipped, zeros, another_frame):
        state = path.stat()
        damage(path, other)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        if not with_log:
            next((desk.folder / "out").glob(".*.jsonl")).unlink()
        assert desk.run(out=out) in ((1,) if with_log or suffix != "npy" else (1, 2)), damage
        assert desk.files() == good


def test_a_lost_log_costs_nothing_where_files_have_sums(desk: Desk) -> None:
    assert desk.run() == 2
    next((desk.folder / "out").glob(".*.jsonl")).unlink()
    assert desk.run() == 0


def test_a_damaged_movie_is_written_again(desk: Desk) -> None:
    assert desk.run(out="out/m.mov") == 2
    good = desk.files()
    flipped(desk.folder / "out/m.mov", desk.folder)
    assert desk.run(out="out/m.mov") == 2
    assert desk.files() == good
