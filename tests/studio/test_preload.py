# SPDX-License-Identifier: Apache-2.0
"""The page names all of its modules, so that the browser loads them beside each other."""

from __future__ import annotations

import re
from pathlib import Path

import matte_nodes.studio

STATIC = Path(matte_nodes.studio.__file__).parent / "static"


def test_every_module_is_preloaded_once() -> None:
    page = (STATIC / "index.html").read_text()
    named = re.findall(r'rel="modulepreload" href="/static/([a-z]+\.js)"', page)
    modules = sorted(path.name for path in STATIC.glob("*.js") if path.name != "main.js")
    assert named == modules
