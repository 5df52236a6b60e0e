# SPDX-License-Identifier: Apache-2.0
"""One delivered file as checks see it: alpha, foreground, storage and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.errors import MediaError
from matte_nodes.media import array_file
from matte_nodes.media.image import Rect
from matte_nodes.media.still import read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

LOSSY = ("b44", "dwa")


@dataclass(frozen=True)
class DeliveredPicture:
    """A file of any of our layouts, over its data window."""

    path: Path
    """The file."""
    alpha: Float
    """(H, W) float32."""
    foreground: Float | None
    """(H, W, 3) float32 straight, or None where the file has no straight foreground."""
    premultiplied: Float | None
    """(H, W, 3) float32 premultiplied, or None."""
    channels: tuple[str, ...]
    """Channel names, in the file's order."""
    dtype: str
    """The stored type: "half", "uint16" and so on."""
    data_window: Rect
    """The pixels that the file holds."""
    display_window: Rect
    """The frame of the picture."""
    pixel_aspect: float
    """Width of a pixel divided by its height."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """All header values, as OpenImageIO returns them."""

    def without_pixels(self) -> DeliveredPicture:
        """Return a copy that keeps only the header."""
        return replace(
            self,
            alpha=self.alpha[:0].copy(),
            foreground=_kept(self.foreground),
            premultiplied=_kept(self.premultiplied),
        )

    @property
    def is_exr(self) -> bool:
        """Whether the file is an EXR. Only EXRs have windows, half floats and a colour space."""
        return self.path.suffix.lower() == ".exr"

    @property
    def is_lossy(self) -> bool:
        """Whether an EXR's compression loses data in half floats."""
        return self.is_exr and str(self.attributes.get("compression")).startswith(LOSSY)

    def says(self, name: str) -> str:
        """Return one of our metadata texts (`matte/...`), or ""."""
        return str(self.attributes.get(name, ""))

    @property
    def rate(self) -> Fraction | None:
        """The value of framesPerSecond."""
        value = self.attributes.get("framesPerSecond")
        if isinstance(value, tuple) and len(value) == 2 and value[1]:
            return Fraction(int(value[0]), int(value[1]))
        return None


def read_matte(path: Path) -> DeliveredPicture:
    """Read a delivered file. Raises MediaError when it is damaged or holds no matte."""
    import OpenImageIO as oiio

    if array_file.is_array(path):
        return _of_array(path)
    asked = oiio.ImageSpec()
    asked.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), asked)
    if source is None:
        reason = oiio.geterror().strip().splitlines()
        raise MediaError(f"{path}: cannot be read ({reason[0] if reason else 'no reason given'}).")
    try:
        spec = source.spec()
        pixels = source.read_image("float")
        if pixels is None or source.has_error:
            raise MediaError(f"{path}: the file is damaged or not whole.")
    finally:
        source.close()
    planes = {name: pixels[..., i] for i, name in enumerate(spec.channelnames)}
    alpha = next((planes[n] for n in ("A", "alpha.V", "Y") if n in planes), None)
    if alpha is None and len(planes) == 1:
        alpha = next(iter(planes.values()))
    if alpha is None:
        raise MediaError(f"{path}: contains no matte; its channels are {', '.join(planes)}.")
    straight = _colour(planes, "fg.")
    foreground = straight if straight is not None else _colour(planes, "foreground.")
    kinds = {str(kind) for kind in spec.channelformats} or {str(spec.format)}
    return DeliveredPicture(
        path=path,
        alpha=np.ascontiguousarray(alpha),
        foreground=foreground,
        premultiplied=_colour(planes, ""),
        channels=tuple(spec.channelnames),
        dtype=" and ".join(sorted(kinds)),
        data_window=Rect(spec.x, spec.y, spec.width, spec.height),
        display_window=Rect(spec.full_x, spec.full_y, spec.full_width, spec.full_height),
        pixel_aspect=float(spec.get_float_attribute("PixelAspectRatio", 1.0)),
        attributes=_attributes(spec),
    )


def _of_array(path: Path) -> DeliveredPicture:
    image = read_image(path)
    if len(image.channels) == 3:
        raise MediaError(
            f"{path}: contains no matte; an array with a matte has one channel or four."
        )
    pixels = image.floats()
    return DeliveredPicture(
        path=path,
        alpha=np.ascontiguousarray(pixels[..., -1]),
        foreground=pixels[..., :3] if len(image.channels) == 4 else None,
        premultiplied=None,
        channels=image.channels,
        dtype=str(image.pixels.dtype),
        data_window=image.data_window,
        display_window=image.display_window,
        pixel_aspect=1.0,
        attributes=array_file.facts(path),
    )


def _kept(pixels: Float | None) -> Float | None:
    return None if pixels is None else pixels[:0].copy()


def _attributes(spec: Any) -> dict[str, Any]:
    found = {}
    for item in spec.extra_attribs:
        try:
            found[item.name] = item.value
        except UnicodeDecodeError:
            continue
    for line in str(found.get("ImageDescription", "")).splitlines():  # TIFF: one text for all
        name, mark, value = line.partition("=")
        if mark and name.startswith("matte/"):
            found.setdefault(name, value)
    return found


def _colour(planes: Mapping[str, NDArray[np.float32]], prefix: str) -> Float | None:
    names = [prefix + channel for channel in "RGB"]
    if not all(name in planes for name in names):
        return None
    return np.stack([planes[name] for name in names], axis=2)
