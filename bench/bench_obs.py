# SPDX-License-Identifier: Apache-2.0
"""The filter in a real OBS at 640 x 360 against no filter, in the same run: what a stream pays.

Under software rendering the absolute milliseconds say nothing about a graphics card; the bytes
that go through the memory and the ratios to the run without the filter do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.obs import pictures, rig

SECONDS = 8


def processor_seconds(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(obs: rig.Obs, what: str) -> None:
    """One row: frames a second, render ms, cores of OBS and of the daemons."""
    pids = [obs.pid, *obs.daemons()]
    before, start = [processor_seconds(pid) for pid in pids], time.monotonic()
    first = obs.client.get_stats()
    time.sleep(SECONDS)
    last, spent = obs.client.get_stats(), time.monotonic() - start
    used = [(processor_seconds(p) - b) / spent for p, b in zip(pids, before, strict=True)]
    frames = last.render_total_frames - first.render_total_frames
    print(f"| {what} | {frames / spent:.1f} | {last.average_frame_render_time:.2f} | {used[0]:.2f} | "
          f"{sum(used[1:]):.2f} |", flush=True)  # fmt: skip


def main() -> int:
    """No filter, filter with models, filter with a stopped daemon."""
    if absent := rig.missing():
        print(f"not here: {absent}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "matte_nodes", "install", "obs", "--folder", folder],
            env={**os.environ, "PYTHONPATH": str(rig.MODELS)}, check=True, capture_output=True,
        )  # fmt: skip
        with rig.running(home / "home", home / "matte-nodes") as obs:
            movie = pictures.running_box(home / "box.mkv")
            obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
            rig.until("the clip", lambda: pictures.person_pixels(obs.shot()) > 10000)
            print("| case | OBS frames a second | render ms | OBS cores | daemon cores |")
            print("| --- | --- | --- | --- | --- |")
            measure(obs, "no filter")
            obs.filter()
            time.sleep(3)
            measure(obs, "filter, a model that costs nothing, 320 wide")
            obs.set(**{"knob.obs-test.sleep_ms": 900})
            time.sleep(3)
            measure(obs, "filter, 900 ms a matte")
            obs.set(model="selfie", width=256)
            time.sleep(5)
            measure(obs, "filter, selfie, 256 wide")
            obs.set(model="rvm", width=256)
            time.sleep(5)
            measure(obs, "filter, rvm, 256 wide")
    return 0


if __name__ == "__main__":
    sys.exit(main())
