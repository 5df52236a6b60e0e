# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium: fingers and pen, in and out points, the inputs, the file chooser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from tests.publish.browser import Page, browser, needs_browser
from tests.studio.driver import (
    box_by,
    click_at,
    fill,
    key,
    mouse,
    on_screen,
    pen,
    press,
    settled,
    state,
    touch,
)
from tests.studio.rig import FIRST, Studio, centre, made_clip, studio

pytestmark = [pytest.mark.xdist_group("studio"), pytest.mark.timeout(1200), needs_browser]

COUNT = 5
LAST = FIRST + COUNT - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip, and beside it a mask, a clean plate in a folder, and a link that leads outside."""
    place = tmp_path_factory.mktemp("inputs")
    root = place / "root"
    made_clip(root / "clip", COUNT)
    made_clip(place / "secret", 2)
    mask = np.zeros((180, 320), np.uint8)
    mask[:, :200] = 255
    (root / "hints").mkdir()
    cv2.imwrite(str(root / "hints" / "mask.png"), mask)
    cv2.imwrite(str(root / "hints" / "behind.png"), np.full((180, 320, 3), 90, np.uint8))
    (root / "out").mkdir()
    (root / "escape").symlink_to(place / "secret")
    return root


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("home")
    plate = str(folder / "clip" / "plate.####.png")
    with studio(plate, home, "--root", str(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def page(running: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium"), 1280, 800) as found:
        found.send("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)
        running.open(found)
        press(found, "Matte by itself")  # off: these tests want no mattes
        yield found
        assert found.errors == []


def session_of(running: Studio) -> dict[str, Any]:
    return dict(json.loads((running.session / "session.json").read_text()))


def painted(running: Studio, frame: int) -> Any:
    path = running.session / f"hints/trimap.{frame}.png"
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def to_frame(page: Page, frame: int) -> None:
    away = frame - state(page, "frame")
    for _ in range(abs(away)):
        key(page, "ArrowRight" if away > 0 else "ArrowLeft")
    page.until(f"document.getElementById('screen').dataset.frame === '{frame}'")


def test_a_tap_of_a_finger_is_a_click_on_the_subject(running: Studio, page: Page) -> None:
    x, y = centre(FIRST)
    at = on_screen(page, x, y)
    touch(page, "touchStart", at)
    touch(page, "touchEnd")
    settled(page, f"s.server.session.objects[0]?.frames['{FIRST}']?.subject?.length === 1")
    assert session_of(running)["objects"][0]["frames"] == {str(FIRST): {"subject": [[x, y]]}}


def test_two_fingers_zoom_and_make_no_click(running: Studio, page: Page) -> None:
    before, clicks = state(page, "zoom"), session_of(running)["objects"]
    touch(page, "touchStart", (400, 300))
    touch(page, "touchStart", (400, 300), (500, 300))
    for step in range(1, 6):
        touch(page, "touchMove", (400 - 10 * step, 300), (500 + 10 * step, 300))
    touch(page, "touchEnd")
    settled(page, f"s.zoom.scale > {before['scale']} * 1.6")
    assert state(page, "zoom")["scale"] < before["scale"] * 2.4
    assert session_of(running)["objects"] == clicks
    key(page, "f")
    settled(page, f"Math.abs(s.zoom.scale - {before['scale']}) < 0.001")


def test_a_finger_draws_a_box(running: Studio, page: Page) -> None:
    to_frame(page, FIRST + 1)
    key(page, "x")
    touch(page, "touchStart", on_screen(page, 40, 30))
    touch(page, "touchMove", on_screen(page, 100, 90))
    touch(page, "touchMove", on_screen(page, 150, 150))
    touch(page, "touchEnd")
    settled(page, f"s.server.session.objects[0]?.frames['{FIRST + 1}']?.box")
    box = session_of(running)["objects"][0]["frames"][str(FIRST + 1)]["box"]
    assert np.abs(np.subtract(box, (40, 30, 150, 150))).max() <= 1
    key(page, "c")


def stroke(page: Page, row: int, force: float) -> None:
    """A level stroke of the pen over the picture."""
    pen(page, "mousePressed", *on_screen(page, 40, row), force)
    for x in range(60, 281, 20):
        pen(page, "mouseMoved", *on_screen(page, x, row), force)
    pen(page, "mouseReleased", *on_screen(page, 280, row), 0)


def test_a_pen_paints_wider_with_more_pressure(running: Studio, page: Page) -> None:
    to_frame(page, FIRST + 2)
    key(page, "p")
    press(page, "Subject", "#pane")
    stroke(page, 40, 0.25)
    settled(page, f"s.server.session.trimaps['{FIRST + 2}'] && s.busy === ''", 200)
    first = state(page, "server")["session"]["trimaps"][str(FIRST + 2)]["sha"]
    stroke(page, 130, 1.0)
    settled(
        page, f"s.server.session.trimaps['{FIRST + 2}'].sha !== '{first}' && s.busy === ''", 200
    )
    plane = painted(running, FIRST + 2)
    light = int((plane[10:80, 240] == 255).sum())
    hard = int((plane[100:170, 240] == 255).sum())
    assert light > 0
    assert 2.5 * light < hard
    key(page, "c")


OUTSIDE = """
[...document.querySelectorAll('#top *, #tools *, #panel *, #time *, #status *')].filter(one => {
  const box = one.getBoundingClientRect();
  const isCut = one.children.length === 0 && one.scrollWidth > one.clientWidth + 1 && one.textContent.trim()
    && getComputedStyle(one).overflowX !== 'visible' && !one.closest('#message');
  const isOut = box.right > innerWidth + 1 || box.left < -1
    || (box.bottom > innerHeight + 1 && !one.closest('#pane'));
  return one.offsetParent && (isCut || isOut);
}).map(one => `${one.tagName} ${one.id} ${one.textContent.slice(0, 40)}`)
"""


@pytest.mark.parametrize("size", [(1280, 800), (1024, 768), (768, 1024)])
def test_nothing_is_cut_off_on_a_tablet(page: Page, size: tuple[int, int]) -> None:
    """Lying and upright; every panel."""
    page.send(
        "Emulation.setDeviceMetricsOverride",
        width=size[0], height=size[1], deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    try:
        page.until(f"innerWidth === {size[0]}")
        for panel in ("Model", "Run", "Fine-tune", "Select"):
            press(page, panel, "#tabs")
            assert page.run(OUTSIDE) == [], panel
    finally:
        page.send("Emulation.clearDeviceMetricsOverride")
        page.until("innerWidth === 1280")


def test_in_and_out_points_bound_the_run_and_the_export(running: Studio, page: Page) -> None:
    to_frame(page, FIRST + 1)
    key(page, "i")
    settled(page, f"s.server.session.span?.[0] === {FIRST + 1}")
    to_frame(page, FIRST + 3)
    key(page, "o")
    settled(page, f"s.server.session.span?.[1] === {FIRST + 3}")
    assert session_of(running)["span"] == [FIRST + 1, FIRST + 3]
    press(page, "Run", "#tabs")
    page.until(f"document.getElementById('command')?.textContent.includes('--frames={FIRST + 1}-{FIRST + 3}')"
               f" || document.getElementById('command')?.textContent.includes('--frames {FIRST + 1}-{FIRST + 3}')")  # fmt: skip
    assert page.run(
        "[...document.querySelectorAll('#pane button')].find(b => b.textContent === 'Run range').title"
    ) == f"Matte {FIRST + 1}-{FIRST + 3} (R)"  # fmt: skip
    # An in point behind the out point moves the other one, or is refused: it never turns them round.
    to_frame(page, LAST)
    key(page, "i")
    page.run("new Promise(done => setTimeout(done, 300))")
    first, last = session_of(running)["span"]
    assert first <= last
    key(page, "z", ctrl=True)
    settled(page, f"s.server.session.span?.[0] === {FIRST + 1}")


def open_inputs(page: Page) -> None:
    """The panel Model with its group Inputs open."""
    press(page, "Model", "#tabs")
    page.until("[...document.querySelectorAll('summary')].some(s => s.textContent === 'Inputs')")
    summary = "[...document.querySelectorAll('summary')].find(s => s.textContent === 'Inputs')"
    if not page.run(f"{summary}.parentElement.open"):
        x, y, width, height = box_by(page, summary)
        click_at(page, x + width / 2, y + height / 2)
    page.until(f"{summary}.parentElement.open")


def test_an_input_that_is_typed_is_taken(running: Studio, page: Page, folder: Path) -> None:
    open_inputs(page)
    fill(page, "#input-segmentation", "hints/mask.png")
    settled(page, "s.server.session.hints.segmentation")
    assert session_of(running)["hints"] == {"segmentation": str(folder / "hints" / "mask.png")}
    fill(page, "#input-segmentation", " ")
    settled(page, "!s.server.session.hints.segmentation")


def test_a_colour_space_that_is_none_is_said(running: Studio, page: Page) -> None:
    open_inputs(page)
    fill(page, "#input-colorspace", "no such space")
    page.until("document.getElementById('message').className === 'error'")
    assert "no such space" in page.run("document.getElementById('message').textContent")
    assert session_of(running)["colorspace"] == ""
    page.errors[:] = [error for error in page.errors if "422" not in error]
    fill(page, "#input-colorspace", " ")


def entries(page: Page) -> list[str]:
    found = page.run(
        "[...document.querySelectorAll('#files .entry')].map(e => e.dataset.kind + ' ' + e.dataset.name)"
    )
    return list(found)


def choose_entry(page: Page, name: str) -> None:
    mark = f"[...document.querySelectorAll('#files .entry')].find(e => e.dataset.name === {json.dumps(name)})"
    x, y, width, height = box_by(page, mark)
    click_at(page, x + width / 2, y + height / 2)


def test_a_file_is_chosen_from_the_disk(running: Studio, page: Page, folder: Path) -> None:
    open_inputs(page)
    press(page, "Choose Segmentation", "#pane")
    page.until("document.getElementById('files').open")
    assert entries(page) == ["clip plate.####.png"]  # beside the plate at first
    press(page, "Up", "#files")
    page.until(
        "[...document.querySelectorAll('#files .entry')].some(e => e.dataset.name === 'hints')"
    )
    assert entries(page) == ["folder clip", "folder hints", "folder out"]  # no link to the outside
    choose_entry(page, "hints")
    page.until(
        "[...document.querySelectorAll('#files .entry')].some(e => e.dataset.name === 'mask.png')"
    )
    choose_entry(page, "mask.png")
    settled(page, "s.server.session.hints.segmentation")
    assert session_of(running)["hints"]["segmentation"] == str(folder / "hints" / "mask.png")
    assert not page.run("document.getElementById('files').open")


def test_the_chooser_goes_no_higher_than_the_roots(page: Page, folder: Path) -> None:
    open_inputs(page)
    press(page, "Choose Clean plate", "#pane")
    page.until("document.getElementById('files').open")
    press(page, "Up", "#files")
    page.until(f"document.getElementById('files-path').textContent === {json.dumps(str(folder))}")
    press(page, "Up", "#files")
    page.until("document.getElementById('files-path').textContent.startsWith('Folders')")
    assert f"folder {folder}" in entries(page)
    assert page.run(
        "[...document.querySelectorAll('#files button')].find(b => b.textContent === 'Up').disabled"
    )
    before = state(page, "frame")
    key(page, "ArrowRight")  # the page behind hears no keys
    key(page, "Escape")
    page.until("!document.getElementById('files').open")
    assert state(page, "frame") == before


def test_the_folder_of_an_export_is_chosen(page: Page, folder: Path) -> None:
    press(page, "Run", "#tabs")
    press(page, "Choose Folder", "#pane")
    page.until("document.getElementById('files').open")
    for _ in range(8):
        if str(folder) == page.run("document.getElementById('files-path').textContent"):
            break
        shown = page.run("document.getElementById('files-path').textContent")
        if shown.startswith("Folders"):
            choose_entry(page, str(folder))
        else:
            press(page, "Up", "#files")
        page.until(f"document.getElementById('files-path').textContent !== {json.dumps(shown)}")
    choose_entry(page, "out")
    page.until(
        f"document.getElementById('files-path').textContent === {json.dumps(str(folder / 'out'))}"
    )
    press(page, "Choose this folder", "#files")
    page.until(
        f"document.getElementById('command').textContent.includes({json.dumps(str(folder / 'out'))})"
    )


def test_values_of_half_floats_are_read_out_as_they_are(tmp_path: Path) -> None:
    """A highlight far above 1 and a tone that 8 bits cannot hold, in a half float EXR."""
    pixels = np.full((90, 160, 3), 0.0123, np.float16)
    pixels[40, 60] = 3.25, 0.00125, 12.5
    spec = oiio.ImageSpec(160, 90, 3, "half")
    out = oiio.ImageOutput.create("openexr")
    (tmp_path / "clip").mkdir()
    out.open(str(tmp_path / "clip" / "one.exr"), spec)
    out.write_image(pixels)
    out.close()
    with (
        studio(
            str(tmp_path / "clip" / "one.exr"), tmp_path / "home", "--root", str(tmp_path)
        ) as found,
        browser(tmp_path / "chromium", 1280, 800) as page,
    ):
        found.open(page)
        settled(page, "s.declarations !== null", 120)  # its service runs, and is ended with it
        mouse(page, "mouseMoved", *on_screen(page, 60, 40), button="none")
        page.until("document.getElementById('readout').textContent.includes('3.2500')")
        told = page.run("document.getElementById('readout').textContent")
        assert f"60, 40   RGB 3.2500 {float(np.float16(0.00125)):.4f} 12.5000" in told
