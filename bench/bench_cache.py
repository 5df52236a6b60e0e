# SPDX-License-Identifier: Apache-2.0
"""What the cache saves: a kept frame against its own EXR, a scrubbing session, a long live run.

    python bench/bench_cache.py

Frames are made ones. RVM is used where its weights are, else a model that only remembers.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from matte_nodes import Inputs, MatteNode, ModelCard, Prediction, Recurrent, models, weights
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from scene import make_scene

SESSION = Path(__file__).with_name("scrub_session.json")
LIVE_FRAMES = 10_000


class Remembers:
    """A model that costs nothing and has a state."""

    def step(self, inputs: Inputs, memory: Any, knobs: Any) -> tuple[Prediction, dict[str, Any]]:
        luma = inputs.plate.mean(axis=2)
        return Prediction((luma + memory.get("luma", luma)) / 2), {"luma": luma}


STAND_IN = ModelCard("remembers", "Remembers", "Luma.", lambda _: Remembers(), memory=Recurrent())


def recurrent() -> MatteNode:
    """RVM, or what stands in for it."""
    here = all(weights.find(item) for item in models.card("rvm").weights)
    return MatteNode("rvm" if here else STAND_IN)


def best(work: Callable[[], Any], times: int = 9) -> float:
    """Seconds of the quickest of several calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def write_half(path: Path, pixels: Any) -> None:
    """A half-float EXR, as plates are."""
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "half")
    spec.attribute("compression", "zip")
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    output.open(str(path), spec)
    output.write_image(pixels.astype(np.float16))
    output.close()


def read_all(path: Path) -> None:
    """Every part of an EXR by OpenImageIO, each in its own type."""
    source = oiio.ImageInput.open(str(path))
    assert source is not None
    part = 0
    while source.seek_subimage(part, 0):
        spec = source.spec()
        source.read_image(part, 0, 0, spec.nchannels, str(spec.format))
        part += 1
    source.close()


def kept_frame(folder: Path) -> None:
    """A kept 1080p frame by at(n), of a new process' memory, against reading the same file."""
    rng = np.random.default_rng(1)
    scene = make_scene(1920, 1080)
    for number in range(1, 4):
        noisy = scene.plate + rng.normal(0, 0.004, scene.plate.shape).astype(np.float32)
        write_half(folder / f"hd.{number}.exr", noisy)

    class Known(Remembers):
        def step(self, inputs: Inputs, memory: Any, knobs: Any) -> Any:
            return Prediction(scene.alpha), super().step(inputs, memory, knobs)[1]

    card = ModelCard("known", "Known", "Known.", lambda _: Known(), memory=Recurrent())
    store = Store(folder / "kept")
    MatteNode(card).connect(folder / "hd.#.exr", cache=Cache("disk", store=store)).at(3)
    (path,) = [entry.path for entry in store.entries() if entry.kind == "results"]
    shot = MatteNode(card).connect(
        folder / "hd.#.exr", cache=Cache("disk", store=store, states=0, pictures=0)
    )
    bare, kept = best(lambda: read_all(path)), best(lambda: shot.at(3))
    assert shot.steps == 0
    print(
        f"kept at(n), 1920x1080: {kept * 1e3:.0f} ms, the same EXR by OpenImageIO "
        f"{bare * 1e3:.0f} ms ({path.stat().st_size / 1e6:.1f} MB): ratio {kept / bare:.2f} "
        "(at most 1.5)"
    )


def scrubbing(folder: Path) -> None:
    """The session, with a cache and without: model steps."""
    session = json.loads(SESSION.read_text())
    rng = np.random.default_rng(2)
    small = make_scene(256, 144)
    for number in range(1, session["clip"] + 1):
        moved = np.roll(small.plate, number, axis=1)
        noisy = moved + rng.normal(0, 0.01, moved.shape).astype(np.float32)
        write_half(folder / f"clip.{number:04d}.exr", noisy)
    node = recurrent()
    clip = folder / "clip.####.exr"
    whole = {number: matte.alpha for number, matte in node.connect(clip, cache=None).render()}
    for mode in ("disk", "states", "memory"):
        store = Store(folder / f"scrub-{mode}") if mode != "memory" else None
        shot = node.connect(clip, cache=Cache(mode, store=store))  # type: ignore[arg-type]
        began = time.perf_counter()
        for number in session["requests"]:
            assert np.array_equal(shot.at(number).alpha, whole[number])
        spent = time.perf_counter() - began
        print(
            f"scrubbing, {node.card.name}, cache {mode}: {shot.steps} steps, "
            f"{shot.steps / len(whole):.2f} of a straight render (disk: under 1.3), {spent:.1f} s"
        )
    # How many steps it takes without a cache does not depend on the model.
    bare = MatteNode(STAND_IN).connect(clip, cache=None)
    for number in session["requests"]:
        bare.at(number)
    print(f"scrubbing without a cache: {bare.steps} steps, {bare.steps / len(whole):.1f}")


def live() -> None:
    """Ten thousand live frames: memory at the end against memory at a tenth."""
    node, plates = recurrent(), [make_scene(128, 72, seed=seed).plate for seed in range(4)]
    sizes = {}
    with node.stream(cuts="off") as stream:
        for number in range(1, LIVE_FRAMES + 1):
            stream.step(plates[number % 4])
            if number in (LIVE_FRAMES // 10, LIVE_FRAMES):
                sizes[number] = resident()
    first, last = sizes.values()
    print(
        f"live, {node.card.name}: {first >> 20} MiB after {LIVE_FRAMES // 10} frames, "
        f"{last >> 20} MiB after {LIVE_FRAMES}: ratio {last / first:.3f}"
    )


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """All three."""
    with tempfile.TemporaryDirectory() as name:
        kept_frame(Path(name))
        scrubbing(Path(name))
    live()


if __name__ == "__main__":
    main()
