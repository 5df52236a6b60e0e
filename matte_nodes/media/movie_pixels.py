# SPDX-License-Identifier: Apache-2.0
"""Converts decoded movie frames to full-range RGB codes, and reads the colour tags.

Matrix and range follow the tags. Without a matrix tag, pictures of 1280 x 577 and larger are
BT.709, smaller ones BT.601, as players do; without a range tag, Y'CbCr is limited (16 to 235) and
RGB full. A frame with luma codes above white (super-white) comes as
float16, so that nothing is clipped; all others come as codes.

Colour space by transfer tag: BT.709 `bt709`, SMPTE 170M `bt601`, BT.2020 `bt2020`, IEC 61966-2-1
`srgb`, SMPTE 2084 `pq`, HLG `hlg`, linear `lin_rec709_scene` (or `lin_rec2020_scene`); BT.2020
primaries turn `bt709` and no tag into `bt2020`. Untagged: `srgb` for RGB and Motion JPEG, otherwise
`bt601` or `bt709` as the matrix is. Other transfers and primaries come by FFmpeg's words, as
`gamma22` or `smpte432/srgb`; `color.guess` knows which of them have a meaning.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from matte_nodes.errors import MediaError
from matte_nodes.media import halves

# Matrix numbers of ISO/IEC 23091-2 and what the scaler calls them; 2 is "not said".
_MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020"}
UNSAID = 2
_RGB = 0

# The weights of red and blue in luma, by the scaler's name of the matrix.
_WEIGHTS = {
    "ITU709": (0.2126, 0.0722), "FCC": (0.30, 0.11), "ITU601": (0.299, 0.114),
    "SMPTE240M": (0.212, 0.087), "BT2020": (0.2627, 0.0593),
}  # fmt: skip

# Transfers and primaries (ISO/IEC 23091-2) that are not in the table above, in FFmpeg's words.
_TRANSFERS = {
    4: "bt470m", 5: "bt470bg", 7: "smpte240m", 9: "log100", 10: "log316", 11: "iec61966-2-4",
    12: "bt1361e", 17: "smpte428",
}  # fmt: skip
_PRIMARIES = {4: "bt470m", 8: "film", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213"}

# The scaler's fast path is off by up to 3 codes and takes the nearest chroma sample; to planar RGB
# with these flags it is exact to half a code: 1.8 ms at 720p, and 0.8 ms to interleave, where
# packed RGB at the same quality takes 4.8 ms.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def matrix(frame: Any) -> str:
    """Return the name of a frame's Y'CbCr matrix. Raises MediaError for an unsupported one."""
    said = int(frame.colorspace)
    if said in _MATRICES:
        return _MATRICES[said]
    if said in (UNSAID, _RGB):
        return "ITU709" if frame.width >= 1280 or frame.height > 576 else "ITU601"
    raise MediaError(f"its colour matrix (number {said}) is not supported; transcode the movie.")


def is_full_range(frame: Any) -> bool:
    """True where codes 0 and the largest are black and white."""
    if frame.format.name.startswith("yuvj") or frame.format.is_rgb:
        return True
    return int(frame.color_range) == 2


def colorspace(frame: Any, codec: str) -> str:
    """Return the colour space that the tags state; see the text at the top."""
    transfer = _transfer(frame, codec)
    primaries = _PRIMARIES.get(int(frame.color_primaries))
    return transfer if primaries is None else f"{primaries}/{transfer}"


def _transfer(frame: Any, codec: str) -> str:
    said = matrix(frame)
    transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
    wide = primaries == 9 or (primaries == UNSAID and int(frame.colorspace) in (9, 10))
    if transfer in (1, 6, 14, 15):
        return "bt2020" if wide or transfer > 6 else "bt601" if transfer == 6 else "bt709"
    if transfer == 8:
        return "lin_rec2020_scene" if wide else "lin_rec709_scene"
    if transfer in (13, 16, 18):
        return {13: "srgb", 16: "pq", 18: "hlg"}[transfer]
    if transfer not in (0, UNSAID):
        return _TRANSFERS.get(transfer, f"transfer {transfer}")
    if wide:
        return "bt2020"
    if frame.format.is_rgb or codec == "mjpeg":
        return "srgb"
    return "bt601" if said == "ITU601" else "bt709"


def guesses(frame: Any) -> tuple[str, ...]:
    """Return what most movies say and this one does not: a sentence each."""
    form = frame.format
    is_told = form.is_rgb or len(form.components) < 3 or int(frame.colorspace) in _MATRICES
    if is_told:
        return ()
    name = {"ITU709": "BT.709", "ITU601": "BT.601"}[matrix(frame)]
    return (
        f"the movie does not say its Y'CbCr matrix, and that of {name} was taken by its size (give "
        "it a tag: matrix_coefficients)",
    )


@dataclass(frozen=True)
class Turn:
    """How a decoded picture is turned and mirrored for display (its display matrix)."""

    swaps: bool
    """Rows become columns."""
    rows: bool
    """Then the order of rows is turned round."""
    columns: bool
    """Then the order of columns is turned round."""
    slant: int = 0
    """Degrees that the display matrix turns further, which is left out."""

    @staticmethod
    def of(frame: Any) -> Turn:
        """Return the turn of a frame: quarter turns and mirrors.

        Any other matrix is taken as the nearest.

        The matrix (ISO/IEC 14496-12) sends (x, y) to (a x + c y, b x + d y).
        """
        matrix = next((d for d in frame.side_data if d.type.name == "DISPLAYMATRIX"), None)
        if matrix is None or matrix.buffer_size < 36:
            return Turn(swaps=False, rows=False, columns=False)
        a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
        # Pixels that are not square have sides of other lengths: only their directions tell.
        angle = round(math.degrees(math.atan2(b, a))) if a or b else 0
        slant = (angle + 45) % 90 - 45
        if abs(b) + abs(c) > abs(a) + abs(d):
            return Turn(swaps=True, rows=b < 0, columns=c < 0, slant=slant)
        return Turn(swaps=False, rows=d < 0, columns=a < 0, slant=slant)

    def __call__(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a view of (H, W) as it is shown."""
        if self.swaps:
            plane = plane.T
        return plane[:: -1 if self.rows else 1, :: -1 if self.columns else 1]


