# SPDX-License-Identifier: Apache-2.0
"""Published ONNX files told by their inputs, outputs and tensor names, and declared.

A family says how its authors prepare pictures and read the answer. Its licence it cannot say: the
same network is trained by many.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from matte_nodes.checkpoints.onnx_file import Port, Signature, signature
from matte_nodes.errors import WeightsError
from matte_nodes.models.onnx_file import ROLES

Declaration: TypeAlias = dict[str, Any]

IMAGENET: Mapping[str, list[float]] = {
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
HALF: Mapping[str, list[float]] = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
NORMALISATIONS: Mapping[str, Mapping[str, list[float]]] = {
    "imagenet": IMAGENET, "half": HALF, "none": {},
}  # fmt: skip
"""What an importer can name with `--option normalisation=...` when a family's usual one is wrong."""


@dataclass(frozen=True)
class Family:
    """One kind of published file.

    model: the card that runs such a file, "" for none. recognise: whether a signature is of this
    family. declare: the parts of the declaration that are not the same for all. notes: what an
    importer should know.
    """

    title: str
    model: str
    recognise: Callable[[Signature], bool]
    declare: Callable[[Signature], Declaration]
    notes: str = ""


def recognised(found: Signature) -> Family | None:
    """The family of a file, or None."""
    return next((family for family in FAMILIES if family.recognise(found)), None)


def declaration(
    found: Signature, family: Family | None = None, normalisation: str = ""
) -> Declaration:
    """The declaration of a file; without a family a template with what can be read from the file.

    normalisation: one of NORMALISATIONS in the place of the family's.
    """
    family = family or Family("", "", lambda _: False, _template)
    declared = {"schema": 1, "title": family.title, **family.declare(found)}
    if normalisation:
        _normalise(declared, NORMALISATIONS[normalisation])
    declared["outputs"] = declared.get("outputs") or {"alpha": found.outputs[0].name}
    made_by = found.last.get(declared["outputs"]["alpha"], "")
    if declared.get("activation") == "sigmoid" and made_by in ("Sigmoid", "Clip", "HardSigmoid"):
        declared["activation"] = "none"  # this export has it inside
    sizes = _sizes(found)
    declared |= {"licence": "not stated", "commercial": "unclear"}
    return {**declared, **sizes} if sizes else declared


def declared_for(path: Path, model: str) -> Declaration:
    """The declaration of a published ONNX file for the card that runs it.

    Raises WeightsError when the file is of another family or of none.
    """
    found = signature(path)
    family = recognised(found)
    if family is None or family.model != model:
        told = f"looks like {family.title}" if family else "is of no known family"
        raise WeightsError(
            f"{path.name} {told}; it is no ONNX file that {model!r} can run. "
            "`matte models import FILE.onnx` says what a file is."
        )
    return declaration(found, family)


def _normalise(declared: Declaration, how: Mapping[str, list[float]]) -> None:
    for role, picture in declared["inputs"].items():
        if "plate" not in role.split("+"):
            continue
        plain = {"name": picture} if isinstance(picture, str) else dict(picture)
        plain.pop("mean", None), plain.pop("std", None)
        more = len(role.split("+")) - 1
        if how:
            plain |= {"mean": how["mean"] + [0.0] * more, "std": how["std"] + [1.0] * more}
        declared["inputs"][role] = plain


def _sizes(found: Signature) -> Declaration:
    """A fixed size from the sides of the first picture, or a multiple from the words for them."""
    sides, words = found.inputs[0].sides, found.inputs[0].words
    for port in found.inputs:
        if len(port.sides) == 4 and _channels(port) in (3, 4):
            sides, words = port.sides, port.words
            break
    if len(sides) != 4:
        return {}
    rows, columns = (1, 2) if sides[3] in (3, 4) and sides[1] not in (3, 4) else (2, 3)
    if sides[rows] and sides[columns]:
        return {"fixed_size": [sides[rows], sides[columns]]}
    told = re.match(r"(\d+)\*", words[rows]) if words[rows] else None
    return {"multiple": int(told.group(1))} if told else {}


def _channels(port: Port) -> int:
    """3 or 4 for a port of pictures, 0 when that is open, -1 for another port."""
    if len(port.sides) != 4:
        return 0 if not port.sides else -1
    return next((n for n in (port.sides[1], port.sides[3]) if n in (1, 3, 4)), 0)


def _only(found: Signature, channels: int) -> bool:
    """Whether the file has one input, of this many channels or of an open number."""
    return len(found.inputs) == 1 and _channels(found.inputs[0]) in (channels, 0)


def _has(found: Signature, *parts: str) -> bool:
    """Whether each part is in the name of some tensor."""
    return all(any(part in name for name in found.tensors) for part in parts)


def _names(ports: tuple[Port, ...]) -> set[str]:
    return {port.name for port in ports}


def _is_own(found: Signature) -> bool:
    return _names(found.inputs) <= set(ROLES) and "alpha" in _names(found.outputs)


def _own(found: Signature) -> Declaration:
    outputs = [port.name for port in found.outputs]
    return {
        "inputs": {port.name: port.name for port in found.inputs},
        "outputs": {name: name for name in outputs},
    }


