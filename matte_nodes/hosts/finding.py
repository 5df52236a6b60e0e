# SPDX-License-Identifier: Apache-2.0
"""One thing that `matte doctor` looked at; installers report their hosts with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class DoctorFinding:
    """One thing that was looked at."""

    area: str
    """What it belongs to: "python", "package", "device", "host" and so on."""
    what: str
    """What was looked at."""
    state: State
    """How it stands. A "note" needs no action."""
    detail: str
    """What was found."""
    advice: str = ""
    """What to do about it; "" where nothing is to be done."""

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return asdict(self)
