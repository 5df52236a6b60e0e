# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning for the page: `matte finetune` in a process of its own, followed line by line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

from matte_nodes import models
from matte_nodes.errors import UsageError
from matte_nodes.models import finetuned
from matte_nodes.studio.request import KEYS
from matte_nodes.train.finetune import default_name

if TYPE_CHECKING:
    from matte_nodes.studio.desk import Desk

MOST_POINTS = 400


class Training:
    """At most one training at a time. It ends with Studio."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._lock = desk, threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = False
        self.last: dict[str, Any] = {"state": "idle"}

    def start(self, name: str, steps: int) -> dict[str, Any]:
        """Begin with the keys of the session. name: "" is made from the plate's. UsageError."""
        document = self._desk.session.document
        if not document.keys:
            raise UsageError("There is no key. Keep a matte that is right (K), then train.")
        name = name or default_name(document.plate)
        finetuned.check_name(name, models.taken_names())
        words = [
            sys.executable, "-P", "-m", "matte_nodes", "finetune", document.plate,
            f"--keys={self._desk.session.folder / KEYS}", f"--name={name}", f"--steps={steps}",
            "--json",
        ]  # fmt: skip
        for flag, value in {
            "colorspace": document.colorspace, "layer": document.layer, "ocio": document.ocio,
            "background": document.hints.get("background"), "trimap": document.hints.get("trimap"),
        }.items():  # fmt: skip
            words += [f"--{flag}={value}"] if value else []
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise UsageError("A training runs already. Cancel it, or wait for its end.")
            self._cancelled = False
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, cwd=self._desk.session.folder,
            )  # fmt: skip
            self.last = {"state": "running", "name": name, "step": 0, "steps": steps}
            self.last |= {"losses": [], "scores": []}
            threading.Thread(
                target=self._follow, args=(self._process,), name="matte-studio-train", daemon=True
            ).start()
        self._tell()
        return self.last

    def cancel(self) -> bool:
        """End the training. False when none runs."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return False
            self._cancelled = True
            process.terminate()
            return True

    def close(self) -> None:
        """End the training and wait until its process is gone."""
        if self.cancel() and self._process is not None:
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        said: list[str] = []
        reader = threading.Thread(target=_drain, args=(process.stderr, said), daemon=True)
        reader.start()
        for line in process.stdout:
            try:
                self._take(json.loads(line))
            except ValueError:
                continue
        code = process.wait()
        reader.join(5)
        if self._cancelled:
            self.last = {**self.last, "state": "cancelled", "message": "Cancelled."}
        elif code != 0:
            reason = said[-1].removeprefix("matte: ") if said else f"It ended with {code}."
            self.last = {**self.last, "state": "error", "message": reason}
        self._tell()

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.pop("event", "")
        if kind == "step":
            losses = [*self.last["losses"], event["losses"].get("total", 0.0)]
            scores = list(self.last["scores"])
            if event["score"] is not None:
                scores.append((event["step"], event["score"]))
            self.last = {
                **self.last, "step": event["step"], "steps": event["steps"],
                "losses": losses[-MOST_POINTS:], "scores": scores,
                "seconds_left": event["seconds_left"],
            }  # fmt: skip
            self._tell()
        elif kind == "done":
            self.last = {**self.last, **event, "step": event["steps"], "state": "done"}

    def _tell(self) -> None:
        self._desk.events.tell("train", **self.last)


def _drain(lines: IO[str], said: list[str]) -> None:
    for line in lines:
        if line.strip():
            said.append(line.strip())
            del said[:-20]
