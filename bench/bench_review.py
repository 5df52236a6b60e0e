# SPDX-License-Identifier: Apache-2.0
"""The review report of 120 frames at 720p: its size, and how fast it answers in Chromium.

A move of the slider is timed in the page, from the event to the frame after the picture is on the
canvas, for frames that were not decoded before (target: below 100 ms) and for the next frame.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from matte_nodes.publish.delivery import Delivery  # noqa: E402
from matte_nodes.publish.report import write_report  # noqa: E402
from tests.publish.browser import binary, browser  # noqa: E402
from tests.publish.clips import clip  # noqa: E402

MOVES = """
(async (indices) => {
  const slider = document.getElementById("slider"), canvas = document.getElementById("screen");
  const times = [];
  for (const index of indices) {
    await new Promise((rest) => setTimeout(rest, 150));
    const began = performance.now();
    const shown = new Promise((done) => canvas.addEventListener("shown", done, { once: true }));
    slider.value = index;
    slider.dispatchEvent(new Event("input"));
    await shown;
    await new Promise((done) => requestAnimationFrame(done));
    times.push(performance.now() - began);
  }
  return times;
})(%s)
"""


def main() -> None:
    """Print sizes and times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plate, mattes = clip(folder, 720, 1280, 120, distinct=24)
        delivery = Delivery(str(mattes), plate=plate)
        began = time.monotonic()
        delivery.look()
        looked = time.monotonic()
        report = write_report(delivery, folder / "review.html", title="bench")
        written = time.monotonic()
        print(f"size: {report.stat().st_size / 1e6:.1f} MB (limit 15)")
        print(f"checks: {looked - began:.1f} s, report: {written - looked:.1f} s for 120 frames")
        if binary() is None:
            print("no Chromium here: not timed")
            return
        with browser(folder / "profile") as page:
            page.open(report)
            for what, indices in (
                ("jumps", [(37 * k + 11) % 120 for k in range(30)]),
                ("next frames", list(range(40, 70))),
            ):
                times = page.run(MOVES % indices)
                print(
                    f"{what}: median {statistics.median(times):.0f} ms, "
                    f"slowest {max(times):.0f} ms (limit 100)"
                )


if __name__ == "__main__":
    main()
