# SPDX-License-Identifier: Apache-2.0
"""Memory does not grow with a clip: the bench's own measurement, as a bound."""

from __future__ import annotations

import pytest

from bench.bench_memory import flat
from tests.conftest import needs_weights


def test_a_longer_clip_takes_no_more_memory() -> None:
    # Allocators settle within some tens of frames; 15 % covers their noise on so short a clip.
    assert flat((60, 240), "green-screen") < 1.15


@pytest.mark.slow
@needs_weights("rvm")
def test_a_thousand_frames_take_what_a_hundred_do() -> None:
    assert flat((100, 1000), "rvm") < 1.05


@pytest.mark.slow
def test_ten_thousand_frames() -> None:
    assert flat((1000, 10_000), "green-screen") < 1.05
