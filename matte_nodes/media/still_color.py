# SPDX-License-Identifier: Apache-2.0
"""Reads the colour space that a picture other than EXR states: cICP, ICC, gAMA, EXIF.

Returned are words that `color.guess` knows: a colour space's name, a movie's tag, or
`ICC profile "NAME"` for a profile that is none of the known ones.
"""

from __future__ import annotations

import struct
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


def of(spec: Any) -> str:
    """Return the colour space that a picture's header states; "" when it states none."""
    code = spec.getattribute("CICP")
    if isinstance(code, tuple) and len(code) >= 2 and code[0] != 2:
        return of_code(int(code[0]), int(code[1]))
    profile = spec.getattribute("ICCProfile")
    if profile is not None:
        return of_profile(np.asarray(profile, np.uint8).tobytes())
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
