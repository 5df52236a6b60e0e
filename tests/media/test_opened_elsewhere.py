# SPDX-License-Identifier: Apache-2.0
"""Our outputs as other programs see them: ffmpeg, Chromium and Blender open every kind."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from matte_nodes.errors import OutputError
from matte_nodes.media.writers import check_name
from tests.blender import rig
from tests.made import write_movie
from tests.media.test_cutouts import HEIGHT, WIDTH, green_plate, run, stored
from tests.publish.browser import Page, browser, needs_browser

FRAMES, RATE = 8, 30
STILLS = ("cut.png", "cut.webp", "cut.tif")
MOVIES = ("cut.webm", "many.webp", "cut.gif", "over.mp4", "cut.mov", "cut.mkv")
RED = (34, 44)  # row and column inside the disc of the first frame
TYPES = {
    ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".webm": "video/webm",
    ".mp4": "video/mp4",
}  # fmt: skip


needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
    reason="no ffmpeg program here (scripts/hosts.sh)",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of output of one plate; the movie is turned by a quarter in its file."""
    folder = tmp_path_factory.mktemp("made")
    cv2.imwrite(str(folder / "plate.png"), green_plate()[..., ::-1])
    for name in STILLS:
        run(folder / "plate.png", folder / name)
    write_movie(folder / "plate.mkv", [green_plate(n) for n in range(FRAMES)], rate=RATE)
    for name in MOVIES:
        run(folder / "plate.mkv", folder / name, over="#ffffff" if name == "over.mp4" else "")
    return folder


def probed(path: Path) -> dict[str, Any]:
    """What ffprobe says of the first stream of pictures."""
    said = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_frames", "-show_entries",
         "stream=codec_name,width,height,avg_frame_rate,nb_read_frames,color_range,color_space,"
         "color_primaries,color_transfer,pix_fmt:stream_tags:stream_side_data=rotation",
         "-of", "json", str(path)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found: dict[str, Any] = json.loads(said)["streams"][0]
    return found


def decoded(path: Path, decoder: str = "") -> NDArray[np.uint8]:
    """The first picture as the ffmpeg program decodes it, RGBA."""
    chosen = ["-c:v", decoder] if decoder else []
    data = subprocess.run(
        ["ffmpeg", "-v", "error", *chosen, "-i", str(path), "-frames:v", "1", "-f", "rawvideo",
         "-pix_fmt", "rgba", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 4)


def exact(made: Path) -> NDArray[np.uint8]:
    """The first frame's cut-out, exact: RGBA."""
    return np.asarray(stored(made / "cut.png"))


@needs_ffmpeg
@pytest.mark.parametrize("name", ["cut.webm", "cut.gif", "over.mp4", "cut.mov", "cut.mkv"])
def test_ffmpeg_sees_size_rate_and_every_frame(made: Path, name: str) -> None:
    found = probed(made / name)
    assert (found["width"], found["height"]) == (WIDTH, HEIGHT)
    assert int(found["nb_read_frames"]) == FRAMES
    # GIF counts in hundredths of a second.
    assert abs(Fraction(found["avg_frame_rate"]) / RATE - 1) < (0.12 if "gif" in name else 0.001)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["cut.webm", "over.mp4", "cut.mov"])
def test_ffmpeg_sees_the_tags_of_the_colours(made: Path, name: str) -> None:
    found = probed(made / name)
    assert found["color_space"] == found["color_primaries"] == "bt709"
    assert found["color_transfer"] in ("bt709", "iec61966-2-1")
    assert found["color_range"] == "tv"


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "decoder"), [("cut.webm", "libvpx-vp9"), ("cut.mov", ""), ("cut.mkv", "")]
)
def test_ffmpeg_sees_colour_and_alpha(made: Path, name: str, decoder: str) -> None:
    seen, right = decoded(made / name, decoder).astype(int), exact(made).astype(int)
    assert np.abs(seen[..., 3] - right[..., 3]).mean() < 2
    solid = right[..., 3] == 255
    assert np.abs(seen[solid][:, :3] - right[solid][:, :3]).mean() < 8


