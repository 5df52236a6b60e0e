# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of masks and tracking data: their pixels depend on points, keys and markers."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import bpy

from . import compat

_STEP = 1000
_known: dict[str, str] = {}


def forget() -> None:
    """Look at all masks again: something in the file changed."""
    _known.clear()


def mask(thing: Any) -> str:
    """Return a fingerprint of a mask at all frames, from its shape keys as Blender evaluates them.

    Keys of a shape are not among Blender's properties, so a small scene of its own shows the mask
    at each frame. The artist's scene and mask stay as they are. Only the main thread can do that;
    a render thread gets the last known fingerprint.
    """
    if threading.current_thread() is not threading.main_thread():
        return _known.get(thing.name_full, "")
    if not bpy.app.background and thing.name_full in _known:
        return _known[thing.name_full]
    found = hashlib.sha256(repr(_over_time(thing)).encode()).hexdigest()[:16]
    _known[thing.name_full] = found
    return found


def shown(thing: Any, frames: Iterable[int]) -> Iterator[tuple[int, Any]]:
    """Yield each frame and the mask as Blender evaluates it there, in a small scene of its own."""
    scene, made = bpy.data.scenes.new("matte mask"), []
    try:
        tree = compat.ensure_tree(scene)
        if tree.name in bpy.data.node_groups:
            made.append(tree)
        tree.nodes.clear()
        tree.nodes.new("CompositorNodeMask").mask = thing
        for frame in frames:
            scene.frame_set(frame)
            yield frame, thing.evaluated_get(scene.view_layers[0].depsgraph)
    finally:
        bpy.data.scenes.remove(scene)
        for tree in made:
            bpy.data.node_groups.remove(tree)


def _over_time(thing: Any) -> list[Any]:
    last = max(scene.frame_end for scene in bpy.data.scenes)
    found: list[Any] = []
    # Frames at which nothing changes leave no trace, so the end of the range does not count.
    for frame, mask_now in shown(thing, range(_STEP * math.ceil((last + 1) / _STEP) + 1)):
        now = _at_present(mask_now)
        if not found or found[-1][1] != now:
            found.append((frame, now))
    return found


def _at_present(thing: Any) -> list[Any]:
    facts: list[Any] = []
    for layer in thing.layers:
        facts.append((
            layer.hide_render, layer.alpha, layer.blend, layer.invert, layer.falloff,
            layer.use_fill_holes, layer.use_fill_overlap,
        ))  # fmt: skip
        for spline in layer.splines:
            facts.append((
                spline.offset_mode, spline.weight_interpolation, spline.use_cyclic,
                spline.use_fill, spline.use_self_intersection_check,
            ))  # fmt: skip
            points = spline.points
            facts += [_all(points, name, 2) for name in ("co", "handle_left", "handle_right")]
            facts.append(_all(points, "weight", 1))
            for point in points:
                facts += [(f.u, f.weight) for f in point.feather_points]
                held = point.parent
                if held.id is not None:
                    facts.append((held.id.name, held.type, held.parent, held.sub_parent))
                    facts.append(tracking(held.id))
    return facts


def tracking(clip: Any) -> str:
    """Return a fingerprint of a clip's markers, planes, lens and stabilization."""
    data, facts = clip.tracking, []
    if data is None:
        return ""
    for thing in (data.camera, data.stabilization):
        facts += [
            (item.identifier, _number(getattr(thing, item.identifier)))
            for item in thing.bl_rna.properties
            if item.type in ("BOOLEAN", "INT", "FLOAT", "ENUM") and "active" not in item.identifier
        ]
    for owner in (data, *data.objects):
        for track in owner.tracks:
            facts.append((track.name, tuple(track.offset), track.weight, track.weight_stab))
            facts += [_all(track.markers, "co", 2), _all(track.markers, "pattern_corners", 8)]
            facts += [(marker.frame, marker.mute) for marker in track.markers]
        for plane in owner.plane_tracks:
            facts += [plane.name, _all(plane.markers, "corners", 8)]
            facts += [(marker.frame, marker.mute) for marker in plane.markers]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _all(things: Any, name: str, count: int) -> list[float]:
    values = [0.0] * (len(things) * count)
    things.foreach_get(name, values)
    return values


def _number(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else tuple(value)
