# SPDX-License-Identifier: Apache-2.0
"""A model is declared once: no table in the library has models' names as its entries."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import matte_nodes
from matte_nodes import models

ROOT = Path(matte_nodes.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))


def tables(text: str, names: set[str]) -> Iterator[tuple[int, set[str]]]:
    """Line and models of every literal collection or comparison that names two models or more."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict):
            items: list[ast.expr | None] = [*node.keys, *node.values]
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            items = list(node.elts)
        else:
            continue
        found = {item.value for item in items if isinstance(item, ast.Constant)}
        if len(found & names) >= 2:
            yield node.lineno, found & names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_table_of_models(path: Path) -> None:
    if path == ROOT / "models" / "__init__.py":
        return  # the list of modules
    names = {*models.own_names(), *models.old_names()}
    assert list(tables(path.read_text("utf-8"), names)) == []


def test_such_a_table_would_be_found() -> None:
    text = 'PLANS = {"modnet": 1, "gfm": 2}\nFOR = ("rvm", "selfie")\nX = {"modnet": 1}'
    found = list(tables(text, {"modnet", "gfm", "rvm", "selfie"}))
    assert found == [(1, {"modnet", "gfm"}), (2, {"rvm", "selfie"})]
