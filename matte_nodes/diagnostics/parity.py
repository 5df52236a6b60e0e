# SPDX-License-Identifier: Apache-2.0
"""Holds the networks against what the published implementations answered (`matte bench parity`).

A fixture is NAME.json (tensor names and shapes, inputs, options) beside NAME.npz (the published
outputs); weights and inputs come from a recipe, so that they need not be stored. MMNet's fixture
is one npz with TensorFlow's variables, its input `X`, logits `L` and softmax `P`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from matte_nodes import checkpoints, models
from matte_nodes.architecture import Architecture
from matte_nodes.diagnostics.parity_recipe import Array, Fixture, read_fixture
from matte_nodes.errors import MatteError, WeightsError
from matte_nodes.recognition import Recognition

TOLERANCE = 1e-4


@dataclass(frozen=True)
class ParityRow:
    """One output of one fixture. difference: the largest absolute one (relative to the standard
    deviation for an unbounded output), or NaN when nothing could be
    compared; note says why, or what was left out."""

    fixture: str
    network: str
    output: str
    difference: float
    ok: bool
    tolerance: float = TOLERANCE
    note: str = ""


def _compare(
    fixture: Fixture, architecture: Architecture, recognition: Recognition, name: str, answer: Array
) -> ParityRow:
    """Compare one output with the published one."""
    parity = architecture.parity
    label = recognition.model + "".join(
        f" {option}={value}" for option, value in recognition.options.items() if option != "widths"
    )
    expected, note = fixture.outputs[name], ""
    if answer.shape != expected.shape:
        note = f"shape {answer.shape}, published {expected.shape}"
        return ParityRow(fixture.name, label, name, float("nan"), False, note=note)
    difference = np.abs(answer.astype(np.float64) - expected.astype(np.float64))
    if name in parity.relative:
        difference, note = difference / expected.std(), "relative to the standard deviation"
    alike = parity.undecided(name, fixture.outputs) if parity.undecided else None
    if alike is not None and alike.any():
        difference = difference[~np.broadcast_to(alike, difference.shape)]
        note = f"{int(alike.sum())} pixels whose two best classes are alike left out"
    worst = float(difference.max()) if difference.size else float("nan")
    return ParityRow(fixture.name, label, name, worst, worst < TOLERANCE, note=note)


def _run(fixture: Fixture, architecture: Architecture, recognition: Recognition) -> list[ParityRow]:
    """Build, fill, run and compare; one row an output."""
    tensors = {name: torch.from_numpy(array) for name, array in fixture.tensors.items()}
    network = checkpoints.build(architecture, recognition)
    checkpoints.fill(network, recognition, tensors)
    inputs = {name: torch.from_numpy(array) for name, array in fixture.inputs.items()}
    options = architecture.parity.chosen(fixture.options, fixture.words)
    with torch.inference_mode():
        answers = architecture.parity.run(network, inputs, options)
    rows = []
    for name in fixture.outputs:
        if name in answers:
            rows.append(_compare(fixture, architecture, recognition, name, answers[name].numpy()))
        else:
            note = f"{recognition.model} has no output of this name"
            row = ParityRow(fixture.name, recognition.model, name, float("nan"), False, note=note)
            rows.append(row)
    return rows


def check(fixture: Fixture) -> list[ParityRow]:
    """Recognise one fixture's network by its tensors, fill it, run it, compare every output.

    Where neither tensors nor words tell a variant, the other one is tried when the first does not
    fit, and the rows say so. Raises WeightsError when it is no network the library has.
    """
    shapes = {name: tuple(array.shape) for name, array in fixture.tensors.items()}
    architecture, recognition = checkpoints.recognise(shapes, models.architectures(), fixture.hint)
    said = {name: fixture.options[name] for name in recognition.open if name in fixture.options}
    recognition = recognition.decide(said)
    first = _run(fixture, architecture, recognition)
    if all(row.ok for row in first):
        return first
    for option, choices in recognition.open.items():
        for choice in choices[1:]:
            rows = _run(fixture, architecture, recognition.decide({option: choice}))
            if rows and all(row.ok for row in rows):
                note = f"{option} cannot be told from the tensors: {choice} fits"
                return [replace(row, note=f"{note}; {row.note}".rstrip("; ")) for row in rows]
    return first


def run_parity(folder: Path | str) -> list[ParityRow]:
    """Check every fixture of a folder: each NAME.json with NAME.npz, and each npz alone.

    A file that is damaged or not understood is a row that fails, with the reason in its note; so
    is a folder without fixtures. MatteError only when there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MatteError(f"There is no folder {folder}.")
    described = sorted(folder.glob("*.json"))
    paths = described + sorted(
        path for path in folder.glob("*.npz") if path.with_suffix(".json") not in described
    )
    rows: list[ParityRow] = []
    for path in paths:
        try:
            found = check(read_fixture(path))
        except WeightsError as error:
            found, note = [], str(error)
        except Exception as error:  # whatever a foreign file does, the others are still checked
            found, note = [], f"not understood: {type(error).__name__}: {error}"
        else:
            note = "it has no outputs to compare"
        failed = ParityRow(path.stem, "-", "-", float("nan"), False, note=note)
        rows.extend(found or [failed])
    if not rows:
        note = f"there are no fixtures (NAME.json with NAME.npz) in {folder}"
        rows.append(ParityRow(folder.name, "-", "-", float("nan"), False, note=note))
    return rows
