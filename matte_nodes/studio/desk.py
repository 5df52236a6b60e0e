# SPDX-License-Identifier: Apache-2.0
"""Desk: one open session with its plate, its results and the service that mattes for it."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes import models
from matte_nodes.errors import InputError, MatteError
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.publish.proxies import picture_behind
from matte_nodes.render.view import View, fitted
from matte_nodes.service.client import Client, ServiceError
from matte_nodes.shot.choose_model import SELECT, members
from matte_nodes.studio import edits, pictures
from matte_nodes.studio.checking import check, check_span, is_file
from matte_nodes.studio.document import Document
from matte_nodes.studio.events import Events
from matte_nodes.studio.places import Places
from matte_nodes.studio.plate import Plate
from matte_nodes.studio.request import arguments, model_of, taking
from matte_nodes.studio.results import Results, fits
from matte_nodes.studio.session import Session
from matte_nodes.temporal.lru import Lru

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.studio.document import Box

_OF_PLATE = ("plate", "layer", "colorspace", "ocio")
FIRST_WIDTH = 960
MOST_STEPPED = 64


class Desk:
    """A session and everything around it. Thread-safe. places: what the page may open.

    client: of the service; it starts one when there is none.
    """

    def __init__(self, session: Session, places: Places, client: Client | None = None) -> None:
        self.session, self.places, self.events = session, places, Events()
        self.client = client or Client(sys.executable)
        self.results = Results(session.folder)
        self._lock = threading.RLock()
        self._plates: dict[tuple[str, ...], Plate] = {}
        self._files_key = ("", 0.0)
        self._slow = ""
        self._stepped: dict[tuple[str, int], None] = {}
        self._asked: Lru[tuple[str, Document]] = Lru(MOST_STEPPED)
        self.is_running: Callable[[], bool] = lambda: False
        self._check(session.document)

    @property
    def plate(self) -> Plate:
        """The plate of the session as it is read now."""
        with self._lock:
            return self._plate_of(self.session.document)

    def _plate_of(self, document: Document) -> Plate:
        asked = tuple(str(getattr(document, name)) for name in _OF_PLATE)
        found = self._plates.get(asked)
        if found is None:
            found = Plate(
                document.plate,
                layer=document.layer,
                colorspace=document.colorspace,
                ocio=document.ocio,
                places=self.places,
            )
            for old in list(self._plates)[: max(0, len(self._plates) - 1)]:
                self._plates.pop(old).close()
            self._plates[asked] = found
        return found

    def key(self) -> str:
        """The name of results with the session as it is: its settings, and the plate's files."""
        with self._lock:
            text = f"{self.session.settings_key()} {self._files()}"
            return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _files(self) -> str:
        """A hash of the plate's files, as they were less than a second ago."""
        now = time.monotonic()
        if now > self._files_key[1]:
            self._files_key = self.plate.files_key(), now + 1.0
        return self._files_key[0]

    def warm(self) -> None:
        """Read the first frame before anybody asks for it."""
        with suppress(MatteError, OSError):
            self.plate.picture(self.plate.clip.frames[0], FIRST_WIDTH)

    def state(self) -> dict[str, Any]:
        """All that a page shows of the session."""
        with self._lock:
            key = self.key()
            document = self.session.document
            past, future = self.session.undo_depth
            return {
                "revision": self.session.revision,
                "session": document.as_dict(),
                "folder": str(self.session.folder),
                "roots": [str(root) for root in self.places.roots],
                "plate": self.plate.facts(),
                "key": key,
                "done": self.results.done(key),
                "stale": self.results.stale(key),
                "models": taking(document, model_of(document)),
                "undo": past,
                "redo": future,
            }

    def edit(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do one edit, and tell the other pages. Raises what checking it raises."""
        asked = self._placed(dict(asked))
        with self._lock:
            if asked.get("edit") not in ("undo", "redo"):
                self._check(edits.apply(self.session.document, asked))
            self.session.apply(asked)
        self.events.tell("session", revision=self.session.revision)
        return self.state()

    def paint(
        self, kind: str, frame: int, codes: NDArray[Any] | None, box: Box | None
    ) -> dict[str, Any]:
        """Put a picture at a frame of `trimaps` or `keys`, and tell the other pages."""
        with self._lock:
            self.session.paint(kind, frame, codes, box)
        self.events.tell("session", revision=self.session.revision)
        return self.state()

    def request(self, document: Document | None = None) -> dict[str, Any]:
        """What the service is asked for, without output and frames."""
        asked = arguments(document or self.session.document, self.session.folder)
        connect = {"cache": "disk", **asked["connect"]}
        return {**asked, "connect": connect, "cwd": str(self.session.folder)}

    def matte(
        self,
        frame: int,
        changes: Mapping[str, Any] | None = None,
        *,
        view: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Matte one frame now, ahead of a range. Returns its key and how long it took.

        changes: entries of the document that differ for this picture alone, for a comparison. view:
        {"width", "foreground"} of a page that only looks at the frame; None makes its file.
        """
        with self._lock:
            _ = self.plate.frame_key(frame)
            document, key = self.session.document, self.key()
            if changes:
                document = dataclasses.replace(document, **changes)
                self._check(document)
                key = self._key_of(document)
            asked = self.request(document)
            self._asked.put(key, (self.key(), document), 1)
        began = time.monotonic()
        if not (self.results.path(key, frame) if view is None else self.results.has(key, frame)):
            has_steps = self._has_steps(document, frame)
            is_slow = not has_steps and (bool(asked["refine"]) or asked["model"] == SELECT)
            if is_slow and not self.is_running():
                self._do_slowly(asked, frame, key)
            else:
                self._do(asked, frame, key, view)
            self._note_steps(document, frame)
            self.events.tell("matted", key=key, frame=frame)
        took = round((time.monotonic() - began) * 1000)
        return {"key": key, "frame": frame, "milliseconds": took}

    def picture(self, key: str, frame: int, part: str, width: int) -> tuple[bytes, str]:
        """A part of a matte as a file for the browser, and its type.

        What the view at hand does not show is made now, as long as the session is as it was.
        """
        size = fitted(*self.plate.size, width)
        view = self.results.view(key, frame)
        if self.results.path(key, frame) is None and not fits(view, part, size):
            document = self._same(key)
            if document is not None:
                foreground = part == "foreground"
                self._do(
                    self.request(document), frame, key, {"width": width, "foreground": foreground}
                )
        return self.results.picture(key, frame, part, width, self.plate)

    def make_whole(self, key: str, frame: int) -> None:
        """Make the file of a frame of which there is a view alone. InputError when that is over."""
        if self.results.path(key, frame) is not None or not self.results.has(key, frame):
            return
        document = self._same(key)
        if document is None:
            raise InputError(
                "Only a small picture of this older result is kept. Matte it again (M)."
            )
        self._do(self.request(document), frame, key, None)

    def _same(self, key: str) -> Document | None:
        """The document of a key, where the session and its files are as they were then."""
        found = self._asked.get(key)
        return found[1] if found is not None and found[0] == self.key() else None

    def declarations(self) -> dict[str, Any]:
        """Cards and knobs as every host gets them, and which models can run here."""
        from matte_nodes.shot.choose_model import is_ready

        found = self.client.models()
        for card in found["models"]:
            own = models.card(card["name"])
            card["ready"], card["licence"] = is_ready(own), own.licence
            card["coarse"] = own.coarse
        return found

    def mask(self, frame: int, view: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The mask of the selector alone, where its edges are solved by a second model.

        It answers long before the whole chain. `key` is "" where there is no such mask.
        """
        document = self.session.document
        if model_of(document) != SELECT or self._has_steps(document, frame):
            return {"key": "", "frame": frame, "milliseconds": 0}
        return self.matte(frame, {"model": members(SELECT)[0], "refine": ""}, view=view)

    def _do_slowly(self, asked: dict[str, Any], frame: int, key: str) -> None:
        """One slow frame as a range: single frames are done one after another, and it would keep
        the next click waiting."""
        for event in self.client.stream(
            {**asked, "frames": [frame, frame], "output": self.results.pattern(key)}
        ):
            if event["event"] == "submitted":
                self._end_slow(event["job"])
            elif event["event"] == "warning":
                self.events.tell("warning", frame=frame, message=event["message"])
            elif event["event"] in ("error", "cancelled"):
                message = event.get("message") or f"Frame {frame} was given up for a newer one."
                raise ServiceError(message, frame=event.get("frame"))

    def _do(
        self, asked: dict[str, Any], frame: int, key: str, view: Mapping[str, Any] | None
    ) -> None:
        """One frame by the service, beside its ranges: its file, or a view of it."""

        def warn(message: str) -> None:
            self.events.tell("warning", frame=frame, message=message)

        if view is None:
            points = asked["connect"]["points"]
            many = points is not None and len(points["objects"]) > 1
            asked = {**asked, "layout": "auto" if many else "array"}
            self.results.note(key, frame, Path(self.client.frame(asked, frame, warn)))
        else:
            path = self.client.frame({**asked, "view": dict(view)}, frame, warn)
            self.results.keep_view(key, frame, View.load(Path(path)))

    def _end_slow(self, job: str) -> None:
        """Give up the slow frame before this one: nobody looks at it any more."""
        with self._lock:
            before, self._slow = self._slow, job
        if before:
            with suppress(ServiceError):
                self.client.cancel(before)

    def value(self, frame: int, x: int, y: int, key: str) -> dict[str, Any]:
        """The linear values of a pixel: of the plate, and of the matte where there is one."""
        found: dict[str, Any] = {"plate": self.plate.value(frame, x, y)}
        if key and self.results.has(key, frame):
            self.make_whole(key, frame)
            found.update(self.results.value(key, frame, x, y))
        return found

    def behind(self, width: int) -> tuple[bytes, str]:
        """The session's picture behind the foreground, in the shape of the plate, as a file."""
        path = self.session.document.behind
        if not path:
            raise InputError(
                "The session has no picture to lay behind. Choose one (View: Picture)."
            )
        size = fitted(*self.plate.size, width)
        return pictures.colour_file(picture_behind(str(self.places.path(path)), size), exact=False)

    def close(self) -> None:
        """End the pages' streams, close the plate, and give up a service that is starting."""
        self.client.close()
        self.events.end()
        for plate in self._plates.values():
            plate.close()

    def _has_steps(self, document: Document, frame: int) -> bool:
        """Whether only finishing is left to do: the service keeps what the models answered."""
        return (self._steps_key(document), frame) in self._stepped

    def _note_steps(self, document: Document, frame: int) -> None:
        with self._lock:
            self._stepped[self._steps_key(document), frame] = None
            while len(self._stepped) > MOST_STEPPED:
                del self._stepped[next(iter(self._stepped))]

    def _steps_key(self, document: Document) -> str:
        """The name of what the models answer with a document, whatever its finishing knobs are."""
        cards = [models.card(name) for name in taking(document, model_of(document))]
        late = {knob.name for knob in NODE_KNOBS if knob.stage == "finish"}
        late |= {knob.name for card in cards for knob in card.knobs if knob.stage == "finish"}
        steps = {name: value for name, value in document.knobs.items() if name not in late}
        own = self.session.settings_key(dataclasses.replace(document, knobs=steps))
        return f"{own} {self._files()}"

    def _key_of(self, document: Document) -> str:
        facts = repr((self.key(), document)).encode()
        return hashlib.sha256(facts).hexdigest()[:16]

    def _placed(self, asked: dict[str, Any]) -> dict[str, Any]:
        """An edit whose paths are absolute and lie inside of the places."""
        clip = asked.get("edit") == "hint" and asked.get("path")
        if clip:
            asked["path"] = self.places.clip(str(clip))
        if asked.get("edit") == "set":
            for name in ("behind", "ocio", "model", "refine", "segmentation_model"):
                path = str(asked.get(name) or "")
                is_path = name in ("behind", "ocio") or is_file(path)
                if path and is_path and not path.startswith("ocio://"):
                    asked[name] = str(self.places.path(path))
        return asked

    def _check(self, document: Document) -> None:
        """Refuse a document that cannot be the session's; the plate is opened as it says."""
        check(document, self.places)
        check_span(document, tuple(self._plate_of(document).clip.frames))

    def checked_frame(self, frame: int) -> int:
        """A frame of the plate; InputError for another number."""
        if frame not in self.plate.clip.frames:
            raise InputError(f"{self.plate.clip.name} has no frame {frame}.")
        return frame
