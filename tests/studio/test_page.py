# SPDX-License-Identifier: Apache-2.0
"""The page of Studio in a real Chromium, used as a person uses it: mouse and keys alone.

The tests of this file are one story and run in their order. MATTE_DOC_PICTURES=FOLDER keeps
pictures of the page that docs/studio.md shows; docs/pictures/studio.py makes those with a person.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.publish.picture import read_matte
from tests.made import read_named
from tests.publish.browser import Page, browser, needs_browser
from tests.studio.driver import (
    box_by,
    box_of,
    click_at,
    drag,
    fill,
    key,
    mouse,
    on_screen,
    press,
    settled,
    state,
)
from tests.studio.rig import FIRST, SIZE, Studio, centre, environment, made_clip, studio

pytestmark = [pytest.mark.xdist_group("studio"), pytest.mark.timeout(1200), needs_browser]

COUNT = 10
LAST = FIRST + COUNT - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Studio]:
    plate = made_clip(folder / "clip", COUNT)
    with studio(plate, folder / "home", "--root", str(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def page(running: Studio, folder: Path) -> Iterator[Page]:
    """The page, open; whatever any test makes it complain of fails at the end."""
    with browser(folder / "chromium", 1280, 800) as found:
        running.open(found)
        yield found
        assert found.errors == []
        assert all(
            address.startswith((running.origin, "blob:", "about:")) for address in found.asked
        )


def keep(page: Page, name: str) -> None:
    """A picture of the page for the docs, where a person asks for them."""
    place = os.environ.get("MATTE_DOC_PICTURES")
    if place:
        (Path(place) / f"studio-{name}.png").write_bytes(page.picture())


def go_to(page: Page, frame: int) -> None:
    """To a frame, by keys."""
    key(page, "Home")
    for _ in range(frame - FIRST):
        key(page, "ArrowRight")
    page.until(f"document.getElementById('screen').dataset.frame === '{frame}'")


def canvas_at(page: Page, x: float, y: float) -> list[int]:
    """What the canvas shows at a pixel of the picture."""
    left, top = on_screen(page, x, y)
    found = page.run(
        "(() => { const c = document.getElementById('screen'), r = c.getBoundingClientRect();"
        f"return [...c.getContext('2d').getImageData({left} - r.left, {top} - r.top, 1, 1).data]; }})()"
    )
    return [int(code) for code in found[:3]]


def matte_of(running: Studio, frame: int) -> Any:
    """The newest EXR that a run wrote of a frame."""
    found = sorted(
        running.session.glob(f"mattes/*/matte.{frame}.exr"), key=lambda p: p.stat().st_mtime
    )
    return read_matte(found[-1])


def whole_alpha(picture: Any) -> Any:
    """The alpha over the display window."""
    alpha, window = np.zeros(SIZE, np.float32), picture.data_window
    rows = slice(window.y, window.y + window.height)
    alpha[rows, window.x : window.x + window.width] = picture.alpha
    return alpha


def session_of(running: Studio) -> dict[str, Any]:
    return dict(json.loads((running.session / "session.json").read_text()))


def test_the_clip_opens_on_its_first_frame(running: Studio, page: Page) -> None:
    assert page.frame() == FIRST
    assert page.run("document.getElementById('clip-name').textContent") == "plate.####.png"
    x, y = centre(FIRST)
    plate = cv2.imread(str(running.session.parents[2] / "clip" / f"plate.{FIRST}.png"))
    assert np.abs(np.array(canvas_at(page, x, y)) - plate[y, x, ::-1]).max() <= 2
    assert page.run("location.href") == running.origin + "/"  # no token, no key


def test_a_click_on_the_subject_gives_its_matte(running: Studio, page: Page) -> None:
    x, y = centre(FIRST)
    click_at(page, *on_screen(page, x, y))
    settled(page, f"s.mask?.frame === {FIRST} && s.mask.of === s.server.key", 400)
    settled(page, f"s.server.done.includes({FIRST}) && s.busy === ''", 400)
    assert session_of(running)["objects"][0]["frames"] == {str(FIRST): {"subject": [[x, y]]}}
    mouse(page, "mouseMoved", *on_screen(page, x, y), button="none")
    page.until("document.getElementById('readout').textContent.includes('A 1.0000')")
    mouse(page, "mouseMoved", *on_screen(page, 300, 20), button="none")
    page.until("document.getElementById('readout').textContent.includes('A 0.0000')")
    settled(page, "s.view === 'outline'")


def test_two_painted_trimap_keys_are_kept_and_can_be_undone(running: Studio, page: Page) -> None:
    press(page, "Matte by itself")  # off: the run comes later
    strokes = {FIRST + 2: ("Subject", 255, (58, 0)), FIRST + 6: ("Background", 0, (46, 0))}
    for frame, (paint, _, (dx, dy)) in strokes.items():
        go_to(page, frame)
        press(page, paint, "#pane")
        x, y = centre(frame)
        drag(page, [on_screen(page, x + dx, y + dy + down) for down in (-14, -7, 0, 7, 14)])
        settled(page, f"s.server.session.trimaps['{frame}'] && s.busy === ''", 400)
    for frame, (_, code, (dx, dy)) in strokes.items():
        plane = cv2.imread(str(running.session / f"hints/trimap.{frame}.png"), cv2.IMREAD_UNCHANGED)
        x, y = centre(frame)
        assert plane[y + dy, x + dx] == code  # the stroke, on the wrong side of the edge
        assert plane[y, x] == 255  # the rest is the trimap of the frame's matte
        assert plane[170, 300] == 0
        assert 0 < (plane == 128).mean() < 0.2
    key(page, "z", ctrl=True)
    settled(page, f"!s.server.session.trimaps['{FIRST + 6}']")
    assert not (running.session / f"hints/trimap.{FIRST + 6}.png").exists()
    key(page, "Z", ctrl=True, shift=True)
    settled(page, f"s.server.session.trimaps['{FIRST + 6}']")
    assert (running.session / f"hints/trimap.{FIRST + 6}.png").exists()
    assert list((running.session.parents[2] / "clip").glob("*trimap*")) == []
    key(page, "c")


def test_a_knob_is_made_from_its_declaration(running: Studio, page: Page) -> None:
    press(page, "Model", "#tabs")
    page.until("document.getElementById('knob-shrink') !== null")
    told = page.run("document.getElementById('knob-shrink').parentElement.title")
    from matte_nodes.node.knobs import NODE_KNOBS

    knob = next(one for one in NODE_KNOBS if one.name == "shrink")
    assert knob.help in told
    assert page.run("document.getElementById('knob-shrink').max") == f"{knob.high:g}"
    fill(page, "#knob-shrink", "1.5")
    settled(page, "s.server.session.knobs.shrink === 1.5")
    assert session_of(running)["knobs"] == {"shrink": 1.5}
    keep(page, "model")


def test_ten_frames_run_with_progress(running: Studio, page: Page) -> None:
    press(page, "Run", "#tabs")
    press(page, "Run range", "#pane")
    settled(page, "s.server.run.state === 'done'", 600)
    settled(page, f"s.server.done.length === {COUNT}")
    assert page.run("document.querySelector('[data-state]').dataset.state") == "done"
    for frame in range(FIRST, LAST + 1):
        x, y = centre(frame)
        alpha = whole_alpha(matte_of(running, frame))
        assert alpha[y, x] == 1, frame
        assert 0.08 < alpha.mean() < 0.2, frame


def test_every_view_shows_what_it_says(running: Studio, page: Page) -> None:
    go_to(page, FIRST + 4)
    x, y = centre(FIRST + 4)
    seen = {}
    for place, name in enumerate(
        ("plate", "outline", "alpha", "foreground", "grey", "white", "black", "checker", "colour"),
        1,
    ):
        key(page, str(place))
        page.until(f"document.getElementById('screen').dataset.view === '{name}'")
        seen[name] = canvas_at(page, x, y), canvas_at(page, 20, 150)
    assert seen["alpha"] == ([255] * 3, [0] * 3)
    assert seen["white"][1] == [255] * 3
    assert seen["black"][1] == [0] * 3
    assert seen["grey"][1] == [118] * 3
    assert seen["colour"][1] == [47, 111, 181]
    assert seen["checker"][1] in ([90] * 3, [150] * 3)
    for name in ("foreground", "grey", "white", "black", "checker", "colour"):
        assert np.abs(np.subtract(seen[name][0], seen["plate"][0])).max() <= 3, name


def test_wipe_and_toggle_show_two_results(running: Studio, page: Page) -> None:
    key(page, "3")
    page.until("document.getElementById('screen').dataset.view === 'alpha'")
    key(page, "B", shift=True)
    settled(page, "s.b !== null")
    press(page, "Model", "#tabs")
    fill(page, "#knob-shrink", "4")
    settled(page, "s.server.session.knobs.shrink === 4")
    key(page, "m")
    settled(page, f"s.server.done.includes({FIRST + 4}) && s.busy === ''", 400)
    x, y = centre(FIRST + 4)
    edge = x - 45, y  # in the soft edge: A took more of it away than B
    page.until("document.getElementById('screen').dataset.matted === 'true'")
    of_a = canvas_at(page, *edge)[0]
    key(page, "b")
    settled(page, "s.showB")
    page.until("document.getElementById('badge').textContent.includes('B')")
    page.run("new Promise(done => setTimeout(done, 100))")
    of_b = canvas_at(page, *edge)[0]
    assert of_b > of_a + 60
    key(page, "w")
    settled(page, "s.wipe === 0.5 && !s.showB")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert canvas_at(page, *edge)[0] == of_a
    drag(page, [on_screen(page, 160, 100), on_screen(page, 100, 100), on_screen(page, 20, 100)])
    settled(page, "s.wipe < 0.1")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert canvas_at(page, *edge)[0] == of_b
    key(page, "w")
    key(page, "z", ctrl=True)
    settled(page, "s.server.session.knobs.shrink === 1.5")


def test_zoom_pan_and_fit(page: Page) -> None:
    before = state(page, "zoom")
    x, y = on_screen(page, 100, 60)
    page.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-400)
    settled(page, f"s.zoom.scale > {before['scale']} * 1.5")
    assert np.hypot(*np.subtract(on_screen(page, 100, 60), (x, y))) < 1.5
    key(page, "h")
    drag(page, [(400, 300), (430, 330)])
    settled(page, f"Math.abs(s.zoom.x - {state(page, 'zoom')['x']}) < 0.01")
    key(page, "f")
    settled(page, f"Math.abs(s.zoom.scale - {before['scale']}) < 0.001")
    key(page, "c")
    key(page, "?", shift=True)
    page.until("document.getElementById('sheet').open")
    assert page.run("document.querySelectorAll('#sheet kbd').length") > 40
    keep(page, "keys")
    key(page, "Escape")
    page.until("!document.getElementById('sheet').open")


def test_a_second_object_and_its_order(running: Studio, page: Page) -> None:
    press(page, "Select", "#tabs")
    press(page, "Add object", "#pane")
    settled(page, "s.server.session.objects.length === 2 && s.object === 'object1'")
    go_to(page, FIRST)
    click_at(page, *on_screen(page, 280, 40))
    settled(page, "s.server.session.objects[1].frames['1001']")
    press(page, "Move object1 up", "#pane")
    settled(page, "s.server.session.objects[0].name === 'object1'")
    press(page, "mute object1", "#pane")
    settled(page, "s.server.session.objects[0].mute")
    press(page, "Remove object1", "#pane")
    settled(page, "s.server.session.objects.length === 1")


def test_fine_tuning_shows_its_loss_and_can_be_used(running: Studio, page: Page) -> None:
    press(page, "Fine-tune", "#tabs")
    for frame in (FIRST, FIRST + 4, LAST):
        go_to(page, frame)
        settled(page, f"s.server.done.includes({frame})")
        key(page, "k")
        settled(page, f"s.server.session.keys['{frame}']")
    keys = sorted(path.name for path in (running.session / "keys").glob("*.png"))
    assert keys == [f"key.{n}.png" for n in (FIRST, FIRST + 4, LAST)]
    fill(page, "#c-name", "ball")
    fill(page, "#c-steps", "6")
    press(page, "Fine-tune", "#pane")
    settled(page, "s.server.train.state !== 'running' && s.server.train.state !== 'idle'", 600)
    assert state(page, "server")["train"]["state"] == "done", state(page, "server")["train"]
    train = state(page, "server")["train"]
    assert train["heldout"] == FIRST + 4
    assert train["before"] is not None
    page.until("document.querySelector('svg.plot polyline') !== null")
    keep(page, "train")
    press(page, "Use it", "#pane")
    settled(page, "s.server.session.model === 'ball'")
    assert (running.home / "models" / "ball.json").is_file()
    key(page, "z", ctrl=True)
    settled(page, "s.server.session.model === 'auto'")


def test_compare_shows_models_side_by_side(running: Studio, page: Page) -> None:
    go_to(page, FIRST)
    press(page, "Model", "#tabs")
    x, y, width, height = box_by(
        page,
        "[...document.querySelectorAll('summary')].find(s => s.textContent.startsWith('Compare'))",
    )
    click_at(page, x + width / 2, y + height / 2)
    for name in ("click", "green-screen"):
        x, y, width, height = box_of(page, f"#compare-{name}")
        click_at(page, x + width / 2, y + height / 2)
        page.until(f"document.querySelector('#compare-{name}').checked")
        # The pane is drawn again when the server says something new; the tick stays.
        drawn = (
            "import('/static/state.js').then(({set, state}) => set({ server: {...state.server} }))"
        )
        page.run(drawn)
        page.run("new Promise(done => setTimeout(done, 300))")
        assert page.run(f"document.querySelector('#compare-{name}').checked")
    press(page, "Compare", "#pane")
    settled(page, "s.compare.length === 2 && s.busy === ''", 400)
    page.until("document.querySelectorAll('#compare canvas').length === 2")
    page.run("new Promise(done => setTimeout(done, 300))")
    keep(page, "compare")
    key(page, "Escape")
    settled(page, "s.compare.length === 0")


def test_the_export_has_the_pixels_of_its_command_line(
    running: Studio, page: Page, folder: Path
) -> None:
    press(page, "Run", "#tabs")
    page.until("document.getElementById('command')?.textContent.startsWith('matte run')")
    fill(page, "#export-folder", str(folder / "out"))
    page.until(
        f"document.getElementById('command').textContent.includes({json.dumps(str(folder / 'out'))})"
    )
    line = page.run("document.getElementById('command').textContent")
    press(page, "Export range", "#pane")
    settled(page, "s.server.run.output?.includes('/out/') && s.server.run.state === 'done'", 600)
    keep(page, "export")
    words = shlex.split(line)
    assert words[0] == "matte"
    words[words.index("-o") + 1] = str(folder / "line" / "plate.####.exr")
    by_session = [
        "run",
        "--session",
        str(running.session),
        "-o",
        str(folder / "again" / "plate.####.exr"),
    ]
    for arguments in (words[1:], by_session):
        subprocess.run(
            [sys.executable, "-m", "matte_nodes", *arguments, "--quiet", "--no-service"],
            check=True, env=environment(running.home), cwd=folder, timeout=600,
        )  # fmt: skip
    for frame in range(FIRST, LAST + 1):
        page_made = read_named(folder / "out" / f"plate.{frame}.exr")
        for other in ("line", "again"):
            made = read_named(folder / other / f"plate.{frame}.exr")
            assert sorted(made) == sorted(page_made)
            for channel, pixels in made.items():
                assert np.array_equal(pixels, page_made[channel]), (other, frame, channel)


def test_a_running_range_can_be_cancelled_and_resumed(running: Studio, page: Page) -> None:
    press(page, "Model", "#tabs")
    fill(page, "#knob-shrink", "2")
    settled(page, "s.server.session.knobs.shrink === 2 && s.server.done.length === 0")
    page.run("document.activeElement.blur()")
    key(page, "r")
    settled(
        page,
        "['queued', 'running', 'done'].includes(s.server.run.state) && s.server.run.key === s.server.key",
    )
    key(page, "Escape")
    settled(page, "['cancelled', 'done'].includes(s.server.run.state)", 300)
    key(page, "r")
    settled(page, f"s.server.run.state === 'done' && s.server.done.length === {COUNT}", 600)
    key(page, "z", ctrl=True)
    settled(page, "s.server.session.knobs.shrink === 1.5")


def test_an_error_of_a_run_is_in_the_page_with_its_frame(running: Studio, page: Page) -> None:
    bad = running.session.parents[2] / "clip" / f"plate.{FIRST + 5}.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    try:
        press(page, "Run", "#tabs")
        press(page, "Whole shot", "#pane")
        settled(page, "s.server.run.state === 'error'", 300)
        text = page.run("document.getElementById('pane').textContent")
        assert str(FIRST + 5) in text
        assert "damaged" in text or "cannot" in text
    finally:
        bad.write_bytes(whole)
        page.errors[:] = [error for error in page.errors if "422" not in error]


def test_the_session_opens_again_as_it_was(running: Studio, page: Page, folder: Path) -> None:
    before = session_of(running)
    running.process.terminate()
    running.process.wait(timeout=30)
    page.errors.clear()  # the page says that Studio is gone
    with studio(str(running.session), running.home, "--root", str(folder)) as again:
        again.open(page)
        page.asked.clear()
        page.errors.clear()
        assert state(page, "server")["session"] == {
            name: value for name, value in before.items() if name != "relative"
        }
        x, y = centre(FIRST + 2)
        go_to(page, FIRST + 2)
        assert (running.session / f"hints/trimap.{FIRST + 2}.png").is_file()
        key(page, "p")
        page.run("new Promise(done => setTimeout(done, 300))")
        shown = canvas_at(page, x, y)
        plain = cv2.imread(str(folder / "clip" / f"plate.{FIRST + 2}.png"))[y, x, ::-1]
        assert shown[1] > plain[1] + 20  # the green of what was painted
        running.address = again.address  # what the page may have asked
        assert page.errors == []
        page.send("Page.navigate", url="about:blank")
        page.asked.clear()
