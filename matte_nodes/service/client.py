# SPDX-License-Identifier: Apache-2.0
"""The client of the matte service: one file, the standard library only, Python 3.7 or newer.

It can be copied as it is into any host's own Python (Nuke, Blender, a pipeline). It starts the
service when there is none, and survives its death: a job that was cut off is submitted again and
goes on where it stopped. docs/service.md describes the protocol.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import mmap
import os
import re
import secrets
import socket
import stat
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any, Dict  # noqa: UP035 (3.7 has no dict[...] outside annotations)

PROTOCOL = 2
ENDPOINT = re.compile(r"service-[0-9a-f]{8}\.json")  # one for each code that runs
LOG = "service.log"
ALREADY_RUNNING = 75  # what `matte serve` ends with when another one holds the lock
LARGEST_ANSWER = 64 << 20
LARGEST_LOG = 1 << 20
ANSWER_SECONDS = 60.0  # the service sends a sign of life every 15 s
HELLO_SECONDS = 5.0  # a service that does not greet within this time is stopped or frozen
LAST_EVENTS = ("done", "error", "cancelled")
Json = Dict[str, Any]  # noqa: UP006 (see above)


class ServiceError(Exception):
    """The service refused or failed. The message is for the artist.

    kind: the library's class of error, "" for one of the client's own. exit_code: what `matte run`
    would have ended with. frame: the frame it happened at, if one is to blame.
    """

    def __init__(
        self, message: str, kind: str = "", exit_code: int = 1, frame: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind, self.exit_code, self.frame = kind, exit_code, frame


class ServiceGoneError(ServiceError):
    """There is no service, or it went away in the middle of an answer."""


def host_request(
    inputs: Mapping[str, Any], frames: int | tuple[int, int], start: int | None = None, **more: Any
) -> Json:
    """Return the request of a host for its connected inputs.

    inputs: (path, colour space) by name: `plate`, `trimap`, `background`, `segmentation`. frames:
    (first, last), or one frame. start: where the shot starts, if the plate's files may have frames
    before it. more: the other entries of a request (output, model, knobs, node, layout, ...).
    """
    connect: Json = {}
    for name, (path, space) in inputs.items():
        if name == "plate":
            source, connect["colorspace"] = path, space
        else:
            connect[name] = path
        if name == "background":
            connect["background_colorspace"] = space
    if start is not None:
        connect["start"], connect["warm_up"] = start, 0
    asked: Json = {"source": source, "connect": connect}
    asked.update(more)
    if isinstance(frames, int):
        asked["frame"] = frames
    else:
        asked["frames"] = list(frames)
    return asked


class Client:
    """Speaks to the user's service on this machine; safe to use from several threads.

    python: absolute path of the interpreter that has matte-nodes; None never starts a service.
    home: stands for $MATTE_HOME. retries: how often in a row a job may take the service down
    without having done a frame, before it is given up. environment: of a service that is started
    here; None is for hosts: this process's without its own Python, libraries and colour. code:
    only services that run this code (`serve --stamp`); None accepts any.
    """

    def __init__(
        self,
        python: str | None = None,
        home: str | None = None,
        retries: int = 5,
        environment: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        if python is not None and not (os.path.isabs(python) and os.path.isfile(python)):
            raise ServiceError(
                f"The Python of matte-nodes must be given as an absolute path: {python!r} is not "
                "the path of a file. Set it in the preferences of the plug-in."
            )
        self.python, self.home, self.retries = python, home, retries
        self.environment, self.code = environment, code
        self._requests: dict[str, Json] = {}
        self._now: dict[str, str] = {}
        self._at: dict[str, Json] = {}
        self._code = ""
        self._starting: subprocess.Popen[Any] | None = None
        self._is_closed = False

    def hello(self) -> Json | None:
        """Return the greeting of a running service (pid, version, code), or None without one.

        A client with a `python` sees only services of that Python whose code is up to date.
        Services of other versions may run beside them.
        """
        link = self._find()
        if link is None:
            return None
        with closing(link):
            return link.hello

    def ensure(self, seconds: float = 60.0) -> Json:
        """Return the greeting of a running service. Starts one when none fits this client."""
        hello = self.hello()
        if hello is not None:
            return hello
        if self.python is None:
            raise ServiceGoneError("No matte service is running. Start one: matte serve")
        return self._start(seconds)

    def models(self) -> Json:
        """Return the declarations: {"models": [card, ...], "knobs": [those that every model
        shares]}.
        """
        return self._ask({"op": "models"})

    def submit(self, request: Mapping[str, Any]) -> str:
        """Submit a range of frames to matte. Returns the job's name at once.

        request: source, output, model; optional frames (first, last), knobs, node (device,
        threads, ocio), connect (as MatteNode.connect), layout, output_colorspace, again, cwd and
        umask (default: this process's). The job goes on when this process ends.
        """
        filled = complete(request)
        job = self._submit(filled)
        self._requests[job] = filled
        return job

    def _submit(self, filled: Json) -> str:
        for left in range(self.retries, -1, -1):
            try:
                with closing(self._link()) as link:
                    job = str(link.ask({"op": "submit", "request": filled})["job"])
                    self._at[job] = link.endpoint
                    return job
            except ServiceGoneError:  # it ended between two questions, idle or killed
                if not left or self.python is None:
                    raise
        raise AssertionError

    def events(self, job: str) -> Iterator[Json]:
        """Yield what happens to a job, from its beginning: queued (ahead: jobs before it), start
        (total), frame (frame, path), ..., and at last done, error (message, kind, exit_code,
        frame) or cancelled.

        When the service dies, a job that was submitted here is submitted again (event resumed,
        then start with what is left); frames that lie on disk are not done twice.
        """
        deaths = after = 0
        while True:
            try:
                name = self._now.get(job, job)
                with closing(self._link_of(name)) as link:
                    for event in link.stream({"op": "events", "job": name, "after": after}):
                        deaths = 0 if event["event"] == "frame" else deaths
                        after, ended = event["number"] + 1, event["event"] in LAST_EVENTS
                        yield event
                        if ended:
                            self._requests.pop(job, None)
                            self._at.pop(name, None)
                            return
            except ServiceError as error:
                if job not in self._requests:
                    raise
                self._at.pop(name, None)
                if isinstance(error, ServiceGoneError):
                    deaths += 1
                    if deaths > self.retries:
                        raise ServiceError(
                            f"The service died {deaths} times at this job. Its log ends with:\n"
                            + self.log()
                        ) from error
                    self.ensure()
                    continue
                if error.kind != "UnknownJobError":
                    raise
            self._now[job], after = self._submit(self._requests[job]), 0
            yield {"event": "resumed", "job": job, "deaths": deaths}

    def stream(self, request: Mapping[str, Any]) -> Iterator[Json]:
        """Submit and yield the events, first submitted (job); cancelled when this is closed."""
        with closing(self._link()) as link:
            message = {"op": "submit", "request": complete(request), "attached": True}
            job = link.ask(message)["job"]
            self._at[job] = link.endpoint
            yield {"event": "submitted", "job": job}
            for event in link.stream({"op": "events", "job": job}):
                ended = event["event"] in LAST_EVENTS
                yield event
                if ended:
                    return

    def frame(
        self, request: Mapping[str, Any], frame: int, warn: Callable[[str], None] | None = None
    ) -> str:
        """Matte one frame before all ranges. Returns the path of the EXR with the result.

        request: as for `submit`; without an output the service keeps the file in its cache. With
        `view` {width, foreground} the result is a small picture for a page, in a file of the
        library's own. warn: gets the warnings. Raises ServiceError with the reason.
        """
        for left in range(self.retries, -1, -1):
            try:
                for event in self.stream(dict(request, frame=frame)):
                    if event["event"] == "error":
                        raise _error(event)
                    if event["event"] == "warning" and warn is not None:
                        warn(str(event["message"]))
                    if event["event"] == "done":
                        return str(event["path"])
            except ServiceGoneError:
                if not left:
                    raise
                self.ensure()
        raise ServiceError(f"Frame {frame} was cancelled.")

    def pixels(self, request: Mapping[str, Any], frame: int) -> tuple[memoryview[float], int, int]:
        """Matte one frame before all ranges. Returns (numbers, width, height), memory-mapped.

        numbers: float32, row by row from the top, straight R, G, B and alpha of each pixel, in
        the request's output space. No codec lies between: the file that the service wrote is this
        process's memory. A plate can be given in the same way: see `write_pixels`.
        """
        asked = dict(request, layout="array")
        try:
            return map_pixels(self.frame(asked, frame))
        except FileNotFoundError:  # so many others were asked for that it had to leave
            return map_pixels(self.frame(asked, frame))

    def cancel(self, job: str) -> bool:
        """Stop a job at its next step. Returns False when it had already ended."""
        name = self._now.get(job, job)
        with closing(self._link_of(name)) as link:
            return bool(link.ask({"op": "cancel", "job": name})["cancelled"])

    def jobs(self) -> list[Json]:
        """Return all jobs the service knows, oldest first: job, state, done, total, model, output."""
        jobs: list[Json] = self._ask({"op": "jobs"})["jobs"]
        return jobs

    def status(self) -> Json:
        """Return the service's state: pid, version, loaded models, loads, memory, jobs, idle time."""
        return self._ask({"op": "status"})

    def retire(self) -> bool:
        """End the service if it has nothing to do. Returns False when it goes on."""
        return bool(self._ask({"op": "retire"})["retired"])

    def shutdown(self) -> bool:
        """End all services of this home. Returns False when there is none.

        Clients of unfinished jobs start a service again.
        """
        ended = False
        for endpoint in read_endpoints(self.home):
            with suppress(ServiceGoneError), closing(_Link(endpoint)) as link:
                link.ask({"op": "shutdown"})
                ended = True
        return ended

    def close(self) -> None:
        """End a service that this client has started and that is not up yet: nobody asks for it.

        A service that is up stays, since others may use it. The client starts no other one.
        """
        self._is_closed = True
        process = self._starting
        if process is not None and process.poll() is None:
            process.kill()

    def log(self, lines: int = 20) -> str:
        """Return the last lines of the service's log."""
        for folder in folders(self.home):
            with suppress(OSError), open(os.path.join(folder, LOG), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
                return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
        return ""

    def _link(self) -> _Link:
        link = self._find()
        if link is None:
            self.ensure()
            link = self._find()
        if link is None:
            raise ServiceGoneError("The matte service ended right after its start.")
        return link

    def _link_of(self, job: str) -> _Link:
        """Return a connection to the service that has this job, which may be an older one."""
        endpoint = self._at.get(job)
        return self._link() if endpoint is None else _Link(endpoint)

    def _find(self) -> _Link | None:
        """Return a connection to the newest service that fits this client, or None.

        Without a `python`, an outdated service is the last choice. With one, it is no choice:
        it ends by itself when it has nothing to do, and a new one starts beside it.
        """
        outdated = None
        other: ServiceError | None = None
        for endpoint in read_endpoints(self.home):
            try:
                if not self._fits(endpoint):
                    continue
                link = _Link(endpoint)
            except ServiceGoneError:
                continue
            except ServiceError as error:  # another version's protocol
                other = error
                continue
            if not link.hello.get("outdated"):
                if outdated is not None:
                    outdated.close()
                return link
            if self.python is None and outdated is None:
                outdated = link
            else:
                with suppress(ServiceError):
                    link.ask({"op": "retire"})
                link.close()
        if outdated is None and other is not None and self.python is None:
            raise other
        return outdated

    def _fits(self, endpoint: Json) -> bool:
        if self.code is not None:
            return str(endpoint.get("code")) == self.code
        if self.python is None:
            return True
        if str(endpoint.get("python")) == os.path.abspath(self.python):
            return True
        if not self._code:  # a wrapper script, perhaps: ask which code it runs
            self._code = self._stamp()
        return bool(self._code) and str(endpoint.get("code")) == self._code

    def _stamp(self) -> str:
        asked = [str(self.python), "-P", "-m", "matte_nodes", "serve", "--stamp"]
        with suppress(OSError, subprocess.SubprocessError):
            found = subprocess.run(
                asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=self._environment(), timeout=ANSWER_SECONDS, check=True,
            )  # fmt: skip
            return found.stdout.decode("ascii", "replace").strip()
        return ""

    def _ask(self, message: Json) -> Json:
        for last in (False, True):
            try:
                with closing(self._link()) as link:
                    return link.ask(message)
            except ServiceGoneError:  # it ended between two questions, idle or killed
                if last or self.python is None:
                    raise
        raise AssertionError

    def _start(self, seconds: float) -> Json:
        log = os.path.join(make_folder(self.home), LOG)
        if os.path.isfile(log) and os.path.getsize(log) > LARGEST_LOG:
            os.replace(log, log + ".old")
        self._code = ""  # the code may have changed since it was asked
        process, end, killed = self._spawn(log), time.monotonic() + seconds, 0
        while time.monotonic() < end and not self._is_closed:
            ended, hello = process.poll(), self.hello()
            if hello is not None:
                if os.name == "posix" and ended is None and hello["pid"] != process.pid:
                    process.kill()  # another client was quicker: ours must not come up later
                    process.wait()
                self._starting = None
                return hello
            if ended in (0, ALREADY_RUNNING):  # the one that held the lock has ended since, or will
                process = self._spawn(log)
            elif ended is not None:
                killed += 1
                if ended > 0 or killed > self.retries:
                    raise ServiceError(
                        f"The matte service did not start ({self.python} ended with {ended}). "
                        f"Its log, {log}, ends with:\n{self.log()}"
                    )
                process = self._spawn(log)
            time.sleep(0.05)
        if self._is_closed:
            process.kill()
            process.wait()
            raise ServiceError("This client was closed while the matte service started.")
        raise ServiceError(f"The matte service did not answer within {seconds:g} s: see {log}")

    def _spawn(self, log: str) -> subprocess.Popen[Any]:
        options: Json = {"start_new_session": True}
        if os.name == "nt":
            options = {"creationflags": 0x00000008 | 0x00000200}  # detached, own group
        own = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # -P: no module of the working folder may stand in for one of ours.
            self._starting = subprocess.Popen(
                [str(self.python), "-P", "-m", "matte_nodes", "serve"],
                stdin=subprocess.DEVNULL, stdout=own, stderr=own, close_fds=True,
                env=self._environment(), cwd=os.path.dirname(log), **options,
            )  # fmt: skip
            return self._starting
        finally:
            os.close(own)

    def _environment(self) -> dict[str, str]:
        if self.environment is None:
            return clean_environment(self.home)
        home = {"MATTE_HOME": os.path.abspath(self.home)} if self.home else {}
        return {**self.environment, **home}


def map_pixels(path: str) -> tuple[memoryview[float], int, int]:
    """Return a matte of layout `array` as (numbers, width, height), mapped from its file.

    Raises ServiceError when the file is not a whole array of float32 rows with four channels.
    """
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            start = 10 + struct.unpack("<H", data[8:10])[0]
            facts = ast.literal_eval(data[10:start].decode("latin-1"))
            height, width, channels = facts["shape"]
            end = start + 16 * height * width
            right = facts["descr"] == "<f4" and not facts["fortran_order"] and channels == 4
        except (ValueError, TypeError, KeyError, SyntaxError, struct.error) as error:
            raise ServiceError(f"{path} is not a matte of layout array.") from error
    if not right or len(data) < end:
        raise ServiceError(f"{path} is not a whole matte of layout array.")
    numbers: Any = memoryview(data)[start:end].cast("f")
    return numbers, width, height


def write_pixels(path: str, pixels: Any, width: int, height: int, channels: int = 3) -> None:
    """Write a plate or a hint for the service to read: a .npy file, whole or not there.

    pixels: a buffer of float32, row by row from the top; channels: 1 (a matte), 3, or 4 with
    straight alpha. An array has no colour space: name it in the request (connect.colorspace).
    """
    numbers = memoryview(pixels).cast("B")
    if channels not in (1, 3, 4) or len(numbers) != 4 * width * height * channels:
        raise ServiceError(
            f"{len(numbers)} bytes are no picture of {width} x {height} x {channels} float32."
        )
    facts = "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}, {}), }}"
    head = facts.format(height, width, channels).encode("ascii")
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    # The library's own form of name: its writers remove what those that died have left.
    scratch = os.path.join(os.path.dirname(path), f".matte-client-{secrets.token_hex(16)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(scratch, flags, 0o666), "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
            file.write(numbers)
        os.replace(scratch, path)
    finally:
        with suppress(OSError):
            os.unlink(scratch)


class _Link:
    """One connection. Both sides have proved that they know the token in the user's file.

    Each side proves it for a number that the other side has just chosen, so that a recorded
    greeting is worth nothing.
    """

    def __init__(self, endpoint: Json) -> None:
        self.endpoint = endpoint
        if endpoint.get("protocol") != PROTOCOL:
            raise ServiceError(
                f"The running matte service (matte-nodes {endpoint.get('version')}) speaks "
                f"protocol {endpoint.get('protocol')}, this client speaks {PROTOCOL}. End it with "
                "the `matte serve --stop` of its own version.",
                kind="VersionError",
                exit_code=2,
            )
        try:
            self._socket = _connect(endpoint)
        except OSError as error:
            raise ServiceGoneError(f"The matte service does not answer ({error}).") from error
        try:
            self.hello = self._greeted(str(endpoint["token"]), secrets.token_hex(16))
        except BaseException:
            self.close()
            raise
        self._socket.settimeout(ANSWER_SECONDS)

    def _greeted(self, token: str, nonce: str) -> Json:
        self.send({"hello": "matte-nodes", "protocol": PROTOCOL, "nonce": nonce})
        challenge = self.receive()
        both = nonce + " " + str(challenge.get("nonce"))
        if not hmac.compare_digest(str(challenge.get("proof")), proof(token, "service", both)):
            raise ServiceGoneError("Another program answers in place of the matte service.")
        self.send({"proof": proof(token, "client", both)})
        hello = self.receive()
        if "error" in hello:
            raise _error(hello["error"])
        return hello

    def ask(self, message: Json) -> Json:
        """One question, one answer. Raises ServiceError when it is refused."""
        self.send(message)
        answer = self.receive()
        if "error" in answer:
            raise _error(answer["error"])
        return answer

    def stream(self, message: Json) -> Iterator[Json]:
        """One question, many answers; signs of life are left out."""
        self.send(message)
        while True:
            answer = self.receive()
            if "error" in answer:
                raise _error(answer["error"])
            if answer["event"] != "alive":
                yield answer

    def send(self, message: Json) -> None:
        """Length, then JSON."""
        try:
            self._socket.sendall(pack(message))
        except OSError as error:
            raise ServiceGoneError(f"The matte service went away ({error}).") from error

    def receive(self) -> Json:
        """Return the next message."""
        (size,) = struct.unpack(">I", self._exactly(4))
        if size > LARGEST_ANSWER:
            raise ServiceGoneError(
                "The matte service sent an answer that is not valid JSON. Run `matte serve "
                "--stop`, then try again."
            )
        answer: Json = json.loads(self._exactly(size).decode("utf-8"))
        return answer

    def close(self) -> None:
        """Hang up; a job that is attached to this connection is cancelled."""
        self._socket.close()

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = self._socket.recv(min(size, 1 << 16))
            except OSError as error:
                raise ServiceGoneError(f"The matte service went away ({error}).") from error
            if not part:
                raise ServiceGoneError("The matte service went away.")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def pack(message: Mapping[str, Any]) -> bytes:
    """Return a message as it goes over the line: 4 bytes of length, big-endian, then ASCII JSON."""
    data = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    return struct.pack(">I", len(data)) + data


def proof(token: str, side: str, nonce: str) -> str:
    """Return the HMAC that proves that a side knows the token, without sending the token."""
    return hmac.new(token.encode(), (side + " " + nonce).encode(), hashlib.sha256).hexdigest()


def complete(request: Mapping[str, Any]) -> Json:
    """Return a request with this process's working folder, umask and OCIO config where it names
    none.
    """
    filled = dict(request)
    filled.setdefault("cwd", os.getcwd())
    filled.setdefault("umask", current_umask())
    node = dict(filled.get("node") or {})
    if not node.get("ocio"):
        node["ocio"] = os.environ.get("OCIO") or None
    config = str(node.get("ocio") or "")
    if config and not config.startswith("ocio://"):
        node["ocio"] = config = os.path.abspath(os.path.join(filled["cwd"], config))
    if node.get("ocio_variables") is None:
        node["ocio_variables"] = json.dumps(ocio_variables(config))
    filled["node"] = node
    return filled


def ocio_variables(config: str) -> dict[str, str]:
    """This process's variables that an OCIO config may follow: those in its text, and OCIO's own."""
    text = ""
    if config and not config.startswith("ocio://"):
        with suppress(OSError, KeyError, zipfile.BadZipFile):
            if zipfile.is_zipfile(config):
                with zipfile.ZipFile(config) as archive, archive.open("config.ocio") as inside:
                    text = inside.read(1 << 26).decode("utf-8", "replace")
            else:
                with open(config, encoding="utf-8", errors="replace") as file:
                    text = file.read(1 << 26)
    words = (
        set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text)) if "$" in text or "%" in text else set()
    )
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("OCIO_") or (name in words and name != "OCIO")
    }


