# SPDX-License-Identifier: Apache-2.0
"""A real headless Chromium, driven by its DevTools protocol over loopback; ended by its own id."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def binary() -> str | None:
    """The browser, where there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


needs_browser = pytest.mark.skipif(binary() is None, reason="no Chromium here (scripts/hosts.sh)")


class Page:
    """One page: evaluate, press, click, take a picture. errors: what its console complained of;
    asked: every address it wanted."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._count = socket, 0
        self.errors: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; events that come before it are noted."""
        self._count += 1
        number = self._count
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:600])
        elif message["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(str(params["entry"]))
        elif message["method"] == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"][:80])

    def run(self, script: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = 60.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"{script} never came true; {self.errors}"
            time.sleep(0.02)

    def open(self, path: Path) -> None:
        """A report from a file, ready."""
        self.send("Page.navigate", url=path.as_uri())
        self.until("document.documentElement?.dataset.ready === 'yes'")

    def press(self, key: str, shift: bool = False) -> None:
        """A key, down and up."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, modifiers=8 * shift, **text)

    def click(self, x: float, y: float) -> None:
        """The left button."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1,
                buttons=1 if kind == "mousePressed" else 0,
            )  # fmt: skip

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def frame(self) -> int:
        """The frame that is on the canvas."""
        return int(self.run("document.getElementById('screen').dataset.frame"))


@contextmanager
def browser(profile: Path, width: int = 1280, height: int = 860) -> Iterator[Page]:
    """A page of a Chromium of our own, that can reach no host but this one."""
    from websocket import create_connection

    program = binary()
    assert program is not None
    profile.mkdir(parents=True, exist_ok=True)
    port_file = profile / "DevToolsActivePort"
    port_file.unlink(missing_ok=True)
    log = (profile / "log").open("wb")
    process = subprocess.Popen(
        [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
            "--disable-component-update", "--disable-default-apps", "--disable-extensions",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--remote-debugging-port=0", "--remote-allow-origins=*", "--hide-scrollbars",
            "--force-device-scale-factor=1", f"--window-size={width},{height}",
            f"--user-data-dir={profile}", "about:blank",
        ],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        env={**os.environ, "HOME": str(profile)},
    )  # fmt: skip
    try:
        end = time.monotonic() + 90
        while not (port_file.is_file() and len(port_file.read_text().split()) == 2):
            assert process.poll() is None, (profile / "log").read_text("utf-8", "replace")[-2000:]
            assert time.monotonic() < end, "Chromium did not start"
            time.sleep(0.05)
        port, path = port_file.read_text().split()
        root = create_connection(f"ws://127.0.0.1:{port}{path}", timeout=120)
        root.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        targets = json.loads(root.recv())["result"]["targetInfos"]
        page = next(item["targetId"] for item in targets if item["type"] == "page")
        root.close()
        socket = create_connection(f"ws://127.0.0.1:{port}/devtools/page/{page}", timeout=120)
        found = Page(socket)
        found.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip
        yield found
        socket.close()
    finally:
        _end(process)
        log.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """The browser and the processes of its own session."""
    import signal

    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
