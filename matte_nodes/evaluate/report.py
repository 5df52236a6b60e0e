# SPDX-License-Identifier: Apache-2.0
"""The results of an evaluation as one JSON document and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matte_nodes.evaluate.frames import KEYS, REGIONS

UNITS = {
    "sad": "sum/1000",
    "mad": "0..1",
    "mse": "0..1 squared",
    "grad": "sum/1000",
    "conn": "sum/1000",
    "fg_mse": "0..1 squared, true alpha > 0",
    "dtssd_before": "x100, without --steady",
    "dtssd": "x100",
    "seconds": "s/frame",
}


def report(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`{"items": [...], "mean": {...}, "units": {...}}` of results by item name.

    results: name -> what `evaluate_sequence` or `SequenceScores.result` answers. Each item keeps
    its `whole` and `unknown`; `mean` has the same, every item counting once, over the items that
    have the value, None where none has. `dtssd_before` is there only where it was measured.
    """
    items = [{"name": name, **result} for name, result in results.items()]
    asked = any("dtssd_before" in item[region] for item in items for region in REGIONS)
    keys = [key for key in KEYS if asked or key != "dtssd_before"]
    mean = {
        region: {key: _mean([item[region].get(key) for item in items]) for key in keys}
        for region in REGIONS
    }
    return {"items": items, "mean": mean, "units": dict(UNITS)}


def format_table(results: Mapping[str, Any]) -> list[list[str]]:
    """The rows of a table of a `report`: a header, one row an item and region, and the means.

    A column whose values are all missing is left out; a missing value in another is a dash.
    """
    entries = [(item["name"], item) for item in results["items"]]
    entries.append(("mean", results["mean"]))
    keys = [
        key
        for key in KEYS
        if any(entry[region].get(key) is not None for _, entry in entries for region in REGIONS)
    ]
    rows = [["item", "region", *keys]]
    for name, entry in entries:
        rows += [
            [name, region, *(_shown(entry[region].get(key)) for key in keys)] for region in REGIONS
        ]
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
