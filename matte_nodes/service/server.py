# SPDX-License-Identifier: Apache-2.0
"""The service's process: an event loop that talks to clients, and the lanes that do the jobs."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import hmac
import os
import re
import secrets
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matte_nodes import __version__, models, weights
from matte_nodes.card import SCHEMA_VERSION, ModelCard
from matte_nodes.errors import MatteError, UsageError
from matte_nodes.media.sequence_writer import without_exr_pool
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.runtime import cores
from matte_nodes.service.client import LAST_EVENTS, PROTOCOL, pack, proof
from matte_nodes.service.endpoint import Endpoint, code_stamp
from matte_nodes.service.jobs import Board, Job, UnknownJobError
from matte_nodes.service.pool import ModelPool
from matte_nodes.service.request import BadMessage, checked, parse
from matte_nodes.shot import choose_model

LARGEST_HELLO = 4096
LARGEST_MESSAGE = 1 << 20
HELLO_SECONDS = 5.0
MESSAGE_SECONDS = 60.0
SEND_SECONDS = 30.0
ALIVE_SECONDS = 15.0
LOOK_SECONDS = 3.0
MOST_CONNECTIONS = 64
MOST_OF_ONE_PROCESS = 32
"""Connections of one process, so that it leaves room for others."""
MOST_GREETING = 32
"""Connections without a greeting yet. A new one takes the place of the oldest: a client greets
within milliseconds, so those that wait longest are silent."""


class Server:
    """One service. `run` returns when it is told to end, or after `idle` seconds without work.

    idle: 0 never ends it. memory: bytes of loaded models to keep. Raises AlreadyRunningError.
    """

    def __init__(self, *, idle: float, memory: int, tcp: bool = False) -> None:
        self._code = code_stamp()
        self._endpoint = Endpoint(self._code, tcp=tcp)
        self._idle, self._pool = idle, ModelPool(memory)
        self._board = Board(self._pool, self._job_changed, self._endpoint.folder / "frames")
        self._greeting: dict[asyncio.Task[Any], None] = {}
        self._peers: dict[asyncio.Task[Any], int] = {}
        self._began = self._touched = time.monotonic()
        self._open: set[asyncio.Task[Any]] = set()
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._refused = 0
        self._outdated, self._looked = False, self._began

    def run(self) -> None:
        """Serve until the end."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C interrupts the loop
                self._loop.add_signal_handler(number, self._end.set)
        start = asyncio.start_unix_server if self._endpoint.path else asyncio.start_server
        server = await start(self._connected, sock=self._endpoint.socket)
        self._endpoint.publish()
        _log(f"matte-nodes {__version__}, process {os.getpid()}, {self._endpoint.folder}")
        try:
            while not self._end.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._nap()):
                        await self._end.wait()
                if self._idle and self._idle_seconds() >= self._idle:
                    _log(f"idle for {self._idle:g} s")
                    break
        finally:
            server.close()
            self._endpoint.close()
            for task in {*self._open, *self._greeting}:
                task.cancel()  # clients start jobs that end now again
            _log("ended")

    def _nap(self) -> float:
        return max(0.05, self._idle - self._idle_seconds()) if self._idle else 3600.0

    def _idle_seconds(self) -> float:
        if self._open or self._board.busy:
            self._touched = time.monotonic()
        return time.monotonic() - self._touched

    def _job_changed(self, job: Job) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wake, job.name)

    def _wake(self, name: str) -> None:
        for event in self._watchers.get(name, ()):
            event.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        attached: list[Job] = []
        try:
            while len(self._greeting) >= MOST_GREETING:
                oldest = next(iter(self._greeting))
                del self._greeting[oldest]
                oldest.cancel()
            self._greeting[task] = None
            await self._converse(reader, writer, attached)
        except (OSError, EOFError, BadMessage, TimeoutError):
            self._refused += 1
        except asyncio.CancelledError:
            pass  # the service ends: clients find out and start another
        finally:
            self._greeting.pop(task, None)
            self._peers.pop(task, None)
            self._open.discard(task)
            self._touched = time.monotonic()
            for job in attached:
                self._board.cancel(job)
            writer.transport.abort()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, attached: list[Job]
    ) -> None:
        async with asyncio.timeout(HELLO_SECONDS):
            greeted = await self._is_greeted(reader, writer)
        if not greeted:
            self._refused += 1
            return
        if (trouble := self._welcome(writer)) is not None:
            await _send(writer, {"error": _facts(trouble)})
            return
        outdated = await self._is_outdated()
        await _send(writer, {
            "hello": "matte-nodes", "protocol": PROTOCOL, "version": __version__,
            "pid": os.getpid(), "code": self._code, "cores": cores(), "outdated": outdated,
        })  # fmt: skip
        while True:
            try:
                data = await _receive(reader, LARGEST_MESSAGE, MESSAGE_SECONDS)
            except asyncio.IncompleteReadError:
                return
            try:
                await self._answer(parse(data), reader, writer, attached)
            except MatteError as error:
                await _send(writer, {"error": _facts(error)})

    async def _is_greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the other side knows the token. It proves it for a number of our own choice."""
        hello = parse(await _receive(reader, LARGEST_HELLO, HELLO_SECONDS))
        nonce = hello.get("nonce")
        if hello.get("protocol") != PROTOCOL or not isinstance(nonce, str):
            return False
        if not re.fullmatch("[0-9a-f]{32}", nonce):
            return False
        own = secrets.token_hex(16)
        both, token = f"{nonce} {own}", self._endpoint.token
        await _send(writer, {"nonce": own, "proof": proof(token, "service", both)})
        given = parse(await _receive(reader, LARGEST_HELLO, HELLO_SECONDS)).get("proof")
        # A client that does not know the token gets no answer and no reason.
        return isinstance(given, str) and hmac.compare_digest(
            proof(token, "client", both).encode(), given.encode("utf-8", "replace")
        )

    def _welcome(self, writer: asyncio.StreamWriter) -> MatteError | None:
        """Count a greeted connection; returns the reason when there is no room for it."""
        task, peer = asyncio.current_task(), _process_of(writer)
        assert task is not None
        self._greeting.pop(task, None)
        same = sum(other == peer for other in self._peers.values())
        if len(self._open) >= MOST_CONNECTIONS or (peer and same >= MOST_OF_ONE_PROCESS):
            return UsageError(
                "The matte service has too many open connections. Close some of them, or wait."
            )
        self._open.add(task)
        self._peers[task] = peer
        return None

    async def _is_outdated(self) -> bool:
        """Whether our code on disk is another than what runs; looked at every few seconds."""
        if time.monotonic() > self._looked + LOOK_SECONDS:
            self._looked = time.monotonic()
            self._outdated = await asyncio.to_thread(code_stamp) != self._code
        return self._outdated

    async def _answer(
        self,
        message: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        attached: list[Job],
    ) -> None:
        op = message.get("op")
        answer: dict[str, Any]
        if op == "submit":
            # Checking looks at files: a folder that does not answer must not stop the loop.
            request = await asyncio.to_thread(checked, message.get("request"))
            job = self._board.submit(request)
            if message.get("attached") is True:
                attached.append(job)
            answer = {"job": job.name}
        elif op == "events":
            await self._stream(message, reader, writer)
            return
        elif op == "cancel":
            answer = {"cancelled": self._board.cancel(self._board.job(message.get("job")))}
        elif op == "jobs":
            answer = {"jobs": [job.summary() for job in self._board.jobs()]}
        elif op == "status":
            answer = self._status()
        elif op == "models":
            answer = await asyncio.to_thread(_declarations)
        elif op in ("shutdown", "retire"):
            retired = op == "shutdown" or not self._board.busy
            await _send(writer, {"retired": retired})
            if retired:
                self._end.set()
            return
        else:
            raise BadMessage(f"There is no operation {op!r:.50}.")
        await _send(writer, answer)

    async def _stream(
        self, message: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        job, after = self._board.job(message.get("job")), message.get("after", 0)
        if not isinstance(after, int):
            raise BadMessage("The entry `after` must be a whole number.")
        with self._watching(job.name) as changed:
            # A client that hangs up is noticed at once: a job that is attached to it ends.
            gone = asyncio.ensure_future(reader.read(1))
            try:
                while True:
                    changed.clear()
                    for event in job.events(after):
                        await _send(writer, event)
                        after = event["number"] + 1
                        if event["event"] in LAST_EVENTS:
                            return
                    await self._change(writer, changed, gone)
            finally:
                gone.cancel()
                await asyncio.wait({gone})  # until the line can be read from again

    async def _change(
        self, writer: asyncio.StreamWriter, changed: asyncio.Event, gone: asyncio.Future[bytes]
    ) -> None:
        waiting = asyncio.ensure_future(changed.wait())
        both: set[asyncio.Future[Any]] = {waiting, gone}
        try:
            done, _ = await asyncio.wait(
                both, timeout=ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        if gone in done:
            raise EOFError
        if not done:
            await _send(writer, {"event": "alive"})

    @contextmanager
    def _watching(self, name: str) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        self._watchers.setdefault(name, set()).add(changed)
        try:
            yield changed
        finally:
            self._watchers[name].discard(changed)
            if not self._watchers[name]:
                del self._watchers[name]

    def _status(self) -> dict[str, Any]:
        states = [job.state for job in self._board.jobs()]
        return {
            "pid": os.getpid(), "version": __version__, "python": sys.executable,
            "up_seconds": round(time.monotonic() - self._began, 1), "idle_seconds": self._idle,
            "cpu_seconds": time.process_time(),
            "models": self._pool.report(), "loads": self._pool.loads,
            "memory": self._pool.budget, "connections": len(self._open),
            "refused": self._refused,
            "jobs": {state: states.count(state) for state in sorted(set(states))},
        }  # fmt: skip


def serve(*, idle: float, memory: int, tcp: bool) -> None:
    """Run the service until it ends. Its own environment never reaches a job."""
    for name in [name for name in os.environ if name.startswith("OCIO")]:
        del os.environ[name]
    os.umask(0o077)
    without_exr_pool()
    with contextlib.suppress(OSError, ValueError):
        faulthandler.enable()  # what a model's crash leaves in the log
    Server(idle=idle, memory=memory, tcp=tcp).run()
    sys.stderr.flush()
    # A running step may take minutes. Whole frames are on disk; unfinished ones have other names.
    os._exit(0)


def _declarations() -> dict[str, Any]:
    """Return the declarations from which hosts build their user interfaces."""

    cards, problems = [], []
    for name in models.names():
        try:
            cards.append(_card(models.card(name)))
        except MatteError as error:  # a broken third-party package must not break the others
            problems.append(str(error))
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "models": cards,
        "knobs": [knob.as_dict() for knob in NODE_KNOBS],
        "auto": choose_model.foreseen(),
        "problems": problems,
    }


def _card(card: ModelCard) -> dict[str, Any]:
    """A declaration, with what is true on this machine: whether it can run, and its terms."""
    return {
        **card.as_dict(), "licence": card.licence, "weights_state": weights.state(card),
        "ready": choose_model.is_ready(card),
    }  # fmt: skip


def _facts(error: MatteError) -> dict[str, Any]:
    kind = type(error).__name__
    return {"message": str(error), "kind": kind, "exit_code": error.exit_code}


def _process_of(writer: asyncio.StreamWriter) -> int:
    """Return the process at the other end of a Unix socket on Linux; 0 where it is not known."""
    line = writer.get_extra_info("socket")
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or line is None or line.family != getattr(socket, "AF_UNIX", None):
        return 0
    with contextlib.suppress(OSError):
        data = line.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
        return int(struct.unpack("3i", data)[0])
    return 0


async def _receive(reader: asyncio.StreamReader, largest: int, seconds: float) -> bytes:
    """Return the bytes of one message; BadMessage when it announces too many."""
    async with asyncio.timeout(seconds):
        (size,) = struct.unpack(">I", await reader.readexactly(4))
        if size > largest:
            raise BadMessage(f"A message is at most {largest} bytes.")
        return await reader.readexactly(size)


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Send, and wait until a slow reader has taken it."""
    writer.write(pack(message))
    async with asyncio.timeout(SEND_SECONDS):
        await writer.drain()


def _log(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()


__all__ = ["Server", "UnknownJobError", "serve"]
