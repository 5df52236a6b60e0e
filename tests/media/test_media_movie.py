# SPDX-License-Identifier: Apache-2.0
"""Movies in: frame-exact in any order, colours as tagged, times, turns and bad files."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from matte_nodes.errors import MediaError, MissingFrameError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.image import Rect
from matte_nodes.media.timecode import Timecode

from .samples import number_of, numbered, write_movie

GOPS = {
    "h264 with B frames": ("p.mp4", "libx264", {"g": "12", "bf": "3"}),
    "h264 open groups": ("p.mkv", "libx264", {"g": "10", "x264-params": "open-gop=1:bframes=3"}),
    "hevc open groups": (
        "p.mp4",
        "libx265",
        {"x265-params": "log-level=none:keyint=10:open-gop=1"},
    ),
    "mpeg-4 in avi": ("p.avi", "mpeg4", {"g": "9"}),
    "transport stream": ("p.ts", "libx264", {"g": "8", "bf": "2"}),
    "motion jpeg": ("p.mov", "mjpeg", {}),
    "ffv1": ("p.mkv", "ffv1", {"g": "5"}),
}


@pytest.mark.parametrize("kind", GOPS)
def test_every_frame_in_any_order(tmp_path: Path, kind: str) -> None:
    name, codec, options = GOPS[kind]
    form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    pictures = [numbered(n, form=form) for n in range(1, 41)]
    clip = open_clip(write_movie(tmp_path / name, pictures, codec, options=options))
    assert list(clip.frames) == list(range(1, 41))
    assert clip.is_movie
    assert [number_of(clip.read(n)) for n in clip.frames] == list(range(1, 41))
    order = list(clip.frames) * 2
    random.Random(1).shuffle(order)
    assert [number_of(clip.read(n)) for n in order] == order
    backwards = list(reversed(clip.frames))
    assert [number_of(clip.read(n)) for n in backwards] == backwards


def test_order_never_changes_a_pixel(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    pictures = [
        av.VideoFrame.from_ndarray(
            noise.integers(0, 255, (48, 64, 3), np.uint8), format="rgb24"
        ).reformat(format="yuv420p")
        for _ in range(20)
    ]
    path = write_movie(tmp_path / "p.mp4", pictures, "libx264", options={"g": "7", "bf": "3"})
    straight = [open_clip(path).read(n).pixels for n in range(1, 21)]
    clip = open_clip(path, threads=2)
    for n in (20, 3, 3, 4, 2, 19, 1, 8, 7):
        assert np.array_equal(clip.read(n).pixels, straight[n - 1])


def test_sequential_reads_do_not_seek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [numbered(n) for n in range(1, 31)]
    clip: Any = open_clip(write_movie(tmp_path / "p.mp4", pictures, "libx264", options={"g": "5"}))
    seeks: list[int | None] = []
    seek = clip._decoder._search
    monkeypatch.setattr(clip._decoder, "_search", lambda place: (seeks.append(place), seek(place)))
    for n in clip.frames:
        clip.read(n)
    assert seeks == []
    clip.read(2)
    assert len(seeks) == 1


def test_after_close_it_opens_anew(tmp_path: Path) -> None:
    clip = open_clip(write_movie(tmp_path / "p.mp4", map(numbered, range(1, 9)), "libx264"))
    clip.read(5)
    clip.close()
    assert number_of(clip.read(3)) == 3
    assert number_of(clip.read(4)) == 4


def test_frames_outside(tmp_path: Path) -> None:
    clip = open_clip(write_movie(tmp_path / "p.mp4", map(numbered, range(1, 4)), "libx264"))
    for n in (0, 4, -1):
        with pytest.raises(MissingFrameError, match=f"no frame {n} "):
            clip.read(n)
    assert clip.stamp(1) != clip.stamp(2)


def test_variable_frame_rate_keeps_times(tmp_path: Path) -> None:
    times = [0, 40, 50, 120, 121, 400]
    path = write_movie(
        tmp_path / "p.mp4",
        map(numbered, range(1, 7)),
        "libx264",
        times=times,
        time_base=Fraction(1, 1000),
    )
    clip: Any = open_clip(path)
    assert [clip.read(n).time for n in clip.frames] == pytest.approx([t / 1000 for t in times])
    assert [number_of(clip.read(n)) for n in clip.frames] == [1, 2, 3, 4, 5, 6]
    assert clip.time_base is not None


def test_constant_rate(tmp_path: Path) -> None:
    rate = Fraction(24000, 1001)
    for name in ("p.mp4", "p.mkv"):
        path = write_movie(tmp_path / name, map(numbered, range(1, 31)), "libx264", rate=rate)
        clip: Any = open_clip(path)
        assert clip.rate == rate
        assert clip.time_base is None
        assert clip.read(1).metadata["framesPerSecond"] == (24000, 1001)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24, :32] = 255
    picture = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format="yuv420p")

    def turn(container: Any, stream: Any) -> None:
        stream.set_display_rotation(degrees)

    clip = open_clip(write_movie(tmp_path / "p.mp4", [picture], "libx264", setup=turn))
    pixels = clip.read(1).pixels
    assert clip.canvas == Rect(0, 0, pixels.shape[1], pixels.shape[0])
    # The display matrix turns counter-clockwise.
    expected = np.rot90(stored, degrees // 90)
    assert pixels.shape == expected.shape
    assert np.abs(clip.read(1).floats() * 255 - expected).mean() < 6


def test_pixel_aspect(tmp_path: Path) -> None:
    def wide(container: Any, stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)

    clip = open_clip(write_movie(tmp_path / "p.mp4", [numbered(1)], "libx264", setup=wide))
    assert clip.pixel_aspect == pytest.approx(16 / 11)
    assert clip.read(1).pixel_aspect == clip.pixel_aspect


def test_time_code_counts_on(tmp_path: Path) -> None:
    def code(container: Any, stream: Any) -> None:
        stream.metadata["timecode"] = "01:02:03:23"

    path = write_movie(
        tmp_path / "p.mov", map(numbered, (1, 2, 3)), "libx264", rate=Fraction(24), setup=code
    )
    clip = open_clip(path)
    words = [clip.read(n).metadata["smpte:TimeCode"] for n in clip.frames]
    codes = [str(Timecode.unpack(word, clip.rate)) for word in words]
    assert codes == ["01:02:03:23", "01:02:04:00", "01:02:04:01"]


def test_not_a_movie(tmp_path: Path) -> None:
    path = tmp_path / "p.mov"
    for content in (b"", b"no movie" * 100):
        path.write_bytes(content)
        with pytest.raises(MediaError, match=r"p\.mov: cannot be read as a movie"):
            open_clip(path)


def test_zero_frames(tmp_path: Path) -> None:
    for name in ("p.mov", "p.mkv", "p.avi"):
        path = write_movie(tmp_path / name, [], "mjpeg", pix_fmt="yuvj420p")
        with pytest.raises(MediaError, match=rf"{name}: "):
            open_clip(path)


def test_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match="contains no video"):
        open_clip(path)


@pytest.mark.parametrize("name", ["p.mov", "fast.mov", "p.mkv", "p.avi", "p.mp4"])
def test_truncated(tmp_path: Path, name: str) -> None:
    """Cut in the middle: an error at once, or (no count in the file) fewer whole frames."""

    def fast(container: Any, stream: Any) -> None:
        if name.startswith("fast"):
            container.options["movflags"] = "faststart"

    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    pictures = [
        av.VideoFrame.from_ndarray(np.roll(noise, n, 0), format="rgb24").reformat(format="yuv420p")
        for n in range(24)
    ]
    path = write_movie(tmp_path / name, pictures, "libx264", setup=fast, options={"g": "6"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(MediaError, match=name):
        open_clip(path)


def test_repeated_frames_of_an_avi(tmp_path: Path) -> None:
    """Capture programs write an empty chunk for a frame that came late: not a damaged file."""
    times = [0, 1, 2, 5, 6, 10]
    path = write_movie(
        tmp_path / "p.avi",
        [n.reformat(format="yuvj420p") for n in map(numbered, range(1, 7))],
        "mjpeg", pix_fmt="yuvj420p", times=times, time_base=Fraction(1, 24),
    )  # fmt: skip
    clip: Any = open_clip(path)
    assert [clip.read(n).time for n in clip.frames] == pytest.approx([t / 24 for t in times])
    whole = path.read_bytes()
    last = whole.rindex(b"00dc", 0, whole.rindex(b"idx1"))
    path.write_bytes(whole[:last])
    with pytest.raises(MediaError, match="9 of its 11 frames"):
        open_clip(path)


def test_frames_hidden_by_an_edit_list_are_not_counted(tmp_path: Path) -> None:
    """Times below zero become an edit list in MP4: players start at time zero."""
    path = write_movie(
        tmp_path / "p.mp4",
        map(numbered, range(1, 21)),
        "libx264",
        options={"g": "8", "bf": "2"},
        times=range(-5, 15),
    )
    clip = open_clip(path)
    assert [number_of(clip.read(n)) for n in clip.frames] == list(range(6, 21))
    assert clip.read(1).time == 0


def test_a_stream_cut_inside_a_group_starts_where_decoding_can(tmp_path: Path) -> None:
    options = {"g": "10", "x264-params": "open-gop=1:bframes=3:log-level=-1"}
    whole = write_movie(tmp_path / "p.ts", map(numbered, range(1, 41)), "libx264", options=options)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "cut.ts"), "w") as cut:
        stream = source.streams.video[0]
        copy = cut.add_stream_from_template(stream)
        for packet in list(source.demux(stream))[13:]:
            if packet.dts is not None:
                packet.stream = copy
                cut.mux(packet)
    clip = open_clip(tmp_path / "cut.ts")
    shown = [number_of(clip.read(n)) for n in clip.frames]
    assert shown == list(range(shown[0], 41))
    assert 10 < shown[0] <= 21
    assert [number_of(clip.read(n)) for n in reversed(clip.frames)] == shown[::-1]
