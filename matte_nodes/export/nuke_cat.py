# SPDX-License-Identifier: Apache-2.0
"""`matte export nuke-cat`: single-frame torch networks for Nuke's own Inference node.

TorchScript, the script that turns it into a .cat inside Nuke, a Cattery folder round it, and a
report of what was measured. The .cat format is Foundry's; only Nuke writes it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from matte_nodes import __version__, weights
from matte_nodes.card import HINTS, LoadContext, ModelCard, Still
from matte_nodes.errors import ModelError, UsageError
from matte_nodes.export import nuke_cat_files as cat_files
from matte_nodes.export.nuke_cat_cues import FromCues, half_traced
from matte_nodes.export.nuke_cat_network import Core, FromPlate, FromTrimap
from matte_nodes.models.torch_network import TorchNetwork, trained_side
from matte_nodes.runtime import Device
from matte_nodes.whole_files import write_text

# torch says itself that this part of it has no types.
_jit: Any = torch.jit
TOLERANCE = 1e-4
SIZES = ((97, 131), (64, 255), (191, 90))
TRACED_AT = (128, 160)
TORCH = "2.1"
OPERATORS = "torch21_operators.txt"


@dataclass(frozen=True)
class Plan:
    """How one network is wrapped: the hint it needs, its size, what it wants of the picture.

    cues: it sees the planes of `models.cues`, which are made inside.
    """

    pick: Callable[[Any], Tensor]
    hint: str = ""
    multiple: int = 1
    scale: float = 1.0
    offset: float = 0.0
    size: tuple[int, int] = (0, 0)
    reference_size: int = 0
    cues: bool = False

    def core_inputs(self) -> tuple[int, int, int, int]:
        """The shape that the network is traced at."""
        return (1, 4 if self.hint else 3, *(self.size if self.size[0] else TRACED_AT))

    def wrap(self, core: nn.Module) -> nn.Module:
        """The network as it goes into the file."""
        if self.cues:
            return FromCues(core, self.multiple)
        if self.hint:
            return FromTrimap(core, self.multiple)
        return FromPlate(
            core, self.multiple, self.scale, self.offset, self.size, self.reference_size
        )

    @property
    def knobs(self) -> dict[str, Any]:
        """Attributes that are knobs, with their defaults."""
        own = {"reference_size": self.reference_size} if self.reference_size else {}
        return {"linear": True, "exposure": 0.0, **own}


PLANS: dict[str, Plan] = {
    "deep-image-matting-small": Plan(lambda answer: answer, "trimap", 32, cues=True),
    "deep-image-matting": Plan(lambda answer: answer.alpha, "trimap", 32),
    "adamatting": Plan(lambda answer: answer.alpha, "trimap", 16),
    "mmnet": Plan(lambda answer: answer.alpha, size=(256, 256)),
    "modnet": Plan(lambda answer: answer, "", 32, 2.0, -1.0, reference_size=512),
    "gfm": Plan(lambda answer: answer.fusion, "", 32, 255.0, size=(512, 512)),
    "selfie": Plan(lambda answer: answer, size=(256, 256)),
}


def plan_for(card: ModelCard, knobs: Mapping[str, Any]) -> Plan:
    """How a model is exported with these knobs; ModelError with the reason when it cannot be."""
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
    plan = PLANS.get(card.name)
    if plan is None:
        raise ModelError(
            f"{card.name} is no torch network, or works partly outside of torch, and cannot become "
            f"one TorchScript. These can: {', '.join(PLANS)}."
        )
    if plan.reference_size:
        return replace(plan, reference_size=int(knobs["reference_size"]) or plan.reference_size)
    return plan


def export_cat(
    card: ModelCard,
    folder: Path,
    *,
    checkpoint: str | None = None,
    untrained: bool = False,
    knobs: dict[str, Any] | None = None,
    torch_python: str | None = None,
) -> dict[str, Any]:
    """Write everything into a folder; answers the report that lies there too.

    torch_python: an interpreter with torch 2.1, to load the file there as Nuke will. Raises
    ModelError when the model cannot be exported, differs from torch by more than 1e-4, or names
    operators that torch 2.1 does not have.
    """
    values = {knob.name: knob.default for knob in card.knobs} | (knobs or {})
    path = weights.checkpoint(card, checkpoint, untrained)
    if values.get("reference_size") == 0:
        values["reference_size"] = trained_side(path)
    plan = plan_for(card, values)
    context = LoadContext(
        weights=weights.require(card), checkpoint=path,
        device=Device("cpu"), untrained=untrained,
        knobs=values,
    )  # fmt: skip
    loaded: Any = card.load(context)
    network: TorchNetwork = loaded._network
    with torch.no_grad(), _quick_and_quiet():
        core, traced = _cores(network.network, plan)
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
            "loaded in torch 2.1": _loaded_there(file, plan, torch_python),
        }  # fmt: skip
    cat_files.write(folder, card, hint=plan.hint, knobs=plan.knobs)
    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    return report


def _cores(network: nn.Module, plan: Plan) -> tuple[nn.Module, nn.Module]:
    """The network as it is, and as it goes into the file."""
    if plan.cues:
        return network, half_traced(network)
    core = Core(network, plan.pick).eval()
    return core, _jit.trace(core, torch.rand(plan.core_inputs()), check_trace=False)


def example(plan: Plan, size: tuple[int, int]) -> Tensor:
    """A picture with values above 1, and a trimap where one is needed."""
    made = torch.rand((1, 4 if plan.hint else 3, *size), generator=torch.Generator().manual_seed(7))
    picture = made[:, :3] * 1.5
    if not plan.hint:
        return picture
    return torch.cat((picture, (made[:, 3:] * 3).floor().clamp(0, 2) / 2), 1)


def _difference(eager: nn.Module, scripted: Any, plan: Plan, size: tuple[int, int]) -> float:
    picture = example(plan, size)
    answer = scripted(picture)
    if answer.shape != (1, 1, *size):
        raise ModelError(f"the exported network answers {tuple(answer.shape)} for {size}")
    return float((answer - eager(picture)).abs().max())


def _half(file: Path, plan: Plan) -> Any:
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


def _round_trip(file: Path, plan: Plan) -> dict[str, str]:
    """What became of each knob in the file: it must be there, keep a new value, and count."""
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
    """Names of all operators in a scripted network, its branches and functions included."""
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
    """What torch 2.1 has: written by scripts/torch21_operators.py from the real thing."""
    text = (files(__package__) / OPERATORS).read_text("utf-8")
    return {line for line in text.splitlines() if line and not line.startswith("#")}


_LOAD = """
import sys, torch
model = torch.jit.load(sys.argv[1])
made = torch.load(sys.argv[2])
answer = model(made["picture"])
print(torch.__version__, float((answer - made["answer"]).abs().max()))
"""


def _loaded_there(file: Path, plan: Plan, python: str | None) -> Any:
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
