# SPDX-License-Identifier: Apache-2.0
"""Runs SAM 2 and EdgeTAM one frame at a time: what they remember of a video is our `Bank`.

The library keeps a session that grows with the video, by frame number. Here a step makes a session
from the memory, asks the library's own model for one frame, and takes the new memory out of it. A
frame is named by its age, so that a state is the same whichever frames were asked for before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from matte_nodes.card import Inputs, KnobValue, LoadContext, Memory
from matte_nodes.media.resize import resized
from matte_nodes.models.carrier import MASK, MaskCarrier, painted
from matte_nodes.models.torch_network import TorchNetwork
from matte_nodes.points import ONLY, FramePoints, Marks
from matte_nodes.runtime import use_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from matte_nodes.architecture import Architecture
    from matte_nodes.card import Float
    from matte_nodes.models.networks.video_segmenters import VideoSegmenter

    Array = NDArray[Any]

NOW = 1 << 20
"""The number that a session has for the frame at hand: an age of any entry fits below and above."""

KEYS = 8
"""Key frames that an object remembers: its first and its newest ones."""

PAST = 6
"""Frames besides, of which the picture is remembered."""

POINTERS = 15
"""Frames besides, of which the short summary of the object is remembered."""

_BOX, _SUBJECT, _OTHER = (2, 3), 1, 0
"""The library's labels of points."""


@dataclass
class _Remembered:
    """What an object remembers of some frames, the newest first.

    ages: in frames; negative for frames that are still to come in this direction of time.
    pointers: (N, ...) float32. features: (M, ...), of the first M frames, float32, or uint16 with
    the bits of bfloat16.
    """

    ages: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    pointers: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    features: Array = field(default_factory=lambda: np.zeros(0, np.float32))

    def aged(self) -> _Remembered:
        """One frame later. A frame that was still to come is left out when it is there."""
        later = _Remembered(self.ages + np.int32(1), self.pointers, self.features)
        places = [n for n, age in enumerate(later.ages) if age]
        return later if len(places) == len(later.ages) else later.only(places, len(places))

    def with_newest(self, pointer: Array, features: Array) -> _Remembered:
        """With the frame at hand."""
        first = not len(self.ages)
        return _Remembered(
            np.concatenate([np.zeros(1, np.int32), self.ages]),
            pointer[None] if first else np.concatenate([pointer[None], self.pointers]),
            features[None] if first else np.concatenate([features[None], self.features]),
        )

    def only(self, places: list[int], features: int) -> _Remembered:
        """The entries at these places; features of the first ones alone."""
        return _Remembered(
            self.ages[places], self.pointers[places], self.features[places[:features]]
        )


@dataclass
class _Object:
    """An object's memory: key frames, and frames that it was followed through."""

    keys: _Remembered = field(default_factory=_Remembered)
    past: _Remembered = field(default_factory=_Remembered)

    @staticmethod
    def of(memory: Memory, name: str) -> _Object | None:
        """An object's part of a state; None when it has none."""
        if f"{name}/keys_ages" not in memory:
            return None
        parts: Mapping[str, Any] = memory
        keys, past = (
            _Remembered(*(parts[f"{name}/{kind}_{part}"] for part in _PARTS))
            for kind in ("keys", "past")
        )
        return _Object(keys, past)

    def as_memory(self, name: str) -> Memory:
        """The tensors of a state."""
        return {
            f"{name}/{kind}_{part}": getattr(getattr(self, kind), part)
            for kind in ("keys", "past")
            for part in _PARTS
        }

    def after(self, pointer: Array, features: Array, *, is_key: bool) -> _Object:
        """The memory after the frame at hand."""
        if not is_key:
            past = self.past.with_newest(pointer, features)
            count = min(len(past.ages), POINTERS)
            return _Object(self.keys, past.only(list(range(count)), PAST))
        keys = self.keys.with_newest(pointer, features)
        places = list(range(len(keys.ages)))
        if len(places) > KEYS:
            places = [*places[: KEYS - 1], places[-1]]
        return _Object(keys.only(places, KEYS), self.past)


_PARTS = ("ages", "pointers", "features")


