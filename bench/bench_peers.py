# SPDX-License-Identifier: Apache-2.0
"""Other programs on the same work with the same weights, in one run: ratios of ours to theirs.

    python bench/bench_peers.py [--venv FOLDER] [--rounds 2] [--only WORD]

Peers: rembg (u2netp), pymatting (closed form, foreground), and the published loop of Robust Video
Matting on its ONNX file. The first two come from the package index into a virtual environment of
their own (by default in the cache folder of the user, never in ours); what cannot be installed is
said and left out. Each case is a process of its own, ours and theirs in turn. Wall time and
processor time are the least of the rounds; memory is the most. Ours does the work of the peer and
what it cannot leave out; each title says what. $PEERS_COUNT = "50 100" are the stills and the frames.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_pipeline import make_movie, real_frames
from bench.scene import make_scene
from matte_nodes import models, paths, weights

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rembg", "onnxruntime", "pymatting")
STILLS, FRAMES = (int(n) for n in os.environ.get("PEERS_COUNT", "50 100").split())
LOOP = f"rvm's published loop, {FRAMES} frames of 720p, over green, H.264"

REMBG = """
import sys
from rembg import new_session, remove
session = new_session("u2netp", providers=["CPUExecutionProvider"])
for source, target in zip(sys.argv[2::2], sys.argv[3::2]):
    with open(source, "rb") as file:
        made = remove(file.read(), session=session, **eval(sys.argv[1]))
    with open(target, "wb") as file:
        file.write(made)
"""
RVM_LOOP = """
import sys
from fractions import Fraction
import av, numpy as np, onnxruntime as ort
source, target, weights, ratio = sys.argv[1:]
session = ort.InferenceSession(weights, providers=["CPUExecutionProvider"])
states = [np.zeros((1, 1, 1, 1), np.float32)] * 4
green = np.array([120, 255, 155], np.float32).reshape(1, 3, 1, 1) / 255
with av.open(source) as film, av.open(target, "w") as made:
    seen = film.streams.video[0]
    out = made.add_stream("libx264", rate=Fraction(25), options={"crf": "16", "preset": "medium"})
    out.width, out.height, out.pix_fmt = seen.width, seen.height, "yuv420p"
    for frame in film.decode(seen):
        picture = frame.to_ndarray(format="rgb24").astype(np.float32) / 255
        feed = {f"r{i + 1}i": state for i, state in enumerate(states)}
        feed["src"] = picture.transpose(2, 0, 1)[None]
        feed["downsample_ratio"] = np.array([float(ratio)], np.float32)
        own, alpha, *states = session.run([], feed)
        over = own * alpha + green * (1 - alpha)
        codes = (over[0].transpose(1, 2, 0) * 255).astype(np.uint8)
        for packet in out.encode(av.VideoFrame.from_ndarray(codes, format="rgb24")):
            made.mux(packet)
    for packet in out.encode(None):
        made.mux(packet)
"""
IN_PROCESS = """
import sys, time
import numpy as np
given = np.load(sys.argv[1])
{setup}
call()  # what is compiled at the first call, numba or ours, is not counted
took = []
for _ in range(3):
    began = time.process_time(), time.perf_counter()
    found = call()
    took.append((time.perf_counter() - began[1], time.process_time() - began[0]))
wall, busy = min(t[0] for t in took), min(t[1] for t in took)
print("FIGURES", wall, busy, {error})
"""
LAUNCHER = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(process.pid, 0)
wall = time.perf_counter() - began
print("SPENT", wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""
ALPHA_ERROR = 'float(np.abs(found - given["alpha"]).sum() / 1000)'
COLOUR_ERROR = (
    'float((np.abs(found - given["foreground"]).mean(2) * given["alpha"])'
    '[(given["alpha"] > 0.05) & (given["alpha"] < 0.95)].mean())'
)
OUR_ALPHA = """
import matte_nodes.own_process as own
own.set_up()
from matte_nodes import MatteNode
node = MatteNode("closed-form", device="cpu")
codes = (given["codes"], given["trimap"])
call = lambda: node.model and node.step(seen.inputs, {})[0].alpha
from matte_nodes.node import frame
seen = frame.see(frame.Given(codes[0], codes[1]), node.plate_color("srgb_tx"))
"""
THEIR_ALPHA = """
from pymatting import estimate_alpha_cf
plate, trimap = given["codes"] / 255.0, given["trimap"].astype(np.float64)
call = lambda: estimate_alpha_cf(plate, trimap)
"""
OUR_COLOUR = """
import matte_nodes.own_process as own
own.set_up()
from matte_nodes.foreground import solve_foreground
plate, alpha = given["plate"], given["alpha"]
call = lambda: solve_foreground(plate, alpha)
"""
THEIR_COLOUR = """
from pymatting import estimate_foreground_ml
plate, alpha = given["plate"], given["alpha"]
call = lambda: estimate_foreground_ml(plate, alpha)
"""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds of the clock and of the processor, MB at most, an error or None."""

    wall: float
    busy: float
    memory: float
    error: float | None = None

    def least(self, other: Cost | None) -> Cost:
        """The better of two rounds."""
        if other is None:
            return self
        return Cost(min(self.wall, other.wall), min(self.busy, other.busy),
                    max(self.memory, other.memory), self.error)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """The same work by both. ours, theirs: commands."""

    title: str
    ours: Sequence[str]
    theirs: Sequence[str]


