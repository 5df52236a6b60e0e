# SPDX-License-Identifier: Apache-2.0
"""Conflicting tags, other numbers than colours, mixed sequences, and pictures of other libraries."""

from __future__ import annotations

import struct
import warnings
import zlib
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
from matte_nodes.errors import BadPlateError, InputError, MediaError
from matte_nodes.media.as_array import InputWarning
from matte_nodes.media.clip import open_clip
from matte_nodes.shot.bind import guessed
from tests.faults.rig import is_subject, mask, odd, picture, run
from tests.faults.test_kinds import ADOBE as ADOBE_COLUMNS
from tests.faults.test_kinds import codes, icc, write_as_is
from tests.made import write_image

SPLIT = ("--segmentation-use", "garbage")


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    whole = name + data
    return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))


def png(path: Path, *chunks: bytes, pixels: NDArray[Any] | None = None) -> Path:
    """A PNG of 8 bits (RGB, or grey for (H, W)) with further chunks, byte by byte."""
    found = codes(picture()) if pixels is None else pixels
    height, width = found.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in found)
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if found.ndim == 3 else 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return path


def gama(value: float) -> bytes:
    """A gAMA chunk."""
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(*corners: float) -> bytes:
    """A cHRM chunk: x and y of red, green and blue; the white is D65."""
    numbers = (0.3127, 0.329, *corners)
    return chunk(b"cHRM", struct.pack(">8I", *(round(n * 100_000) for n in numbers)))


