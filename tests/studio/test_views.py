# SPDX-License-Identifier: Apache-2.0
"""Looks at a frame: the library's pixels at the page's size, and no more work than is seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.errors import InputError
from matte_nodes.media.resize import resized
from matte_nodes.render.view import View
from matte_nodes.service.client import ServiceError
from matte_nodes.studio import painting
from matte_nodes.studio.desk import Desk
from matte_nodes.studio.places import Places
from matte_nodes.studio.session import Session
from tests.service.serving import serving
from tests.studio.rig import FIRST, centre, made_clip

WIDTH, HEIGHT = 160, 90
LOOK = {"width": WIDTH, "foreground": False}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with serving(tmp_path_factory.mktemp("views") / "home") as found:
        yield found


@pytest.fixture
def desk(tmp_path: Path, here: Any) -> Desk:
    """A session with clicks on two objects, matted by `click`."""
    session = Session.new(tmp_path / "session", made_clip(tmp_path / "clip", 3))
    session.apply({"edit": "set", "model": "click"})
    x, y = centre(FIRST)
    for name, place in (("the-ball", (x, y)), ("ground", (300, 20))):
        session.apply({"edit": "object_add", "name": name})
        mark = {"edit": "click", "frame": FIRST, "object": name, "x": place[0], "y": place[1]}
        session.apply(mark)
    return Desk(session, Places.of([tmp_path, session.folder]), here.client)


def codes(desk: Desk, key: str, part: str, width: int = WIDTH) -> Any:
    data, _ = desk.picture(key, FIRST, part, width)
    return cv2.imdecode(np.frombuffer(data, np.uint8), -1)


def test_a_look_has_the_pixels_of_the_file(desk: Desk) -> None:
    """One code at most lies between: a view is kept in half floats."""
    desk.edit({"edit": "knob", "name": "shrink", "value": 1.5})
    key = desk.matte(FIRST, view={"width": WIDTH, "foreground": True})["key"]
    assert desk.results.path(key, FIRST) is None
    parts = ("alpha", "foreground", "object.the-ball", "object.ground")
    looks = {part: codes(desk, key, part) for part in parts}
    desk.matte(FIRST)
    whole = desk.results.shown(key, FIRST)
    assert whole.alpha.shape == (180, 320)
    for part in parts:
        assert looks[part].shape[:2] == (HEIGHT, WIDTH)
        # Where there is hardly a subject, its straight colour is a small number by a small one.
        seen = resized(whole.alpha, (HEIGHT, WIDTH)) > 0.02
        difference = np.abs(looks[part].astype(int) - codes(desk, key, part))[seen]
        assert difference.max() <= 1, part
    assert looks["object.the-ball"].max() == 255


def test_a_look_at_the_alpha_solves_no_foreground(desk: Desk) -> None:
    key = desk.matte(FIRST, view=LOOK)["key"]
    view = desk.results.view(key, FIRST)
    assert view is not None
    assert (view.size, view.premultiplied) == ((WIDTH, HEIGHT), None)
    assert set(view.objects) == {"the-ball", "ground"}
    assert codes(desk, key, "foreground").shape == (HEIGHT, WIDTH, 3)  # made when it is asked for
    view = desk.results.view(key, FIRST)
    assert view is not None
    assert view.premultiplied is not None


def test_zooming_makes_the_size_that_is_seen(desk: Desk) -> None:
    key = desk.matte(FIRST, view=LOOK)["key"]
    assert codes(desk, key, "alpha", 0).shape == (180, 320)
    assert desk.state()["done"] == [FIRST]
    assert desk.results.files(key) == set()


def test_values_and_keys_are_of_the_full_size(desk: Desk) -> None:
    x, y = centre(FIRST)
    key = desk.matte(FIRST, view=LOOK)["key"]
    assert desk.value(FIRST, x, y, key)["alpha"] == 1
    painting.from_matte(desk, FIRST, key, "key")
    kept = cv2.imread(str(desk.session.folder / f"keys/key.{FIRST}.png"), cv2.IMREAD_UNCHANGED)
    assert kept.shape == (180, 320)


def test_an_older_result_is_never_made_with_newer_settings(desk: Desk) -> None:
    """B of a comparison: what is not kept of it cannot be made again, and is not invented."""
    old = desk.matte(FIRST, view=LOOK)["key"]
    before = codes(desk, old, "alpha")
    desk.edit({"edit": "knob", "name": "shrink", "value": 4.0})
    new = desk.matte(FIRST, view=LOOK)["key"]
    assert not np.array_equal(codes(desk, new, "alpha"), before)
    assert np.array_equal(codes(desk, old, "alpha", 0), before)  # small, but its own
    with pytest.raises(InputError, match="older result"):
        codes(desk, old, "foreground")
    with pytest.raises(InputError, match="older result"):
        desk.value(FIRST, 5, 5, old)


def test_a_look_that_cannot_be_is_refused(desk: Desk) -> None:
    for view in ({"width": -1}, {"width": 1 << 20}, {"width": "all"}, {"depth": 3}):
        with pytest.raises(ServiceError, match=r"(?i)view"):
            desk.client.frame({**desk.request(), "view": view}, FIRST)
    asked = {**desk.request(), "view": LOOK, "output": "out.####.exr"}
    with pytest.raises(ServiceError, match="no output"):
        desk.client.frame(asked, FIRST)


def test_a_view_is_read_as_it_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    alpha, product = rng.random((4, 6)), rng.random((4, 6, 3))
    view = View(np.float16(alpha), np.float16(product), {"a-b": np.float16(alpha)}, "ACEScg")
    view.save(tmp_path / "frame.view")
    found = View.load(tmp_path / "frame.view")
    assert np.array_equal(found.alpha, view.alpha)
    assert np.array_equal(found.premultiplied, view.premultiplied)
    assert np.array_equal(found.objects["a-b"], view.alpha)
    assert found.colorspace == "ACEScg"
    (tmp_path / "frame.view").write_bytes(b"something else")
    with pytest.raises(InputError, match="no look at a frame"):
        View.load(tmp_path / "frame.view")
