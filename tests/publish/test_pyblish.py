# SPDX-License-Identifier: Apache-2.0
"""The same broken deliveries through the real pyblish."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyblish.api
import pyblish.plugin
import pyblish.util
import pytest

from matte_nodes.publish.checks import CHECKS
from matte_nodes.publish.run import PLUGINS, outcome, publish
from tests.publish.deliveries import FAULTS, Made, broken

WARNINGS = {check.name for check in CHECKS if check.severity == "warning"}


def published(made: Made, **more: Any) -> tuple[dict[str, str], Any]:
    """Labels of plug-ins that failed or warned, with what they said; and the context."""
    plugins = pyblish.plugin.discover(paths=[str(PLUGINS)])
    context = pyblish.api.Context()
    context.data["matte"] = {"folder": str(made.folder), **made.options(), **more}
    pyblish.util.publish(context, plugins=plugins)
    steps = outcome(context).steps
    return {s.plugin: " ".join(s.said) for s in steps if s.said or not s.succeeded}, context


def test_there_is_a_validator_for_every_check_in_order() -> None:
    plugins = pyblish.plugin.discover(paths=[str(PLUGINS)])
    names = [plugin.label for plugin in plugins if plugin.__name__.startswith("ValidateMatte")]
    assert names == [f"Matte: {check.name}" for check in CHECKS]


def test_a_good_delivery_is_published(made: Made, tmp_path: Path) -> None:
    trouble, context = published(
        made, root=str(tmp_path / "root"), name="hero", report=str(tmp_path / "review.html")
    )
    assert trouble == {}
    skipped = {step.plugin for step in outcome(context).steps if step.unchecked}
    assert skipped == {"Matte: sha256"}
    version = tmp_path / "root" / "hero" / "v001"
    assert outcome(context).published == str(version)
    names = sorted(path.name for path in version.iterdir())
    assert names == ["manifest.json", *sorted(p.name for p in made.folder.glob("*.exr")),
                     "review.html"]  # fmt: skip
    facts = json.loads((version / "manifest.json").read_text())
    assert facts["origin"]["model"] == "closed-form"
    assert len(facts["checks"]) == len(CHECKS)
    assert not any(facts["checks"].values())


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_stops_the_publish_at_its_validator(fault: str, made: Made, tmp_path: Path) -> None:
    check = FAULTS[fault][1]
    folder = broken(made, fault, tmp_path)
    trouble, context = published(folder, root=str(tmp_path / "root"), name="hero")
    assert list(trouble) == [f"Matte: {check}"], trouble
    done = (tmp_path / "root" / "hero" / "v001").is_dir()
    assert done == (check in WARNINGS)
    assert bool(outcome(context).report) == done


def test_no_version_is_made_when_the_report_failed(made: Made, tmp_path: Path) -> None:
    """pyblish stops at validators alone; a version without its report would be a wrong one."""
    trouble, context = published(
        made, root=str(tmp_path / "root"), name="hero", report=str(tmp_path / "r.html"),
        behind=str(tmp_path / "nothing.png"),
    )  # fmt: skip
    assert list(trouble) == ["Extract review report", "Integrate version"]
    assert "nothing.png" in trouble["Extract review report"]
    assert "Extract review report" in trouble["Integrate version"]
    assert outcome(context).published == ""
    assert not (tmp_path / "root").exists()


def test_plug_ins_work_in_a_pyblish_of_the_studio(made: Made) -> None:
    """By the environment alone, with no call of ours."""
    script = (
        "import pyblish.util, json\n"
        "context = pyblish.util.publish()\n"
        "print(json.dumps([[r['plugin'].__name__, r['success']] for r in context.data['results']]))\n"
    )
    environment = {
        **os.environ, "PYBLISHPLUGINPATH": str(PLUGINS), "MATTE_DELIVERY": str(made.folder),
        "MATTE_PLATE": made.plate,
    }  # fmt: skip
    answer = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True,
        check=True, timeout=250,
    )  # fmt: skip
    results = json.loads(answer.stdout.splitlines()[-1])
    assert all(success for _, success in results)
    names = [name for name, _ in results]
    assert "CollectMatte" in names
    assert "ExtractReview" in names
    assert sum(name.startswith("ValidateMatte") for name in names) == len(CHECKS)
    (made.folder / "review.html").unlink()


def test_a_plug_in_of_the_studio_takes_part(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "validate_name.py").write_text(
        "import pyblish.api\n"
        "class ValidateName(pyblish.api.InstancePlugin):\n"
        "    order = pyblish.api.ValidatorOrder\n"
        "    families = ['matte']\n"
        "    def process(self, instance):\n"
        "        assert instance.data['name'].startswith('sh'), 'names begin with sh'\n"
    )
    monkeypatch.setenv("PYBLISHPLUGINPATH", str(tmp_path))
    asked = {"folder": str(made.folder), "report": str(tmp_path / "r.html")}
    refused = publish({**asked, "name": "hero"})
    assert [s.said for s in refused.steps if not s.succeeded] == [("names begin with sh",)]
    assert publish({**asked, "name": "sh010"}).succeeded


def test_publish_on_the_command_line(made: Made, tmp_path: Path) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "matte_nodes", "publish", *more, "--plate", made.plate,
             "--to", str(tmp_path / "root"), "--name", "hero", "--json",
             "--report", str(tmp_path / "r.html")],
            capture_output=True, text=True, check=False, timeout=250,
        )  # fmt: skip

    good = run(str(made.folder))
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["published"] == str(tmp_path / "root" / "hero" / "v001")
    bad = run(str(broken(made, "no tag of premultiplication", tmp_path).folder))
    assert bad.returncode == 1
    assert "Traceback" not in bad.stderr
    failed = [p["plugin"] for p in json.loads(bad.stdout)["plugins"] if not p["succeeded"]]
    assert failed == ["Matte: association"]
    assert sorted(p.name for p in (tmp_path / "root" / "hero").iterdir()) == ["v001"]
