# SPDX-License-Identifier: Apache-2.0
"""CutoutMovie: cut-outs that move, for browsers and for sharing, by PyAV.

`.webm`: VP9 with alpha. `.webp`: animated WebP, lossy colours and exact alpha. `.gif`: 256 colours
a frame, dithered; alpha is 0 or 1, dithered too. `.mp4`: H.264 over a colour or a picture. All have
8 bits a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import OutputError
from matte_nodes.media import finish as finishing
from matte_nodes.media.clip import Clip
from matte_nodes.media.finish import Finish
from matte_nodes.media.layouts import LAYOUTS, OutputFrame
from matte_nodes.media.movie_tags import Tags
from matte_nodes.media.movie_writer import MovieWriter

_LIMITED = 1


@dataclass(frozen=True)
class Codec:
    """How a kind of movie is encoded."""

    container: str
    """Its name in FFmpeg."""
    encoder: str
    """The encoder's name in FFmpeg."""
    format: str
    """The pixel format of opaque pictures."""
    alpha_format: str = ""
    """That of pictures with alpha; "": it has none."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the encoder."""
    container_options: Mapping[str, str] = field(default_factory=dict)
    """Of the container."""
    even: bool = False
    """Its pictures have even sides."""


CODECS = {
    # Alternate reference frames and alpha do not go together in libvpx.
    ".webm": Codec("webm", "libvpx-vp9", "yuv420p", "yuva420p",
                   {"crf": "16", "b": "0", "auto-alt-ref": "0", "row-mt": "1", "cpu-used": "4"}),
    ".webp": Codec("webp", "libwebp_anim", "yuv420p", "yuva420p", {"quality": "90"}, {"loop": "0"}),
    ".gif": Codec("gif", "gif", "pal8", "pal8", {}, {"loop": "0"}),
    ".mp4": Codec("mp4", "libx264", "yuv420p", "", {"crf": "16", "preset": "medium"},
                  {"movflags": "use_metadata_tags+faststart"}, even=True),
}  # fmt: skip


