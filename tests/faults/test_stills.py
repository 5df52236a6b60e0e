# SPDX-License-Identifier: Apache-2.0
"""Odd stills: profiles, tags, codes, numbers of files."""

from __future__ import annotations

import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.media.clip import open_clip
from matte_nodes.shot.bind import guessed
from tests.faults.rig import HERE, is_subject, mask, odd, picture, run
from tests.faults.samples import (
    ADOBE,
    chunk,
    codes,
    gama,
    icc,
    plate_of,
    png,
    write_as_is,
)
from tests.made import write_image
from tests.media.samples import write_picture

ODD = (0.5, 0.3, 0.1, 0.3, 0.6, 0.1, 0.1, 0.1, 0.6)


def has_reader(name: str) -> None:
    pytest.importorskip("PIL" if name.endswith("avif") else "pi_heif")


def chrm(*corners: float) -> bytes:
    """A cHRM chunk: x and y of red, green and blue; the white is D65."""
    numbers = (0.3127, 0.329, *corners)
    return chunk(b"cHRM", struct.pack(">8I", *(round(n * 100_000) for n in numbers)))


ADOBE_CHUNK = chrm(0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


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


@odd("Stills", "ICC profile of Adobe RGB", "taken", "Adobe RGB, by its numbers, whatever its name.")
def test_adobe_rgb(tmp_path: Path) -> None:
    profile = np.frombuffer(icc(ADOBE, 2.19921875, "A98"), np.uint8)
    path = write_picture(
        tmp_path / "p.png", codes(picture()), ICCProfile=(f"uint8[{len(profile)}]", profile)
    )
    assert guessed(open_clip(path)) == "g22_adobergb_scene"
    assert MatteNode("green-screen").connect(path).color.plate == "Gamma 2.2 Encoded AdobeRGB"


@odd(
    "Stills",
    "An ICC profile of no known space (a monitor, a scanner)",
    "refused",
    "The profile is named; `--colorspace` says what is meant.",
)
def test_unknown_profile(tmp_path: Path) -> None:
    profile = np.frombuffer(icc(ODD, 2.0, "My Scanner"), np.uint8)
    path = write_picture(
        tmp_path / "p.png", codes(picture()), ICCProfile=(f"uint8[{len(profile)}]", profile)
    )
    run(tmp_path / "a", path).refused("My Scanner", "--colorspace")
    assert run(tmp_path / "b", path, "--colorspace", "srgb_tx").code == 0


@odd("Stills", "HEIC of a phone, AVIF, with a reader (pi-heif, Pillow)", "taken", "As shown.")
@pytest.mark.parametrize("name", ["photo.heic", "ten.heic", "photo.avif", "turned.avif"])
def test_heic(tmp_path: Path, name: str) -> None:
    has_reader(name)
    ran = run(tmp_path, HERE / "heif" / name)
    assert ran.code == 0, ran.said
    assert "(by its tag)" in ran.said
    is_subject(ran.frame(1))


@odd("Stills", "HEIC with the profile of Display P3", "taken", "Display P3.")
def test_heic_p3(tmp_path: Path) -> None:
    has_reader("p3.heic")
    assert open_clip(HERE / "heif" / "p3.heic").colorspace == "srgb_p3d65_scene"
    is_subject(run(tmp_path, HERE / "heif" / "p3.heic").frame(1))


@odd("Stills", "HEIC of HLG", "refused", "Named; `--colorspace` says what is meant.")
def test_heic_hlg(tmp_path: Path) -> None:
    has_reader("hlg.heic")
    run(tmp_path, HERE / "heif" / "hlg.heic").refused("hlg", "--colorspace")


@odd("Stills", "HEIC, AVIF, without a reader", "refused", "What to install, or to convert with.")
@pytest.mark.parametrize(("name", "reader"), [("a.heic", "pi-heif"), ("a.avif", "pillow>=11.3")])
def test_heic_without_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reader: str
) -> None:
    for module in ("pi_heif", "pillow_heif", "PIL.Image", "PIL.features"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes((HERE / "heif" / f"photo{Path(name).suffix}").read_bytes())
    run(tmp_path / "o", tmp_path / name).refused("pip install", reader, "PNG")


@pytest.mark.parametrize("name", ["photo.heic", "photo.avif"])
@pytest.mark.parametrize("how", ["cut", "empty", "zeros"])
def test_damaged_heic(tmp_path: Path, name: str, how: str) -> None:
    has_reader(name)
    whole = (HERE / "heif" / name).read_bytes()
    spoilt = {"cut": whole[: len(whole) // 2], "empty": b"", "zeros": whole[:40] + bytes(400)}[how]
    (tmp_path / name).write_bytes(spoilt)
    run(tmp_path / "o", tmp_path / name).refused(name)


@odd("Stills", "A still PNG, GIF and WebP", "taken", "One frame.")
@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.webp"])
def test_still_that_could_be_animated(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, codes(picture()))
    clip = open_clip(tmp_path / name)
    assert list(clip.frames) == [1]
    assert not clip.is_movie


@odd("Stills", "A sequence whose files say different colour spaces", "said", "As the first file.")
def test_mixed_profiles(tmp_path: Path) -> None:
    profile = np.frombuffer(icc(ADOBE, 2.19921875, "A98"), np.uint8)
    write_picture(tmp_path / "p.1.png", codes(picture()))
    write_picture(tmp_path / "p.2.png", codes(picture(1)),
                  ICCProfile=(f"uint8[{len(profile)}]", profile))  # fmt: skip
    assert "all frames are taken as frame 1" in run(tmp_path / "o", tmp_path / "p.#.png").said


@odd(
    "Stills",
    "gAMA of 1/1.8, of 1/2.2, of no known curve",
    "taken",
    "The curve; one that is not known is refused.",
)
@pytest.mark.parametrize(("gamma", "space"), [(1.8, "g18"), (2.2, "g22"), (3.1, "")])
def test_gama_chunks(tmp_path: Path, gamma: float, space: str) -> None:
    import zlib

    write_image(tmp_path / "a.png", codes(picture()))
    data = (tmp_path / "a.png").read_bytes()
    body = b"gAMA" + struct.pack(">I", round(100_000 / gamma))
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    plain = b"\x89PNG\r\n\x1a\n"
    at, kept = 8, b""
    while at < len(data):  # whatever the writer says of colours is left out
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] not in (b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"cICP"):
            kept += data[at : at + 12 + size]
            kept += chunk if data[at + 4 : at + 8] == b"IHDR" else b""
        at += 12 + size
    (tmp_path / "a.png").write_bytes(plain + kept)
    if space:
        assert guessed(open_clip(tmp_path / "a.png")).startswith(space)
        assert run(tmp_path / "o", tmp_path / "a.png").code == 0
    else:
        run(tmp_path / "o", tmp_path / "a.png").refused("--colorspace")


@odd("Stills", "A TIFF of several pages", "said", "The first page.")
def test_pages(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(64, 48, 3, oiio.UINT8)
    output = oiio.ImageOutput.create(str(tmp_path / "p.tif"))
    assert output.open(str(tmp_path / "p.tif"), (spec, spec, spec)), output.geterror()
    for n in range(3):
        if n:
            assert output.open(str(tmp_path / "p.tif"), spec, "AppendSubimage")
        assert output.write_image(codes(picture(n)))
    output.close()
    ran = run(tmp_path / "o", tmp_path / "p.tif")
    is_subject(ran.frame(1), 0)
    assert "pages" in ran.said
    run(tmp_path / "q", tmp_path / "p.tif", "--strict").refused("pages")


@odd("Stills", "Negative and mixed numbers (-2, -1, 0, 7, 10)", "taken", "By number.")
def test_negative_numbers(tmp_path: Path) -> None:
    for number in ("-002", "-001", "0000", "0007", "0010"):
        write_image(tmp_path / f"p.{number}.png", codes(picture()))
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--missing", "skip", "--frames", "-2-7")
    assert ran.code == 0, ran.said
    assert ran.frames == [-2, -1, 0, 7]


@odd("Stills", "One frame under two spellings (p.1.png, p.0001.png)", "refused", "Both are named.")
def test_two_spellings(tmp_path: Path) -> None:
    for name in ("p.1.png", "p.0001.png", "p.0002.png"):
        write_image(tmp_path / name, codes(picture()))
    run(tmp_path / "o", tmp_path / "p.####.png").refused("p.1.png", "p.0001.png")


@odd("Stills", "A stray file with a date for its number", "refused", "The gap is named, at once.")
def test_stray_date(tmp_path: Path) -> None:
    for number in ("1", "2", "3", "20261128"):
        write_image(tmp_path / f"p.{number}.png", codes(picture()))
    began = time.monotonic()
    run(tmp_path / "o", tmp_path / "p.#.png").refused("4-20261127")
    assert time.monotonic() - began < 30


@odd("Stills", "Floats that hold codes (0 to 255)", "refused", "Give integers, or divide.")
@pytest.mark.parametrize("name", ["p.exr", "p.tif", "p.npy"])
def test_codes_as_floats(tmp_path: Path, name: str) -> None:
    ramp = codes(picture())
    ramp[0, :, 0] = np.arange(64)
    values = ramp.astype(np.float32)
    if name == "p.npy":
        np.save(tmp_path / name, values)
    else:
        write_as_is(tmp_path / name, values)
    run(tmp_path / "o", tmp_path / name).refused("whole numbers", "divide by 255")


@odd(
    "Stills", "Integers of 32 bits (TIFF)", "taken", "As 16 bits; small codes of a picture refused."
)
@pytest.mark.parametrize("kind", [np.uint32, np.int32])
def test_integers_of_32_bits(tmp_path: Path, kind: type) -> None:
    full = picture().clip(0, 1) * np.float64(np.iinfo(kind).max)
    write_as_is(tmp_path / "p.tif", full.astype(kind))
    write_image(tmp_path / "q.png", codes(picture()))
    wide, narrow = run(tmp_path / "a", tmp_path / "p.tif"), run(tmp_path / "b", tmp_path / "q.png")
    is_subject(wide.frame(1))
    assert np.abs(wide.frame(1)["fg.R"] - narrow.frame(1)["fg.R"]).max() < 0.02
    write_as_is(tmp_path / "small.tif", codes(picture()).astype(kind))
    run(tmp_path / "c", tmp_path / "small.tif").refused("32 bits", "8 or 16 bits")
    write_as_is(tmp_path / "m.tif", mask()[..., None].astype(kind))
    flags = ("--segmentation", tmp_path / "m.tif", "--segmentation-use", "garbage")
    ran = run(tmp_path / "d", tmp_path / "q.png", *flags)
    is_subject(ran.frame(1))
    assert "labels" in ran.said


@odd("Stills", "PNG with the primaries of another space (cHRM)", "taken", "That space.")
@pytest.mark.parametrize(
    ("chunks", "space"),
    [
        ((gama(1 / 2.2), ADOBE_CHUNK), "g22_adobergb_scene"),
        ((gama(1), ADOBE_CHUNK), "lin_adobergb_scene"),
        ((P3,), "srgb_p3d65_scene"),
        ((chunk(b"sRGB", b"\0"), gama(1 / 2.2), ADOBE_CHUNK), "srgb_tx"),
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
    adobe = icc(ADOBE, 2.19921875, "A98")
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
