# SPDX-License-Identifier: Apache-2.0
"""Connections for attacks: greeted or not, told anything, and what comes back."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from matte_nodes.service import client as protocol


class Line:
    """One raw connection to a service."""

    def __init__(self, home: Path, *, greeted: bool) -> None:
        endpoint = protocol.read_endpoints(str(home))[0]
        self._socket = protocol._connect(endpoint)
        self._socket.settimeout(30)
        if greeted:
            nonce = "00" * 16
            self.send(protocol.pack(hello(nonce)))
            challenge = self.receive()
            assert challenge is not None
            both = f"{nonce} {challenge['nonce']}"
            self.send(protocol.pack({"proof": protocol.proof(endpoint["token"], "client", both)}))
            assert self.receive() is not None

    def send(self, data: bytes) -> bool:
        """False when the other side has hung up."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def end(self) -> None:
        """No more will be sent."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None when the other side has hung up. A silence is a failure."""
        head = self._exactly(4)
        if head is None:
            return None
        body = self._exactly(struct.unpack(">I", head)[0])
        if body is None:
            return None
        found: dict[str, Any] = json.loads(body)
        return found

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            try:
                part = self._socket.recv(size - len(data))
            except TimeoutError as error:
                raise AssertionError("the service hangs") from error
            except OSError:
                return None
            if not part:
                return None
            data += part
        return data


def hello(nonce: str) -> dict[str, Any]:
    """The first message of a client."""
    return {"hello": "matte-nodes", "protocol": protocol.PROTOCOL, "nonce": nonce}


def framed(body: bytes) -> bytes:
    """With its right length."""
    return struct.pack(">I", len(body)) + body


def resident(pid: int) -> int:
    """Bytes of memory that a process has in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")
