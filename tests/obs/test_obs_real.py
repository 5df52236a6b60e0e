# SPDX-License-Identifier: Apache-2.0
"""A real model, a real clip of a person, in a real OBS: the matte of the library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes import MatteNode

from ..conftest import data_folder, needs_weights
from . import pictures
from .rig import Obs, until

CLIP = "video-people/carphone_pristine.mp4"


def clip() -> Path:
    """The clip of a person: of the evaluation data, or as the demo left it."""
    data = data_folder()
    places = [Path(__file__).parents[2] / "out/carphone.mp4"]
    if data is not None:
        places.insert(0, data / CLIP)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        pytest.skip("no clip of a person here (MATTE_TEST_DATA, or run the demo)")
    return found


def frames(path: Path, count: int) -> list[Any]:
    import av
    import cv2

    with av.open(str(path)) as container:
        pictures_ = [f.to_ndarray(format="rgb24") for _, f in
                     zip(range(count), container.decode(video=0), strict=False)]  # fmt: skip
    return [cv2.resize(p, (640, 360), interpolation=cv2.INTER_CUBIC) for p in pictures_]


def keep(name: str, picture: Any) -> None:
    """Screenshots are kept where MATTE_TEST_PICTURES says, for the documentation."""
    if folder := os.environ.get("MATTE_TEST_PICTURES"):
        pictures.write(Path(folder) / f"{name}.png", np.ascontiguousarray(picture[..., :3]))


@pytest.fixture(scope="module")
def plates() -> list[Any]:
    """Frames of a person; asked for before an OBS is started."""
    return frames(clip(), 24)


@needs_weights("rvm")
def test_the_alpha_in_obs_is_that_of_the_library(
    plates: list[Any], obs: Obs, tmp_path: Path
) -> None:
    import av
    import cv2

    movie = tmp_path / "person.mkv"
    with av.open(str(movie), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "bgr0"
        for plate in plates:
            frame = av.VideoFrame.from_ndarray(plate, "rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # The last frame stands: then it is known which frame is shown.
    obs.stage(movie, "ffmpeg_source", is_local_file=True, clear_on_media_end=False)
    obs.filter(model="rvm", width=256, skip=False, background=1, background_colour=0xFF808080)
    last = plates[-1].astype(int)
    small = cv2.resize(plates[-1], (256, 144), interpolation=cv2.INTER_AREA)
    with MatteNode("rvm", threads=1).stream(colorspace="sRGB") as live:
        for _ in range(20):
            matte = live.step(small)
    expected = cv2.resize(matte.alpha, (640, 360), interpolation=cv2.INTER_LINEAR)
    solid = expected > 0.99

    def standing() -> bool:
        picture = obs.shot()[..., :3].astype(int)
        return bool(np.median(np.abs(picture - last)[solid]) <= 2)

    until("the last frame is shown", standing, 120)
    obs.set(background_colour=0xFF604020, hide_after=10000)

    def composite() -> bool:
        picture = obs.shot()
        keep("obs-composite", picture)
        return bool((np.abs(picture[5, 5, :3].astype(int) - (0x20, 0x40, 0x60)).max() <= 2)
                    and np.median(np.abs(picture[..., :3].astype(int) - last)[solid]) <= 2)  # fmt: skip

    until("the composite over another colour", composite, 120)
    obs.set(view=1)

    def error() -> float:
        picture = obs.shot()
        if not np.array_equal(picture[..., 0], picture[..., 1]):
            return 1.0
        return float(np.abs(picture[..., 0] / 255 - expected).mean())

    # 4 %: guided upsampling sharpens what this comparison only stretches, and where the network is
    # in doubt (a car seat here) its memory of the frames before decides.
    until("the alpha of the library", lambda: error() < 0.04, 120)
    alpha = obs.shot()[..., 0] / 255
    keep("obs-alpha", obs.shot())
    assert ((alpha > 0.5) == (expected > 0.5)).mean() > 0.94
    assert ((alpha > 0.02) & (alpha < 0.98)).mean() > 0.005  # soft, not binary
