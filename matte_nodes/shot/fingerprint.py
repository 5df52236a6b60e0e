# SPDX-License-Identifier: Apache-2.0
"""What a result depends on besides pictures, and the one hash of it. Equal keys, equal pixels."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes import __version__
from matte_nodes.node.knobs import NODE_KNOBS
from matte_nodes.runtime import Device, numerics_tag

if TYPE_CHECKING:
    from matte_nodes.node.node import MatteNode
    from matte_nodes.shot.shot import Shot

ALGORITHM_VERSION = 1
"""Raised whenever the library itself (colour, foreground, finesse) changes a pixel."""

SEEN_KNOBS = ("view", "exposure", "tile", "align_background")
"""The node's knobs that change a step; its others only finish what the model answered."""

# Instruction sets that libraries choose their code by: other code, other last bits.
_FLAGS = (
    "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve",
)  # fmt: skip


def digest(*parts: object) -> str:
    """A sha256 over the parts' canonical JSON, hexadecimal."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def node_identity(node: MatteNode) -> dict[str, Any]:
    """Model, weights, knobs and numerics of a node: everything but the pictures."""
    return {**_model_identity(node), "knobs": dict(sorted(node.knobs.items()))}


def step_settings(shot: Shot) -> dict[str, Any]:
    """What a step of the model depends on, pictures left out: no knob that only finishes."""
    node, color = shot.node, shot.color
    finishing = {knob.name for knob in NODE_KNOBS} - set(SEEN_KNOBS)
    background = shot.background_color
    return {
        **_model_identity(node),
        "knobs": {k: v for k, v in sorted(node.knobs.items()) if k not in finishing},
        "sees": [color.plate, color.working, color.config.cache_id],
        "background sees": background and [background.plate, background.config.cache_id],
        "canvas": str(shot.clip.canvas),
    }


def finish_settings(shot: Shot) -> dict[str, Any]:
    """What finishing a frame depends on, pictures and the model's answer left out."""
    if not shot.node.knobs["steady"]:
        return shot.identity
    from matte_nodes.temporal.steady import flow_numerics

    return {**shot.identity, "flow": flow_numerics()}


def shot_identity(shot: Shot) -> dict[str, Any]:
    """Everything but the pictures that a shot's results depend on."""
    background = shot.background_color
    return {
        **node_identity(shot.node),
        "color": shot.color.id if background is None else f"{shot.color.id} | {background.id}",
        "canvas": str(shot.clip.canvas),
        "hints": sorted(shot.hints),
    }


def numerics(device: Device, threads: int) -> str:
    """Names all that may change the last bits of a pixel: code, versions, machine, threads."""
    return f"{numerics_tag(device, threads)} {_readers()} processor={processor()}"


@cache
def processor() -> str:
    """The kind of processor, as far as numerical libraries choose their code by it."""
    try:
        text = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return f"{platform.machine()} {platform.processor()}".strip()
    words = set(text.split())
    return "+".join([platform.machine(), *(flag for flag in _FLAGS if flag in words)])


@cache
def _readers() -> str:
    """Versions of what decodes the inputs: the same file may give other pixels."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("OpenImageIO", "av", "pymatting", "opencv-python-headless"):
        try:
            found.append(f"{package}={version(package)}")
        except PackageNotFoundError:
            continue
    return " ".join(found)


def _model_identity(node: MatteNode) -> dict[str, Any]:
    return {
        "algorithm": ALGORITHM_VERSION,
        "model": node.card.name,
        "model_version": node.card.algorithm_version,
        "weights": node.weights_identity,
        "untrained": node.untrained,
        "numerics": numerics(node.device, node.threads),
        "half": node.half,
        "code": __version__,
    }
