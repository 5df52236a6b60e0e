# SPDX-License-Identifier: Apache-2.0
"""The tests themselves: shapes, range, hints, odd sizes, determinism, no leaking state."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from matte_nodes.card import HINTS, Knob, LoadContext, Model, ModelCard, Still, Window
from matte_nodes.errors import (
    BadPlateError,
    HintSizeError,
    MatteError,
    MissingInputError,
    UnknownKnobError,
)
from matte_nodes.node import frame as frames
from matte_nodes.node.knobs import NODE_KNOBS, LoadKnobs
from matte_nodes.node.matte import Matte
from matte_nodes.node.node import still_points
from matte_nodes.reads import Reads
from matte_nodes.shot.matte_node import MatteNode
from matte_nodes.testing.scene import Scene, scene
from matte_nodes.testing.watching import watched

SIZES = ((1, 1), (2, 3), (7, 5), (33, 47), (96, 160))


class ModelCompliance:
    """Subclass it, set `card` (and `knobs` for a small, quick setting), run pytest."""

    card: ClassVar[ModelCard]
    knobs: ClassVar[dict[str, Any]] = {}
    sizes: ClassVar[tuple[tuple[int, int], ...]] = SIZES
    node_options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def node(cls) -> MatteNode:
        """The model as a node on the CPU, loaded once a class."""
        return MatteNode(cls.card, device="cpu", **cls.node_options, **cls.knobs)

    def hints(self, made: Scene) -> dict[str, Any]:
        """The hints that the model needs."""
        return {name: made.hint(name) for name in self.card.needs}

    def matte(self, node: MatteNode, made: Scene, **more: Any) -> Matte:
        """One still of the model."""
        return node(made.plate, **{**self.hints(made), **more})

    def test_card_is_complete(self) -> None:
        """A card that a studio can decide by: names, terms, source, legal defaults."""
        card = self.card
        assert card.name == card.name.lower()
        assert " " not in card.name
        assert card.title
        assert card.summary
        assert card.code_licence
        assert card.papers or not card.weights
        for weights in card.weights:
            assert len(weights.sha256) == 64
            assert weights.licence
        names = [knob.name for knob in card.knobs]
        assert len(names) == len(set(names))
        for knob in card.knobs:
            assert knob.help.endswith("."), f"help of {knob.name} is a sentence"
            assert _legal(knob), f"default of {knob.name} is not a legal value"
            assert knob.stage == "step", f"{knob.name}: a model's own knobs are read by its step"
        assert not {*names} & {knob.name for knob in NODE_KNOBS}, "names of the node's knobs"
        assert card.as_dict()["schema_version"] == card.schema_version

    def test_what_loading_reads_is_declared(self) -> None:
        """Knobs that `load` reads say `reload`; nothing else of them is read after loading."""
        read: list[LoadKnobs] = []

        def load(card: ModelCard, context: LoadContext) -> Model:
            read.append(LoadKnobs(context.knobs))
            model = card.load(replace(context, knobs=read[0]))
            read[0].close()
            return model

        node = MatteNode(self.card, device="cpu", loader=load, **self.node_options, **self.knobs)
        self.matte(node, scene(16, 24))
        assert read[0].read <= {knob.name for knob in self.card.knobs if knob.reload}

    def test_what_is_read_is_in_the_key(self) -> None:
        """Files and variables that loading and a step read are weights, or declared by the card."""
        roots = frozenset(Reads.roots(self.card.load, self.card.architecture)) | {
            "matte_nodes.models", "matte_nodes.checkpoints", "matte_nodes.architecture",
        }  # fmt: skip
        taken: set[str] = set()

        def load(card: ModelCard, context: LoadContext) -> Model:
            files = [*context.weights.values(), *card.files, context.checkpoint]
            taken.update(os.path.abspath(path) for path in files if path is not None)
            return card.load(context)

        node = MatteNode(self.card, device="cpu", loader=load, **self.node_options, **self.knobs)
        with watched(roots) as found:
            self.matte(node, scene(16, 24))
        assert found.files <= taken, "files that the card does not declare (files=...)"
        assert found.variables <= set(self.card.variables), "variables=... of the card"

    def test_sizes(self, node: MatteNode) -> None:
        """Any size works, from one pixel on; alpha in 0..1, foreground the plate where it is 1."""
        for height, width in self.sizes:
            made = scene(height, width)
            matte = self.matte(node, made)
            check_matte(matte, made.plate, f"{width} x {height}")

    def test_deterministic(self, node: MatteNode) -> None:
        """The same inputs give the same bits."""
        made = scene(48, 64)
        first, second = self.matte(node, made), self.matte(node, made)
        assert np.array_equal(first.alpha, second.alpha)
        assert np.array_equal(first.foreground, second.foreground)

    def test_inputs_are_not_changed(self, node: MatteNode) -> None:
        """Arrays that were given are as they were."""
        made = scene(40, 56)
        kept = {name: made.hint(name).copy() for name in ("plate", *HINTS)}
        self.matte(node, made)
        for name, before in kept.items():
            assert np.array_equal(made.hint(name), before), name

    def test_no_state_leaks_between_shots(self, node: MatteNode) -> None:
        """A shot's answers do not depend on what the node did before."""
        first = [scene(40, 56, time=t) for t in range(3)]
        other = [scene(40, 56, time=9 + t, seed=5) for t in range(3)]
        alone = self._shot_alphas(node, first)
        self._shot_alphas(node, other)
        again = self._shot_alphas(node, first)
        for before, after in zip(alone, again, strict=True):
            assert np.array_equal(before, after)

    def test_any_order_gives_a_straight_render(self, node: MatteNode) -> None:
        """Frames asked for out of order are those of a straight render, bit for bit."""
        made = [scene(40, 56, time=t) for t in range(4)]
        straight = self._shot_alphas(node, made)
        shot = self._shot(node, made)
        for number in (4, 1, 3, 2, 4):
            assert np.array_equal(shot.at(number).alpha, straight[number - 1]), number

    def test_stream_equals_shot(self, node: MatteNode) -> None:
        """Live steps equal a shot's frames, unless the model looks at frames to come."""
        if isinstance(self.card.memory, Window) and max(self.card.memory.offsets) > 0:
            pytest.skip("this model looks at frames to come")
        made = [scene(40, 56, time=t) for t in range(3)]
        straight = self._shot_alphas(node, made)
        with node.stream() as live:
            for item, expected in zip(made, straight, strict=True):
                alpha = live.step(item.plate, **self.hints(item)).alpha
                assert np.array_equal(alpha, expected)

    def test_memory_is_as_declared(self, node: MatteNode) -> None:
        """A model without memory hands none on; one with memory does."""

        made = scene(40, 56)
        hints = self.hints(made)
        if "points" in hints:
            hints["points"] = still_points(hints["points"], made.plate)
        given = frames.Given(made.plate, **hints)
        seen = frames.see(given, node.plate_color("scene_linear"))
        _, memory = node.step(seen.inputs, {}, node.still_neighbours(seen.inputs))
        assert bool(memory) is not isinstance(self.card.memory, Still | Window)

    def test_trimap_is_forced(self, node: MatteNode) -> None:
        """Where a trimap is 0 or 1, alpha equals it, also with automatic models."""
        made = scene(48, 64)
        trimap = np.full((48, 64), 0.5, np.float32)
        trimap[:10], trimap[-10:] = 1, 0
        alpha = self.matte(node, made, trimap=trimap).alpha
        assert (alpha[:10] == 1).all()
        assert (alpha[-10:] == 0).all()

    def test_missing_input_is_refused(self, node: MatteNode) -> None:
        """Each needed hint, left out, is named in the error."""
        made = scene(20, 24)
        for name in self.card.needs:
            hints = {key: value for key, value in self.hints(made).items() if key != name}
            with pytest.raises(MissingInputError, match=name):
                node(made.plate, **hints)

    def test_bad_input_is_refused(self, node: MatteNode) -> None:
        """NaN, wrong shapes, hints of another size: named errors."""
        made = scene(20, 24)
        broken = made.plate.copy()
        broken[3, 4, 1] = np.nan
        with pytest.raises(BadPlateError, match="1 pixel "):
            node(broken, **self.hints(made))
        with pytest.raises(BadPlateError):
            node(made.plate[..., 0], **self.hints(made))
        with pytest.raises(HintSizeError):
            node(made.plate, **{**self.hints(made), "trimap": made.trimap[:-1]})

    def test_unknown_knob_is_refused(self) -> None:
        """No option is swallowed."""
        with pytest.raises(UnknownKnobError, match="no_such_knob"):
            MatteNode(self.card, device="cpu", no_such_knob=1)

    def test_errors_have_one_base(self) -> None:
        """Whatever goes wrong can be caught as MatteError."""
        assert issubclass(BadPlateError, MatteError)

    def _shot(self, node: MatteNode, made: list[Scene]) -> Any:
        hints: dict[str, Any] = {
            name: {index + 1: item.hint(name) for index, item in enumerate(made)}
            for name in self.card.needs
        }
        return node.connect([item.plate for item in made], **hints)

    def _shot_alphas(self, node: MatteNode, made: list[Scene]) -> list[Any]:
        return [matte.alpha for _, matte in self._shot(node, made).render()]


def check_matte(matte: Matte, plate: Any, where: str) -> None:
    """The promises of every Matte: shapes, type, range, foreground is the plate where solid."""
    assert matte.alpha.shape == plate.shape[:2], where
    assert matte.foreground.shape == plate.shape, where
    assert matte.alpha.dtype == np.float32, where
    assert matte.foreground.dtype == np.float32, where
    assert np.isfinite(matte.alpha).all(), where
    assert np.isfinite(matte.foreground).all(), where
    assert 0 <= matte.alpha.min() <= matte.alpha.max() <= 1, where
    solid = matte.alpha == 1
    assert np.array_equal(matte.foreground[solid], plate[solid]), where
    assert not matte.foreground[matte.alpha == 0].any(), where


def _legal(knob: Knob) -> bool:
    if knob.kind == "choice":
        return knob.default in knob.choices
    if knob.kind in ("bool", "text"):
        return isinstance(knob.default, bool if knob.kind == "bool" else str)
    value = float(knob.default)
    return (knob.low is None or value >= knob.low) and (knob.high is None or value <= knob.high)
