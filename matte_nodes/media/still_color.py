# SPDX-License-Identifier: Apache-2.0
"""Reads the colour space that a picture other than EXR states: cICP, ICC, gAMA, EXIF.

Returned are words that `color.guess` knows: a colour space's name, a movie's tag, or
`ICC profile "NAME"` for a profile that is none of the known ones.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Colour spaces by their primaries (x, y of red, green, blue) and curve.
_PRIMARIES = {
    "rec709": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    "p3d65": (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    "adobergb": (0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
    "rec2020": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
}
_SPACES = {
    ("rec709", "srgb"): "srgb", ("rec709", "linear"): "lin_rec709_scene",
    ("rec709", "gamma 2.2"): "g22_rec709", ("rec709", "gamma 1.8"): "g18_rec709",
    ("rec709", "gamma 2.4"): "g24_rec709",
    ("p3d65", "srgb"): "srgb_p3d65_scene", ("p3d65", "linear"): "lin_p3d65_scene",
    ("adobergb", "gamma 2.2"): "g22_adobergb_scene",
    ("adobergb", "linear"): "lin_adobergb_scene",
    ("rec2020", "linear"): "lin_rec2020_scene",
}  # fmt: skip
_WHITE = np.array([0.9642, 1.0, 0.8249])  # D50, the profile connection space

# cICP (ISO/IEC 23091-2): primaries and transfer.
_CICP_PRIMARIES = {1: "rec709", 9: "rec2020", 12: "p3d65"}
_CICP_TRANSFERS = {13: "srgb", 8: "linear", 4: "gamma 2.2", 16: "pq", 18: "hlg", 1: "bt709",
                   6: "bt709", 14: "bt709", 15: "bt709"}  # fmt: skip


# A PNG's own chunks are looked at up to here, and a profile in one is unpacked up to this size.
_MOST_CHUNKS, _LARGEST_PROFILE = 1000, 1 << 24


def of(spec: Any, path: Path, form: str) -> str:
    """Return the colour space that a picture's header states; "" when it states none.

    spec, form: OpenImageIO's. path: a PNG's chunks are read from the file, as libpng leaves out those that
    it finds odd (a wrong profile, a limited range), and OpenImageIO the primaries.
    """
    chunks = _png_chunks(path) if form == "png" else {}
    if code := chunks.get(b"cICP") or _code(spec):
        if len(code) < 4:
            return "cICP (damaged)"
        if (code[2], code[3]) != (0, 1):
            return f"cICP {code[0]}/{code[1]}, matrix {code[2]}, range {code[3]}"
        if code[0] != 2 or code[1] not in (2, 13):
            return of_code(code[0], code[1])
    profile = spec.getattribute("ICCProfile")
    if profile is not None:
        return of_profile(np.asarray(profile, np.uint8).tobytes())
    if b"iCCP" in chunks:
        return _of_packed(chunks[b"iCCP"])
    if b"cHRM" in chunks and b"sRGB" not in chunks:
        return _of_corners(chunks[b"cHRM"], chunks.get(b"gAMA"))
    if spec.get_string_attribute("Exif:InteroperabilityIndex") == "R03":
        return "g22_adobergb_scene"  # DCF optional colour space
    gamma = spec.get_float_attribute("oiio:Gamma", 0.0)
    told = str(spec.get_string_attribute("oiio:ColorSpace"))
    if told in ("lin_rec709_scene", "linear", "Linear") and spec.format.basetype is not None:
        return "lin_rec709_scene" if str(spec.format).startswith("uint") else ""
    if told.startswith(("g18", "g22", "g24")):
        return told
    if gamma and not 0.99 < gamma < 1.01 and not 2.1 < gamma < 2.3:
        return f"gamma {gamma:.3g}"
    return ""


def _code(spec: Any) -> bytes:
    code = spec.getattribute("CICP")
    return bytes(code) if isinstance(code, tuple) and len(code) == 4 else b""


def _png_chunks(path: Path) -> dict[bytes, bytes]:
    """Return the chunks of a PNG that tell its colours, by name."""
    found: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        file.seek(8)
        for _ in range(_MOST_CHUNKS):
            head = file.read(8)
            if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
                break
            (size,) = struct.unpack(">I", head[:4])
            if head[4:] in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"):
                found[head[4:]] = file.read(min(size, _LARGEST_PROFILE))
                size -= len(found[head[4:]])
            file.seek(size + 4, 1)
    return found


def _of_packed(chunk: bytes) -> str:
    """Return the space of a PNG's profile that libpng has left out."""
    name, _, packed = chunk.partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(packed[1:], _LARGEST_PROFILE)
    except zlib.error:
        profile = b""
    if len(profile) < 132:
        return f'ICC profile "{name.decode("latin-1")}" (damaged)'
    return of_profile(profile)


def _of_corners(chunk: bytes, gamma: bytes | None) -> str:
    """Return the space of a PNG's primaries and curve; without a curve it is that of sRGB."""
    try:
        corners = [n / 100_000 for n in struct.unpack(">8I", chunk)]
        exponent = 100_000 / struct.unpack(">I", gamma)[0] if gamma else 0.0
    except (struct.error, ZeroDivisionError):
        return "chromaticities (damaged)"
    white, rest = corners[:2], corners[2:]
    known = {"linear": 1.0, "gamma 1.8": 1.8, "gamma 2.2": 2.2, "gamma 2.4": 2.4}
    curve = next((name for name, n in known.items() if abs(exponent - n) < 0.02), "srgb")
    if curve == "srgb" and exponent:
        curve = f"gamma {exponent:.3g}"
    for primaries, those in _PRIMARIES.items():
        if np.allclose([*white, *rest], [0.3127, 0.329, *those], atol=2e-3):
            if (primaries, curve) == ("rec709", "srgb"):
                return ""
            if found := _SPACES.get((primaries, curve)):
                return found
    return f"chromaticities {' '.join(f'{n:.4g}' for n in (*rest, *white))}, {curve}"


