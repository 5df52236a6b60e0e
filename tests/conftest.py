# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures: the toy package, real weights and real pictures where they are."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from matte_nodes import models, weights

# Two workers share two cores: a second thread of torch waits for the other's, a hundred times longer.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MATTE_SERVICE"] = "off"  # a service that runs on this machine is none of our business
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job of a shell's background
    signal.signal(signal.SIGINT, signal.default_int_handler)
TOY = Path(__file__).parent / "toy"
sys.path.insert(0, str(TOY))  # the toy model is found by its entry point, as an installed one is
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(TOY), *filter(None, [os.environ.get("PYTHONPATH")])]
)


def set_anew(env: pytest.MonkeyPatch, name: str, *values: str) -> None:
    """Set a variable to the first of the values that it does not have yet.

    A machine may set it already, to any value: a change to the same value would be none.
    """
    env.setenv(name, next(value for value in values if os.environ.get(name) != value))


def has_weights(name: str) -> bool:
    """Whether a model's weights are on this machine."""
    return all(weights.find(item) for item in models.card(name).weights)


def needs_weights(name: str) -> pytest.MarkDecorator:
    """Skip visibly where weights could not be had."""
    return pytest.mark.skipif(not has_weights(name), reason=f"weights of {name} are not here")


def data_folder() -> Path | None:
    """Real pictures for evaluation, where they are (never committed)."""
    named = os.environ.get("MATTE_TEST_DATA")
    places = [Path(named)] if named else []
    places.append(Path(__file__).parents[2] / "shared" / "data")
    return next((place for place in places if place.is_dir()), None)


@pytest.fixture
def data() -> Path:
    """The folder of real pictures, or a visible skip."""
    found = data_folder()
    if found is None:
        pytest.skip("no real pictures here (MATTE_TEST_DATA)")
    return found
