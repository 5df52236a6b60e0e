# SPDX-License-Identifier: Apache-2.0
"""Movies out: ProRes 4444 and FFV1, read back: values, alpha, times, tags, time code."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from matte_nodes.errors import OutputError
from matte_nodes.media.clip import open_clip
from matte_nodes.media.image import Rect
from matte_nodes.media.movie_tags import tags_of
from matte_nodes.media.timecode import Timecode
from matte_nodes.media.writers import OutputFrame, Writer, open_writer

from .samples import matte_frame, numbered, write_movie

RATE = Fraction(24000, 1001)


def movie(path: Path, **more: Any) -> Writer:
    options: dict[str, Any] = {"colorspace": "bt709", "provenance": {"model": "toy"}, "rate": RATE}
    return open_writer(path, **{**options, **more})


def patches(frame: int = 1) -> OutputFrame:
    """Flat patches of 16 x 16, as ProRes is lossy inside a block."""
    made = matte_frame(frame, 64, 128)
    random = np.random.default_rng(frame)
    colours = random.random((4, 8, 3), dtype=np.float32)
    colours[0, :4] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]]
    alpha = np.linspace(0, 1, 32, dtype=np.float32).reshape(4, 8).astype(np.float16)
    block = np.ones((16, 16), np.float32)
    return replace(
        made,
        foreground=np.kron(colours, block[..., None]).astype(np.float32),
        alpha=np.kron(alpha.astype(np.float32), block).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("name", "space", "tolerance"),
    [
        ("m.mov", "bt709", 2 / 1023),
        ("m.mov", "bt601", 2 / 1023),
        ("m.mov", "bt2020", 2 / 1023),
        ("m.mkv", "bt709", 0.5 / 65535),
        ("m.mkv", "srgb", 0.5 / 65535),
    ],
)
def test_values_come_back(tmp_path: Path, name: str, space: str, tolerance: float) -> None:
    out = movie(tmp_path / name, colorspace=space)
    frames = [patches(n) for n in (11, 12, 13)]
    for frame in frames:
        assert out.write(frame) == tmp_path / name
    out.close()
    clip = open_clip(tmp_path / name)
    assert clip.rate == RATE
    assert clip.colorspace == space
    for n, frame in enumerate(frames, 1):
        image = clip.read(n)
        assert image.channels == ("R", "G", "B", "A")
        assert image.alpha_associated is False
        assert image.pixels.dtype == np.uint16
        found = image.floats()[8::16, 8::16]
        assert np.abs(found[..., :3] - frame.foreground[8::16, 8::16]).max() <= tolerance
        grain = 0.6 / (1023 if name.endswith("mov") else 65535)
        assert np.abs(image.floats()[..., 3] - frame.alpha).max() <= grain
        assert tuple(found[0, 0, :3]) == (0, 0, 0)
        assert tuple(found[0, 1, :3]) == (1, 1, 1)


def test_codecs_and_tags(tmp_path: Path) -> None:
    for name, codec, form in (("m.mov", "prores", "yuva444p12le"), ("m.mkv", "ffv1", "gbrap16le")):
        out = movie(tmp_path / name, colorspace="pq")
        out.write(patches())
        out.close()
        with av.open(str(tmp_path / name)) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.pix_fmt) == (codec, form)
            assert (context.color_primaries, context.color_trc) == (9, 16)
            assert context.color_range == (1 if codec == "prores" else 2)
            assert not container.streams.audio
            notes = {key.lower(): value for key, value in container.metadata.items()}
        assert notes["matte/model"] == "toy"
        assert notes["matte/association"] == "straight"
        assert notes["matte/colorspace"] == "pq"


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("bt709", (1, 1, 1)),
        ("camera_rec709", (1, 1, 1)),
        ("Rec.1886 Rec.709 - Display", (1, 1, 1)),
        ("bt601", (6, 6, 6)),
        ("srgb_tx", (1, 13, 1)),
        ("sRGB Encoded Rec.709 (sRGB)", (1, 13, 1)),
        ("bt2020", (9, 14, 9)),
        ("Rec.2100-PQ - Display", (9, 16, 9)),
        ("Rec.2100-HLG - Display", (9, 18, 9)),
        ("lin_rec709_scene", (1, 8, 1)),
        ("g22_rec709", (1, 4, 1)),
        ("ACEScg", (2, 8, 1)),
        ("ARRI LogC4", (2, 2, 1)),
        ("S-Log3 S-Gamut3.Cine", (2, 2, 1)),
    ],
)
def test_tags_by_name(name: str, tags: tuple[int, int, int]) -> None:
    found = tags_of(name)
    assert (found.primaries, found.transfer, found.matrix) == tags


def test_a_space_without_tags_is_named(tmp_path: Path) -> None:
    out = movie(tmp_path / "m.mov", colorspace="ARRI LogC4")
    out.write(patches())
    out.close()
    assert open_clip(tmp_path / "m.mov").colorspace == "ARRI LogC4"


def test_variable_times_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 50, 120, 121, 400]
    plate = write_movie(
        tmp_path / "p.mp4", map(numbered, range(1, 7)), "libx264", times=times,
        time_base=Fraction(1, 1000),
    )  # fmt: skip
    clip = open_clip(plate)
    out = movie(tmp_path / "m.mov", rate=clip.rate, like=clip)
    for n in clip.frames:
        out.write(replace(matte_frame(n), source=clip.read(n), window=clip.canvas,
                          alpha=np.ones((48, 64), np.float32),
                          foreground=np.zeros((48, 64, 3), np.float32)))  # fmt: skip
    out.close()
    found = open_clip(tmp_path / "m.mov")
    assert [found.read(n).time for n in found.frames] == pytest.approx([t / 1000 for t in times])


def test_missing_frames_leave_their_time(tmp_path: Path) -> None:
    out = movie(tmp_path / "m.mov", rate=Fraction(24))
    for n in (5, 6, 9):
        out.write(patches(n))
    out.close()
    clip = open_clip(tmp_path / "m.mov")
    assert [clip.read(n).time for n in clip.frames] == pytest.approx([0, 1 / 24, 4 / 24])


@pytest.mark.parametrize("name", ["m.mov", "m.mkv"])
def test_time_code_and_aspect_are_carried(tmp_path: Path, name: str) -> None:
    code = Timecode.parse("10:20:30:12", Fraction(24))
    assert code is not None
    made = patches()
    source = replace(made.source, pixel_aspect=2.0, metadata={"smpte:TimeCode": code.packed()})
    out = movie(tmp_path / name, rate=Fraction(24))
    out.write(replace(made, source=source))
    out.close()
    clip = open_clip(tmp_path / name)
    assert clip.pixel_aspect == 2.0
    words = clip.read(1).metadata["smpte:TimeCode"]
    assert str(Timecode.unpack(words, clip.rate)) == "10:20:30:12"


def test_the_picture_is_the_display_window(tmp_path: Path) -> None:
    frame = matte_frame(1, window=Rect(-8, -8, 48, 40), display=Rect(0, 0, 32, 24))
    out = movie(tmp_path / "m.mkv")
    out.write(frame)
    out.close()
    pixels = open_clip(tmp_path / "m.mkv").read(1).floats()
    assert pixels.shape == (24, 32, 4)
    assert np.abs(pixels[..., 3] - frame.alpha[8:32, 8:40]).max() < 1e-5


def test_odd_sizes(tmp_path: Path) -> None:
    for name in ("m.mov", "m.mkv"):
        out = movie(tmp_path / name)
        out.write(matte_frame(1, 7, 5))
        out.close()
        assert open_clip(tmp_path / name).read(1).pixels.shape == (7, 5, 4)


def test_values_outside_are_clipped(tmp_path: Path) -> None:
    frame = patches()
    frame.foreground[:16, :16] = 7
    frame.foreground[:16, 16:32] = -2
    out = movie(tmp_path / "m.mov")
    out.write(frame)
    out.close()
    pixels = open_clip(tmp_path / "m.mov").read(1).pixels
    assert pixels[8, 8, :3].min() == pytest.approx(1.09, abs=2e-3)
    assert pixels[8, 24, :3].max() == pytest.approx(-0.068, abs=2e-3)


def test_nothing_appears_before_close_or_after_abort(tmp_path: Path) -> None:
    out = movie(tmp_path / "m.mov")
    assert out.ordered
    out.write(patches(1))
    assert not out.exists(1)
    assert [p.suffix for p in tmp_path.iterdir()] == [".tmp"]
    out.abort()
    assert list(tmp_path.iterdir()) == []
    out.close()
    assert list(tmp_path.iterdir()) == []


def test_frames_must_ascend_and_keep_their_size(tmp_path: Path) -> None:
    for second in (patches(3), patches(2), matte_frame(4, 8, 8)):
        out = movie(tmp_path / "m.mov")
        out.write(patches(3))
        with pytest.raises(OutputError, match=r"in ascending order|is 8x8"):
            out.write(second)
        assert list(tmp_path.iterdir()) == []


def test_overwrite(tmp_path: Path) -> None:
    (tmp_path / "m.mov").write_bytes(b"old")
    with pytest.raises(OutputError, match="already there"):
        movie(tmp_path / "m.mov", overwrite=False)
    out = movie(tmp_path / "m.mov")
    out.write(patches())
    assert (tmp_path / "m.mov").read_bytes() == b"old"
    out.close()
    assert len(open_clip(tmp_path / "m.mov").frames) == 1


@pytest.mark.parametrize(
    ("text", "rate", "later", "expected"),
    [
        ("00:00:59:23", Fraction(24), 1, "00:01:00:00"),
        ("23:59:59:24", Fraction(25), 1, "00:00:00:00"),
        ("00:00:59;29", Fraction(30000, 1001), 1, "00:01:00;02"),
        ("00:09:59;29", Fraction(30000, 1001), 1, "00:10:00;00"),
        ("00:00:00;00", Fraction(30000, 1001), 17982, "00:10:00;00"),
        ("00:00:00;00", Fraction(30000, 1001), 107892, "01:00:00;00"),
        ("00:00:59;59", Fraction(60000, 1001), 1, "00:01:00;04"),
        ("01:00:00:50", Fraction(60), 9, "01:00:00:59"),
    ],
)
def test_time_code_arithmetic(text: str, rate: Fraction, later: int, expected: str) -> None:
    code = Timecode.parse(text, rate)
    assert code is not None
    assert str(code) == text
    assert str(code.plus(later)) == expected
    assert Timecode.unpack(code.packed(), rate) == code


@pytest.mark.parametrize("text", ["", "1:2:3", "00:00:61:00", "00:00:00:24", "nonsense"])
def test_what_is_no_time_code(text: str) -> None:
    assert Timecode.parse(text, Fraction(24)) is None
    assert Timecode.parse("00:00:00:00", None) is None
