# SPDX-License-Identifier: Apache-2.0
"""This tree against an older commit, in one run: processor time of the same commands.

    python bench/bench_against.py [COMMIT] [--rounds 3]

Both trees run each command in turn, in processes of their own, on one thread. A figure is the least
processor time of its rounds, so other work on the machine hardly moves the ratios. Each process
starts with empty caches, except for the commands that say "again".
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from scene import make_scene

ROOT = Path(__file__).resolve().parents[1]
OLD = "a871411"
FRAMES, HEIGHT, WIDTH = 24, 720, 1280

LEAST = """
import time

def least(work):
    found = []
    work()
    for _ in range(4):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    print(min(found))
"""
PLANES = """
import numpy as np
from matte_nodes.models import cues
rng = np.random.default_rng(1)
plate = rng.random((720, 1280, 3), np.float32)
trimap = np.full((720, 1280), 0.5, np.float32)
trimap[:, :500], trimap[:, 760:] = 0, 1
least(lambda: cues.planes(plate, trimap))
"""
FOREGROUND = """
import numpy as np, cv2
from matte_nodes import MatteNode
rng = np.random.default_rng(1)
plate = cv2.GaussianBlur(rng.random((720, 1280, 3), np.float32), (0, 0), 3)
trimap = np.full((720, 1280), 0.5, np.float32)
trimap[:, :600], trimap[:, 680:] = 0, 1
node = MatteNode("trimap-cues" if NEW else "deep-image-matting-small", device="cpu")
least(lambda: node(plate, trimap=trimap).foreground)
"""


@dataclass(frozen=True)
class Work:
    """One command: `matte` arguments, or a script. again: it is run once before it is measured; kept:
    what that run wrote is left."""

    title: str
    arguments: tuple[str, ...] = ()
    script: str = ""
    again: bool = False
    kept: bool = False


def works(clip: Path, out: Path, trimap: Path) -> list[Work]:
    """The commands. Each writes into `out`."""
    plate, exr = f"{clip}/plate.####.png", f"{out}/matte.####.exr"
    rvm = ("run", plate, "--model", "rvm", "--downsample-ratio", "0.25", "-o", exr)
    native = (*rvm, "--foreground", "native")
    cues = ("run", plate, "--trimap", str(trimap), "--hint-keys", "hold", "--model")
    return [
        Work("matte --help", ("--help",)),
        Work("cue planes, 720p", script=PLANES),
        Work("trimap network and foreground, 720p", script=FOREGROUND),
        Work("rvm, 24 frames 720p, native foreground, EXR", (*native, "--cache", "off")),
        Work("the same with the cache on disk", (*native, "--cache", "disk")),
        Work("the same again, cache warm, files removed", (*native, "--cache", "disk"), again=True),
        Work("the same again, resume", (*native, "--cache", "off"), again=True, kept=True),
        Work("trimap network, 24 frames, solved foreground",
             (*cues, "deep-image-matting-small", "-o", exr, "--cache", "off")),
    ]  # fmt: skip


def spent(tree: Path, work: Work, home: Path) -> float:
    """Processor seconds of one run in a tree. Raises RuntimeError when the command fails."""
    told = {**os.environ, "MATTE_CACHE": str(home), "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(tree)}  # fmt: skip
    script = f"NEW = {tree == ROOT}\n{LEAST}\n{work.script}"
    call = ["-c", script] if work.script else ["-m", "matte_nodes", *work.arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *call], cwd=tree, env=told, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{work.title} failed in {tree}: {done.stderr[-400:]}")
    if work.script:
        return float(done.stdout)  # imports do not count
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def clip_in(folder: Path) -> tuple[Path, Path]:
    """A made clip and a trimap of its first frame."""
    place = folder / "clip"
    place.mkdir()
    scene = make_scene(WIDTH, HEIGHT)
    codes = np.round(scene.plate.clip(0, 1)[..., ::-1] * 255).astype(np.uint8)
    for number in range(FRAMES):
        codes = np.roll(codes, 2, 1)
        cv2.imwrite(str(place / f"plate.{number + 1:04d}.png"), codes)
        if number == 0:
            alpha = (scene.alpha > 0.5).astype(np.uint8)
            wide = cv2.dilate(alpha, np.ones((31, 31))), cv2.erode(alpha, np.ones((31, 31)))
            cv2.imwrite(str(folder / "trimap.png"), wide[0] * 128 + wide[1] * 127)
    return place, folder / "trimap.png"


def main(given: list[str]) -> None:
    """Print the ratio of processor times, new to old, of each command."""
    rounds = int(given.pop(given.index("--rounds") + 1)) if "--rounds" in given else 3
    commit = next((each for each in given if not each.startswith("-")), OLD)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        old = folder / "old"
        subprocess.run(
            ["git", "-C", str(ROOT), "worktree", "add", "-q", "--detach", str(old), commit],
            check=True,
        )
        try:
            clip, trimap = clip_in(folder)
            for work in works(clip, folder / "out", trimap):
                compared(work, old, folder, rounds)
        finally:
            subprocess.run(
                ["git", "-C", str(ROOT), "worktree", "remove", "--force", str(old)], check=True
            )


def compared(work: Work, old: Path, folder: Path, rounds: int) -> None:
    """Run one command in both trees, in turn, and print its ratio."""
    import shutil

    least: dict[Path, float] = {}
    try:
        for number in range(rounds):
            for tree in (old, ROOT) if number % 2 else (ROOT, old):
                shutil.rmtree(folder / "out", ignore_errors=True)
                home = folder / f"home-{tree.name}"
                shutil.rmtree(home, ignore_errors=True)
                if work.again:
                    spent(tree, work, home)
                if work.again and not work.kept:
                    shutil.rmtree(folder / "out", ignore_errors=True)
                took = spent(tree, work, home)
                least[tree] = min(took, least.get(tree, took))
    except RuntimeError as error:
        print(f"{work.title}: {error}", flush=True)
        return
    print(f"{work.title}: {least[ROOT] / least[old]:.3f} of {old.name} "
          f"({least[ROOT]:.2f} s against {least[old]:.2f} s)", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