def peers(folder: Path) -> Path | None:
    """Return the Python of an environment with the peers, made where it is missing; or None."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    missing = subprocess.run([python, "-c", "import rembg, pymatting"], capture_output=True)
    if missing.returncode:
        done = subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=False)
        if done.returncode:
            print(f"rembg and pymatting are not available: pip could not install {PACKAGES}.")
            return None
    said = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    names = ("rembg", "pymatting", "onnxruntime", "numba")
    print(", ".join(line for line in said.split() if line.lower().split("==")[0] in names))
    return python


def cost(command: Sequence[str], home: Path) -> Cost:
    """Run one process. Raises RuntimeError with the end of its output when it fails."""
    told = {**os.environ, "MATTE_SERVICE": "off", "U2NET_HOME": str(home / "u2net"),
            "MATTE_CACHE": str(home / "cache"), "MODEL_CHECKSUM_DISABLED": "1"}  # fmt: skip
    # A small process between: a new one inherits the peak of memory of the one that started it.
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command], cwd=ROOT, env=told, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-500:])
    wall, busy, memory = (float(word) for word in done.stderr.split("SPENT")[-1].split())
    if "FIGURES" in done.stdout:
        figures = [float(word) for word in done.stdout.split("FIGURES")[1].split()]
        return Cost(figures[0], figures[1], memory, figures[2])
    return Cost(wall, busy, memory)


def compared(case: Case, home: Path, rounds: int) -> None:
    """Run both in turn and print the ratios, ours to theirs."""
    best: list[Cost | None] = [None, None]
    try:
        for number in range(rounds):
            for side in (0, 1) if number % 2 else (1, 0):
                command = case.theirs if side else case.ours
                best[side] = cost(command, home).least(best[side])
    except RuntimeError as error:
        print(f"{case.title}: did not run: {error}", flush=True)
        return
    ours, theirs = best
    assert ours is not None
    assert theirs is not None
    line = (f"{case.title}: wall {ours.wall / theirs.wall:.2f} ({ours.wall:.2f} s / "
            f"{theirs.wall:.2f} s), processor {ours.busy / theirs.busy:.2f} ({ours.busy:.2f} / "
            f"{theirs.busy:.2f}), memory {ours.memory:.0f} / {theirs.memory:.0f} MB")  # fmt: skip
    if ours.error is not None and theirs.error is not None:
        line += f", error {ours.error:.4f} / {theirs.error:.4f}"
    print(line, flush=True)


def rembg_cases(folder: Path, python: str) -> list[Case]:
    """One still and 50 by u2netp: cut out, decontaminated, and with closed-form matting."""
    stills = folder / "stills"
    stills.mkdir()
    codes = np.uint8(np.round(make_scene(1280, 720).plate.clip(0, 1)[..., ::-1] * 255))
    for number in range(STILLS):
        cv2.imwrite(str(stills / f"still-{chr(97 + number % 26)}{number // 26}.jpg"),
                    np.roll(codes, 5 * number, 1))  # fmt: skip
    files = sorted(stills.glob("*.jpg"))
    one = str(files[0])
    pairs = [text for file in files for text in (str(file), str(folder / f"{file.stem}.peer.png"))]

    def ours(source: str, target: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "matte_nodes", "run", source, "-o", str(folder / target),
                "--model", "u2netp", "--cache", "off", "--again", "--quiet", "--each", *more]  # fmt: skip

    def theirs(options: str, *files: str) -> list[str]:
        return [python, "-c", REMBG, options, *files]

    one_out = str(folder / "peer.png")
    decontaminated, matted = '{"decontaminate": True}', '{"alpha_matting": True}'
    closed = ("--refine", "closed-form", "--refine-width", "10")
    (folder / "many").mkdir()
    return [
        Case("one still, cold start; theirs leaves the background's colour in the edge",
             ours(one, "o.png"), theirs("{}", one, one_out)),
        Case("one still, cold start, decontaminated",
             ours(one, "o.png"), theirs(decontaminated, one, one_out)),
        Case("one still, cold start, closed-form matting",
             ours(one, "o.png", *closed), theirs(matted, one, one_out)),
        Case(f"{STILLS} stills, decontaminated",
             ours(str(stills), "many/"), theirs(decontaminated, *pairs)),
        Case("5 stills, closed-form matting",
             ours(str(_first(stills, folder / "five", 5)), "five-out/", *closed),
             theirs(matted, *pairs[:10])),
    ]  # fmt: skip


def _first(stills: Path, folder: Path, count: int) -> Path:
    """A folder of the first stills."""
    folder.mkdir()
    (folder.parent / "five-out").mkdir()
    for file in sorted(stills.glob("*.jpg"))[:count]:
        shutil.copy(file, folder)
    return folder


def pymatting_cases(folder: Path, python: str) -> list[Case]:
    """Closed form at 640 x 360 and the foreground at 720p, in a process that is warm."""
    small, large = folder / "small.npz", folder / "large.npz"
    made = make_scene(640, 360)
    codes = np.uint8(np.round(made.plate.clip(0, 1) * 255))
    kernel = np.ones((15, 15), np.uint8)
    trimap = np.full(made.alpha.shape, 0.5, np.float32)
    trimap[cv2.erode((made.alpha >= 1).view(np.uint8), kernel) > 0] = 1
    trimap[cv2.dilate((made.alpha > 0).view(np.uint8), kernel) == 0] = 0
    np.savez(small, codes=codes, trimap=trimap, alpha=made.alpha)
    made = make_scene(1280, 720)
    np.savez(large, plate=made.plate, alpha=made.alpha, foreground=made.foreground)

    def both(title: str, given: Path, ours: str, theirs: str, error: str) -> Case:
        code = [IN_PROCESS.replace("{setup}", part).replace("{error}", error)
                for part in (ours, theirs)]  # fmt: skip
        return Case(
            title, [sys.executable, "-c", code[0], str(given)], [python, "-c", code[1], str(given)]
        )

    return [
        both("closed form, 640 x 360, warm", small, OUR_ALPHA, THEIR_ALPHA, ALPHA_ERROR),
        both("foreground, 720p, warm", large, OUR_COLOUR, THEIR_COLOUR, COLOUR_ERROR),
    ]


def rvm_cases(folder: Path) -> list[Case]:
    """The published loop: H.264 in, over green, H.264 out."""
    file = weights.find(models.card("rvm").weights[0])
    if file is None:
        print("rvm: not available, its weights are not here (matte models pull rvm).")
        return []
    movie = folder / "film.mp4"
    make_movie(movie, real_frames(folder), FRAMES)
    out = [str(folder / name) for name in ("ours.mp4", "theirs.mp4")]
    ours = [sys.executable, "-m", "matte_nodes", "run", str(movie), "-o", out[0], "--model", "rvm",
            "--downsample-ratio", "0.25", "--foreground", "native", "--over", "#78ff9b",
            "--cache", "off", "--again", "--quiet"]  # fmt: skip
    theirs = [sys.executable, "-c", RVM_LOOP, str(movie), out[1], str(file), "0.25"]
    return [Case(LOOP, ours, theirs)]


def main() -> int:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=paths.cache_folder() / "peers")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose title has this word")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases(folder, args.venv, args.only):
            if args.only in case.title:
                compared(case, folder, args.rounds)
    return 0


def cases(folder: Path, venv: Path, only: str) -> Iterator[Case]:
    """All cases; those of the loop are made only when they may be asked for."""
    python = peers(venv)
    mask = weights.find(models.card("u2netp").weights[0])
    if python is not None and mask is not None:
        (folder / "u2net").mkdir()
        shutil.copy(mask, folder / "u2net" / "u2netp.onnx")
        yield from rembg_cases(folder, str(python))
    if python is not None:
        yield from pymatting_cases(folder, str(python))
    if only in LOOP:
        yield from rvm_cases(folder)


if __name__ == "__main__":
    sys.exit(main())
