# SPDX-License-Identifier: Apache-2.0
"""Broken deliveries, one fault each: caught by exactly the check that should."""

from __future__ import annotations

from pathlib import Path

import pytest

from matte_nodes.publish.checks import CHECKS, run
from matte_nodes.publish.delivery import Delivery
from tests.publish.deliveries import FAULTS, Made, broken, good


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return good(tmp_path_factory.mktemp("delivery"))


def found(made: Made) -> dict[str, str]:
    """Checks that found something, with what they say."""
    results = run(Delivery(str(made.folder), **made.options()))
    return {r.check.name: r.findings[0].sentence for r in results if r.findings}


def test_a_good_delivery_passes(made: Made) -> None:
    assert found(made) == {}


def test_a_good_delivery_passes_without_its_plate(made: Made) -> None:
    assert [r for r in run(Delivery(str(made.folder))) if r.findings] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught_by_its_check_alone(fault: str, made: Made, tmp_path: Path) -> None:
    said = found(broken(made, fault, tmp_path))
    assert list(said) == [FAULTS[fault][1]], said


def test_there_are_twenty_faults_and_every_check_has_one() -> None:
    assert len(FAULTS) >= 20
    assert {check for _, check in FAULTS.values()} | {"sha256"} == {c.name for c in CHECKS}