def _is_rvm(found: Signature) -> bool:
    states = {f"r{n}i" for n in (1, 2, 3, 4)}
    return _names(found.inputs) == {"src", "downsample_ratio", *states}


def _rvm(found: Signature) -> Declaration:
    return {
        "inputs": {"plate": "src"},
        "outputs": {"alpha": "pha", "foreground": "fgr"},
        "states": {f"r{n}": [f"r{n}i", f"r{n}o"] for n in (1, 2, 3, 4)},
        "constants": {"downsample_ratio": [0.25]},
    }


def _is_bgm(found: Signature) -> bool:
    return _names(found.inputs) == {"src", "bgr"} and "pha" in _names(found.outputs)


def _bgm(found: Signature) -> Declaration:
    outputs = {"alpha": "pha"} | ({"foreground": "fgr"} if "fgr" in _names(found.outputs) else {})
    return {"inputs": {"plate": "src", "background": "bgr"}, "outputs": outputs, "multiple": 16}


def _packed(found: Signature) -> Declaration:
    how = {"mean": IMAGENET["mean"] + [0.0], "std": IMAGENET["std"] + [1.0]}
    return {"inputs": {"plate+trimap": {"name": found.inputs[0].name, **how}}, "multiple": 32}


def _plate(found: Signature, how: Mapping[str, Any], **more: Any) -> Declaration:
    return {"inputs": {"plate": {"name": found.inputs[0].name, **how}}, **more}


def _birefnet(found: Signature) -> Declaration:
    # exports with several outputs give the side outputs first, the result last
    return _plate(
        found, IMAGENET, activation="sigmoid", multiple=32,
        outputs={"alpha": found.outputs[-1].name},
    )  # fmt: skip


def _is_nested(found: Signature) -> bool:
    return _only(found, 3) and _has(found, "side1.", "side6.")


def _template(found: Signature) -> Declaration:
    """What can be read from an unknown file, and lines that say what to fill in."""
    roles: dict[str, str] = {}
    open_roles = [role for role in ("plate", "background") if role not in roles]
    for port in found.inputs:
        channels = _channels(port)
        if channels == 4 and "plate" in open_roles:
            roles["plate+trimap"] = port.name
            open_roles.remove("plate")
        elif channels == 1:
            roles["trimap"] = port.name
        elif open_roles:
            roles[open_roles.pop(0)] = port.name
    return {
        "about": [
            "This file is of no family that matte-nodes knows: check each line.",
            "inputs: plate, trimap, background, segmentation, or plate+trimap for one input of "
            "four channels. Values are (x * scale - mean) / std, x being 0..1.",
            'activation: "sigmoid" for logits, "min-max" for an answer that is stretched.',
            "fixed_size: [height, width]; fit: squash or letterbox; or multiple: 32.",
            "licence, commercial (yes, no, unclear): the terms of the weights.",
        ],
        "inputs": {role: {"name": name, "scale": 1, "mean": [0], "std": [1]}
                   for role, name in roles.items()},
        "activation": "none",
        "fit": "squash",
        "multiple": 32,
    }  # fmt: skip


FAMILIES: tuple[Family, ...] = (
    Family("A file of `matte export onnx`", "", _is_own, _own),
    Family(
        "Robust Video Matting", "rvm", _is_rvm, _rvm,
        "--model rvm --weights FILE chooses the downsample ratio by the plate; this declaration "
        "has 0.25.",
    ),
    Family("Background Matting V2", "background-matting-v2", _is_bgm, _bgm),
    Family(
        "ViTMatte, or another trimap network of four channels", "vitmatte",
        lambda found: _only(found, 4) and _channels(found.inputs[0]) == 4, _packed,
        "It is declared with the normalisation of ViTMatte's authors (ImageNet). If edges look "
        "wrong, import it again with --option normalisation=half or normalisation=none.",
    ),
    Family(
        "BEN2", "ben2",
        lambda found: _only(found, 3) and _has(found, "multifieldcrossatt"),
        lambda found: _plate(found, {}, activation="min-max", fixed_size=[1024, 1024]),
    ),
    Family(
        "BiRefNet", "birefnet",
        lambda found: _only(found, 3) and _has(found, "bb.", "decoder."),
        _birefnet,
        "RMBG-2.0 has the same network under other, non-commercial terms.",
    ),
    Family(
        "MODNet", "modnet",
        lambda found: _only(found, 3) and _has(found, "lr_branch", "hr_branch"),
        lambda found: _plate(found, HALF, shorter=512, multiple=32),
    ),
    Family(
        "U2-Net", "u2net",
        lambda found: _is_nested(found) and _has(found, "outconv"),
        lambda found: _plate(
            found, {**IMAGENET, "peak": True}, activation="min-max", fixed_size=[320, 320]
        ),
    ),
    Family(
        "IS-Net", "isnet",
        lambda found: _is_nested(found) and _has(found, "conv_in"),
        lambda found: _plate(
            found, {"mean": [0.5, 0.5, 0.5], "std": [1.0, 1.0, 1.0]}, activation="min-max",
            fixed_size=[1024, 1024],
        ),
    ),
)  # fmt: skip
"""In the order in which they are tried."""
