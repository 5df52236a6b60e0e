# SPDX-License-Identifier: Apache-2.0
"""The networks that can be trained: how each is built, and what it answers to a batch.

A batch is a mapping of (N, C, H, W) tensors, 0..1: `plate`, `alpha`, and, as a system's `hints`
say, `trimap` (0, 0.5, 1), `clean` (the clean plate), `segmentation`, `motion`; the losses may ask
for `foreground` and `background`. The small cue networks take `planes` instead (see `samples`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from matte_nodes.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from matte_nodes.train.samples import Task
    from matte_nodes.train.trainer import Batch


@dataclass(frozen=True)
class Answer:
    """What a network says of a batch, in the losses' ranges.

    alpha: (N, 1, H, W), what is delivered. coarse: an alpha from before a refinement, or of the
    transition alone. foreground: (N, 3, H, W), straight. scores: (N, C, H, W), logarithms of class
    probabilities. auxiliary: the same at a smaller size.
    """

    alpha: Tensor
    coarse: Tensor | None = None
    foreground: Tensor | None = None
    scores: Tensor | None = None
    auxiliary: Tensor | None = None


@dataclass(frozen=True)
class System:
    """One network. make: builds it at a width. answer: the network and a batch to an Answer.

    task: which samples it is trained on. model: the model of the library that runs it. unknown:
    its losses count in the trimap's unknown part only. hints: what its batch must hold. side: it
    always sees a square of this side (0: any crop). multiple: sides are multiples of this. losses:
    what it is fine-tuned with.
    """

    make: Callable[[float], nn.Module]
    answer: Callable[[nn.Module, Batch], Answer]
    task: Task
    model: str
    losses: Mapping[str, float]
    unknown: bool = False
    hints: frozenset[str] = frozenset()
    side: int = 0
    shorter: int = 0
    share: float = 1.0
    multiple: int = 32


def find(name: str) -> System:
    """A system by its name. Raises UsageError with those there are."""
    if name not in SYSTEMS:
        raise UsageError(f"network {name!r}: one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def of_model(model: str) -> str | None:
    """The name of the system that trains a model, or None."""
    return next((name for name, system in SYSTEMS.items() if system.model == model), None)


def inner(network: nn.Module) -> nn.Module:
    """The network itself, without what only its training needs."""
    found: nn.Module = getattr(network, "network", network)
    return found


def marks(network: nn.Module, name: str) -> dict[str, str]:
    """Metadata that lets `matte models import` load a trained network without a question."""
    import json

    if name.endswith("-cues"):
        return {}
    from matte_nodes.checkpoints import recognise

    found = recognise({n: tuple(t.shape) for n, t in network.state_dict().items()})
    options = {option: getattr(network, option) for option in found.open}
    return {"matte_nodes.model": found.model, "matte_nodes.options": json.dumps(options)}


def _make(module: str, kind: str, **options: Any) -> Callable[[float], nn.Module]:
    def make(width: float) -> nn.Module:
        from importlib import import_module

        found = getattr(import_module(f"..models.networks.{module}", __package__), kind)
        network: nn.Module = found(width=width, **options)
        return network

    return make


def _make_cues(kind: Literal["TrimapCues", "PlateCues"]) -> Callable[[float], nn.Module]:
    def make(width: float) -> nn.Module:
        import torch

        network = _make("cue_matting", kind)(width)
        return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]

    return make


def _make_adamatting(width: float) -> nn.Module:
    return weighted(_make("adamatting", "AdaMatting")(width))


def _make_deep_image_matting(width: float) -> nn.Module:
    """First weights as the paper has them: Xavier's in decoder and refinement; the encoder, which
    it takes from ImageNet, by He's until --start fills it (17 layers without normalisation die
    under the usual ones). The last layer is ours: a tenth of Xavier's, so that alpha begins near
    1/2, where its sigmoid still moves."""
    from torch import nn

    network = _make("deep_image_matting", "DeepImageMatting")(width)
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if name.startswith("conv"):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_normal_(layer.weight)
        if name == "deconv1":
            layer.weight.data.mul_(0.1)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return network


def weighted(network: nn.Module, tasks: int = 2) -> nn.Module:
    """A network beside the logarithms of its tasks' learned weights, 0 at first."""
    import torch
    from torch import nn

    both = nn.Module()
    both.network = network
    both.log_sigmas = nn.Parameter(torch.zeros(tasks))
    return both


def _cues(network: nn.Module, batch: Batch) -> Answer:
    return Answer(cue_answer(network, batch)[0])


