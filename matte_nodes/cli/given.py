# SPDX-License-Identifier: Apache-2.0
"""Which flags of `matte run` were given, to pass them to another process as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import click


def pairs(
    context: click.Context, options: Mapping[str, Any], without: Collection[str]
) -> dict[str, tuple[str, Any]]:
    """Return (flag, value) of each option that differs from its default, by parameter name."""
    found = {}
    for param in context.command.get_params(context):
        name = param.name or ""
        is_default = context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT
        if name not in without and not is_default and name in options:
            flag = next(opt for opt in param.opts if opt.startswith("--"))
            value = options[name]
            # A knob that is yes or no has a value, a switch has none.
            if value is True and not getattr(param, "is_flag", False):
                value = "true"
            found[name] = (flag, value)
    return found


def flags_of(
    context: click.Context, options: Mapping[str, Any], without: Collection[str]
) -> list[str]:
    """Return the same as words of a command."""
    return words_of(pairs(context, options, without).values())


def words_of(flags: Iterable[tuple[str, Any]]) -> list[str]:
    """Return (flag, value) pairs as words of a command; a flag with several values comes as often."""
    words: list[str] = []
    for flag, value in flags:
        if isinstance(value, tuple):
            words += [f"{flag}={item}" for item in value]
        else:
            words.append(flag if value is True else f"{flag}={value}")
    return words
