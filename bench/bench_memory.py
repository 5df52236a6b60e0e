# SPDX-License-Identifier: Apache-2.0
"""Peak memory: long clips against short ones, a movie of 10,000 frames, and 4K and 8K stills.

    python bench/bench_memory.py [clips] [movie] [stills] [tiles]

Each case runs in a process of its own and reports its peak resident size. Without a word all run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CLIP = """
import sys
from matte_nodes.render.render import Render
from matte_nodes.render.progress import Quiet
plate, out, frames = sys.argv[1:4]
model = sys.argv[4]
knobs = {"downsample_ratio": 0.5} if model == "rvm" else {}
Render(plate, out, model, knobs=knobs, node={}, connect={}, again=True).run(1, int(frames), Quiet())
"""
STILL = """
import sys
import numpy as np
from matte_nodes import MatteNode
from matte_nodes.testing.scene import scene
width, model = int(sys.argv[1]), sys.argv[2]
made = scene(width * 9 // 16, width)
trimap = made.trimap
# The band that a roto artist draws: some pixels, not a twelfth of the picture.
known = (made.alpha < 0.45) | (made.alpha > 0.55)
trimap[known] = (made.alpha > 0.5)[known]
needs = {"trimap": trimap} if model == "closed-form" else {}
MatteNode(model)(made.plate, **needs)
"""
FILE = """
import sys, time
from matte_nodes import own_process
from matte_nodes.render.render import Render
from matte_nodes.render.progress import Quiet
own_process.set_up()
plate, out, model = sys.argv[1:4]
began = time.perf_counter(), time.process_time()
Render(plate, out, model, knobs={}, node={}, connect={"cache": "off"}, again=True).run(
    None, None, Quiet())
print(f"{time.perf_counter() - began[0]:.1f} {time.process_time() - began[1]:.1f}")
"""
PEAK = """
with open("/proc/self/status") as file:  # ru_maxrss is at least that of the process that started it
    print(next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) // 1024)
"""
LONG, SHORT = 10_000, 500


def peak(code: str, *arguments: object) -> int:
    """Peak resident MB of a process that runs this code."""
    return int(said(code, *arguments)[-1])


def said(code: str, *arguments: object) -> list[str]:
    """The words that a process prints that runs this code; the last is its peak in MB."""
    result = subprocess.run(
        [sys.executable, "-c", code + PEAK, *map(str, arguments)],
        capture_output=True, text=True, check=True, env={**os.environ, "MATTE_SERVICE": "off"},
    )  # fmt: skip
    return result.stdout.split()


def clip(folder: Path, frames: int) -> Path:
    """A sequence of half EXR frames, linked round."""
    import numpy as np
    import OpenImageIO as oiio

    from matte_nodes.testing.scene import scene

    for index in range(frames):
        path = folder / f"plate.{index + 1:05d}.exr"
        if index >= 20:
            os.link(folder / f"plate.{index % 20 + 1:05d}.exr", path)
            continue
        spec = oiio.ImageSpec(320, 180, 3, "half")
        output = oiio.ImageOutput.create(str(path))
        output.open(str(path), spec)
        output.write_image(scene(180, 320, time=index / 3).plate.astype(np.float16))
        output.close()
    return folder / "plate.#####.exr"


def flat(frames: tuple[int, int], model: str) -> float:
    """Peak of a long clip over that of a short one."""
    with tempfile.TemporaryDirectory() as scratch:
        plate = clip(Path(scratch), max(frames))
        peaks = [peak(CLIP, plate, Path(scratch) / "o" / "m.#####.exr", n, model) for n in frames]
    print(f"{model}: {frames[0]} frames {peaks[0]} MB, {frames[1]} frames {peaks[1]} MB, "
          f"ratio {peaks[1] / peaks[0]:.3f}", flush=True)  # fmt: skip
    return peaks[1] / peaks[0]


def movie(path: Path, frames: int) -> Path:
    """A movie of a soft disc that wanders before a green screen, 160 x 90."""
    import av
    import cv2
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for number in range(frames):
            picture = np.full((90, 160, 3), (30, 190, 40), np.uint8)
            cv2.circle(picture, (30 + number % 100, 45), 24, (200, 90, 70), -1)
            picture = cv2.GaussianBlur(picture, (5, 5), 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def long_movie(model: str, output: str) -> None:
    """Print the peak of a movie of 10,000 frames over that of one of 500."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, peaks = Path(scratch), list[int]()
        for frames in (SHORT, LONG):
            plate = movie(folder / f"{frames}.mp4", frames)
            peaks.append(peak(FILE, plate, folder / f"{frames}" / output, model))
    print(f"{model}, movie to {output}: {SHORT} frames {peaks[0]} MB, {LONG} frames {peaks[1]} MB, "
          f"ratio {peaks[1] / peaks[0]:.3f}", flush=True)  # fmt: skip


def large_still(width: int, model: str, output: str) -> None:
    """Print seconds and the peak of one JPEG of 16:9 from file to file."""
    import cv2
    import numpy as np

    from matte_nodes.testing.scene import scene

    small = scene(540, 960).plate.clip(0, 1)
    with tempfile.TemporaryDirectory() as scratch:
        codes = np.uint8(cv2.resize(small, (width, width * 9 // 16))[..., ::-1] * 255)
        cv2.imwrite(f"{scratch}/plate.jpg", codes)
        del codes
        wall, busy, most = said(FILE, f"{scratch}/plate.jpg", f"{scratch}/{output}", model)
    print(f"{model}, {width} wide, JPEG to {output}: {wall} s, processor {busy} s, {most} MB, "
          f"{int(most) * 1e6 / (width * width * 9 / 16):.0f} bytes a pixel", flush=True)  # fmt: skip


def main() -> int:
    """Clips of 100 and 1,000 frames; a movie of 10,000; stills of 4K and 8K."""
    from matte_nodes import models, weights

    asked = set(sys.argv[1:]) or {"clips", "movie", "stills", "tiles"}
    known = all(weights.find(item) for item in models.card("rvm").weights)
    if "clips" in asked:
        if known:
            flat((100, 1000), "rvm")
        flat((100, 1000), "green-screen")
    if "movie" in asked:
        for output in ("matte.mkv", "matte.#####.exr", "matte.#####.png"):
            long_movie("green-screen", output)
        if known:
            long_movie("rvm", "matte.mkv")
    if "stills" in asked:
        for model in ("u2netp", *["rvm"] * known):
            for width in (3840, 7680):
                large_still(width, model, "cut.png")
                large_still(width, model, "matte.exr")
    if "tiles" not in asked:
        return 0
    for model in ("green-screen", "closed-form"):
        sizes = {width: peak(STILL, width, model) for width in (3840, 7680)}
        print(f"{model}: 4K {sizes[3840]} MB, 8K {sizes[7680]} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
