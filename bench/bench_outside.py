# SPDX-License-Identifier: Apache-2.0
"""What a frame of `rvm` costs outside its network, against an older commit; and the wall's bound.

    python bench/bench_outside.py [COMMIT] [--sizes 720 1080 2160] [--frames 24] [--rounds 1]

Both trees run the same commands in turn on one network thread. A frame's cost is the difference of a
long and a short run, so starting up does not count; the network's part is the time inside
onnxruntime. The plate is a real person who fills a third of the frame, with grain. Bound of the
wall: (cores x network step + decoding + encoding what the matte fills) / cores, measured in the new
tree.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_pipeline import real_frames

ROOT = Path(__file__).resolve().parents[1]
OLD = "a871411"
SHORT = 6
LAUNCHER = """
import atexit, json, resource, runpy, sys, time
import onnxruntime as ort
spent = [0.0]
class Session(ort.InferenceSession):
    def run(self, *args, **more):
        began = time.thread_time()
        try:
            return super().run(*args, **more)
        finally:
            spent[0] += time.thread_time() - began
ort.InferenceSession = Session
began = time.perf_counter()
def say():
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status") as file:  # not what it inherits of the process that started it
        most = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    print("SPENT" + json.dumps({
        "wall": time.perf_counter() - began, "busy": used.ru_utime + used.ru_stime,
        "network": spent[0], "memory": most / 1024}), flush=True)
atexit.register(say)
sys.argv = ["matte", *sys.argv[1:]]
runpy.run_module("matte_nodes", run_name="__main__")
"""


@dataclass(frozen=True)
class Frame:
    """What one frame costs, in milliseconds; memory in MB."""

    wall: float
    busy: float
    network: float
    memory: float

    @property
    def outside(self) -> float:
        """Milliseconds of the processor that are not the network's."""
        return self.busy - self.network


def third(height: int, folder: Path, count: int) -> list[np.ndarray]:
    """Frames in 16:9 with the person in the middle third, uint8 RGB."""
    width = height * 16 // 9
    person = int(width * 0.62)
    found = []
    for picture in real_frames(folder)[:count]:
        middle = cv2.resize(picture, (person, height), interpolation=cv2.INTER_CUBIC)
        left = (width - person) // 2
        wide = cv2.copyMakeBorder(middle, 0, 0, left, width - person - left, cv2.BORDER_REPLICATE)
        grain = np.random.default_rng(len(found)).normal(0, 2, (height, width, 1))
        found.append(np.uint8(np.clip(wide + grain, 0, 235)))
    return found


