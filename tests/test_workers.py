# SPDX-License-Identifier: Apache-2.0
"""The tests of one group run on one worker: they share a host, a screen or a story."""

from __future__ import annotations

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="without workers")
@pytest.mark.xdist_group("told")
def test_a_group_is_in_the_name_by_which_the_tests_are_shared_out(
    request: pytest.FixtureRequest,
) -> None:
    assert request.node.nodeid.endswith("@told"), "this pytest and this xdist do not work together"
