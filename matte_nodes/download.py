# SPDX-License-Identifier: Apache-2.0
"""Fetches a file from an address: goes on where a cut download stopped, follows mirrors and proxies.

The file's hash is the caller's to check. Proxies are those of the environment (`https_proxy`,
`no_proxy`), as everywhere in Python.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from matte_nodes.errors import WeightsError

HUB = "https://huggingface.co"
MIRRORS: Mapping[str, str] = {HUB: "HF_ENDPOINT", "https://github.com": "MATTE_GITHUB_ENDPOINT"}
"""Publishers' hosts, and the environment variables that put a mirror in their place."""

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Environment variables with a token of the hub; it is sent only where the hub asks for one."""

TIMEOUT_SECONDS = 60.0
PATIENCE = 5
"""How often in a row a download may be cut without a byte more."""
WAIT_SECONDS = 1.0
_PIECE = 1 << 20

Say = Callable[[str], None]


class _CutError(Exception):
    """The connection ended before the file did."""


def fetch(address: str, to: Path, *, size: int = 0, say: Say = lambda text: None) -> None:
    """Write the file at an address to `to`, or the rest of it where `to` holds its beginning.

    size: its bytes, 0 when that is not known. A cut connection is taken up again, and what came
    stays in `to` when it cannot be: the next call goes on there.

    Raises WeightsError for an address that is refused, gated, missing, too large or unreachable,
    and when the disk has no room.
    """
    address = mirrored(address)
    check_address(address)
    failures = 0
    while True:
        before = _length(to)
        try:
            _get(address, to, size, say)
        except _CutError as cut:
            failures = failures + 1 if _length(to) <= before else 0
            if failures >= PATIENCE:
                raise WeightsError(
                    f"the connection broke {PATIENCE} times ({cut}); {_length(to):,} bytes came. "
                    "Run the same command again: it goes on there"
                ) from cut
            say(f"the connection broke after {_length(to):,} bytes ({cut}): going on there")
            time.sleep(WAIT_SECONDS)
        else:
            return


def mirrored(address: str) -> str:
    """The address on the mirror that the environment names for its host, or the address itself."""
    for home, variable in MIRRORS.items():
        mirror = os.environ.get(variable, "").strip().rstrip("/")
        if mirror and address.startswith(f"{home}/"):
            return mirror + address.removeprefix(home)
    return address


def check_address(address: str) -> None:
    """Raise WeightsError unless it is https, this machine, or under a mirror of the user's.

    A plain address could be swapped on the way. The hash would catch that, but late.
    """
    parts = urlsplit(address)
    mine = any(
        mirror and address.startswith(mirror.rstrip("/") + "/")
        for mirror in (os.environ.get(variable, "").strip() for variable in MIRRORS.values())
    )
    if parts.scheme == "https" or (parts.scheme == "http" and (mine or _is_here(parts.hostname))):
        return
    raise WeightsError("not an https address")


def _is_here(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to allowed addresses, and never takes a token to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        """The next request, without the token when its host is another."""
        check_address(newurl)
        made = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if made is not None and _origin(newurl) != _origin(req.full_url):
            made.remove_header("Authorization")
        return made


def _open(address: str, begin: int, token: str) -> http.client.HTTPResponse:
    headers = {"Accept-Encoding": "identity", "User-Agent": "matte-nodes"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    if token:
        headers["Authorization"] = f"Bearer {token}"
    asked = quote(address, safe=":/?&=%@+,;~!$'()*#[]")
    opener = urllib.request.build_opener(_Redirects())
    answer: http.client.HTTPResponse = opener.open(
        urllib.request.Request(asked, headers=headers), timeout=TIMEOUT_SECONDS
    )
    return answer


def _token(address: str) -> str:
    """The hub's token, for addresses of the hub or its mirror that nobody on the way can read."""
    if _origin(address) != _origin(mirrored(HUB + "/")):
        return ""
    parts = urlsplit(address)
    if parts.scheme != "https" and not _is_here(parts.hostname):
        return ""
    return next((os.environ[name].strip() for name in TOKENS if os.environ.get(name)), "")


def _answer(address: str, begin: int) -> http.client.HTTPResponse:
    """The opened answer; with the token only when the address asks for one."""
    try:
        return _open(address, begin, "")
    except urllib.error.HTTPError as error:
        token = _token(address)
        if error.code not in (401, 403) or not token:
            raise
    return _open(address, begin, token)


def _get(address: str, to: Path, size: int, say: Say) -> None:
    """One request for what `to` does not hold yet. Raises _CutError when it ends early."""
    begin = _length(to)
    if size and begin > size:
        to.unlink()
        begin = 0
    if size and begin == size:
        return
    free = shutil.disk_usage(to.parent).free
    if size and free < size - begin:
        raise WeightsError(f"{size - begin:,} bytes are to come, the disk has room for {free:,}")
    try:
        with _answer(address, begin) as answer:
            begin = _continued(answer, begin)
            _write(answer, to, begin, size, say)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            to.unlink(missing_ok=True)
            raise _CutError("the part was no beginning of the file") from error
        if error.code == 429 or error.code >= 500:
            raise _CutError(f"HTTP {error.code}") from error
        raise _refusal(address, error) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionError) and begin:
            raise _CutError(str(error.reason)) from error
        raise WeightsError(f"cannot be reached ({error.reason})") from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _CutError(str(error) or type(error).__name__) from error


def _continued(answer: http.client.HTTPResponse, begin: int) -> int:
    """Where the answer's bytes belong: at `begin` when the server goes on there, else at 0."""
    told = answer.headers.get("Content-Range", "")
    return begin if answer.status == 206 and told.startswith(f"bytes {begin}-") else 0


def _write(answer: http.client.HTTPResponse, to: Path, begin: int, size: int, say: Say) -> None:
    told = answer.headers.get("Content-Length")
    whole = begin + int(told) if told and told.isdigit() else size
    if size and whole != size:
        raise WeightsError(f"has {whole:,} bytes, not the {size:,} that were published")
    done, tenth = begin, begin * 10 // whole if whole else 0
    with to.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        file.truncate()
        while piece := answer.read(_PIECE):
            done += len(piece)
            if whole and done > whole:
                raise WeightsError(f"sends more than the {whole:,} bytes that were published")
            file.write(piece)
            if whole and done * 10 // whole > tenth and whole > 10 * _PIECE:
                tenth = done * 10 // whole
                say(f"{done / 1e6:,.0f} of {whole / 1e6:,.0f} MB")
    if whole and done < whole:
        raise _CutError(f"{done:,} of {whole:,} bytes")


def _refusal(address: str, error: urllib.error.HTTPError) -> WeightsError:
    if error.code not in (401, 403):
        return WeightsError(f"HTTP {error.code}: {error.reason}")
    hub = mirrored(HUB + "/")
    if not address.startswith(hub):
        return WeightsError(f"HTTP {error.code}: the publisher gives it only to its users")
    name = address.removeprefix(hub).partition("/resolve/")[0]
    if _token(address):
        return WeightsError(
            f"HTTP {error.code}: the token in {TOKENS[0]} opens no way to {name}. Accept its terms "
            f"at {HUB}/{name} with the account of that token"
        )
    return WeightsError(
        f"HTTP {error.code}: {name} is gated. Accept its terms at {HUB}/{name}, make a token for "
        f"reading there, and set {TOKENS[0]}"
    )


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
