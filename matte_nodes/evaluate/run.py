# SPDX-License-Identifier: Apache-2.0
"""Runs a node over a data set on disk. Only this module joins metrics and models."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from matte_nodes.errors import InputError
from matte_nodes.evaluate.dataset import Item, Role, read_colour, read_matte
from matte_nodes.evaluate.frames import REGIONS, SequenceScores
from matte_nodes.node.hints import clean_trimap
from matte_nodes.node.knobs import active_neighbour_knobs
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.temporal.cache import Cache

if TYPE_CHECKING:
    from matte_nodes.shot.matte_node import MatteNode

HINT_ROLES: tuple[Role, ...] = ("trimap", "background")


def evaluate_items(
    node: MatteNode, items: Iterable[Item], *, colorspace: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, scores) of each item. The model gets those hints that its card declares.

    A trimap defines the unknown region even when the model takes none. The node then forces its
    known parts, so that every model is judged on the same terms. seconds: wall time of one frame
    with reading, step and foreground, without loading the model. Foregrounds are compared in the
    plate's own encoding. For a node with `steady`, the scores include dtssd_before: the same mattes
    without it. Raises what reading and matting raise.
    """

    _ = node.model
    plain = _unsteadied(node) if active_neighbour_knobs(node.knobs) else None
    for item in items:
        scores, before = SequenceScores(), SequenceScores()
        spent = 0.0
        hints: dict[str, Any] = {
            role: _source(item, role) for role in HINT_ROLES if item.paths(role)
        }
        # Both shots share it, so that no frame is stepped twice.
        asked: dict[str, Any] = {
            **hints,
            "colorspace": colorspace,
            "encoded": True,
            "missing": "skip",
            "cache": Cache(),
        }
        shot = node.connect(_source(item, "plate"), **asked)
        unsteady = plain and plain.connect(_source(item, "plate"), **asked)
        for number, frame in zip(shot.frames, item.frames, strict=True):
            began = time.perf_counter()
            matte = shot.at(number)
            spent += time.perf_counter() - began
            true_fg = frame.files.get("foreground")
            try:
                true = read_matte(frame.files["alpha"])
                drawn = frame.files.get("trimap")
                trimap = None if drawn is None else clean_trimap(read_matte(drawn))
                if unsteady:
                    before.add(unsteady.at(number).alpha, true, trimap)
                scores.add(
                    matte.alpha,
                    true,
                    trimap,
                    None if true_fg is None else matte.foreground,
                    None if true_fg is None else read_colour(true_fg),
                )
            except InputError as error:
                raise InputError(f"{frame.files['alpha']}: {error}") from error
        shot.close()
        result = scores.result(spent / len(item.frames))
        if unsteady:
            unsteady.close()
            without = before.result()
            for region in REGIONS:
                result[region]["dtssd_before"] = without[region]["dtssd"]
        yield item.name, result


def _unsteadied(node: MatteNode) -> MatteNode:
    """Return the same node with its loaded model, without `steady`."""

    off = {knob.name: knob.default for knob in active_neighbour_knobs(node.knobs)}
    knobs: dict[str, Any] = {**node.knobs, **off}
    return MatteNode(
        node.card,
        device=str(node.device),
        threads=node.threads,
        ocio=node.config.path,
        weights=node.weights,
        untrained=node.untrained,
        half=node.half,
        loader=lambda card, context: node.model,
        **knobs,
    )


def _source(item: Item, role: Role) -> str:
    """Return a still's file, or a sequence's folder. One background may serve a whole sequence."""
    paths = item.paths(role)
    if not item.sequence or len(set(paths)) == 1:
        return str(paths[0])
    return str(paths[0].parent)
