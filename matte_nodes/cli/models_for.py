# SPDX-License-Identifier: Apache-2.0
"""`matte models --for PURPOSE`: which model to take, by what was measured; tables of models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from matte_nodes import models, weights
from matte_nodes.card import ModelCard
from matte_nodes.figures import Figure


def suited(purpose: str) -> Iterator[tuple[ModelCard, Figure | None]]:
    """The models for a purpose, each with a figure, in the order of groups and then of figures.

    Models that need a trimap or a clean plate follow without one.
    """
    found = [
        (card.on_variant(figure.variant) if figure.variant else card, figure)
        for card in models.cards()
        for figure in card.figures
        if figure.purpose == purpose
    ]
    yield from sorted(found, key=lambda pair: (*pair[1].group, pair[1].rank))
    hint = {"trimap": "trimap", "clean-plate": "background"}.get(purpose)
    listed = {card.name.partition(":")[0] for card, _ in found}
    for card in models.cards():
        if hint in card.needs and card.name not in listed:
            yield card, None


def show_suited(purpose: str, *, commercial_only: bool, as_json: bool) -> None:
    """Print the models for a purpose."""
    pairs = [
        (card, figure)
        for card, figure in suited(purpose)
        if not commercial_only or card.commercial == "yes"
    ]
    if as_json:
        rows = [
            {
                "model": card.name, "figure": asdict(figure) if figure else None,
                "commercial": card.commercial, "licence": card.licence, "size": size(card),
                "weights_state": weights.state(card),
            }
            for card, figure in pairs
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2))
        return
    print_table(
        [
            ("MODEL", "FIGURE", "ON", "BY", "SIZE", "SPEED", "COMMERCIAL", "WEIGHTS"),
            *(
                (
                    card.name,
                    figure.text if figure else "not measured",
                    figure.data if figure else "-",
                    (figure.by or "us") if figure else "-",
                    f"{size(card) / 1e6:,.1f} MB" if size(card) else "-",
                    speed(card),
                    card.commercial,
                    in_words(card),
                )
                for card, figure in pairs
            ),
        ]
    )
    click.echo(
        "\nThe best of each set of pictures comes first. Figures on other pictures, or of other "
        "measures, cannot be compared. `matte eval` measures on your own. SPEED is of one picture on "
        "this project's machine, at the size that `--for live` names."
    )


def size(card: ModelCard) -> int:
    """Return the bytes of what is shipped, else of what is pulled; 0 when that is not known."""
    if card.weights:
        return sum(item.size for item in card.weights)
    own = card.checkpoint.own if card.checkpoint is not None else None
    if own is not None:
        return own.size
    return card.variants[0].weights.size if card.variants else 0


def speed(card: ModelCard) -> str:
    """Seconds that a picture took here, where that was measured."""
    found = (figure for figure in card.figures if figure.measure == "seconds")
    return next((f"{figure.value:g} s" for figure in found), "-")


def in_words(card: ModelCard) -> str:
    """How a model's weights come to be here: here, one command, or bring your own."""
    known = weights.state(card)
    words = {
        "to pull": f"matte models pull {card.name}",
        "to import": "bring your own",
        "shipped": "here (our own)",
        "imported": "here (imported)",
    }
    return words.get(known, known)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with their columns below each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
