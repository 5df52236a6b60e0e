# SPDX-License-Identifier: Apache-2.0
"""A good delivery, made by `Render` as users make it, and its broken copies: one fault each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from tests.made import scenes, write_image

FIRST, COUNT = 1001, 6
SPOT = 1003
SIZE = (96, 128)


@dataclass
class Made:
    """Where things are."""

    plate: str
    trimap: str
    folder: Path

    def options(self) -> dict[str, Any]:
        """What is said of the delivery."""
        return {"plate": self.plate, "trimap": self.trimap}


def good(folder: Path) -> Made:
    """A plate with time code, rate, an odd pixel aspect and overscan, and its mattes."""
    plates = folder / "plate"
    plates.mkdir(parents=True)
    made = scenes(COUNT, *SIZE)
    for index, scene in enumerate(made):
        number = FIRST + index
        path = plates / f"plate.{number}.exr"
        write_plate(path, np.maximum(scene.plate, 0.03).astype(np.float16), index)
        codes = np.round(scene.trimap[4:-4, 4:-4] * 255).astype(np.uint8)
        write_image(plates / f"trimap.{number}.png", codes, "Y")
    plate, trimap = str(plates / "plate.####.exr"), str(plates / "trimap.####.png")
    # With the plate's data window, so that a fault can be put anywhere.
    return rendered(Made(plate, trimap, folder / "good"), plate_window=True)


def rendered(made: Made, *, plate_window: bool) -> Made:
    """The mattes of a plate, in the folder that is named."""
    render = Render(
        made.plate, str(made.folder / "matte.####.exr"), "closed-form", knobs={}, node={},
        connect={"trimap": made.trimap, "cache": "off"}, plate_window=plate_window,
    )  # fmt: skip
    render.run(None, None, Quiet())
    return made


def write_plate(path: Path, pixels: NDArray[np.float16], index: int) -> None:
    """An EXR as a camera's: data window beyond the display window, time code, rate."""
    height, width = pixels.shape[:2]
    spec = oiio.ImageSpec(width, height, 3, "half")
    spec.x = spec.y = -4
    spec.full_x = spec.full_y = 0
    spec.full_width, spec.full_height = width - 8, height - 8
    spec.attribute("PixelAspectRatio", 1.5)
    spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), (24, 1))
    spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (0x01000000 + index, 0))
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(pixels), output.geterror()
    output.close()


@dataclass
class Opened:
    """A file taken apart: its header and its channels, to be put together again with a fault."""

    spec: Any
    planes: dict[str, NDArray[np.float32]]
    kind: str = "half"
    attributes: dict[str, Any] = field(default_factory=dict)

    def product(self) -> None:
        """Make R, G, B = fg x A again, so that a changed alpha is the only fault."""
        with np.errstate(invalid="ignore"):
            for c in "RGB":
                self.planes[c] = self.planes[f"fg.{c}"] * self.planes["A"]


def rewritten(path: Path, change: Callable[[Opened], None]) -> None:
    """The file with one thing changed."""
    source = oiio.ImageInput.open(str(path))
    spec = source.spec()
    pixels = source.read_image("float")
    source.close()
    opened = Opened(spec, {n: pixels[..., i].copy() for i, n in enumerate(spec.channelnames)})
    change(opened)
    names = list(opened.planes)
    stack = np.stack([opened.planes[name] for name in names], axis=2)
    new = oiio.ImageSpec(stack.shape[1], stack.shape[0], len(names), opened.kind)
    new.channelnames = tuple(names)
    for name in ("x", "y", "full_x", "full_y", "full_width", "full_height"):
        setattr(new, name, getattr(spec, name))
    for item in spec.extra_attribs:
        if item.name not in opened.attributes:
            new.attribute(item.name, item.type, item.value)
    for name, value in opened.attributes.items():
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            new.attribute(name, oiio.TypeDesc(value[0]), value[1])
        elif value is not None:
            new.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), new), output.geterror()
    assert output.write_image(stack), output.geterror()
    output.close()


def header(**attributes: Any) -> Callable[[Opened], None]:
    """Other attributes; None takes one away. `a__b` is `a/b`, `a_1_b` `a:b`."""
    named = {k.replace("__", "/").replace("_1_", ":"): v for k, v in attributes.items()}
    return lambda opened: opened.attributes.update(named)


def pixels(change: Callable[[dict[str, NDArray[np.float32]]], None]) -> Callable[[Opened], None]:
    """Another alpha or foreground, and the product that goes with it."""

    def apply(opened: Opened) -> None:
        change(opened.planes)
        opened.product()

    return apply


def window(x: int = 0, width: int = 0) -> Callable[[Opened], None]:
    """Data window moved; display window wider."""

    def apply(opened: Opened) -> None:
        opened.spec.x += x
        opened.spec.full_width += width

    return apply


def stored(kind: str) -> Callable[[Opened], None]:
    """Another type of pixels."""
    return lambda opened: setattr(opened, "kind", kind)


