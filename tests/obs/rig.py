# SPDX-License-Identifier: Apache-2.0
"""A real OBS under Xvfb, with its own home, port and display, driven by its web socket."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.hosts.obs import protocol
from matte_nodes.paths import weights_folder

logging.getLogger("obsws_python").setLevel(100)  # it prints what it also raises
MODELS = Path(__file__).parent / "models"
REPOSITORY = Path(__file__).parents[2]
WIDTH, HEIGHT = 640, 360
FILTER, CAMERA = "matte_nodes_filter", "matte_nodes_camera"
PATIENCE = 60.0
MAGENTA = 0xFFFF00FF


def missing() -> str:
    """What is not here to run OBS without a screen; "" when all is."""
    absent = [name for name in ("obs", "Xvfb", "cmake", "gcc") if not shutil.which(name)]
    try:
        import obsws_python  # noqa: F401
    except ImportError:
        absent.append("obsws-python")
    return ", ".join(absent)


def until(what: str, happens: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Poll until `happens` answers something true; an AssertionError says what never happened."""
    end = time.monotonic() + patience
    while True:
        answer = happens()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"in {patience:g} s it never happened: {what}")
        time.sleep(0.05)


def ended(process: subprocess.Popen[Any], how: int, patience: float) -> None:
    """Signal a process of ours and wait; kill it when it does not listen.

    The signal is given again: OBS forgets one that comes while it starts, and would wait for ever.
    """
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
    if process.poll() is None:
        process.kill()
        process.wait(10)


def start_screen() -> tuple[subprocess.Popen[Any], str]:
    """A screen of 1280 x 800 that nobody sees: its process, to be ended, and its name."""
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "+extension",
         "GLX", "-nolisten", "tcp"],
        pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as number:
        found = number.readline().strip()
    assert found, "Xvfb did not start"
    return screen, f":{found}"


# In a root of another system, whose files these are no part of. Gone with the process.
ENTER = """set -e
root=$1 count=$2; shift 2
while [ "$count" -gt 0 ]; do
    mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; shift; count=$((count - 1))
done
cd /
exec /usr/sbin/chroot "$root" "$@"
"""


def inside(root: Path | None, command: list[str]) -> list[str]:
    """A command as it is run in the root of another Debian, with this Python and all it needs."""
    if root is None:
        return command
    ours = {sys.prefix, sys.base_prefix, str(REPOSITORY), str(weights_folder().parent)}
    ours |= {str(Path(place).resolve()) for place in sys.path if Path(place).is_dir()}
    ours |= {"/tmp", "/proc", "/dev"}
    places = [p for p in sorted(ours) if not any(p.startswith(f"{q}/") for q in ours)]
    return ["unshare", "--mount", "sh", "-c", ENTER, "enter", str(root), str(len(places)),
            *places, *command]  # fmt: skip


