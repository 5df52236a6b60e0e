# SPDX-License-Identifier: Apache-2.0
"""Colour transforms between plate, working and network space, by OpenColorIO."""

from __future__ import annotations

from matte_nodes.color.config import ColorConfig
from matte_nodes.color.guess import guess_space
from matte_nodes.color.network import NetworkView
from matte_nodes.color.plate import PlateColor

__all__ = ["ColorConfig", "NetworkView", "PlateColor", "guess_space"]