def cue_answer(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """A cue network's alpha of a batch, and where it counts (None: everywhere)."""
    planes = batch["planes"]
    if planes.shape[1] == 7:
        return network(planes).float(), None
    where = (planes[:, 15:16] == 0.5).float()
    return network(planes[:, :19], planes[:, 19:20]).float(), where


def _picture_and_trimap(batch: Batch) -> Tensor:
    import torch

    from matte_nodes.models.networks.blocks import imagenet
    from matte_nodes.models.trimap_input import UNKNOWN

    trimap = batch["trimap"]
    seen = torch.where(trimap == 0.5, torch.full_like(trimap, float(UNKNOWN)), trimap)
    return torch.cat((imagenet(batch["plate"]), seen), 1)


def _deep_image_matting(network: nn.Module, batch: Batch) -> Answer:
    found = network(_picture_and_trimap(batch))
    return Answer(found.alpha, coarse=found.alpha_stage1)


def _adamatting(network: nn.Module, batch: Batch) -> Answer:
    import torch

    found = inner(network)(_picture_and_trimap(batch))
    # The alpha loss sees the estimate, not what the adapted trimap decides.
    return Answer(found.alpha, coarse=found.estimate, scores=torch.log_softmax(found.trimap, 1))


def _mmnet(network: nn.Module, batch: Batch) -> Answer:
    import torch

    found = network(batch["plate"])
    scores = (torch.log_softmax(logits, 1) for logits in (found.logits, found.auxiliary))
    return Answer(found.alpha, scores=next(scores), auxiliary=next(scores))


def _gfm(network: nn.Module, batch: Batch) -> Answer:
    found = network(batch["plate"] * 255)
    (part,) = found.answers.values()
    shares = part.glance.clamp_min(1e-6)
    return Answer(
        part.fusion, coarse=part.focus, scores=(shares / shares.sum(1, keepdim=True)).log()
    )


def _background_matting(network: nn.Module, batch: Batch) -> Answer:
    parts = (batch[name] * 2 - 1 for name in ("plate", "clean", "segmentation", "motion"))
    found = network(*parts)
    return Answer((found.alpha + 1) / 2, foreground=(found.foreground + 1) / 2)


def _modnet(network: nn.Module, batch: Batch) -> Answer:
    return Answer(network(batch["plate"] * 2 - 1))


_ALPHA = {"alpha": 1.0, "laplacian": 0.4, "gradient": 0.5}

SYSTEMS: Mapping[str, System] = {
    "trimap-cues": System(
        _make_cues("TrimapCues"), _cues, "trimap", "deep-image-matting-small", _ALPHA, unknown=True,
        hints=frozenset({"trimap"}),
    ),
    "plate-cues": System(
        _make_cues("PlateCues"), _cues, "plate", "background-matting-small", _ALPHA,
        hints=frozenset({"background"}),
    ),
    "deep-image-matting": System(
        _make_deep_image_matting, _deep_image_matting, "layers", "deep-image-matting", _ALPHA,
        unknown=True, hints=frozenset({"trimap"}),
    ),
    "adamatting": System(
        _make_adamatting, _adamatting, "layers", "adamatting", {"adaptation": 1.0}, unknown=True,
        hints=frozenset({"trimap"}), multiple=16,
    ),
    "mmnet": System(
        _make("mmnet", "MMNet"), _mmnet, "layers", "mmnet",
        {"l1": 1.0, "gradient": 1.0, "fidelity": 1.0, "auxiliary": 1.0}, side=256, multiple=16,
    ),
    "gfm": System(
        _make("gfm", "GFM"), _gfm, "layers", "gfm",
        {"glance": 1.0, "focus": 1.0, "focus_laplacian": 1.0, "l1": 1.0, "laplacian": 1.0},
        share=0.5,
    ),
    "background-matting": System(
        _make("background_matting", "BackgroundMatting", wiring="paper"), _background_matting,
        "layers", "background-matting", {"l1": 1.0, "gradient": 1.0},
        hints=frozenset({"background", "segmentation", "motion"}), side=512, multiple=4,
    ),
    "modnet": System(
        lambda width: _plain("modnet", "MODNet"), _modnet, "layers", "modnet", _ALPHA,
        shorter=512,
    ),
}  # fmt: skip
"""Every network that `matte train` and `matte finetune` know."""


def _plain(module: str, kind: str) -> nn.Module:
    from importlib import import_module

    network: nn.Module = getattr(import_module(f"..models.networks.{module}", __package__), kind)()
    return network
