# SPDX-License-Identifier: Apache-2.0
"""`matte train RECIPE` trains by a recipe. `matte train compose RECIPE` only writes its samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from matte_nodes.train.data import Material
    from matte_nodes.train.people.source import Kind

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def command() -> click.Command:
    """Return the verb. `compose` and `list` are its sub-verbs."""
    return group


class _RecipeGroup(click.Group):
    """A group whose first word may be a recipe: `matte train RECIPE` means `matte train run
    RECIPE`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("train", cls=_RecipeGroup)
def group() -> None:
    """`matte train RECIPE -o FOLDER`; see docs/train.md.

    RECIPE is a name (`matte train list`) or a TOML file. A stopped training continues where it was,
    with the same result.
    """


def _material_flags(function: Callable[..., None]) -> Callable[..., None]:
    place = click.Path(exists=True, path_type=Path)
    for name, text in (
        ("--backgrounds", "What foregrounds are put over, if not over the photographs."),
        ("--heldout-photographs", "Other photographs, for the held-out samples."),
        ("--photographs", "Folder, or manifest of paths, of photographs: textures, backgrounds."),
        ("--foregrounds", "Folder or manifest of your own foregrounds: straight RGBA pictures."),
    ):
        function = click.option(name, type=place, help=text)(function)
    return click.option(
        "-o", "--out", "folder", required=True, type=click.Path(path_type=Path, file_okay=False),
        help="Folder for samples, checkpoints, weights.",
    )(function)  # fmt: skip


@group.command("run")
@click.argument("recipe")
@_material_flags
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="First weights: what of them fits, e.g. an encoder trained on ImageNet.",
)
@click.option(
    "--try",
    "trial",
    is_flag=True,
    help="Only try it: a narrow network, two small composites, two steps a stage.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads. Default: all cores.")
def run_recipe(
    recipe: str,
    folder: Path,
    start: Path | None,
    trial: bool,
    threads: int | None,
    **places: Path | None,
) -> None:
    """Make the missing samples, train, and write weights.safetensors."""
    import torch

    from matte_nodes.train import recipe as recipes
    from matte_nodes.train.run import run
    from matte_nodes.train.trainer import Progress

    if threads:
        torch.set_num_threads(threads)
    found = recipes.trial(recipes.find(recipe)) if trial else recipes.find(recipe)

    def say(progress: Progress) -> None:
        losses = " ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
        score = "" if progress.score is None else f", held-out error {progress.score:.5f}"
        minutes = progress.seconds_left / 60
        click.echo(
            f"step {progress.step} of {progress.steps}: {losses}{score}, {minutes:.0f} min left"
        )

    outcome = run(found, folder, _material(**places), say, click.echo, start)
    click.echo(f"{folder / 'weights.safetensors'}: best held-out error {outcome.best}")


@group.command("compose")
@click.argument("recipe")
@_material_flags
@click.option("--pictures", type=click.IntRange(0), default=0, show_default=True,
              help="Also write this many composites as a data set of PNG files.")  # fmt: skip
@click.option(
    "--assets",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="For people and animals: the folder of clothes, hair, lights. Default: $MATTE_PEOPLE.",
)
@click.option("--first", type=click.IntRange(0), default=0, show_default=True,
              help="For people and animals: the first seed.")  # fmt: skip
@click.option("--side", type=click.IntRange(32), default=256, show_default=True,
              help="For people and animals: side of the square pictures, in pixels.")  # fmt: skip
