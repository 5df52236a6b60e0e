# SPDX-License-Identifier: Apache-2.0
"""The filter in a real OBS against no filter, in the same run: what a stream pays.

    python bench/bench_obs.py [SECONDS]     # a row, default 8

Under software rendering the milliseconds of a whole frame say nothing about a graphics card; the
ratios to the run without the filter do. What staging and upload cost the graphics thread at 720p,
drawing apart, is what OBS's own profiler says when it ends.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.obs import pictures, rig

SECONDS = float(sys.argv[1]) if sys.argv[1:] else 8.0


def processor_seconds(pid: int) -> float:
    """User and system seconds of a process so far; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drawn(stats: Any) -> int:
    """Frames that OBS has drawn: its total counts those that came too late, too."""
    return int(stats.render_total_frames - stats.render_skipped_frames)


def age(obs: rig.Obs) -> str:
    """Of the mattes since the last call: how many plates are drawn between a plate and its matte."""
    before = obs.log().count("forgets its picture: settings")
    obs.set(sync=False)
    rig.until("it forgets", lambda: obs.log().count("forgets its picture: settings") > before)
    (*_, found) = re.findall(r"settings \((\d+) mattes, ([\d.]+) plates old", obs.log())
    obs.set(sync=True)
    return found[1] if int(found[0]) else "-"


def measure(obs: rig.Obs, what: str, base: float = 0.0, *, aged: bool = False,
            often: Callable[[], object] = lambda: None) -> float:  # fmt: skip
    """One row; answers the frames a second. often: done every two seconds meanwhile."""
    if aged:
        age(obs)
        rig.until("mattes again", lambda: pictures.person_pixels(obs.shot()) > 10000)
    pids = [obs.pid, *obs.daemons()]
    before, start = [processor_seconds(pid) for pid in pids], time.monotonic()
    first = obs.client.get_stats()
    while (left := start + SECONDS - time.monotonic()) > 0:
        often()
        time.sleep(min(2.0, left))
    last, spent = obs.client.get_stats(), time.monotonic() - start
    used = [max(0.0, processor_seconds(p) - b) / spent for p, b in zip(pids, before, strict=True)]
    rate = (drawn(last) - drawn(first)) / spent
    print(f"| {what} | {rate:.1f} | {rate / (base or rate):.2f} | {last.average_frame_render_time:.2f} "
          f"| {used[0]:.2f} | {sum(used[1:]):.2f} | {age(obs) if aged else '-'} |", flush=True)  # fmt: skip
    return rate


def signalled(obs: rig.Obs, how: int) -> None:
    """Send a signal to every daemon."""
    for pid in obs.daemons():
        os.kill(pid, how)


def returns(obs: rig.Obs, times: int = 5) -> list[float]:
    """Seconds from a respawned daemon to the person on screen, after so many kills."""
    found = []
    for _ in range(times):
        rig.until("shown", lambda: pictures.person_pixels(obs.shot()) > 10000, 180)
        old = obs.daemons()
        signalled(obs, signal.SIGKILL)
        rig.until(
            "another", lambda old=old: obs.daemons() and not set(obs.daemons()) & set(old), 180
        )
        began = time.monotonic()
        rig.until("shown", lambda: pictures.person_pixels(obs.shot()) > 10000, 180)
        found.append(time.monotonic() - began)
        time.sleep(1)
    return found


def cases(home: Path) -> None:
    """No filter, then the filter with models and with daemons that are slow, hung, killed."""
    with rig.running(home / "home", home / "matte-nodes") as obs:
        movie = pictures.running_box(home / "box.mkv")
        obs.stage(movie, "ffmpeg_source", looping=True, is_local_file=True)
        rig.until("the clip", lambda: pictures.person_pixels(obs.shot()) > 10000)
        print("| case | OBS frames a second | to no filter | render ms | OBS cores | daemon cores | "
              "matte age, frames |")  # fmt: skip
        print("| --- | --- | --- | --- | --- | --- | --- |")
        base = measure(obs, "no filter")
        obs.filter(hide_after=1000)
        rig.until("mattes", lambda: pictures.person_pixels(obs.shot()) > 10000)
        measure(obs, "a model that costs nothing, 320 wide", base, aged=True)
        obs.set(**{"knob.obs-test.sleep_ms": 900})
        rig.until("mattes", lambda: pictures.person_pixels(obs.shot()) > 10000)
        measure(obs, "900 ms a matte", base, aged=True)
        for model in ("selfie", "rvm"):
            obs.set(model=model, width=256)
            ready = obs.log().count("daemon: ready")
            rig.until("ready", lambda n=ready: obs.log().count("daemon: ready") > n, 120)
            time.sleep(2)
            measure(obs, f"`{model}`, 256 wide", base)
        obs.set(model="obs-test", width=320, **{"knob.obs-test.sleep_ms": 0})
        rig.until("mattes", lambda: pictures.person_pixels(obs.shot()) > 10000, 180)
        back = returns(obs)
        measure(obs, "daemon killed every 2 s", base, often=lambda: signalled(obs, signal.SIGKILL))
        signalled(obs, signal.SIGSTOP)
        measure(obs, "daemon stopped", base, often=lambda: signalled(obs, signal.SIGSTOP))
        print("seconds from a respawned daemon to the picture (at most 2): "
              + ", ".join(f"{seconds:.2f}" for seconds in back))  # fmt: skip


def staging(home: Path, width: int) -> None:
    """What the graphics thread pays for a 720p plate apart from drawing, by OBS's profiler."""
    with rig.running(home / f"home-{width}", home / "matte-nodes") as obs:
        obs.stage(pictures.person(home / "p.png", (1280, 720)))
        obs.filter(width=width)
        rig.until("mattes", lambda: pictures.person_pixels(obs.shot()) > 1000)
        time.sleep(SECONDS)
    # Staging is the card's own copying, which software GL does on the spot.
    for what in ("staging", "copy", "upload"):
        rows = re.findall(
            rf"matte: {what}: min=([\d.]+)\sms, median=([\d.]+)\sms, max=([\d.]+)\sms", obs.log()
        )
        for _, median, most in rows:
            print(
                f"720p, staged {width} wide: {what} {median} ms a frame (most {most})", flush=True
            )
        if not rows:
            print(f"720p, staged {width} wide: OBS ended before it said what {what} took")


def main() -> int:
    """All of it."""
    if absent := rig.missing():
        print(f"not here: {absent}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "matte_nodes", "install", "obs", "--folder", folder],
            env={**os.environ, "PYTHONPATH": str(rig.MODELS)}, check=True, capture_output=True,
        )  # fmt: skip
        cases(home)
        for width in (256, 640):
            staging(home, width)
    return 0


if __name__ == "__main__":
    sys.exit(main())
