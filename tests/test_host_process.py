# SPDX-License-Identifier: Apache-2.0
"""In a host's process no switch is thrown that others see."""

from __future__ import annotations

import io
import os
import signal
from contextlib import redirect_stdout
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_nodes import MatteNode, paths
from matte_nodes.media.writers import open_writer
from tests.made import plate_sequence, scenes
from tests.media.samples import matte_frame
from tests.temporal.rig import settle


def test_writing_a_sequence_leaves_openexrs_threads_alone(tmp_path: Path) -> None:
    before = oiio.get_int_attribute("exr_threads")
    oiio.attribute("exr_threads", 3)
    try:
        writer = open_writer(
            tmp_path / "m.####.exr", colorspace="bt709", provenance={}, rate=Fraction(24)
        )
        writer.write(matte_frame(1))
        writer.close()
        assert oiio.get_int_attribute("exr_threads") == 3
    finally:
        oiio.attribute("exr_threads", before)


def test_closed_form_says_nothing_and_leaves_pymatting_alone() -> None:
    """A flat picture makes pymatting's preconditioner try again, which it prints."""
    pytest.importorskip("pymatting")
    from pymatting.preconditioner import ichol as module

    from matte_nodes.models import closed_form

    (made,) = scenes(1)
    said = io.StringIO()
    with redirect_stdout(said):
        MatteNode("closed-form", device="cpu")(made.plate, trimap=made.trimap)
    assert said.getvalue() == ""
    assert "print" not in vars(_module(module))
    quiet = closed_form.quiet_preconditioner()
    assert quiet.__globals__["print"] is not print


def _module(name: object) -> object:
    """`pymatting.preconditioner` names the function after its module."""
    import sys

    del name
    return sys.modules["pymatting.preconditioner.ichol"]


def test_a_retry_of_the_preconditioner_is_quiet() -> None:
    """A matrix that is not positive definite: pymatting's own prints, ours does not."""
    pytest.importorskip("pymatting")
    from scipy.sparse import csc_matrix

    from matte_nodes.models import closed_form

    matrix = csc_matrix(np.array([[1.0, 1.0], [1.0, 1.0 - 1e-6]]))
    loud, quiet = io.StringIO(), io.StringIO()
    with redirect_stdout(loud):
        _module(None).ichol(matrix)  # type: ignore[attr-defined]
    with redirect_stdout(quiet):
        ours = closed_form.quiet_preconditioner()(matrix)
    assert "PERFORMANCE WARNING" in loud.getvalue()
    assert quiet.getvalue() == ""
    theirs = _module(None).ichol(matrix)  # type: ignore[attr-defined]
    assert np.array_equal(ours(np.ones(2)), theirs(np.ones(2)))


def test_a_chunk_names_its_cache_without_the_environment(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from matte_nodes.cli import matte

    plate = plate_sequence(tmp_path / "in", 3)
    settle()  # what a young file holds is not written down
    before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    out = tmp_path / "out" / "m.####.exr"
    told = CliRunner().invoke(
        matte,
        [
            "farm", "chunk", str(plate), "-o", str(out), "--model", "toy", "--frames", "1001-1003",
            "--states", str(out),
        ],
        catch_exceptions=False,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, handler)
    assert told.exit_code == 0, told.output
    assert dict(os.environ) == before
    assert (tmp_path / "out" / ".m.____.exr.farm" / "states" / "inputs.txt").is_file()


def test_a_cache_is_kept_where_it_was_said(tmp_path: Path) -> None:
    before = paths.cache_folder()
    with paths.cache_at(tmp_path / "states"):
        assert paths.cache_folder() == tmp_path / "states"
        with paths.cache_at(None):
            assert paths.cache_folder() == tmp_path / "states"
    assert paths.cache_folder() == before
