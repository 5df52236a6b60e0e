# SPDX-License-Identifier: Apache-2.0
"""Architecture: the one declaration of a torch network.

Running, import, ONNX and .cat export, training, fine-tuning, parity and tests read it. A card
names its architecture (`ModelCard.architecture`), so a third party's network is declared in the
same way as ours. This module imports only the standard library and our error types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from matte_nodes.recognition import Detector

    Float: TypeAlias = NDArray[np.float32]

Role = Literal["plate", "trimap", "background", "segmentation", "motion"]
CHANNELS: Mapping[Role, int] = {
    "plate": 3, "trimap": 1, "background": 3, "segmentation": 1, "motion": 4,
}  # fmt: skip
"""The pictures that a network can take, with their channels. All are display-encoded, 0..1. A
trimap has the values 0, 0.5 (unknown) and 1. "motion" is the grey of four neighbouring plates."""

Options: TypeAlias = Mapping[str, Any]
Knobs: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """The size at which a network works. By default it is the plate's own size, padded."""

    square: int = 0
    """Side of a square, in pixels. The plate is stretched to it. 0: not a square."""
    shorter: int = 0
    """Length of the plate's shorter side, in pixels. 0: not scaled by it."""
    longest: int = 2048
    """With `shorter`: the most pixels that the longer side may have."""
    share: float = 1.0
    """Factor on both sides of the plate."""
    knob: str = ""
    """The model's knob that sets `square` or `shorter`; its value 0 leaves them. "": no knob."""

    def of(self, height: int, width: int, knobs: Knobs, multiple: int) -> tuple[int, int]:
        """Return the (height, width) for a plate of this size; sides are multiples."""
        value = int(knobs.get(self.knob, 0)) or self.square or self.shorter
        if self.square:
            return value, value
        scale = self.share
        if self.shorter:
            scale = value / min(height, width)
            # A plate of 1 x 4000 would need millions of columns.
            scale = min(scale, self.longest / max(height, width))
        if scale == 1.0:
            return height, width
        return (
            max(multiple, int(height * scale) // multiple * multiple),
            max(multiple, int(width * scale) // multiple * multiple),
        )

    @property
    def own(self) -> bool:
        """Whether it is the plate's own size."""
        return not self.square and not self.shorter and self.share == 1.0


@dataclass(frozen=True)
class Answer:
    """A network's answer to a training batch, in the ranges of the losses."""

    alpha: Tensor
    """(N, 1, H, W), 0..1: the result."""
    coarse: Tensor | None = None
    """(N, 1, H, W): an alpha from before a refinement, or of the transition alone."""
    foreground: Tensor | None = None
    """(N, 3, H, W), straight."""
    scores: Tensor | None = None
    """(N, C, H, W): logarithms of class probabilities."""
    auxiliary: Tensor | None = None
    """The same at a smaller size."""


Task = Literal["trimap", "plate", "layers", "shot", "clips"]
"""The kind of samples: the planes of the trimap or of the clean-plate cues, layers by name, key
frames of one shot with a first matte, or layers of short clips."""
Batch: TypeAlias = "Mapping[str, Tensor]"


def _plain_answer(answer: Any, decoded: Mapping[str, Tensor]) -> Answer:
    del answer
    return Answer(decoded["alpha"], foreground=decoded.get("foreground"))


@dataclass(frozen=True)
class Training:
    """How a network is trained, by a recipe or from key frames."""

    answer: Callable[[Any, Mapping[str, Tensor]], Answer] = _plain_answer
    """Called with the network's own answer and with what `decode` made of it. Returns the Answer
    that the losses see."""
    losses: Mapping[str, float] = field(
        default_factory=lambda: {"alpha": 1.0, "laplacian": 0.4, "gradient": 0.5}
    )
    """Weights of the losses by name, for fine-tuning. A recipe names its own."""
    task: Task = "layers"
    """The kind of samples."""
    planes: Callable[[nn.Module, Tensor], Any] | None = None
    """For tasks with planes: calls the network with the planes (N, P, H, W) of a batch."""
    first_weights: Callable[[nn.Module], None] | None = None
    """Fills a new network before training. None: torch's own first weights."""
    options: Options = field(default_factory=dict)
    """Options of a new network that is to be trained, where they differ from the usual ones."""
    learned_weights: int = 0
    """How many loss weights are learned with the network. They make the loss "adaptation"."""
    side: int = 0
    """The network is trained on squares of this side, in pixels. 0: as `Architecture.size` says."""
    channels_last: bool = False
    """It trains faster in this memory layout."""
    branches: Callable[[nn.Module, Tensor], Any] | None = None
    """Calls a portrait network with the encoded plate. Returns an answer with the fields `semantic`
    (1/16 of the size), `detail` and `matte`, which a training on people gives losses of their own."""
    clip: Callable[[nn.Module, Tensor], Answer] | None = None
    """Calls a network that has a memory with a clip (T, N, 3, H, W), frame after frame. Returns the
    answers of all frames, (T * N, C, H, W), time first."""
    fill_encoder: Callable[[nn.Module, Mapping[str, Tensor]], None] | None = None
    """Fills the network's encoder from a trained one (`train.encoders`)."""
    trial_width: float = 0.125
    """Width of the network in `matte train --try`."""


Run: TypeAlias = "Callable[[nn.Module, Mapping[str, Tensor], Options], Mapping[str, Tensor]]"


def named_outputs(answer: Any) -> dict[str, Tensor]:
    """Return a network's outputs by name: a tensor's name is "alpha", a tuple's fields have
    theirs. Outputs that are None are left out."""
    if isinstance(answer, Mapping):
        return dict(answer)
    if hasattr(answer, "_asdict"):
        return {name: value for name, value in answer._asdict().items() if value is not None}
    return {"alpha": answer}


def run_by_name(
    network: nn.Module, inputs: Mapping[str, Tensor], options: Options
) -> dict[str, Tensor]:
    """Call the network with one input, or with several by name."""
    if len(inputs) == 1:
        return named_outputs(network(*inputs.values(), **options))
    return named_outputs(network(**inputs, **options))


@dataclass(frozen=True)
class Parity:
    """How a network is compared with the published outputs in a fixture."""

    run: Run = run_by_name
    """Called with the network, the fixture's inputs by name and its options. Returns outputs by
    name."""
    options: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    """Options of a run that a fixture may name, with the type of their value."""
    relative: frozenset[str] = frozenset()
    """Unbounded outputs: their difference is divided by the published standard deviation."""
    undecided: Callable[[str, Mapping[str, NDArray[Any]]], NDArray[np.bool_] | None] | None = None
    """Called with an output's name and all published outputs. Returns the pixels (N, 1, H, W)
    that rounding decides; they are left out."""

    def chosen(self, options: Options, words: str = "") -> dict[str, Any]:
        """Return the options of a run that a fixture names.

        options: the fixture's fields. words: its text; "downsample_ratio 0.5" counts too.
        """
        found: dict[str, Any] = {}
        for name, kind in self.options.items():
            said = re.search(rf"\b{name}\b[\s=:]*([\w.]*\w)", words)
            if said:
                found[name] = kind(said.group(1))
            if name in options:
                found[name] = kind(options[name])
        return found


@dataclass(frozen=True)
class PublishedOnnx:
    """A published ONNX file that the model runs. It is exported unchanged."""

    inputs: Mapping[str, str]
    """Picture ("plate") -> the file's input."""
    outputs: Mapping[str, str]
    """"alpha" and "foreground" -> the file's outputs."""
    states: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """State -> the file's input and output for it."""
    constants: Mapping[str, list[float]] = field(default_factory=dict)
    """Further inputs with a fixed value."""


def as_it_is(*pictures: Tensor) -> tuple[Tensor, ...]:
    """Return the pictures without a change."""
    return pictures


def alpha_alone(answer: Any) -> dict[str, Tensor]:
    """Return the answer itself, or its field `alpha`."""
    return {"alpha": getattr(answer, "alpha", answer)}


@dataclass(frozen=True)
class Architecture:
    """One network: how it is built, recognised, fed, read, trained and compared."""

    id: str
    """Lower case with dashes: the name of the model that runs the published weights."""
    build: Callable[..., nn.Module]
    """Called with options. Returns the network with random weights."""
    detect: Detector
    """Recognises the network's tensors by their names and shapes."""
    inputs: tuple[Role, ...] = ("plate",)
    """The pictures that it takes."""
    encode: Callable[..., Any] = as_it_is
    """Called with a tensor (N, C, H, W) for each of `inputs`, in their order. Returns the
    network's input tensor, or a tuple of them. A function or an nn.Module of torch operations;
    exports trace it."""
    decode: Callable[[Any], Mapping[str, Tensor]] = alpha_alone
    """Called with the network's answer. Returns "alpha" (N, 1, H, W) 0..1 and, where there are
    any, "foreground" (N, 3, H, W) straight 0..1 and extras by name."""
    options: Options = field(default_factory=dict)
    """Arguments of `build` that a knob or a user may set, with their usual values."""
    from_knobs: Callable[[Knobs], Options] | None = None
    """Options that a model's knobs ask for. None: the knobs that have an option's name."""
    asked: Callable[[Knobs], Options] = lambda knobs: {}
    """Options that a user may set for a checkpoint, because its tensors cannot tell them."""
    call: Callable[[Knobs], Options] = lambda knobs: {}
    """Keyword arguments of the network's forward for these knobs."""
    multiple: int = 32
    """The network's sides are multiples of this."""
    size: Size = Size()
    """The size at which it works."""
    export_size: tuple[int, int] | None = None
    """(height, width) that exported files always work at. None: any size, or as `size` says."""
    onnx_size: tuple[int, int] | None = None
    """The same for ONNX files alone, where their exporter cannot leave the size open."""
    onnx_size_of: Callable[[Any, Knobs], tuple[int, int]] | None = None
    """Called with a network and knobs: `onnx_size` where it depends on the weights."""
    export_opset: int | None = None
    """The ONNX opset that its layers need. None: the exporter's usual one."""
    export_knobs: Knobs = field(default_factory=dict)
    """Values of knobs that replace the user's in exported files."""
    script: Callable[[nn.Module], nn.Module] | None = None
    """Returns the module that `torch.jit.script` takes for a .cat file, with the pictures as its
    arguments. None: encode, network and decode are traced."""
    unexportable: Callable[[Any], str] = lambda network: ""
    """Called with a network. Returns why no exported file can hold it, with advice; "": one can."""
    published_onnx: PublishedOnnx | None = None
    """Set where the weights are an ONNX file already."""
    training: Training | None = None
    """None: it cannot be trained."""
    parity: Parity = Parity()
    """How it is compared with published outputs."""
    small: Knobs = field(default_factory=dict)
    """Knobs of a small, quick network for tests."""
    layouts: tuple[str, ...] = ()
    """The published layouts that `detect` reads, by `Recognition.layout`."""
    variants: tuple[Options, ...] = ({},)
    """Options of small networks that tests build: each kind that a checkpoint can be of."""
    published: tuple[Published, ...] = ()
    """Published networks with their numbers of parameters."""
    old_ids: tuple[str, ...] = ()
    """Ids that it had before; recipes may name them."""

    def options_for(self, knobs: Knobs) -> dict[str, Any]:
        """Return the options of an untrained network for these knobs."""
        if self.from_knobs is not None:
            return {**self.options, **self.from_knobs(knobs)}
        return {name: knobs.get(name, value) for name, value in self.options.items()}

    def of_width(self, width: float, **options: Any) -> nn.Module:
        """Build the network at a width; a network without widths has one size."""
        wide = {"width": width} if "width" in self.options else {}
        return self.build(**{**wide, **options})

    def encoded(self, *pictures: Tensor) -> tuple[Any, ...]:
        """Return the network's inputs as a tuple."""
        made = self.encode(*pictures)
        return made if isinstance(made, tuple) else (made,)

    def __call__(
        self, network: nn.Module, *pictures: Tensor, **options: Any
    ) -> Mapping[str, Tensor]:
        """Encode the pictures, call the network, decode its answer."""
        return self.decode(network(*self.encoded(*pictures), **options))


@dataclass(frozen=True)
class Published:
    """A published network: a fact that the tests check."""

    options: Options
    """Its options."""
    parameters: int
    """Its number of parameters."""
    tensors: int | None = None
    """Its number of tensors in a state dictionary, where it is known."""
