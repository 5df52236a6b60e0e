# SPDX-License-Identifier: Apache-2.0
"""SequenceWriter: one picture file a frame, whole or not there, by OpenImageIO."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes.errors import MediaError, OutputError
from matte_nodes.media import array_file, cryptomatte, finish, layouts, xmp
from matte_nodes.media.finish import Finish
from matte_nodes.media.image import Rect
from matte_nodes.media.layouts import LAYOUTS, OutputFrame
from matte_nodes.media.metadata import put
from matte_nodes.media.movie_tags import tags_of
from matte_nodes.media.pattern import Pattern
from matte_nodes.media.still import reason
from matte_nodes.whole_files import no_room, prepare_folder, tidy_folder, whole_file

_FORMATS = {
    ".exr": "openexr", ".png": "png", ".tif": "tiff", ".tiff": "tiff", ".jpg": "jpeg", ".jpeg": "jpeg",
}  # fmt: skip
SUM = "matte/sum"
"""The text of an EXR that holds the sum of its pixels."""
_WEBP_QUALITY = 92


def without_exr_pool() -> None:
    """Turn OpenEXR's thread pool off, in a process that is ours alone (never in a host's).

    Sequences are written by several threads, a frame each. The pool costs half as much again
    (7 channels at 720p: 92 ms of processor with it, 59 without). OpenImageIO has one switch for
    the whole process.
    """
    oiio.attribute("exr_threads", -1)


class SequenceWriter:
    """Writes frames in any order from any thread; see `open_writer`.

    Every file names its layout, association (`matte/association`), colour space and provenance:
    attributes in EXR, text chunks in PNG, lines of ImageDescription in TIFF.
    """

    ordered = False

    def __init__(
        self,
        target: Pattern | Path,
        layout: str,
        *,
        colorspace: str,
        provenance: Mapping[str, str],
        rate: Fraction | None,
        overwrite: bool,
        finish: Finish | None = None,
    ) -> None:
        self._target = target
        self._finish = finish or Finish()
        self._layout = layout
        self._overwrite = overwrite
        self._rate = rate
        self._only: int | None = None
        first = self._path(0)
        self._extension = first.suffix.lower()
        self._colorspace = colorspace
        self._provenance = {
            **{k if k.startswith("matte/") else f"matte/{k}": v for k, v in provenance.items()},
            "matte/layout": layout,
            "matte/association": LAYOUTS[layout].association,
        }
        if layout != "alpha":
            self._provenance["matte/colorspace"] = colorspace
        prepare_folder(first.parent)

    def _path(self, frame: int) -> Path:
        return self._target.path(frame) if isinstance(self._target, Pattern) else self._target

    def exists(self, frame: int) -> bool:
        """True when the frame's file is there; files are whole or not there."""
        return self._path(frame).is_file()

    def write(self, frame: OutputFrame) -> Path:
        """Write one frame and return its file. Raises OutputError; nothing half-written stays."""
        path = self._path(frame.frame)
        if not isinstance(self._target, Pattern):
            if self._only not in (None, frame.frame):
                raise OutputError(
                    f"{path}: frames {self._only} and {frame.frame} would go into one file; put "
                    f"#### for the frame number, as in {path.stem}.####{path.suffix}."
                )
            self._only = frame.frame
        if not self._overwrite and path.exists():
            raise OutputError(f"{path}: frame {frame.frame} is already there; nothing written.")
        if array_file.is_array(path):
            with whole_file(path) as temporary, temporary.open("wb") as file:
                array_file.write(
                    file, layouts.array(frame), {**self._provenance, **frame.provenance}
                )
            return path
        if self._extension == ".webp":
            with whole_file(path) as temporary:
                self._save_webp(temporary, path, frame)
            return path
        spec, pixels = self._contents(frame)
        with whole_file(path) as temporary:
            self._save(temporary, path, spec, pixels)
        return path

    def _contents(self, frame: OutputFrame) -> tuple[Any, NDArray[Any]]:
        display = frame.source.display_window
        facts = {**self._provenance, **frame.provenance}
        pixels: NDArray[Any]
        if self._extension == ".exr":
            names, pixels = layouts.EXR[self._layout](frame)
            kind = "half" if pixels.dtype == np.float16 else "float"
            spec = _spec(names, kind, frame.window, display)
            spec.attribute("compression", "zips")
            put(spec, frame.source.metadata)
            if self._rate is not None:
                put(spec, {"framesPerSecond": (self._rate.numerator, self._rate.denominator)})
            if self._layout != "alpha":
                spec.attribute("oiio:ColorSpace", self._colorspace)
            if self._layout == "cryptomatte":
                facts |= cryptomatte.metadata(layouts.objects(frame))
            if kind == "half":
                facts[SUM] = sum_of_halves(pixels)
            for key, value in facts.items():
                spec.attribute(key, value)
        else:
            pixels = self._codes(frame)
            shown = Rect(0, 0, pixels.shape[1], pixels.shape[0])
            names = ("Y",) if pixels.shape[2] == 1 else ("R", "G", "B", "A")[: pixels.shape[2]]
            spec = _spec(names, str(pixels.dtype), shown, shown)
            if pixels.shape[2] > 1:
                spec.attribute("oiio:UnassociatedAlpha", 1)
                if tags_of(self._colorspace) == tags_of("srgb"):
                    spec.attribute("oiio:ColorSpace", "sRGB")
            if self._extension == ".png":
                for key, value in facts.items():
                    spec.attribute(key, value)
            else:
                jpeg = self._extension in (".jpg", ".jpeg")
                spec.attribute("compression", "jpeg:95" if jpeg else "zip")
                lines = "\n".join(f"{k}={v}" for k, v in facts.items())
                spec.attribute("ImageDescription", lines)
        spec.attribute("PixelAspectRatio", float(frame.source.pixel_aspect))
        return spec, pixels

    def _codes(self, frame: OutputFrame) -> NDArray[Any]:
        """The pixels of a picture with integer codes, (H, W, 1), (H, W, 3) or (H, W, 4)."""
        if self._layout == "alpha":
            return layouts.alpha_codes(frame)
        deep = self._extension in (".png", ".tif", ".tiff")
        picture = self._finish.picture(frame, frame.shown)
        return finish.codes(picture, self._finish.of(frame.source) if deep else 8)

    def _save_webp(self, temporary: Path, final: Path, frame: OutputFrame) -> None:
        """Lossy colours and exact alpha."""
        import cv2

        picture = self._finish.picture(frame, frame.shown)
        if picture.shape[2] == 4:
            picture = finish.bled(picture)
        codes = np.rint(picture * np.float32(255)).astype(np.uint8)
        order = [2, 1, 0, 3][: codes.shape[2]]
        note = np.frombuffer(xmp.packet({**self._provenance, **frame.provenance}), np.uint8)
        done, data = cv2.imencodeWithMetadata(
            ".webp", np.ascontiguousarray(codes[..., order]), [cv2.IMAGE_METADATA_XMP], [note],
            [int(cv2.IMWRITE_WEBP_QUALITY), _WEBP_QUALITY],
        )  # fmt: skip
        if not done:
            raise OutputError(
                f"{final}: OpenCV here cannot write a WebP of this size (at most 16383)."
            )
        temporary.write_bytes(data.tobytes())

    def _save(self, temporary: Path, final: Path, spec: Any, pixels: NDArray[Any]) -> None:
        output = oiio.ImageOutput.create(_FORMATS[self._extension])
        if output is None:
            raise OutputError(f"{final}: OpenImageIO here cannot write it ({reason(oiio)}).")
        done = output.open(str(temporary), spec)
        if done:  # closing what did not open crashes OpenImageIO's TIFF writer
            done = output.write_image(pixels)
            done = output.close() and done
        said = reason(output)
        if not done or not _is_whole(temporary, self._extension, spec):
            said = no_room(final) or said.replace(str(temporary), final.name)
            raise OutputError(f"{final}: cannot be written ({said}).")

    def close(self) -> None:
        """Every file is in place already; a writer that died at this job may have left its own."""
        tidy_folder(self._path(0).parent)

    def abort(self) -> None:
        """Nothing half-written is there to remove; whole frames stay."""