class Obs:
    """OBS with one empty scene of 640 x 360."""

    def __init__(
        self, home: Path, plugin: Path | None, *arguments: str, language: str = "",
        root: Path | None = None,
    ) -> None:  # fmt: skip
        self.home, self._plugin, self._arguments = home, plugin, arguments
        self._language, self._root = language, root
        self._log = home / "obs.log"

    def __enter__(self) -> Obs:
        self._write_home()
        self._screen, self.display = start_screen()
        self._process = self._start(self.display)
        try:
            self.client = self._connect()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """A clean end, as a user's."""
        if hasattr(self, "client"):
            with contextlib.suppress(Exception):
                self.client.base_client.ws.close()
        if hasattr(self, "_process"):
            ended(self._process, signal.SIGINT, 30)
        ended(self._screen, signal.SIGTERM, 10)

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.wait(10)

    def _write_home(self) -> None:
        config = self.home / ".config/obs-studio"
        profile = config / "basic/profiles/Untitled"
        scenes = config / "basic/scenes"
        for folder in (profile, scenes, self.home / "rec", self.home / "run"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.home / "run").chmod(0o700)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        general = f"Language={self._language}\n" if self._language else ""
        told = (
            f"[General]\n{general}Pre19Defaults=false\nPre21Defaults=false\nPre23Defaults=false\n"
            "Pre24.1Defaults=false\nFirstRun=true\nLastVersion=486539266\n"
            "EnableAutoUpdates=false\nConfirmOnExit=false\n[Basic]\nProfile=Untitled\n"
            "ProfileDir=Untitled\nSceneCollection=Untitled\nSceneCollectionFile=Untitled\n"
            "ConfigOnNewProfile=true\n[BasicWindow]\nPreviewEnabled=false\nSysTrayEnabled=false\n"
            f"[OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nServerPort={self.port}\n"
            "AlertsEnabled=false\nAuthRequired=false\n"
        )
        # OBS 31 and newer make their own of it, and stop at a window where that is there already.
        if not config.joinpath("user.ini").exists():
            config.joinpath("global.ini").write_text(told)
        socket_config = config / "plugin_config/obs-websocket/config.json"
        socket_config.parent.mkdir(parents=True, exist_ok=True)
        socket_config.write_text(json.dumps({
            "alerts_enabled": False, "auth_required": False, "first_load": False,
            "server_enabled": True, "server_password": "none", "server_port": self.port,
        }))  # fmt: skip
        profile.joinpath("basic.ini").write_text(
            f"[General]\nName=Untitled\n[Video]\nBaseCX={WIDTH}\nBaseCY={HEIGHT}\n"
            f"OutputCX={WIDTH}\nOutputCY={HEIGHT}\nFPSType=0\nFPSCommon=30\n[Output]\n"
            "Mode=Advanced\n[AdvOut]\nRecType=Standard\nRecTracks=1\nRecFormat=mkv\n"
            f"RecEncoder=obs_x264\nRecFilePath={self.home / 'rec'}\n"
        )
        # Without loss. Not by the mode Simple, whose "Lossless" fails for the life of OBS 29 (without
        # our plug-in too: 2 of 6 starts, then none; this way 40 of 40). Its output is marked as
        # connecting after the thread that connects it may be done, and then refuses every start.
        profile.joinpath("recordEncoder.json").write_text(
            json.dumps({"rate_control": "CRF", "crf": 0, "preset": "ultrafast"})
        )
        scene = scenes / "Untitled.json"
        if not scene.exists():
            scene.write_text(json.dumps({
                "current_program_scene": "Scene", "current_scene": "Scene", "name": "Untitled",
                "scene_order": [{"name": "Scene"}], "groups": [], "transitions": [],
                "quick_transitions": [], "transition_duration": 300,
                "sources": [{"id": "scene", "versioned_id": "scene", "name": "Scene",
                             "settings": {"custom_size": False, "id_counter": 0, "items": []}}],
            }))  # fmt: skip
        place = config / "plugins/matte-nodes"
        if place.exists():
            shutil.rmtree(place)
        # The daemon must not see what a host has for a Python of its own.
        (self.home / "hostile").mkdir(exist_ok=True)
        (self.home / "hostile/numpy.py").write_text("raise ImportError('the host's own')")
        if self._plugin is not None:
            shutil.copytree(self._plugin, place)
            self._declare(place / "data/install.json")

    def _declare(self, path: Path) -> None:
        """What the daemon needs here besides what `matte install obs` wrote."""
        if not path.exists():
            return
        declared = json.loads(path.read_text())
        # OBS's home is a made one; the weights are where this process has them.
        declared["environment"] |= {
            "MATTE_HOME": str(weights_folder().parent), "PYTHONPATH": str(MODELS),
            **{k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ},
        }  # fmt: skip
        path.write_text(json.dumps(declared))

    def _start(self, display: str) -> subprocess.Popen[Any]:
        kept = {k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ}
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.home), "DISPLAY": display,
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_RUNTIME_DIR": str(self.home / "run"), "LIBGL_ALWAYS_SOFTWARE": "1",
            "LANG": "C.UTF-8", "QT_QPA_PLATFORM": "xcb", "OCIO": "/nonexistent.ocio",
            "PYTHONPATH": str(self.home / "hostile"), **kept,
        }  # fmt: skip
        with self._log.open("wb") as log:
            return subprocess.Popen(
                inside(self._root, ["obs", "--multi", "--minimize-to-tray", "--disable-missing-files-check",
                 "--collection", "Untitled", "--profile", "Untitled", "--verbose",
                 "--unfiltered_log", *self._arguments]),
                env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=self.home,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def _connect(self) -> Any:
        import obsws_python

        def client() -> Any:
            assert self._process.poll() is None, f"OBS ended:\n{self.log()[-3000:]}"
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self.port)):
                    return None
            try:
                found = obsws_python.ReqClient(host="127.0.0.1", port=self.port, timeout=60)
                found.get_scene_list()
            except Exception:  # not listening yet, or not ready yet
                return None
            return found

        return until("OBS answers", client, 90)

    def log(self) -> str:
        """All it has said so far."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    def daemons(self) -> list[int]:
        """Process numbers of our daemons below this OBS."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with contextlib.suppress(OSError, IndexError):
                stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                line = (folder / "cmdline").read_bytes()
                if int(stat[1]) == self.pid and b"matte_nodes.hosts.obs" in line and stat[0] != "Z":
                    found.append(int(folder.name))
        return sorted(found)

    def shot(self, source: str = "Scene", size: tuple[int, int] = (WIDTH, HEIGHT)) -> Any:
        """A screenshot: (H, W, 4) uint8 RGBA; an empty one when OBS can give none."""
        import cv2

        try:
            answer = self.client.get_source_screenshot(source, "png", *size, -1)
        except Exception as error:
            if "702" in str(error) or "render" in str(error).lower():
                return np.zeros((size[1], size[0], 4), np.uint8)
            raise
        data = base64.b64decode(answer.image_data.split(",")[1])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        if picture.shape[2] == 3:
            return cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA)
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)

    def stage(self, plate: Path | None, kind: str = "image_source", **settings: Any) -> None:
        """An empty scene with a magenta wall and, before it, the plate as source "plate"."""
        for name in ("camera", "plate", "wall"):
            with contextlib.suppress(Exception):
                # OBS 30.2.3 ends by a double free, after 4 to 8 times, when a source that has a
                # filter is removed: with its own colour filter too. Without its filter, 60 times not.
                for found in self.client.get_source_filter_list(name).filters:
                    self.client.remove_source_filter(name, found["filterName"])
                self.client.remove_input(name)
        until("the old sources are gone", lambda: not self._inputs() & {"camera", "plate", "wall"})
        self.client.create_input(
            "Scene", "wall", "color_source_v3",
            {"color": MAGENTA, "width": WIDTH, "height": HEIGHT}, True,
        )  # fmt: skip
        if plate is not None:
            key = "file" if kind == "image_source" else "local_file"
            self.client.create_input("Scene", "plate", kind, {key: str(plate), **settings}, True)

    def _inputs(self) -> set[str]:
        return {item["inputName"] for item in self.client.get_input_list().inputs}

    def filter(self, name: str = "matte", source: str = "plate", **settings: Any) -> None:
        """Put the filter on a source."""
        self.client.create_source_filter(source, name, FILTER, {**KNOWN, **settings})

    def set(self, name: str = "matte", source: str = "plate", **settings: Any) -> None:
        """Change settings of the filter."""
        self.client.set_source_filter_settings(source, name, settings, True)


