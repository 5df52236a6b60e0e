# SPDX-License-Identifier: Apache-2.0
"""What `matte run FOLDER -o OUT/` says: one line for each still, and the errors again at the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from matte_nodes.batch.run import Outcome


class StillsReport:
    """Lines on stderr for people, JSON lines on stdout for programs, or nothing but errors."""

    def __init__(self, total: int, *, as_json: bool, quiet: bool) -> None:
        self._total, self._json, self._quiet = total, as_json, quiet
        self._count, self._lock = 0, threading.Lock()

    def say(self, outcome: Outcome) -> None:
        """One item ended; called from several threads."""
        with self._lock:
            self._count += 1
            if self._json:
                click.echo(
                    json.dumps(_facts(outcome) | {"done": self._count, "total": self._total})
                )
            elif not self._quiet:
                click.echo(f"{self._count}/{self._total} {_line(outcome)}", err=True)

    def end(self, outcomes: Sequence[Outcome]) -> int:
        """List the errors, and return the exit code: 0, or that of the first error."""
        failed = [outcome for outcome in outcomes if outcome.error]
        made = sum(outcome.made for outcome in outcomes)
        there = sum(1 for outcome in outcomes if not outcome.error and not outcome.made)
        if self._json:
            click.echo(json.dumps({
                "event": "done", "files": made, "done_before": there, "failed": len(failed),
            }))  # fmt: skip
        else:
            before = f", {there} done before (--again does them anew)" if there else ""
            if not self._quiet:
                click.echo(f"{made} written{before}, {len(failed)} failed.", err=True)
            for outcome in failed:
                click.echo(f"matte: {outcome.error}", err=True)
        return failed[0].exit_code if failed else 0


def _facts(outcome: Outcome) -> dict[str, object]:
    item = outcome.item
    found: dict[str, object] = {
        "event": "error" if outcome.error else "still", "input": item.source, "output": item.output,
        "pictures": item.frames, "made": outcome.made, "seconds": round(outcome.seconds, 2),
        "model": outcome.model, "notes": list(outcome.notes),
    }  # fmt: skip
    if outcome.error:
        found |= {"message": outcome.error, "exit_code": outcome.exit_code}
    return found


def _line(outcome: Outcome) -> str:
    item = outcome.item
    many = f" ({item.frames} frames)" if item.frames > 1 else ""
    if outcome.error:
        return f"{item.source}{many}: failed. {outcome.error}"
    if not outcome.made:
        return f"{item.source}{many}: done before"
    warned = [note for note in outcome.notes if note.startswith("Warning")]
    return (
        f"{item.source}{many} -> {item.output} by {outcome.model}, {outcome.seconds:.1f} s"
        + "".join(f"\n    {note}" for note in warned)
    )
