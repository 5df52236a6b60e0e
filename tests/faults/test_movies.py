# SPDX-License-Identifier: Apache-2.0
"""Odd movies: tags, streams, edits, damage."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.errors import ColorError, MediaError
from matte_nodes.media.clip import open_clip
from matte_nodes.shot.bind import guessed
from tests.faults.rig import HERE, is_subject, mask, odd, picture, run
from tests.faults.samples import (
    codes,
    seen,
)
from tests.made import write_image
from tests.media.samples import number_of, numbered, write_movie


def pixels_or_error(clip: Any, frame: int) -> NDArray[Any]:
    """The pixels of a frame; an empty array where it cannot be read."""
    try:
        return np.asarray(clip.read(frame).pixels)
    except MediaError:
        return np.empty(0)


def tagged(path: Path, *, primaries: int, transfer: int) -> Path:
    """A movie of one frame with these tags."""

    def setup(container: Any, stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = primaries, transfer, 1

    frame = numbered(1)
    frame.color_primaries, frame.color_trc, frame.colorspace = primaries, transfer, 1
    return write_movie(path, [frame], "ffv1", setup=setup)


def movie(
    path: Path,
    codec: str,
    form: str,
    *,
    pictures: tuple[NDArray[Any], ...] = (),
    setup: Callable[[Any], None] | None = None,
) -> Path:
    """A movie of four frames; pictures: (48, 64, 3) uint8 each."""
    shown = pictures or tuple(codes(picture(n)) for n in range(4))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, form
        if setup is not None:
            setup(stream)
        for number, pixels in enumerate(shown):
            frame: Any = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=form)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@odd(
    "Movies",
    "A damaged stream",
    "taken",
    "The same pixels in every order: a frame is always decoded from its own key frame.",
)
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "2"}),
        ("a.mkv", "libx264", {"x264-params": "open-gop=1:bframes=3:log-level=-1"}),
        ("a.ts", "mpeg2video", {"bf": "2"}),
        ("a.avi", "mpeg4", {}),
        ("a.webm", "libvpx-vp9", {}),
    ],
)
def test_damaged_streams(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    base = np.random.default_rng(0).integers(30, 220, (48, 64), np.uint8)
    frames = []
    for n in range(30):
        frame = numbered(0)
        rows = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(48, -1)
        rows[:, :64] = np.roll(base, (2 * n, 3 * n), (0, 1))
        frames.append(frame)
    path = write_movie(tmp_path / name, frames, codec, options={**options, "g": "10"})
    whole = path.read_bytes()
    tried = 0
    for seed in range(6):
        chance = random.Random(seed)
        data = bytearray(whole)
        at = chance.randrange(len(data) // 4, len(data) * 3 // 4)
        data[at : at + 8] = chance.randbytes(8)
        path.write_bytes(data)
        try:
            clip = open_clip(path)
        except MediaError:
            continue
        tried += 1
        straight = {n: pixels_or_error(clip, n) for n in clip.frames}
        again = open_clip(path)
        order = list(again.frames)
        chance.shuffle(order)
        for n in order:
            assert np.array_equal(pixels_or_error(again, n), straight[n]), (seed, n)
    assert tried


@odd("Movies", "MPEG program and transport streams, MXF, in any order", "taken", "Every frame.")
@pytest.mark.parametrize("name", ["a.mpg", "a.ts", "a.mxf", "a.vob"])
def test_mpeg_streams(tmp_path: Path, name: str) -> None:
    pictures = [numbered(n) for n in range(1, 31)]
    path = write_movie(tmp_path / name, pictures, "mpeg2video", options={"g": "9", "bf": "2"})
    clip = open_clip(path)
    shown = [number_of(clip.read(n)) for n in clip.frames]
    assert shown == list(range(1, 31))
    order = list(clip.frames)
    random.Random(2).shuffle(order)
    assert [number_of(clip.read(n)) for n in order] == order


@odd("Movies", "A stale duration in Matroska (cut without encoding)", "taken", "All its frames.")
def test_stale_duration(tmp_path: Path) -> None:
    source = write_movie(tmp_path / "a.mkv", [numbered(n) for n in range(1, 25)], "ffv1")
    with av.open(str(source)) as whole, av.open(str(tmp_path / "cut.mkv"), "w") as cut:
        stream = whole.streams.video[0]
        copy = cut.add_stream_from_template(stream)
        copy.metadata["DURATION"] = "00:00:59.000000000"
        for packet in list(whole.demux(stream))[:6]:
            packet.stream = copy
            cut.mux(packet)
    clip = open_clip(tmp_path / "cut.mkv")
    assert [number_of(clip.read(n)) for n in clip.frames] == [1, 2, 3, 4, 5, 6]


@odd("Movies", "Pixel aspect of another program's Matroska", "taken", "Its pixel aspect.")
def test_aspect_of_matroska(tmp_path: Path) -> None:
    def wide(container: Any, stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    source = write_movie(tmp_path / "a.mov", [numbered(1)], "libx264", setup=wide)
    with av.open(str(source)) as whole, av.open(str(tmp_path / "a.mkv"), "w") as out:
        copy = out.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    assert open_clip(tmp_path / "a.mkv").pixel_aspect == 2


@odd("Movies", "Tagged P3: with the sRGB curve", "taken", "Display P3.")
def test_movie_p3(tmp_path: Path) -> None:
    clip = open_clip(tagged(tmp_path / "a.mkv", primaries=12, transfer=13))
    assert MatteNode("green-screen").connect(clip).color.plate == "sRGB Encoded P3-D65"


@odd("Movies", "Tagged P3: with another curve", "refused", "`--colorspace` says what is meant.")
@pytest.mark.parametrize("transfer", [1, 4])
def test_movie_p3_of_another_curve(tmp_path: Path, transfer: int) -> None:
    clip = open_clip(tagged(tmp_path / "a.mkv", primaries=12, transfer=transfer))
    with pytest.raises(ColorError, match="colorspace"):
        guessed(clip)


@odd("Movies", "`--rate` of a movie", "taken", "Its frames, at that rate.")
@pytest.mark.parametrize(
    ("told", "rate"),
    [("23.976", Fraction(24000, 1001)), ("50", 50), ("24000/1001", Fraction(24000, 1001))],
)
def test_rate_of_a_movie(tmp_path: Path, told: str, rate: Fraction) -> None:
    ran = run(tmp_path, HERE / "hint_numbering" / "plate.mov", "--rate", told, output="out.mov")
    assert ran.code == 0, ran.said
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.video[0].average_rate == rate


@odd("Movies", "A rate that is none (0, -5, fast)", "refused", "What a rate looks like.")
@pytest.mark.parametrize("rate", ["0", "-5", "fast", "1/0"])
def test_bad_rate(tmp_path: Path, rate: str) -> None:
    run(tmp_path, HERE / "hint_numbering" / "plate.mov", "--rate", rate).refused("24000/1001")


@odd("Movies", "A raw stream of JPEG pictures (.mjpeg, .mjpg)", "taken", "All of its frames.")
@pytest.mark.parametrize("name", ["p.mjpeg", "p.MJPG"])
def test_motion_jpeg(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as stream:
        for n in range(4):
            write_image(tmp_path / "one.jpg", codes(picture(n)))
            stream.write((tmp_path / "one.jpg").read_bytes())
    ran = run(tmp_path / "o", tmp_path / name)
    assert ran.frames == [1, 2, 3, 4]
    assert len({ran.frame(n)["A"].tobytes() for n in ran.frames}) == 4


@odd(
    "Movies",
    "A movie without tags of its colours",
    "taken",
    "As usual (BT.709, RGB as sRGB), marked as assumed; `--strict` refuses.",
)
@pytest.mark.parametrize(("codec", "form"), [("ffv1", "yuv444p"), ("ffv1", "bgr0")])
def test_movies_without_tags(tmp_path: Path, codec: str, form: str) -> None:
    path = movie(tmp_path / "p.mkv", codec, form)
    ran = run(tmp_path / "o", path)
    assert ran.code == 0
    assert "by its tag" not in ran.said
    assert "assumed, the file does not say" in ran.said
    said = run(tmp_path / "s", path, "--strict").refused("does not say its colour space")
    assert ("matrix" in said) == form.startswith("yuv")


def test_a_movie_with_tags_is_by_its_tag(tmp_path: Path) -> None:
    def tag(stream: Any) -> None:
        context = stream.codec_context
        context.colorspace = context.color_trc = context.color_primaries = context.color_range = 1

    path = movie(tmp_path / "p.mkv", "ffv1", "yuv444p", setup=tag)
    assert "by its tag" in run(tmp_path / "o", path, "--strict").said


@odd("Movies", "Grey with alpha as a mask (QuickTime PNG, animated PNG)", "taken", "Its alpha.")
@pytest.mark.parametrize("form", ["ya8", "ya16be"])
def test_grey_movies_with_alpha(tmp_path: Path, form: str) -> None:
    with av.open(str(tmp_path / "m.mov"), "w") as container:
        stream: Any = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, form
        for number in range(4):
            both = np.dstack([np.full((48, 64), 255, np.uint8), codes(mask(number))])
            wide = both if form == "ya8" else both.astype(">u2") * 257
            frame: Any = VideoFrame(64, 48, form)
            frame.planes[0].update(wide.astype(wide.dtype.newbyteorder(">")).tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = open_clip(tmp_path / "m.mov", purpose="mask")
    for number in range(4):
        image = clip.read(number + 1)
        assert image.channels == ("Y", "A")
        top = np.iinfo(image.pixels.dtype).max
        assert np.array_equal(image.pixels[..., 1] == top, mask(number) == 1)
    path = movie(tmp_path / "p.mov", "png", "rgb24")
    shot = MatteNode("green-screen").connect(path, segmentation=tmp_path / "m.mov")
    assert np.array_equal(shot.hints["segmentation"].pixels(2), mask(1))


@odd("Movies", "The alpha of a WebM that is tagged as well (-metadata:s:v alpha_mode=1)", "taken",
     "Its alpha.")  # fmt: skip
@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_tagged_alpha_of_webm(tmp_path: Path, codec: str) -> None:
    with av.open(str(tmp_path / "m.webm"), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        stream.options = {"auto-alt-ref": "0", "crf": "4", "b": "5000000"}
        stream.metadata["alpha_mode"] = "1"
        for number in range(4):
            both = np.dstack([codes(picture(number)), codes(mask(number))])
            frame: Any = VideoFrame.from_ndarray(both, format="rgba").reformat(format="yuva420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    bound = seen(movie(tmp_path / "p.mov", "png", "rgb24"), tmp_path / "m.webm")
    for number in range(4):
        assert np.abs(bound.pixels(number + 1) - mask(number)).mean() < 0.02


@odd("Movies", "Grey of 10 and 16 bits without a range", "taken", "Its codes, as they are.")
@pytest.mark.parametrize(("form", "top"), [("gray10le", 1023), ("gray16le", 65535)])
def test_wide_grey_movies(tmp_path: Path, form: str, top: int) -> None:
    ramp = np.tile(np.linspace(0, top, 64).round().astype("<u2"), (48, 1))
    with av.open(str(tmp_path / "m.mkv"), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, form
        frame: Any = VideoFrame(64, 48, form)
        frame.planes[0].update(ramp.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = open_clip(tmp_path / "m.mkv").read(1).pixels[..., 0] / 65535
    assert np.abs(found - ramp / top).max() < 1e-4


@odd("Movies", "Several streams of pictures", "said", "The one marked as default, else the first.")
@pytest.mark.parametrize("marked", [True, False])
def test_several_streams(tmp_path: Path, marked: bool) -> None:
    with av.open(str(tmp_path / "p.mkv"), "w") as container:
        streams: list[Any] = []
        for _ in range(2):
            stream: Any = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
            stream.disposition = Disposition(0)
            streams.append(stream)
        if marked:
            streams[1].disposition = Disposition.default
        for number in range(4):
            for place, stream in enumerate(streams):
                shown = codes(picture(number) if place == marked else picture(number) * 0.2)
                frame: Any = VideoFrame.from_ndarray(shown, format="rgb24").reformat(format="bgr0")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    ran = run(tmp_path / "o", tmp_path / "p.mkv")
    is_subject(ran.frame(2), 1)
    assert "2 streams of pictures" in ran.said
    run(tmp_path / "s", tmp_path / "p.mkv", "--strict").refused("2 streams")


@odd("Movies", "A cover picture before the movie's own stream", "taken", "The movie.")
def test_cover_first(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "p.mp4"), "w") as container:
        cover: Any = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj444p"
        cover.disposition = Disposition.attached_pic
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        black: Any = VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux(cover.encode(black.reformat(format="yuvj444p")))
        container.mux(cover.encode())
        for number in range(4):
            frame: Any = VideoFrame.from_ndarray(codes(picture(number)), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = open_clip(tmp_path / "p.mp4")
    assert list(clip.frames) == [1, 2, 3, 4]
    assert clip.assumptions == ()
    assert clip.read(1).pixels.max() > 150


@odd("Movies", "A display matrix that turns by other than quarters", "said", "Without that turn.")
def test_slanted_matrix(tmp_path: Path) -> None:
    path = movie(tmp_path / "p.mov", "png", "rgb24")
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    slanted = struct.pack(">9i", 65287, 5712, 0, -5712, 65287, 0, 0, 0, 1 << 30)
    whole = path.read_bytes()
    at = whole.index(plain, whole.index(b"tkhd"))
    path.write_bytes(whole[:at] + slanted + whole[at + 36 :])
    ran = run(tmp_path / "o", path)
    is_subject(ran.frame(1))
    assert "turned by 5 degrees" in ran.said
    run(tmp_path / "s", path, "--strict").refused("5 degrees")


@odd("Movies", "Pixels of floating point", "refused", "Their format is named.")
def test_float_movie(tmp_path: Path) -> None:
    try:
        path = movie(tmp_path / "p.nut", "rawvideo", "gbrpf32le")
    except (av.FFmpegError, ValueError):
        pytest.skip("this FFmpeg does not write gbrpf32le")
    run(tmp_path / "o", path).refused("gbrpf32le", "32 bits")
