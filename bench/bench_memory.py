# SPDX-License-Identifier: Apache-2.0
"""Peak memory: long clips against short ones, and 8K stills by tiles.

Each case runs in a process of its own and reports its peak resident size.
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
PEAK = "\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"


def peak(code: str, *arguments: object) -> int:
    """Peak resident MB of a process that runs this code."""
    result = subprocess.run(
        [sys.executable, "-c", code + PEAK, *map(str, arguments)],
        capture_output=True, text=True, check=True, env={**os.environ, "MATTE_SERVICE": "off"},
    )  # fmt: skip
    return int(result.stdout.split()[-1])


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


def main() -> int:
    """Clips of 100 and 1,000 frames; stills of 4K and 8K."""
    from matte_nodes import models, weights

    if all(weights.find(item) for item in models.card("rvm").weights):
        flat((100, 1000), "rvm")
    flat((100, 1000), "green-screen")
    for model in ("green-screen", "closed-form"):
        sizes = {width: peak(STILL, width, model) for width in (3840, 7680)}
        print(f"{model}: 4K {sizes[3840]} MB, 8K {sizes[7680]} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
