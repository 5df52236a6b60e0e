# SPDX-License-Identifier: Apache-2.0
"""pyblish: one instance of family "matte" for a delivery."""

from __future__ import annotations

import os
from typing import Any

import pyblish.api

from matte_nodes.publish.delivery import OPTIONS, Delivery


class CollectMatte(pyblish.api.ContextPlugin):  # type: ignore[misc]
    """Collect the delivery that context.data["matte"] names, else $MATTE_DELIVERY.

    context.data["matte"]: {"folder": ..., and any keyword of `publish.delivery.Delivery`; "root",
    "name", "version" of the publish; "report", "behind", "against" of the review report}. From the
    environment: MATTE_DELIVERY, MATTE_PLATE, MATTE_PUBLISH_ROOT.
    """

    label = "Collect matte"
    order = pyblish.api.CollectorOrder

    def process(self, context: Any) -> None:
        """Nothing is collected where nothing is named: other families go on."""
        asked = dict(context.data.get("matte") or {})
        for key, name in (
            ("folder", "MATTE_DELIVERY"),
            ("plate", "MATTE_PLATE"),
            ("root", "MATTE_PUBLISH_ROOT"),
        ):
            if not asked.get(key) and os.environ.get(name):
                asked[key] = os.environ[name]
        if not asked.get("folder"):
            return
        delivery = Delivery(
            asked["folder"], **{name: asked[name] for name in OPTIONS if name in asked}
        )
        name = asked.get("name") or delivery.pattern.prefix.rstrip("._-") or "matte"
        instance = context.create_instance(name, family="matte")
        instance.data.update(asked, name=name, delivery=delivery)
        self.log.info("%d frames in %s", len(delivery.files), delivery.folder)
