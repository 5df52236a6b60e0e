# SPDX-License-Identifier: Apache-2.0
"""pyblish: the review report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyblish.api

from matte_nodes.publish.report import write_report


class ExtractReview(pyblish.api.InstancePlugin):  # type: ignore[misc]
    """Write the review report beside the frames, or where it was asked for."""

    label = "Extract review report"
    order = pyblish.api.ExtractorOrder
    families = ["matte"]  # noqa: RUF012

    def process(self, instance: Any) -> None:
        """One self-contained page."""
        data, delivery = instance.data, instance.data["delivery"]
        target = Path(data.get("report") or delivery.folder / "review.html")
        write_report(
            delivery,
            target,
            title=data["name"],
            behind=data.get("behind"),
            against=data.get("against"),
        )
        data["review_report"] = str(target)
        self.log.info("wrote %s", target)
