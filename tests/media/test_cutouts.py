# SPDX-License-Identifier: Apache-2.0
"""Cut-outs: pictures and movies with transparency, or over something, that open anywhere."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from matte_nodes.errors import InputError, OutputError, UsageError
from matte_nodes.media import finish
from matte_nodes.media.finish import Finish
from matte_nodes.media.metadata import own_attributes
from matte_nodes.media.writers import check_name
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from tests.made import write_image, write_movie

HEIGHT, WIDTH = 72, 96


class Count(Quiet):
    """Counts the frames that were made."""

    def __init__(self) -> None:
        self.frames: list[int] = []

    def start(self, total: int, **facts: Any) -> None:
        """Nothing."""

    def frame(self, frame: int, path: Path) -> None:
        """One more."""
        self.frames.append(frame)

    def done(self, output: str) -> None:
        """Nothing."""


def green_plate(shift: int = 0, kind: type = np.uint8) -> NDArray[Any]:
    """A red disc with a soft edge before a green screen, (H, W, 3)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    alpha = np.clip((24 - np.hypot(y - 34, x - 44 - shift)) / 3, 0, 1)[..., None]
    front = np.array([0.8, 0.3, 0.2], np.float32) + 0.1 * np.sin(x / 5)[..., None]
    mixed = front * alpha + np.array([0.1, 0.75, 0.2], np.float32) * (1 - alpha)
    return np.rint(mixed * np.iinfo(kind).max).astype(kind)


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    """A still of 8 bits."""
    write_image(tmp_path / "plate.png", green_plate())
    return tmp_path / "plate.png"


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Eight frames a thirtieth of a second apart, without sound."""
    write_movie(tmp_path / "plate.mkv", [green_plate(2 * n) for n in range(8)], rate=30)
    return tmp_path / "plate.mkv"


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """30 frames in one second, with a second of sound whose loudness rises."""
    path = tmp_path / "spoken.mp4"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=30)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", 48000, layout="mono")
        for number in range(30):
            picture = av.VideoFrame.from_ndarray(green_plate(number // 4), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 30)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        time = np.arange(48000, dtype=np.float32) / 48000
        wave = (np.sin(2 * np.pi * 440 * time) * 0.5 * (time >= 0.5))[None]
        samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = 48000, 0, Fraction(1, 48000)
        fifo = av.AudioFifo()
        fifo.write(samples)
        while part := fifo.read(1024, partial=True):
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path


def run(source: Path, output: Path, first: int | None = None, last: int | None = None,
        **more: Any) -> list[int]:  # fmt: skip
    """Matte by the green screen; returns the frames that were made."""
    count = Count()
    render = Render(
        str(source),
        str(output),
        "green-screen",
        knobs={},
        node={"device": "cpu"},
        **{"connect": {}, **more},
    )
    render.run(first, last, count)
    return count.frames


def stored(path: Path) -> NDArray[Any]:
    """The codes of a picture as they are stored, RGB or RGBA."""
    if path.suffix == ".tif":  # OpenCV multiplies them by alpha
        straight = oiio.ImageSpec()
        straight.attribute("oiio:UnassociatedAlpha", 1)
        source = oiio.ImageInput.open(str(path), straight)
        return np.asarray(source.read_image("uint8"))
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found[..., [2, 1, 0, 3][: found.shape[2]]]


def pictures(path: Path, decoder: str = "") -> list[NDArray[np.uint8]]:
    """The frames of a movie as RGBA."""
    with av.open(str(path)) as container:
        context: Any = av.CodecContext.create(decoder, "r") if decoder else None
        frames = (
            frame for packet in container.demux(video=0)
            for frame in (packet.decode() if context is None else context.decode(packet))
        )  # fmt: skip
        return [frame.to_ndarray(format="rgba") for frame in frames]


def sound_of(path: Path) -> NDArray[np.float32] | None:
    """The first channel of a movie's sound, 48 kHz; None when it has none."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        resampler = av.AudioResampler("fltp", "mono", 48000)
        parts = [
            part.to_ndarray()
            for frame in container.decode(audio=0)
            for part in resampler.resample(frame)
        ]
    return np.concatenate(parts, axis=1)[0]


