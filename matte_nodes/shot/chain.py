# SPDX-License-Identifier: Apache-2.0
"""Chains of nodes: a coarse model's time, a trimap model's edges; a mask from any model.

A Shot is a clip, so a chain is only nodes connected to each other's shots.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from matte_nodes import models
from matte_nodes.card import HINTS, Bank, Terms, strictest
from matte_nodes.errors import UnknownKnobError, UsageError
from matte_nodes.node.knobs import NODE_KNOBS, all_knobs
from matte_nodes.points import as_points
from matte_nodes.shot import choose_model as auto
from matte_nodes.shot.look import look
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.shot.shot import Shot

MASK_LAYERS = ("trimap_layer", "segmentation_layer")
"""What belongs to hints that are files, and not to those that a node of the chain makes."""

SELECT_KNOBS: Mapping[str, Any] = {"steady": 0.5}
"""Values of knobs in that chain, where the user gives none."""


@dataclass(frozen=True)
class Chain:
    """The last node, its shot, all nodes in order, and what the user should be told."""

    node: MatteNode
    shot: Shot
    nodes: tuple[MatteNode, ...]
    notes: tuple[str, ...] = ()
    chosen: str = ""
    """Which model `auto` chose and why; "" when the user named one."""
    automatic: bool = False
    """Whether the user gave no hint, so that the models alone say what the subject is."""

    @property
    def name(self) -> str:
        """Names of the models in order, for provenance and reports."""
        return " -> ".join(node.card.name for node in self.nodes)

    @property
    def commercial(self) -> Terms:
        """The strictest terms of all its models."""
        return strictest(node.card.commercial for node in self.nodes)


@dataclass
class Knobs:
    """Distributes the user's knob values to the nodes of a chain that have these knobs."""

    given: Mapping[str, Any]
    taken: set[str] = field(default_factory=set)

    def of(self, name: str, *, last: bool) -> dict[str, Any]:
        """Return the values for one model: its own knobs, and the node's if it is the chain's last."""
        card = models.card(name)
        # How inputs are made ready is every node's; the rest of the node's knobs is the last's.
        late = [knob for knob in NODE_KNOBS if knob.stage != "view"]
        finishing = {alias for k in late for alias in (k.name, *k.aliases)}
        names = {alias for k in all_knobs(card) for alias in (k.name, *k.aliases)}
        mine = {
            key: value
            for key, value in self.given.items()
            if key in names and (last or key not in finishing)
        }
        self.taken |= set(mine)
        return mine

    def check(self, names: str) -> None:
        """Raise UnknownKnobError when a value found no node."""
        if left := sorted(set(self.given) - self.taken):
            raise UnknownKnobError(f"{names} has no knob {left[0]!r}.")


