# SPDX-License-Identifier: Apache-2.0
"""Inputs that are replaced while they are used: noticed, done again, or refused; never mixed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from matte_nodes import MatteNode, ModelCard, Prediction, open_clip
from matte_nodes.errors import BadPlateError, InputChangedError, MediaError
from matte_nodes.reads import Sign
from matte_nodes.render.render import Render
from matte_nodes.render.resume_log import Manifest
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.inputs import FileHashes, InputPictures
from matte_nodes.temporal.stat_cache import Look
from tests.made import write_image
from tests.temporal.rig import CARDS, STILL, disk, plates, settle, write_plate


class Quiet:
    """A report that nobody reads."""

    def start(self, total: int, **facts: Any) -> None: ...

    def frame(self, frame: int, path: Path) -> None: ...

    def warn(self, text: str) -> None: ...

    def done(self, output: str) -> None: ...


def movie(path: Path, seed: int, count: int = 6) -> None:
    """A movie of few frames, every one a key frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
        rng = np.random.default_rng(seed)
        for _ in range(count):
            frame = av.VideoFrame.from_ndarray(
                rng.integers(0, 255, (16, 16, 3), dtype=np.uint8), format="rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def renamed(path: Path, write: Callable[[Path], None]) -> None:
    """Put another file in the place of this one, as deliveries do."""
    write(path.with_name("coming" + path.suffix))
    os.replace(path.with_name("coming" + path.suffix), path)


@pytest.mark.parametrize("mode", ["off", "memory", "disk"])
def test_a_movie_replaced_between_connect_and_the_first_frame(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "plate.mkv"
    movie(path, 1)
    cache = disk(tmp_path / "cache") if mode == "disk" else Cache(mode)  # type: ignore[arg-type]
    shot = MatteNode(STILL).connect(str(path), cache=cache)
    renamed(path, lambda file: movie(file, 2, 7))
    with pytest.raises(MediaError, match="changed after it was opened"):
        shot.at(1)


def test_a_movie_replaced_after_the_clip_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "plate.mkv"
    movie(path, 1)
    clip = open_clip(str(path))
    renamed(path, lambda file: movie(file, 2, 7))
    with pytest.raises(MediaError, match="changed after it was opened"):
        MatteNode(STILL).connect(clip, cache=disk(tmp_path / "cache")).at(1)


def test_a_movie_replaced_before_it_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "plate.mkv"
    movie(path, 1)
    clip = open_clip(str(path))
    clip.read(1)
    clip.close()
    renamed(path, lambda file: movie(file, 2, 7))
    with pytest.raises(MediaError, match="changed after it was opened"):
        clip.read(2)


def test_a_frame_replaced_by_one_that_reaches_out_of_the_canvas(tmp_path: Path) -> None:
    plate = plates(tmp_path / "in", 2)
    shot = MatteNode(STILL).connect(plate, cache=None)
    shot.at(1)
    from tests.media.samples import Rect, write_picture

    pixels = np.zeros((14, 20, 3), np.float16)
    write_picture(tmp_path / "in/p.0002.exr", pixels, ("R", "G", "B"), data=(-2, -1),
                  display=Rect(0, 0, 16, 12))  # fmt: skip
    with pytest.raises(MediaError, match="was replaced since the clip was opened"):
        shot.at(2)


def test_a_hash_is_of_the_state_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "p.exr"
    write_plate(path, 1)
    look, hashes = Look(), FileHashes(None)
    sign = look.sign(str(path))
    write_plate(path, 2)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputChangedError):
        hashes.of(sign, look)


def test_the_first_hash_of_a_state_stays_with_a_look(tmp_path: Path) -> None:
    path = tmp_path / "p.exr"
    write_plate(path, 1)
    look, hashes = Look(), FileHashes(None)
    first = hashes.of(look.sign(str(path)), look).text
    write_plate(path, 2)
    assert hashes.of(look.sign(str(path)), look).text == first
    assert hashes.of(Look().sign(str(path)), Look()).text != first


@pytest.mark.parametrize("how", ["renamed", "in place"])
@pytest.mark.parametrize("cache", ["off", "states", "disk"])
def test_a_plate_delivered_again_during_the_step_is_done_again(
    tmp_path: Path, cache: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    plate = plates(tmp_path / "in", 3)
    place = tmp_path / "in/p.0002.exr"
    coming: Iterator[int] = iter([7])

    class Slow:
        def step(self, inputs: Any, memory: Any, knobs: Any) -> Any:
            for seed in coming:
                if how == "renamed":
                    renamed(place, partial(write_plate, seed=seed))
                else:
                    write_plate(place, seed)
            return Prediction(inputs.plate.mean(2)), {}

    card = ModelCard("slow", "Slow", "Slow.", lambda context: Slow())
    monkeypatch.setattr("matte_nodes.models.card", lambda name: card)

    def run(name: str) -> Path:
        output = tmp_path / name / "m.####.npy"
        Render(plate, str(output), "slow", knobs={}, node={}, connect={"cache": cache}).run(
            None, None, Quiet()
        )
        return output.parent

    found, cold = run("out"), run("cold")
    for path in sorted(cold.glob("m.*")):
        assert np.array_equal(np.load(found / path.name), np.load(path)), path.name
    manifest = Manifest(str(found / "m.####.npy"), {})
    keys = {line["frame"]: line["key"] for line in manifest.entries((1, 2, 3))}
    told = {line["frame"]: line["key"] for line in Manifest(
        str(cold / "m.####.npy"), {}).entries((1, 2, 3))}  # fmt: skip
    assert keys == told


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_grey_plate_is_refused_when_a_warm_cache_could_answer(card: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        write_image(
            tmp_path / f"g.{number:04d}.exr", np.full((12, 16), number / 4, np.float16), "Y"
        )
    settle()
    plate, cache = str(tmp_path / "g.####.exr"), disk(tmp_path / "cache")
    dict(MatteNode(card).connect(plate, cache=cache, allow_grey=True).render())
    for warm in (cache, disk(tmp_path / "cache")):
        with pytest.raises(BadPlateError):
            MatteNode(card).connect(plate, cache=warm).at(1)


def test_a_trimaps_width_is_whole_in_the_key(tmp_path: Path) -> None:
    plate = plates(tmp_path / "in", 1)
    shot = MatteNode(STILL).connect(plate, cache=None)
    assert len({shot.trimap(width).stamp(1) for width in (5.0, 5.04, 5.041)}) == 3


def test_prints_of_cuts_know_the_canvas(tmp_path: Path) -> None:
    plate = plates(tmp_path / "in", 4)
    settle()
    cache = disk(tmp_path / "cache")
    MatteNode(STILL).connect(plate, cache=cache, cuts="auto").cuts()
    before = cache.store.memo._path.read_text()  # type: ignore[union-attr]
    from tests.media.samples import Rect, write_picture

    write_picture(tmp_path / "in/p.0005.exr", np.zeros((14, 20, 3), np.float16), ("R", "G", "B"),
                  data=(-2, -1), display=Rect(0, 0, 16, 12))  # fmt: skip
    MatteNode(STILL).connect(plate, cache=disk(tmp_path / "cache"), cuts="auto").cuts()
    after = cache.store.memo._path.read_text()  # type: ignore[union-attr]
    assert sum("cuts1:" in line for line in after.splitlines()) == 4 + 5
    assert before in after


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_a_damaged_stream_gives_a_frame_in_one_way_whatever_was_asked_before(
    tmp_path: Path, suffix: str
) -> None:
    good = tmp_path / f"good.{suffix}"
    with av.open(str(good), "w") as container:
        codec = (
            "libx264" if suffix in ("mp4", "mkv") and "libx264" in av.codecs_available else "mpeg4"
        )
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.gop_size = 8
        stream.codec_context.max_b_frames = 2
        base = np.random.default_rng(1).integers(0, 255, (64, 160, 3), dtype=np.uint8)
        for index in range(24):
            part = np.ascontiguousarray(base[:, 2 * index : 2 * index + 96])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        container.mux(stream.encode(None))
    looked_at = 0
    for seed in range(8):
        chance, data = random.Random(seed), bytearray(good.read_bytes())
        for _ in range(3):
            at = chance.randrange(len(data) // 6, len(data) - len(data) // 12)
            data[at] ^= chance.randrange(1, 256)
        path = tmp_path / f"{seed}.{suffix}"
        path.write_bytes(bytes(data))
        try:
            clip = open_clip(str(path))
        except MediaError:
            continue
        looked_at += 1
        told = {frame: answer(clip, frame) for frame in clip.frames}
        other = open_clip(str(path))
        for frame in chance.choices(list(other.frames), k=10):
            assert answer(other, frame) == told[frame], (seed, frame)
    assert looked_at


def answer(clip: Any, frame: int) -> bytes | None:
    """The pixels of a frame; None where it is refused."""
    try:
        return bytes(clip.read(frame).pixels.tobytes())
    except MediaError:
        return None


@pytest.mark.parametrize("content", [False, True])
def test_a_file_that_only_grows_older_keeps_its_identity(tmp_path: Path, content: bool) -> None:
    write_image(tmp_path / "p.png", np.zeros((4, 4, 3), np.uint8))
    pictures = InputPictures(open_clip(str(tmp_path / "p.png")), FileHashes(None), content=content)
    young = Sign.of(str(tmp_path / "p.png"), os.stat(tmp_path / "p.png"))
    ids = [
        pictures.id(1, replace(young, is_settled=settled), Look()).text
        for settled in (False, True, False)
    ]
    assert len(set(ids)) == 1


def test_a_plate_that_is_replaced_while_a_selector_reads_it_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(seed: int) -> None:
        codes = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        write_image(tmp_path / "p.png", codes)

    write(1)
    shot = MatteNode("click", device="cpu").connect(
        str(tmp_path / "p.png"), points={1: [(10, 10, True)]}, cache=None
    )
    read, waiting = shot.clip.read, [2]

    def late(frame: int) -> Any:
        found = read(frame)
        if waiting:
            write(waiting.pop())
        return found

    monkeypatch.setattr(shot.clip, "read", late)
    got = shot.at(1)
    monkeypatch.undo()
    fresh = MatteNode("click", device="cpu").connect(
        str(tmp_path / "p.png"), points={1: [(10, 10, True)]}, cache=None
    )
    assert np.array_equal(got.alpha, fresh.at(1).alpha)


def test_a_key_that_is_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    for frame in (1, 2):
        write_image(tmp_path / f"p.{frame}.png", np.full((24, 32, 3), (20, 200, 30), np.uint8))
    masks = np.zeros((2, 24, 32), np.uint8)
    masks[0, :, :16] = masks[1, :, 16:] = 255
    keys = {1: tmp_path / "s.png"}
    found = []
    node = MatteNode("green-screen", segmentation_use="core")
    write_image(tmp_path / "s.png", masks[0], "Y")
    shot = node.connect(str(tmp_path / "p.#.png"), segmentation=keys, cache=disk(tmp_path / "c"))
    for mask in (masks[0], masks[1]):
        write_image(tmp_path / "s.png", mask, "Y")
        found.append(shot.at(2).alpha)
        fresh = node.connect(str(tmp_path / "p.#.png"), segmentation=keys, cache=None)
        assert np.array_equal(found[-1], fresh.at(2).alpha)
    assert not np.array_equal(*found)
