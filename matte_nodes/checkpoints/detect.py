# SPDX-License-Identifier: Apache-2.0
"""Tells which network tensors belong to, by their names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from matte_nodes.checkpoints.automatic_systems import gfm, modnet, robust_video_matting
from matte_nodes.checkpoints.plate_systems import background_matting, background_matting_v2
from matte_nodes.checkpoints.recognition import Detector, Recognition, Shape
from matte_nodes.checkpoints.tensorflow_systems import mmnet, selfie
from matte_nodes.checkpoints.trimap_systems import adamatting, deep_image_matting
from matte_nodes.errors import WeightsError

DETECTORS: tuple[Detector, ...] = (
    deep_image_matting,
    adamatting,
    mmnet,
    background_matting,
    background_matting_v2,
    gfm,
    modnet,
    robust_video_matting,
    selfie,
)
# added by DataParallel, by compiled modules and by training wrappers
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "netG.")


def _clean(names: list[str]) -> dict[str, str]:
    """Name in the file -> name without wrappers' prefixes."""
    cleaned = {name: name for name in names}
    stripping = True
    while stripping:
        stripping = False
        for prefix in _PREFIXES:
            having = sum(name.startswith(prefix) for name in cleaned.values())
            # most of the names: one stray tensor must not change what the file is
            if having and 2 * having > len(cleaned):
                cleaned = {name: clean.removeprefix(prefix) for name, clean in cleaned.items()}
                stripping = True
    return cleaned


def recognise(shapes: Mapping[str, Shape], hint: str = "") -> Recognition:
    """Which network these tensors are for, with which options, and how their names map to ours.

    shapes: name -> shape, as they stand in the file. hint: whatever else is known in words (the
    file's name); used only where the tensors cannot tell. WeightsError when it is no network the
    library has, or one it knows and cannot use.
    """
    if not shapes:
        raise WeightsError("There are no tensors in it.")
    cleaned = _clean(list(shapes))
    plain = {cleaned[name]: tuple(shape) for name, shape in shapes.items()}
    for detector in DETECTORS:
        found = detector(plain, hint.lower())
        if found is None:
            continue
        if all(name == clean for name, clean in cleaned.items()):
            return found
        return replace(
            found,
            names={n: found.names[c] for n, c in cleaned.items() if c in found.names},
            dropped=frozenset(n for n, c in cleaned.items() if c in found.dropped),
        )
    some = ", ".join(sorted(shapes)[:4])
    raise WeightsError(
        f"The {len(shapes)} tensors ({some}, ...) belong to no network the library has. An ONNX "
        "file of any network can be used through the model `onnx`."
    )
