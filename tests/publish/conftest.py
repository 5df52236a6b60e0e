# SPDX-License-Identifier: Apache-2.0
"""One good delivery for all tests of a worker."""

from __future__ import annotations

import pytest

from tests.publish.deliveries import Made, good


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Nobody changes it: broken ones are copies."""
    return good(tmp_path_factory.mktemp("delivery"))
