# SPDX-License-Identifier: Apache-2.0
"""Guard: who may speak to the page's server. It stands before every address of it.

Loopback alone is no protection: any web site can make a browser send requests to this machine, and
a name of the site's own can be bound to 127.0.0.1 (DNS rebinding). So `Host` must name this
machine, `Origin` and `Sec-Fetch-Site` must be this page's, a cookie proves that this browser had
the address with the token, and a key in a header that this page has it: browsers send cookies of
127.0.0.1 to every port of it, also to another user's.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
KEY_HEADER = "x-studio-key"


class Guard:
    """Passes on what the page of this start asks, and nothing else.

    port: the server's. token: goes into the address that is opened, and works once.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app, self._port = app, port
        self.token = secrets.token_urlsafe(32)
        self._unused = True
        self._cookie, self._key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """The address to open in a browser, once."""
        return f"http://127.0.0.1:{self._port}/?token={self.token}"

    @property
    def cookie_name(self) -> str:
        """Cookies of one machine are shared by its ports, so the name holds the port."""
        return f"matte_studio_{self._port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, sealed)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, method = Headers(scope=scope), scope["method"]
        own = {f"127.0.0.1:{self._port}", f"localhost:{self._port}"}
        host = headers.get("host", "")
        if host not in own:
            return _refused("This server answers to 127.0.0.1 and localhost only.")
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return _refused("Another web site asked. Only the page of this server may.")
        if method not in ("GET", "HEAD") and "origin" not in headers:
            return _refused("The request does not say which page it comes from.")
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none"):
            return _refused("Another web site asked. Only the page of this server may.")
        if scope["path"] == "/" and b"token=" in scope["query_string"]:
            return self._exchanged(scope)
        if not self._knows_cookie(headers):
            return _refused(
                "Open the address that `matte studio` printed. It works once; start Studio again "
                "for another one."
            )
        if scope["path"].startswith("/api/") and not _same(headers.get(KEY_HEADER), self._key):
            return _refused("The page has no key. Open the address that `matte studio` printed.")
        return None

    def _exchanged(self, scope: Scope) -> Response:
        given = scope["query_string"].decode("latin-1").partition("token=")[2]
        with self._lock:
            fits = self._unused and _same(given, self.token)
            if fits:
                self._unused = False
        if not fits:
            return _refused("This address was used already, or is wrong. Start Studio again.")
        # The part behind # never leaves the browser; the page keeps it for its own origin.
        answer = RedirectResponse(f"/#key={self._key}", 303)
        answer.set_cookie(
            self.cookie_name, self._cookie, httponly=True, samesite="strict", path="/"
        )
        return answer

    def _knows_cookie(self, headers: Headers) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return False
        return found is not None and _same(found.value, self._cookie)


def _same(given: str | None, right: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), right.encode())


def _refused(reason: str) -> Response:
    return PlainTextResponse(reason + "\n", 403)
