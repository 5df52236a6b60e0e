# SPDX-License-Identifier: Apache-2.0
"""The shipped trimap network as a .cat holds it: time and memory of a 1080p frame on one thread.

    python bench/bench_cat.py [TREE ...]

TREE: folders of other versions of this repository; all are measured in turn, and the ratios to the
last one are printed. A tenth of the picture is unknown. Memory is what the process grows by over
what it holds before its first large frame, after a small one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
ROUNDS, FRAMES = 2, 3
EXPORT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from matte_nodes import models
from matte_nodes.errors import UnknownModelError
try:
    from matte_nodes.export import nuke_cat
except ImportError:  # the first versions have it elsewhere, and another name for the network
    from matte_nodes.nuke import cat as nuke_cat
try:
    card = models.card("trimap-cues")
except UnknownModelError:
    card = models.card("deep-image-matting-small")
nuke_cat.export_cat(card, Path(sys.argv[2]))
(file,) = Path(sys.argv[2]).glob("*.pt")
file.rename(file.with_name("trimap-cues.pt"))
"""
RUN = """
import sys, time
from pathlib import Path
import cv2, numpy as np, torch

torch.set_num_threads(1)

def held(name):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(name))
    return int(line.split()[1]) / 1024

def picture(height, width):
    rng = np.random.default_rng(1)
    noise = cv2.GaussianBlur(rng.random((height, width), np.float32), (0, 0), max(height / 18, 1))
    low, high = np.quantile(noise, (0.45, 0.55))
    trimap = np.where(noise < low, 0, np.where(noise > high, 1, 0.5)).astype(np.float32)
    plate = cv2.GaussianBlur(rng.random((height, width, 3), np.float32), (0, 0), 3)
    both = np.dstack((plate, trimap)).transpose(2, 0, 1)[None]
    return torch.from_numpy(np.ascontiguousarray(both))

model, large = torch.jit.load(sys.argv[1]), picture(1080, 1920)
with torch.no_grad():
    model(picture(64, 64))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, times = held("VmRSS"), []
    for _ in range(int(sys.argv[2])):
        began = time.process_time()
        model(large)
        times.append(time.process_time() - began)
print(times[0], min(times[1:]), held("VmHWM") - before)
"""


def measured(file: Path) -> list[float]:
    """Seconds of the first and of a later frame, and MB, of one process."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(file), str(FRAMES)], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return [float(word) for word in done.stdout.split()]


def main(trees: list[Path]) -> int:
    """Print the figures of each tree, and their ratios to the last one."""
    trees = [*trees, HERE]
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for number, tree in enumerate(trees):
            folder = Path(scratch) / str(number)
            subprocess.run([sys.executable, "-c", EXPORT, str(tree), str(folder)], check=True)
            files.append(folder / "trimap-cues.pt")
        found: list[list[list[float]]] = [[] for _ in trees]
        for _ in range(ROUNDS):
            for number, file in enumerate(files):
                found[number].append(measured(file))
    best = [[min(values) for values in zip(*rounds, strict=True)] for rounds in found]
    for tree, (first, later, grown) in zip(trees, best, strict=True):
        print(f"{tree}: first frame {first:.2f} s, later {later:.2f} s, grown by {grown:.0f} MB")
    for tree, (first, later, grown) in zip(trees[:-1], best[:-1], strict=True):
        ratios = [new / old for new, old in zip(best[-1], (first, later, grown), strict=True)]
        print(f"to {tree}: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