def compose(
    recipe: str, folder: Path, pictures: int, assets: Path | None, first: int, side: int,
    **places: Path | None,
) -> None:  # fmt: skip
    """Write a recipe's composites: its samples, or a data set for `matte eval`.

    RECIPE may also be `people` or `animals`: rendered cut-outs with exact alpha, one file a seed, and
    a sheet of them.
    """
    if recipe in ("people", "animals"):
        kind: Kind = "people" if recipe == "people" else "animals"
        _draw_subjects(kind, folder, assets, range(first, first + (pictures or 64)), side)
        return
    from matte_nodes.train.data import make_samples
    from matte_nodes.train.export import write_pictures
    from matte_nodes.train.recipe import find
    from matte_nodes.train.salient import without_subjects

    found = find(recipe)
    material = without_subjects(_material(**places), found.data.plain, click.echo)
    if pictures:
        write_pictures(found, material, folder / "pictures", pictures)
        click.echo(f"{folder / 'pictures'}: {pictures} composites")
        return
    make_samples(found, material, "train", folder / "samples", click.echo)
    make_samples(found, material, "heldout", folder / "heldout", click.echo)


def _draw_subjects(kind: Kind, folder: Path, assets: Path | None, seeds: range, side: int) -> None:
    from matte_nodes.train.people import source

    place = folder / kind
    drawn = source.write(kind, source.assets(assets), place, seeds, side, click.echo)
    found = sorted(place.glob("[0-9]*.png"))
    source.sheet(found[:64], folder / f"{kind}.png")
    click.echo(f"{place}: {drawn} drawn, {len(found)} there. {folder / f'{kind}.png'} shows them.")


@group.command("people")
@click.argument("recipe")
@click.option("-o", "--out", "folder", required=True,
              type=click.Path(path_type=Path, file_okay=False),
              help="Folder for checkpoints and weights.")  # fmt: skip
@click.option("--people", type=_FOLDER, help="Rendered people: `matte train compose people`.")
@click.option("--animals", type=_FOLDER, help="Rendered animals: `matte train compose animals`.")
@click.option("--labels", type=_FOLDER, multiple=True,
              help="Labelled photographs: a folder of scripts/label_people.py. May be repeated.")  # fmt: skip
@click.option("--panoramas", type=_FOLDER, help="HDR panoramas, as places.")
@click.option("--photographs", type=_FOLDER, help="Photographs without people, as places.")
@click.option("--start", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="First weights: what of them fits.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads.")
def train_people(
    recipe: str, folder: Path, people: Path | None, animals: Path | None, labels: tuple[Path, ...],
    panoramas: Path | None, photographs: Path | None, start: Path | None, threads: int,
) -> None:  # fmt: skip
    """Train a network on people or animals by a recipe. See docs/people.md.

    Stopped or killed, the same command goes on where it was.
    """
    import cv2
    import torch

    from matte_nodes.train.people import learn
    from matte_nodes.train.people.pool import Folders
    from matte_nodes.train.trainer import Progress

    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    folders = Folders(people, animals, labels, panoramas, photographs)

    def say(progress: Progress) -> None:
        click.echo(
            f"step {progress.step} of {progress.steps}: loss {progress.losses['total']:.4f}, "
            f"held-out error {progress.score:.5f}, {progress.seconds_left / 60:.0f} min left"
        )

    click.echo(learn.run(learn.find(recipe), folders, folder, say, start))


@group.command("list")
def list_recipes() -> None:
    """List the recipes of the package."""
    from matte_nodes.train.people import learn
    from matte_nodes.train.recipe import find, names

    for name in names():
        recipe = find(name)
        steps = sum(stage.schedule.steps for stage in recipe.stages)
        click.echo(f"{name}: {recipe.title} ({steps} steps, recipe {recipe.digest[:12]})")
    for name in learn.names():
        asked = learn.find(name)
        steps = sum(stage.schedule.steps for stage in asked.stages)
        click.echo(f"people {name}: {asked.title} ({steps} steps, recipe {asked.digest[:12]})")


def _material(
    photographs: Path | None,
    heldout_photographs: Path | None,
    foregrounds: Path | None,
    backgrounds: Path | None,
) -> Material:
    from matte_nodes.train.data import Material, read_pictures

    return Material(
        read_pictures(photographs),
        read_pictures(heldout_photographs),
        read_pictures(foregrounds, alpha=True),
        read_pictures(backgrounds) or None,
    )
