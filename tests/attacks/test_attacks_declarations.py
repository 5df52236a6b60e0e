# SPDX-License-Identifier: Apache-2.0
"""Declarations that lie: terms in other words, names outside of their folder, inherited terms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from matte_nodes import models
from matte_nodes.card import checked_terms, strictest
from matte_nodes.errors import ModelError
from matte_nodes.media.metadata import own_attributes
from matte_nodes.models import finetuned
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from tests.made import plate_sequence, write_image

LIES = ["No", "NO ", "non-commercial", False, True, "", "Yes", "yes ", 1, ["yes"], {}]


def declared(folder: Path, commercial: object) -> Path:
    """A file that is no network, with a declaration: cards are read without loading it."""
    file = folder / "net.onnx"
    file.write_bytes(b"not a network")
    text = {"inputs": {"plate": "x"}, "outputs": {"alpha": "y"}, "commercial": commercial}
    file.with_suffix(".json").write_text(json.dumps(text))
    return file


@pytest.mark.parametrize("lie", LIES, ids=repr)
def test_a_word_that_is_not_yes_is_never_yes(lie: object, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='Write "yes", "no" or "unclear"'):
        models.card(str(declared(tmp_path, lie)))


@pytest.mark.parametrize(("word", "terms"), [("yes", "yes"), ("no", "no"), (None, "unclear")])
def test_the_three_words_are_taken(word: object, terms: str, tmp_path: Path) -> None:
    assert models.card(str(declared(tmp_path, word))).commercial == terms


def test_a_word_nobody_knows_counts_as_unclear() -> None:
    assert strictest(["yes", "perhaps"]) == "unclear"
    assert strictest(["perhaps", "no"]) == "no"
    assert strictest([]) == "yes"
    assert checked_terms("yes", "here") == "yes"


@pytest.mark.parametrize(
    "name", ["../../victim", "/etc/passwd", "a/b", "..", ".hidden", "a\\b", "", "a\nb", 7]
)
def test_removing_a_model_never_leaves_its_folder(
    name: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    (tmp_path / "home/models").mkdir(parents=True)
    (tmp_path / "home/weights").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("keep me")
    (tmp_path / "home/models/fuzz.json").write_text(
        json.dumps(
            {
                "format": finetuned.FORMAT,
                "name": "fuzz",
                "parent": "shot",
                "file": name,
                "sha256": "0" * 64,
                "size": 1,
                "licence": "mine",
                "commercial": "yes",
                "shot": "a",
                "needs": [],
                "options": {},
                "facts": {},
            }
        )
    )
    with pytest.raises(ModelError, match="own folder"):
        finetuned.remove("fuzz")
    assert victim.read_text() == "keep me"


@pytest.mark.parametrize(
    ("suffix", "word", "expected"),
    [("png", "no", "no"), ("exr", "no", "no"), ("exr", "unclear", "unclear"), ("exr", "No", "unclear"),
     ("exr", "yes", "yes")],
)  # fmt: skip
def test_a_mask_given_as_a_file_keeps_its_terms(
    suffix: str, word: str, expected: str, tmp_path: Path
) -> None:
    plate = plate_sequence(tmp_path, count=2)
    mask = np.full((72, 96), 255, np.uint8) if suffix == "png" else np.ones((72, 96), np.float16)
    for number in (1001, 1002):
        write_image(
            tmp_path / f"mask.{number}.{suffix}", mask, "Y",
            **{
                "matte/model": "theirs", "matte/licence": "CC BY-NC 4.0", "matte/commercial": word,
            },
        )  # fmt: skip
    output = tmp_path / "out.####.exr"
    render = Render(
        str(plate), str(output), "green-screen", knobs={}, node={},
        connect={"segmentation": str(tmp_path / f"mask.####.{suffix}")},
    )  # fmt: skip
    render.run(None, None, Quiet())
    facts = own_attributes(tmp_path / "out.1001.exr")
    assert facts["matte/commercial"] == expected
    assert "segmentation by theirs: CC BY-NC 4.0" in facts["matte/licence"]
