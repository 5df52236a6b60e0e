# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks on the subject from what an artist has already: Mask splines, Empties, tracks.

All places are parts of the picture from its lower left corner, as clicks.py keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from . import clicks, evaluated
from .trouble import Trouble

BESIDE = "not"
"""Masks' layers, objects and tracks whose name begins so mark what is beside the subject."""


def of_mask(mask: Any, size: tuple[int, int], frames: list[int]) -> list[list[Any]]:
    """Return a box for each closed spline, and a click for each point of an open one.

    size: of the plate. A closed spline of a layer that is called `not` gives clicks beside. Raises
    Trouble when the mask is empty.
    """
    found: list[list[Any]] = []
    for frame, shown in evaluated.shown(mask, frames):
        boxes = []
        for layer in shown.layers:
            kind = _kind(layer.name)
            for spline in layer.splines:
                spots = [_in_frame(tuple(point.co), size) for point in spline.points]
                if spline.use_cyclic and kind == clicks.SUBJECT:
                    boxes.append(spots)
                else:
                    found += [[frame, kind, *spot] for spot in spots]
        if boxes:  # one subject, one box round all of it
            xs, ys = zip(*(spot for spots in boxes for spot in spots))  # noqa: B905 (3.9 syntax)
            found.append([frame, clicks.BOX, min(xs), min(ys), max(xs), max(ys)])
    if not found:
        raise Trouble(f"The mask {mask.name} has no splines.")
    return found


def of_empties(scene: Any, things: list[Any], frames: list[int]) -> list[list[Any]]:
    """Return a click where the camera sees each object. Raises Trouble when it sees none."""
    from bpy_extras.object_utils import world_to_camera_view

    if scene.camera is None:
        raise Trouble("The scene has no camera to see the Empties by.")
    if not things:
        raise Trouble("Select Empties first: one on the subject, one called not beside it.")
    found: list[list[Any]] = []
    for frame in _visited(frames):
        graph = bpy.context.evaluated_depsgraph_get()
        for thing in things:
            place = thing.evaluated_get(graph).matrix_world.translation
            x, y, depth = world_to_camera_view(scene, scene.camera.evaluated_get(graph), place)
            if depth > 0 and 0 <= x <= 1 and 0 <= y <= 1:
                found.append([frame, _kind(thing.name), x, y])
    if not found:
        raise Trouble("The camera sees none of the selected Empties at these frames.")
    return found


def of_tracks(frames: list[int]) -> list[list[Any]]:
    """Return a click at each marker of the selected tracks. Raises Trouble without any."""
    found: list[list[Any]] = []
    for clip in bpy.data.movieclips:
        for track in (t for t in clip.tracking.tracks if t.select):
            for frame in frames:
                marker = track.markers.find_frame(frame - clip.frame_start + 1, exact=True)
                if marker is not None and not marker.mute:
                    found.append([frame, _kind(track.name), *marker.co])
    if not found:
        raise Trouble("Select tracks in the Clip editor first; they need markers at these frames.")
    return found


def _kind(name: str) -> str:
    return clicks.NOT if name.lower().startswith(BESIDE) else clicks.SUBJECT


def _in_frame(place: tuple[float, ...], size: tuple[int, int]) -> tuple[float, float]:
    """Return a mask's point as a part of the picture: masks are square, with the longer side 1."""
    (x, y), (width, height) = place, size
    if width > height:
        y = (y - 0.5) * width / height + 0.5
    elif height > width:
        x = (x - 0.5) * height / width + 0.5
    return x, y


def _visited(frames: list[int]) -> Iterator[int]:
    """Yield frames while the scene shows them; afterwards it shows what it did before."""
    scene = bpy.context.scene
    before = scene.frame_current
    try:
        for frame in frames:
            if scene.frame_current != frame:
                scene.frame_set(frame)
            yield frame
    finally:
        if scene.frame_current != before:
            scene.frame_set(before)
