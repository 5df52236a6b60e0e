# SPDX-License-Identifier: Apache-2.0
"""Frame patterns: what they write, what they match, what they refuse to guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matte_nodes.errors import MediaError
from matte_nodes.media.pattern import Pattern, group
from matte_nodes.whole_files import is_temporary

NAME = st.text(
    st.characters(exclude_characters="/\0#@%", exclude_categories=["Cs", "Nd"]), max_size=12
).filter(lambda text: not text.endswith("-"))


@pytest.mark.parametrize("token", ["####", "%04d", "@@@@"])
def test_four_digits_in_every_spelling(token: str) -> None:
    pattern = Pattern.parse(f"shots/plate.{token}.exr")
    assert pattern is not None
    assert pattern.path(42) == Path("shots/plate.0042.exr")
    assert pattern.number("plate.0042.exr") == 42


@pytest.mark.parametrize(
    ("token", "name"), [("%d", "p.7.exr"), ("#", "p.7.exr"), ("@@@", "p.007.exr")]
)
def test_other_widths(token: str, name: str) -> None:
    pattern = Pattern.parse(f"p.{token}.exr")
    assert pattern is not None
    assert pattern.path(7).name == name


def test_no_token_is_no_pattern() -> None:
    assert Pattern.parse("plate.1001.exr") is None
    assert Pattern.parse("shot_####/plate.exr") is None


def test_the_last_token_counts() -> None:
    pattern = Pattern.parse("take#2 50%done.####.exr")
    assert pattern is not None
    assert pattern.path(3).name == "take#2 50%done.0003.exr"


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("p.1001.exr", 1001),
        ("p.10000.exr", 10000),
        ("p.0000.exr", 0),
        ("p.-005.exr", -5),
        ("p.-0005.exr", -5),
        ("p.-12345.exr", -12345),
        ("p.01001.exr", None),
        ("p.101.exr", None),
        ("p.1001.exr.bak", None),
        ("p.10_01.exr", None),
        ("p..exr", None),
        ("p.１００１.exr", None),
        (".matte-00000000-1-2.tmp", None),
    ],
)
def test_which_names_match_four_digits(name: str, frame: int | None) -> None:
    pattern = Pattern.parse("p.####.exr")
    assert pattern is not None
    assert pattern.number(name) == frame


@given(NAME, st.integers(1, 6), st.integers(-(10**9), 10**9), NAME)
def test_what_is_written_is_matched(prefix: str, padding: int, frame: int, suffix: str) -> None:
    pattern = Pattern(Path("x"), prefix + ".", padding, "." + suffix)
    assert pattern.number(pattern.path(frame).name) == frame


@given(st.text(max_size=30).filter(lambda t: "/" not in t and "\0" not in t))
def test_parsing_never_fails(name: str) -> None:
    pattern = Pattern.parse(name)
    if pattern is not None:
        assert pattern.number(pattern.path(12).name) == 12


def test_files_are_found_in_order(tmp_path: Path) -> None:
    for name in (
        "p.1003.exr",
        "p.999.exr",
        "p.0999.exr",
        "p.1001.exr",
        "p.1002.exr.tmp",
        "q.1002.exr",
    ):
        (tmp_path / name).touch()
    (tmp_path / "p.999.exr").unlink()
    pattern = Pattern.parse(tmp_path / "p.####.exr")
    assert pattern is not None
    assert list(pattern.find()) == [999, 1001, 1003]


def test_two_spellings_of_one_frame_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.1001.exr").touch()
    (tmp_path / "p.01001.exr").touch()
    pattern = Pattern.parse(tmp_path / "p.####.exr")
    assert pattern is not None
    with pytest.raises(MediaError, match=r"frame 1001 has two files.*01001.*1001"):
        pattern.find()
    with pytest.raises(MediaError, match="frame 1001 has two files"):
        group(tmp_path, ["p.1001.exr", "p.01001.exr"])


def test_another_padding_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.01001.exr").touch()
    pattern = Pattern.parse(tmp_path / "p.####.exr")
    assert pattern is not None
    with pytest.raises(MediaError, match=r"p\.01001\.exr"):
        pattern.find()


def test_folder_without_permission_or_existence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "nowhere", tmp_path / "file"):
        pattern = Pattern.parse(folder / "p.####.exr")
        assert pattern is not None
        with pytest.raises(MediaError, match="cannot read the folder"):
            pattern.find()


def test_grouping_knows_a_hyphen_from_a_minus() -> None:
    folder = Path("f")
    found = group(
        folder, ["shot-0005.exr", "shot-0006.exr", "p.-002.exr", "p.0001.exr", "note.txt"]
    )
    assert {str(p): list(f) for p, f in found.items()} == {
        "f/shot-####.exr": [5, 6],
        "f/p.###.exr": [-2, 1],
    }


def test_temporary_names() -> None:
    assert is_temporary(".matte-0a0b0c0d-12-0.tmp")
    assert not is_temporary("matte.0001.exr")