class CutoutMovie(MovieWriter):
    """Writes frames in ascending order; see `open_writer` and `Finish`."""

    def __init__(
        self, path: Path, layout: str, finish: Finish, *, colorspace: str,
        provenance: Mapping[str, str], rate: Fraction | None, like: Clip | None, overwrite: bool,
    ) -> None:  # fmt: skip
        super().__init__(
            path, colorspace=colorspace, provenance=provenance, rate=rate, like=like,
            overwrite=overwrite, audio=finish.audio, layout=layout,
            association=LAYOUTS[layout].association,
        )  # fmt: skip
        self._codec = CODECS[path.suffix.lower()]
        self._alpha = layout == "cutout"
        self._finish = finish
        self._palette: _Palette | None = None
        if self._codec.encoder not in av.codecs_available:
            raise OutputError(
                f"{path}: PyAV here has no encoder {self._codec.encoder}. Install PyAV's own wheel "
                "(pip install av), or write .mov or .mkv."
            )

    def _format(self) -> tuple[str, dict[str, str]]:
        return self._codec.container, dict(self._codec.container_options)

    def _stream_in(self, container: Any, first: OutputFrame) -> Any:
        stream = container.add_stream(self._codec.encoder, self._rate, dict(self._codec.options))
        height, width = self._made(first).shape[:2]
        even = self._codec.even
        stream.width, stream.height = width + (width % 2 & even), height + (height % 2 & even)
        stream.pix_fmt = self._codec.alpha_format if self._alpha else self._codec.format
        context = stream.codec_context
        context.time_base = self._time_base
        context.sample_aspect_ratio = Fraction(first.source.pixel_aspect).limit_denominator(1000)
        if self._codec.encoder == "gif":
            self._palette = _Palette(stream.width, stream.height, self._time_base)
            return stream
        context.color_primaries = self._tags.primaries
        context.color_trc = self._tags.transfer
        context.colorspace = self._tags.matrix
        context.color_range = _LIMITED
        if self._alpha and self._codec.container == "webm":
            stream.metadata["alpha_mode"] = "1"
        return stream

    def _made(self, frame: OutputFrame) -> NDArray[np.float32]:
        return self._finish.picture(frame, frame.shown)

    def _picture(self, frame: OutputFrame) -> Any:
        picture = self._made(frame)
        width, height = self._stream.width, self._stream.height
        more = height - picture.shape[0], width - picture.shape[1]
        if min(more) < 0 or max(more) > 1:
            raise OutputError(
                f"{self._path}: frame {frame.frame} is {picture.shape[1]}x{picture.shape[0]}, the "
                f"movie is {width}x{height}"
            )
        if max(more):
            picture = np.pad(picture, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
        if self._palette is not None:
            return self._palette(picture)
        if self._alpha:
            picture = finishing.bled(picture)
        made = av.VideoFrame(width, height, self._stream.pix_fmt)
        planes = ycbcr420(picture[..., :3], self._tags)
        if self._alpha:
            planes.append(np.rint(picture[..., 3] * 255).astype(np.uint8))
        for plane, codes in zip(made.planes, planes, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
            rows[:, : codes.shape[1]] = codes
        made.color_range, made.colorspace = _LIMITED, self._tags.matrix
        made.color_primaries, made.color_trc = self._tags.primaries, self._tags.transfer
        return made


def ycbcr420(colour: NDArray[Any], tags: Tags) -> list[NDArray[np.uint8]]:
    """Limited-range 8-bit Y', Cb, Cr (ITU-R BT.709 section 4); chroma of half the size.

    Chroma lies at the left of each pair of pixels and between two rows, as MPEG-2 and later have it.
    """
    red, green, blue = (np.clip(colour[..., i], 0, 1) for i in range(3))
    luma = tags.red * red + (1 - tags.red - tags.blue) * green + tags.blue * blue
    found = [np.rint(luma * 219 + 16).astype(np.uint8)]
    for part, weight in ((blue, tags.blue), (red, tags.red)):
        full = (part - luma) * np.float32(0.5 / (1 - weight))
        height, width = full.shape
        full = np.pad(full, ((0, height % 2), (1, 1 + width % 2)), mode="edge")
        rows = (full[0::2] + full[1::2]) / 2
        columns = (rows[:, 0:-2:2] + 2 * rows[:, 1:-1:2] + rows[:, 2::2]) / 4
        found.append(np.rint(columns * 224 + 128).clip(16, 240).astype(np.uint8))
    return found


BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32)


class _Palette:
    """Pictures of 256 colours of their own, dithered (FFmpeg's palettegen and paletteuse)."""

    def __init__(self, width: int, height: int, time_base: Fraction) -> None:
        graph = self._graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("rgba"), time_base=time_base
        )
        split = graph.add("split")
        palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=1")
        use = graph.add("paletteuse", "new=1:dither=sierra2_4a:alpha_threshold=128")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(palette, 0, 0)
        split.link_to(use, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._time_base, self._count = time_base, 0

    def __call__(self, picture: NDArray[np.float32]) -> Any:
        """A picture (H, W, 3 or 4) with its palette."""
        height, width = picture.shape[:2]
        codes = np.full((height, width, 4), 255, np.uint8)
        codes[..., :3] = np.rint(picture[..., :3] * 255)
        if picture.shape[2] == 4:
            steps = np.tile((BAYER + 0.5) / 16, (height // 4 + 1, width // 4 + 1))
            codes[..., 3] = np.where(picture[..., 3] >= steps[:height, :width], 255, 0)
        frame = av.VideoFrame.from_ndarray(codes, format="rgba")
        frame.pts, frame.time_base = self._count, self._time_base
        self._count += 1
        self._graph.push(frame)
        return self._graph.pull()
