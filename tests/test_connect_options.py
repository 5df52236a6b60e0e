# SPDX-License-Identifier: Apache-2.0
"""ConnectOptions is the one declaration of what `connect` takes: all faces of it agree."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from typing import Any

import click
import numpy as np
import pytest

from matte_nodes import MatteNode, cli
from matte_nodes.errors import UsageError
from matte_nodes.service.request import checked
from matte_nodes.shot.connect_options import ConnectOptions, options
from matte_nodes.testing.scene import scene

NAMES = [field.name for field in fields(ConnectOptions)]
PLATE = scene(24, 32).plate


def request(**connect: Any) -> Any:
    return checked({
        "source": "p.####.exr", "output": "m.####.exr", "model": "rvm", "cwd": "/",
        "connect": connect,
    })  # fmt: skip


def test_connect_has_the_signature_of_the_fields() -> None:
    assert list(signature(MatteNode.connect).parameters) == ["self", *NAMES]
    assert MatteNode.connect.__doc__
    assert MatteNode.connect.__name__ == "connect"


def test_every_field_says_what_it_does() -> None:
    assert [option.name for option in options()] == NAMES[1:]
    for option in options():
        assert option.help.endswith("."), option.name
        assert bool(option.choices) == (option.kind == "choice"), option.name


@pytest.mark.parametrize("plate", [{"plate": PLATE}, None])
def test_the_plate_may_be_named_or_not(plate: dict[str, Any] | None) -> None:
    node = MatteNode("green-screen")
    shot = node.connect(**plate) if plate else node.connect(PLATE)
    assert list(shot.frames) == [1]


def test_an_unknown_keyword_is_an_error_that_names_it() -> None:
    with pytest.raises(TypeError, match="trimpa"):
        MatteNode("green-screen").connect(PLATE, trimpa=PLATE[..., 0])  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [option.name for option in options() if option.choices])
def test_a_value_that_is_no_choice_is_refused(name: str) -> None:
    wrong: dict[str, Any] = {name: "sideways"}
    with pytest.raises(UsageError, match=name):
        MatteNode("green-screen").connect(PLATE, **wrong)


def test_matte_run_has_a_flag_for_each_that_says_so() -> None:
    command = cli.matte.get_command(click.Context(cli.matte), "run")
    assert command is not None
    parameters = {p.name: p for p in command.params}
    for option in options():
        assert (option.name in parameters) == option.flag, option.name
        if option.flag:
            flag = parameters[option.name]
            assert isinstance(flag, click.Option)
            assert flag.help == option.help
            if isinstance(flag.type, click.Choice):
                assert tuple(flag.type.choices) == option.choices


def test_a_request_takes_those_that_say_so_with_their_types() -> None:
    right: dict[str, Any] = {
        "picture": "t.png", "text": "1012", "choice": "hold", "switch": True, "number": 3,
    }  # fmt: skip
    wrong: dict[str, Any] = {"picture": 3, "text": 3, "choice": 3, "switch": 1, "number": True}
    for option in options():
        if not option.request:
            with pytest.raises(UsageError, match=f"no entry '{option.name}'"):
                request(**{option.name: right[option.kind]})
            continue
        assert request(**{option.name: right[option.kind]}).connect
        with pytest.raises(UsageError, match=option.name):
            request(**{option.name: wrong[option.kind]})


def test_a_float_of_a_request_may_be_written_as_a_whole_number() -> None:
    asked = {"source": "p", "output": "m", "model": "rvm", "cwd": "/", "refine_width": 6}
    assert checked(asked).options == {"refine_width": 6}
    for wrong in ("6", True):
        with pytest.raises(UsageError, match=r"refine_width is a float or int"):
            checked({**asked, "refine_width": wrong})


def test_options_hold_arrays_without_comparing_them() -> None:
    one = ConnectOptions(PLATE, trimap=np.zeros((24, 32), np.float32))
    assert one == one
