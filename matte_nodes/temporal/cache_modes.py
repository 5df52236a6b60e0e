# SPDX-License-Identifier: Apache-2.0
"""The modes of a shot's cache by name. They stand alone, so that help can list them quickly."""

from __future__ import annotations

from typing import Literal

CacheMode = Literal["memory", "states", "disk", "off"]
MODES: tuple[CacheMode, ...] = ("memory", "states", "disk", "off")
