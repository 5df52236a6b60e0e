# SPDX-License-Identifier: Apache-2.0
"""Hostile messages and fuzzed bytes: the service neither falls, hangs, grows nor obeys.

messages/*.json are bodies of messages, messages/*.raw bytes as they go over the line.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.service.lines import Line, framed, resident
from tests.service.serving import Serving, serving, wait_for

MESSAGES = sorted((Path(__file__).parent / "messages").iterdir())
MOST_GROWTH = 24 << 20


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def alive(service: Serving) -> None:
    """The same process answers, and its log holds no surprise."""
    assert service.process.poll() is None
    assert service.client.status()["pid"] == service.process.pid


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_without_a_greeting_nothing_comes_back(service: Serving, path: Path) -> None:
    data = path.read_bytes() if path.suffix == ".raw" else framed(path.read_bytes())
    with Line(service.home, greeted=False) as line:
        line.send(data)
        line.end()
        assert line.receive() is None
    alive(service)


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_after_a_greeting_an_error_comes_back(service: Serving, path: Path) -> None:
    raw = path.suffix == ".raw"
    with Line(service.home, greeted=True) as line:
        line.send(path.read_bytes() if raw else framed(path.read_bytes()))
        if raw:
            line.end()
        answer = line.receive()
        if answer is None:
            assert raw, "whole messages get an answer"
        elif "job" in answer:
            line.send(framed(json.dumps({"op": "events", "job": answer["job"]}).encode()))
            events = [line.receive(), line.receive()]
            assert events[1] is not None
            assert events[1]["event"] == "error", events
            assert "Traceback" not in events[1]["message"]
            assert events[1]["exit_code"] in (1, 2, 3, 4, 5, 6, 7)
            assert "library failed" not in events[1]["message"], events[1]["message"]
        else:
            assert set(answer) == {"error"}
            assert answer["error"]["exit_code"] == 2
            assert len(answer["error"]["message"]) < 12_000
    alive(service)


def test_no_message_left_a_trace(service: Serving) -> None:
    """Runs after those above: nothing was written, and nothing unforeseen was raised."""
    for path in MESSAGES:
        with Line(service.home, greeted=True) as line:
            line.send(path.read_bytes() if path.suffix == ".raw" else framed(path.read_bytes()))
            line.end()
    wait_for(lambda: all(job["state"] == "error" for job in service.client.jobs()))
    assert "Traceback" not in (service.home / "serve.log").read_text()
    assert not Path("/nowhere").exists()


def test_a_slow_reader_costs_nothing(service: Serving) -> None:
    """Who asks and asks and never reads is not served on and on."""
    before = resident(service.process.pid)
    with Line(service.home, greeted=True) as line:
        line._socket.settimeout(0.5)
        question = framed(b'{"op":"models"}')
        while line.send(question):
            pass
        assert resident(service.process.pid) - before < MOST_GROWTH
    alive(service)


def scalar(rng: random.Random) -> Any:
    return rng.choice([
        None, True, False, 0, -1, 1 << 60, 0.5, "", "a", "../..", "\ud800", "#" * 50, [], {},
        rng.random() * 1e300, "x" * rng.randrange(9000),
    ])  # fmt: skip


def shaped(rng: random.Random) -> Any:
    """A message that looks right and has something wrong in it."""
    request: dict[str, Any] = {
        "source": "/nowhere/p.####.exr", "output": "/nowhere/m.####.exr", "model": "green-screen",
        "cwd": "/", "umask": 18, "knobs": {"gamma": 1.0}, "node": {"threads": 1},
        "connect": {"hint_keys": "hold"}, "frames": [1, 2],
    }  # fmt: skip
    for _ in range(rng.randrange(1, 4)):
        target: Any = rng.choice([request, request, request["knobs"], request["connect"]])
        if isinstance(target, dict):
            target[rng.choice([*target, "frame", "trimap", "evil", "layout"])] = scalar(rng)
    # Never a source that could be there: what would be matted would be written somewhere.
    request["source"] = rng.choice(["/nowhere/p.####.exr", "/nowhere/a", 7, None, "", []])
    message: dict[str, Any] = {"op": "submit", "request": request}
    if rng.random() < 0.5:
        message["op"] = rng.choice(["events", "cancel", "status", "jobs", "models", "retired"])
        message["job"] = scalar(rng)
    if rng.random() < 0.2:
        message["after"] = message["attached"] = scalar(rng)
    return message


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Bytes changed, cut out, doubled."""
    found = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0 if found:
                found[place % len(found)] = rng.randrange(256)
            case 1:
                del found[place : place + rng.randrange(9)]
            case 2:
                found[place:place] = found[: rng.randrange(40)]
            case _:
                found[place:place] = rng.randbytes(rng.randrange(9))
    return bytes(found)


HARMLESS = [b'{"op":"status"}', b'{"op":"jobs"}', b'{"op":"cancel","job":"a"}',
            b'{"op":"events","job":"abc","after":0}', b'{"op":"models"}']  # fmt: skip


def body(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.1:
        return rng.randbytes(rng.randrange(200))
    if kind < 0.6:
        return mutated(rng, rng.choice(HARMLESS))
    return json.dumps(shaped(rng)).encode()


def fuzz(service: Serving, count: int, seed: int) -> None:
    """So many messages, most after a greeting and with a right length; then the same service."""
    rng = random.Random(seed)
    line: Line | None = None
    settled = 0
    for number in range(count):
        if number == count // 4:
            settled = resident(service.process.pid)
        if line is None:
            line = Line(service.home, greeted=rng.random() < 0.9)
        data = body(rng)
        if rng.random() < 0.05:  # a wrong length: what follows makes no sense to the other side
            data = mutated(rng, framed(data))
            line.send(data)
            line.end()
            while line.receive() is not None:
                pass
            line.close()
            line = None
        elif not line.send(framed(data)) or line.receive() is None:
            line.close()
            line = None
    if line is not None:
        line.close()
    wait_for(lambda: not {"queued", "running"} & set(service.client.status()["jobs"]), 120)
    alive(service)
    grown = resident(service.process.pid) - settled
    assert grown < MOST_GROWTH, f"{grown >> 20} MiB more than after the first quarter"
    log = (service.home / "serve.log").read_text()
    assert "Traceback" not in log, log[-3000:]
    assert len(log) < 1 << 20


def test_ten_thousand_fuzzed_messages(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        fuzz(service, 10_000, 1)


@pytest.mark.slow
def test_a_million_fuzzed_messages(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        for seed in range(100):
            fuzz(service, 10_000, 1000 + seed)
