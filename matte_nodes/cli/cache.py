# SPDX-License-Identifier: Apache-2.0
"""`matte cache`: shows, checks and trims what is kept on disk."""

from __future__ import annotations

import json
from pathlib import Path

import click

from matte_nodes.errors import MatteError
from matte_nodes.paths import cache_folder


def command() -> click.Command:
    """Return the verb and its sub-verbs."""
    return group


@click.group("cache")
def group() -> None:
    """States, predictions and mattes are kept; see docs/caching.md."""


@group.command("info")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def info(as_json: bool) -> None:
    """Show how much is kept, of which kind, and where."""
    from matte_nodes.temporal.store import KINDS, Store

    store = Store(cache_folder())
    facts: dict[str, dict[str, int]] = {kind: {"entries": 0, "bytes": 0} for kind in KINDS}
    for entry in store.entries():
        facts[entry.kind]["entries"] += 1
        facts[entry.kind]["bytes"] += entry.size
    total = sum(kind["bytes"] for kind in facts.values())
    if as_json:
        said = {"folder": str(store.folder), "limit": store.limit, "bytes": total, "kinds": facts}
        click.echo(json.dumps(said, indent=2))
        return
    click.echo(f"{store.folder}")
    for name, kind in facts.items():
        click.echo(f"{name:12} {kind['entries']:7} entries  {readable(kind['bytes']):>10}")
    click.echo(f"{readable(total)} of {readable(store.limit)} (MATTE_CACHE_BYTES sets the limit)")


@group.command("clear")
def clear() -> None:
    """Delete everything. It is computed again when it is needed."""
    from matte_nodes.temporal.store import Store

    count, freed = Store(cache_folder()).clear()
    click.echo(f"{count} entries dropped, {readable(freed)} freed")


@group.command("gc")
@click.option("--bytes", "limit", help="Keep at most so much, as in 5G. Default: the limit.")
def gc(limit: str | None) -> None:
    """Delete the entries that were not used for the longest time, until the rest fits."""
    from matte_nodes.temporal.store import Store, parsed_bytes

    store = Store(cache_folder())
    count, freed = store.collect(None if limit is None else parsed_bytes(limit, "--bytes"))
    click.echo(f"{count} entries dropped, {readable(freed)} freed")


@group.command("verify")
@click.option("--drop", is_flag=True, help="Drop what is damaged.")
def verify(drop: bool) -> None:
    """Read every entry and check its hash. Exit code 1: a damaged entry remains."""
    from matte_nodes.temporal.store import Store
    from matte_nodes.temporal.verify import damaged

    store = Store(cache_folder())
    count, bad = len(store.entries()), 0
    for entry, reason in damaged(store):
        bad += 1
        click.echo(f"damaged {shortened(entry.path, store.folder)}: {reason}")
        if drop:
            store.drop(entry.path)
    click.echo(f"{count} entries, {bad} damaged{', dropped' if drop and bad else ''}")
    if bad and not drop:
        raise MatteError(
            f"{bad} damaged entries in {store.folder}: they are dropped when they are met, or now "
            "by `matte cache verify --drop`."
        )


def shortened(path: Path, folder: Path) -> str:
    """Return a path relative to the cache folder."""
    return str(path.relative_to(folder))


def readable(count: int) -> str:
    """Return a number of bytes for people: 1.5 GiB."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
