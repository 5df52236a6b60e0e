# SPDX-License-Identifier: Apache-2.0
"""Cache: keeps a shot's states, predictions and results in memory and on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matte_nodes.card import Memory, Prediction
from matte_nodes.errors import UsageError
from matte_nodes.node.matte import Matte
from matte_nodes.paths import cache_folder
from matte_nodes.runtime import state_bytes
from matte_nodes.temporal.cache_modes import MODES, CacheMode
from matte_nodes.temporal.inputs import FileHashes
from matte_nodes.temporal.lru import Lru
from matte_nodes.temporal.pictures import can_hold, load_matte, save_matte
from matte_nodes.temporal.store import Store
from matte_nodes.temporal.tensors import load_tensors, save_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from matte_nodes.media.image import Image
    from matte_nodes.node.frame import Seen


MEMORY_STATES = 128 << 20
MEMORY_PICTURES = 256 << 20

# Shares of the disk's limit that the states of one shot may take: every K-th is kept so that they
# fit. A render to files keeps every fourth at most: RVM's takes 4.5 ms to write, its step 40 to 56.
_SHARES = {"disk": 8, "states": 64}
_LEAST_K = {"disk": 1, "states": 4}


class Cache:
    """Keeps a shot's results by content key.

    mode: `memory` keeps the newest states and mattes in memory. `states` also keeps every K-th
    state on disk, and nothing else there. `disk` keeps states, predictions and results, shares
    them with every process that uses the same folder, and computes each frame in one of them
    only. `off` keeps the newest state alone. store: the disk's, default the folder of
    `paths.cache_folder()`. states, pictures: bytes in memory. frames: bytes of frames as they were
    read, and of what a model with a `Bank` answered for them: with them only the finishing of a
    frame is done again when a finishing knob is turned. One Cache may serve many shots.
    """

    def __init__(
        self,
        mode: CacheMode = "memory",
        *,
        store: Store | None = None,
        states: int = MEMORY_STATES,
        pictures: int = MEMORY_PICTURES,
        frames: int = 0,
    ) -> None:
        if mode not in MODES:
            raise UsageError(f"cache is one of {', '.join(MODES)}, not {mode!r}.")
        if mode in ("off", "states"):
            states, pictures = 0, 0
        self.mode = mode
        self.store = None
        if mode in _SHARES:
            self.store = store or Store(cache_folder())
        self.states: Lru[Memory] = Lru(states, at_least=1)
        self.predictions: Lru[Prediction] = Lru(pictures // 2)
        self.results: Lru[Matte] = Lru(pictures // 2)
        self.frames: Lru[tuple[Seen, Image]] = Lru(frames)
        self.answers: Lru[Prediction] = Lru(frames // 4)
        self.hashes = FileHashes(None if self.store is None else self.store.memo)
        self._rolling: dict[str, str] = {}

    @property
    def by_content(self) -> bool:
        """Whether keys must hold in other processes too, or name files by their times."""
        return self.store is not None

    @property
    def keeps_pictures(self) -> bool:
        """Whether predictions and results may be found here."""
        return self.mode == "disk" or self.predictions.limit > 0

    def state(self, key: str) -> Memory | None:
        """Return a model's memory after the frame with this step key."""
        found = self.states.get(key)
        if found is None and self.store is not None:
            found = self.store.read("states", key, lambda path: load_tensors(path, key))
            if found is not None:
                self.states.put(key, found, _size(found))
        return found

    def has_state(self, key: str) -> bool:
        """Whether `state` is likely to find one."""
        return key in self.states or (self.store is not None and self.store.has("states", key))

    def keep_state(self, key: str, memory: Memory, *, chain: str, place: int, length: int) -> None:
        """Keep the state after the place-th frame of a chain of so many frames."""
        size = _size(memory)
        self.states.put(key, memory, size)
        if self.store is None:
            return
        kept = place % self.every(size, length) == 0
        if kept or self.mode == "disk":
            self.store.write("states", key, lambda path: save_tensors(path, memory, key))
        # Between checkpoints only the newest stays, for a process that goes on from here.
        before = self._rolling.pop(chain, None)
        if before is not None and before != key:
            self.store.forget("states", before)
        if not kept and self.mode == "disk":
            self._rolling[chain] = key

    def every(self, state_bytes: int, length: int) -> int:
        """K: one state in so many is kept on disk, so that a shot's states fit their budget."""
        if self.store is None:
            return 1
        budget = max(1, self.store.limit // _SHARES[self.mode])
        fitting = math.ceil(state_bytes * length / budget)
        return max(_LEAST_K[self.mode], min(length, fitting))

    def prediction(self, key: str) -> Prediction | None:
        """Return what the model answered for the frame with this step key."""
        found = self.predictions.get(key)
        if found is None and self.mode == "disk" and self.store is not None:
            arrays = self.store.read("predictions", key, lambda path: load_tensors(path, key))
            if arrays is not None:
                found = _prediction(arrays)
                if found is not None:
                    self.predictions.put(key, found, _size(arrays))
        # Extras reach the user, who may change them; the other arrays do not leave the library.
        return None if found is None else _own(found)

    def has_prediction(self, key: str) -> bool:
        """Whether `prediction` is likely to find one."""
        if key in self.predictions:
            return True
        return self.mode == "disk" and self.store is not None and self.store.has("predictions", key)

    def keep_prediction(self, key: str, prediction: Prediction, *, in_memory: bool = True) -> None:
        """Keep an answer; in memory too, unless a whole clip is streamed through."""
        arrays = _arrays(prediction)
        if in_memory:
            self.predictions.put(key, _own(prediction), _size(arrays))
        if self.mode == "disk" and self.store is not None:
            self.store.write("predictions", key, lambda path: save_tensors(path, arrays, key))

    def result(self, key: str, size: tuple[int, int]) -> Matte | None:
        """Return a finished matte of (H, W), the caller's own."""
        found = self.results.get(key)
        if found is not None:
            return _copy(found)
        if self.mode != "disk" or self.store is None:
            return None

        return self.store.read("results", key, lambda path: load_matte(path, key, size))

    def has_result(self, key: str) -> bool:
        """Whether `result` is likely to find one."""
        if key in self.results:
            return True
        return self.mode == "disk" and self.store is not None and self.store.has("results", key)

    def keep_result(
        self, key: str, matte: Matte, provenance: Mapping[str, str], *, in_memory: bool = True
    ) -> None:
        """Keep a finished matte, with what it was made from and by."""
        size = matte.alpha.nbytes + matte.foreground.nbytes
        if in_memory and self.results.limit >= size:
            self.results.put(key, _copy(matte), size + _size(matte.extras))
        if self.mode == "disk" and self.store is not None and can_hold(matte):
            self.store.write("results", key, lambda path: save_matte(path, matte, key, provenance))

    def keep_frame(self, key: str, seen: Seen, image: Image) -> None:
        """Keep a frame as it was read. Nobody may change its arrays."""
        given, inputs = seen.given, seen.inputs
        arrays: list[Any] = [image.pixels, *inputs.neighbours]
        arrays += [given.plate, given.trimap, given.background, given.segmentation]
        arrays += [
            inputs.plate,
            inputs.trimap,
            inputs.background,
            inputs.segmentation,
            inputs.scene,
        ]
        known = {id(array): array.nbytes for array in arrays if array is not None}
        self.frames.put(key, (seen, image), sum(known.values()) + seen.later_bytes)

    def answered(self, key: Callable[[], str], make: Callable[[], Prediction]) -> Prediction:
        """Return a kept answer, or a new one, which is kept where frames are kept.

        key: returns the answer's key as it is now. A frame that was replaced while its answer was
        made has another key by then, and the answer is not kept.
        """
        if not self.answers.limit:
            return make()
        before = key()
        found = self.answers.get(before)
        if found is not None:
            return _own(found)
        made = make()
        if key() == before:
            self.answers.put(before, _own(made), _size(_arrays(made)))
        return made

    def claim(self, key: str) -> AbstractContextManager[object]:
        """Be the only process that computes this key; costs nothing where nothing is shared."""
        if self.mode != "disk" or self.store is None:
            return nullcontext()
        return self.store.claim(key)

    def forget_memory(self) -> None:
        """Forget what is in memory; what is on disk stays."""
        self.states.clear()
        self.predictions.clear()
        self.results.clear()
        self.frames.clear()
        self.answers.clear()


def as_cache(cache: Cache | str | None) -> Cache:
    """Return the cache that a shot was asked to use; None is `off`."""
    if isinstance(cache, Cache):
        return cache
    return Cache("off" if cache is None else cache)  # type: ignore[arg-type]


def _size(arrays: Mapping[str, Any]) -> int:
    return sum(state_bytes(array) for array in arrays.values())


def _arrays(prediction: Prediction) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"alpha": prediction.alpha}
    if prediction.foreground is not None:
        arrays["foreground"] = prediction.foreground
    return arrays | {f"extra {name}": extra for name, extra in prediction.extras.items()}


def _prediction(arrays: Mapping[str, NDArray[Any]]) -> Prediction | None:
    if "alpha" not in arrays:
        return None
    extras = {name[6:]: array for name, array in arrays.items() if name.startswith("extra ")}
    return Prediction(arrays["alpha"], arrays.get("foreground"), extras)


def _own(prediction: Prediction) -> Prediction:
    if not prediction.extras:
        return prediction
    return replace(prediction, extras={k: np.array(v) for k, v in prediction.extras.items()})


def _copy(matte: Matte) -> Matte:
    return replace(
        matte,
        alpha=matte.alpha.copy(),
        foreground=matte.foreground.copy(),
        extras={name: extra.copy() for name, extra in matte.extras.items()},
    )