def movie(path: Path, pictures: list[np.ndarray]) -> None:
    """H.264 of these frames."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def exrs(folder: Path, pictures: list[np.ndarray]) -> Path:
    """Scene-linear half frames, taken as ACEScg."""
    import OpenImageIO as oiio

    folder.mkdir()
    for number, picture in enumerate(pictures, 1):
        spec = oiio.ImageSpec(picture.shape[1], picture.shape[0], 3, "half")
        spec.attribute("compression", "zips")
        output = oiio.ImageOutput.create("openexr")
        output.open(str(folder / f"plate.{number:04d}.exr"), spec)
        output.write_image(((picture / np.float32(255)) ** 2.2).astype(np.float16))
        output.close()
    return folder / "plate.####.exr"


def spent(tree: Path, arguments: Sequence[str], out: Path) -> dict[str, float]:
    """One run of the command in a tree."""
    shutil.rmtree(out, ignore_errors=True)
    told = {**os.environ, "MATTE_SERVICE": "off", "PYTHONPATH": str(tree),
            "OMP_WAIT_POLICY": "PASSIVE", "MATTE_CACHE": str(out.parent / f"home-{tree.name}")}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, "run", *arguments, "--cache", "off"],
        cwd=tree, env=told, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "SPENT" not in done.stdout or done.returncode:
        raise RuntimeError(done.stderr[-600:])
    found: dict[str, float] = json.loads(done.stdout.split("SPENT")[-1])
    return found


def frame(tree: Path, plate: Path, out: Path, frames: int, more: Sequence[str]) -> Frame:
    """What a frame costs in a tree."""
    common = [str(plate), "-o", str(out / "m.####.exr"), "--model", "rvm",
              "--downsample-ratio", "0.25", "--threads", "1", *more]  # fmt: skip
    long, short = (
        spent(tree, [*common, "--frames", f"1-{n}"], out) for n in (SHORT + frames, SHORT)
    )
    each = {name: 1e3 * (long[name] - short[name]) / frames for name in long}
    return Frame(each["wall"], each["busy"], each["network"], long["memory"])


def parts(plate: Path, out: Path, frames: int) -> tuple[float, float]:
    """Milliseconds of decoding a frame and of encoding what its matte fills."""
    import time

    from matte_nodes import MatteNode, open_clip, own_process
    from matte_nodes.media.layouts import OutputFrame, shrunk
    from matte_nodes.media.sequence_writer import without_exr_pool
    from matte_nodes.media.writers import open_writer

    own_process.set_up()
    without_exr_pool()
    clip = open_clip(str(plate))

    def least(call: Any) -> float:
        took = []
        for number in range(2, min(frames, 14)):
            began = time.process_time()
            call(number)
            took.append(time.process_time() - began)
        return 1e3 * float(np.median(took))

    decoded = least(clip.read)
    node = MatteNode("rvm", downsample_ratio=0.25, foreground="native", threads=1)
    matte = list(node.connect(str(plate)).render(1, 4))[-1][1]
    image = clip.read(4)
    made = shrunk(OutputFrame(1, matte.alpha, matte.foreground, image.data_window, image, {}))
    writer = open_writer(
        out / "bound.####.exr", colorspace=matte.colorspace, provenance={}, rate=None
    )
    return decoded, least(lambda number: writer.write(made))


def compared(title: str, plate: Path, folder: Path, old: Path, asked: Any, more: Any) -> None:
    """Print one line: both trees, and the bound."""
    best: dict[str, Frame] = {}
    for _ in range(asked.rounds):
        for name, tree in (("old", old), ("new", ROOT)):
            try:
                made = frame(tree, plate, folder / "out", asked.frames, more)
            except RuntimeError as error:
                print(f"{title}, {name}: did not run: {error}", flush=True)
                return
            known = best.get(name)
            best[name] = made if known is None or made.outside < known.outside else known
    was, now = best["old"], best["new"]
    decode, encode = parts(plate, folder / "bound", asked.frames)
    cores = len(os.sched_getaffinity(0))
    bound = (cores * now.network + decode + encode) / cores
    print(
        f"{title}: outside the network {now.outside:.1f} ms of processor a frame, "
        f"{now.outside / was.outside:.2f} of {was.outside:.1f}; network {now.network:.1f}; wall "
        f"{now.wall:.1f} ({was.wall:.1f}), {now.wall / bound:.2f} of the bound {bound:.1f} (decode "
        f"{decode:.1f}, encode {encode:.1f}); memory {now.memory:.0f} MB ({was.memory:.0f})",
        flush=True,
    )


def main() -> int:
    """Print a line for each size and source."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", nargs="?", default=OLD)
    parser.add_argument("--sizes", type=int, nargs="+", default=[720, 1080, 2160])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = folder / "old"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(old), asked.commit], check=True)
        try:
            for height in asked.sizes:
                place = folder / str(height)
                place.mkdir()
                pictures = third(height, place, SHORT + asked.frames)
                movie(place / "plate.mp4", pictures)
                compared(f"{height} lines, H.264, native foreground", place / "plate.mp4", place,
                         old, asked, ["--foreground", "native"])  # fmt: skip
                plates = exrs(place / "exr", pictures)
                compared(f"{height} lines, ACEScg EXR, solved foreground", plates, place, old,
                         asked, ["--colorspace", "ACEScg"])  # fmt: skip
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
