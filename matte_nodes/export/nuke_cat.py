# SPDX-License-Identifier: Apache-2.0
"""`matte export nuke-cat`: single-frame torch networks for Nuke's own Inference node.

TorchScript, the script that turns it into a .cat inside Nuke, a Cattery folder round it, and a
report of what was measured. The .cat format is Foundry's; only Nuke writes it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from matte_nodes import __version__, models, weights
from matte_nodes.architecture import Architecture
from matte_nodes.card import HINTS, ModelCard, Still
from matte_nodes.errors import ModelError, UsageError
from matte_nodes.export import nuke_cat_files as cat_files
from matte_nodes.export.nuke_cat_network import Core, FromPictures
from matte_nodes.models.networks.cue_matting import CuesInside
from matte_nodes.models.torch_network import network_to_export, trained_side
from matte_nodes.whole_files import write_text

# torch says itself that this part of it has no types.
_jit: Any = torch.jit
TOLERANCE = 1e-4
SIZES = ((97, 131), (64, 255), (191, 90))
TRACED_AT = (128, 160)
TORCH = "2.1"
OPERATORS = "torch21_operators.txt"


@dataclass(frozen=True)
class CatPlan:
    """How one network is wrapped, from its architecture and the model's knobs."""

    architecture: Architecture
    hint: str
    """"trimap" or ""."""
    reference_size: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) that the network always works at; (0, 0): any."""
        declared = self.architecture
        square = declared.size.square
        return declared.export_size or (square, square)

    @property
    def multiple(self) -> int:
        """The multiple of the core's sides. A scripted core takes any size."""
        return 1 if self.architecture.script else self.architecture.multiple

    def cores(self, network: nn.Module) -> tuple[nn.Module, nn.Module]:
        """Return the core in plain torch, and as it goes into the file."""
        if self.architecture.script is not None:
            return CuesInside(network), self.architecture.script(network)
        core = Core(network, self.architecture).eval()
        size = self.size if self.size[0] else TRACED_AT
        pictures = torch.rand(1, 3, *size), torch.full((1, 1, *size), 0.5)
        return core, _jit.trace(core, pictures, check_trace=False)

    def wrap(self, core: nn.Module) -> nn.Module:
        """Return a core with what is scripted round it."""
        size = self.architecture.size
        return FromPictures(
            core, bool(self.hint), self.multiple, self.size, self.reference_size, size.longest,
            size.share,
        )  # fmt: skip

    @property
    def knobs(self) -> dict[str, Any]:
        """Attributes that are knobs, with their defaults."""
        own: dict[str, Any] = {}
        if self.reference_size:
            own = {"reference_size": self.reference_size}
        elif not self.size[0]:
            own = {"downrez": 1}
        return {"linear": True, "exposure": 0.0, **own}


def plan_for(card: ModelCard, knobs: Mapping[str, Any]) -> CatPlan:
    """Return how a model is exported with these knobs.

    Raises ModelError with the reason when it cannot be exported.
    """
    if not isinstance(card.memory, Still):
        kind = type(card.memory).__name__.lower()
        raise ModelError(
            f"{card.name} has a memory ({kind}): an Inference node sees one frame at a time, in "
            "any order, so its matte would depend on how the viewer was scrubbed. Use the "
            "MatteNode gizmo for it."
        )
    if card.needs - {"trimap"}:
        raise ModelError(
            f"{card.name} needs {', '.join(sorted(card.needs, key=HINTS.index))}: a .cat has one "
            "input. Use the MatteNode gizmo for it."
        )
    declared = models.architecture(card)
    if declared is None or set(declared.inputs) - {"plate", "trimap"}:
        able = [other.name for other in models.cards() if can_be_exported(other)]
        raise ModelError(
            f"{card.name} is no torch network, or works partly outside of torch, and cannot become "
            f"one TorchScript. These can: {', '.join(able)}."
        )
    size = declared.size
    shorter = (int(knobs.get(size.knob, 0)) or size.shorter) if size.shorter else 0
    return CatPlan(declared, "trimap" if "trimap" in declared.inputs else "", shorter)


def can_be_exported(card: ModelCard) -> bool:
    """Whether `plan_for` accepts a model."""
    if card.architecture is None or not isinstance(card.memory, Still):
        return False
    return not card.needs - {"trimap"}


