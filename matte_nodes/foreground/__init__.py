# SPDX-License-Identifier: Apache-2.0
"""The foreground: what colour the subject has where it mixes with what is behind it."""

from __future__ import annotations

from matte_nodes.foreground.solve import premultiply, solve_foreground

__all__ = ["premultiply", "solve_foreground"]
