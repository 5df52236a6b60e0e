# SPDX-License-Identifier: Apache-2.0
"""Builds the review page: one HTML file that contains its style, script, numbers and pictures."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PARTS = Path(__file__).parent / "page"


def page(title: str, facts: Mapping[str, Any]) -> str:
    """Return the page's text. facts: the data for page.js, see `report`."""
    # "</script>" and "<!--" inside the data would end it.
    data = json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")
    filled = {
        "@TITLE@": html.escape(title),
        "@STYLE@": (_PARTS / "page.css").read_text("utf-8"),
        "@SCRIPT@": (_PARTS / "page.js").read_text("utf-8"),
        "@FACTS@": data,
    }
    text = (_PARTS / "page.html").read_text("utf-8")
    # In one pass: a title with "@FACTS@" in it is no mark.
    return re.sub("|".join(filled), lambda found: filled[found[0]], text)