def test_a_png_named_alone_is_a_straight_cut_out_encoded_as_the_plate(plate: Path) -> None:
    output = plate.with_name("cut.png")
    run(plate, output)
    found, given = stored(output), green_plate()
    assert found.shape == (HEIGHT, WIDTH, 4)
    assert found.dtype == np.uint8
    solid, empty = found[..., 3] == 255, found[..., 3] == 0
    assert solid.sum() > 900
    assert empty.sum() > 3000
    assert np.array_equal(found[solid][:, :3], given[solid])
    assert not found[empty].any()
    soft = ~solid & ~empty
    alpha = found[soft][:, 3:] / 255.0
    over = found[soft][:, :3] * alpha + (np.array([0.1, 0.75, 0.2]) * 255) * (1 - alpha)
    assert np.abs(over - given[soft]).mean() < 20  # straight colour, not black, not premultiplied


def test_a_png_of_a_16_bit_plate_has_16_bits(tmp_path: Path) -> None:
    write_image(tmp_path / "deep.png", green_plate(kind=np.uint16))
    run(tmp_path / "deep.png", tmp_path / "cut.png")
    assert stored(tmp_path / "cut.png").dtype == np.uint16
    run(tmp_path / "deep.png", tmp_path / "eight.png", bits=8)
    assert stored(tmp_path / "eight.png").dtype == np.uint8


def test_a_linear_plate_s_cut_out_is_encoded_for_a_screen(tmp_path: Path) -> None:
    linear = (green_plate() / 255.0) ** 2.2
    write_image(tmp_path / "plate.exr", linear.astype(np.float16))
    run(tmp_path / "plate.exr", tmp_path / "cut.png", bits=8, connect={"colorspace": "lin_rec709"})
    found = stored(tmp_path / "cut.png")
    solid = found[..., 3] == 255
    assert np.abs(found[solid][:, :3].astype(int) - green_plate()[solid]).max() <= 8


def test_numbered_pngs_stay_mattes(movie: Path) -> None:
    run(movie, movie.with_name("matte.####.png"), 1, 2)
    found = cv2.imread(str(movie.with_name("matte.0001.png")), cv2.IMREAD_UNCHANGED)
    assert found is not None
    assert found.ndim == 2
    assert found.dtype == np.uint16
    run(movie, movie.with_name("cut.####.png"), 1, 2, layout="cutout")
    assert stored(movie.with_name("cut.0002.png")).shape[2] == 4


def test_webp_has_exact_alpha_and_near_colours(plate: Path) -> None:
    run(plate, plate.with_name("cut.webp"))
    run(plate, plate.with_name("cut.png"))
    lossy, exact = stored(plate.with_name("cut.webp")), stored(plate.with_name("cut.png"))
    assert np.array_equal(lossy[..., 3], exact[..., 3])
    solid = exact[..., 3] > 0
    assert np.abs(lossy[solid][:, :3].astype(int) - exact[solid][:, :3]).mean() < 6


@pytest.mark.parametrize("name", ["cut.png", "cut.webp", "cut.tif", "look.jpg"])
def test_a_second_run_does_nothing_and_the_file_says_what_made_it(plate: Path, name: str) -> None:
    more = {"over": "white"} if name.endswith("jpg") else {}
    output = plate.with_name(name)
    assert run(plate, output, **more) == [1]
    assert run(plate, output, **more) == []
    facts = own_attributes(output)
    assert facts["matte/model"] == "green-screen"
    assert facts["matte/association"] == ("none" if more else "straight")
    assert run(plate, output, over="#ff8000") == [1]  # another picture: made anew


def test_a_tiff_is_rgba_and_straight(plate: Path) -> None:
    run(plate, plate.with_name("cut.tif"))
    run(plate, plate.with_name("cut.png"))
    assert np.array_equal(stored(plate.with_name("cut.tif")), stored(plate.with_name("cut.png")))


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_what_has_no_transparency_asks_what_to_put_it_over(name: str) -> None:
    with pytest.raises(OutputError, match="--over"):
        check_name(name)
    assert check_name(name, over="white") == "over"


