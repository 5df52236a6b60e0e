# SPDX-License-Identifier: Apache-2.0
"""What reading and writing a frame costs: processor and wall milliseconds, the best of several.

    python bench/bench_media.py [WIDTH HEIGHT]

Plain 1280 x 720 frames by default. `bare` lines are the libraries alone, for comparison.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenImageIO as oiio

from matte_nodes.media import layouts
from matte_nodes.media.clip import open_clip
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.writers import OutputFrame, open_writer

FRAMES = 24


def best(work: Callable[[], Any], times: int = 8) -> tuple[float, float]:
    """Processor and wall milliseconds of the best of several calls."""
    work()
    found = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(f[0] for f in found) * 1e3, min(f[1] for f in found) * 1e3


def show(what: str, cost: tuple[float, float], note: str = "") -> None:
    """One line of the table."""
    print(f"{what:46s} {cost[0]:8.2f} cpu ms {cost[1]:8.2f} wall ms  {note}")


def scene(width: int, height: int) -> OutputFrame:
    """A soft disc over a noisy ramp, black outside the matte: a person in front of something."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot(columns - width / 2, rows - height * 0.55)
    alpha = np.clip((height * 0.42 - distance) / 20, 0, 1).astype(np.float16).astype(np.float32)
    ramp = np.stack([columns / width, rows / height, (rows + columns) / (width + height)], -1)
    foreground = ramp + np.random.default_rng(0).normal(0, 0.01, ramp.shape).astype(np.float32)
    foreground[alpha == 0] = 0
    window = Rect(0, 0, width, height)
    source = Image(foreground.astype(np.float16), ("R", "G", "B"), window, window)
    return OutputFrame(1, alpha, foreground, window, source, {})


def make_movie(path: Path, codec: str, form: str, frame: OutputFrame) -> Path:
    """A moving picture of the scene."""
    codes = (frame.foreground.clip(0, 1) * 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = codes.shape[1], codes.shape[0], form
        for n in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(np.roll(codes, 3 * n, 1), format="rgb24")
            container.mux(stream.encode(picture.reformat(format=form)))
        container.mux(stream.encode(None))
    return path


def decode_all(path: Path, threads: int) -> None:
    clip = open_clip(path, threads=threads)
    for n in clip.frames:
        clip.read(n)
    clip.close()


def bare_decode(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for picture in container.decode(video=0):
            picture.to_ndarray(format="rgb24")


def bare_exr(path: Path, pixels: Any, compression: str) -> None:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "half")
    spec.channelnames = ("R", "G", "B", "A", "fg.R", "fg.G", "fg.B")
    spec.attribute("compression", compression)
    output = oiio.ImageOutput.create(str(path))
    output.open(str(path), spec)
    output.write_image(pixels)
    output.close()


def per_frame(cost: tuple[float, float]) -> tuple[float, float]:
    return cost[0] / FRAMES, cost[1] / FRAMES


def main() -> None:
    width, height = (int(n) for n in sys.argv[1:3]) if len(sys.argv) > 2 else (1280, 720)
    frame = scene(width, height)
    options: dict[str, Any] = {"provenance": {}, "rate": Fraction(25)}
    print(f"{width} x {height}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for codec, form, extension in (
            ("libx264", "yuv420p", "mp4"),
            ("libx264", "yuv420p10le", "mp4"),
            ("prores_ks", "yuv422p10le", "mov"),
        ):
            path = make_movie(folder / f"{codec}{form}.{extension}", codec, form, frame)
            for threads in (1, 2):
                cost = per_frame(best(lambda p=path, t=threads: decode_all(p, t), 3))
                show(f"read {codec} {form}, {threads} threads", cost)
            show(f"bare decode {codec} {form}", per_frame(best(lambda p=path: bare_decode(p), 3)))
        show("build nuke layout", best(lambda: layouts.nuke(frame)))
        pixels = layouts.nuke(frame)[1]
        exr = folder / "bare.exr"
        for compression in ("none", "rle", "zips:1", "zips", "zip", "piz"):
            cost = best(lambda c=compression: bare_exr(exr, pixels, c))
            show(f"bare EXR {compression}", cost, f"{exr.stat().st_size >> 10} KiB")
        for spec, layout in (
            ("m.####.exr", "nuke"),
            ("b.####.exr", "blender"),
            ("a.####.exr", "alpha"),
            ("a.####.png", "alpha"),
        ):
            out = open_writer(folder / spec, layout=layout, colorspace="lin_rec709", **options)
            show(f"write {spec} {layout}", best(lambda o=out: o.write(frame)))
        clip = open_clip(folder / "m.####.exr")
        show("read EXR", best(lambda: clip.read(1)))
        for extension in ("mov", "mkv"):
            out = open_writer(folder / f"m.{extension}", colorspace="bt709", **options)
            numbers = iter(range(1, 1000))
            cost = best(
                lambda o=out, n=numbers: o.write(
                    OutputFrame(
                        next(n), frame.alpha, frame.foreground, frame.window, frame.source, {}
                    )
                )
            )
            show(f"write .{extension}", cost)
            out.abort()


if __name__ == "__main__":
    main()
