# SPDX-License-Identifier: Apache-2.0
"""Everything here is about the Nuke adapter, and shares one service."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nuke.desk import desk, plugin, service_home

__all__ = ["desk", "plugin", "service_home"]


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups afterwards
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.nuke)
            item.add_marker(pytest.mark.xdist_group("nuke"))
