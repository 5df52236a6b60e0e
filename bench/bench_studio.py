# SPDX-License-Identifier: Apache-2.0
"""What a person waits for in Studio: first picture, seeks, a finishing knob, a click; page memory.

A 1080p clip of EXR files, a real Chromium of 1280 x 800. Times are from the mouse or key event to
the drawn canvas, in milliseconds; each beside the machine's load, since other work stretches them.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.publish.browser import Page, binary, browser
from tests.studio.driver import click_at, key, on_screen, settled
from tests.studio.rig import FIRST, Studio, studio

SIZE, COUNT, SEEKS = (1080, 1920), 24, 1000


def clip(folder: Path) -> str:
    """A ball before a blurred ground as half EXR, scene-linear."""
    import cv2

    folder.mkdir(parents=True)
    height, width = SIZE
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.random((height, width, 3)).astype(np.float32), (0, 0), 40)
    ground = 0.05 + 0.3 * (ground - ground.min()) / (ground.max() - ground.min())
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    for index in range(COUNT):
        far = np.hypot(xs - (500 + 30 * index), ys - 540)
        alpha = np.clip((280 - far) / 8, 0, 1)[..., None]
        pixels = ground * (1 - alpha) + np.float32([0.8, 0.2, 0.05]) * alpha
        spec = oiio.ImageSpec(width, height, 3, "half")
        spec.attribute("compression", "zips")
        out = oiio.ImageOutput.create("openexr")
        out.open(str(folder / f"plate.{FIRST + index}.exr"), spec)
        out.write_image(np.ascontiguousarray(pixels, np.float16))
        out.close()
    return str(folder / "plate.####.exr")


def main() -> int:
    """One line for each figure."""
    if binary() is None:
        print("no Chromium here")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        plate = clip(place / "clip")
        with studio(plate, place / "home") as found, browser(place / "chromium", 1280, 800) as page:
            page.send("Page.navigate", url=found.address)
            page.until("document.documentElement?.dataset.ready === 'yes'", 120)
            first = page.run(
                "performance.getEntriesByType('resource').filter(e => e.name.includes('/api/plate/'))"
                ".map(e => e.responseEnd).sort((a, b) => a - b)[0]"
                "- performance.getEntriesByType('navigation')[0].responseEnd"
            )
            say("first picture after the page is there", first, "under 1000")
            settled(page, "s.declarations !== null", 120)
            seeks(page)
            edits(page, Spent(found))
            memory(page)
    return 0


def say(what: str, milliseconds: float, target: str) -> None:
    """One figure."""
    print(
        f"{what:46} {milliseconds:8.0f} ms   (target {target}; load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


SEEK = """
(async () => {
  const { state, set } = await import('/static/state.js');
  const frames = state.server.plate.frames, times = [];
  for (let n = 0; n < COUNT; n++) {
    const frame = frames[(n * 7) % frames.length], began = performance.now();
    set({ frame });
    await new Promise(done => {
      const look = () => document.getElementById('screen').dataset.frame === String(frame)
        ? done() : setTimeout(look, 0);
      look();
    });
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b);
})()
"""


def seeks(page: Page) -> None:
    """Over frames that were seen before."""
    page.run(SEEK.replace("COUNT", str(COUNT)))
    times = page.run(SEEK.replace("COUNT", "100"))
    say("a seek over cached frames, median", statistics.median(times), "under 50")
    say("a seek over cached frames, worst of 100", times[-1], "under 50")


class Spent:
    """Processor time of Studio and of its service, in milliseconds; their start is not counted."""

    def __init__(self, found: Studio) -> None:
        self._studio = found
        self._begun = 0.0

    def begin(self) -> None:
        """Count from here."""
        self._begun = self._now()

    def so_far(self) -> float:
        """Since `begin`."""
        return self._now() - self._begun

    def _now(self) -> float:
        total = 0
        for pid in (self._studio.process.pid, int(self._studio.client.status()["pid"])):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return 1000 * total / os.sysconf("SC_CLK_TCK")


def edits(page: Page, spent: Spent) -> None:
    """Clicks and a finishing knob, on the first frame."""
    key(page, "Home")
    settled(page, f"s.frame === {FIRST}")
    settled(page, "s.busy === ''")
    took = []
    for index, (x, y) in enumerate([(500, 540), (560, 600), (450, 500)]):
        at = on_screen(page, x, y)
        began = time.perf_counter()
        click_at(page, *at)
        settled(page, f"s.server.revision > {index} && s.mask?.of === s.server.key", 600)
        took.append(1000 * (time.perf_counter() - began))
    say("the first click to its mask, with loading", took[0], "-")
    say("a further click to its mask", min(took[1:]), "under 1000")
    began = time.perf_counter()
    settled(page, f"s.server.done.includes({FIRST})", 1200)
    say("from there to the edges, closed form at 1080p", 1000 * (time.perf_counter() - began), "-")
    change(page, "{edit: 'set', model: 'click'}")
    knobs(page, spent, "click, outline")
    change(page, "{edit: 'set', model: 'auto'}")
    knobs(page, spent, "click, then closed form, outline")
    page.run("import('/static/state.js').then(m => m.set({view: 'grey'}))")
    settled(page, "document.getElementById('screen').dataset.view === 'grey'", 60)
    knobs(page, spent, "the same, over grey")
    page.run("import('/static/state.js').then(m => m.set({view: 'outline'}))")


def knobs(page: Page, spent: Spent, what: str) -> None:
    """A finishing knob: from the edit to the drawn matte."""
    walls, costs = [], []
    for value in (1, 1.5, 2, 2.5, 1.2):
        spent.begin()
        walls.append(change(page, f"{{edit: 'knob', name: 'shrink', value: {value}}}"))
        costs.append(spent.so_far())
    print(f"a finishing knob ({what})")
    say("  from the edit to the drawn matte, median", statistics.median(walls[1:]), "under 150")
    say("  processor time of server and service", statistics.median(costs[1:]), "under 150")
    change(page, "{edit: 'knob', name: 'shrink', value: null}")


def change(page: Page, edit: str) -> float:
    """One edit to the drawn matte, in milliseconds."""
    took = page.run(
        f"""(async () => {{
          const {{ state }} = await import('/static/state.js');
          const api = await import('/static/api.js');
          const loaded = state.loaded, began = performance.now();
          await api.edit({edit});
          while (!(state.server.done.includes({FIRST}) && state.busy === ''
                   && document.getElementById('screen').dataset.matted === 'true' && state.loaded > loaded))
            await new Promise(done => setTimeout(done, 2));
          return performance.now() - began;
        }})()"""
    )
    return float(took)


def memory(page: Page) -> None:
    """The page's memory over many seeks."""

    def used() -> float:
        page.send("HeapProfiler.collectGarbage")
        held = page.run("import('/static/pictures.js').then(m => m.held().bytes)")
        heap = page.send("Runtime.getHeapUsage")["usedSize"]
        return (held + heap) / 2**20

    page.run(SEEK.replace("COUNT", "100"))
    page.send("HeapProfiler.enable")
    before = used()
    page.run(SEEK.replace("COUNT", str(SEEKS)))
    print(
        f"memory of the page: {before:.1f} MiB, after {SEEKS} seeks {used():.1f} MiB (target: flat)"
    )


if __name__ == "__main__":
    sys.exit(main())
