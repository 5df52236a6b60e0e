# SPDX-License-Identifier: Apache-2.0
"""Opens a session and serves its page until it is told to end."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import uvicorn

from matte_nodes.errors import UsageError
from matte_nodes.paths import models_folder
from matte_nodes.studio.app import Pages
from matte_nodes.studio.desk import Desk
from matte_nodes.studio.guard import Guard
from matte_nodes.studio.places import Places
from matte_nodes.studio.running import Runs
from matte_nodes.studio.session import FILE, Session
from matte_nodes.studio.training import Training


def opened(
    source: str, folder: Path | None, roots: Sequence[Path], remap: Mapping[str, str]
) -> tuple[Session, Places]:
    """The session of a plate or of a session's folder, and the places that it may open.

    folder: where a plate's session is kept; by default in $MATTE_HOME. roots: by default the
    working folder, and the folders of the session and of its plate.
    """
    given = Path(source)
    if (given / FILE).is_file():
        session = Session.open(given.resolve(), remap)
    else:
        plate = str(_absolute(source))
        own = (folder or _usual_folder(plate)).resolve()
        if (own / FILE).is_file():
            session = Session.open(own, remap)
            if session.document.plate != plate:
                raise UsageError(
                    f"{own} is the session of {session.document.plate}. Name another folder."
                )
        else:
            if _plate_folder(plate) in (own, *own.parents):
                raise UsageError(f"{own} lies in the plate's folder. Name another one (--session).")
            session = Session.new(own, plate)
    usual = [Path.cwd(), _plate_folder(session.document.plate)]
    return session, Places.of([*(roots or usual), session.folder])


def _absolute(source: str) -> Path:
    path = Path(source).expanduser()
    return path if path.is_absolute() else Path.cwd() / path


def _plate_folder(plate: str) -> Path:
    path = Path(plate)
    return (path if path.is_dir() else path.parent).resolve()


def _usual_folder(plate: str) -> Path:
    name = re.sub(r"[^A-Za-z0-9]+", "-", Path(plate).name).strip("-")[:40] or "session"
    return models_folder().parent / "sessions" / f"{name}-{sha256(plate.encode()).hexdigest()[:8]}"


def serve(session: Session, places: Places, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page on 127.0.0.1 until SIGINT or SIGTERM. port: 0 takes a free one.

    ready: called with the address to open when the server listens.
    """
    desk = Desk(session, places)
    runs, training = Runs(desk), Training(desk)
    line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        line.bind(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(f"Port {port} cannot be used ({error.strerror}). Name another.") from error
    guard = Guard(Pages(desk, runs, training).app(), line.getsockname()[1])
    config = uvicorn.Config(
        guard, log_level="warning", access_log=False, lifespan="off", ws="none",
        server_header=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    line.listen(128)
    server = _Server(config, desk)
    threading.Thread(target=desk.warm, name="matte-studio-warm", daemon=True).start()
    ready(guard.address)
    try:
        server.run(sockets=[line])
    finally:
        training.close()
        runs.cancel()
        desk.close()


class _Server(uvicorn.Server):
    """A server that ends the pages' streams first, so that it need not wait for them."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the streams, then the server."""
        self._desk.events.end()
        await super().shutdown(sockets)
