# SPDX-License-Identifier: Apache-2.0
"""The service's process: an event loop that speaks with clients, and the lanes that do the jobs."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import hmac
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matte_nodes import __version__, models
from matte_nodes.card import SCHEMA_VERSION
from matte_nodes.errors import MatteError
from matte_nodes.media.sequence_writer import without_exr_pool
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.runtime import cores
from matte_nodes.service.client import LAST_EVENTS, PROTOCOL, pack, proof
from matte_nodes.service.endpoint import Endpoint, code_stamp
from matte_nodes.service.jobs import Board, Job, UnknownJobError
from matte_nodes.service.pool import Pool
from matte_nodes.service.request import BadMessage, checked, parse

LARGEST_HELLO = 4096
LARGEST_MESSAGE = 1 << 20
HELLO_SECONDS = 5.0
MESSAGE_SECONDS = 60.0
SEND_SECONDS = 30.0
ALIVE_SECONDS = 15.0
LOOK_SECONDS = 3.0
MOST_CONNECTIONS = 64


class Server:
    """One service: `run` returns when it was told to end, or has been idle for `idle` seconds.

    idle: 0 never ends it. memory: bytes of loaded models that are kept. Raises AlreadyRunningError.
    """

    def __init__(self, *, idle: float, memory: int, tcp: bool = False) -> None:
        self._endpoint = Endpoint(tcp=tcp)
        self._idle, self._pool = idle, Pool(memory)
        self._board = Board(self._pool, self._job_changed, self._endpoint.folder / "frames")
        self._code = code_stamp()
        self._began = self._touched = time.monotonic()
        self._open: set[asyncio.Task[Any]] = set()
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._refused = 0
        self._outdated, self._looked = False, self._began

    def run(self) -> None:
        """Serve."""
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
            for task in self._open:  # nobody hears of jobs that end now: clients start them again
                task.cancel()
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
            if len(self._open) < MOST_CONNECTIONS:
                self._open.add(task)
                await self._converse(reader, writer, attached)
        except (OSError, EOFError, BadMessage, TimeoutError):
            self._refused += 1
        except asyncio.CancelledError:
            pass  # the service ends: clients find out and start another
        finally:
            self._open.discard(task)
            self._touched = time.monotonic()
            for job in attached:
                self._board.cancel(job)
            writer.transport.abort()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, attached: list[Job]
    ) -> None:
        hello = parse(await _receive(reader, LARGEST_HELLO, HELLO_SECONDS))
        nonce, given = hello.get("nonce"), hello.get("proof")
        if not isinstance(nonce, str) or not isinstance(given, str):
            return
        expected = proof(self._endpoint.token, "client", nonce)
        # No word, no reason, to whoever does not know the token.
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            self._refused += 1
            return
        outdated = await self._is_outdated()
        await _send(writer, {
            "hello": "matte-nodes", "protocol": PROTOCOL, "version": __version__,
            "pid": os.getpid(), "code": self._code, "cores": cores(), "outdated": outdated,
            "proof": proof(self._endpoint.token, "service", nonce),
        })  # fmt: skip
        if hello.get("protocol") != PROTOCOL:
            return
        while True:
            try:
                data = await _receive(reader, LARGEST_MESSAGE, MESSAGE_SECONDS)
            except asyncio.IncompleteReadError:
                return
            try:
                await self._answer(parse(data), reader, writer, attached)
            except MatteError as error:
                await _send(writer, {"error": _facts(error)})

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
            job = self._board.submit(checked(message.get("request")))
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
            raise BadMessage("after is a whole number.")
        with self._watching(job.name) as changed:
            # Whoever hangs up is noticed at once: a job that is attached to it ends.
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
    """Be the service until it ends; nothing of this process's environment reaches a job."""
    os.environ.pop("OCIO", None)
    os.umask(0o077)
    without_exr_pool()
    with contextlib.suppress(OSError, ValueError):
        faulthandler.enable()  # what a model's crash leaves in the log
    Server(idle=idle, memory=memory, tcp=tcp).run()
    sys.stderr.flush()
    # A step that runs now may take minutes; whole frames are on disk, half ones have other names.
    os._exit(0)


def _declarations() -> dict[str, Any]:
    """What hosts build their user interfaces from."""
    from dataclasses import asdict

    cards, problems = [], []
    for name in models.names():
        try:
            cards.append(models.card(name).as_dict())
        except MatteError as error:  # a broken third-party package must not break the others
            problems.append(str(error))
    return {
        "schema_version": SCHEMA_VERSION, "version": __version__, "models": cards,
        "knobs": [{**asdict(knob), "flag": knob.flag} for knob in NODE_KNOBS],
        "problems": problems,
    }  # fmt: skip


def _facts(error: MatteError) -> dict[str, Any]:
    kind = type(error).__name__
    return {"message": str(error), "kind": kind, "exit_code": error.exit_code}


async def _receive(reader: asyncio.StreamReader, largest: int, seconds: float) -> bytes:
    """The bytes of one message; BadMessage when it announces too many."""
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