def _solid_spot(planes: dict[str, NDArray[np.float32]], value: float) -> None:
    """A few pixels well inside the subject: solid in the trimap."""
    ys, xs = np.nonzero(planes["A"] == 1)
    planes["A"][ys[:3], xs[:3]] = value


def _empty_spot(planes: dict[str, NDArray[np.float32]], value: float) -> None:
    ys, xs = np.nonzero(planes["A"] == 0)
    planes["A"][ys[:3], xs[:3]] = value


def _fill(value: float) -> Callable[[dict[str, NDArray[np.float32]]], None]:
    return lambda planes: planes["A"].fill(value)


def _black(planes: dict[str, NDArray[np.float32]]) -> None:
    for c in "RGB":
        planes[f"fg.{c}"][planes["A"] > 0] = 0


def _jump(planes: dict[str, NDArray[np.float32]]) -> None:
    """The soft edge pops for a frame: its pixels stay strictly between 0 and 1."""
    soft = (planes["A"] > 0) & (planes["A"] < 1)
    planes["A"][soft] = np.clip(planes["A"][soft] ** 3, 0.002, 0.998)


def _unmultiplied(opened: Opened) -> None:
    for c in "RGB":
        opened.planes[c] = opened.planes[f"fg.{c}"].copy()


def _spoil(name: str, value: float) -> Callable[[dict[str, NDArray[np.float32]]], None]:
    def apply(planes: dict[str, NDArray[np.float32]]) -> None:
        ys, xs = np.nonzero(planes["A"] == 1)
        planes[name][ys[:2], xs[:2]] = value

    return apply


def _all(change: Callable[[Opened], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for path in sorted(folder.glob("matte.*.exr")):
            rewritten(path, change)

    return apply


def _one(change: Callable[[Opened], None]) -> Callable[[Path], None]:
    return lambda folder: rewritten(folder / f"matte.{SPOT}.exr", change)


def _cut(folder: Path) -> None:
    path = folder / f"matte.{SPOT}.exr"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _without_channel(opened: Opened) -> None:
    del opened.planes["fg.B"]


FAULTS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "a frame is missing": (
        lambda folder: (folder / f"matte.{SPOT}.exr").unlink(), "complete"),
    "a frame too many": (
        lambda folder: shutil.copy(folder / "matte.1001.exr", folder / "matte.1099.exr"),
        "complete"),
    "a file is cut off": (_cut, "readable"),
    "the display window is wider": (_one(window(width=16)), "size"),
    "the data window has moved": (_one(window(x=2)), "data-window"),
    "square pixels": (_all(header(PixelAspectRatio=1.0)), "pixel-aspect"),
    "another colour space": (_all(header(matte__colorspace="lin_rec709")), "colorspace"),
    "no colour space is named": (_one(header(matte__colorspace=None)), "colorspace"),
    "a channel is missing": (_one(_without_channel), "channels"),
    "float in place of half": (_all(stored("float")), "half"),
    "a compression that loses": (_all(header(compression="b44a")), "compression"),
    "NaN in the foreground": (_one(pixels(_spoil("fg.G", np.nan))), "finite"),
    "Inf in the alpha": (_one(pixels(_spoil("A", np.inf))), "finite"),
    "alpha above 1": (_one(pixels(lambda planes: _solid_spot(planes, 1.4))), "range"),
    "alpha below 0": (_one(pixels(lambda planes: _empty_spot(planes, -0.2))), "range"),
    "an empty frame": (_one(pixels(_fill(0.0))), "empty"),
    "a solid frame": (_one(pixels(_fill(1.0))), "solid"),
    "a black foreground": (_all(pixels(_black)), "foreground"),
    "no tag of premultiplication": (_all(header(matte__association=None)), "association"),
    "a wrong tag": (_one(header(matte__association="straight")), "association"),
    "not multiplied": (_all(_unmultiplied), "association"),
    "other weights in one frame": (_one(header(matte__weights="x:0123")), "model"),
    "another model in one frame": (_one(header(matte__model="green-screen")), "model"),
    "another frame's key": (_one(header(matte__key="0" * 40)), "name"),
    "a non-commercial model": (_all(header(matte__commercial="no")), "licence"),
    "a model of unclear terms": (_all(header(matte__commercial="unclear")), "licence-unclear"),
    "the trimap is not kept": (
        _one(pixels(lambda planes: _solid_spot(planes, 0.5))), "trimap"),
    "an edge that pops": (_one(pixels(_jump)), "flicker"),
    "another time code": (
        _one(header(smpte_1_TimeCode=("timecode", (0x02000000, 0)))), "timecode"),
    "another frame rate": (
        _all(header(framesPerSecond=("rational", (25, 1)))), "rate"),
}  # fmt: skip


def broken(made: Made, fault: str, folder: Path) -> Made:
    """A copy of the good delivery with this fault."""
    target = folder / "broken"
    shutil.copytree(made.folder, target)
    FAULTS[fault][0](target)
    return Made(made.plate, made.trimap, target)
