# SPDX-License-Identifier: Apache-2.0
"""`openjd` as a farm: the real runner, with a home of the test's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes import models, weights
from tests.conftest import TOY

SCRIPTS = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


def home(folder: Path, *, cache: Path | None = None) -> Path:
    """A MATTE_HOME with links to the weights of RVM that are here, and nothing kept."""
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    for item in models.card("rvm").weights:
        found = weights.find(item)
        link = folder / "weights" / item.file
        if found is not None and not link.exists():
            link.symlink_to(found)
    return folder


def environment(folder: Path, *, service: bool = False) -> dict[str, str]:
    """What a worker's shell would have."""
    kept = {k: v for k, v in os.environ.items() if k != "MATTE_CACHE"}
    return {
        **kept, "MATTE_HOME": str(home(folder)), "MATTE_SERVICE": "on" if service else "off",
        "PYTHONPATH": os.pathsep.join([str(TOY), str(ROOT)]),
        "PATH": os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", "")]),
    }  # fmt: skip


def command(
    *arguments: object, home: Path, check: bool = True, service: bool = False
) -> subprocess.CompletedProcess[str]:
    """A program of the environment, to its end."""
    result = subprocess.run(
        [str(SCRIPTS / str(arguments[0])), *map(str, arguments[1:])],
        env=environment(home, service=service), capture_output=True, text=True, check=False,
        timeout=280,
    )  # fmt: skip
    assert not check or result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return result


@dataclass
class Bundle:
    """A written bundle, and where its frames go."""

    folder: Path
    output: Path
    home: Path

    @property
    def template(self) -> dict[str, Any]:
        """The job."""
        return dict(json.loads((self.folder / "template.json").read_text("utf-8")))

    def arguments(self, *more: object) -> list[object]:
        """`openjd run` with the bundle's own values."""
        values = f"file://{self.folder / 'job_parameters.json'}"
        return ["openjd", "run", self.folder / "template.json", "-p", values, *more]

    def run(
        self, *more: object, check: bool = True, service: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """One session of the engine."""
        return command(*self.arguments(*more), home=self.home, check=check, service=service)

    def whole(self, **options: bool) -> subprocess.CompletedProcess[str]:
        """The whole job."""
        return self.run("--step", "Validate", "--run-dependencies", **options)


def bundle(folder: Path, source: object, *flags: object, output: str = "out") -> Bundle:
    """`matte farm bundle`, and `openjd check`, which it has to pass."""
    target = folder / output
    found = Bundle(folder / f"{output}-bundle", target, folder / "home")
    command(
        "matte", "farm", "bundle", source, "-o", target / "matte.####.exr", "--bundle",
        found.folder, *flags, home=found.home,
    )  # fmt: skip
    answer = command("openjd", "check", found.folder / "template.json", home=found.home)
    assert "passes validation checks" in answer.stdout
    return found


def chunks(log: str) -> list[str]:
    """The chunks that an engine's log says it ran, in order."""
    return re.findall(r"Frame\(CHUNK\[INT\]\) = (\S+)", log)
