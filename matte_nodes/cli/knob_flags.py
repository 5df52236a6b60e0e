# SPDX-License-Identifier: Apache-2.0
"""Verbs whose flags are those of the models that the user chose, and help in groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import fill
from typing import Any, Literal

import click

from matte_nodes import models
from matte_nodes.card import HINTS, Knob, ModelCard
from matte_nodes.errors import UnknownKnobError, WeightsError
from matte_nodes.node.knobs import NODE_KNOBS

_TYPES: dict[str, click.ParamType[Any]] = {
    "float": click.FLOAT,
    "int": click.INT,
    "bool": click.BOOL,
    "text": click.STRING,
}
_PREFIX = "knob_"
_OFFER = "matte_nodes.knobs"


class Flag(click.Option):
    """A flag that help shows under a heading."""

    def __init__(self, *arguments: Any, group: str = "Options", **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.group = group


flag = partial(click.option, cls=Flag)
"""`click.option` with `group`: the heading in help."""


class ModelName(click.ParamType[str]):
    """The name of a model. A verb offers the knobs of the models that such parameters name.

    absent: whose knobs are offered when none is named: those of the model that `auto` chooses, of
    all models, or of none.
    """

    name = "model"

    def __init__(self, absent: Literal["auto", "all", "none"] = "none") -> None:
        self.absent = absent


@dataclass(frozen=True)
class Offer:
    """The knobs that a call of a verb may turn."""

    cards: Sequence[ModelCard]
    """The models whose own knobs these are."""

    named: bool
    """The user named the models; otherwise `auto`, or the verb, chose them."""

    flags: Sequence[Flag]
    """One flag for each knob of the models and of the node."""


class KnobCommand(click.Command):
    """A verb with the knobs of the chosen models as flags."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.context_settings.setdefault("max_content_width", 100)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the chosen models among the arguments, then read the arguments with their knobs."""
        self.offer_knobs(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _refusal(error, _offer_of(ctx)) from None

    def offer_knobs(self, ctx: click.Context, args: Sequence[str]) -> None:
        """Let this call have the knobs of the models that the arguments name."""
        cards, named = self._chosen(args)
        ctx.meta[_OFFER] = Offer(cards, named, list(_flags(cards, self.params)))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the verb's own parameters, then the knobs."""
        offer = _offer_of(ctx)
        return [*super().get_params(ctx), *(offer.flags if offer else ())]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Flags under their headings; knobs in full only when the user named a model."""
        offer = _offer_of(ctx)
        show_knobs = offer is not None and offer.named
        for heading, rows in _grouped(self.get_params(ctx), ctx, with_knobs=show_knobs):
            with formatter.section(heading):
                formatter.write_dl(rows)
        if not show_knobs:
            _write_hint(self, ctx, formatter)

    def _chosen(self, args: Sequence[str]) -> tuple[list[ModelCard], bool]:
        probe = click.Context(
            self, resilient_parsing=True, ignore_unknown_options=True, allow_extra_args=True
        )
        values, rest, _ = self.make_parser(probe).parse_args(list(args))
        given: list[str] = []
        absent = "none"
        for parameter in self.params:
            if not isinstance(parameter.type, ModelName):
                continue
            value = values.get(str(parameter.name))
            if isinstance(parameter, click.Argument):
                value = _first_model([str(value), *rest])
            found = value if isinstance(value, list) else [value]
            names = [name for name in found if isinstance(name, str)]
            if not names and parameter.type.absent != "none":
                absent = parameter.type.absent
            given += names
        if absent == "all":
            return models.cards(), False
        named = [name for name in given if name != "auto"]
        first = [*_automatic(values)] if absent == "auto" or "auto" in given else []
        from matte_nodes.shot.choose_model import members

        chosen = [member for name in dict.fromkeys([*first, *named]) for member in members(name)]
        return [models.card(name) for name in chosen], bool(named)


def given_knobs(options: dict[str, Any]) -> dict[str, Any]:
    """Take the knob values that were given out of a verb's options."""
    found = {key: options.pop(key) for key in list(options) if key.startswith(_PREFIX)}
    return {key[len(_PREFIX) :]: value for key, value in found.items() if value is not None}


def _first_model(words: Iterable[str]) -> str | None:
    known = models.names()
    return next((word for word in words if word in known or word.endswith(".onnx")), None)


def _automatic(values: dict[str, Any]) -> Iterator[str]:
    """Yield the models that `auto` takes for the given hints; none when nothing can run yet."""
    from matte_nodes.shot.choose_model import choose

    try:
        hints = {hint for hint in HINTS if values.get(hint)}
        if any(values.get(name) for name in ("clicks", "boxes", "points")):
            hints.add("points")
        choice = choose(hints)
    except WeightsError:  # the run says so; some uses of a verb need no model
        return
    yield from (name for name in (choice.model, choice.refine) if name)


def _offer_of(ctx: click.Context) -> Offer | None:
    found: Offer | None = ctx.meta.get(_OFFER)
    return found


class _AnyOf(click.ParamType[Any]):
    """A value of a knob that several of the chosen models declare, each in its own way."""

    name = "value"

    def __init__(self, types: Sequence[click.ParamType[Any]]) -> None:
        self._types = types

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        for place, kind in enumerate(self._types):
            try:
                return kind.convert(value, param, ctx)
            except click.BadParameter:
                if place == len(self._types) - 1:
                    raise
        return value


def _type(knobs: Sequence[Knob]) -> click.ParamType[Any]:
    distinct = {(knob.kind, knob.choices): knob for knob in knobs}.values()
    types = [_click_type(knob) for knob in distinct]
    return types[0] if len(types) == 1 else _AnyOf(types)


def _click_type(knob: Knob) -> click.ParamType[Any]:
    return click.Choice(knob.choices) if knob.kind == "choice" else _TYPES[knob.kind]


def _flags(cards: Sequence[ModelCard], taken: Sequence[click.Parameter]) -> Iterator[Flag]:
    """Yield a flag for each knob; of the knobs of one name the first has the help."""
    names = {option for parameter in taken for option in parameter.opts}
    owners: dict[str, list[tuple[str, Knob]]] = {}
    for card in cards:
        for knob in card.knobs:
            owners.setdefault(knob.name, []).append((f"Knobs of {card.name}", knob))
    for knob in NODE_KNOBS:
        owners.setdefault(knob.name, []).append(("Knobs of every model", knob))
    for found in owners.values():
        heading, knob = found[0]
        unit = f" {knob.unit}" if knob.unit else ""
        # Another package's knob may have the name of a flag of ours.
        spelling = knob.flag if knob.flag not in names else f"--knob{knob.flag[1:]}"
        others = (f"--{alias.replace('_', '-')}" for alias in knob.aliases)
        yield Flag(
            [spelling, *(name for name in others if name not in names), _PREFIX + knob.name],
            group=heading,
            type=_type([one for _, one in found]),
            default=None,
            help=f"{knob.help} Default: {knob.default}{unit}.",
        )


def _grouped(
    parameters: Iterable[click.Parameter], ctx: click.Context, *, with_knobs: bool
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Headings and their rows, in the order in which the headings first occur; knobs come last."""
    rows: dict[str, list[tuple[str, str]]] = {}
    knobs: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is None or isinstance(parameter, click.Argument):
            continue
        if not isinstance(parameter, Flag):  # --help
            rows.setdefault(next(reversed(rows), "Options"), []).append(record)
        elif str(parameter.name).startswith(_PREFIX):
            knobs.setdefault(parameter.group, []).append(record)
        else:
            rows.setdefault(parameter.group, []).append(record)
    yield from rows.items()
    if with_knobs:
        yield from knobs.items()


def _write_hint(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    is_argument = any(
        isinstance(p, click.Argument) and isinstance(p.type, ModelName) for p in command.params
    )
    example = f"{ctx.command_path} {'MODEL' if is_argument else '--model NAME'} --help"
    with formatter.section("Knobs"):
        every = "Every model has: " + ", ".join(knob.flag for knob in NODE_KNOBS) + "."
        margin = " " * formatter.current_indent
        formatter.write(fill(
            every, formatter.width, initial_indent=margin, subsequent_indent=margin,
            break_on_hyphens=False,
        ) + "\n")  # fmt: skip
        formatter.write_text(f"What they do, and a model's own knobs: {example}")


def _refusal(error: click.NoSuchOption, offer: Offer | None) -> Exception:
    """A knob of other models is refused with their names; any other flag as click does it."""
    name = error.option_name.lstrip("-").replace("-", "_")
    owners = [card.name for card in models.cards() if card.knob(name)]
    if offer is None or not owners:
        return error
    who = " and ".join(card.name for card in offer.cards) or "No model that can run here"
    own = [knob.flag for card in offer.cards for knob in card.knobs]
    return UnknownKnobError(
        f"{who} has no knob {name!r}; it is one of {', '.join(owners)}. Own knobs here: "
        f"{', '.join(own) or 'none'}."
    )
