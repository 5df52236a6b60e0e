# SPDX-License-Identifier: Apache-2.0
"""PlateColor: the three colour spaces of a plate and the transforms between them."""

from __future__ import annotations

import numpy as np

from matte_nodes.color.config import ColorConfig
from matte_nodes.color.fast import Float, Pixels, as_float
from matte_nodes.color.linear import linear_counterpart
from matte_nodes.color.network import NetworkEncoder, NetworkView
from matte_nodes.color.transform import transform
from matte_nodes.errors import ColorError


class PlateColor:
    """All the transforms of one plate, made once and used from several threads.

    plate: the space the pixels came in. working: scene-linear, unbounded; the plate's own space
    if that is linear, otherwise its linear counterpart (same primaries). output: what results
    are written in: working, or the plate's own where `encoded_output` asks for that (movies and
    8 bit files), or what `output` names. Names are canonical. Alpha is never given to any of
    these functions: it has no colour.
    Raises ColorError for unknown names and for spaces that hold data.
    """

    def __init__(
        self,
        plate: str,
        *,
        output: str | None = None,
        encoded_output: bool = False,
        view: NetworkView | None = None,
        config: ColorConfig | None = None,
    ) -> None:
        asked = [plate] if output is None else [plate, output]
        self.config = (config or ColorConfig()).holding(*asked)
        self.view = view or NetworkView()
        self.plate = self._space(plate)
        self.working = linear_counterpart(self.config, self.plate)
        if output is not None:
            self.output = self._space(output)
        else:
            self.output = self.plate if encoded_output else self.working
        self._to_working = transform(self.config, self.plate, self.working)
        self._to_output = transform(self.config, self.working, self.output)
        self._encoder = NetworkEncoder(self.config, self._to_working, self.working, self.view)

    def _space(self, name: str) -> str:
        space = self.config.resolve(name)
        if self.config.is_data(space):
            raise ColorError(
                f'"{name}" holds data, not colours, so it can be neither shown to a network nor '
                f"linearised: name the colour space that the pixels are in."
            )
        return space

    @property
    def id(self) -> str:
        """A stable text for fingerprints: spaces, config, view, and all transforms' own ids."""
        spaces = f"{self.plate}>{self.working}>{self.output}"
        view = f"{self.view.kind}{self.view.exposure:+g}"
        return f"{spaces}|{self.config.cache_id}|{view}|{self._to_output.id}|{self.seen_id}"

    @property
    def seen_id(self) -> str:
        """The ids of the transforms that the network's picture and its answer go through."""
        return f"{self._to_working.id}|{self._encoder.id}"

    def to_working(self, pixels: Pixels) -> Float:
        """Return plate pixels (H, W, 3) of any code type as float32 scene-linear, unbounded.

        A linear plate keeps its exact numbers. The array is always new.
        """
        result = self._to_working(pixels)
        return result.copy() if result is pixels else result

    def to_network(self, pixels: Pixels) -> Float:
        """Return plate pixels (H, W, 3) as float32 in 0..1, display-encoded, never NaN."""
        return self._encoder.plate(pixels)

    def to_network_at(self, pixels: Pixels, size: tuple[int, int]) -> Float:
        """Return `to_network` reduced by area to (height, width); see `NetworkEncoder.reduced`."""
        return self._encoder.reduced(pixels, size)

    def network_to_working(self, encoded: Float) -> Float:
        """Return a model's own foreground (H, W, 3), encoded as its plate was, in working space.

        Values that the view clipped stay clipped. Exposure and the soft roll-off are undone. "view"
        is inverted as far as the config's view allows.
        """
        return self._encoder.decode(encoded)

    def to_output(self, working: Float) -> Float:
        """Return (H, W, 3) float32 in output space from working space."""
        result = self._to_output(working)
        return result.copy() if result is working else result

    def plate_to_output(self, pixels: Pixels) -> Float:
        """Return the plate in output space. It keeps its exact numbers when that is its own space."""
        if self.output == self.plate:
            return np.array(as_float(pixels), np.float32, copy=pixels.dtype == np.float32)
        return self.to_output(self.to_working(pixels))
