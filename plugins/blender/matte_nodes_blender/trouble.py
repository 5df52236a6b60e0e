# SPDX-License-Identifier: GPL-3.0-or-later
"""The error that the artist sees when something cannot be done."""

from __future__ import annotations


class Trouble(Exception):  # noqa: N818 (what it is, to an artist)
    """It cannot be done. The message says what happened and what to do; the panel shows it."""
