# SPDX-License-Identifier: Apache-2.0
"""Types of checks and findings, and helpers for checks that look at many frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from matte_nodes.frame_range import spelled
from matte_nodes.media.image import Rect
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.integrate import MANIFEST
from matte_nodes.render.resume_log import manifest_path

if TYPE_CHECKING:
    from matte_nodes.publish.picture import DeliveredPicture

Severity = Literal["error", "warning"]
Needed = Literal["plate", "trimap", "manifest", "log"]

_LACKS: dict[Needed, str] = {
    "plate": "not checked: no plate was given (--plate)",
    "trimap": "not checked: no trimap was given (--trimap)",
    "manifest": "not checked: this is no published version",
    "log": "not checked: the log of the run does not lie beside the files",
}


@dataclass(frozen=True)
class Finding:
    """One problem."""

    frames: tuple[int, ...]
    """The frames that have the problem; empty for the whole delivery."""
    message: str
    """What is wrong."""
    remedy: str
    """What to do."""

    @property
    def sentence(self) -> str:
        """Frames, problem and remedy as one text."""
        where = f"frames {spelled(self.frames)}: " if self.frames else ""
        return f"{where}{self.message}. {self.remedy}"


@dataclass(frozen=True)
class Check:
    """One check of a delivery."""

    name: str
    """The check's name in reports."""
    find: Callable[[Delivery], Iterator[Finding]]
    """Yields the problems. Its docstring states the rule."""
    severity: Severity = "error"
    """"error" stops a publish; "warning" does not."""
    needs: Needed | None = None
    """What the check compares with. Without it, the check is skipped."""

    @property
    def help(self) -> str:
        """The rule that the check enforces."""
        return self.find.__doc__ or ""

    def unchecked(self, delivery: Delivery) -> str:
        """Return why this check is skipped, or "". A skipped check does not count as passed."""
        has = {
            "plate": delivery.plate is not None,
            "trimap": delivery.trimap is not None,
            "manifest": (delivery.folder / MANIFEST).is_file(),
            "log": manifest_path(str(delivery.pattern)).is_file(),
        }
        return "" if self.needs is None or has[self.needs] else _LACKS[self.needs]


@dataclass(frozen=True)
class Result:
    """The result of one check: the check and its findings."""

    check: Check
    findings: tuple[Finding, ...]
    unchecked: str = ""

    @property
    def failed(self) -> bool:
        """Whether this result stops a publish."""
        return bool(self.findings) and self.check.severity == "error"

    @property
    def mark(self) -> str:
        """FAIL, warn, ok, or a dash for a skipped check."""
        if self.findings:
            return "FAIL" if self.failed else "warn"
        return "-" if self.unchecked else "ok"


def where(delivery: Delivery, test: Callable[[Any], bool]) -> tuple[int, ...]:
    """Return the frames whose measurements pass a test. Frames with a non-finite alpha are left
    out.
    """
    return tuple(
        frame.number
        for frame, _, measured in delivery.readable
        if test(measured) and "alpha" not in measured.not_finite
    )


def as_plate(
    delivery: Delivery,
    of_picture: Callable[[DeliveredPicture], Any],
    of_plate: Callable[[Any], Any],
    message: str,
    remedy: str,
) -> Iterator[Finding]:
    """Return the frames whose value differs from the plate's. Without a plate: from most frames'
    value.
    """
    most = usual(delivery, of_picture)
    wrong: dict[tuple[Any, Any], list[int]] = {}
    for frame, picture, _ in delivery.readable:
        wanted = most if frame.plate is None else of_plate(frame.plate)
        if not picture.is_exr and hasattr(wanted, "width"):
            same = (picture.display_window.width, picture.display_window.height) == (
                wanted.width,
                wanted.height,
            )
        else:
            same = of_picture(picture) == wanted
        if not same:
            wrong.setdefault((of_picture(picture), wanted), []).append(frame.number)
    for (found, wanted), frames in wrong.items():
        said = message.format(found=text(found), wanted=text(wanted))
        yield Finding(tuple(frames), said, remedy)


def text(value: object) -> str:
    """Return a window as 1280x720, and any other value as text."""
    if not isinstance(value, Rect):
        return str(value)
    at = f" at {value.x},{value.y}" if value.x or value.y else ""
    return f"{value.width}x{value.height}{at}"


def usual(delivery: Delivery, fact: Callable[[DeliveredPicture], Any]) -> Any:
    """Return the value that most frames have."""
    found = Counter(fact(picture) for _, picture, _ in delivery.readable)
    return found.most_common()[0][0] if found else None


def grouped(
    delivery: Delivery, fact: Callable[[DeliveredPicture], Any]
) -> Iterator[tuple[DeliveredPicture, tuple[int, ...]]]:
    """Return one picture of each kind, with the frames of that kind."""
    kinds: dict[Any, tuple[DeliveredPicture, list[int]]] = {}
    for frame, picture, _ in delivery.readable:
        kinds.setdefault(fact(picture), (picture, []))[1].append(frame.number)
    for picture, frames in kinds.values():
        yield picture, tuple(frames)
