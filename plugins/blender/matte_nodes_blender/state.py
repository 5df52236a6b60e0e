# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a Matte node: not baked, baked n of m, stale, at work, or an error."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

NONE, RUNNING, PARTIAL, STALE, DONE, ERROR = "none", "running", "partial", "stale", "done", "error"


_SHOWN = 4


class Record(NamedTuple):
    """The record of a bake in the .blend: settings, range, a fingerprint of each input.

    whole: the bake ran to its end. still: one picture serves all frames. keys: the first signs of
    the content key in each finished file.
    """

    settings: str = ""
    first: int = 0
    last: int = 0
    still: bool = False
    stamps: tuple[tuple[str, str], ...] = ()
    whole: bool = False
    keys: tuple[tuple[int, str], ...] = ()

    @classmethod
    def read(cls, text: str) -> Record:
        """Read a record from the .blend. A damaged text counts as none."""
        try:
            found: dict[str, Any] = json.loads(text or "{}")
            stamps = tuple(sorted((str(k), str(v)) for k, v in found["stamps"].items()))
            keys = tuple(sorted((int(k), str(v)) for k, v in found.get("keys", {}).items()))
            return cls(
                str(found["settings"]), int(found["first"]), int(found["last"]),
                bool(found["still"]), stamps, bool(found["whole"]), keys,
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """For the .blend."""
        facts = {**self._asdict(), "stamps": dict(self.stamps), "keys": dict(self.keys)}
        return json.dumps(facts, sort_keys=True)

    def foreign(self, keys: Mapping[int, str]) -> list[int]:
        """Return the frames whose files hold another key than the bake left there."""
        noted = dict(self.keys)
        return sorted(frame for frame in keys if noted.get(frame, keys[frame]) != keys[frame])


class Now(NamedTuple):
    """The present settings and inputs. trouble: why they could not be read."""

    settings: str = ""
    first: int = 0
    last: int = 0
    still: bool = False
    stamps: tuple[tuple[str, str], ...] = ()
    trouble: str = ""


class State(NamedTuple):
    """kind: one of the words above. text: a line for the panel. wrong: a render is not right."""

    kind: str
    text: str
    wrong: bool = False


def state(
    record: Record, now: Now, there: Collection[int], *, linked: bool, error: str = "",
    running: tuple[str, int, int] | None = None, foreign: Collection[int] = (),
) -> State:  # fmt: skip
    """Return the state of a node.

    there: frames in the folder that is linked. linked: the node shows a bake. error: what the last
    bake ended with. running: what is being done, and the count of it done and in all. foreign:
    frames of the folder whose files another bake has written.
    """
    if running is not None:
        doing, done, total = running
        text = f"{doing}: {done} of {total}" if total else f"{doing}: starting"
        return State(RUNNING, text, wrong=True)
    if not linked:
        if error:
            return State(ERROR, error, wrong=True)
        text = "not baked: Image passes through, Alpha is 1"
        return State(NONE, text, wrong=True)
    # With trouble nobody knows what is asked for: what was baked stays what is looked for.
    first, last = (record.first, record.last) if now.trouble else (now.first, now.last)
    wanted = [0] if record.still else range(first, last + 1)
    have = (1 if there else 0) if record.still else sum(1 for frame in wanted if frame in there)
    if not have:
        return State(ERROR, error or "the files of the bake are missing", wrong=True)
    if error:
        return State(ERROR, error, wrong=have < len(wanted))
    if now.trouble:
        return State(ERROR, now.trouble)
    strange = [frame for frame in sorted(foreign) if record.still or frame in wanted]
    if strange:
        return State(
            STALE, f"{_listed(strange)} damaged, or from another bake: bake again", wrong=True
        )
    why = _stale(record, now)
    if why:
        return State(STALE, f"stale: {why} since the bake", wrong=True)
    if have < len(wanted):
        return State(PARTIAL, f"baked {have} of {len(wanted)} frames", wrong=True)
    if not record.whole:
        return State(
            STALE, "the last bake was stopped: bake again, what is right stays", wrong=True
        )
    count = "a still" if record.still else f"{have} frames"
    return State(DONE, f"baked ({count})")


def _listed(frames: list[int]) -> str:
    shown = ", ".join(str(frame) for frame in frames[:_SHOWN])
    more = f" and {len(frames) - _SHOWN} more" if len(frames) > _SHOWN else ""
    return f"frames {shown}{more} are" if len(frames) > 1 else f"frame {shown} is"


def _stale(record: Record, now: Now) -> str:
    if record.settings != now.settings:
        return "settings or inputs changed"
    if record.still != now.still:
        return "the inputs changed"
    old, new = dict(record.stamps), dict(now.stamps)
    same_range = (record.first, record.last) == (now.first, now.last)
    changed = [name for name in new if new[name] != old.get(name)]
    if changed and same_range:
        return f"the {' and the '.join(changed)} changed"
    return ""
