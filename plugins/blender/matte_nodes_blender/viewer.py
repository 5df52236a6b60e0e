# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are shown in the window: which place of one lies under the mouse, and marks on it."""

from __future__ import annotations

from typing import Any

import bpy

from . import clicks

COLOURS = {
    clicks.SUBJECT: (0.2, 1.0, 0.2, 1.0), clicks.NOT: (1.0, 0.2, 0.2, 1.0),
    clicks.BOX: (0.2, 0.7, 1.0, 1.0),
}  # fmt: skip
OTHER = 0.5
"""Light of the marks of the objects that are not chosen."""
ARM = 7
"""Pixels of half a cross."""
showing = [""]
"""Name of the group whose marks are drawn."""
_handlers: list[tuple[Any, Any]] = []


def place_at(window: Any, x: int, y: int) -> tuple[float, float] | None:
    """Return the place of a picture (0 to 1, from its lower left) under a point of the window.

    None where there is none: only Image Editors and a compositor's backdrop show pictures.
    """
    for area in window.screen.areas:
        if not (area.x <= x < area.x + area.width and area.y <= y < area.y + area.height):
            continue
        # The regions of a sidebar and of the header lie on top of the picture's.
        regions = [r for r in area.regions if r.type != "WINDOW" and r.width > 1 and r.height > 1]
        if any(_inside(region, x, y) for region in regions):
            return None
        region = next((r for r in area.regions if r.type == "WINDOW" and _inside(r, x, y)), None)
        return _place(area, region, x, y) if region is not None else None
    return None


def _place(area: Any, region: Any, x: int, y: int) -> tuple[float, float] | None:
    space, at = area.spaces.active, (x - region.x, y - region.y)
    if area.type == "IMAGE_EDITOR" and space.image is not None:
        u, v = region.view2d.region_to_view(*at)
    elif area.type == "NODE_EDITOR" and space.show_backdrop:
        frame = _backdrop(space, region)
        if frame is None:
            return None
        left, bottom, width, height = frame
        u, v = (at[0] - left) / width, (at[1] - bottom) / height
    else:
        return None
    return (u, v) if 0 <= u < 1 and 0 <= v < 1 else None


def _backdrop(space: Any, region: Any) -> tuple[float, float, float, float] | None:
    """Return left, bottom, width and height of the backdrop in its region."""
    image = bpy.data.images.get("Viewer Node")
    if image is None or not all(image.size):
        return None
    width, height = (side * space.backdrop_zoom for side in image.size)
    left = (region.width - width) / 2 + space.backdrop_offset[0]
    return left, (region.height - height) / 2 + space.backdrop_offset[1], width, height


def _inside(region: Any, x: int, y: int) -> bool:
    return bool(
        region.x <= x < region.x + region.width and region.y <= y < region.y + region.height
    )


def draw_marks(on: bool) -> None:
    """Draw the marks of the present frame on pictures, or no more."""
    while _handlers:
        kind, handler = _handlers.pop()
        kind.draw_handler_remove(handler, "WINDOW")
    if on and not bpy.app.background:
        for kind in (bpy.types.SpaceImageEditor, bpy.types.SpaceNodeEditor):
            handler = kind.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")
            _handlers.append((kind, handler))


def _draw() -> None:
    tree = bpy.data.node_groups.get(showing[0])
    space, region = bpy.context.space_data, bpy.context.region
    if tree is None or space is None:
        return
    if space.type == "IMAGE_EDITOR" and space.image is not None:
        left, bottom = region.view2d.view_to_region(0, 0, clip=False)
        right, top = region.view2d.view_to_region(1, 1, clip=False)
        frame = left, bottom, right - left, top - bottom
    elif space.type == "NODE_EDITOR" and space.show_backdrop:
        found = _backdrop(space, region)
        if found is None:
            return
        frame = found
    else:
        return
    now, name = bpy.context.scene.frame_current, tree.matte_nodes.object_name
    name = "" if name == clicks.ONLY else name
    for mark in clicks.read(tree.matte_nodes.points):
        if mark[0] == now:
            spots = [
                (frame[0] + x * frame[2], frame[1] + y * frame[3]) for x, y in clicks.spots(mark)
            ]
            colour = COLOURS[mark[1]]
            if clicks.object_of(mark) != name:
                colour = (*(part * OTHER for part in colour[:3]), 1.0)
            _lines(_box(*spots) if mark[1] == clicks.BOX else _cross(*spots), colour)


def _cross(at: tuple[float, float]) -> list[tuple[float, float]]:
    x, y = at
    return [(x - ARM, y), (x + ARM, y), (x, y - ARM), (x, y + ARM)]


def _box(one: tuple[float, float], two: tuple[float, float]) -> list[tuple[float, float]]:
    (x0, y0), (x1, y1) = one, two
    return [(x0, y0), (x1, y0), (x1, y0), (x1, y1), (x1, y1), (x0, y1), (x0, y1), (x0, y0)]


def _lines(ends: list[tuple[float, float]], colour: tuple[float, ...]) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    try:
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    except (ValueError, SystemError):  # before 4.0
        shader = gpu.shader.from_builtin("2D_UNIFORM_COLOR")
    gpu.state.line_width_set(2.0)
    shader.bind()
    shader.uniform_float("color", colour)
    batch_for_shader(shader, "LINES", {"pos": ends}).draw(shader)
    gpu.state.line_width_set(1.0)
