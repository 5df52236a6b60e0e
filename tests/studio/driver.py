# SPDX-License-Identifier: Apache-2.0
"""Real mouse and key events for the page of Studio."""

from __future__ import annotations

import json
from typing import Any

from tests.publish.browser import Page

_CTRL, _SHIFT, _ALT = 2, 8, 1
_CODES = {
    "ArrowLeft": 37,
    "ArrowRight": 39,
    "Home": 36,
    "End": 35,
    "Escape": 27,
    "Enter": 13,
    " ": 32,
    "Backspace": 8,
}


def mouse(
    page: Page,
    kind: str,
    x: float,
    y: float,
    *,
    button: str = "left",
    held: int = 0,
    alt: bool = False,
) -> None:
    page.send(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1, buttons=held,
        modifiers=_ALT * alt,
    )  # fmt: skip


def click_at(page: Page, x: float, y: float, *, alt: bool = False) -> None:
    """Move there and press the left button."""
    mouse(page, "mouseMoved", x, y, button="none")
    mouse(page, "mousePressed", x, y, held=1, alt=alt)
    mouse(page, "mouseReleased", x, y, alt=alt)


def drag(page: Page, points: list[tuple[float, float]]) -> None:
    """Press at the first place, move through the others, let go at the last."""
    mouse(page, "mouseMoved", *points[0], button="none")
    mouse(page, "mousePressed", *points[0], held=1)
    for x, y in points[1:]:
        mouse(page, "mouseMoved", x, y, held=1)
    mouse(page, "mouseReleased", *points[-1])


def key(page: Page, name: str, *, ctrl: bool = False, shift: bool = False) -> None:
    """A key, down and up, as a keyboard sends it."""
    modifiers = _CTRL * ctrl + _SHIFT * shift
    text = {"text": name} if len(name) == 1 and not ctrl else {}
    code = _CODES.get(name, ord(name.upper()) if len(name) == 1 else 0)
    for kind in ("keyDown", "keyUp"):
        page.send(
            "Input.dispatchKeyEvent", type=kind, key=name, modifiers=modifiers,
            windowsVirtualKeyCode=code, **(text if kind == "keyDown" else {}),
        )  # fmt: skip


def box_of(page: Page, selector: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of an element, scrolled into view once it is there."""
    return box_by(page, f"document.querySelector({json.dumps(selector)})")


def box_by(page: Page, script: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of what a script finds, scrolled into view once it is there."""
    page.until(f"Boolean({script})")
    found = page.run(
        f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); const r = e.getBoundingClientRect();"
        f"return [r.left, r.top, r.width, r.height]; }})({script})"
    )
    return tuple(found)  # type: ignore[return-value]


def press(page: Page, text: str, within: str = "body") -> None:
    """Click the button with this text or name by the mouse."""
    mark = (
        f"[...document.querySelectorAll({json.dumps(within)} + ' button')].find(b => "
        f"(b.getAttribute('aria-label') ?? b.textContent) === {json.dumps(text)} || b.textContent === {json.dumps(text)})"
    )
    page.until(f"{mark} && !{mark}.disabled")
    x, y, width, height = box_by(page, mark)
    click_at(page, x + width / 2, y + height / 2)


def choose(page: Page, selector: str, value: str) -> None:
    """Choose from a list by the keyboard: its popup is drawn outside of the page."""
    page.until(
        f"[...document.querySelector({json.dumps(selector)})?.options ?? []].some(o => o.value === {json.dumps(value)})"
    )
    page.run(f"document.querySelector({json.dumps(selector)}).focus()")
    wanted = page.run(
        f"[...document.querySelector({json.dumps(selector)}).options].findIndex(o => o.value === {json.dumps(value)})"
    )
    now = page.run(f"document.querySelector({json.dumps(selector)}).selectedIndex")
    for _ in range(abs(wanted - now)):
        key(page, "ArrowDown" if wanted > now else "ArrowUp")
    key(page, "Enter")


def fill(page: Page, selector: str, text: str) -> None:
    """Type into a field in place of what it holds, and press Enter."""
    x, y, width, height = box_of(page, selector)
    click_at(page, x + width / 2, y + height / 2)
    key(page, "a", ctrl=True)
    page.send("Input.insertText", text=text)
    key(page, "Enter")


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the picture is on the page."""
    left, top, _, _ = box_of(page, "#screen")
    zoom = state(page, "zoom")
    return left + zoom["x"] + (x + 0.5) * zoom["scale"], top + zoom["y"] + (y + 0.5) * zoom["scale"]


def state(page: Page, name: str) -> Any:
    """An entry of the page's state, from the module that keeps it."""
    return page.run(
        f"import('/static/state.js').then(m => JSON.parse(JSON.stringify(m.state[{json.dumps(name)}])))"
    )


def settled(page: Page, condition: str, seconds: float = 60.0) -> None:
    """Wait until an expression of `s`, the page's state, is true."""
    page.until(f"import('/static/state.js').then(({{state: s}}) => Boolean({condition}))", seconds)


def touch(page: Page, kind: str, *places: tuple[float, float]) -> None:
    """Fingers on the screen: touchStart, touchMove, touchEnd (of all). places: one for each."""
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
    page.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)


def pen(page: Page, kind: str, x: float, y: float, force: float) -> None:
    """A pen with a pressure of 0 to 1, as a tablet sends it."""
    page.send(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1,
        force=force, pointerType="pen",
    )  # fmt: skip
