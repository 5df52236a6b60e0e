# SPDX-License-Identifier: Apache-2.0
"""Inputs that people reported elsewhere, each with its right value. The files lie beside this."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from matte_nodes.errors import ColorError, MatteError, MediaError
from matte_nodes.media.clip import open_clip
from matte_nodes.shot.bind import guessed
from tests.faults.rig import HERE, SUBJECT, is_subject, marker, odd, picture, run
from tests.made import write_image


@odd("Stills", "Animated GIF", "taken", "All its frames, as a movie.")
@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_animated_stills(tmp_path: Path, name: str) -> None:
    ran = run(tmp_path / "out", HERE / "animated_stills" / name)
    assert ran.code == 0, ran.said
    assert ran.frames == [1, 2, 3, 4]
    for number in ran.frames:
        assert marker(ran.frame(number)["A"]) == number - 1


@odd(
    "EXR",
    "A Cryptomatte manifest in the header",
    "taken",
    "Left behind: its channels are not in the matte.",
)
def test_cryptomatte_metadata(tmp_path: Path) -> None:
    manifest = "{" + ",".join(f'"obj{n:06d}":"{n:08x}"' for n in range(100_000)) + "}"
    write_image(
        tmp_path / "plate.1001.exr",
        picture().astype(np.float16),
        **{
            "cryptomatte/f834d0a/name": "crypto_object",
            "cryptomatte/f834d0a/manifest": manifest,
            "camera/lens": "50 mm",
        },
    )
    ran = run(tmp_path / "out", tmp_path / "plate.####.exr")
    is_subject(ran.frame(1001))
    facts = ran.facts(1001)
    assert not [name for name in facts if "crypto" in name.lower()]
    assert facts["camera/lens"] == "50 mm"
    assert (tmp_path / "out" / "out.1001.exr").stat().st_size < 20_000


LAYERS = HERE / "hint_in_named_layer"


@odd(
    "Hints",
    "An EXR mask beside a picture (RGB + Object_0.Y + Object_1.Y)",
    "refused",
    "The layers are listed; `--segmentation-layer` names one.",
)
def test_hint_with_two_candidates(tmp_path: Path) -> None:
    flags = ("--segmentation-use", "garbage", "--segmentation", LAYERS / "mask.####.exr")
    run(tmp_path / "a", LAYERS / "plate.####.exr", *flags).refused(
        "Object_0.Y", "Object_1.Y", "--segmentation-layer"
    )
    named = run(
        tmp_path / "b", LAYERS / "plate.####.exr", *flags, "--segmentation-layer", "Object_0"
    )
    is_subject(named.frame(1001))


@odd("Hints", "Nuke's roto: RGBA with A = 1 and mask.a", "refused", "The layers are listed.")
def test_hint_in_named_layer(tmp_path: Path) -> None:
    flags = ("--segmentation-use", "core", "--segmentation", LAYERS / "roto.####.exr")
    refused = run(tmp_path / "a", LAYERS / "plate.####.exr", *flags)
    refused.refused("mask.a", "--segmentation-layer")
    named = run(tmp_path / "b", LAYERS / "plate.####.exr", *flags, "--segmentation-layer", "mask.a")
    is_subject(named.frame(1001))


@odd("Hints", "An EXR that holds one mask under any name", "taken", "That mask.")
def test_hint_only_mask(tmp_path: Path) -> None:
    flags = ("--segmentation-use", "garbage", "--segmentation", LAYERS / "onlymask.####.exr")
    ran = run(tmp_path / "out", LAYERS / "plate.####.exr", *flags)
    is_subject(ran.frame(1001))
    assert "woman_03.A" in ran.said


@odd("Hints", "An EXR with two masks", "refused", "The masks are listed.")
def test_hint_two_masks(tmp_path: Path) -> None:
    flags = ("--segmentation-use", "garbage", "--segmentation", LAYERS / "twomask.####.exr")
    run(tmp_path / "a", LAYERS / "plate.####.exr", *flags).refused("man.A", "woman_03.A")
    named = run(
        tmp_path / "b", LAYERS / "plate.####.exr", *flags, "--segmentation-layer", "woman_03"
    )
    is_subject(named.frame(1001))


NUMBERING = HERE / "hint_numbering"


@odd(
    "Hints",
    "Masks numbered otherwise than the plate",
    "refused",
    "Both ranges are shown; `--hint-offset` lines them up.",
)
@pytest.mark.parametrize("keys", ["exact", "hold", "nearest"])
def test_hint_numbering(tmp_path: Path, keys: str) -> None:
    plate, masks = NUMBERING / "plate.####.exr", NUMBERING / "mask.####.png"
    flags = ("--segmentation", masks, "--segmentation-use", "garbage", "--hint-keys", keys)
    said = run(tmp_path / "a", plate, *flags).refused("0-3", "1001-1004", "--hint-offset")
    assert "hold" not in said
    for offset in ("first", "1001"):
        ran = run(tmp_path / offset, plate, *flags, "--hint-offset", offset)
        assert ran.code == 0, ran.said
        for n in range(4):
            is_subject(ran.frame(1001 + n), n)


@odd(
    "Hints",
    "A mask movie (frames from 1) of the plate's length",
    "said",
    "First to first: a movie has no numbers of its own.",
)
@pytest.mark.parametrize(
    ("plate", "mask", "first"),
    [("plate.####.exr", "mask.mov", 1001), ("plate.mov", "roto.####.png", 1)],
)
def test_hint_numbering_of_movies(tmp_path: Path, plate: str, mask: str, first: int) -> None:
    flags = ("--segmentation", NUMBERING / mask, "--segmentation-use", "garbage")
    ran = run(tmp_path / "out", NUMBERING / plate, *flags)
    assert ran.code == 0, ran.said
    for n in range(4):
        is_subject(ran.frame(first + n), n)
    assert "first frame" in ran.said
    run(tmp_path / "b", NUMBERING / plate, *flags, "--strict").refused("first frame")


@odd(
    "EXR",
    "Three parts with R, G, B (Houdini: N, albedo, C)",
    "taken",
    "The part that is the picture by its name (C); others by `--layer`.",
)
def test_houdini_parts(tmp_path: Path) -> None:
    ran = run(tmp_path / "out", HERE / "houdini_parts_N_first" / "plate.####.exr")
    assert ran.code == 0, ran.said
    for n in range(3):
        is_subject(ran.frame(1001 + n), n)
    assert "C of" in ran.said


@odd("Movies", "Interlaced", "said", "Taken as whole frames, with a warning; `--strict` refuses.")
@pytest.mark.parametrize("name", ["tff.mov", "x264.mp4"])
def test_interlaced(tmp_path: Path, name: str) -> None:
    ran = run(tmp_path / "out", HERE / "interlaced" / name)
    assert ran.code == 0
    assert "interlaced" in ran.said
    movie = run(tmp_path / "c", HERE / "interlaced" / name, output="out.mov")
    assert movie.code == 0
    with av.open(str(movie.folder / "out.mov")) as container:
        assert container.streams.video[0].codec_context.field_order in (2, 4)
    run(tmp_path / "b", HERE / "interlaced" / name, "--strict").refused("interlaced")


LABELS = HERE / "label_masks"


@odd("Hints", "Label and palette masks (DAVIS, 0/1)", "said", "Every label above 0 is the subject.")
@pytest.mark.parametrize("name", ["davis.png", "davis_obj2.png", "label01.png"])
def test_label_masks(tmp_path: Path, name: str) -> None:
    ran = run(
        tmp_path / "out", LABELS / "rgba.png", "--segmentation", LABELS / name,
        "--segmentation-use", "core",
    )  # fmt: skip
    assert ran.code == 0, ran.said
    is_subject(ran.frame(1))
    assert "label" in ran.said


@odd(
    "Movies",
    "Frames with equal times (Matroska counts in milliseconds)",
    "taken",
    "Every frame, in the order of the file.",
)
@pytest.mark.parametrize("name", ["dup.mkv", "hs1200.mkv", "hs2000.mkv", "hs2000.mov"])
def test_movie_equal_times(tmp_path: Path, name: str) -> None:
    clip = open_clip(HERE / "movie_equal_times" / name)
    assert len(clip.frames) == 6
    straight = {n: clip.read(n).pixels for n in clip.frames}
    clip.close()
    for n in (6, 3, 5, 1, 4, 2, 2, 6):
        assert np.array_equal(clip.read(n).pixels, straight[n])
    for n, pixels in straight.items():
        columns = np.nonzero(pixels[12, 30:].min(axis=-1) > pixels.max() // 2)[0]
        assert (columns[0] - 4) // 2 == n - 1


@odd("Movies", "Our own FFV1 at 2000 frames a second", "taken", "All frames come back.")
def test_own_movie_at_2000(tmp_path: Path) -> None:
    ran = run(tmp_path, HERE / "movie_equal_times" / "hs2000.mov", output="out.mkv")
    assert ran.code == 0, ran.said
    clip = open_clip(tmp_path / "out.mkv")
    assert len(clip.frames) == 6
    for n in (4, 2, 6, 1, 5, 3):
        assert marker(clip.read(n).floats()[..., 3]) == n - 1


@odd("Movies", "A display matrix with a mirror", "taken", "Shown as players show it.")
@pytest.mark.parametrize("name", ["hflip", "vflip", "rot90hflip"])
def test_movie_mirrored(tmp_path: Path, name: str) -> None:
    upright = {
        "hflip": lambda alpha: alpha[:, ::-1],
        "vflip": lambda alpha: alpha[::-1],
        "rot90hflip": lambda alpha: alpha.T[::-1, ::-1],
    }[name]
    ran = run(tmp_path / "out", HERE / "movie_mirrored" / f"{name}.mp4")
    assert ran.code == 0, ran.said
    for number in ran.frames:
        alpha = ran.frame(number)["A"]
        turned = upright(alpha)
        if name == "rot90hflip" and turned[12, 6:14].sum() != 8:
            turned = alpha.T
        assert marker(turned) == number - 1
        assert turned.sum() == SUBJECT


TAGS = HERE / "movie_transfer_tags"


@odd("Movies", "Tagged gamma 2.2", "taken", "Gamma 2.2, as the tag says.")
@pytest.mark.parametrize("name", ["bt470m.mkv", "prores_g22.mov"])
def test_movie_gamma(name: str) -> None:
    clip = open_clip(TAGS / name)
    assert guessed(clip) == "g22_rec709"
    from matte_nodes.color import PlateColor

    color = PlateColor("g22_rec709")
    codes = np.full((1, 1, 3), 0.8, np.float32)
    assert color.to_working(codes)[0, 0] == pytest.approx(0.612, abs=2e-3)


@odd("Movies", "Tagged gamma 2.8, film log, SMPTE 428", "refused", "Name it: `--colorspace`.")
@pytest.mark.parametrize("name", ["bt470bg.mkv", "log100.mkv", "smpte428.mkv"])
def test_movie_unknown_transfer(tmp_path: Path, name: str) -> None:
    run(tmp_path / "a", TAGS / name).refused("--colorspace")
    with pytest.raises(ColorError):
        guessed(open_clip(TAGS / name))
    assert run(tmp_path / "b", TAGS / name, "--colorspace", "g22_rec709").code == 0


@odd("Movies", "Trimmed by an edit list (QuickTime, iPhone)", "taken", "The frames that are shown.")
@pytest.mark.parametrize(
    ("name", "markers"),
    [
        ("tail.mov", range(6)),
        ("tail.mp4", range(6)),
        ("pr_tail.mov", range(6)),
        ("pr_middle.mov", range(2, 7)),
    ],
)
def test_movie_trimmed(tmp_path: Path, name: str, markers: range) -> None:
    ran = run(tmp_path / "out", HERE / "movie_trimmed" / name)
    assert ran.code == 0, ran.said
    assert [marker(ran.frame(n)["A"]) for n in ran.frames] == list(markers)
    clip = open_clip(HERE / "movie_trimmed" / name)
    straight = [clip.read(n).pixels for n in clip.frames]
    clip.close()
    for n in (*reversed(clip.frames), 3, 1):
        assert np.array_equal(clip.read(n).pixels, straight[n - 1])


@odd(
    "EXR",
    "Only named layers (Blender's ViewLayer.Combined)",
    "taken",
    "The one picture in it; `--layer` names another.",
)
def test_named_layers_only(tmp_path: Path) -> None:
    plate = HERE / "named_layers_only" / "plate.####.exr"
    for flags in ((), ("--layer", "ViewLayer.Combined")):
        ran = run(tmp_path / str(len(flags)), plate, *flags)
        assert ran.code == 0, ran.said
        for n in range(3):
            is_subject(ran.frame(1001 + n), n)
        assert "ViewLayer.Combined" in ran.said
    run(tmp_path / "c", plate, "--layer", "rgba").refused("ViewLayer.Combined")


@odd("Stills", "Names typed composed, files named decomposed (macOS)", "taken", "Found.")
def test_names(tmp_path: Path) -> None:
    for n in range(3):
        name = unicodedata.normalize("NFD", f"prise_\u00e9.{1001 + n}.png")
        write_image(tmp_path / name, (picture(n) * 255).round().astype(np.uint8))
    ran = run(tmp_path / "out", tmp_path / "prise_\u00e9.####.png")
    assert ran.frames == [1001, 1002, 1003], ran.said
    one = unicodedata.normalize("NFC", "prise_\u00e9.1002.png")
    assert run(tmp_path / "one", tmp_path / one).code == 0


@odd("Stills", "A file name with a # that is no frame number (x #2.png)", "taken", "Kept as it is.")
def test_number_sign_in_a_name(tmp_path: Path) -> None:
    plate = LABELS / "rgba.png"
    run(tmp_path, plate, output="x #2.png")
    assert (tmp_path / "x #2.png").is_file()


PROFILES = HERE / "picture_icc_cicp_gama"


@odd("Stills", "ICC profile or cICP of Display P3", "taken", "Taken as Display P3.")
@pytest.mark.parametrize("name", ["p3.jpg", "p3.png", "p3.tif", "cicp_p3.png"])
def test_display_p3(tmp_path: Path, name: str) -> None:
    from matte_nodes.color import PlateColor

    space = guessed(open_clip(PROFILES / name))
    color = PlateColor(space, output="srgb_tx")
    red = np.array([[[204, 38, 26]]], np.uint8)
    shown = color.to_output(color.to_working(red))[0, 0] * 255
    assert shown[0] == pytest.approx(223, abs=1.5)
    assert max(shown[1:]) < 10
    ran = run(tmp_path / "out", PROFILES / name)
    assert ran.code == 0, ran.said
    assert "P3" in ran.said


@odd("Stills", "cICP of PQ and HLG", "refused", "Named; `--colorspace` says what is meant.")
@pytest.mark.parametrize("name", ["cicp_pq16.png", "cicp_hlg16.png"])
def test_cicp(tmp_path: Path, name: str) -> None:
    run(tmp_path / "out", PROFILES / name).refused("--colorspace")


@odd("Stills", "gAMA 1.0", "taken", "Linear Rec.709.")
def test_gama(tmp_path: Path) -> None:
    assert "lin" in guessed(open_clip(PROFILES / "gama1_16.png"))
    ran = run(tmp_path / "out", PROFILES / "gama1_16.png")
    assert ran.code == 0, ran.said


RANGE = HERE / "segmentation_out_of_range"


@odd("Hints", "A float mask outside 0 to 1", "said", "Clamped, with a warning.")
@pytest.mark.parametrize("use", ["garbage", "core", "bound"])
@pytest.mark.parametrize("name", ["over", "neg", "huge"])
def test_segmentation_out_of_range(tmp_path: Path, name: str, use: str) -> None:
    plate = RANGE / "plate.####.exr"
    flags = ("--segmentation", RANGE / f"{name}.####.exr", "--segmentation-use", use)
    ran = run(tmp_path / "out", plate, *flags)
    assert ran.code == 0, ran.said
    got = ran.frame(1001)
    assert got["A"].min() >= 0
    assert got["A"].max() <= 1
    solid = got["A"] == 1
    for name_ in "RGB":
        assert np.array_equal(got[name_][solid], got[f"fg.{name_}"][solid])
    assert "outside 0 to 1" in ran.said
    run(tmp_path / "b", plate, *flags, "--strict").refused("outside 0 to 1")


@odd(
    "Movies",
    "The rate of a sequence",
    "taken",
    "By `--rate`, by framesPerSecond, by Nuke's metadata; else 24 is said as an assumption.",
)
def test_sequence_rate(tmp_path: Path) -> None:
    folder = HERE / "sequence_rate"
    nuke = run(tmp_path / "a", folder / "nuke.####.exr", output="out.mov")
    told = run(tmp_path / "b", folder / "p.####.png", "--rate", "25", output="out.mov")
    for ran in (nuke, told):
        assert ran.code == 0, ran.said
        with av.open(str(ran.folder / "out.mov")) as container:
            assert container.streams.video[0].average_rate == 25
    untold = run(tmp_path / "c", folder / "p.####.png", output="out.mov")
    assert "24" in untold.said
    strict = ("--strict", "--colorspace", "srgb_tx")
    run(tmp_path / "d", folder / "p.####.png", *strict, output="out.mov").refused("--rate")


@odd(
    "Stills",
    "Two phone photos of one day in a folder",
    "refused",
    "At once: the gap is named, with what to do.",
)
def test_sparse_numbers(tmp_path: Path) -> None:
    said = run(tmp_path / "out", HERE / "sparse_numbers").refused("164931992-171502112")
    assert "one of them" in said or "--missing skip" in said
    for number in ("0001", "1500000000"):
        write_image(tmp_path / f"img.{number}.png", (picture() * 255).astype(np.uint8))
    run(tmp_path / "b", tmp_path / "img.####.png").refused("2-1499999999")
    ran = run(tmp_path / "c", tmp_path / "img.####.png", "--missing", "skip")
    assert ran.frames == [1, 1500000000], ran.said


@odd(
    "Movies",
    "Codes above white (limited range)",
    "taken",
    "Kept: in the foreground and in a movie that is written.",
)
@pytest.mark.parametrize(
    ("name", "white"),
    [("ffv1.mkv", 1.19), ("hevc.mp4", 1.19), ("prores.mov", 1.19), ("xavc8.mp4", 1.18)],
)
def test_super_white(tmp_path: Path, name: str, white: float) -> None:
    ran = run(tmp_path / "out", HERE / "super_white" / name)
    assert ran.code == 0, ran.said
    got = ran.frame(1)
    at = got["fg.G"][12, 35]
    assert at == pytest.approx(white, abs=0.01)
    movie = run(tmp_path / "movie", HERE / "super_white" / name, output="out.mov")
    assert movie.code == 0, movie.said
    with av.open(str(tmp_path / "movie" / "out.mov")) as container:
        first = next(container.decode(video=0))
    luma = np.frombuffer(first.planes[0], "<u2").reshape(48, -1)[12, 35] / 4
    codes = 1019 if name != "xavc8.mp4" else 1016
    assert luma == pytest.approx(codes, abs=2)
    # FFV1 too, which is RGB where no code can lie above white.
    kept = run(tmp_path / "lossless", HERE / "super_white" / name, output="out.mkv")
    assert kept.code == 0, kept.said
    assert "clipped" not in kept.said
    with av.open(str(tmp_path / "lossless" / "out.mkv")) as container:
        first = next(container.decode(video=0))
    luma = np.frombuffer(first.planes[0], "<u2").reshape(48, -1)[12, 35] / 64
    assert luma == pytest.approx(codes, abs=0.5)
    again = run(tmp_path / "again", tmp_path / "lossless" / "out.mkv")
    assert again.frame(1)["fg.G"][12, 35] == pytest.approx(white, abs=0.01)


@odd(
    "Movies",
    "A plate brighter than white, written as a movie",
    "said",
    "Clipped at what the movie's codes hold; the first such frame is named.",
)
@pytest.mark.parametrize("output", ["out.mov", "out.mkv"])
def test_brighter_than_a_movie(tmp_path: Path, output: str) -> None:
    bright = (picture() ** 2.2).astype(np.float16)
    bright[8:16, 34:38] = 6
    write_image(tmp_path / "p.exr", bright)
    ran = run(tmp_path / "out", tmp_path / "p.exr", output=output)
    assert ran.code == 0, ran.said
    assert "clipped" in ran.said
    assert "frame 1 " in ran.said


TRIMAPS = HERE / "trimap_without_foreground"


@odd(
    "Hints",
    "A trimap without foreground, of one value, coded in labels or colours",
    "refused",
    "What is missing is named.",
)
@pytest.mark.parametrize("name", ["black", "white", "grey", "nofg", "label012", "rgbcoded"])
def test_trimap_without_foreground(tmp_path: Path, name: str) -> None:
    ran = run(tmp_path, TRIMAPS / "plate.png", "--trimap", TRIMAPS / f"{name}.png")
    assert ran.code == 3, ran.said
    assert "trimap" in ran.said
    assert any(word in ran.said for word in ("no foreground", "no background", "colour", "label"))


@odd("Hints", "A trimap without background", "said", "Warned of: a close-up may have none.")
def test_trimap_without_background(tmp_path: Path) -> None:
    flags = ("--trimap", TRIMAPS / "nobg.png")
    ran = run(tmp_path / "a", TRIMAPS / "plate.png", *flags)
    assert "no background" in ran.said
    run(tmp_path / "b", TRIMAPS / "plate.png", *flags, "--strict").refused("no background")


@odd("Movies", "Unknown extensions", "taken", "Tried as a picture, then as a movie.")
@pytest.mark.parametrize("name", ["a.3gp", "a.flv", "a.wmv", "a.y4m"])
def test_unknown_extensions(tmp_path: Path, name: str) -> None:
    ran = run(tmp_path / "out", HERE / "unknown_extensions" / name)
    assert ran.code == 0, ran.said
    assert len(ran.frames) == 6
    clip = open_clip(HERE / "unknown_extensions" / name)
    for n in clip.frames:  # lossy: the middle of the marker is looked at
        bright = clip.read(n).floats()[12, 30:].min(axis=-1) > 0.6
        assert np.nonzero(bright)[0].mean() + 30 == pytest.approx(33.5 + 2 * n, abs=0.6)


@odd("Movies", "DV of a camera (a.dv)", "taken", "Its frames, with its pixel aspect.")
def test_dv(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.dv"), "w", format="dv") as container:
        stream: Any = container.add_stream("dvvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for n in range(3):
            codes = (picture(n) * 255).astype(np.uint8)
            large = cv2.resize(codes, (720, 576), interpolation=cv2.INTER_NEAREST)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
        container.mux(stream.encode(None))
    ran = run(tmp_path / "out", tmp_path / "a.dv")
    assert ran.frames == [1, 2, 3], ran.said
    for n in (1, 2, 3):
        alpha = ran.frame(n)["A"]
        assert alpha.shape == (576, 720)
        assert alpha[120:440, 80:150].min() == 1  # the bar
        assert alpha[500:, 400:].max() == 0  # the screen
        left = round((34 + 2 * (n - 1)) * 11.25)
        assert alpha[100:180, left + 4 : left + 40].min() > 0.9  # the marker, where frame n has it


def test_every_input_is_in_a_test() -> None:
    text = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    inputs = [path for path in sorted(HERE.glob("*/*.*")) if path.parent.name != "__pycache__"]
    unused = [f"{path.parent.name}/{path.name}" for path in inputs if path.parent.name not in text]
    assert not unused
    files = {
        re.sub(r"\.\d{4}\.", ".####.", path.name)
        for path in inputs
        if path.suffix != ".jpg" or path.parent.name != "sparse_numbers"
    }
    named = {name for name in files if name in text or f'"{name.partition(".")[0]}"' in text}
    assert files - named == set()


@odd("Movies", "A text file, or nothing that can be read", "refused", "Both readers are named.")
def test_neither_picture_nor_movie(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("this is a text")
    said = run(tmp_path / "out", tmp_path / "a.xyz").refused("picture", "movie")
    assert "Traceback" not in said
    with pytest.raises(MediaError):
        open_clip(tmp_path / "a.xyz")
    assert issubclass(MediaError, MatteError)
