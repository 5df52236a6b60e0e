# SPDX-License-Identifier: Apache-2.0
"""The daemon's loop: mattes the newest plate, and reports states and errors to the properties."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from matte_nodes.color.config import DEFAULT
from matte_nodes.errors import MatteError, UsageError
from matte_nodes.hosts.obs import protocol
from matte_nodes.hosts.obs.filter_settings import FilterSettings, read_settings
from matte_nodes.hosts.obs.protocol import Channel, SharedPicture
from matte_nodes.hosts.obs.residual import packed
from matte_nodes.hosts.obs.specks import without_specks
from matte_nodes.hosts.obs.stillness import Drift, Stillness
from matte_nodes.node.knobs import LoadKnobs

if TYPE_CHECKING:
    from matte_nodes.card import Float, LoadContext, Model, ModelCard
    from matte_nodes.shot.stream import Stream

NAP = 0.003
IDLE = 0.03
BEAT = 0.25
MOVEMENT = 0.25  # a change of alpha from which on it is not flicker


class LoadedModel(NamedTuple):
    """The loaded model, and what it was loaded for."""

    engine: tuple[Any, ...]
    """Model, device, threads."""

    knobs: LoadKnobs
    """The knobs that loading was given."""

    model: Model


class Worker:
    """Serves one filter until `stop` is set: loads the chosen model and mattes the newest plate."""

    def __init__(self, channel: Channel, sleep: Callable[[float], None] = time.sleep) -> None:
        self.channel, self._sleep = channel, sleep
        self._settings: FilterSettings | None = None
        self._settings_number = -1
        self._stream: Stream | None = None
        self._loaded: LoadedModel | None = None
        self._generation = -1
        self._plate = self._clean_number = 0
        self._clean: SharedPicture | None = None
        self._before: Float | None = None
        self._last: tuple[np.ndarray[Any, Any], SharedPicture] | None = None
        self._stillness, self._drift = Stillness(), Drift()
        self._milliseconds = 0.0
        self._warm: tuple[int, ...] | None = None  # the size that the model was last run at
        self._beaten = 0.0
        self._said = (protocol.NONE, "")

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. A ProtocolError ends it."""
        while not stop.is_set():
            if not self.once():
                self._sleep(NAP if self.channel.active else IDLE)

    def once(self) -> bool:
        """Check the memory once. Returns True when a plate was matted. Reports errors to the
        filter.
        """
        now = time.monotonic()
        if now - self._beaten >= BEAT:
            self.channel.beat()
            self.channel.check()
            self._beaten = now
        try:
            self._follow_settings()
            return self._follow_plates()
        except protocol.ProtocolError:
            raise
        except MatteError as error:
            self._fail(str(error))
        except Exception as error:  # a model may raise anything; the room stays hidden
            self._fail(f"{type(error).__name__}: {error}")
        return False

    def _fail(self, text: str) -> None:
        self._say(protocol.ERROR, text)
        self._reset()
        self._sleep(0.1)

    def _say(self, state: int, text: str = "") -> None:
        if (state, text) != self._said:  # not the same at every frame
            self._said = state, text
            self.channel.say(state, text)

    def _reset(self) -> None:
        if self._stream is not None:
            self._stream.reset()
        self._before = self._last = None
        self._stillness.forget()

    def _follow_settings(self) -> None:
        number = self.channel.settings_number
        if number == self._settings_number:
            return
        settings = self.channel.settings()
        if settings is None:
            return
        self._settings_number = number
        before, self._stream = self._stream, None
        self._settings = read_settings(settings)
        stream = self._open(self._settings)
        # A slider that only changes what is made from the answer leaves the model its memory.
        if before is not None:
            stream.go_on_from(before)
        self._stream = stream
        self._before = self._last = None
        self._stillness.forget()

    def _open(self, wish: FilterSettings) -> Stream:
        from matte_nodes.shot.matte_node import MatteNode

        if self._loaded is None or self._loaded.engine != wish.engine:
            self._say(protocol.LOADING, wish.model)
            self._loaded = None
        knobs: dict[str, Any] = dict(wish.knobs)
        if wish.feather_outward:
            # Grown by two sigma, then blurred: alpha at the old edge stays above 0.97.
            knobs["shrink"] = float(knobs.get("shrink", 0.0)) - 2 * wish.feather_outward
            knobs["feather"] = max(float(knobs.get("feather", 0.0)), wish.feather_outward)
        # A camera is sRGB, also when $OCIO is set for a show on this machine.
        node = MatteNode(
            wish.model, device=wish.device, threads=wish.threads, ocio=DEFAULT,
            loader=self._loader, **knobs,
        )  # fmt: skip
        if needs := sorted(node.card.needs - {"background"}):
            raise UsageError(
                f"Model {wish.model!r} needs a {' and a '.join(needs)}, which a live camera has "
                "not. Choose another model."
            )
        stream = node.stream(colorspace="sRGB")
        stream.__enter__()
        self._say(protocol.READY)
        return stream

    def _loader(self, card: ModelCard, context: LoadContext) -> Model:
        assert self._settings is not None
        loaded = self._loaded
        if loaded and loaded.engine == self._settings.engine and loaded.knobs.serve(context.knobs):
            return loaded.model
        knobs = LoadKnobs(context.knobs)
        model = card.load(replace(context, knobs=knobs))
        knobs.close()
        self._loaded, self._warm = LoadedModel(self._settings.engine, knobs, model), None
        return model

    def _follow_plates(self) -> bool:
        if not self.channel.active:
            if self._last is not None or self._before is not None:
                self._reset()
                self.channel.wipe_mattes()
            self._clean, self._clean_number = None, 0
            return False
        found = self.channel.background(self._clean_number)
        if found is not None:
            self._clean, self._clean_number = found, found.number
            self._stillness.forget()
        if self._stream is None:
            return False
        plate = self.channel.plate(self._plate)
        if plate is None:
            return False
        self._plate = plate.number
        if plate.generation != self._generation:
            self._generation = plate.generation
            self._reset()
        self.channel.take(plate.number)
        self._serve(plate)
        return True

    def _serve(self, plate: SharedPicture) -> None:
        assert self._settings is not None
        assert self._stream is not None
        start = time.perf_counter()
        pixels = np.ascontiguousarray(plate.pixels[..., :3])
        if self._settings.skip and self._last is not None and self._stillness.still(pixels):
            matte = self._last[0]
            drift = None
        else:
            self._stillness.still(pixels)
            # The first matte of a size may take minutes (compilers, drivers). That is not a hang.
            if self._warm != pixels.shape and self._said[0] != protocol.ERROR:
                self._say(protocol.LOADING, self._settings.model)
            matte, drift = self._matte(pixels)
            self._warm = pixels.shape
        self._say(protocol.READY)
        if plate.generation != self.channel.generation or not self.channel.active:
            return
        self._last = (matte, plate)
        self.channel.put_matte(matte, plate)
        if drift is None:
            return
        spent = 1000 * (time.perf_counter() - start)
        self._milliseconds = 0.8 * self._milliseconds + 0.2 * spent if self._milliseconds else spent
        self.channel.report(self._milliseconds, drift=drift)

    def _matte(self, pixels: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], bool]:
        assert self._settings is not None
        assert self._stream is not None
        clean = self._clean.pixels[..., :3] if self._clean is not None else None
        if clean is not None and clean.shape != pixels.shape:
            clean = None
        card = self._stream.node.card
        if "background" in card.needs and clean is None:
            raise UsageError(
                f"Model {card.name!r} needs a clean plate: leave the picture and press "
                "'Capture empty room'."
            )
        given = {"background": clean} if clean is not None else {}
        matte = self._stream.step(pixels, **given)
        alpha = without_specks(matte.alpha) if self._settings.drop_specks else matte.alpha
        before = self._before
        if self._settings.smoothing and before is not None and before.shape == alpha.shape:
            alpha = smoothed(alpha, before, self._settings.smoothing)
        self._before = alpha
        drift = clean is not None and self._drift.drifted(pixels, clean, alpha)
        return packed(pixels, alpha, matte.foreground), drift


def smoothed(alpha: Float, before: Float, share: float) -> Float:
    """Mix alpha (H, W) with a share of the one before, where they differ by little.

    Flicker is a small difference, movement a large one: mixing a large one would show the room
    where a person has just left. Where alpha is 0 it stays 0, for the same reason.
    """
    change = np.abs(before - alpha)
    kept = np.float32(share) * np.clip(1 - change / np.float32(MOVEMENT), 0, 1)
    mixed: Float = np.where(alpha > 0, alpha + kept * (before - alpha), alpha)
    return mixed
