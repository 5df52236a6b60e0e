# SPDX-License-Identifier: Apache-2.0
"""Each network: torch against ONNX, one and two threads, 512 x 512 and 1080p, and memory.

Random weights where there are no others: they cost the same. Every case runs in its own process.
Times are seconds a frame of the bare step; the last column is what counts: torch over ONNX.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = {"512": (512, 512), "1080p": (1088, 1920)}
NAMES = (
    "deep-image-matting", "mmnet", "background-matting", "adamatting", "gfm", "modnet",
    "background-matting-v2", "selfie", "rvm",
)  # fmt: skip
# Minutes a frame on two cores, or 10 GB: not what anyone would run there.
TOO_LARGE = {("deep-image-matting", "1080p"), ("adamatting", "1080p")}

CASE = """
import json, resource, sys, time
import numpy as np
from matte_nodes import MatteNode, frame
from matte_nodes.testing.scene import scene
model, height, width, threads, untrained = sys.argv[1], *map(int, sys.argv[2:6])
node = MatteNode(model, device="cpu", threads=threads, untrained=bool(untrained), tile=-1)
made = scene(height, width)
hints = {h: made.hint(h) for h in node.card.needs}
seen = frame.see(frame.Given(made.plate, **hints), node.plate_color("scene_linear"))
around = node.still_neighbours(seen.inputs)
_, memory = node.step(seen.inputs, {}, around)
taken, began = [], time.perf_counter()
while len(taken) < 2 or (time.perf_counter() - began < 3 and len(taken) < 20):
    start = time.perf_counter()
    _, memory = node.step(seen.inputs, memory, around)
    taken.append(time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps([float(np.median(taken)), peak]))
"""


def case(model: str, size: tuple[int, int], threads: int, untrained: bool) -> tuple[float, int]:
    """Seconds of a step, peak MB of the process."""
    result = subprocess.run(
        [sys.executable, "-c", CASE, model, *map(str, (*size, threads, int(untrained)))],
        capture_output=True, text=True, check=False, env={**os.environ, "MATTE_SERVICE": "off"},
    )  # fmt: skip
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["?"])[-1]
        raise RuntimeError(last)
    seconds, peak = json.loads(result.stdout.splitlines()[-1])
    return seconds, peak


def main() -> int:
    """Print the table."""
    from matte_nodes import models, weights
    from matte_nodes.errors import MatteError
    from matte_nodes.export.onnx import export_onnx

    print(
        f"{'network':24}{'size':>7}{'threads':>8}{'torch s':>9}{'MB':>7}{'onnx s':>9}{'MB':>7}{'ratio':>7}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for name in NAMES:
            card = models.card(name)
            if not all(weights.find(item) for item in card.weights):
                print(f"{name:24} skipped: its weights are not here")
                continue
            file = Path(scratch) / f"{name}.onnx"
            untrained = card.checkpoint is not None
            try:
                export_onnx(card, file, untrained=untrained)
            except MatteError as error:
                print(f"{name:24} {error}")
                continue
            for label, size in SIZES.items():
                if (name, label) in TOO_LARGE:
                    print(f"{name:24}{label:>7}  left out: minutes a frame on a CPU; it is tiled")
                    continue
                for threads in (1, 2):
                    own = case(name, size, threads, untrained)
                    other = case(str(file), size, threads, False)
                    print(
                        f"{name:24}{label:>7}{threads:>8}{own[0]:>9.3f}{own[1]:>7}"
                        f"{other[0]:>9.3f}{other[1]:>7}{own[0] / other[0]:>7.2f}", flush=True,
                    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
