# SPDX-License-Identifier: Apache-2.0
"""Sparse keys: which hint a frame uses."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matte_nodes.errors import InputError, MissingInputError, UsageError
from matte_nodes.node.hints import HintKeys

KEYS = {1010: "b", 1001: "a", 1020: "c"}


@pytest.mark.parametrize(
    ("mode", "frame", "source"),
    [
        ("hold", 990, 1001),
        ("hold", 1001, 1001),
        ("hold", 1009, 1001),
        ("hold", 1010, 1010),
        ("hold", 5000, 1020),
        ("nearest", 990, 1001),
        ("nearest", 1005, 1001),
        ("nearest", 1006, 1010),
        ("nearest", 1015, 1010),  # as near to 1020: the earlier
        ("nearest", 1016, 1020),
        ("nearest", 5000, 1020),
        ("only", 1010, 1010),
        ("only", 1011, None),
        ("only", 990, None),
        ("exact", 1020, 1020),
    ],
)
def test_which_key_a_frame_uses(mode, frame, source):
    keys = HintKeys(KEYS, mode)
    assert keys.source(frame) == source
    assert keys.at(frame) == (None if source is None else KEYS[source])


def test_exact_names_the_frame_and_the_keys():
    with pytest.raises(MissingInputError, match=r"1011.*1001, 1010, 1020"):
        HintKeys(KEYS, "exact").at(1011)
    many = HintKeys(dict.fromkeys(range(20), "x"), "exact")
    with pytest.raises(MissingInputError, match="and 12 more"):
        many.source(99)


def test_a_key_may_hold_anything_falsy():
    assert HintKeys({5: 0}, "hold").at(7) == 0


def test_no_keys_and_unknown_modes_are_refused():
    with pytest.raises(InputError):
        HintKeys({}, "hold")
    with pytest.raises(UsageError, match="hold, nearest, only, exact"):
        HintKeys(KEYS, "blend")


def test_it_is_a_mapping_of_its_keys_and_keeps_its_own_copy():
    given_keys = dict(KEYS)
    keys = HintKeys(given_keys, "hold")
    given_keys[1005] = "late"
    assert list(keys) == [1001, 1010, 1020]
    assert dict(keys) == KEYS
    assert 1005 not in keys
    assert keys.at(1006) == "a"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.integers(-50, 50), st.text(), min_size=1), st.integers(-60, 60))
def test_hold_and_nearest_by_their_definitions(keys, frame):
    before = [key for key in keys if key <= frame]
    assert HintKeys(keys, "hold").source(frame) == (max(before) if before else min(keys))
    nearest = min(keys, key=lambda key: (abs(key - frame), key))
    assert HintKeys(keys, "nearest").source(frame) == nearest
