# SPDX-License-Identifier: Apache-2.0
"""Events for all pages that look at a session: what happened, told from any thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

MOST_WAITING = 1000
ALIVE_SECONDS = 15.0


class Events:
    """A list of open pages, and what each has still to be told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[asyncio.Queue[str | None], asyncio.AbstractEventLoop] = {}
        self._ended = False

    def tell(self, event: str, **facts: Any) -> None:
        """Tell every page. Thread-safe; a page that reads too slowly is dropped and opens anew."""
        text = f"event: {event}\ndata: {json.dumps(facts)}\n\n"
        with self._lock:
            pages = list(self._pages.items())
        for page, loop in pages:
            loop.call_soon_threadsafe(self._put, page, text)

    def end(self) -> None:
        """Close all pages' streams: the server ends."""
        self._ended = True
        with self._lock:
            pages = list(self._pages.items())
        for page, loop in pages:
            loop.call_soon_threadsafe(self._put, page, None)

    def _put(self, page: asyncio.Queue[str | None], text: str | None) -> None:
        if page.qsize() > MOST_WAITING:
            with self._lock:
                self._pages.pop(page, None)
            page.put_nowait(None)
            return
        page.put_nowait(text)

    async def stream(self) -> AsyncIterator[str]:
        """What one page is told, as server-sent events, until the server ends."""
        page: asyncio.Queue[str | None] = asyncio.Queue()
        with self._lock:
            self._pages[page] = asyncio.get_running_loop()
        try:
            yield "event: hello\ndata: {}\n\n"
            while not self._ended:
                try:
                    async with asyncio.timeout(ALIVE_SECONDS):
                        text = await page.get()
                except TimeoutError:
                    text = ": alive\n\n"
                if text is None:
                    return
                yield text
        finally:
            with self._lock:
                self._pages.pop(page, None)
