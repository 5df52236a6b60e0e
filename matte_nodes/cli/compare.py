# SPDX-License-Identifier: Apache-2.0
"""`matte compare`: several models on one frame, as one contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from matte_nodes import models
from matte_nodes.cli import options as shared
from matte_nodes.cli.knob_flags import KnobCommand, ModelName, flag, given_knobs
from matte_nodes.errors import OutputError, UnknownKnobError


def command() -> click.Command:
    """Return the verb; its knobs are those of the models that are named."""
    return click.command("compare", cls=KnobCommand)(compare)


@click.argument("source", metavar="INPUT")
@flag("-o", "--output", required=True, type=click.Path(path_type=Path), help="A PNG.")
@flag(
    "--model",
    "names",
    multiple=True,
    type=ModelName("all"),
    help="A model; repeat it. Default: all that can run.",
)
@flag("--frame", type=int, help="Frame of the clip. Default: its first.")
@flag(
    "--width",
    type=click.IntRange(64),
    default=2560,
    show_default=True,
    help="Width of the sheet in pixels.",
)
@shared.points_flags
@shared.connect_flags("input")
@shared.node_flags
def compare(
    source: str, output: Path, names: tuple[str, ...], frame: int | None, width: int, **options: Any
) -> None:
    """The sheet shows the plate, the alpha, over grey and over a checker, a row for each model."""
    from matte_nodes.media.writers import check_not_input
    from matte_nodes.render import contact_sheet as sheet
    from matte_nodes.shot.matte_node import MatteNode
    from matte_nodes.whole_files import prepare_folder

    if output.suffix.lower() != ".png":
        raise OutputError(
            f"{output}: a contact sheet is a PNG file; change the name to {output.stem}.png."
        )
    if output.is_dir():
        raise OutputError(
            f"{output}: is a folder; name a file in it, as in {output / 'sheet.png'}."
        )
    prepare_folder(output.parent)
    knobs = given_knobs(options)
    shared.fold_points(options)
    node_options = shared.taken(options, shared.NODE)
    rows = []
    chosen_names = names or _runnable(options)
    for key in knobs:
        if not any(_has(name, key) for name in chosen_names):
            raise UnknownKnobError(f"None of {', '.join(chosen_names)} has a knob {key!r}.")
    for name in chosen_names:
        own = {key: value for key, value in knobs.items() if _has(name, key)}
        node = MatteNode(name, **node_options, **own)
        shot = node.connect(source, **options)
        for clip in (shot.clip, *(hint.clip for hint in shot.hints.values())):
            check_not_input(output, clip)
        chosen = shot.frames[0] if frame is None else frame
        matte = shot.at(chosen)
        picture = sheet.row(shot.screen_plate(chosen), matte, node.config)
        rows.append(sheet.titled(sheet.shrunk(picture, width), name))
        shot.close()
    sheet.save(rows, output)
    click.echo(f"{output}")


def _runnable(options: dict[str, Any]) -> list[str]:
    """Return the models whose hints were given and whose weights are here."""
    from matte_nodes.shot.choose_model import is_ready

    return [
        card.name
        for card in models.cards()
        if all(options.get(hint) for hint in card.needs) and is_ready(card)
    ]


def _has(name: str, knob: str) -> bool:
    from matte_nodes.node.knobs import all_knobs

    return any(knob in (k.name, *k.aliases) for k in all_knobs(models.card(name)))