class VideoSegmenterModel(MaskCarrier):
    """SAM 2 or EdgeTAM: masks from clicks, boxes and painted keys, carried by their own memory."""

    def __init__(self, context: LoadContext, architecture: Architecture, file: str = "") -> None:
        import torch

        self._network = TorchNetwork(context, architecture)
        self._torch = torch
        self._segmenter = cast("VideoSegmenter", self._network.network)
        self._net = self._segmenter.net
        self._side = self._segmenter.side
        self._places = self._positions()

    def advance(self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]) -> Memory:
        """Return the masks of this frame, and what the network remembers after it."""
        del knobs
        points = inputs.points or FramePoints((ONLY,))
        side = self._side
        scale = side / inputs.plate.shape[1], side / inputs.plate.shape[0]
        marks = {name: m.scaled(*scale) for name, m in points.marks.items()}
        session = self._session()
        known: dict[str, _Object] = {}
        keyed: set[str] = set()
        for name in points.objects:
            drawn = self._painted(inputs) if name == points.objects[0] else None
            before = _Object.of(memory, name)
            own = _joined(name, marks)
            if own is not None and before is None and not (own.subject or own.box):
                own = None  # a click beside an object says nothing where nothing is known of it
            if drawn is None and own is None and before is None:
                continue
            known[name] = _later(before)
            place = session.obj_id_to_idx(name)
            self._fill(session, place, known[name])
            if drawn is not None or own is not None:
                keyed.add(name)
                session.obj_with_new_inputs.append(name)
                self._mark(session, place, own, drawn)
        if not known:
            return {}
        self._call(session, inputs.plate)
        return self._taken(session, known, keyed)

    def turned(self, memory: Memory) -> Memory:
        """Return the state for the other direction: frames passed are to come, and are forgotten."""
        found = dict(memory)
        for name in [n[: -len(MASK)] for n in memory if n.endswith(MASK)]:
            one = _Object.of(memory, name)
            if one is not None:
                keys = _Remembered(-one.keys.ages, one.keys.pointers, one.keys.features)
                found |= _Object(keys).as_memory(name)
        return found

    def _session(self) -> Any:
        session = self._segmenter.session(
            video_height=self._side,
            video_width=self._side,
            inference_device=self._network.device,
            inference_state_device=self._network.device,
            video_storage_device=self._network.device,
            dtype=self._network.dtype,
        )
        session.processed_frames = {}
        return session

    def _fill(self, session: Any, place: int, known: _Object) -> None:
        """Put an object's memory into a session."""
        kept = session.output_dict_per_obj[place]
        for part, entries in (
            ("cond_frame_outputs", known.keys), ("non_cond_frame_outputs", known.past),
        ):  # fmt: skip
            # The library reads key frames in the order in which they came.
            for n in reversed(range(len(entries.ages))):
                entry = {"object_pointer": self._tensor(entries.pointers[n])}
                if n < len(entries.features):
                    entry["maskmem_features"] = self._tensor(entries.features[n])
                    entry["maskmem_pos_enc"] = self._places
                kept[part][NOW - int(entries.ages[n])] = entry

    def _mark(self, session: Any, place: int, own: Marks | None, drawn: Float | None) -> None:
        """Tell a session what was clicked, boxed or painted in the frame at hand."""
        starts = drawn is not None or (own is not None and own.starts)
        kept = session.output_dict_per_obj[place]
        if not starts and kept["cond_frame_outputs"]:
            # A correction: the library then looks at the memory and at the clicks.
            session.frames_tracked_per_obj[place][NOW] = {"reverse": False}
        if drawn is not None:
            mask = self._torch.from_numpy(drawn > 0.5)[None, None]
            session.add_mask_inputs(place, NOW, mask.to(self._network.device))
            return
        assert own is not None
        corners = [] if own.box is None else [own.box[:2], own.box[2:]]
        listed = [*corners, *own.subject, *own.others]
        labels = [*_BOX[: len(corners)], *[_SUBJECT] * len(own.subject)]
        labels += [_OTHER] * len(own.others)
        torch = self._torch
        coordinates = torch.tensor([[listed]], dtype=self._network.dtype)
        asked = {"point_coords": coordinates, "point_labels": torch.tensor([[labels]]).int()}
        session.add_point_inputs(place, NOW, asked)

    def _call(self, session: Any, plate: Float) -> None:
        network = self._network
        picture = network.tensor(resized(plate, (self._side, self._side)))
        use_threads(network.threads)
        with self._torch.inference_mode():
            (normal,) = network.architecture.encoded(picture)
            self._net(session, frame=normal, frame_idx=NOW)

    def _taken(self, session: Any, known: Mapping[str, _Object], keyed: set[str]) -> Memory:
        """The memory after the frame at hand."""
        following: dict[str, Any] = {}
        for name, one in known.items():
            kept = session.output_dict_per_obj[session.obj_id_to_idx(name)]
            answer = next(part[NOW] for part in kept.values() if NOW in part)
            soft = self._torch.sigmoid(answer["pred_masks"][0, 0].float())
            codes = (soft * 255).round().to(self._torch.uint8)
            pointer, features = (_array(answer[n]) for n in ("object_pointer", "maskmem_features"))
            later = one.after(pointer, features, is_key=name in keyed)
            following |= {f"{name}{MASK}": codes.cpu().numpy(), **later.as_memory(name)}
        return following

    def _painted(self, inputs: Inputs) -> Float | None:
        """A painted key at the network's size; the undecided part of a trimap cut by colours."""
        from matte_nodes.select.edge import bounded
        from matte_nodes.select.segment import SIDE
        from matte_nodes.select.track import from_painting

        small = bounded(inputs.plate, SIDE)
        drawn = painted(inputs, small.shape)
        if drawn is None:
            return None
        return resized(from_painting(small, drawn, None), (self._side, self._side))

    def _tensor(self, kept: Array) -> Tensor:
        """What `_array` made, on the device."""
        torch = self._torch
        if kept.dtype == np.uint16:
            bits: Tensor = torch.from_numpy(kept.view(np.int16).copy())
            return bits.view(torch.bfloat16).to(self._network.device)
        return self._network.state(kept.copy())

    def _positions(self) -> Tensor:
        """The places of remembered features: they are the same for every picture."""
        torch, network, side = self._torch, self._network, self._side
        tokens = (side // 16) ** 2
        new = {"device": network.device, "dtype": network.dtype}
        with torch.inference_mode():
            places: Tensor = self._net._encode_new_memory(
                current_vision_feats=torch.zeros(tokens, 1, self._net.hidden_dim, **new),
                pred_masks_high_res=torch.zeros(1, 1, side, side, **new),
                object_score_logits=torch.zeros(1, 1, **new),
                is_mask_from_pts=False,
            )[1]
        return places


def _array(tensor: Tensor) -> Array:
    """A tensor for the memory: float32, or the bits of bfloat16, which numpy does not know."""
    import torch

    plain = tensor.detach().cpu().contiguous()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(np.uint16)
    return plain.float().numpy()


def _later(before: _Object | None) -> _Object:
    if before is None:
        return _Object()
    return _Object(before.keys.aged(), before.past.aged())


def _joined(name: str, marks: Mapping[str, Marks]) -> Marks | None:
    from matte_nodes.select.track import joined_marks

    return joined_marks(name, marks)