def of_code(primaries: int, transfer: int) -> str:
    """Return the space of code points of ISO/IEC 23091-2, in words that `color.guess` knows."""
    curve = _CICP_TRANSFERS.get(transfer, "")
    if curve in ("pq", "hlg"):
        return curve
    found = _SPACES.get((_CICP_PRIMARIES.get(primaries, ""), curve))
    if found is None and (primaries, curve) == (1, "bt709"):
        return "bt709"
    return found or f"cICP {primaries}/{transfer}"


def of_profile(data: bytes) -> str:
    """Return the space of an ICC profile, by its numbers; else `ICC profile "NAME"`.

    Profiles of grey pictures say nothing of colours: "".
    """
    name = _name(data)
    unknown = f'ICC profile "{name or "without a name"}"'
    if data[16:20] == b"GRAY":
        return ""
    if data[16:20] != b"RGB ":
        return unknown
    tags = _tags(data)
    code = tags.get(b"cicp", b"")
    if len(code) >= 12 and code[9] in (16, 18):
        return {16: "pq", 18: "hlg"}[code[9]]
    if any(tag in tags for tag in (b"A2B0", b"A2B1")):
        return unknown  # a table: more than primaries and a curve
    try:
        columns = np.array([_xyz(tags[tag]) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")]).T
        curves = {_curve(tags[tag]) for tag in (b"rTRC", b"gTRC", b"bTRC")}
    except (KeyError, struct.error, ValueError):
        return unknown
    if len(curves) != 1:
        return unknown
    curve = curves.pop()
    for primaries, corners in _PRIMARIES.items():
        if np.abs(columns - _adapted(corners)).max() < 0.004:
            return _SPACES.get((primaries, curve), unknown)
    return unknown


def _tags(data: bytes) -> dict[bytes, bytes]:
    try:
        (count,) = struct.unpack_from(">I", data, 128)
        found = {}
        for n in range(min(count, 100)):
            name, start, size = struct.unpack_from(">4sII", data, 132 + 12 * n)
            found[name] = data[start : start + size]
        return found
    except struct.error:
        return {}


def _name(data: bytes) -> str:
    text = _tags(data).get(b"desc", b"")
    if text[:4] == b"desc" and len(text) > 12:
        (length,) = struct.unpack_from(">I", text, 8)
        return text[12 : 12 + min(length, 80)].rstrip(b"\0").decode("latin-1")
    if text[:4] == b"mluc" and len(text) >= 28:
        length, start = struct.unpack_from(">II", text, 20)
        return text[start : start + min(length, 160)].decode("utf-16-be", "replace")
    return ""


def _xyz(tag: bytes) -> tuple[float, ...]:
    if tag[:4] != b"XYZ ":
        raise ValueError("no XYZ")
    return tuple(n / 65536 for n in struct.unpack_from(">3i", tag, 8))


def _curve(tag: bytes) -> str:
    """srgb, linear, "gamma 2.2" and the like, or "" for another curve; by its values."""
    at = np.linspace(0, 1, 65)
    values = _values(tag, at)
    if values is None:
        return ""
    srgb = np.where(at <= 0.04045, at / 12.92, ((at + 0.055) / 1.055) ** 2.4)
    known = {"srgb": srgb, "linear": at, "gamma 2.2": at**2.2, "gamma 1.8": at**1.8,
             "gamma 2.4": at**2.4}  # fmt: skip
    name, error = min(
        ((name, float(np.abs(values - curve).max())) for name, curve in known.items()),
        key=lambda item: item[1],
    )
    return name if error < 0.003 else ""


def _values(tag: bytes, at: NDArray[Any]) -> NDArray[Any] | None:
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return at
        numbers = np.frombuffer(tag, ">u2", min(count, 65536), 12).astype(float)
        if count == 1:
            return np.asarray(at ** (numbers[0] / 256))
        return np.asarray(np.interp(at, np.linspace(0, 1, count), numbers / 65535))
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(kind)
        if count is None:
            return None
        p = [n / 65536 for n in struct.unpack_from(f">{count}i", tag, 12)]
        if kind == 0:
            return np.asarray(at ** p[0])
        g, a, b = p[:3]
        c = {1: 0.0, 2: p[3] if kind == 2 else 0.0}.get(kind, p[3] if count > 3 else 0.0)
        power = np.clip(a * at + b, 0, None) ** g
        if kind in (1, 2):
            offset = p[3] if kind == 2 else 0.0
            return np.asarray(np.where(at >= -b / a, power + offset, offset))
        d, e, f = p[4], (p[5] if kind == 4 else 0.0), (p[6] if kind == 4 else 0.0)
        return np.asarray(np.where(at >= d, power + e, c * at + f))
    return None


def _adapted(corners: tuple[float, ...]) -> NDArray[Any]:
    """Columns of the matrix from RGB to XYZ of D50, for corners with a D65 white (Bradford)."""
    xy = np.array(corners).reshape(3, 2)
    raw = np.column_stack([xy[:, 0] / xy[:, 1], np.ones(3), (1 - xy.sum(1)) / xy[:, 1]]).T
    white = np.array([0.3127 / 0.329, 1.0, (1 - 0.3127 - 0.329) / 0.329])
    matrix = raw * np.linalg.solve(raw, white)
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    scale = (bradford @ _WHITE) / (bradford @ white)
    return np.asarray(np.linalg.inv(bradford) @ np.diag(scale) @ bradford @ matrix)
