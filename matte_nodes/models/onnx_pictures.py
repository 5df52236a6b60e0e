# SPDX-License-Identifier: Apache-2.0
"""How an ONNX file wants its pictures: their values, channels, layout and size."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matte_nodes.media.resize import resized

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.card import Float

LONGEST = 2048


@dataclass(frozen=True)
class Picture:
    """How one input of the file wants its picture: (x * scale - mean) / std, per channel.

    peak: the picture is first divided by its largest value.
    """

    name: str
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    order: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    peak: bool = False

    @classmethod
    def declared(cls, how: str | Mapping[str, Any]) -> Picture:
        """From a declaration: the name of an input, or an object.

        Raises ValueError for a key that is unknown, and for a value that it cannot have.
        """
        if isinstance(how, str):
            return cls(how)
        known = [field.name for field in fields(cls)]
        check_keys(how, known, "an input")
        told: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in how.items()}
        for name, choices in (("order", ("rgb", "bgr")), ("layout", ("NCHW", "NHWC"))):
            if told.get(name, choices[0]) not in choices:
                raise ValueError(f'"{name}" is {" or ".join(choices)}, not {told[name]!r}')
        for name in ("scale", "mean", "std"):
            values = np.array(told.get(name, 1.0), np.float64)
            if not np.isfinite(values).all() or (name == "std" and not values.all()):
                raise ValueError(f'"{name}" holds numbers, and "std" no 0, not {told[name]!r}')
        return cls(**told)

    def made(self, planes: Float, kind: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
        """(H, W, C), 0..1, as the file wants it."""
        if self.peak:
            planes = planes / max(float(planes.max()), 1e-6)
        if self.order == "bgr":
            planes = np.concatenate([planes[..., 2::-1], planes[..., 3:]], axis=2)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        planes = (planes * np.float32(self.scale) - mean) / std
        planes = planes if self.layout == "NHWC" else planes.transpose(2, 0, 1)
        return np.ascontiguousarray(planes, kind)[None]


@dataclass(frozen=True)
class Fit:
    """The size that a file works at, and how a plate comes to it.

    fixed: (height, width), to which the plate is squeezed, or with `letterbox` scaled as a whole
    and filled up with black at the right and the bottom. shorter: length of the shorter side.
    multiple: sides are multiples of it; edges are repeated.
    """

    fixed: tuple[int, int] | None = None
    letterbox: bool = False
    shorter: int = 0
    longest: int = LONGEST
    multiple: int = 1

    @classmethod
    def declared(cls, told: Mapping[str, Any]) -> Fit:
        """From a declaration. Raises ValueError for a way to fit that is unknown."""
        fit = told.get("fit", "squash")
        if fit not in ("squash", "letterbox"):
            raise ValueError(f'"fit" is "squash" or "letterbox", not {fit!r}')
        fixed = told.get("fixed_size")
        return cls(
            (int(fixed[0]), int(fixed[1])) if fixed else None, fit == "letterbox",
            int(told.get("shorter", 0)), int(told.get("longest", LONGEST)),
            int(told.get("multiple", 1)),
        )  # fmt: skip

    @property
    def by_node(self) -> bool:
        """Whether the library's own scaling does the same, so that the card can declare it."""
        return not self.letterbox and not self.shorter

    def inner(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the scaled plate."""
        height, width = size
        if self.fixed and not self.letterbox:
            return self.fixed
        scale = 1.0
        if self.fixed:
            scale = min(self.fixed[0] / height, self.fixed[1] / width)
        elif self.shorter:
            scale = min(self.shorter / min(size), self.longest / max(size))
            step = self.multiple
            return tuple(max(step, int(side * scale) // step * step) for side in size)  # type: ignore[return-value]
        return max(1, round(height * scale)), max(1, round(width * scale))

    def put(self, picture: Float, size: tuple[int, int]) -> Float:
        """(H, W, C) at the size of the file; `size` is that of the plate."""
        small = resized(picture, self.inner(size))
        sides = self.fixed or tuple(
            -(-side // self.multiple) * self.multiple for side in small.shape[:2]
        )
        pad = [(0, sides[0] - small.shape[0]), (0, sides[1] - small.shape[1]), (0, 0)]
        if not any(after for _, after in pad):
            return small
        return np.pad(small, pad, mode="constant" if self.letterbox else "edge")

    def back(self, picture: Float, size: tuple[int, int]) -> Float:
        """An answer (H, W) or (H, W, C) at the plate's size."""
        height, width = self.inner(size)
        return resized(np.ascontiguousarray(picture[:height, :width]), size)


def check_keys(told: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    """Raise ValueError for a key that nothing reads: it would be left out without a word.

    Keys that begin with _ are yours, for notes.
    """
    names = list(known)
    for name in told:
        if name not in names and not name.startswith("_"):
            close = difflib.get_close_matches(name, names, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"{what} has no key {name!r}{hint}")


def plane(answer: NDArray[Any]) -> Float:
    """(1, 1, H, W), (1, H, W, 1), (1, H, W) or (H, W) as (H, W); (1, C, H, W) as (H, W, C)."""
    planes = answer[0] if answer.ndim > 2 else answer
    if planes.ndim == 2:
        return np.ascontiguousarray(planes, np.float32)
    if planes.shape[0] == 1:
        return np.ascontiguousarray(planes[0], np.float32)
    if planes.shape[-1] == 1:
        return np.ascontiguousarray(planes[..., 0], np.float32)
    channels_first = planes.shape[0] < planes.shape[-1]
    turned = planes.transpose(1, 2, 0) if channels_first else planes
    return np.ascontiguousarray(turned, np.float32)
