# SPDX-License-Identifier: Apache-2.0
"""How each network is run on a parity fixture: its inputs by name, its outputs by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Tensors: TypeAlias = Mapping[str, Tensor]
Run: TypeAlias = Callable[[nn.Module, Tensors, Mapping[str, Any]], dict[str, Tensor]]

# glance scores closer than this decide a pixel's class by rounding
_ALIKE = 1e-4


def _only(inputs: Tensors) -> Tensor:
    (value,) = inputs.values()
    return value


def _named(answer: Any) -> dict[str, Tensor]:
    return {name: value for name, value in answer._asdict().items() if value is not None}


def _chosen(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _by_name(network: nn.Module, inputs: Tensors, options: Mapping[str, Any]) -> dict[str, Tensor]:
    return _named(network(**inputs))


def _single(network: nn.Module, inputs: Tensors, options: Mapping[str, Any]) -> dict[str, Tensor]:
    return _named(network(_only(inputs)))


def _gfm(network: nn.Module, inputs: Tensors, options: Mapping[str, Any]) -> dict[str, Tensor]:
    answer = network(_only(inputs))
    if len(answer.answers) == 1:
        (only,) = answer.answers.values()
        return _named(only)
    found = {
        f"out_{number}_{place}": value
        for number, part in enumerate(answer.answers.values())
        for place, value in enumerate(part)
    }
    return {**found, f"out_{len(answer.answers)}": answer.fusion}


def _modnet(network: nn.Module, inputs: Tensors, options: Mapping[str, Any]) -> dict[str, Tensor]:
    supervised: Any = network.supervised
    return _named(supervised(_only(inputs)))


def _background_v2(
    network: nn.Module, inputs: Tensors, options: Mapping[str, Any]
) -> dict[str, Tensor]:
    names = ("backbone_scale", "refine_mode", "refine_sample_pixels", "refine_threshold")
    return _named(network(**inputs, **_chosen(options, *names)))


def _video(network: nn.Module, inputs: Tensors, options: Mapping[str, Any]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    states: tuple[Tensor, ...] = ()
    for number, frame in enumerate(inputs.values()):
        answer = network(frame, *states, **_chosen(options, "downsample_ratio"))
        states = answer.states
        found |= {f"{name}{number}": value for name, value in _named(answer).items()}
    return found


def _mmnet(network: nn.Module, inputs: Tensors, options: Mapping[str, Any]) -> dict[str, Tensor]:
    answer = network(_only(inputs))
    logits = answer.logits.permute(0, 2, 3, 1)
    return {"L": logits, "P": logits.softmax(-1), **_named(answer)}


def _selfie(network: nn.Module, inputs: Tensors, options: Mapping[str, Any]) -> dict[str, Tensor]:
    return {"alpha": network(_only(inputs))}


RUNS: dict[str, Run] = {
    "deep-image-matting": _single,
    "adamatting": _single,
    "background-matting": _by_name,
    "background-matting-v2": _background_v2,
    "gfm": _gfm,
    "modnet": _modnet,
    "rvm": _video,
    "mmnet": _mmnet,
    "selfie": _selfie,
}


def undecided(output: str, outputs: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Pixels (N, 1, H, W) of a GFM fusion whose class is a matter of rounding.

    output: `fusion`, `out_N_2`, or RIM's integration, on which all three classes act. None for an
    output that picks no class.
    """
    if output == "fusion":
        glances = ["glance"]
    elif output.startswith("out_") and output.endswith("_2"):
        glances = [output[:-1] + "0"]
    elif output.startswith("out_") and output.count("_") == 1:
        glances = [name for name in outputs if name.startswith("out_") and name.endswith("_0")]
    else:
        return None
    found: NDArray[np.bool_] | None = None
    for name in glances:
        if name in outputs:
            best = np.sort(outputs[name], axis=1)[:, -2:]
            close = best[:, 1:] - best[:, :1] < _ALIKE
            found = close if found is None else found | close
    return found
