# SPDX-License-Identifier: Apache-2.0
"""Everything here is about the Blender add-on, and shares one service."""

from __future__ import annotations

from pathlib import Path

import pytest

from matte_nodes.hosts.blender import build
from tests.blender import rig
from tests.nuke.desk import service_home

__all__ = ["addon", "home", "service_home", "version"]
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups afterwards
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker for all: they share a service, and two Blenders on two cores gain nothing."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.blender)
            item.add_marker(pytest.mark.xdist_group("blender"))


def needs(version: str) -> None:
    """Skip visibly where this Blender is not here."""
    if absent := rig.missing(version):
        pytest.skip(absent)


@pytest.fixture(scope="session")
def addon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The add-on as it is built, in a folder of the name that it has as a legacy add-on."""
    return build.unpack(tmp_path_factory.mktemp("addon") / build.ADDON)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home, for Blender's own settings."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


VERSIONS = [pytest.param(v, marks=() if v in rig.QUICK else pytest.mark.slow) for v in rig.ALL]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each Blender of a usual test run; the long-term ones only by make soak."""
    needs(request.param)
    return str(request.param)