ADOBE = chrm(0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
P3 = chrm(0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def tiff(path: Path, pixels: NDArray[Any], photometric: int, kind: int = 1) -> Path:
    """A TIFF without compression, byte by byte. kind: 1 for unsigned, 2 for signed integers."""
    height, width, count = pixels.shape
    bits = pixels.dtype.itemsize * 8
    tags: list[tuple[int, int, list[int]]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * count), (259, 3, [1]),
        (262, 3, [photometric]), (273, 4, [0]), (277, 3, [count]), (278, 4, [height]),
        (279, 4, [pixels.nbytes]), (284, 3, [1]), (339, 3, [kind] * count),
    ]  # fmt: skip
    after = 8 + 2 + 12 * len(tags) + 4
    lists = b""
    entries = b""
    start = after + sum(2 * len(v) for _, size, v in tags if size == 3 and len(v) > 2)
    for tag, size, values in tags:
        data = struct.pack("<" + "HI"[size == 4] * len(values), *values)
        if tag == 273:
            data = struct.pack("<I", start)
        if len(data) > 4:
            entries += struct.pack("<HHII", tag, size, len(values), after + len(lists))
            lists += data
        else:
            entries += struct.pack("<HHI", tag, size, len(values)) + data.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    path.write_bytes(head + entries + struct.pack("<I", 0) + lists + pixels.tobytes())
    return path


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


def plate_of(folder: Path) -> Path:
    """The plate of frame 0 as p.png."""
    write_image(folder / "p.png", codes(picture()))
    return folder / "p.png"


def masks_of(folder: Path, pictures: list[tuple[NDArray[Any], str]]) -> tuple[str, str]:
    """Plates and masks numbered from 1; returns both patterns."""
    for number, (pixels, channels) in enumerate(pictures, 1):
        write_image(folder / f"p.{number:04d}.png", codes(picture(number - 1)))
        write_image(folder / f"m.{number:04d}.png", pixels, channels)
    return str(folder / "p.####.png"), str(folder / "m.####.png")


# Stills


@odd("Stills", "PNG with the primaries of another space (cHRM)", "taken", "That space.")
@pytest.mark.parametrize(
    ("chunks", "space"),
    [
        ((gama(1 / 2.2), ADOBE), "g22_adobergb_scene"),
        ((gama(1), ADOBE), "lin_adobergb_scene"),
        ((P3,), "srgb_p3d65_scene"),
        ((chunk(b"sRGB", b"\0"), gama(1 / 2.2), ADOBE), "srgb_tx"),
    ],
    ids=["adobe", "linear adobe", "p3", "sRGB first"],
)
def test_primaries_of_a_png(tmp_path: Path, chunks: tuple[bytes, ...], space: str) -> None:
    assert guessed(open_clip(png(tmp_path / "p.png", *chunks))) == space


@odd("Stills", "PNG with primaries of no known space", "refused", "They are named.")
def test_unknown_primaries_of_a_png(tmp_path: Path) -> None:
    odd_corners = chrm(0.7, 0.3, 0.2, 0.75, 0.14, 0.05)
    run(tmp_path / "o", png(tmp_path / "p.png", odd_corners)).refused("chromaticities 0.7")


@odd(
    "Stills",
    "cICP with a limited range, with a matrix, with PQ and no primaries",
    "refused",
    "Named; `--colorspace` says what is meant.",
)
@pytest.mark.parametrize("code", [(1, 13, 0, 0), (1, 13, 1, 1), (2, 16, 0, 1), (2, 8, 0, 1)])
def test_odd_cicp(tmp_path: Path, code: tuple[int, ...]) -> None:
    path = png(tmp_path / "p.png", chunk(b"cICP", bytes(code)))
    run(tmp_path / "o", path).refused("tagged", "--colorspace")


@odd("Stills", "cICP, ICC profile and gAMA that differ", "taken", "cICP first, then the profile.")
def test_tags_that_differ(tmp_path: Path) -> None:
    adobe = icc(ADOBE_COLUMNS, 2.19921875, "A98")
    packed = chunk(b"iCCP", b"x\0\0" + zlib.compress(adobe))
    p3 = chunk(b"cICP", bytes((12, 13, 0, 1)))
    assert guessed(open_clip(png(tmp_path / "a.png", p3, packed, gama(1)))) == "srgb_p3d65_scene"
    assert guessed(open_clip(png(tmp_path / "b.png", packed, gama(1)))) == "g22_adobergb_scene"


@odd("Stills", "A damaged ICC profile", "refused", "It is named, and not taken as sRGB.")
def test_damaged_profile(tmp_path: Path) -> None:
    packed = chunk(b"iCCP", b"Monitor\0\0" + zlib.compress(b"nothing"))
    run(tmp_path / "o", png(tmp_path / "p.png", packed)).refused("Monitor", "damaged")


@odd("Stills", "CMYK without a profile (JPEG, TIFF)", "said", "As R, G, B; `--strict` refuses.")
def test_cmyk(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(codes(picture())).convert("CMYK").save(tmp_path / "p.jpg", quality=100)
    inks = np.dstack([255 - codes(picture()), np.zeros((48, 64), np.uint8)])
    tiff(tmp_path / "p.tif", inks, 5)
    for name in ("p.jpg", "p.tif"):
        ran = run(tmp_path / name[2:], tmp_path / name)
        is_subject(ran.frame(1))
        assert "CMYK" in ran.said
        run(tmp_path / f"strict{name}", tmp_path / name, "--strict").refused("CMYK")


@odd("Stills", "CIELAB (TIFF)", "refused", "Convert it to RGB.")
def test_cielab(tmp_path: Path) -> None:
    run(tmp_path / "o", tiff(tmp_path / "p.tif", codes(picture()), 8)).refused("CIELAB", "Convert")


@odd("Stills", "Signed integers (TIFF)", "taken", "White is the largest code, sRGB.")
@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_signed_integers(tmp_path: Path, kind: type) -> None:
    signed = (picture() * np.iinfo(kind).max).round().astype(kind)
    ran = run(tmp_path / "o", tiff(tmp_path / "p.tif", signed, 2, kind=2))
    is_subject(ran.frame(1))
    plain = run(tmp_path / "q", plate_of(tmp_path)).frame(1)
    assert np.abs(ran.frame(1)["fg.R"] - plain["fg.R"]).max() < 0.02


@odd(
    "Stills",
    "A picture of 8, 10 or 12 bits stored in 16",
    "said",
    "As it is, nearly black: it is told, and `--strict` refuses.",
)
@pytest.mark.parametrize(
    ("ending", "top"), [("png", 255), ("tif", 255), ("png", 1023), ("tif", 4095)]
)
def test_low_codes_in_16_bits(tmp_path: Path, ending: str, top: int) -> None:
    path = tmp_path / f"p.{ending}"
    write_image(path, (picture() * top).round().astype(np.uint16))
    ran = run(tmp_path / "o", path)
    assert ran.code == 0
    assert "nearly black" in ran.said
    assert "nearly black" in ran.facts(1)["matte/assumed"]
    run(tmp_path / "s", path, "--strict", "--colorspace", "srgb_tx").refused("no code above")


def test_a_fade_from_black_is_no_picture_of_low_codes(tmp_path: Path) -> None:
    for number, gain in enumerate((0, 100, 30_000, 65_535), 1):
        write_image(tmp_path / f"p.{number}.png", (picture() * gain).round().astype(np.uint16))
    assert "nearly black" not in run(tmp_path / "o", tmp_path / "p.#.png").said


@odd(
    "Stills", "Codes and floats, or colours and grey, in one sequence", "refused", "Both are named."
)
def test_mixed_kinds_of_plates(tmp_path: Path) -> None:
    write_image(tmp_path / "a.1.tif", codes(picture()))
    write_as_is(tmp_path / "a.2.tif", picture())
    run(tmp_path / "x", tmp_path / "a.#.tif").refused("frame 2 is of floats", "frame 1 of codes")
    write_image(tmp_path / "b.1.png", codes(picture()))
    write_image(tmp_path / "b.2.png", codes(picture())[..., 0], "Y")
    run(tmp_path / "y", tmp_path / "b.#.png").refused("frame 2 is of grey")


@odd("Stills", "Numbers that cross their padding (p.8.png to p.11.png as p.##.png)", "said",
     "Those with this padding; what is left out is named.")  # fmt: skip
def test_left_out_paddings(tmp_path: Path) -> None:
    for number in (8, 9, 10, 11):
        write_image(tmp_path / f"p.{number}.png", codes(picture(number - 8)))
    ran = run(tmp_path / "o", tmp_path / "p.##.png")
    assert ran.frames == [10, 11]
    assert "leaves out 'p.8.png' and 1 more" in ran.said
    assert "leaves out" not in run(tmp_path / "q", tmp_path / "p.#.png").said


@odd("Stills", "An animated WebP with soft alpha", "taken", "Straight colours.")
def test_soft_alpha_of_an_animated_webp(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    cover = np.full((48, 64), 128, np.uint8)
    frames = [image.fromarray(np.dstack([codes(picture(n)), cover]), "RGBA") for n in range(2)]
    frames[0].save(tmp_path / "p.webp", save_all=True, append_images=frames[1:], lossless=True,
                   exact=True)  # fmt: skip
    found = open_clip(tmp_path / "p.webp").read(1).pixels
    assert np.abs(found[..., :3].astype(int) - codes(picture())).max() <= 2
    assert np.array_equal(found[..., 3], cover)


@odd("Stills", "A file whose name ends otherwise than it is", "taken", "As what it is.")
def test_misnamed_files(tmp_path: Path) -> None:
    for name, pixels in (("p.exr", picture().astype(np.float16)), ("q.png", codes(picture()))):
        write_image(tmp_path / name, pixels)
    (tmp_path / "p.exr").rename(tmp_path / "float.png")
    (tmp_path / "q.png").rename(tmp_path / "codes.exr")
    assert guessed(open_clip(tmp_path / "float.png")) == "scene_linear"
    assert guessed(open_clip(tmp_path / "codes.exr")) == "srgb_tx"


@odd("Stills", "Radiance (.hdr) with EXPOSURE, COLORCORR or PRIMARIES", "said", "Without them.")
def test_radiance_headers(tmp_path: Path) -> None:
    write_image(tmp_path / "p.hdr", picture())
    whole = (tmp_path / "p.hdr").read_bytes()
    lines, pixels = whole.split(b"\n\n", 1)
    (tmp_path / "e.hdr").write_bytes(lines + b"\nEXPOSURE=2.0\n\n" + pixels)
    (tmp_path / "one.hdr").write_bytes(lines + b"\nEXPOSURE=1.0\n\n" + pixels)
    assert "EXPOSURE=2.0" in run(tmp_path / "o", tmp_path / "e.hdr").said
    assert "EXPOSURE" not in run(tmp_path / "q", tmp_path / "one.hdr").said


# EXR


@odd("EXR", "A named colour space beside the chromaticities of another", "said", "The name.")
def test_name_against_chromaticities(tmp_path: Path) -> None:
    from tests.media.samples import write_picture

    corners = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
    path = write_picture(tmp_path / "p.exr", picture().astype(np.float16),
                         colorInteropID="lin_ap1_scene", chromaticities=("float[8]", corners))  # fmt: skip
    ran = run(tmp_path / "o", path)
    assert ran.code == 0
    assert "chromaticities of another space" in ran.said
    run(tmp_path / "s", path, "--strict").refused("chromaticities of another space")


@odd("EXR", "Whole numbers (uint) as R, G, B", "refused", "They are ids, not colours.")
def test_uint_colours(tmp_path: Path) -> None:
    write_as_is(tmp_path / "p.exr", (picture() * 1000).astype(np.uint32))
    run(tmp_path / "o", tmp_path / "p.exr").refused("uint", "ids")


# Movies


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


# Hints


def seen(plate: object, segmentation: object, **options: Any) -> Any:
    """The segmentation's binding to a plate."""
    shot = MatteNode("green-screen").connect(plate, segmentation=segmentation, **options)
    return shot.hints["segmentation"]


@odd("Hints", "A cut-out in some frames of a mask sequence, a photograph in others", "refused",
     "The frame is named.")  # fmt: skip
@pytest.mark.parametrize("first", ["alpha", "grey"])
def test_photograph_among_masks(tmp_path: Path, first: str) -> None:
    grey = np.repeat(codes(mask())[..., None], 3, axis=2)
    cutout = np.dstack([codes(picture()), codes(mask())])
    good = (cutout, "RGBA") if first == "alpha" else (grey, "RGB")
    bound = seen(*masks_of(tmp_path, [good, (codes(picture(1)), "RGB"), good]))
    assert np.array_equal(bound.pixels(1), mask())
    with pytest.raises(InputError, match="frame 2, is a colour picture"):
        bound.pixels(2)


@odd("Hints", "Labels, or 8-bit codes in 16, in some frames of a grey mask sequence", "said",
     "As they are, nearly black; the first such frame is named.")  # fmt: skip
@pytest.mark.parametrize("kind", ["labels", "low"])
def test_labels_among_masks(tmp_path: Path, kind: str) -> None:
    grey = codes(mask())
    other = (grey > 0).astype(np.uint8) if kind == "labels" else grey.astype(np.uint16)
    bound = seen(*masks_of(tmp_path, [(grey, "Y"), (other, "Y"), (grey, "Y")]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bound.pixels(1)
    with pytest.warns(InputWarning, match="frame 2, has no code above"):
        bound.pixels(2)


@odd("Hints", "A soft mask of 8-bit codes stored in 16", "refused", "Write it with 8 bits.")
def test_soft_mask_of_low_codes(tmp_path: Path) -> None:
    soft = np.tile(np.linspace(0, 255, 64).astype(np.uint16), (48, 1))
    write_image(tmp_path / "m.png", soft, "Y")
    flags = ("--segmentation", tmp_path / "m.png", *SPLIT)
    run(tmp_path / "o", plate_of(tmp_path), *flags).refused("16 bits", "no code above 255")


@odd("Hints", "A black mask", "said", "Nothing is the subject.")
def test_black_mask(tmp_path: Path) -> None:
    write_image(tmp_path / "m.png", np.zeros((48, 64), np.uint8), "Y")
    flags = ("--segmentation", tmp_path / "m.png", *SPLIT)
    ran = run(tmp_path / "o", plate_of(tmp_path), *flags)
    assert not ran.frame(1)["A"].any()
    assert "is black" in ran.said


@odd("Hints", "An inverted mask or trimap", "said", "As it is, with a word that it looks inverted.")
@pytest.mark.parametrize("hint", ["segmentation", "trimap"])
def test_inverted_mask(tmp_path: Path, hint: str) -> None:
    inverted = 255 - codes(mask())
    inverted[20, 20] = 128  # a trimap has unknown
    write_image(tmp_path / "m.png", inverted, "Y")
    plate = plate_of(tmp_path)
    assert "were inverted" in run(tmp_path / "o", plate, f"--{hint}", tmp_path / "m.png").said
    write_image(tmp_path / "n.png", 255 - inverted, "Y")
    assert "were inverted" not in run(tmp_path / "p", plate, f"--{hint}", tmp_path / "n.png").said


@odd("Hints", "A mask sequence that has one frame alone", "said", "It serves every frame.")
def test_one_mask_of_a_pattern(tmp_path: Path) -> None:
    plate, _ = masks_of(tmp_path, [(codes(mask(n)), "Y") for n in range(3)])
    write_image(tmp_path / "one.0003.png", codes(mask(2)), "Y")
    bound = seen(plate, str(tmp_path / "one.####.png"))
    assert any("frame 3 alone" in text for text in bound.assumptions)
    named = seen(plate, str(tmp_path / "one.0003.png"))
    assert named.assumptions == ()


@odd("Hints", "A trimap of floats from 0 to 255", "said", "As codes of 8 bits.")
def test_float_codes_of_a_trimap(tmp_path: Path) -> None:
    trimap = np.full((48, 64), 128, np.float32)
    trimap[mask() > 0], trimap[:, 50:] = 255, 0
    write_image(tmp_path / "t.exr", trimap, "Y")
    ran = run(tmp_path / "o", plate_of(tmp_path), "--trimap", tmp_path / "t.exr")
    assert "taken as codes of 8 bits" in ran.said
    assert ran.frame(1)["A"][10, 8] == 1
    assert not ran.frame(1)["A"][:, 50:].any()


@odd("Hints", "A cut-out (RGBA) with a mask beside it in the EXR", "said", "The alpha of the RGBA.")
def test_cutout_beside_a_mask(tmp_path: Path) -> None:
    planes = np.dstack([picture(), mask(), 1 - mask()]).astype(np.float16)
    write_image(tmp_path / "m.exr", planes, ("R", "G", "B", "A", "roto.Y"))  # type: ignore[arg-type]
    plate = plate_of(tmp_path)
    bound = seen(plate, tmp_path / "m.exr")
    assert np.array_equal(bound.pixels(1), mask())
    assert any("roto.Y" in text for text in bound.assumptions)
    named = seen(plate, tmp_path / "m.exr", segmentation_layer="roto.Y")
    assert np.array_equal(named.pixels(1), 1 - mask())
    assert not any("roto.Y" in text for text in named.assumptions)


@odd("Hints", "A mask with another pixel aspect than the plate", "said", "Pixel on pixel.")
def test_aspect_of_a_mask(tmp_path: Path) -> None:
    write_image(tmp_path / "m.exr", mask().astype(np.float16), "Y", PixelAspectRatio=2.0)
    assert any(
        "pixel aspect" in t for t in seen(plate_of(tmp_path), tmp_path / "m.exr").assumptions
    )


# Python


@odd("Python", "A PIL image with another profile than sRGB, or another gamma", "refused",
     "Connect the file, or convert it.")  # fmt: skip
def test_pil_profiles(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    adobe = icc(ADOBE_COLUMNS, 2.19921875, "A98")
    png(tmp_path / "a.png", chunk(b"iCCP", b"x\0\0" + zlib.compress(adobe)))
    png(tmp_path / "b.png", gama(1))
    png(tmp_path / "c.png", chunk(b"sRGB", b"\0"), gama(1 / 2.2))
    node = MatteNode("green-screen")
    for name, word in (("a.png", "adobergb"), ("b.png", "gamma")):
        with pytest.raises(InputError, match=word):
            node(image.open(tmp_path / name))
    assert node(image.open(tmp_path / "c.png")).alpha.sum() == 448


@odd("Python", "A PIL image that says that it is turned (EXIF)", "said", "As it lies.")
def test_turned_pil_image(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    turned = image.Exif()
    turned[0x0112] = 6
    image.fromarray(codes(picture())).save(tmp_path / "p.png", exif=turned.tobytes())
    with pytest.warns(InputWarning, match="exif_transpose"):
        found = MatteNode("green-screen")(image.open(tmp_path / "p.png"))
    assert found.alpha.shape == (48, 64)


@odd("Python", "A grey PIL image of 16 or 32 bits as the plate", "refused", "As a grey array.")
@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B"])
def test_wide_grey_pil_images(mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(BadPlateError, match="grey"):
        MatteNode("green-screen")(image.new(mode, (64, 48), 30_000))


@odd("Python", "Bytes in the order of another machine (>f4, >u2)", "taken", "Their values.")
def test_byte_order() -> None:
    node, pixels = MatteNode("green-screen"), codes(picture()).astype(np.uint16) * 257
    expected = node(pixels).alpha
    assert np.array_equal(node(pixels.astype(">u2")).alpha, expected)
    linear = picture() ** 2
    assert np.array_equal(node(linear.astype(">f4")).alpha, node(linear).alpha)


@odd("Python", "A tensor without data (meta), sparse, of 8-bit floats", "refused", "Why is said.")
def test_tensors_that_are_no_arrays() -> None:
    torch = pytest.importorskip("torch")
    pixels = torch.from_numpy(picture())
    for tensor in (
        torch.empty(48, 64, 3, device="meta"),
        pixels.to_sparse(),
        pixels.to(torch.float8_e4m3fn),
    ):
        with pytest.raises(InputError, match="cannot be made an array"):
            MatteNode("green-screen")(tensor)


@odd("Python", "Floats from 0 to 255 that are no whole numbers", "said", "A warning.")
def test_codes_as_soft_floats() -> None:
    with pytest.warns(InputWarning, match="codes of 0 to 255"):
        MatteNode("green-screen")(picture() * 250 + 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sun = picture()
        sun[0, 0] = 3000
        MatteNode("green-screen")(sun)


@odd("Python", "A picture that was normalised for a network", "said", "A warning.")
@pytest.mark.parametrize("how", ["-1 to 1", "mean and deviation"])
def test_normalised_pictures(how: str) -> None:
    pixels = picture() * 2 - 1 if how == "-1 to 1" else (picture() - 0.45) / 0.22
    with pytest.warns(InputWarning, match="normalised"):
        MatteNode("green-screen")(pixels)


@odd("Python", "A mask of bool, or of wide integers (int64), connected to a shot", "taken",
     "As in a still.")  # fmt: skip
@pytest.mark.parametrize("kind", [bool, np.int64, np.uint32])
@pytest.mark.parametrize("white", [1, 255])
def test_masks_of_other_types(kind: type, white: int) -> None:
    bound = seen(codes(picture()), (mask() * white).astype(kind))
    assert np.array_equal(bound.pixels(1), mask())


@odd("Python", "A mask of logits or of floats to 255", "said", "Clamped, with a warning.")
@pytest.mark.parametrize("how", ["logits", "codes"])
def test_masks_outside_their_range(how: str) -> None:
    values = mask() * 16 - 8 if how == "logits" else mask() * 255
    with pytest.warns(InputWarning, match="outside 0 to 1"):
        MatteNode("green-screen")(codes(picture()), segmentation=values)


@odd("Python", "Low codes as uint16", "said", "A warning.")
def test_low_codes_in_python() -> None:
    with pytest.warns(InputWarning, match="nearly black"):
        MatteNode("green-screen")(codes(picture()).astype(np.uint16))


def test_a_damaged_frame_leaves_its_message_to_its_turn(tmp_path: Path) -> None:
    write_image(tmp_path / "p.1.png", (picture() * 255).astype(np.uint16))
    whole = (tmp_path / "p.1.png").read_bytes()
    (tmp_path / "p.1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="damaged"):
        MatteNode("green-screen").connect(tmp_path / "p.#.png").at(1)
