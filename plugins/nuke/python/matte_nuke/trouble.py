# SPDX-License-Identifier: Apache-2.0
"""The error that the artist sees when something cannot be done."""

from __future__ import annotations


class Trouble(Exception):  # noqa: N818 (what it is, to an artist)
    """It cannot be done. The message says what happened and what to do; it goes onto the node."""
