# SPDX-License-Identifier: Apache-2.0
"""The built plug-in and one OBS a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import rig

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups afterwards
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them on one worker: two OBS on two cores are slower than one after the other."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("obs"))
            item.add_marker(pytest.mark.obs)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in as `matte install obs` makes it, with the known model declared."""
    if absent := rig.missing():
        pytest.skip(f"not here: {absent}")
    return rig.installed(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def obs(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[rig.Obs]:
    """A running OBS with the plug-in."""
    with rig.running(tmp_path_factory.mktemp("obs"), plugin) as found:
        yield found
