# SPDX-License-Identifier: Apache-2.0
"""Damaged movies: a frame is the same, or refused, whatever was asked before, cold and warm.

A frame that a decoder guesses must not come from what the decoder has seen before, or from what
lies in memory.
"""

from __future__ import annotations

import hashlib
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from matte_nodes import MatteNode
from matte_nodes.errors import MediaError
from matte_nodes.media import ffv1
from matte_nodes.media.clip import open_clip
from matte_nodes.temporal.cache import Cache
from matte_nodes.temporal.store import Store

FRAMES = 20

# name -> encoder, pixel format, options, frames between key frames
KINDS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "h264.mp4": ("libx264", "yuv420p", {"bf": "2"}, 8),
    "h264-open.mkv": (
        "libx264",
        "yuv420p",
        {"x264-params": "open-gop=1:bframes=3:log-level=-1"},
        8,
    ),
    "h264.ts": ("libx264", "yuv420p", {"bf": "2"}, 8),
    "h265.mp4": ("libx265", "yuv420p", {"x265-params": "log-level=none:bframes=3"}, 8),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"cpu-used": "8"}, 8),
    "ffv1.mkv": ("ffv1", "yuv444p10le", {"level": "3", "slicecrc": "1"}, 1),
    "ffv1-chain.mkv": ("ffv1", "yuv444p", {"level": "3", "slicecrc": "1"}, 6),
    "prores.mov": ("prores_ks", "yuv422p10le", {}, 1),
    "prores-alpha.mov": ("prores_ks", "yuva444p10le", {}, 1),
    "cineform.mov": ("cfhd", "yuv422p10le", {}, 1),
}


