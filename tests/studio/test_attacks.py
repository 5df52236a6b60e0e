# SPDX-License-Identifier: Apache-2.0
"""Who is not this page gets nothing from Studio, and what the page names stays inside."""

from __future__ import annotations

import gzip
import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from tests.publish.browser import browser, needs_browser
from tests.studio.driver import settled, state
from tests.studio.rig import FIRST, SIZE, Studio, made_clip, studio

pytestmark = [pytest.mark.xdist_group("studio"), pytest.mark.timeout(600)]

HOSTILE = "a<img src=x onerror=window.pwned=1>b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("attacks")
    (place / "secret").mkdir()
    made_clip(place / "secret", 2)
    return place


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Studio]:
    """A Studio that may open the folder of its clip alone; the clip has a name with script in it."""
    made_clip(folder / "inside", 3)
    for path in (folder / "inside").glob("plate.*.png"):
        path.rename(path.with_name(path.name.replace("plate", HOSTILE)))
    (folder / "inside" / "link").symlink_to(folder / "secret")
    (folder / "inside" / "file.png").symlink_to(folder / "secret" / f"plate.{FIRST}.png")
    plate = str(folder / "inside" / f"{HOSTILE}.####.png")
    with studio(plate, folder / "home", "--root", str(folder / "inside")) as found:
        yield found


@pytest.fixture(scope="module")
def entered(running: Studio) -> Studio:
    """The same, with the token exchanged. It must work: else every refusal below proves nothing."""
    running.enter()
    status, found = running.ask("/api/state")
    assert status == 200
    assert found["plate"]["frames"] == [FIRST, FIRST + 1, FIRST + 2]
    return running


def raw(running: Studio, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request with exactly these headers."""
    host = running.origin.removeprefix("http://")
    line = http.client.HTTPConnection(host, timeout=60)
    try:
        line.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host, **headers}.items():
            line.putheader(name, value)
        line.endheaders()
        answer = line.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        line.close()


def mine(running: Studio) -> dict[str, str]:
    return {"Cookie": running.cookie, "X-Studio-Key": running.key}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example", "", "[::1]"]
)
def test_another_host_name_is_refused(entered: Studio, host: str) -> None:
    """DNS rebinding: the browser sends the name that the page was opened by."""
    status, _, content = raw(entered, "/api/state", **{**mine(entered), "Host": host})
    assert status in (400, 403)
    assert b"plate" not in content


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"]
)
def test_another_origin_is_refused(entered: Studio, origin: str) -> None:
    assert raw(entered, "/api/state", **mine(entered), Origin=origin)[0] == 403
    status, _ = entered.ask("/api/edit", {"edit": "undo"}, headers={"Origin": origin})
    assert status == 403


def test_a_request_of_another_site_without_an_origin_is_refused(entered: Studio) -> None:
    for site in ("cross-site", "same-site"):
        assert raw(entered, "/api/state", **mine(entered), **{"Sec-Fetch-Site": site})[0] == 403
    assert entered.ask("/api/edit", {"edit": "undo"}, headers={"Origin": None})[0] == 403


def test_a_wrong_or_reused_token_is_refused(entered: Studio) -> None:
    used = entered.address.removeprefix(entered.origin)
    for path in (used, "/?token=", "/?token=wrong", "/?token=" + "A" * 43, "/?x=1&token=%00"):
        status, headers, _ = raw(entered, path)
        assert status == 403, path
        assert "set-cookie" not in headers


def test_cookie_and_key_are_both_needed(entered: Studio) -> None:
    """A cookie of 127.0.0.1 is sent to every port: another user's server may know it."""
    for headers in ({}, {"Cookie": entered.cookie}, {"X-Studio-Key": entered.key},
                    {"Cookie": entered.cookie, "X-Studio-Key": "x"},
                    {"Cookie": entered.cookie[:-1], "X-Studio-Key": entered.key}):  # fmt: skip
        assert raw(entered, "/api/state", **headers)[0] == 403
    for path in ("/", "/static/main.js", "/nothing"):
        assert raw(entered, path)[0] == 403
    assert raw(entered, "/static/main.js", Cookie=entered.cookie)[0] == 200


def test_every_answer_has_the_strict_policy(entered: Studio) -> None:
    for path in ("/", "/static/main.js", "/api/state", "/nothing"):
        _, headers, _ = raw(entered, path, **mine(entered))
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    _, headers, _ = raw(entered, "/", Cookie="")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def outside(folder: Path) -> list[str]:
    """Names of what must not be opened."""
    return [
        str(folder / "secret" / "plate.####.png"),
        "../secret/plate.####.png",
        "link/plate.####.png",
        str(folder / "inside" / "link" / f"plate.{FIRST}.png"),
        "file.png",
        "/etc/passwd",
        "~/x.png",
        "link/../../secret",
    ]


def test_paths_outside_of_the_root_are_refused(entered: Studio, folder: Path) -> None:
    for path in outside(folder):
        for asked in (
            {"edit": "hint", "name": "background", "path": path},
            {"edit": "hint", "name": "trimap", "path": path},
            {"edit": "set", "behind": path},
            {"edit": "set", "ocio": path},
            {"edit": "set", "model": path + ".onnx"},
            {"edit": "set", "refine": path + ".ONNX"},
        ):
            status, found = entered.ask("/api/edit", asked)
            assert status == 422, asked
            assert any(w in found["error"] for w in ("lies outside", "there is no such file")), (
                found
            )
    assert entered.ask("/api/state")[1]["session"]["hints"] == {}


def test_only_folders_inside_of_the_root_are_listed(entered: Studio, folder: Path) -> None:
    for path in (
        "/",
        str(folder),
        str(folder / "secret"),
        "../secret",
        "link",
        "~",
        "link/..//../secret",
    ):
        status, found = entered.ask(f"/api/list?path={quote(path)}")
        assert status == 422, (path, found)
        assert "plate" not in found["error"].replace(path, "")
    status, found = entered.ask("/api/list?path=")
    assert status == 200
    assert str(folder / "inside") in [one["path"] for one in found["entries"]]
    status, found = entered.ask(f"/api/list?path={quote(str(folder / 'inside'))}")
    assert status == 200
    assert found["above"] == ""
    assert [one["name"] for one in found["entries"]] == [f"{HOSTILE}.####.png"]  # and no link


def test_a_folder_that_is_not_there_shows_the_one_above(entered: Studio, folder: Path) -> None:
    path = quote(str(folder / "inside" / "not" / "there"))
    status, found = entered.ask(f"/api/list?path={path}")
    assert status == 200
    assert found["path"] == str(folder / "inside")


def test_an_export_outside_of_the_root_is_refused(entered: Studio, folder: Path) -> None:
    for place, name in (
        (str(folder / "secret"), "x"), ("link", "x"), ("..", "x"), ("/tmp", "x"),
        ("", "../../x"), ("", "a/b"), ("", ".."), ("", "a\0b"), (str(folder / "inside"), "x"),
    ):  # fmt: skip
        asked = {"form": "", "folder": place, "name": name, "span": [FIRST, FIRST]}
        status, _ = entered.ask("/api/export", asked)
        assert status == 422, (place, name)
    assert len(list((folder / "secret").iterdir())) == 2


def test_files_beside_the_page_cannot_be_read(entered: Studio) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py",
                 "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/..\\app.py"):  # fmt: skip
        status, _, content = raw(entered, path, **mine(entered))
        assert status in (400, 404), path
        assert b"starlette" not in content


