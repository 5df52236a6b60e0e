# SPDX-License-Identifier: Apache-2.0
"""A decoded movie frame as full-range RGB codes, and what its tags say of its colours.

Matrix and range follow the tags. Without a matrix tag, pictures of 1280 x 577 and larger are
BT.709, smaller ones BT.601, as players do; without a range tag, Y'CbCr is limited (16 to 235) and
RGB full. Codes outside the limited range (super-white, super-black) are clipped.

Colour space by transfer tag: BT.709 `bt709`, SMPTE 170M `bt601`, BT.2020 `bt2020`, IEC 61966-2-1
`srgb`, SMPTE 2084 `pq`, HLG `hlg`, linear `lin_rec709_scene` (or `lin_rec2020_scene`); BT.2020
primaries turn `bt709` and no tag into `bt2020`. Untagged: `srgb` for RGB and Motion JPEG, otherwise
`bt601` or `bt709` as the matrix is. Other transfers (film logs, pure gammas) say "": the camera's
log is not in these tags, so the user names it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from matte_nodes.errors import MediaError

# Matrix numbers of ISO/IEC 23091-2 and what the scaler calls them; 2 is "not said".
_MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020"}
UNSAID = 2
_RGB = 0

# The scaler's fast path is off by up to 3 codes and takes the nearest chroma sample; to planar RGB
# with these flags it is exact to half a code: 1.8 ms at 720p, and 0.8 ms to interleave, where
# packed RGB at the same quality takes 4.8 ms.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def matrix(frame: Any) -> str:
    """The name of a frame's Y'CbCr matrix; MediaError for one that is not supported."""
    said = int(frame.colorspace)
    if said in _MATRICES:
        return _MATRICES[said]
    if said in (UNSAID, _RGB):
        return "ITU709" if frame.width >= 1280 or frame.height > 576 else "ITU601"
    raise MediaError(f"its colour matrix (number {said}) is not supported; transcode the movie")


def is_full_range(frame: Any) -> bool:
    """True where codes 0 and the largest are black and white."""
    if frame.format.name.startswith("yuvj") or frame.format.is_rgb:
        return True
    return int(frame.color_range) == 2


def colorspace(frame: Any, codec: str) -> str:
    """What the tags say of the colours; see the table at the top."""
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
        return ""
    if wide:
        return "bt2020"
    if frame.format.is_rgb or codec == "mjpeg":
        return "srgb"
    return "bt601" if said == "ITU601" else "bt709"


def to_array(frame: Any) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Full-range codes of a frame, (H, W, C), and the names of the channels.

    uint8 where the movie has 8 bits, otherwise uint16; R, G, B with A where the movie has it
    (straight), or Y for grey movies. The frame's rotation is applied.
    """
    form = frame.format
    bits = max(component.bits for component in form.components)
    alpha = any(component.is_alpha for component in form.components)
    grey = len(form.components) - alpha == 1
    if grey:  # with or without alpha: a grey picture is a hint, and hints have no alpha
        target = "gray" if bits <= 8 else "gray16le"
    else:
        target = ("gbrap" if alpha else "gbrp") + ("" if bits <= 8 else "16le")
    full = is_full_range(frame)
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
    if bits > 8:
        planes = [_widen(plane, bits, full or i == 3) for i, plane in enumerate(planes)]
    channels: tuple[str, ...] = ("Y",)
    if not grey:
        planes = [planes[i] for i in (2, 0, 1, 3)[: len(planes)]]  # stored as G, B, R, A
        channels = ("R", "G", "B", "A")[: len(planes)]
    planes = [np.rot90(plane, round(frame.rotation / 90)) for plane in planes]
    pixels = np.empty((*planes[0].shape, len(planes)), dtype.newbyteorder("="))
    for i, plane in enumerate(planes):
        pixels[..., i] = plane
    return pixels, channels


def _widen(plane: NDArray[Any], bits: int, full: bool) -> NDArray[Any]:
    """16-bit codes from the scaler's: it shifts codes up, so that white is 65280 or 65472."""
    if full and bits == 16:
        return plane
    kept = bits if full else 8
    wide: NDArray[Any] = np.minimum(plane, 65536 - (1 << (16 - kept)))
    wide += (wide + 128) >> 8 if kept == 8 else wide >> kept
    return wide
