# SPDX-License-Identifier: Apache-2.0
"""The results of an evaluation as a JSON document and as a table."""

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
    """Return `{"items": [...], "mean": {...}, "units": {...}}` from results by item name.

    results: name -> result of `evaluate_sequence` or `SequenceScores.result`. Each item keeps
    `whole` and `unknown`. `mean` averages over the items that have the value, one vote each; None
    where no item has it. `dtssd_before` exists only where it was measured.
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
    """Return the rows of a report's table: a header, one row for each item and region, and the
    means.

    A column without values is left out. A missing value in another column is a dash.
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
