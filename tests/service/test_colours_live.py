# SPDX-License-Identifier: Apache-2.0
"""A service that lives for long answers with the colours of now, and with those of its client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.render.render import Render
from tests.color.test_config_reads import CONFIG, cube
from tests.made import write_image
from tests.service.serving import serving
from tests.temporal.test_replaced_inputs import Quiet


def test_a_running_service_answers_with_the_new_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OCIO", "SHOT"):
        monkeypatch.delenv(name, raising=False)
    for shot, gain in (("a", 0.5), ("b", 0.25)):
        (tmp_path / "luts" / shot).mkdir(parents=True)
        (tmp_path / "luts" / shot / "grade.cube").write_text(cube(gain))
    (tmp_path / "config.ocio").write_text(CONFIG.format(dark=0.5))
    pixels = np.random.default_rng(3).random((12, 16, 3)).astype(np.float16)
    write_image(tmp_path / "p.exr", pixels, compression="none")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCIO", "config.ocio")  # from the client's own folder
    asked: dict[str, Any] = {"source": str(tmp_path / "p.exr"), "model": "toy"}

    def same_as_here(name: str, service: Any) -> np.ndarray:
        there, here = (str(tmp_path / name / f"{side}.npy") for side in ("there", "here"))
        job = service.client.submit({**asked, "output": there, "connect": {"colorspace": "Graded"}})
        assert list(service.client.events(job))[-1]["event"] == "done"
        Render(asked["source"], here, "toy", knobs={}, node={}, connect={
            "colorspace": "Graded", "cache": "off"}).run(None, None, Quiet())  # fmt: skip
        assert np.array_equal(np.load(there), np.load(here)), name
        return np.asarray(np.load(there))

    # The service itself was started with another $SHOT, which reaches no job.
    with serving(tmp_path / "home", SHOT="b") as service:
        seen = [same_as_here("first", service)]
        (tmp_path / "luts/a/grade.cube").write_text(cube(0.8))
        seen.append(same_as_here("lut", service))
        monkeypatch.setenv("SHOT", "b")
        seen.append(same_as_here("variable", service))
        (tmp_path / "config.ocio").write_text(
            CONFIG.format(dark=0.5).replace("src: $SHOT", "src: a")
        )
        seen.append(same_as_here("config", service))
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])
    assert np.array_equal(seen[1], seen[3])