def test_over_a_colour_is_the_cut_out_over_it(plate: Path) -> None:
    run(plate, plate.with_name("cut.png"))
    run(plate, plate.with_name("over.png"), over="#20c0ff")
    cut, over = stored(plate.with_name("cut.png")) / 255.0, stored(plate.with_name("over.png"))
    assert over.shape[2] == 3
    alpha = cut[..., 3:]
    made = cut[..., :3] * alpha + np.array([0x20, 0xC0, 0xFF]) / 255 * (1 - alpha)
    assert np.abs(made * 255 - over).max() <= 1.5


def test_over_a_picture_covers_the_frame_and_over_blur_shows_the_plate(plate: Path) -> None:
    behind = np.zeros((50, 300, 3), np.uint8)
    behind[:, :150, 0], behind[:, 150:, 2] = 255, 255
    write_image(plate.with_name("behind.png"), behind)
    run(plate, plate.with_name("a.png"), over=str(plate.with_name("behind.png")))
    found = stored(plate.with_name("a.png"))
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert found[2, 2, 0] > 250
    assert found[2, -3, 2] > 250
    run(plate, plate.with_name("b.png"), over="blur")
    assert np.abs(stored(plate.with_name("b.png"))[:4, :4].astype(int) - [26, 191, 51]).max() < 12


def test_a_changed_picture_behind_makes_the_file_anew(plate: Path) -> None:
    behind = plate.with_name("behind.png")
    write_image(behind, np.full((8, 8, 3), 10, np.uint8))
    assert run(plate, plate.with_name("a.png"), over=str(behind)) == [1]
    write_image(behind, np.full((8, 8, 3), 200, np.uint8))
    assert run(plate, plate.with_name("a.png"), over=str(behind)) == [1]
    assert stored(plate.with_name("a.png"))[0, 0, 0] == 200


def test_a_picture_that_is_not_there_is_named(plate: Path) -> None:
    with pytest.raises(InputError, match=r"beach\.jpg"):
        run(plate, plate.with_name("a.png"), over="beach.jpg")
    with pytest.raises(UsageError, match="#rrggbb"):
        Finish(over="#12345")


def test_trim_cuts_to_the_subject_and_square_centres_it(plate: Path) -> None:
    run(plate, plate.with_name("whole.png"))
    run(plate, plate.with_name("trim.png"), trim=0)
    run(plate, plate.with_name("square.png"), trim=10, square=True)
    whole, trimmed, square = (
        stored(plate.with_name(f"{n}.png")) for n in ("whole", "trim", "square")
    )
    rows, columns = (np.flatnonzero((whole[..., 3] > 0).any(axis)) for axis in (1, 0))
    inside = whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert np.array_equal(trimmed, inside)
    assert square.shape[0] == square.shape[1] >= max(inside.shape[:2]) * 1.15
    assert (square[..., 3] > 0).sum() == (whole[..., 3] > 0).sum()


def test_a_square_may_reach_beyond_the_picture_and_is_empty_there() -> None:
    alpha = np.ones((20, 60), np.float32)
    window = finish.framed(alpha, None, True)
    assert (window.width, window.height, window.y) == (60, 60, -20)
    made = finish.cropped(alpha[..., None], window)
    assert made.shape == (60, 60, 1)
    assert made.sum() == alpha.sum()


def test_an_empty_matte_is_not_trimmed_to_nothing() -> None:
    assert finish.framed(np.zeros((20, 60), np.float32), 5, False).width == 60


def test_trim_of_a_sequence_is_refused(movie: Path) -> None:
    with pytest.raises(UsageError, match="one still"):
        run(movie, movie.with_name("a.####.webp"), trim=5)


def test_finishes_that_a_file_cannot_have_are_refused(plate: Path) -> None:
    with pytest.raises(OutputError, match="8 bits"):
        run(plate, plate.with_name("a.webp"), bits=16)
    with pytest.raises(UsageError, match="layout nuke"):
        run(plate, plate.with_name("a.exr"), trim=4)
    assert not plate.with_name("a.exr").exists()


def test_webm_has_the_alpha_and_the_colours_of_every_frame(movie: Path) -> None:
    output = movie.with_name("cut.webm")
    assert run(movie, output) == list(range(1, 9))
    run(movie, movie.with_name("cut.####.png"), layout="cutout")
    found = pictures(output, "libvpx-vp9")
    assert len(found) == 8
    for number, made in enumerate(found, 1):
        exact = stored(movie.with_name(f"cut.{number:04d}.png"))
        assert np.abs(made[..., 3].astype(int) - exact[..., 3]).mean() < 2
        solid = exact[..., 3] == 255
        assert np.abs(made[solid][:, :3].astype(int) - exact[solid][:, :3]).mean() < 8
    assert own_attributes(output)["matte/layout"] == "cutout"
    assert run(movie, output) == []


