# SPDX-License-Identifier: Apache-2.0
"""The first answer of a hot service, from the request to the whole EXR on disk, at 1080p.

Against the bare model step (target: below 1.2x), and against the same work in this process with a
loaded model: what the service itself adds. "mapped" is the plate given, and the answer taken, as
pixels in mapped files (`Client.pixels`). Each answer is of a plate never seen before. Ratios of one
run. "again" is the same frame asked for once more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from matte_nodes import MatteNode, models, weights
from matte_nodes.card import Inputs
from matte_nodes.render.render import Render
from matte_nodes.service.client import Client
from matte_nodes.testing.scene import scene

SIZE = (1080, 1920)
ROUNDS = 7
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("rvm", "rvm, as it comes", {}),
    ("rvm", "rvm at full resolution", {"downsample_ratio": 1.0}),
    ("green-screen", "green-screen (no network)", {}),
]


class Silent:
    """A report to nobody."""

    def start(self, total: int, **facts: Any) -> None:
        pass

    def frame(self, frame: int, path: Path) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def done(self, output: str) -> None:
        pass


def plates(folder: Path, count: int) -> list[str]:
    """So many stills of different content."""
    folder.mkdir()
    names = []
    for index in range(count):
        pixels = scene(*SIZE, time=index / 3).plate.astype(np.float16)
        path = folder / f"plate_{index}.exr"
        spec = oiio.ImageSpec(SIZE[1], SIZE[0], 3, oiio.HALF)
        spec.attribute("compression", "zips")
        output = oiio.ImageOutput.create(str(path))
        output.open(str(path), spec)
        output.write_image(pixels)
        output.close()
        np.save(path.with_suffix(".npy"), pixels.astype(np.float32))
        names.append(str(path))
    return names


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def case(model: str, title: str, knobs: dict[str, Any], folder: Path, client: Client) -> None:
    """Step, work here and service by turns, so that all three see the same machine."""
    node = MatteNode(model, **knobs)
    loaded = node.model
    seen = node.plate_color("scene_linear").to_network(scene(*SIZE).plate.astype(np.float16))
    names = plates(folder / title.replace(" ", "_"), 3 * ROUNDS + 3)

    def here(source: str) -> None:
        output = str(folder / "here" / Path(source).name)
        Render(source, output, model, knobs=knobs, node={"loader": lambda card, context: loaded},
               connect={}).run(1, 1, Silent())  # fmt: skip

    def hot(source: str) -> None:
        client.frame({"source": source, "model": model, "knobs": knobs}, 1)

    def mapped(source: str) -> None:
        given = str(Path(source).with_suffix(".npy"))
        numbers, _, _ = client.pixels({"source": given, "model": model, "knobs": knobs}, 1)
        np.asarray(numbers).max()  # every page is really there

    here(names[-1])
    hot(names[-2])
    mapped(names[-3])
    step, inside, answer, by_map = [], [], [], []
    busy_here = busy_there = 0.0
    for one, two, three in zip(
        *(names[r * ROUNDS : (r + 1) * ROUNDS] for r in range(3)), strict=True
    ):
        step.append(seconds(lambda: loaded.step(Inputs(seen), {}, node.knobs)))
        before, there = time.process_time(), client.status()["cpu_seconds"]
        inside.append(seconds(lambda one=one: here(one)))
        busy_here += time.process_time() - before
        answer.append(seconds(lambda two=two: hot(two)))
        busy_there += client.status()["cpu_seconds"] - there
        by_map.append(seconds(lambda three=three: mapped(three)))
    again = min(seconds(lambda: hot(names[ROUNDS])) for _ in range(5))
    bare, work, asked, quick = (float(np.median(t)) for t in (step, inside, answer, by_map))
    print(
        f"{title:26} step {bare * 1e3:6.0f} ms | here {work / bare:6.2f} x | service "
        f"{asked / bare:6.2f} x | mapped {quick / bare:6.2f} x | service / here {asked / work:5.2f} x "
        f"({busy_there / busy_here:.2f} x of the processor's time) | again {again * 1e3:3.0f} ms"
    )


def main() -> int:
    """Start a service with a home of its own, ask, end it."""
    folder = Path(tempfile.mkdtemp(prefix="matte-bench-"))
    home = folder / "home"
    home.mkdir()
    if weights.weights_folder().is_dir():
        (home / "weights").symlink_to(weights.weights_folder())
    os.environ["MATTE_HOME"] = str(home)
    process = subprocess.Popen(
        [sys.executable, "-m", "matte_nodes", "serve"], stderr=subprocess.DEVNULL
    )
    try:
        client = Client(home=str(home))
        while client.hello() is None and process.poll() is None:
            time.sleep(0.05)
        for model, title, knobs in CASES:
            if all(weights.find(item) for item in models.card(model).weights):
                case(model, title, knobs, folder, client)
            else:
                print(f"{title:28} left out: its weights are not here")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
