# SPDX-License-Identifier: Apache-2.0
"""Which model for a live camera: time of a matte (network, foreground, packing) beside quality.

One thread, as the daemon runs; the best of the frames, which other load on the machine disturbs
least. Quality is nearness to RVM on the whole 720p frame, which favours RVM: mean absolute error
in thousandths after stretching the staged alpha, and the share of pixels on the same side of 0.5.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

CANDIDATES = (
    ("rvm", 256, {}), ("rvm", 320, {}), ("rvm", 384, {}), ("rvm", 384, {"downsample_ratio": 0.6}),
    ("rvm", 512, {"downsample_ratio": 0.4}),
    ("rvm", 512, {"downsample_ratio": 0.5}), ("rvm", 512, {}), ("selfie", 256, {}),
    ("selfie", 384, {}), ("u2netp", 320, {}),
)  # fmt: skip
FRAMES = 10


def clip() -> list[np.ndarray]:
    """Frames (720, 1280, 3) uint8 of a person, of the evaluation data or as the demo left it."""
    import av
    import cv2

    here = Path(__file__).parents[1]
    data = Path(os.environ.get("MATTE_TEST_DATA", here.parent / "shared/data"))
    places = (data / "video-people/carphone_pristine.mp4", here / "out/carphone.mp4")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return []
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24")
                  for frame, _ in zip(container.decode(video=0), range(FRAMES), strict=False)]  # fmt: skip
    return [cv2.resize(f, (1280, 720), interpolation=cv2.INTER_CUBIC) for f in frames]


def main() -> int:
    """One row a candidate."""
    import cv2

    from matte_nodes import MatteNode
    from matte_nodes.hosts.obs.residual import packed

    plates = clip()
    if not plates:
        print("no clip of a person here (MATTE_TEST_DATA, or run the demo)")
        return 0
    with MatteNode("rvm", threads=1, foreground="native").stream(colorspace="sRGB") as live:
        truth = [live.step(plate).alpha for plate in plates]
    print("| model | matte width | knobs | ms a matte | mattes a second | error | same side |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, width, knobs in CANDIDATES:
        times, mads, sides = [], [], []
        with MatteNode(name, threads=1, **knobs).stream(colorspace="sRGB") as live:
            for plate, alpha in zip(plates, truth, strict=True):
                small = cv2.resize(plate, (width, width * 9 // 16), interpolation=cv2.INTER_AREA)
                start = time.perf_counter()
                matte = live.step(small)
                packed(small, matte.alpha, matte.foreground)
                times.append(time.perf_counter() - start)
                found = cv2.resize(matte.alpha, (1280, 720), interpolation=cv2.INTER_LINEAR)
                mads.append(1000 * float(np.abs(found - alpha).mean()))
                sides.append(float(((found > 0.5) == (alpha > 0.5)).mean()))
        spent = 1000 * min(times)
        words = " ".join(f"{k}={v}" for k, v in knobs.items()) or "-"
        print(f"| {name} | {width} | {words} | {spent:.0f} | {1000 / spent:.0f} | "
              f"{np.mean(mads):.1f} | {100 * np.mean(sides):.1f} % |", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