def current_umask() -> int:
    """This process's umask, without changing it where the system can say it."""
    with suppress(OSError, ValueError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def clean_environment(home: str | None) -> dict[str, str]:
    """Return the environment of a service: nothing of the host's own Python, libraries or colour."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "LD_", "DYLD_", "OCIO"))
    }
    if home:
        kept["MATTE_HOME"] = os.path.abspath(home)
    return kept


def folders(home: str | None = None) -> list[str]:
    """Return where a service of this user, machine and home may keep its files, the better place first.

    The other places, with short paths, serve homes that are read-only or another user's, and
    sockets whose path would be too long (108 bytes on Linux, 104 on macOS). There are several: in
    a shared folder for temporary files, somebody may have taken a name.
    """
    home = os.path.abspath(_expanded(home or _default_home()))
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    host = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())
    short = hashlib.sha256(home.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    temporary = "/tmp" if os.name == "posix" else os.environ.get("TEMP", home)
    others = [os.path.join(temporary, "matte-nodes-" + user + tail) for tail in ("", "-1", "-2")]
    return [
        os.path.join(home, "service", user + "-" + host),
        *(os.path.join(other, short) for other in others),
    ]


def make_folder(home: str | None = None) -> str:
    """Return the first of `folders` that can be made and is the user's alone.

    Raises ServiceError without one.
    """
    for folder in folders(home):
        if private_folder(folder):
            return folder
    raise ServiceError(f"No folder of your own for the matte service: tried {folders(home)}.")


def private_folder(folder: str) -> bool:
    """Make a folder of mode 0700; False when it cannot be, or is somebody else's.

    False too where others could put another folder in its place.
    """
    try:
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or not os.access(folder, os.W_OK | os.X_OK):
            return False
        return _is_mine(found) and _is_kept(os.lstat(os.path.dirname(folder)))
    except OSError:
        return False


def read_endpoints(home: str | None = None) -> list[Json]:
    """Return addresses and tokens of this user's services, newest first.

    Each comes from a file that only this user can have written. The services may have ended.
    """
    found: list[tuple[float, Json]] = []
    for folder in folders(home):
        names: list[str] = []
        with suppress(OSError):
            names = [name for name in os.listdir(folder) if ENDPOINT.match(name)]
        for name in names:
            with suppress(OSError, ValueError):
                flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
                handle = os.open(os.path.join(folder, name), flags)
                with os.fdopen(handle, "rb") as file:
                    if _is_mine(os.fstat(handle)):
                        endpoint: Json = json.loads(file.read(65536).decode("utf-8"))
                        if isinstance(endpoint, dict):
                            found.append((os.fstat(handle).st_mtime, endpoint))
    return [endpoint for _, endpoint in sorted(found, key=lambda item: -item[0])]


def _is_kept(parent: os.stat_result) -> bool:
    """Whether nobody but this user (and root) can rename what lies in a folder."""
    if not hasattr(os, "getuid"):
        return True
    owned = parent.st_uid in (os.geteuid(), 0) and stat.S_ISDIR(parent.st_mode)
    return owned and (not parent.st_mode & 0o022 or bool(parent.st_mode & stat.S_ISVTX))


def _is_mine(found: os.stat_result) -> bool:
    if not hasattr(os, "getuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _expanded(path: str) -> str:
    """`~` as the user's folder; an empty $HOME (some launchers set it so) is no folder."""
    if os.name == "posix" and path.startswith("~/") and not os.environ.get("HOME"):
        import pwd

        with suppress(KeyError):
            return os.path.join(pwd.getpwuid(os.getuid()).pw_dir, path[2:])
    return os.path.expanduser(path)


def _default_home() -> str:
    named = os.environ.get("MATTE_HOME")
    if named:
        return named
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA", "~\\AppData\\Local")
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return os.path.join(base, "matte-nodes")


def _connect(endpoint: Mapping[str, Any]) -> socket.socket:
    if endpoint.get("unix"):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address: Any = str(endpoint["unix"])
    else:
        line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        address = ("127.0.0.1", int(endpoint["tcp"]))
    try:
        line.settimeout(HELLO_SECONDS)
        line.connect(address)
    except OSError:
        line.close()
        raise
    return line


def _error(facts: Mapping[str, Any]) -> ServiceError:
    return ServiceError(
        str(facts.get("message")),
        str(facts.get("kind", "")),
        int(facts.get("exit_code", 1)),
        facts.get("frame"),
    )