def made(path: Path) -> bytes:
    """A movie of a picture that pans: every frame has values of its own."""
    encoder, form, options, gop = KINDS[path.name]
    if encoder not in av.codecs_available:
        pytest.skip(f"PyAV here has no encoder {encoder}")
    wide = np.random.default_rng(1).integers(0, 255, (64, 160, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(encoder, rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, form
        stream.codec_context.gop_size = gop
        for index in range(FRAMES):
            part = np.ascontiguousarray(wide[:, 2 * index : 2 * index + 96])
            picture = av.VideoFrame.from_ndarray(part, format="rgb24").reformat(format=form)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path.read_bytes()


def spoilt(whole: bytes, seed: int) -> bytes:
    """Bytes flipped, cut out, zeroed, or single bits flipped anywhere."""
    chance, data = random.Random(seed), bytearray(whole)
    first = len(data) // 20
    at = chance.randrange(first, len(data) - 64)
    match seed % 4:
        case 0:
            for _ in range(3):
                data[chance.randrange(first, len(data))] ^= chance.randrange(1, 256)
        case 1:
            del data[at : at + chance.randrange(2, 40)]
        case 2:
            data[at : at + 64] = bytes(64)
        case _:
            for _ in range(12):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def answer(clip: Any, frame: int) -> str | None:
    """A hash of a frame's pixels; None where it is refused."""
    try:
        return hashlib.sha256(clip.read(frame).pixels.tobytes()).hexdigest()
    except MediaError:
        return None


def tried(path: Path, seed: int) -> dict[int, str | None] | None:
    """The answers of a straight read, after all other orders gave the same. None: not opened."""
    try:
        clip = open_clip(path)
    except MediaError:
        return None
    chance = random.Random(seed)
    frames = list(clip.frames)
    straight = {frame: answer(clip, frame) for frame in frames}
    clip.close()
    orders = [frames[::-1], chance.choices(frames, k=12), [chance.choice(frames)]]
    for order in (*orders, [chance.choice(frames)]):
        assert {n: answer(clip, n) for n in order} == {n: straight[n] for n in order}, (seed, order)
        clip = open_clip(path)
        assert list(clip.frames) == frames
    return straight


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_movie_in_every_order(tmp_path: Path, name: str) -> None:
    whole = made(tmp_path / name)
    opened = 0
    for seed in (3, 4, 10, 11, 15, 19, 22, 79):
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(spoilt(whole, seed))
        opened += tried(path, seed) is not None
    assert opened >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_damaged_movies_for_long(tmp_path: Path, name: str) -> None:
    whole = made(tmp_path / name)
    for seed in range(100, 160):
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(spoilt(whole, seed))
        tried(path, seed)


@pytest.mark.parametrize("name", ["ffv1.mkv", "ffv1-chain.mkv"])
def test_a_slice_with_a_wrong_checksum_is_refused(tmp_path: Path, name: str) -> None:
    whole = bytearray(made(tmp_path / name))
    good = [answer(open_clip(tmp_path / name), n) for n in range(1, FRAMES + 1)]
    with av.open(str(tmp_path / name)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert all(map(ffv1.is_whole, packets))
    at = whole.find(packets[9]) + len(packets[9]) // 3
    whole[at] ^= 1
    (tmp_path / name).write_bytes(whole)
    clip = open_clip(tmp_path / name)
    found = [answer(clip, n) for n in range(1, FRAMES + 1)]
    # Frame 10 is damaged; those behind it that are made from it are refused too.
    lost = {10} if name == "ffv1.mkv" else {10, 11, 12}
    assert {n for n, text in enumerate(found, 1) if text is None} == lost
    assert all(a == b for a, b in zip(found, good, strict=True) if a is not None)


def test_a_cineform_picture_takes_no_band_from_a_picture_before_it(tmp_path: Path) -> None:
    """FFmpeg's decoder keeps the bands of the last picture for those that are missing."""
    path = tmp_path / "cineform.mov"
    whole = bytearray(made(path))
    with av.open(str(path)) as container:
        packet = [bytes(packet) for packet in container.demux(video=0) if packet.size][9]
    begin = whole.find(packet)
    band_3 = bytes((0, 48, 0, 3))
    at = next(n for n in range(0, len(packet), 4) if packet[n : n + 4] == band_3)
    whole[begin + at + 3] = 2  # band 2 stands there twice now, band 3 nowhere
    path.write_bytes(whole)
    cold = answer(open_clip(path), 10)
    for before in (1, 9, 11):
        clip = open_clip(path)
        assert answer(clip, before) is not None
        assert answer(clip, 10) == cold
    assert cold is None


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_movie_opens_or_says_why_not(tmp_path: Path, name: str) -> None:
    """Seed 54 makes the codec of an mp4 unknown; opening costs little, so there are many seeds."""
    whole, path = made(tmp_path / name), tmp_path / f"damaged-{name}"
    for seed in range(40, 100):
        path.write_bytes(spoilt(whole, seed))
        try:
            clip = open_clip(path)
        except MediaError:
            continue
        answer(clip, clip.frames[0])
        clip.close()


def test_an_ffv1_without_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25, options={"level": "3", "slicecrc": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"
        picture = np.random.default_rng(2).integers(0, 255, (64, 96, 3), dtype=np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert np.array_equal(open_clip(path).read(1).pixels, picture)


@pytest.mark.parametrize("name", ["h264.mp4", "ffv1.mkv"])
def test_mattes_of_a_damaged_movie_cold_and_warm(tmp_path: Path, name: str) -> None:
    whole = made(tmp_path / name)
    for seed in (4, 19, 23):
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(spoilt(whole, seed))
        try:
            open_clip(path)
        except MediaError:
            continue
        straight = mattes(path, range(1, FRAMES + 1), None)
        order = random.Random(seed).sample(range(1, FRAMES + 1), 10)
        for turn in range(2):
            cache = Cache("disk", store=Store(tmp_path / f"cache{seed}"))
            assert mattes(path, order[5 * turn :], cache) == {
                n: straight[n] for n in order[5 * turn :]
            }
        warm = Cache("disk", store=Store(tmp_path / f"cache{seed}"))
        assert mattes(path, range(1, FRAMES + 1), warm) == straight


def mattes(path: Path, frames: Any, cache: Any) -> dict[int, str | None]:
    """Hashes of the mattes of frames, asked for in this order; None where one is refused."""
    shot = MatteNode("green-screen").connect(str(path), cache=cache)
    found: dict[int, str | None] = {}
    for frame in frames:
        try:
            matte = shot.at(frame)
        except MediaError:
            found[frame] = None
            continue
        found[frame] = hashlib.sha256(
            matte.alpha.tobytes() + matte.foreground.tobytes()
        ).hexdigest()
    return found
