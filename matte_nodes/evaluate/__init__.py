# SPDX-License-Identifier: Apache-2.0
"""Quality of mattes: the field's metrics, data sets on disk, and result tables.

docs/metrics.md states every formula, unit and region.
"""

from __future__ import annotations

from matte_nodes.evaluate.dataset import Frame, Item, find_items, read_colour, read_matte
from matte_nodes.evaluate.frames import SequenceScores, evaluate_frame, evaluate_sequence
from matte_nodes.evaluate.metrics import conn, dtssd, fg_mse, grad, mad, mse, sad
from matte_nodes.evaluate.region import unknown_region
from matte_nodes.evaluate.report import format_table, report

__all__ = [
    "Frame",
    "Item",
    "SequenceScores",
    "conn",
    "dtssd",
    "evaluate_frame",
    "evaluate_sequence",
    "fg_mse",
    "find_items",
    "format_table",
    "grad",
    "mad",
    "mse",
    "read_colour",
    "read_matte",
    "report",
    "sad",
    "unknown_region",
]
