# SPDX-License-Identifier: Apache-2.0
"""The review report: one file, small, and used in a real Chromium as a person uses it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from matte_nodes.color import PlateColor
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.picture import read_matte
from matte_nodes.publish.report import write_report
from tests.publish.browser import Page, browser, needs_browser
from tests.publish.clips import clip

pytestmark = [pytest.mark.xdist_group("review"), pytest.mark.timeout(900)]

COUNT, POP = 24, 1009
SIZE = (180, 320)
LARGEST = 15_000_000


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a short clip, one with a popping frame, over a picture of the user's."""
    folder = tmp_path_factory.mktemp("report")
    plate, first = clip(folder, *SIZE, COUNT, distinct=COUNT, gain=0.08, pop=POP)
    _, second = clip(folder, *SIZE, COUNT, distinct=COUNT, gain=0.08, softer=2.0)
    cv2.imwrite(str(folder / "behind.png"), np.full((90, 160, 3), (30, 60, 200), np.uint8))
    (first / "matte.1020.exr").unlink()
    return write_report(
        Delivery(str(first), plate=plate), folder / "review.html", title="A </script> & title",
        behind=str(folder / "behind.png"), against=str(second),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The report, open; everything that any test makes it complain of fails at the end."""
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        found.open(report)
        yield found
        assert found.errors == []
        assert {address.split(":")[0] for address in found.asked} <= {"file", "data", "blob"}


def facts(report: Path) -> dict[str, Any]:
    """The numbers in the page."""
    match = re.search(r'id="facts">(.*?)</script>', report.read_text("utf-8"), re.S)
    assert match
    return dict(json.loads(match[1]))


def at(page: Page, number: int) -> None:
    """Go to a frame and wait for its picture."""
    index = page.run(
        f"JSON.parse(document.getElementById('facts').textContent).frames.indexOf({number})"
    )
    page.run(
        "new Promise(done => { const c = document.getElementById('screen');"
        "c.addEventListener('shown', done, {once: true});"
        f"const s = document.getElementById('slider'); s.value = {index};"
        "s.dispatchEvent(new Event('input')); })"
    )


def view(page: Page, name: str) -> np.ndarray[Any, Any]:
    """Choose a view by its button and read the canvas: (H, W, 3) codes."""
    page.run(
        "[...document.querySelectorAll('#views button')].find(b => b.textContent.endsWith("
        f"{json.dumps(name)})).click()"
    )
    page.until(f"document.getElementById('screen').dataset.view === {json.dumps(name)}")
    return canvas(page)


def canvas(page: Page) -> np.ndarray[Any, Any]:
    found = page.run(
        "(() => { const c = document.getElementById('screen'); return [c.width, c.height,"
        "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]; })()"
    )
    return np.array(found[2], np.float32).reshape(found[1], found[0], 4)[..., :3]


def test_it_is_one_file_that_needs_no_network(report: Path) -> None:
    text = report.read_text("utf-8")
    assert not re.search(r"(?:src|href)=|@import|url\(", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert sorted(path.name for path in report.parent.iterdir()) == [
        "behind.png", "matte0", "matte2", "plate", "review.html",
    ]  # fmt: skip


def test_numbers_over_time_name_the_popping_frame(report: Path) -> None:
    found = facts(report)
    plots = {plot["name"]: plot["values"] for plot in found["plots"]}
    assert list(plots) == ["Coverage", "Edge width", "Flicker"]
    flicker = [value or 0.0 for value in plots["Flicker"][0]]
    assert found["frames"][int(np.argmax(flicker))] in (POP, POP + 1)
    assert max(flicker) > found["peak"]
    assert plots["Flicker"][0][0] is None
    assert plots["Coverage"][0][found["frames"].index(1020)] is None
    assert plots["Coverage"][1][found["frames"].index(1020)] is not None
    marks = {check["name"]: check["mark"] for check in found["checks"]}
    assert marks["complete"] == "FAIL"
    assert marks["flicker"] == "warn"
    assert marks["trimap"] == "-"


@needs_browser
def test_composites_are_made_in_linear_light(report: Path, page: Page) -> None:
    """Over white: what a compositor's merge gives, and not what blending codes would."""
    at(page, 1003)
    shown = view(page, "Over white")
    picture = read_matte(report.parent / "matte0" / "matte.1003.exr")
    assert picture.foreground is not None
    alpha = picture.alpha[..., None]
    encode = PlateColor("lin_rec709").to_network
    expected = 255 * encode(picture.foreground * alpha + (1 - alpha))
    blended = 255 * (encode(picture.foreground) * alpha + (1 - alpha))
    soft = (picture.alpha > 0.3) & (picture.alpha < 0.7)
    assert np.abs(shown - expected)[soft].mean() < 6
    assert np.abs(shown - blended)[soft].mean() > 15
    assert (shown[picture.alpha == 0] == 255).all()


@needs_browser
def test_every_view_shows_what_it_says(report: Path, page: Page) -> None:
    at(page, 1003)
    picture = read_matte(report.parent / "matte0" / "matte.1003.exr")
    alpha = view(page, "Alpha")
    assert np.abs(alpha[..., 0] - 255 * picture.alpha).max() <= 0.51
    plate = cv2.imread(str(report.parent / "plate" / "plate.1003.jpg"))[..., ::-1]
    assert np.abs(view(page, "Plate") - plate).mean() < 3
    empty, solid = picture.alpha == 0, picture.alpha == 1
    foreground = view(page, "Foreground")
    assert (view(page, "Over grey")[empty] == 118).all()
    assert set(np.unique(view(page, "Over checker")[empty])) == {90.0, 150.0}
    behind = view(page, "Over picture")
    assert np.abs(behind[empty] - (200, 60, 30)).max() <= 4
    for name in ("Over grey", "Over white", "Over picture"):
        assert np.array_equal(view(page, name)[solid], foreground[solid])


@needs_browser
def test_wipe_shows_one_version_on_each_side(page: Page) -> None:
    at(page, 1003)
    view(page, "Alpha")

    def version(index: int) -> np.ndarray[Any, Any]:
        page.run(
            "new Promise(done => { document.getElementById('screen').addEventListener('shown',"
            f"done, {{once: true}}); document.querySelectorAll('#versions button')[{index}].click(); }})"
        )
        return canvas(page)

    first, second, both = version(0), version(1), version(2)
    middle = SIZE[1] // 2
    assert not np.array_equal(first, second)
    assert np.array_equal(both[:, :middle], first[:, :middle])
    assert np.array_equal(both[:, middle:], second[:, middle:])
    page.press("]")
    page.until("document.getElementById('wipe').style.left === '52%'")
    box = page.run("(({left, top, width, height}) => [left, top, width, height])"
                   "(document.getElementById('stage').getBoundingClientRect())")  # fmt: skip
    page.click(box[0] + box[2] * 0.25, box[1] + box[3] / 2)
    page.until("parseFloat(document.getElementById('wipe').style.left) < 26")
    version(0)


@needs_browser
def test_a_click_on_a_peak_goes_to_its_frame(report: Path, page: Page) -> None:
    found = facts(report)
    values = [value or 0.0 for value in found["plots"][2]["values"][0]]
    peak = int(np.argmax(values))
    at(page, 1001)
    box = page.run("(({left, top, width, height}) => [left, top, width, height])"
                   "(document.querySelectorAll('#plots svg')[2].getBoundingClientRect())")  # fmt: skip
    # Beside it, by less than a frame: people do not hit a pixel.
    page.click(box[0] + box[2] * (peak + 0.4) / (COUNT - 1), box[1] + 10)
    page.until(f"document.getElementById('screen').dataset.frame === '{1001 + peak}'")
    at(page, 1001)
    page.press("p")
    page.until(f"document.getElementById('screen').dataset.frame === '{1001 + peak}'")


@needs_browser
def test_keys_and_findings(page: Page) -> None:
    at(page, 1001)
    for key, shift, number in (
        ("ArrowRight", False, 1002), ("ArrowRight", True, 1012), ("ArrowLeft", False, 1011),
        ("End", False, 1024), ("Home", False, 1001), ("ArrowLeft", False, 1001),
    ):  # fmt: skip
        page.press(key, shift)
        page.until(f"document.getElementById('screen').dataset.frame === '{number}'")
    page.press("5")
    page.until("document.getElementById('screen').dataset.view === 'Over white'")
    page.run(
        "[...document.querySelectorAll('#checks button')].find(b => b.textContent === '1020').click()"
    )
    page.until("document.getElementById('screen').dataset.frame === '1020'")
    assert page.run("document.getElementById('lost').textContent").startswith(
        "Frame 1020 is missing"
    )
    page.press(" ")
    page.until("document.getElementById('play').textContent === 'Play' &&"
               "document.getElementById('screen').dataset.frame === '1024'")  # fmt: skip
    assert page.run("document.querySelector('h1').textContent") == "A </script> & title"


@needs_browser
def test_a_tall_picture_leaves_the_slider_in_the_window(tmp_path: Path) -> None:
    plate, mattes = clip(tmp_path, 640, 360, 3, distinct=3)
    report = write_report(Delivery(str(mattes), plate=plate), tmp_path / "r.html", title="tall")
    with browser(tmp_path / "chromium") as page:
        page.open(report)
        box = "document.getElementById({!r}).getBoundingClientRect()"
        assert page.run(box.format("views") + ".bottom") <= 860
        assert page.run(box.format("screen") + ".height") > 400, "and is still worth looking at"
        wide, high = (page.run(box.format("screen") + "." + n) for n in ("width", "height"))
        assert abs(wide / high - 360 / 640) < 0.01
        assert page.errors == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 frames of 720p with hair and grain."""
    folder = tmp_path_factory.mktemp("large")
    plate, mattes = clip(folder, 720, 1280, 120, distinct=24)
    return write_report(Delivery(str(mattes), plate=plate), folder / "r.html", title="sh010_matte")


def test_a_720p_clip_of_120_frames_is_small(large: Path) -> None:
    found = facts(large)
    assert len(found["frames"]) == 120
    assert found["width"] >= 560, "small must not mean that nothing is seen"
    assert all(found["versions"][0]["alpha"])
    assert 2_000_000 < large.stat().st_size < LARGEST


@needs_browser
def test_a_720p_report_answers_every_move_of_the_slider(large: Path, tmp_path: Path) -> None:
    """How fast is in bench/bench_review.py; here: each move is answered by its own frame."""
    with browser(tmp_path / "chromium") as page:
        page.open(large)
        for number in (1120, 1013, 1060, 1001):
            at(page, number)
            assert page.frame() == number
            assert canvas(page).std() > 10
        at(page, 1003)
        picture = page.picture()
        (tmp_path / "review.png").write_bytes(picture)
        shown = cv2.imread(str(tmp_path / "review.png"))
        assert shown.shape == (860, 1280, 3)
        if target := os.environ.get("MATTE_REVIEW_PICTURE"):  # for docs/pictures
            cv2.imwrite(target, shown, [cv2.IMWRITE_JPEG_QUALITY, 85])
        assert page.errors == []
