# SPDX-License-Identifier: Apache-2.0
"""The points hint: every way to give it, what it refuses, its fingerprints."""

import json

import pytest

from matte_nodes.errors import HintSizeError, InputError, MediaError, UsageError
from matte_nodes.points import (
    ONLY,
    Marks,
    Points,
    as_points,
    from_dict,
    from_file,
    from_flags,
)


def test_flags_give_clicks_boxes_and_names_in_order() -> None:
    found = from_flags(["10,20", "b=3,4@7", "11,21"], ["1.5,2@7", "b=9,9@7"], ["b=0,0,8,8@7"])
    assert found.names == (ONLY, "b")
    assert found.objects[ONLY] == {
        None: Marks(subject=((10, 20), (11, 21))),
        7: Marks(others=((1.5, 2),)),
    }
    assert found.objects["b"][7] == Marks(((3, 4),), ((9, 9),), (0, 0, 8, 8))


@pytest.mark.parametrize(
    "text", ["", "10", "10,20,30", "a,b", "10,20@", "10,20@x", "nan,1", "=1,2", "1,inf"]
)
def test_a_bad_click_says_how_a_click_is_written(text: str) -> None:
    with pytest.raises(UsageError, match=r"--click is X,Y\[@FRAME\]"):
        from_flags([text])


def test_negative_frame_numbers_are_frames() -> None:
    assert from_flags(["1,2@-5"]).frames == (-5,)


@pytest.mark.parametrize(
    "source",
    [
        {5: [(1, 2, True), (3, 4, False)]},
        {ONLY: {5: {"subject": [(1, 2)], "not": [(3, 4)]}}},
        {"5": {"subject": [[1, 2]], "not": [[3, 4]]}},
    ],
)
def test_python_forms_mean_the_same(source: object) -> None:
    assert as_points(source) == Points({ONLY: {5: Marks(((1, 2),), ((3, 4),))}})


def test_a_list_of_clicks_is_for_the_first_frame() -> None:
    assert as_points([(1, 2)]).objects == {ONLY: {None: Marks(((1.0, 2.0),))}}
    assert as_points({"box": (1, 2, 5, 6)}).objects[ONLY][None].box == (1, 2, 5, 6)


def test_the_file_comes_back_as_it_was(tmp_path) -> None:
    points = Points(
        {"a": {None: Marks(((1, 2),)), 9: Marks((), ((4, 5),))}, "b": {3: Marks(box=(0, 1, 4, 9))}},
        (640, 480),
    )
    points.save(tmp_path / "points.json")
    assert from_file(tmp_path / "points.json") == points
    assert as_points(tmp_path / "points.json") == points
    assert json.loads((tmp_path / "points.json").read_text())["version"] == 1


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ([], "no file of points"),
        ({"schema": "matte-points", "version": 2}, "version 2"),
        ({"schema": "matte-points", "version": 1}, "must be a list"),
        ({"schema": "matte-points", "version": 1, "objects": []}, "There are no points"),
        ({"schema": "matte-points", "version": 1, "objects": [{"name": "a"}]}, '"frames"'),
        (
            {"schema": "matte-points", "version": 1, "width": 5, "objects": []},
            "give both",
        ),
    ],
)
def test_a_bad_file_says_what_is_wrong(plain: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_dict(plain)


def test_duplicate_names_are_refused() -> None:
    frames = {"1": {"subject": [[1, 1]]}}
    twice = {"schema": "matte-points", "version": 1,
             "objects": [{"name": "a", "frames": frames}] * 2}  # fmt: skip
    with pytest.raises(UsageError, match="one name"):
        from_dict(twice)
    with pytest.raises(UsageError, match="'A' and 'a'"):
        as_points({"A": {1: [(1, 1)]}, "a": {1: [(1, 1)]}})


def test_no_subject_click_is_refused() -> None:
    with pytest.raises(UsageError, match="no click on it and no box"):
        from_flags(others=["4,4"])


def test_a_pixel_that_is_both_is_refused() -> None:
    with pytest.raises(UsageError, match="4,4 in frame 2"):
        as_points({2: [(4.2, 4.1, True), (4.7, 4, False)]})


def test_two_boxes_are_refused() -> None:
    with pytest.raises(UsageError, match="two boxes"):
        from_flags(boxes=["0,0,4,4", "0,0,5,5"])


@pytest.mark.parametrize("name", ["", "5", "-x", "a b", "../x", "a.b", "ä", "x" * 65])
def test_names_that_cannot_be_layers_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name an object"):
        Points({name: {1: Marks(((1, 1),))}})


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (64, 0), (0, 48), (3, -0.5)])
def test_a_click_outside_the_picture_is_refused(x: float, y: float) -> None:
    with pytest.raises(UsageError, match="outside of the picture, which is 64 x 48"):
        as_points({1: [(x, y)]}).bound([1, 2], 64, 48)


def test_a_frame_the_shot_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"name frame 9, but The plate has 1-2"):
        as_points({9: [(1, 1)]}).bound([1, 2], 64, 48)


def test_points_of_another_size_are_refused() -> None:
    with pytest.raises(HintSizeError, match="32 x 32"):
        Points({"a": {1: Marks(((1, 1),))}}, (32, 32)).bound([1], 64, 48)


def test_binding_replaces_the_first_frame_and_joins_its_marks() -> None:
    bound = from_flags(["1,1", "2,2@100"]).bound([100, 101], 64, 48)
    assert bound.objects == {ONLY: {100: Marks(((1, 1), (2, 2)))}}


def test_fingerprints_are_of_one_frame_and_of_no_order() -> None:
    one = as_points({1: [(1, 1), (2, 2)], 5: [(3, 3)]})
    two = as_points({1: [(2, 2), (1, 1)], 5: [(3, 4)]})
    assert one.fingerprint(1) == two.fingerprint(1)
    assert one.fingerprint(5) != two.fingerprint(5)
    assert one.identity != two.identity


def test_unreadable_files_are_errors_of_ours(tmp_path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        from_file(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="not a JSON file"):
        from_file(tmp_path / "bad.json")


@pytest.mark.parametrize("source", [{1: "ab"}, {1: [(1,)]}, {1: [("a", 2)]}, {1: {"bx": 1}}, 7])
def test_senseless_marks_are_refused(source: object) -> None:
    with pytest.raises(UsageError):
        as_points(source)