def plane(value: int = 128) -> bytes:
    return bytes([value]) * (SIZE[0] * SIZE[1])


SIDES = f"?width={SIZE[1]}&height={SIZE[0]}"


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("nothing", b""),
        ("no gzip", b"x" * 100),
        ("cut off", gzip.compress(plane(), mtime=0)[:-9]),
        ("too short", gzip.compress(plane()[:-1], mtime=0)),
        ("too long", gzip.compress(plane() + b"\x80", mtime=0)),
        ("two members", gzip.compress(plane(), mtime=0) * 2),
        ("other numbers", gzip.compress(plane(7), mtime=0)),
        ("a bomb", gzip.compress(b"\0" * (64 << 20), mtime=0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_painting_is_refused(entered: Studio, what: str, content: bytes) -> None:
    status, _ = entered.ask(f"/api/paint/{FIRST}{SIDES}", raw=content)
    assert status == 422, what
    assert entered.ask("/api/state")[1]["session"]["trimaps"] == {}


def test_paintings_of_another_size_or_frame_are_refused(entered: Studio) -> None:
    half = SIZE[0] * SIZE[1] // 2
    good = gzip.compress(bytes(half) + b"\xff" * half, mtime=0)
    for path in (f"/api/paint/{FIRST}?width=100000&height=100000", f"/api/paint/{FIRST}?width=-1&height=1",
                 f"/api/paint/{FIRST}", f"/api/paint/9{SIDES}"):  # fmt: skip
        assert entered.ask(path, raw=good)[0] == 422, path
    assert (
        entered.ask(f"/api/paint/{FIRST}{SIDES}", raw=good)[0] == 200
    )  # and the right one is taken
    assert entered.ask("/api/edit", {"edit": "undo"})[0] == 200


def test_a_huge_request_is_refused_before_it_is_all_read(entered: Studio) -> None:
    status, found = entered.ask(
        "/api/edit", raw=b" " * (2 << 20), headers={"Content-Type": "application/json"}
    )
    assert status == 422
    assert "larger" in found["error"]


@pytest.mark.parametrize(
    "asked",
    [
        [], "x", None, {"edit": "__class__"}, {"edit": ["set"]}, {"edit": "set", "plate": "/etc/passwd"},
        {"edit": "set", "model": "no-such-model"}, {"edit": "knob", "name": "../x", "value": 1},
        {"edit": "knob", "name": "shrink", "value": {"a": 1}}, {"edit": "knob", "name": "shrink", "value": 1e9},
        {"edit": "click", "frame": FIRST, "x": "1", "y": 1}, {"edit": "click", "frame": 10**40, "x": 1, "y": 1},
        {"edit": "click", "frame": FIRST, "x": 1e300, "y": 1}, {"edit": "box", "frame": FIRST, "box": [1]},
        {"edit": "object_add", "name": "<script>"}, {"edit": "object_add", "name": "a" * 100},
        {"edit": "object_set", "object": "nobody"}, {"edit": "span", "span": [1, 2, 3]},
        {"edit": "span", "span": [1, 2]}, {"edit": "hint", "name": "points", "path": "x"},
        {"edit": "set", "colorspace": "a\nb"}, {"edit": "set", "colorspace": "no such space"},
    ],
)  # fmt: skip
def test_an_edit_that_is_none_changes_nothing(entered: Studio, asked: Any) -> None:
    before = entered.ask("/api/state")[1]["session"]
    status, found = entered.ask(
        "/api/edit", raw=json.dumps(asked).encode(), headers={"Content-Type": "application/json"}
    )
    assert status == 422
    assert found["error"][0].isupper() or found["error"][0] in "'\"", found
    assert entered.ask("/api/state")[1]["session"] == before


def test_json_that_is_none_is_refused(entered: Studio) -> None:
    for text in (b"{", b"[" * 100_000, b'{"edit": NaN}', b"\xff", b'{"edit":"undo"}'):
        kind = "text/plain" if text.endswith(b"}") and b"undo" in text else "application/json"
        assert entered.ask("/api/edit", raw=text, headers={"Content-Type": kind})[0] == 422


def test_addresses_of_results_name_nothing_else(entered: Studio) -> None:
    for path in ("/api/matte/../1001/alpha", "/api/matte/0000000000000000/1001/alpha",
                 "/api/matte/%2e%2e%2f%2e%2e/1001/alpha", "/api/painted/..%2fsession.json",
                 "/api/painted/" + "0" * 64, "/api/plate/99", f"/api/plate/{FIRST}?width=x"):  # fmt: skip
        assert entered.ask(path)[0] in (404, 422), path


def test_a_frame_that_is_a_link_to_the_outside_is_refused(entered: Studio, folder: Path) -> None:
    place = folder / "inside" / "sequence"
    place.mkdir()
    for number in (FIRST, FIRST + 1):
        (place / f"clean.{number}.png").symlink_to(folder / "secret" / f"plate.{number}.png")
    asked = {"edit": "hint", "name": "background", "path": str(place / "clean.####.png")}
    status, found = entered.ask("/api/edit", asked)
    assert status == 422
    assert "lies outside" in found["error"]


def test_the_session_folder_is_private_to_nobody_else(entered: Studio) -> None:
    """What the page may not name is not written either: the session holds its own files alone."""
    names = {path.name for path in entered.session.iterdir()}
    assert names <= {"session.json", "points.json", "hints", "keys", "mattes"}
    assert os.path.realpath(entered.session) == str(entered.session)


@needs_browser
def test_script_in_names_of_files_is_shown_and_never_run(folder: Path, tmp_path: Path) -> None:
    plate = str(folder / "inside" / f"{HOSTILE}.####.png")
    with (
        studio(plate, tmp_path / "home", "--root", str(folder / "inside")) as fresh,
        browser(tmp_path / "chromium", 1280, 800) as page,
    ):
        fresh.open(page)
        settled(page, "s.declarations !== null", 120)
        assert page.run("document.getElementById('clip-name').textContent") == f"{HOSTILE}.####.png"
        assert page.run("window.pwned") is None
        assert page.run("document.querySelectorAll('img').length") == 0
        assert page.errors == []
        # Another site in the same browser: it can neither read nor send.
        page.send("Page.navigate", url="data:text/html,<p>evil</p>")
        page.until("document.querySelector('p')?.textContent === 'evil'")
        for how in (
            "{}",
            "{mode: 'no-cors'}",
            "{mode: 'no-cors', method: 'POST', body: '{}'}",
            "{credentials: 'include'}",
        ):
            seen = page.run(
                f"fetch('{fresh.origin}/api/state', {how}).then(r => r.text(), () => '')"
            )
            assert seen == "", how
        page.send("Page.navigate", url=fresh.origin + "/")
        page.until("document.documentElement?.dataset.ready === 'yes'")  # the cookie still works
        assert state(page, "server")["revision"] == 0
        assert np.isfinite(page.run("document.getElementById('screen').width"))
