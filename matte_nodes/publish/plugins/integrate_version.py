# SPDX-License-Identifier: Apache-2.0
"""pyblish: a version of the delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyblish.api

from matte_nodes.publish.integrate import integrate
from matte_nodes.publish.versions import facts


class IntegrateVersion(pyblish.api.InstancePlugin):  # type: ignore[misc]
    """Copy frames and report to ROOT/NAME/v001; nothing is done without a root."""

    label = "Integrate version"
    order = pyblish.api.IntegratorOrder
    families = ["matte"]  # noqa: RUF012

    def process(self, instance: Any) -> None:
        """Atomic, verified, never over another version."""
        data, delivery = instance.data, instance.data["delivery"]
        if not data.get("root"):
            return
        # pyblish goes on to integrators when an extractor has failed.
        failed = [
            getattr(result["plugin"], "label", None) or result["plugin"].__name__
            for result in instance.context.data.get("results", ())
            if not result["success"] and result["instance"] in (None, instance)
        ]
        if failed:
            raise RuntimeError(
                f"Nothing was published, because these plug-ins failed: {', '.join(failed)}."
            )
        files = [path for number, path in delivery.files.items() if number in delivery.expected]
        if "review_report" in data:
            files.append(Path(data["review_report"]))
        data["published"] = str(
            integrate(
                files,
                Path(data["root"]),
                data["name"],
                facts(delivery),
                version=data.get("version"),
            )
        )
        self.log.info("published %s", data["published"])
