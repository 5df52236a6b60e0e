# SPDX-License-Identifier: Apache-2.0
"""Pictures for the stand-in: what a Write of Nuke would put on disk."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import OpenImageIO as oiio


def path_of(pattern: str, frame: int) -> str:
    """The file of one frame of plate.%04d.exr."""
    return re.sub(r"%0(\d)d", lambda found: str(frame).zfill(int(found[1])), pattern)


def rendered(source: str, target: str, channels: str, gain: float) -> None:
    """Copy a picture as half EXR: rgb, or one channel as alpha; windows and aspect are kept."""
    image = oiio.ImageBuf(source)
    spec = image.spec()
    pixels = np.asarray(image.get_pixels("float")).reshape(spec.height, spec.width, -1)
    names = list(spec.channelnames)
    if channels == "rgb":
        pixels, wanted = pixels[..., [names.index(n) for n in "RGB"]] * gain, ("R", "G", "B")
    else:
        pixels, wanted = pixels[..., :1], ("A",)
    made = oiio.ImageSpec(spec.width, spec.height, len(wanted), oiio.HALF)
    made.x, made.y = spec.x, spec.y
    made.full_x, made.full_y = spec.full_x, spec.full_y
    made.full_width, made.full_height = spec.full_width, spec.full_height
    made.channelnames = wanted
    made.attribute("PixelAspectRatio", spec.get_float_attribute("PixelAspectRatio", 1.0))
    made.attribute("DateTime", "2026:01:01 00:00:00")  # else two renders never are equal files
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    output = oiio.ImageOutput.create(target)
    assert output.open(target, made), output.geterror()
    assert output.write_image(np.ascontiguousarray(pixels.astype(np.float16)))
    output.close()
