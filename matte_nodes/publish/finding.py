# SPDX-License-Identifier: Apache-2.0
"""What a check is and what it finds, and the ways in which checks look at many frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from matte_nodes.farm.plan import spelled
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.integrate import MANIFEST

if TYPE_CHECKING:
    from matte_nodes.publish.picture import Picture

Severity = Literal["error", "warning"]
Needed = Literal["plate", "trimap", "manifest"]

_LACKS: dict[Needed, str] = {
    "plate": "not checked: no plate was given (--plate)",
    "trimap": "not checked: no trimap was given (--trimap)",
    "manifest": "not checked: this is no published version",
}


@dataclass(frozen=True)
class Finding:
    """What is wrong with which frames, and what to do."""

    frames: tuple[int, ...]
    message: str
    remedy: str

    @property
    def sentence(self) -> str:
        """All of it, for people."""
        where = f"frames {spelled(self.frames)}: " if self.frames else ""
        return f"{where}{self.message}. {self.remedy}"


@dataclass(frozen=True)
class Check:
    """One check: its name, the function (whose docstring is what it is for), how much it counts,
    and what there must be to check against."""

    name: str
    find: Callable[[Delivery], Iterator[Finding]]
    severity: Severity = "error"
    needs: Needed | None = None

    @property
    def help(self) -> str:
        """What must be so."""
        return self.find.__doc__ or ""

    def unchecked(self, delivery: Delivery) -> str:
        """Why nothing can be said of this delivery, "" when it can: no finding is no proof then."""
        has = {
            "plate": delivery.plate is not None,
            "trimap": delivery.trimap is not None,
            "manifest": (delivery.folder / MANIFEST).is_file(),
        }
        return "" if self.needs is None or has[self.needs] else _LACKS[self.needs]


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    findings: tuple[Finding, ...]
    unchecked: str = ""

    @property
    def failed(self) -> bool:
        """Whether this stops a publish."""
        return bool(self.findings) and self.check.severity == "error"

    @property
    def mark(self) -> str:
        """FAIL, warn, ok, or a dash for what was not checked."""
        if self.findings:
            return "FAIL" if self.failed else "warn"
        return "-" if self.unchecked else "ok"


def where(delivery: Delivery, test: Callable[[Any], bool]) -> tuple[int, ...]:
    """Frames whose numbers pass a test; frames whose alpha is not finite are left out."""
    return tuple(
        frame.number
        for frame, _, measured in delivery.readable
        if test(measured) and "alpha" not in measured.not_finite
    )


def as_plate(
    delivery: Delivery,
    of_picture: Callable[[Picture], Any],
    of_plate: Callable[[Any], Any],
    message: str,
    remedy: str,
) -> Iterator[Finding]:
    """Frames whose fact is not the plate's; without a plate, not that of most frames."""
    most = usual(delivery, of_picture)
    wrong: dict[tuple[Any, Any], list[int]] = {}
    for frame, picture, _ in delivery.readable:
        wanted = most if frame.plate is None else of_plate(frame.plate)
        if not picture.is_exr and hasattr(wanted, "width"):
            same = (picture.display_window.width, picture.display_window.height) == (
                wanted.width, wanted.height,
            )  # fmt: skip
        else:
            same = of_picture(picture) == wanted
        if not same:
            wrong.setdefault((of_picture(picture), wanted), []).append(frame.number)
    for (found, wanted), frames in wrong.items():
        said = message.format(found=text(found), wanted=text(wanted))
        yield Finding(tuple(frames), said, remedy)


def text(value: Any) -> str:
    """A window as 1280x720, everything else as it is."""
    if not hasattr(value, "width"):
        return str(value)
    at = f" at {value.x},{value.y}" if value.x or value.y else ""
    return f"{value.width}x{value.height}{at}"


def usual(delivery: Delivery, fact: Callable[[Picture], Any]) -> Any:
    """What most frames have."""
    found = Counter(fact(picture) for _, picture, _ in delivery.readable)
    return found.most_common()[0][0] if found else None


def grouped(
    delivery: Delivery, fact: Callable[[Picture], Any]
) -> Iterator[tuple[Picture, tuple[int, ...]]]:
    """One picture of each kind, and the frames of that kind."""
    kinds: dict[Any, tuple[Picture, list[int]]] = {}
    for frame, picture, _ in delivery.readable:
        kinds.setdefault(fact(picture), (picture, []))[1].append(frame.number)
    for picture, frames in kinds.values():
        yield picture, tuple(frames)
