# SPDX-License-Identifier: Apache-2.0
"""`matte models --for`: one table from the cards, ranked where figures can be compared."""

from __future__ import annotations

import itertools
import json

import pytest
from click.testing import CliRunner

from matte_nodes import models
from matte_nodes.cli import matte
from matte_nodes.cli.models_for import suited
from matte_nodes.figures import MEASURES, PURPOSES, Figure


def told(*arguments: str) -> str:
    result = CliRunner().invoke(matte, ["models", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_has_models(purpose: str) -> None:
    rows = json.loads(told("--for", purpose, "--json"))
    assert rows
    for row in rows:
        assert models.card(row["model"])  # a name that can be typed
        assert row["licence"]
    names = [row["model"] for row in rows]
    assert all(name in told("--for", purpose) for name in names)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_our_own_figures_come_first_and_the_best_of_a_group_is_on_top(purpose: str) -> None:
    figures = [figure for _, figure in suited(purpose) if figure is not None]
    assert [bool(f.by) for f in figures] == sorted(bool(f.by) for f in figures)
    for one, two in itertools.pairwise(figures):
        if one.group == two.group:
            assert one.value >= two.value if MEASURES[one.measure] else one.value <= two.value


def test_published_figures_are_marked() -> None:
    line = next(n for n in told("--for", "trimap").splitlines() if n.startswith("vitmatte"))
    assert "its authors" in line
    ours = next(n for n in told("--for", "trimap").splitlines() if n.startswith("closed-form "))
    assert " us " in ours


def test_models_without_figures_follow_where_they_fit() -> None:
    rows = [(card.name, figure) for card, figure in suited("clean-plate")]
    assert rows[0][0] == "clean-plate-cues"
    assert ("background-matting-v2", None) in rows


def test_only_models_for_commercial_use() -> None:
    assert "vitmatte" in told("--for", "hair")
    assert "vitmatte" not in told("--for", "hair", "--commercial-only")


def test_figures_name_known_purposes_measures_and_variants() -> None:
    for card in models.cards():
        for figure in card.figures:
            assert figure.purpose in PURPOSES
            assert figure.measure in MEASURES
            assert figure.data
            if figure.variant:
                assert card.on_variant(figure.variant)


def test_more_is_better_or_less_is() -> None:
    assert Figure("hair", "IoU", 0.9, "x").rank < Figure("hair", "IoU", 0.8, "x").rank
    assert Figure("hair", "MAD", 0.1, "x").rank < Figure("hair", "MAD", 0.2, "x").rank