def record(obs: Obs, change: Callable[[], None], frames: int = 5) -> Path:
    """The recording of OBS while `change` ran, and for some frames more."""
    for _ in range(6):
        # A start that comes while OBS puts the last recording away is lost without a word.
        if not obs.client.get_record_status().output_active:
            obs.client.start_record()
        with contextlib.suppress(AssertionError):
            until("it records", lambda: obs.client.get_record_status().output_active, 5)
            break
    else:
        pytest.skip(
            f"OBS does not start to record on this machine; its log ends: {obs.log()[-800:]}"
        )
    before = obs.client.get_stats().output_total_frames
    try:
        change()
        until("frames", lambda: obs.client.get_stats().output_total_frames > before + frames)
    finally:
        path = Path(obs.client.stop_record().output_path)
    until("written", lambda: not obs.client.get_record_status().output_active)
    return path


def published(obs: Obs) -> int:
    """How many mattes the one daemon has written into the shared memory."""
    (pid,) = obs.daemons()
    with open(f"/proc/{pid}/fd/3", "rb") as memory:
        memory.seek(4 * protocol._MATTE)
        return int.from_bytes(memory.read(4), "little")


KNOWN = {"model": "obs-test", "width": 320, "skip": False}


@contextlib.contextmanager
def running(home: Path, plugin: Path | None, *arguments: str, **more: Any) -> Iterator[Obs]:
    """An OBS for the length of a block."""
    with Obs(home, plugin, *arguments, **more) as obs:
        yield obs


def installed(folder: Path, root: Path | None = None) -> Path:
    """The plug-in as `matte install obs` makes it, with the known model declared."""
    run = subprocess.run(
        inside(root, [sys.executable, "-m", "matte_nodes", "install", "obs", "--folder", str(folder)]),
        env={**os.environ, "PYTHONPATH": f"{MODELS}:{REPOSITORY}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return folder / "matte-nodes"
