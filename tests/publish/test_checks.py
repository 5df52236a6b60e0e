# SPDX-License-Identifier: Apache-2.0
"""Broken deliveries, one fault each: caught by exactly the check that should."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import OpenImageIO as oiio
import pytest
from click.testing import CliRunner

from matte_nodes import models
from matte_nodes.cli import matte
from matte_nodes.errors import MediaError
from matte_nodes.publish.checks import CHECKS, run
from matte_nodes.publish.delivery import Delivery
from tests.publish.deliveries import FAULTS, SPOT, Made, broken, header, rendered, rewritten


def found(made: Made) -> dict[str, str]:
    """Checks that found something, with what they say."""
    results = run(Delivery(str(made.folder), **made.options()))
    return {r.check.name: r.findings[0].sentence for r in results if r.findings}


def test_a_good_delivery_passes(made: Made) -> None:
    assert found(made) == {}


def test_a_delivery_over_the_matte_s_own_data_window_passes(made: Made, tmp_path: Path) -> None:
    small = rendered(replace(made, folder=tmp_path / "small"), plate_window=False)
    windows = {
        (spec.x, spec.y, spec.width, spec.height)
        for path in sorted(small.folder.glob("*.exr"))
        for spec in [oiio.ImageInput.open(str(path)).spec()]
    }
    assert all(width * height < 0.9 * 128 * 96 for _, _, width, height in windows), windows
    assert all(x % 2 == 0 and width % 2 == 0 for x, _, width, _ in windows)
    assert found(small) == {}


def test_a_good_delivery_passes_without_its_plate(made: Made) -> None:
    assert [r for r in run(Delivery(str(made.folder))) if r.findings] == []


def test_what_cannot_be_checked_is_not_called_right(made: Made) -> None:
    def unchecked(**options: str) -> list[str]:
        results = run(Delivery(str(made.folder), **options))
        assert all(r.unchecked.startswith("not checked: ") for r in results if r.mark == "-")
        return [r.check.name for r in results if r.mark == "-"]

    assert unchecked() == ["data-window", "trimap", "timecode", "rate", "sha256"]
    assert unchecked(plate=made.plate) == ["trimap", "sha256"]
    assert unchecked(plate=made.plate, trimap=made.trimap) == ["sha256"]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught_by_its_check_alone(fault: str, made: Made, tmp_path: Path) -> None:
    said = found(broken(made, fault, tmp_path))
    assert list(said) == [FAULTS[fault][1]], said


def test_another_frames_file_under_a_name_is_found(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "swapped"
    shutil.copytree(made.folder, folder)
    one, other, *_ = sorted(folder.glob("*.exr"))
    shutil.copyfile(one, other)
    assert "name" in found(Made(made.plate, made.trimap, folder))
    log = next(folder.glob(".*.jsonl"))
    log.unlink()
    results = {r.check.name: r.mark for r in run(Delivery(str(folder)))}
    assert results["name"] == "-"


def test_there_are_twenty_faults_and_every_check_has_one() -> None:
    assert len(FAULTS) >= 20
    assert {check for _, check in FAULTS.values()} | {"sha256"} == {c.name for c in CHECKS}


def test_frames_without_a_subject_may_be_allowed(made: Made, tmp_path: Path) -> None:
    folder = str(broken(made, "an empty frame", tmp_path).folder)
    allowed = run(Delivery(folder, plate=made.plate, may_be_empty=True))
    assert not [result.check.name for result in allowed if result.findings]


def test_a_non_commercial_model_may_be_published_as_that(made: Made, tmp_path: Path) -> None:
    folder = str(broken(made, "a non-commercial model", tmp_path).folder)
    results = run(Delivery(folder, use="non-commercial"))
    assert not [result for result in results if result.findings]


def test_the_card_is_asked_too_when_a_file_calls_its_model_free(made: Made, tmp_path: Path) -> None:
    """A file may have been made by an older card, or edited."""
    card = next(card for card in models.cards() if card.commercial == "no")
    target = tmp_path / "edited"
    shutil.copytree(made.folder, target)
    for path in target.glob("*.exr"):
        rewritten(path, header(matte__model=card.name, matte__commercial="yes"))
    failed = [result.check.name for result in run(Delivery(str(target))) if result.findings]
    assert failed == ["licence"]


def test_findings_name_frames_and_what_to_do(made: Made, tmp_path: Path) -> None:
    said = found(broken(made, "NaN in the foreground", tmp_path))["finite"]
    assert said.startswith(f"frames {SPOT}: NaN or Inf in foreground")
    assert said.endswith("write it again.")


@pytest.mark.parametrize(
    ("fault", "code"), [(None, 0), ("alpha above 1", 1), ("an edge that pops", 0)]
)
def test_check_on_the_command_line(
    fault: str | None, code: int, made: Made, tmp_path: Path
) -> None:
    folder = made.folder if fault is None else broken(made, fault, tmp_path).folder
    arguments = ["check", str(folder), "--plate", made.plate, "--trimap", made.trimap, "--json"]
    answer = CliRunner().invoke(matte, arguments)
    assert answer.exit_code == code, answer.output
    failed = [row["check"] for row in json.loads(answer.output) if not row["passed"]]
    assert failed == ([] if fault is None else [FAULTS[fault][1]])


def test_strict_counts_warnings(made: Made, tmp_path: Path) -> None:
    folder = broken(made, "an edge that pops", tmp_path).folder
    arguments = ["check", str(folder), "--plate", made.plate, "--strict"]
    assert CliRunner().invoke(matte, arguments).exit_code == 1


def test_a_folder_with_two_sequences_is_no_delivery(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "two"
    shutil.copytree(made.folder, target)
    shutil.copy(target / "matte.1001.exr", target / "other.1001.exr")
    with pytest.raises(MediaError, match="one sequence"):
        Delivery(str(target))