def test_an_animated_webp_has_all_frames_and_exact_alpha(movie: Path) -> None:
    run(movie, movie.with_name("cut.webp"), 1, 4)
    run(movie, movie.with_name("cut.####.png"), 1, 4, layout="cutout")
    done, animation = cv2.imreadanimation(str(movie.with_name("cut.webp")))
    assert done
    assert len(animation.frames) == 4
    for number, made in enumerate(animation.frames, 1):
        exact = stored(movie.with_name(f"cut.{number:04d}.png"))
        assert np.array_equal(made[..., 3], exact[..., 3])


def test_a_gif_has_all_frames_and_dithered_alpha(movie: Path) -> None:
    run(movie, movie.with_name("cut.gif"))
    found = pictures(movie.with_name("cut.gif"))
    assert len(found) == 8
    assert set(np.unique(found[0][..., 3])) == {0, 255}
    run(movie, movie.with_name("cut.####.png"), 1, 1, layout="cutout")
    exact = stored(movie.with_name("cut.0001.png"))
    assert abs(float(found[0][..., 3].mean()) - float(exact[..., 3].mean())) < 2
    solid = (exact[..., 3] == 255) & (found[0][..., 3] == 255)
    assert np.abs(found[0][solid][:, :3].astype(int) - exact[solid][:, :3]).mean() < 8


def test_an_mp4_is_over_something_and_has_even_sides(tmp_path: Path) -> None:
    odd = [green_plate(n)[:71, :95] for n in range(3)]
    write_movie(tmp_path / "odd.mkv", odd, rate=25)
    run(tmp_path / "odd.mkv", tmp_path / "a.mp4", over="magenta")
    found = pictures(tmp_path / "a.mp4")
    assert len(found) == 3
    assert found[0].shape[:2] == (72, 96)
    assert np.abs(found[0][2, 2, :3].astype(int) - [255, 0, 255]).max() <= 4


def test_colours_beside_the_subject_leave_no_dark_rim() -> None:
    picture = np.zeros((64, 64, 4), np.float32)
    picture[20:44, 20:44] = (0.9, 0.6, 0.2, 1)
    filled = finish.bled(picture)
    assert np.array_equal(filled[..., 3], picture[..., 3])
    assert np.allclose(filled[30, 16:20, :3], (0.9, 0.6, 0.2), atol=0.02)
    assert np.array_equal(filled[picture[..., 3] == 1], picture[picture[..., 3] == 1])


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mov", "aac"), ("a.mkv", "aac"), ("a.mp4", "aac"), ("a.webm", "opus")]
)
def test_movies_take_over_the_sound(spoken: Path, name: str, codec: str) -> None:
    output = spoken.with_name(name)
    run(spoken, output, over="white" if name == "a.mp4" else "")
    with av.open(str(output)) as container:
        assert container.streams.audio[0].codec_context.name == codec
    wave = sound_of(output)
    assert wave is not None
    assert abs(len(wave) / 48000 - 1) < 0.06
    assert np.abs(wave[:21000]).mean() < 0.02
    assert np.abs(wave[27000:45000]).mean() > 0.2


def test_a_part_of_a_movie_has_the_sound_of_that_part(spoken: Path) -> None:
    run(spoken, spoken.with_name("late.mov"), 16, 30)
    late = sound_of(spoken.with_name("late.mov"))
    assert late is not None
    assert abs(len(late) / 48000 - 0.5) < 0.06
    assert np.abs(late[4000:20000]).mean() > 0.2
    run(spoken, spoken.with_name("early.webm"), 1, 12)
    early = sound_of(spoken.with_name("early.webm"))
    assert early is not None
    assert abs(len(early) / 48000 - 0.4) < 0.06
    assert np.abs(early[:17000]).mean() < 0.02


def test_sound_can_be_left_out(spoken: Path) -> None:
    run(spoken, spoken.with_name("still.mov"), audio=False)
    assert sound_of(spoken.with_name("still.mov")) is None
