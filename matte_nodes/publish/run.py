# SPDX-License-Identifier: Apache-2.0
"""Runs a publish by pyblish, with our plug-ins and those of the studio."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLUGINS = Path(__file__).parent / "plugins"
"""What stands on PYBLISHPLUGINPATH (or is registered) to have our plug-ins in any pyblish."""

KEY = "matte"
"""The entry of the context's data that names what is published; see `plugins/collect_matte.py`."""


@dataclass(frozen=True)
class PluginResult:
    """The result of one plug-in."""

    plugin: str
    """The plug-in's name."""
    succeeded: bool
    """Whether it raised no error."""
    said: tuple[str, ...]
    """Its messages."""
    unchecked: str = ""
    """Why it was skipped; "" when it ran."""


@dataclass(frozen=True)
class PublishOutcome:
    """The result of a publish."""

    steps: tuple[PluginResult, ...]
    """All plug-ins, in order."""
    report: str
    """Path of the review report; "" without one."""
    published: str
    """Folder of the published version; "" without one."""

    @property
    def succeeded(self) -> bool:
        """Whether every plug-in succeeded."""
        return bool(self.steps) and all(step.succeeded for step in self.steps)

    def facts(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        steps = [
            {
                "plugin": step.plugin,
                "succeeded": step.succeeded,
                "said": list(step.said),
                "unchecked": step.unchecked,
            }
            for step in self.steps
        ]
        return {
            "succeeded": self.succeeded,
            "report": self.report,
            "published": self.published,
            "plugins": steps,
        }

    def lines(self) -> Iterator[str]:
        """Yield the outcome as lines of text."""
        for step in self.steps:
            fine = "warn" if step.said else "-" if step.unchecked else "ok"
            why = f" ({step.unchecked})" if step.unchecked else ""
            yield f"{fine if step.succeeded else 'FAIL':4} {step.plugin}{why}"
            yield from (f"     {line}" for line in step.said)
        if self.report:
            yield f"report: {self.report}"
        if self.published:
            yield f"published: {self.published}"
        if not self.succeeded:
            yield "not published"


def publish(asked: Mapping[str, Any]) -> PublishOutcome:
    """Publish what `asked` names (see `plugins/collect_matte.py`) with our plug-ins and those on
    $PYBLISHPLUGINPATH.
    """
    import pyblish.api
    import pyblish.plugin
    import pyblish.util

    paths = [str(PLUGINS), *filter(None, os.environ.get("PYBLISHPLUGINPATH", "").split(os.pathsep))]
    plugins = pyblish.plugin.discover(paths=list(dict.fromkeys(paths)))
    context = pyblish.api.Context()
    context.data[KEY] = dict(asked)
    # pyblish also logs and prints every failure. Its output must not mix with our JSON.
    log = logging.getLogger("pyblish")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            pyblish.util.publish(context, plugins=plugins)
    finally:
        log.setLevel(level)
    return outcome(context)


def outcome(context: Any) -> PublishOutcome:
    """Return the outcome that a pyblish context holds after a publish."""
    steps = []
    for result in context.data.get("results", ()):
        records = [r for r in result["records"] if isinstance(r, logging.LogRecord)]
        said = [r.getMessage() for r in records if r.levelno >= logging.WARNING]
        unchecked = next(
            (r.getMessage() for r in records if r.getMessage().startswith("not checked:")), ""
        )
        if result["error"] is not None:
            said.append(str(result["error"]))
        label = getattr(result["plugin"], "label", None) or result["plugin"].__name__
        steps.append(PluginResult(str(label), bool(result["success"]), tuple(said), unchecked))
    instances = [instance.data for instance in context]
    return PublishOutcome(
        tuple(steps),
        next((str(data["review_report"]) for data in instances if "review_report" in data), ""),
        next((str(data["published"]) for data in instances if "published" in data), ""),
    )