def _spec(names: tuple[str, ...], kind: str, data: Rect, display: Rect) -> Any:
    spec = oiio.ImageSpec(data.width, data.height, len(names), kind)
    spec.channelnames = names
    spec.x, spec.y = data.x, data.y
    spec.full_x, spec.full_y = display.x, display.y
    spec.full_width, spec.full_height = display.width, display.height
    return spec


def is_whole(path: Path) -> bool:
    """Whether the end of a picture file is there, by its last row; see `_is_whole`."""
    if array_file.is_array(path):
        try:
            array_file.shape_and_type(path)
        except MediaError:
            return False
        return bool(array_file.facts(path))
    source = oiio.ImageInput.open(str(path))
    if source is None:
        oiio.geterror()
        return False
    spec = source.spec()
    source.close()
    return _is_whole(path, path.suffix.lower(), spec)


def sum_of_halves(pixels: NDArray[Any]) -> str:
    """Return a sum over the codes of half floats (H, W, C), whatever the order of the channels.

    EXR has none of its own where a row does not get smaller by compression.
    """
    codes = np.ascontiguousarray(pixels, np.float16).view(np.uint16)
    rows = codes.reshape(len(codes), -1).sum(axis=1, dtype=np.uint64)
    places = np.arange(1, len(rows) + 1, dtype=np.uint64)
    return f"{int((rows * places).sum(dtype=np.uint64)):016x}"


def is_undamaged(path: Path) -> bool:
    """Whether every byte of a picture file is as it was written: all of it is read.

    Only for files that hold sums of their content, PNG and our EXR of halves; of others nobody knows.
    """
    suffix = path.suffix.lower()
    if suffix not in (".png", ".exr"):
        return False
    source = oiio.ImageInput.open(str(path))
    if source is None:
        oiio.geterror()
        return False
    try:
        part = 0
        while source.seek_subimage(part, 0):
            spec = source.spec()
            pixels = source.read_image(part, 0, 0, spec.nchannels, str(spec.format))
            if pixels is None or source.has_error:
                return False
            if suffix == ".exr" and spec.get_string_attribute(SUM) != sum_of_halves(pixels):
                return False
            part += 1
        return part > 0
    finally:
        source.close()


def _is_whole(path: Path, extension: str, spec: Any) -> bool:
    """Look at the end of a file that was just written, 0.1 ms.

    OpenImageIO reports success when the last few kilobytes, or a whole small file, did not fit on
    the disk: the failing flush at the end goes unseen.
    """
    if extension == ".webp":
        return path.stat().st_size == int.from_bytes(path.read_bytes()[4:8], "little") + 8
    if extension == ".png":
        with path.open("rb") as file:
            file.seek(-min(12, path.stat().st_size), 2)
            return file.read(12)[4:8] == b"IEND"
    source = oiio.ImageInput.open(str(path))
    if source is None:
        oiio.geterror()
        return False
    try:
        last = spec.y + spec.height - 1
        row = source.read_scanlines(last, last + 1, 0, 0, spec.nchannels, str(spec.format))
        return isinstance(row, np.ndarray) and not source.has_error
    finally:
        source.close()