def to_array(frame: Any) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Full-range codes of a frame, (H, W, C), and the names of the channels.

    uint8 where the movie has 8 bits, otherwise uint16; R, G, B with A where the movie has it
    (straight), or Y for grey movies. float16 where 1 is white when luma codes lie above the
    limited range. The frame's turn and mirrors are applied.
    """
    turn = Turn.of(frame)
    form = frame.format
    bits = max(component.bits for component in form.components)
    alpha = any(component.is_alpha for component in form.components)
    if bits > 16:
        raise MediaError(f"its pixels are {form.name}, of {bits} bits. Convert it to 16 or fewer.")
    grey = len(form.components) - alpha == 1
    if grey and alpha:
        return _grey_with_alpha(frame, bits, turn)
    if grey:
        target = "gray" if bits <= 8 else "gray16le"
    else:
        target = ("gbrap" if alpha else "gbrp") + ("" if bits <= 8 else "16le")
    full = grey or is_full_range(frame)  # the scaler leaves the range of grey as it is
    if not full and bits <= 16 and _leaves_range(frame, bits):
        return _unbounded(frame, bits, turn, alpha=alpha)
    converted = frame.reformat(
        format=target,
        interpolation=_EXACT,
        src_colorspace=None if form.is_rgb else matrix(frame),
        src_color_range="JPEG" if full else "MPEG",
        dst_color_range="JPEG",
        threads=1,
    )
    dtype = np.dtype(np.uint8) if bits <= 8 else np.dtype("<u2")
    planes = [np.frombuffer(p, dtype).reshape(p.height, -1)[:, : p.width] for p in converted.planes]
    if bits > 8 and not grey:  # of grey it fills the low bits
        planes = [_widen(plane, bits, full or i == 3) for i, plane in enumerate(planes)]
    channels: tuple[str, ...] = ("Y",)
    if not grey:
        planes = [planes[i] for i in (2, 0, 1, 3)[: len(planes)]]  # stored as G, B, R, A
        channels = ("R", "G", "B", "A")[: len(planes)]
    planes = [turn(plane) for plane in planes]
    pixels = np.empty((*planes[0].shape, len(planes)), dtype.newbyteorder("="))
    for i, plane in enumerate(planes):
        pixels[..., i] = plane
    return pixels, channels


def _grey_with_alpha(frame: Any, bits: int, turn: Turn) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Grey and alpha: FFmpeg has them interleaved, and only with 8 or 16 bits."""
    kind = np.dtype("u1" if bits <= 8 else "<u2")
    plane = frame.reformat(format="ya8" if bits <= 8 else "ya16le", threads=1).planes[0]
    codes = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : 2 * plane.width]
    pixels = np.dstack([turn(codes[:, 0::2]), turn(codes[:, 1::2])])
    return pixels.astype(kind.newbyteorder("=")), ("Y", "A")


