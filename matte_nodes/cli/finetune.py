# SPDX-License-Identifier: Apache-2.0
"""`matte finetune SHOT`: trains a model for one shot, from key mattes or a clean plate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from matte_nodes.cli import options as shared
from matte_nodes.errors import UsageError
from matte_nodes.frame_range import parsed_numbers
from matte_nodes.shot.choose_model import parent_for, ranked

if TYPE_CHECKING:
    from matte_nodes.train.trainer import Progress


def command() -> click.Command:
    """Return the verb."""
    return click.command("finetune")(finetune)


@click.argument("source", metavar="SHOT")
@click.option("--keys", metavar="ALPHAS", help="Key mattes, numbered as the plate's frames are: a "
              "pattern, a folder or a movie. A few frames are enough.")  # fmt: skip
@click.option("--key-frames", metavar="LIST", help="Only these of them, as in 1001,1024,1047.")
@click.option("--key-layer", default="", metavar="NAME", help="The layer of the key mattes, as "
              "alpha.NAME of one of several selected objects.")  # fmt: skip
@click.option("--name", help="The new model's name. Default: the shot's.")
@click.option("--model", help="The model to begin with. Default: the small network for the given "
              f"hint ({', '.join(card.name for card in ranked('finetune'))}); with --keys and no "
              "hint shot, which trains a small network from scratch.")  # fmt: skip
@shared.connect_flags("input")
@click.option("--steps", type=click.IntRange(1), help="At most this many steps. Default: 800 for a "
              "network that begins as nothing, else 400.")  # fmt: skip
@click.option("--crop", type=click.IntRange(32), default=224, show_default=True,
              help="Side of the crops that are learnt from, in pixels.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, 1, min_open=True), help="Learning rate.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of the crops.")
@click.option("--half", is_flag=True, help="bfloat16 products: quicker on newer processors.")
@click.option("--backgrounds", type=click.Path(exists=True), help="Without --keys: pictures, lit "
              "like the shot, that the subject is put over. Default: the clean plate, moved.")  # fmt: skip
@click.option("--weights", help="A checkpoint file, for a model that takes one.")
@click.option("--allow-untrained", "untrained", is_flag=True,
              help="Begin with random weights where there are none, for tests.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), help="Threads. Default: all cores.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
@click.option("--ocio", help="OCIO config: a file or an ocio:// name. Default: $OCIO.")
def finetune(
    source: str, keys: str | None, name: str | None, as_json: bool, **options: Any
) -> None:
    """The new model is registered: `matte run SHOT --model NAME`.

    With --keys it learns from the frames that have a matte: minutes for a short shot. With
    --background and no keys, it learns from the shot itself, with a teacher and a discriminator.
    """
    import torch

    from matte_nodes.train.finetune import default_name

    if threads := options.pop("threads"):
        torch.set_num_threads(threads)
    name = name or default_name(source)
    model, frames = (
        options.pop("model"),
        tuple(parsed_numbers(options.pop("key_frames"), "--key-frames")),
    )
    backgrounds, weights = options.pop("backgrounds"), options.pop("weights")
    layer = options.pop("key_layer")
    training = {n: options.pop(n) for n in ("steps", "crop", "rate", "seed", "half", "untrained")}
    training |= {"steps": training["steps"] or 0, "rate": training["rate"] or 0.0}
    training |= {"checkpoint": weights, "ocio": options.pop("ocio")}
    if keys is None:
        from matte_nodes.train.selfsupervised import Unlabelled, selfsupervise

        if options["background"] is None:
            raise UsageError("Give key mattes (--keys), or a clean plate (--background).")
        asked = Unlabelled(source, name, model or "", options, backgrounds, **training)
        made = selfsupervise(asked, *_report(as_json))
        if as_json:
            _line(event="done", name=made.name)
        else:
            click.echo(f"{made.name}: registered. `matte run {source} --model {made.name}`")
        return
    from matte_nodes.train.finetune import FinetuneRequest
    from matte_nodes.train.finetune import finetune as learn

    model = model or usual_model(options)
    done = learn(
        FinetuneRequest(source, keys, name, model, frames, options, layer=layer, **training),
        *_report(as_json),
    )
    if as_json:
        _line(event="done", name=name, before=done.before, after=done.after, steps=done.steps,
              heldout=done.heldout, seconds=round(done.seconds, 1))  # fmt: skip
        return
    if done.before is not None and done.after is not None:
        click.echo(
            f"error on the held-out key {done.heldout}: {done.before:.5f} before, "
            f"{done.after:.5f} after"
        )
    click.echo(
        f"{name}: registered after {done.steps} steps, {done.seconds / 60:.1f} min. "
        f"`matte run {source} --model {name}`"
    )


def usual_model(given: dict[str, Any]) -> str:
    """Return the default parent: the small model for the given hint, else a new network."""
    found = (parent_for(hint) for hint in ("trimap", "background") if given.get(hint) is not None)
    return next((name for name in found if name is not None), "shot")


def _report(as_json: bool) -> tuple[Callable[[Progress], None], Callable[[str], None]]:
    """What follows the training: lines for people, or JSON lines."""
    if not as_json:
        return _say, click.echo

    def step(progress: Progress) -> None:
        _line(event="step", step=progress.step, steps=progress.steps, losses=dict(progress.losses),
              score=progress.score, seconds_left=progress.seconds_left)  # fmt: skip

    return step, lambda message: _line(event="note", message=message)


def _line(**facts: Any) -> None:
    click.echo(json.dumps(facts))


def _say(progress: Progress) -> None:
    losses = " ".join(f"{n} {v:.4f}" for n, v in progress.losses.items() if n != "total")
    score = "" if progress.score is None else f", held-out key {progress.score:.5f}"
    left = progress.seconds_left
    time = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    click.echo(f"step {progress.step} of {progress.steps}: {losses}{score}, {time} left", err=True)
