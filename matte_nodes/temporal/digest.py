# SPDX-License-Identifier: Apache-2.0
"""The one hash of settings and inputs that keys are made of."""

from __future__ import annotations

import hashlib
import json


def digest(*parts: object) -> str:
    """Return a sha256 over the parts' canonical JSON, hexadecimal."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
