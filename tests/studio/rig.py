# SPDX-License-Identifier: Apache-2.0
"""A real `matte studio` in a process of its own, with its own home and service, and its page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.service.client import Client
from tests.publish.browser import Page

FIRST, COUNT = 1001, 12
SIZE = (180, 320)
ROOT = Path(__file__).parents[2]


def made_clip(folder: Path, count: int = COUNT, size: tuple[int, int] = SIZE) -> str:
    """A ball with a soft edge that moves before a blurred ground; returns the plate's pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = size
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.random((height, width, 3)).astype(np.float32), (0, 0), 9)
    ground = 0.15 + 0.35 * (ground - ground.min()) / (ground.max() - ground.min())
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    unit = height / 180
    for index in range(count):
        x, y = (90 + 9 * index) * unit, (90 + 10 * np.sin(index / 2)) * unit
        far = np.hypot(xs - x, ys - y)
        alpha = np.clip((48 * unit - far) / (4 * unit), 0, 1)[..., None]
        light = np.clip(
            1.1 - np.hypot(xs - x + 16 * unit, ys - y + 18 * unit) / (80 * unit), 0.25, 1
        )
        ball = light[..., None] * np.array([0.95, 0.45, 0.15], np.float32)
        codes = np.rint(255 * (ground * (1 - alpha) + ball * alpha)).astype(np.uint8)
        cv2.imwrite(str(folder / f"plate.{FIRST + index}.png"), codes[..., ::-1])
    return str(folder / "plate.####.png")


def centre(frame: int) -> tuple[int, int]:
    """Where the ball is, in pixels."""
    index = frame - FIRST
    return round(90 + 9 * index), round(90 + 10 * np.sin(index / 2))


@dataclass
class Studio:
    """A running Studio. address: with its token, not used yet."""

    process: subprocess.Popen[str]
    address: str
    session: Path
    home: Path
    key: str = ""
    cookie: str = ""
    client: Client = field(init=False)

    @property
    def origin(self) -> str:
        """Its own origin."""
        return self.address.split("/?")[0]

    def open(self, page: Page) -> None:
        """The page by the address, ready."""
        page.send("Page.navigate", url=self.address)
        page.until("document.documentElement?.dataset.ready === 'yes'")

    def enter(self) -> None:
        """Exchange the token as a browser does, for requests without one."""
        opener = urllib.request.build_opener(_NoRedirect)
        with pytest.raises(urllib.error.HTTPError, match="303") as answer:
            opener.open(self.address, timeout=60)
        self.cookie = answer.value.headers["Set-Cookie"].split(";")[0]
        self.key = answer.value.headers["Location"].split("key=")[1]

    def ask(
        self,
        path: str,
        data: Any = None,
        *,
        headers: dict[str, str | None] | None = None,
        raw: bytes | None = None,
    ) -> tuple[int, Any]:
        """Status and answer of one request with everything that a page sends."""
        mine: dict[str, str | None] = {"Cookie": self.cookie, "X-Studio-Key": self.key}
        body = raw
        if data is not None:
            body, mine["Content-Type"] = json.dumps(data).encode(), "application/json"
        if body is not None:
            mine["Origin"] = self.origin
        mine |= headers or {}
        request = urllib.request.Request(
            self.origin + path, body, {k: v for k, v in mine.items() if v is not None}
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        try:
            return status, json.loads(content)
        except ValueError:
            return status, content


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def environment(home: Path) -> dict[str, str]:
    """A user's shell with a home of the test's own."""
    return {
        **os.environ, "MATTE_HOME": str(home), "PYTHONUNBUFFERED": "1", "MATTE_SERVICE": "off",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip


@contextmanager
def studio(source: str, home: Path, *flags: str) -> Iterator[Studio]:
    """`matte studio` until the block ends; its service ends with it."""
    home.mkdir(parents=True, exist_ok=True)
    log = (home / "studio.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "matte_nodes", "studio", source, "--no-browser", *flags],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
        env=environment(home), cwd=home,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(2)]
        assert lines[1].startswith("Studio: "), (lines, (home / "studio.log").read_text())
        found = Studio(process, lines[1][8:], Path(lines[0].removeprefix("Session: ")), home)
        found.client = Client(home=str(home))
        yield found
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        Client(home=str(home)).shutdown()
        log.close()


def until(what: Any, seconds: float = 60.0) -> None:
    """Until it is true; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
