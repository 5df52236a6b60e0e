# SPDX-License-Identifier: Apache-2.0
"""The addresses of the page: pictures, edits, runs, events. All work is done elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from matte_nodes.errors import MatteError, UsageError
from matte_nodes.service.client import ServiceError
from matte_nodes.studio import browsing, exporting, painting
from matte_nodes.studio import document as check
from matte_nodes.studio.pictures import LARGEST_SIDE
from matte_nodes.studio.results import KEY

if TYPE_CHECKING:
    from starlette.requests import Request

    from matte_nodes.studio.desk import Desk
    from matte_nodes.studio.running import Runs
    from matte_nodes.studio.training import Training

STATIC = Path(__file__).parent / "static"
LARGEST_JSON = 1 << 20


class Pages:
    """Answers the page's requests for one desk."""

    def __init__(self, desk: Desk, runs: Runs, training: Training) -> None:
        self.desk, self.runs, self.training = desk, runs, training

    def app(self) -> Starlette:
        """The application, without its guard."""
        routes = [
            Route("/", self.index),
            Route("/api/state", self.answered(self.state)),
            Route("/api/declarations", self.answered(self.declarations)),
            Route("/api/plate/{frame:int}", self.answered(self.plate)),
            Route("/api/matte/{key}/{frame:int}/{part}", self.answered(self.part)),
            Route("/api/list", self.answered(self.list)),
            Route("/api/value", self.answered(self.value)),
            Route("/api/events", self.stream),
            Route("/api/edit", self.answered(self.edit), methods=["POST"]),
            Route("/api/matte", self.answered(self.matte), methods=["POST"]),
            Route("/api/mask", self.answered(self.mask), methods=["POST"]),
            Route("/api/run", self.answered(self.run), methods=["POST"]),
            Route("/api/cancel", self.answered(self.cancel), methods=["POST"]),
            Route("/api/painted/{sha}", self.answered(self.painted)),
            Route("/api/behind", self.answered(self.behind)),
            Route("/api/command", self.answered(self.command)),
            Route("/api/paint/{frame:int}", self.answered(self.paint), methods=["POST"]),
            Route("/api/from_matte", self.answered(self.from_matte), methods=["POST"]),
            Route("/api/compare", self.answered(self.compare), methods=["POST"]),
            Route("/api/export", self.answered(self.export), methods=["POST"]),
            Route("/api/train", self.answered(self.train), methods=["POST"]),
            Route("/api/train_cancel", self.answered(self.train_cancel), methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        return Starlette(routes=routes)

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html")

    async def stream(self, request: Request) -> Response:
        """What happens, as server-sent events."""
        return StreamingResponse(self.desk.events.stream(), media_type="text/event-stream")

    def answered(
        self, handler: Callable[[Request], Awaitable[Response | dict[str, Any]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A handler whose errors become sentences in JSON, and its dictionaries too."""

        async def answer(request: Request) -> Response:
            try:
                found = await handler(request)
            except (MatteError, ServiceError) as error:
                return JSONResponse({"error": str(error), "frame": error.frame}, 422)
            except (OSError, ValueError) as error:
                return JSONResponse(
                    {"error": f"{type(error).__name__}: {error}", "frame": None}, 422
                )
            return found if isinstance(found, Response) else JSONResponse(found)

        return answer

    async def state(self, request: Request) -> dict[str, Any]:
        """The session, and the run."""
        return {
            **await asyncio.to_thread(self.desk.state),
            "run": self.runs.last,
            "train": self.training.last,
        }

    async def declarations(self, request: Request) -> dict[str, Any]:
        """Cards and knobs, as every host gets them."""
        found = await asyncio.to_thread(self.desk.declarations)
        shown = [{"name": f.name, "label": f.label, "help": f.help} for f in exporting.forms()]
        return {**found, "forms": shown}

    async def plate(self, request: Request) -> Response:
        """A frame of the plate."""
        frame, width = request.path_params["frame"], _width(request)
        etag = f'"{self.desk.plate.frame_key(frame)}-{width}"'
        return await self._cached(request, etag, self.desk.plate.picture, frame, width)

    async def part(self, request: Request) -> Response:
        """A part of a matte."""
        key, frame = _key(request.path_params["key"]), request.path_params["frame"]
        part, width = request.path_params["part"], _width(request)
        etag = f'"{key}-{frame}-{part}-{width}"'
        return await self._cached(request, etag, self.desk.picture, key, frame, part, width)

    async def _cached(
        self, request: Request, etag: str, make: Callable[..., tuple[bytes, str]], *arguments: Any
    ) -> Response:
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        data, kind = await asyncio.to_thread(make, *arguments)
        return Response(data, media_type=kind, headers=headers)

    async def value(self, request: Request) -> dict[str, Any]:
        """The linear values of a pixel."""
        asked = dict(request.query_params)
        frame, x, y = (check.whole(asked.get(name), name) for name in ("frame", "x", "y"))
        key = asked.get("key", "")
        return await asyncio.to_thread(self.desk.value, frame, x, y, _key(key) if key else "")

    async def list(self, request: Request) -> dict[str, Any]:
        """What a folder holds that may be opened."""
        asked = check.text(dict(request.query_params), "path")
        return await asyncio.to_thread(browsing.listing, self.desk.places, asked)

    async def edit(self, request: Request) -> dict[str, Any]:
        """Change the session."""
        asked = await body(request)
        return await asyncio.to_thread(self.desk.edit, asked)

    async def matte(self, request: Request) -> dict[str, Any]:
        """Matte one frame."""
        asked = await body(request)
        frame = check.whole(asked.get("frame"), "frame")
        return await asyncio.to_thread(partial(self.desk.matte, frame, view=_view(asked)))

    async def mask(self, request: Request) -> dict[str, Any]:
        """The selector's mask of one frame."""
        asked = await body(request)
        frame = check.whole(asked.get("frame"), "frame")
        return await asyncio.to_thread(self.desk.mask, frame, _view(asked))

    async def run(self, request: Request) -> dict[str, Any]:
        """Matte a range."""
        asked = await body(request)
        first, last = check.span_of(asked.get("span"))
        return await asyncio.to_thread(self.runs.start, first, last)

    async def cancel(self, request: Request) -> dict[str, Any]:
        """End the range."""
        await body(request)
        return {"cancelled": await asyncio.to_thread(self.runs.cancel)}

    async def painted(self, request: Request) -> Response:
        """A painted picture, which its name says all about."""
        data = self.desk.session.picture(request.path_params["sha"])
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(data, media_type="image/png", headers=headers)

    async def behind(self, request: Request) -> Response:
        """The picture behind the foreground, as large as the plate is shown."""
        etag = f'"{check.text(dict(request.query_params), "path")}-{_width(request)}"'
        return await self._cached(
            request, f'"{abs(hash(etag))}"', self.desk.behind, _width(request)
        )

    async def command(self, request: Request) -> dict[str, Any]:
        """The command line of an export."""
        asked = dict(request.query_params)
        span = self.desk.session.document.span
        return await asyncio.to_thread(exporting.command, self.desk, asked, span)

    async def paint(self, request: Request) -> dict[str, Any]:
        """Take a painted trimap."""
        sides = [check.whole(request.query_params.get(n, ""), n) for n in ("width", "height")]
        packed = await received(request, painting.LARGEST_PACKED)
        frame = request.path_params["frame"]
        return await asyncio.to_thread(painting.paint, self.desk, frame, packed, *sides)

    async def from_matte(self, request: Request) -> dict[str, Any]:
        """Keep a matte as a key, or its trimap."""
        asked = await body(request)
        frame, key = check.whole(asked.get("frame"), "frame"), _key(check.text(asked, "key"))
        what = check.text(asked, "what")
        return await asyncio.to_thread(painting.from_matte, self.desk, frame, key, what)

    async def compare(self, request: Request) -> dict[str, Any]:
        """Matte a frame with another model."""
        asked = await body(request)
        changes = {"model": check.text(asked, "model"), "refine": "", "segmentation_model": ""}
        frame = check.whole(asked.get("frame"), "frame")
        return await asyncio.to_thread(partial(self.desk.matte, frame, changes, view=_view(asked)))

    async def export(self, request: Request) -> dict[str, Any]:
        """Begin an export."""
        asked = await body(request)
        span = check.span_of(asked.get("span"))
        wanted = {name: check.text(asked, name) for name in ("form", "folder", "name", "over")}
        return await asyncio.to_thread(exporting.export, self.desk, self.runs, wanted, span)

    async def train(self, request: Request) -> dict[str, Any]:
        """Begin a fine-tuning."""
        asked = await body(request)
        steps = int(check.number(asked.get("steps"), "steps", 1, 100_000))
        return await asyncio.to_thread(self.training.start, check.text(asked, "name"), steps)

    async def train_cancel(self, request: Request) -> dict[str, Any]:
        """End the fine-tuning."""
        await body(request)
        return {"cancelled": await asyncio.to_thread(self.training.cancel)}


async def received(request: Request, largest: int) -> bytes:
    """The body of a request; UsageError when it is larger than that, before it is all here."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > largest:
            raise UsageError(f"The request is larger than {largest} bytes.")
    return bytes(data)


async def body(request: Request) -> dict[str, Any]:
    """The JSON object of a request; UsageError for anything else."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise UsageError("The request is not JSON.")
    try:
        found = json.loads(await received(request, LARGEST_JSON), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"Not JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise UsageError("A request is a JSON object.")
    return found


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _width(request: Request) -> int:
    return max(0, min(LARGEST_SIDE, check.whole(request.query_params.get("width", "0"), "width")))


def _view(asked: dict[str, Any]) -> dict[str, Any] | None:
    """How a page looks at the frame that it asks for; None where it wants all of it."""
    if "width" not in asked:
        return None
    width = max(0, min(LARGEST_SIDE, check.whole(asked["width"], "width")))
    return {"width": width, "foreground": asked.get("foreground") is True}


def _key(text: str) -> str:
    if not KEY.fullmatch(text):
        raise UsageError(f"{text!r:.40} does not name results.")
    return text