def _widen(plane: NDArray[Any], bits: int, full: bool) -> NDArray[Any]:
    """16-bit codes from the scaler's: it shifts codes up, so that white is 65280 or 65472."""
    if full and bits == 16:
        return plane
    kept = bits if full else 8
    wide: NDArray[Any] = np.minimum(plane, 65536 - (1 << (16 - kept)))
    wide += (wide + 128) >> 8 if kept == 8 else wide >> kept
    return wide


def _leaves_range(frame: Any, bits: int) -> bool:
    """Whether a Y'CbCr frame has luma above white. 0.1 ms at 720p."""
    plane = frame.planes[0]
    kind = np.dtype(np.uint8) if bits <= 8 else np.dtype("<u2")
    if "be" in frame.format.name or plane.line_size < plane.width * kind.itemsize:
        return False
    if frame.format.components[0].bits != bits or not frame.format.is_planar:
        return False
    luma = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    _, high, _, _ = cv2.minMaxLoc(luma[: plane.height, : plane.width])
    return bool(high > 235 << (bits - 8))


def _unbounded(
    frame: Any, bits: int, turn: Turn, *, alpha: bool
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Limited-range Y'CbCr to R'G'B' without a bound (ITU-R BT.709, section 4).

    float16, which the colour transforms look up in tables: half a code of 12 bits. float32 for
    more bits.
    """
    wide = frame.reformat(
        format="yuva444p16le" if alpha else "yuv444p16le", interpolation=_EXACT, src_color_range="MPEG", dst_color_range="MPEG",
        src_colorspace=matrix(frame), dst_colorspace=matrix(frame), threads=1,
    )  # fmt: skip
    planes = [np.frombuffer(p, "<u2").reshape(p.height, -1)[:, : p.width] for p in wide.planes]
    one = 256  # what a code of 8 bits is in these planes
    red, blue = _WEIGHTS[matrix(frame)]
    green = 1 - red - blue
    luma, chroma = 1 / (219 * one), 1 / (224 * one)
    to_rgb = np.array(
        [
            [luma, 0, 2 * (1 - red) * chroma],
            [luma, -2 * blue * (1 - blue) / green * chroma, -2 * red * (1 - red) / green * chroma],
            [luma, 2 * (1 - blue) * chroma, 0],
        ]
    )
    offset = -to_rgb @ (np.array([16, 128, 128]) * one)
    codes = cv2.merge([np.ascontiguousarray(turn(plane), np.float32) for plane in planes[:3]])
    pixels = cv2.transform(codes, np.column_stack([to_rgb, offset]).astype(np.float32))
    codes = np.asarray(pixels, np.float32)
    if not alpha:
        return halves.to_half(codes) if bits <= 12 else codes, ("R", "G", "B")
    kind = np.float16 if bits <= 12 else np.float32
    opacity = turn(_widen(planes[3], bits, True)).astype(np.float32) / np.float32(65535)
    return np.dstack([pixels, opacity]).astype(kind), ("R", "G", "B", "A")