def build(
    source: Any,
    model: str,
    *,
    knobs: Mapping[str, Any],
    node: Mapping[str, Any],
    connect: Mapping[str, Any],
    refine: str | None = None,
    refine_width: float = 0.0,
    segmentation_model: str | None = None,
) -> Chain:
    """Return the nodes for a request, connected to the plate.

    model: a name, or "auto". refine: a trimap model for the band of `refine_width` pixels to each
    side of the first model's edges, at full resolution (0: `auto_width`, and with a tracked mask
    more where its edge moves). segmentation_model: makes the segmentation for the first model. Raises what MatteNode and its connect raise.
    """
    given = {name for name in (*HINTS, "points") if connect.get(name) is not None}
    if model == auto.SELECT:
        knobs = {**SELECT_KNOBS, **knobs}
    model, refine, choice = _chosen(
        model, refine, given, partial(look, source, node=node, knobs=knobs, connect=connect)
    )
    notes = (choice.sentence,) if choice else ()
    chosen = choice.reason if choice else ""
    if refine is None and segmentation_model is None:
        only = MatteNode(model, **node, **knobs)
        return Chain(only, only.connect(source, **connect), (only,), notes, chosen, not given)
    dealt, nodes, closing = Knobs(knobs), [], dict(connect)
    early = _without(closing, "encoded", "output_colorspace")
    # A checkpoint file is one model's: in a chain the last one's, unless only the first takes one.
    last_name = refine or model
    if segmentation_model is not None:
        if "segmentation" in given:
            raise UsageError("Give a segmentation or a segmentation model, not both.")
        masks = MatteNode(
            segmentation_model, **_plain(node), **dealt.of(segmentation_model, last=False)
        )
        nodes.append(masks)
        mask_shot = _mask_shot(masks, source, early)
        for inputs in (closing, early):
            inputs.pop("segmentation_layer", None)
            inputs["segmentation"] = mask_shot
    _drop_points(early, model)
    _drop_points(closing, last_name)
    if refine is not None:
        _check_refiner(refine)
        takes_own = models.card(refine).checkpoint is None
        own = node if takes_own else _plain(node)
        coarse = MatteNode(model, **own, **dealt.of(model, last=False))
        nodes.append(coarse)
        coarse_shot = coarse.connect(source, **_for_alpha(coarse, early))
        canvas = coarse_shot.clip.canvas
        width = refine_width or auto_width(canvas.height, canvas.width)
        moving = not refine_width and isinstance(coarse.card.memory, Bank)
        closing["trimap"] = coarse_shot.trimap(width, moving=moving)
        closing.pop("trimap_layer", None)
        node = _plain(node) if takes_own else node
    final = MatteNode(last_name, **node, **dealt.of(last_name, last=True))
    nodes.append(final)
    dealt.check(" and ".join(item.card.name for item in nodes))
    shot = final.connect(source, **closing)
    if refine is not None and (points := connect.get("points")) is not None:
        shot.shared_by(coarse_shot, as_points(points).names)
    return Chain(final, shot, tuple(nodes), notes, chosen, not given)


def _chosen(
    model: str, refine: str | None, given: Collection[str], seen: auto.Look
) -> tuple[str, str | None, auto.ModelChoice | None]:
    """Return model, refining model and choice for a name that may be `auto` or a named chain."""
    if model == auto.SELECT:
        return "click", refine or auto.refiner(), None
    if model == "auto":
        choice = auto.choose(given, look=seen)
        return choice.model, refine or choice.refine, choice
    return model, refine, None


def _drop_points(connect: dict[str, Any], model: str) -> None:
    """Remove the points from the inputs of a model that does not use them."""
    if "points" not in models.card(model).needs:
        connect.pop("points", None)


def _without(connect: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in connect.items() if name not in names}


def _mask_shot(masks: MatteNode, source: Any, connect: Mapping[str, Any]) -> Shot:
    """Return the shot of the model that makes the segmentation. It takes no trimap and no mask."""
    hints = _without(connect, "trimap", "segmentation", "warm_up", "start", *MASK_LAYERS)
    return masks.connect(source, **_for_alpha(masks, hints))


def _check_refiner(name: str) -> None:
    if "trimap" not in models.card(name).needs:
        raise UsageError(f"--refine takes a trimap model; {name!r} needs no trimap.")


def auto_width(height: int, width: int) -> float:
    """Return pixels to each side of a coarse edge that are left to the refining model.

    0.75 % of the longer side: two to three cells of a 256-pixel mask. Measured on 15 cut-outs at
    800 pixels (bench chain): 6 px 2.75 mean SAD/1000 over the band, 12 px 4.07, 24 px 6.41, where
    the coarse mask alone has 3.65, 4.32 and 4.68.
    """
    return max(4.0, 0.0075 * max(height, width))


def _for_alpha(node: MatteNode, connect: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a node of whose mattes only the alpha is used.

    A clean plate that its model does not take would only be aligned and used for a foreground that
    nobody sees.
    """
    takes = node.card.needs | node.card.takes
    return {key: value for key, value in connect.items() if key != "background" or key in takes}


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    """Node options without the checkpoint file, which belongs to one model."""
    return {key: value for key, value in node.items() if key != "weights"}
