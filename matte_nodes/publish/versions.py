# SPDX-License-Identifier: Apache-2.0
"""Facts in a version's manifest besides its files: frames, plate, origin and checks."""

from __future__ import annotations

from typing import Any

from matte_nodes.frame_range import spelled
from matte_nodes.publish.checks import run
from matte_nodes.publish.delivery import Delivery


def facts(delivery: Delivery) -> dict[str, Any]:
    """Return all facts as JSON data."""
    _, picture, _ = delivery.readable[0]
    results = run(delivery)
    origin = {
        name.removeprefix("matte/"): str(value)
        for name, value in sorted(picture.attributes.items())
        if name.startswith("matte/") and name != "matte/key"
    }
    return {
        "frames": spelled([frame.number for frame in delivery.frames]),
        "plate": delivery.plate.name if delivery.plate is not None else None,
        "use": delivery.use,
        "origin": origin,
        "checks": {
            result.check.name: [finding.sentence for finding in result.findings]
            for result in results
        },
        "unchecked": {r.check.name: r.unchecked for r in results if r.unchecked},
    }
