# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/studio.md that show a person: one who was rendered, and moves.

MATTE_PEOPLE=ASSETS python docs/pictures/studio.py FOLDER [--seed N]

The person and the place come from the assets that docs/people.md names, all of them CC0, so the
pictures may be used by everybody. The page is driven by real mouse and key events, as in
tests/studio/test_page.py, which makes the other pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

sys.path.insert(0, str(Path(__file__).parents[2]))
from matte_nodes.train.people import source
from tests.publish.browser import Page, browser
from tests.studio.driver import click_at, drag, key, mouse, on_screen, press, settled
from tests.studio.rig import FIRST, studio

SIZE, COUNT, SIDE = (432, 768), 5, 432
QUALITY = 88


def place(assets: Path) -> Any:
    """A square under a bright sky with a dark palace, (H, W, 3) float32 BGR 0..1, out of focus."""
    pixels = oiio.ImageBuf(str(assets / "hdri" / "sunset.exr")).get_pixels(oiio.FLOAT)
    light = np.asarray(pixels, np.float32)[..., 2::-1]
    light = light / (light + 2.0 * np.median(light))
    part = light[40:168, 70:298]
    large = cv2.resize(part, (SIZE[1] + 40, SIZE[0] + 20), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(np.clip(large, 0, 1), (0, 0), 3)
    return np.power(soft, 1 / 2.2).astype(np.float32)


def clip(folder: Path, assets: Path, seed: int) -> tuple[str, list[Any]]:
    """The plates' pattern, and the true alpha of each."""
    folder.mkdir(parents=True)
    wide, alphas = place(assets), []
    for index, rgba in enumerate(source.clip(assets, seed, SIDE, COUNT, shutter=0.0)):
        whole = np.zeros((*SIZE, 4), np.float32)
        left = (SIZE[1] - SIDE) // 2
        whole[SIZE[0] - SIDE :, left : left + SIDE] = rgba.astype(np.float32) / 255
        x, y = 6 * index, 2 * index
        behind = wide[y : y + SIZE[0], x : x + SIZE[1]]
        alpha = whole[..., 3:]
        plate = whole[..., 2::-1] * alpha + behind * (1 - alpha)
        cv2.imwrite(
            str(folder / f"plate.{FIRST + index}.png"), np.rint(255 * plate).astype(np.uint8)
        )
        alphas.append(alpha[..., 0])
    return str(folder / "plate.####.png"), alphas


def inside(alpha: Any) -> tuple[int, int]:
    """The point that is deepest inside of the person."""
    deep = cv2.distanceTransform((alpha > 0.9).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.unravel_index(int(deep.argmax()), deep.shape)
    return int(x), int(y)


def keep(page: Page, folder: Path, name: str) -> None:
    """A picture of the page."""
    page.run("new Promise(done => setTimeout(done, 400))")
    taken = cv2.imdecode(np.frombuffer(page.picture(), np.uint8), cv2.IMREAD_COLOR)
    path = folder / f"studio-{name}.jpg"
    cv2.imwrite(str(path), taken, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    print(path, path.stat().st_size, flush=True)


def story(page: Page, folder: Path, alphas: list[Any]) -> None:
    """A click, a comparison, a stroke, a run: a picture of each."""
    x, y = inside(alphas[0])
    click_at(page, *on_screen(page, x, y))
    settled(page, f"s.server.done.includes({FIRST}) && s.busy === ''", 600)
    mouse(page, "mouseMoved", *on_screen(page, x + 30, y), button="none")
    page.until("document.getElementById('readout').textContent.includes('A ')")
    keep(page, folder, "select")
    # B: the mask alone. A: with its edges solved.
    page.run("import('/static/api.js').then(m => m.edit({edit: 'set', model: 'click'}))")
    settled(page, f"s.server.session.model === 'click' && s.server.done.includes({FIRST})", 600)
    key(page, "5")
    key(page, "B", shift=True)
    settled(page, "s.b !== null")
    page.run("import('/static/api.js').then(m => m.edit({edit: 'set', model: 'auto'}))")
    settled(page, f"s.server.session.model === 'auto' && s.server.done.includes({FIRST})", 600)
    key(page, "w")
    keep(page, folder, "wipe")
    key(page, "w")
    key(page, "2")
    key(page, "p")
    press(page, "Subject", "#pane")
    drag(page, [on_screen(page, x - 20 + 10 * n, y + 6 * n) for n in range(6)])
    settled(page, f"s.server.session.trimaps['{FIRST}'] && s.busy === ''", 600)
    keep(page, folder, "paint")
    key(page, "c")
    press(page, "Run", "#tabs")
    press(page, "Run range", "#pane")
    settled(page, "s.server.run.state === 'done'", 1200)
    key(page, "9")
    keep(page, folder, "run")


def main() -> None:
    """Make the clip, open Studio on it and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=103)
    asked = parser.parse_args()
    assets = Path(os.environ["MATTE_PEOPLE"])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        plate, alphas = clip(work / "clip", assets, asked.seed)
        home = Path(os.environ.get("MATTE_HOME", work / "home"))
        with studio(plate, home) as found, browser(work / "chromium", 1280, 800) as page:
            found.open(page)
            story(page, asked.folder, alphas)


if __name__ == "__main__":
    main()