@needs_ffmpeg
def test_ffmpeg_sees_the_picture_over_white(made: Path) -> None:
    seen, right = decoded(made / "over.mp4").astype(int), exact(made)
    alpha = right[..., 3:] / 255
    over = right[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(seen[..., :3] - over).mean() < 6


@pytest.mark.parametrize("name", ["turned.webm", "turned.mp4", "turned.mov"])
def test_a_turned_movie_comes_out_upright_and_without_a_turn(tmp_path: Path, name: str) -> None:
    """A phone's film: the pictures lie on their side, and the file says so."""
    plate = tmp_path / "phone.mp4"
    with av.open(str(plate), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.set_display_rotation(90)
        for number in range(2):
            picture = av.VideoFrame.from_ndarray(green_plate(number), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    run(plate, tmp_path / name, over="white" if name.endswith("mp4") else "")
    found = probed(tmp_path / name)
    assert (found["width"], found["height"]) == (HEIGHT, WIDTH)
    turns = [one.get("rotation", 0) for one in found.get("side_data_list", [])]
    assert not any(turns)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One Chromium for all files."""
    with browser(tmp_path_factory.mktemp("chromium") / "profile", 400, 300) as found:
        yield found


SHOWN = """
(async () => {
  const bytes = Uint8Array.from(atob("%(data)s"), c => c.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([bytes], {type: "%(type)s"}));
  const movie = "%(type)s".startsWith("video");
  const seen = document.createElement(movie ? "video" : "img");
  const facts = {};
  if (movie) {
    seen.muted = true; seen.src = address;
    await new Promise((done, fail) => { seen.onloadeddata = done; seen.onerror = fail; });
    facts.width = seen.videoWidth; facts.height = seen.videoHeight; facts.seconds = seen.duration;
    seen.currentTime = 0.001;
    await new Promise(done => seen.onseeked = done);
  } else {
    seen.src = address; await seen.decode();
    facts.width = seen.naturalWidth; facts.height = seen.naturalHeight;
  }
  const canvas = document.createElement("canvas");
  canvas.width = facts.width; canvas.height = facts.height;
  const brush = canvas.getContext("2d", {willReadFrequently: true});
  brush.fillStyle = "#2060ff"; brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(seen, 0, 0);
  const codes = brush.getImageData(0, 0, canvas.width, canvas.height).data;
  facts.codes = btoa(Array.from(codes, c => String.fromCharCode(c)).join(""));
  return JSON.stringify(facts);
})()
"""


@needs_browser
@pytest.mark.xdist_group("opened elsewhere")
@pytest.mark.parametrize("name", ["cut.png", "cut.webp", "cut.webm", "many.webp", "cut.gif",
                                  "over.mp4"])  # fmt: skip
def test_chromium_shows_the_cut_out_over_a_blue_page(made: Path, page: Page, name: str) -> None:
    path = made / name
    data = base64.b64encode(path.read_bytes()).decode()
    facts = json.loads(page.run(SHOWN % {"data": data, "type": TYPES[path.suffix]}))
    assert (facts["width"], facts["height"]) == (WIDTH, HEIGHT)
    if "seconds" in facts:
        assert abs(facts["seconds"] - FRAMES / RATE) < 0.05
    codes = np.frombuffer(base64.b64decode(facts["codes"]), np.uint8).reshape(HEIGHT, WIDTH, 4)
    right = exact(made)
    alpha = right[..., 3:] / 255
    behind = np.array([255, 255, 255] if name == "over.mp4" else [0x20, 0x60, 0xFF])
    over = right[..., :3] * alpha + behind * (1 - alpha)
    error = np.abs(codes[..., :3] - over)
    exactly = name == "cut.png"
    assert error.mean() < (0.6 if exactly else 6)
    assert np.abs(codes[2, 2, :3] - behind).max() <= (0 if exactly else 6)
    assert error[RED].max() < (2 if exactly else 16)


INSIDE = """
import bpy, json, sys
folder = sys.argv[sys.argv.index("--") + 1]
found = {}
for name in %(stills)r:
    image = bpy.data.images.load(folder + "/" + name)
    row, column = %(row)d, %(column)d
    at = lambda y, x: list(image.pixels[4 * ((image.size[1] - 1 - y) * image.size[0] + x):][:4])
    found[name] = {"size": list(image.size), "channels": image.channels, "solid": at(row, column),
                   "empty": at(2, 2), "space": image.colorspace_settings.name}
for name in %(movies)r:
    clip = bpy.data.movieclips.load(folder + "/" + name)
    found[name] = {"size": list(clip.size), "frames": clip.frame_duration, "rate": clip.fps}
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def in_blender(made: Path) -> dict[str, Any]:
    """What a whole Blender sees of every file; skipped where there is none."""
    program = rig.program()
    if program is None:
        pytest.skip("blender is not here (scripts/hosts.sh)")
    script = made / "look.py"
    script.write_text(
        INSIDE % {"stills": STILLS, "movies": ("cut.webm", "over.mp4", "cut.mov", "cut.mkv"),
                  "row": RED[0], "column": RED[1]}
    )  # fmt: skip
    said = subprocess.run(
        [program, "-b", "--factory-startup", "--python-exit-code", "3", "--python", str(script),
         "--", str(made)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
    line = next(line for line in said.stdout.splitlines() if line.startswith("FOUND"))
    found: dict[str, Any] = json.loads(line[5:])
    return found


@pytest.mark.xdist_group("opened elsewhere")
@pytest.mark.parametrize("name", STILLS)
def test_blender_opens_the_still_with_its_alpha(
    made: Path, in_blender: dict[str, Any], name: str
) -> None:
    found, right = in_blender[name], exact(made)
    assert found["size"] == [WIDTH, HEIGHT]
    assert found["channels"] == 4
    assert found["space"] == "sRGB"
    assert np.abs(np.array(found["solid"]) * 255 - right[RED]).max() < 12
    assert found["empty"][3] == 0


@pytest.mark.xdist_group("opened elsewhere")
@pytest.mark.parametrize("name", ["cut.webm", "over.mp4", "cut.mov", "cut.mkv"])
def test_blender_opens_the_movie_with_its_rate(in_blender: dict[str, Any], name: str) -> None:
    found = in_blender[name]
    assert found["size"] == [WIDTH, HEIGHT]
    assert found["frames"] == FRAMES
    assert found["rate"] == pytest.approx(RATE, rel=1e-3)


@pytest.mark.parametrize("name", ["cut.hevc", "cut.hevc.mov", "cut.heic", "cut.heics"])
def test_hevc_with_alpha_is_refused_with_what_to_do_instead(name: str) -> None:
    with pytest.raises(OutputError, match=r"ProRes 4444.*avconvert.*\.webm"):
        check_name(name)