def export_cat(
    card: ModelCard,
    folder: Path,
    *,
    checkpoint: str | None = None,
    untrained: bool = False,
    knobs: dict[str, Any] | None = None,
    torch_python: str | None = None,
) -> dict[str, Any]:
    """Write all files into a folder. Returns the report, which is written there too.

    torch_python: an interpreter with a Nuke's torch (1.12.1, 2.1), to load the file there as Nuke will. Raises
    ModelError when the model cannot be exported, differs from torch by more than 1e-4, or names
    operators that torch 2.1 does not have.
    """
    values = {knob.name: knob.default for knob in card.knobs} | (knobs or {})
    path = weights.checkpoint(card, checkpoint, untrained)
    declared = models.architecture(card)
    if declared is not None and values.get(declared.size.knob) == 0:
        values[declared.size.knob] = trained_side(path)
    plan = plan_for(card, values)
    network = network_to_export(card, checkpoint=checkpoint, untrained=untrained, knobs=values)
    with torch.no_grad(), _quick_and_quiet():
        core, traced = plan.cores(network)
        scripted: Any = _jit.script(plan.wrap(traced).eval())
        eager = plan.wrap(core).eval()
        differences = {f"{w} x {h}": _difference(eager, scripted, plan, (h, w)) for h, w in SIZES}
        missing = sorted(operators(scripted) - known_operators())
        if missing:
            raise ModelError(f"{card.name} uses what torch {TORCH} does not have: {missing}.")
        if max(differences.values()) > TOLERANCE:
            raise ModelError(f"{card.name} would differ from torch by {differences}; not written.")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{card.name}.pt"
        scripted.save(str(file))
        report = {
            "model": card.name, "version": __version__, "torch": torch.__version__,
            "licence": card.licence, "commercial": card.commercial,
            "weights": "random, for tests" if untrained else weights.identity(card, checkpoint),
            "differences to eager": differences, "half precision": _half(file, plan),
            "knobs": _round_trip(file, plan), "operators": len(operators(scripted)),
            "operators torch 2.1 lacks": missing,
            "loaded elsewhere": _loaded_there(file, plan, torch_python),
        }  # fmt: skip
    cat_files.write(folder, card, hint=plan.hint, knobs=plan.knobs)
    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    return report


def example(plan: CatPlan, size: tuple[int, int]) -> Tensor:
    """Return a picture with values above 1, and a trimap where one is needed."""
    made = torch.rand((1, 4 if plan.hint else 3, *size), generator=torch.Generator().manual_seed(7))
    picture = made[:, :3] * 1.5
    if not plan.hint:
        return picture
    return torch.cat((picture, (made[:, 3:] * 3).floor().clamp(0, 2) / 2), 1)


def _difference(eager: nn.Module, scripted: Any, plan: CatPlan, size: tuple[int, int]) -> float:
    picture = example(plan, size)
    answer = scripted(picture)
    if answer.shape != (1, 1, *size):
        raise ModelError(f"The exported network returned {tuple(answer.shape)} for {size}.")
    return float((answer - eager(picture)).abs().max())


def _half(file: Path, plan: CatPlan) -> Any:
    """Largest difference in half precision, as "Optimize for Speed and Memory" makes it.

    On a small picture: processors convolve in half precision a hundred times slower than in full.
    """
    if plan.size[0] > 256:
        return f"not tried: {plan.size[0]} pixels square take minutes on a processor"
    whole, half = _jit.load(str(file)), _jit.load(str(file)).half()
    for network in (whole, half):
        if plan.reference_size:
            network.reference_size = plan.multiple * 2
    picture = example(plan, (50, 67))
    try:
        answer = half(picture.half())
    except RuntimeError as error:
        return f"does not run on this processor: {str(error).strip().splitlines()[-1]}"
    return float((answer.float() - whole(picture)).abs().max())


def _round_trip(file: Path, plan: CatPlan) -> dict[str, str]:
    """Return what became of each knob in the file: it must be there, keep a new value, and count."""
    found = {}
    picture = example(plan, SIZES[0])
    for name, value in plan.knobs.items():
        loaded = _jit.load(str(file))
        before = loaded(picture)
        other = (
            (not value) if isinstance(value, bool) else value + (64 if name != "exposure" else 1)
        )
        if getattr(loaded, name, None) != value:
            found[name] = "lost"
            continue
        setattr(loaded, name, other)
        changed = not torch.equal(loaded(picture), before)
        found[name] = "survives" if changed else "survives, but changed nothing in this picture"
    return found


def operators(scripted: Any) -> set[str]:
    """Return names of all operators in a scripted network, its branches and functions included."""
    graph = scripted.inlined_graph
    found: set[str] = set()

    def walk(block: Any) -> None:
        for node in block.nodes():
            found.add(node.kind())
            for inner in node.blocks():
                walk(inner)

    walk(graph)
    return {name for name in found if not name.startswith("prim::")}


def known_operators() -> set[str]:
    """Return what torch 2.1 has: written by scripts/torch21_operators.py from the real thing."""
    text = (files(__package__) / OPERATORS).read_text("utf-8")
    return {line for line in text.splitlines() if line and not line.startswith("#")}


_LOAD = """
import sys, torch
model = torch.jit.load(sys.argv[1])
made = torch.load(sys.argv[2])
answer = model(made["picture"])
print(torch.__version__, float((answer - made["answer"]).abs().max()))
"""


def _loaded_there(file: Path, plan: CatPlan, python: str | None) -> Any:
    if python is None:
        return "not tried here"
    picture = example(plan, SIZES[0])
    side = file.with_suffix(".check")
    torch.save({"picture": picture, "answer": _jit.load(str(file))(picture)}, side)
    try:
        run = subprocess.run(
            [python, "-c", _LOAD, str(file), str(side)], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UsageError(f"{python} cannot be run: {error}") from error
    finally:
        side.unlink()
    if run.returncode:
        raise ModelError(f"{file.name} does not load in {python}: {run.stderr.strip()[-500:]}")
    version, difference = run.stdout.split()
    return {"torch": version, "difference": float(difference)}


@contextmanager
def _quick_and_quiet() -> Iterator[None]:
    """No compiling of what runs a few times only; no warnings of sizes that become constants.

    The differences at odd sizes are the test of the latter.
    """
    import warnings

    with warnings.catch_warnings(), _jit.optimized_execution(False):
        warnings.simplefilter("ignore")
        yield
