# SPDX-License-Identifier: Apache-2.0
"""Small recipes for the tests: two composites of 64 pixels, networks a quarter wide."""

from __future__ import annotations

from typing import Any

from matte_nodes.train.recipe import Recipe, parse

NETWORKS = {"trimap": "trimap-cues", "plate": "plate-cues"}


def tiny(task: str = "trimap", steps: int = 40, **changes: Any) -> Recipe:
    """A recipe of two samples; stage fields can be changed by keyword."""
    schedule = {"steps": steps, "rate": 5e-3, "every": steps, "average": 0.9, "decay": 0.0}
    stage: dict[str, Any] = {
        "crop": 64,
        "batch": 2,
        "without": 0.5,
        "losses": {"alpha": 1.0, "laplacian": 0.2, "gradient": 0.2},
        "schedule": schedule | changes.pop("schedule", {}),
    }
    return parse(
        {
            "title": "tiny",
            "network": NETWORKS[task],
            "task": task,
            "width": 0.25,
            "data": {"side": 64, "samples": 2, "heldout_samples": 2, "wide": 12.0},
            "foregrounds": {"solid": 1.0, "hair": 1.0},
            "stages": [stage | changes],
        }
    )
