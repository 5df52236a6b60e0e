# SPDX-License-Identifier: Apache-2.0
"""Recipes: data files (TOML) that say everything a training does, and their hash.

docs/train.md describes the fields. `find` looks among the recipes of the package first.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from matte_nodes import models
from matte_nodes.architecture import Task
from matte_nodes.errors import UsageError
from matte_nodes.train import systems
from matte_nodes.train.routes import Route
from matte_nodes.train.samples import PLANES
from matte_nodes.train.trainer import Schedule

T = TypeVar("T")
FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Data:
    """Samples: how many, of which side in pixels, by which seed, with which trimaps
    (radius of the band from narrow to wide pixels; whole parts unknown how often),
    which part of them calm (see `Pictures`).

    share: the part of textures that are photographs, if there are any. own: the part of
    foregrounds that are the user's, if there are any. plain: a model that finds subjects (u2netp):
    photographs that it finds one in are no backgrounds. zooms: crops of the user's foregrounds, in
    sides, before they are resized. coarse: closed form is solved for task "trimap"; without it no
    stage may be given it (without = 1). shadow, matched: as in `Maker`. Held-out samples are made of other
    photographs and by another seed.
    """

    side: int = 320
    samples: int = 1024
    seed: int = 1
    heldout_samples: int = 96
    heldout_seed: int = 99
    narrow: float = 1.0
    wide: float = 45.0
    calm: float = 0.0
    share: float = 0.65
    own: float = 0.5
    plain: str = ""
    zooms: tuple[float, ...] = (1.0, 1.5, 2.0)
    coarse: bool = True
    whole: float = 0.0
    shadow: bool = False
    matched: bool = False


@dataclass(frozen=True)
class Stage:
    """One stage: its crops and batches, its losses by name, its schedule.

    only: beginnings of the parameters' names that are trained (none: all of them). without: how
    often the optional hint is left out. data, route, foregrounds: fields that differ from the
    recipe's; a stage that says any has samples of its own, and draws the part `before` from the
    recipe's own.
    """

    crop: int
    batch: int
    losses: Mapping[str, float]
    schedule: Schedule
    without: float = 0.5
    only: tuple[str, ...] = ()
    before: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)
    route: Mapping[str, Any] = field(default_factory=dict)
    foregrounds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A training from its data to its last stage. `digest` is the hash of all of it.

    options: arguments of the network's `build` besides its width.
    """

    title: str
    network: str
    task: Task
    width: float
    options: Mapping[str, Any]
    foregrounds: Mapping[str, float]
    heldout: Mapping[str, float]
    data: Data
    route: Route
    stages: tuple[Stage, ...]
    source: Mapping[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """sha256 of the recipe's content; comments and spacing do not count."""
        return hashlib.sha256(json.dumps(self.source, sort_keys=True).encode()).hexdigest()

    def for_stage(self, stage: Stage) -> Recipe:
        """Return the recipe with the stage's own data and route in place of its own."""
        if not stage.data and not stage.route and not stage.foregrounds:
            return self
        return replace(
            self,
            foregrounds={**self.foregrounds, **stage.foregrounds},
            data=replace(self.data, **stage.data),
            route=replace(self.route, **stage.route),
            source={
                **self.source,
                "stage data": dict(stage.data),
                "stage route": dict(stage.route),
                **({"stage foregrounds": dict(stage.foregrounds)} if stage.foregrounds else {}),
            },
        )

    @property
    def data_digest(self) -> str:
        """sha256 of what decides the samples."""
        names = ("task", "foregrounds", "heldout", "data", "route", "stage data", "stage route",
                 "stage foregrounds")  # fmt: skip
        part = {name: self.source[name] for name in names if name in self.source}
        return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


def names() -> list[str]:
    """Return the recipes of the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str) -> Recipe:
    """Return a recipe of the package by its name, or a file. Raises UsageError when there is none.

    A recipe with the name of a model has that model's old names too.
    """
    path = FOLDER / f"{models.current_name(name)}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"There is no recipe {name!r}. Those of the package: {', '.join(names())}; or give "
            "the path of a TOML file."
        )
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def trial(recipe: Recipe, *, side: int = 64, steps: int = 2) -> Recipe:
    """Return a recipe cut down to what runs in seconds: its network narrow, its losses and stages whole.

    Two composites of `side` pixels, `steps` steps a stage at a rate that shows in so few.
    """
    width = systems.find(recipe.network).training.trial_width
    sizes = {"side": side, "samples": 2, "heldout_samples": 2, "narrow": 1.0, "wide": side / 6}
    stages = []
    for stage in recipe.source["stages"]:
        schedule = {"steps": steps, "stop": 0, "every": max(1, steps // 2), "average": 0.9}
        rate = {"rate": 5e-3, "decay": 0.0, "half": False}
        changed = {"crop": side, "batch": 2, "schedule": {**stage["schedule"], **schedule, **rate}}
        if "data" in stage:
            changed["data"] = {**stage["data"], **sizes}
        stages.append({**stage, **changed})
    data = {**recipe.source.get("data", {}), **sizes}
    return parse({**recipe.source, "width": width, "data": data, "stages": stages})


def parse(source: Mapping[str, Any]) -> Recipe:
    """Return a recipe from its parsed TOML.

    Raises UsageError that names the field that is wrong.
    """
    known = {
        "title",
        "network",
        "task",
        "width",
        "options",
        "foregrounds",
        "heldout",
        "data",
        "route",
        "stages",
    }
    strays = sorted(set(source) - known)
    if strays:
        raise UsageError(f"a recipe has no field {strays[0]!r}; it has {', '.join(sorted(known))}.")
    if source.get("task") not in PLANES:
        raise UsageError(f"task is {source.get('task')!r}: one of {', '.join(PLANES)}.")
    system = systems.find(str(source.get("network", "")))
    if source["task"] != system.task:
        raise UsageError(f"network {source['network']!r} is of task {system.task!r}.")
    _check_options(system, source.get("options", {}))
    if not source.get("stages"):
        raise UsageError("a recipe has at least one [[stages]].")
    from matte_nodes.train.foregrounds import FOREGROUNDS

    for part in ("foregrounds", "heldout"):
        for kind in source.get(part, {}):
            if kind not in FOREGROUNDS:
                raise UsageError(f"[{part}] {kind!r}: one of {', '.join(FOREGROUNDS)}.")
    shares = dict(source.get("foregrounds") or dict.fromkeys(FOREGROUNDS, 1.0))
    return Recipe(
        title=str(source.get("title", "")),
        network=str(source.get("network", "")),
        task=source["task"],
        width=float(source.get("width", 1.0)),
        options=dict(source.get("options", {})),
        foregrounds=shares,
        heldout={**shares, **source.get("heldout", {})},
        data=_made(Data, source.get("data", {}), "data"),
        route=_made(Route, source.get("route", {}), "route"),
        stages=tuple(_stage(stage, index, system) for index, stage in enumerate(source["stages"])),
        source=source,
    )


def _check_options(system: systems.System, options: Mapping[str, Any]) -> None:
    known = set(inspect.signature(system.architecture.build).parameters) - {"width"}
    for name in options:
        if name not in known:
            raise UsageError(
                f"[options] network {system.name!r} has no option {name!r}; it has "
                f"{', '.join(sorted(known)) or 'none'}."
            )


def _stage(source: Mapping[str, Any], index: int, system: systems.System) -> Stage:
    from matte_nodes.train.objectives import loss_names

    where = f"stages {index + 1}"
    schedule = _made(Schedule, source.get("schedule", {}), f"{where}, schedule")
    losses = source.get("losses", {})
    for name in losses:
        if name not in loss_names(system):
            known = ", ".join(loss_names(system))
            raise UsageError(f"[{where}, losses] {name!r}: one of {known}.")
    if not losses:
        raise UsageError(f"[{where}] names no losses.")
    only = tuple(source.get("only", ()))
    # Wrong names are found now, not after the stage before.
    _made(Data, source.get("data", {}), f"{where}, data")
    _made(Route, source.get("route", {}), f"{where}, route")
    rest = {**source, "schedule": schedule, "losses": dict(losses), "only": only}
    return _made(Stage, rest, where)


def _made(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return a dataclass from a table; unknown and missing fields are named."""
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    strays = sorted(set(values) - known)
    if strays:
        raise UsageError(
            f"[{where}] has no field {strays[0]!r}; it has {', '.join(sorted(known))}."
        )
    try:
        return kind(**values)
    except TypeError as error:
        raise UsageError(f"[{where}] {error}") from error
