# SPDX-License-Identifier: Apache-2.0
"""pyblish: a validator for each check of `matte_nodes.publish.checks`."""

from __future__ import annotations

from typing import Any

import pyblish.api

from matte_nodes.publish.checks import CHECKS


class _Base(pyblish.api.InstancePlugin):  # type: ignore[misc]
    """Runs one check: errors stop the publish, warnings are said."""

    families = ["matte"]  # noqa: RUF012 (pyblish reads a plain list)
    check: Any

    def process(self, instance: Any) -> None:
        """Fail with the findings, frames and what to do."""
        delivery = instance.data["delivery"]
        if unchecked := self.check.unchecked(delivery):
            self.log.info(unchecked)
        findings = [finding.sentence for finding in self.check.find(delivery)]
        if findings and self.check.severity == "error":
            raise RuntimeError("\n".join(findings))
        for sentence in findings:
            self.log.warning(sentence)


# Plug-ins of equal order run in any order: each has its own, as in the list.
for _place, _check in enumerate(CHECKS):
    _name = "ValidateMatte" + "".join(part.capitalize() for part in _check.name.split("-"))
    globals()[_name] = type(
        _name,
        (_Base,),
        {
            "__doc__": _check.help,
            "__module__": __name__,
            "check": _check,
            "label": f"Matte: {_check.name}",
            "order": pyblish.api.ValidatorOrder + 0.01 * _place,
        },
    )
