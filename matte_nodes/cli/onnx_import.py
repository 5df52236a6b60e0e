# SPDX-License-Identifier: Apache-2.0
"""`matte models import FILE.onnx`: recognises the file, tries it, and writes its declaration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from matte_nodes import models, runtime, weights
from matte_nodes.card import HINTS, Inputs
from matte_nodes.errors import MatteError, UsageError, WeightsError
from matte_nodes.testing.scene import scene
from matte_nodes.whole_files import whole_file, write_text

OPEN_SIZE = (256, 384)
"""(height, width) of the plate that a file of free size is tried on."""


def declare_file(
    file: Path, output: Path | None, dry_run: bool, options: Mapping[str, Any]
) -> bool:
    """Recognise an ONNX file by its signature, print what it answers, write its declaration.

    Returns False, and does nothing, for a file of no known family whose tensors are those of a
    network of ours. Raises UsageError for options that it does not have, and for a declaration
    that is there already.
    """
    from matte_nodes.checkpoints.onnx_file import signature
    from matte_nodes.models.onnx_families import NORMALISATIONS, declaration, recognised

    found = signature(file)
    family = recognised(found)
    if family is None and _is_a_checkpoint(file):
        return False
    normalisation = str(options.get("normalisation", ""))
    if set(options) - {"normalisation"} or (normalisation and normalisation not in NORMALISATIONS):
        raise UsageError(
            f"{file.name} takes --option normalisation={'|'.join(NORMALISATIONS)} and no other."
        )
    declared = declaration(found, family, normalisation) | _terms(file)
    title = family.title if family else "no known family (a template is written)"
    click.echo(f"{file.name}: {title}")
    for line in (*_ports(found), *_tried(file, declared)):
        click.echo(f"  {line}")
    if family and family.notes:
        click.echo(f"  {family.notes}")
    click.echo(f"  licence: {declared['licence']}; commercial use: {declared['commercial']}")
    if dry_run:
        return True
    target = output or file
    _write(file, target, declared)
    click.echo(f"{target.with_suffix('.json')}")
    hints = "".join(f" --{role} {role}.png" for role in _hints(declared))
    if family is None:
        click.echo("Check the declaration, then run the file:")
    click.echo(f"matte run plate.png -o matte.png --model {target}{hints}")
    return True


def _is_a_checkpoint(file: Path) -> bool:
    """Whether the tensors are those of a network of ours."""
    from matte_nodes import checkpoints

    try:
        checkpoints.inspect(file, models.architectures())
    except WeightsError:
        return False
    return True


def _terms(file: Path) -> dict[str, str]:
    """The terms of the file, when it is byte by byte one that a card declares."""
    size, digest = file.stat().st_size, ""
    for card in models.cards():
        for item in (*card.weights, *(variant.weights for variant in card.variants)):
            if item.size == size:
                digest = digest or weights.sha256_of(file)
                if item.sha256 == digest:
                    return {"licence": item.licence, "commercial": item.commercial}
    return {}


def _ports(found: Any) -> list[str]:
    lines = []
    for label, ports in (("in ", found.inputs), ("out", found.outputs)):
        for port in ports:
            sides = " x ".join(
                str(side or word or "?") for side, word in zip(port.sides, port.words, strict=True)
            )
            lines.append(f"{label} {port.name} ({sides}{', float16' if port.half else ''})")
    return lines


def _hints(declared: Mapping[str, Any]) -> list[str]:
    return [role for joined in declared["inputs"] for role in joined.split("+") if role in HINTS]


def _tried(file: Path, declared: Mapping[str, Any]) -> list[str]:
    """What the file answers on a made picture: the range of each output, or the error."""
    from matte_nodes.models.onnx_file import OnnxFile

    height, width = declared.get("fixed_size") or OPEN_SIZE
    made = scene(height, width)
    seen = np.sqrt(made.plate.clip(0, 1))  # about as displays encode it
    inputs = Inputs(
        seen, made.trimap, np.sqrt(made.background.clip(0, 1)), made.segmentation,
        neighbours=(seen,) * 4,
    )  # fmt: skip
    try:
        model = OnnxFile(file, declared, runtime.Device("cpu"))
        answers, _ = model.raw(inputs, {})
    except MatteError as error:
        return [f"It cannot be tried: {error}"]
    except Exception as error:  # onnxruntime raises its own unrelated classes
        return [f"It cannot be tried: {str(error).splitlines()[0]}"]
    lines = [
        f"tried on a made picture of {width} x {height}: {role} is {values.min():.3g} to "
        f"{values.max():.3g}"
        for role, values in answers.items()
    ]
    try:
        prediction, _ = model.step(inputs, {}, {})
    except MatteError as error:
        return [*lines, f"It is no matte yet. {error}"]
    if not prediction.alpha.any():
        return [
            *lines,
            "It is no matte yet. The answer is 0 everywhere, and the picture has a subject.",
        ]
    wrong = float(np.abs(prediction.alpha - made.alpha).mean())
    return [
        *lines,
        f"with activation {declared.get('activation', 'none')!r}: alpha is on average {wrong:.2f} "
        "away from the made one (random weights and unknown subjects are far away)",
    ]


def _write(file: Path, target: Path, declared: Mapping[str, Any]) -> None:
    import shutil

    beside = target.with_suffix(".json")
    if beside.exists():
        raise UsageError(
            f"{beside} is there already. Remove it, or write elsewhere with -o OTHER.onnx."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.resolve() != file.resolve():
            with whole_file(target, durable=True) as part:
                shutil.copyfile(file, part)
        write_text(beside, json.dumps(declared, indent=2) + "\n")
    except OSError as error:
        raise WeightsError(f"{beside} cannot be written: {error.strerror or error}.") from error
