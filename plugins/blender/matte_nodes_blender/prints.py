# SPDX-License-Identifier: GPL-3.0-or-later
"""A fingerprint of a node graph: another one means that its pictures may be others.

It sees nodes, links, values, pictures by name, keyframes, masks and tracking data. It does not see
into a 3D scene that a Render Layers node shows, nor into files: those have stamps of their own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import bpy

from . import compat, evaluated

MOVING = {
    "CompositorNodeRLayers", "CompositorNodeTime", "CompositorNodeSceneTime",
    "CompositorNodeMovieClip", "CompositorNodeMask", "CompositorNodeStabilize",
    "CompositorNodeKeyingScreen", "CompositorNodeTrackPos", "CompositorNodeTexture",
    "CompositorNodePlaneTrackDeform", "CompositorNodeMovieDistortion", "CompositorNodeViewer",
}  # fmt: skip
_LOOKS = {
    "location", "location_absolute", "width", "height", "width_hidden", "color", "use_custom_color",
    "select", "label", "hide", "show_options", "show_preview", "show_texture", "warning_propagation",
    "name", "parent", "internal_links", "inputs", "outputs", "dimensions", "rna_type", "type",
    "bl_idname", "bl_label", "bl_description", "bl_icon", "bl_static_type", "bl_width_default",
    "bl_width_min", "bl_width_max", "bl_height_default", "bl_height_min", "bl_height_max",
}  # fmt: skip
_MENUS = ("layer", "view")


MAKES_ALPHA = {
    "CompositorNodeSetAlpha", "CompositorNodeKeying", "CompositorNodeChromaMatte",
    "CompositorNodeColorMatte", "CompositorNodeDiffMatte", "CompositorNodeDistanceMatte",
    "CompositorNodeLumaMatte", "CompositorNodeChannelMatte", "CompositorNodePremulKey",
}  # fmt: skip


def fingerprint(way: Any, output: Any) -> tuple[str, bool, tuple[tuple[str, bool], ...], bool]:
    """Return a fingerprint of the graph that ends in an output socket.

    Also returns whether the graph shows one picture for ever, its files (the absolute path of
    each, and whether it is a sequence), and whether something in it makes an alpha.
    """
    facts: list[Any] = []
    still = [True]
    _node(way, output.node, facts, still, set())
    facts.append(output.identifier)
    text = repr(facts)
    print_ = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    alpha = any(isinstance(fact, Alpha) for fact in facts)
    return print_, still[0], tuple(sorted({f for f in facts if isinstance(f, File)})), alpha


class File(tuple[str, bool]):
    """A file in the graph. Its place is no part of the fingerprint: a project may be moved."""

    def __repr__(self) -> str:
        return os.path.basename(self[0])


class Alpha(str):
    """A node that makes an alpha, by its kind."""

    __slots__ = ()


def _kind(node: Any) -> str:
    """Return a node's kind, as an Alpha where its pictures may be transparent."""
    kind = node.bl_idname
    clear = kind in MAKES_ALPHA
    if kind == "CompositorNodeImage" and node.image is not None:
        clear = compat.has_alpha(node.image)
    if kind == "CompositorNodeRLayers" and node.scene is not None:
        clear = node.scene.render.film_transparent
    return Alpha(kind) if clear else str(kind)


def _file(node: Any) -> list[File]:
    thing = getattr(node, "image", None) or getattr(node, "clip", None)
    if thing is None or not getattr(thing, "filepath", ""):
        return []
    path = os.path.abspath(bpy.path.abspath(thing.filepath, library=thing.library))
    return [File((path, thing.source == "SEQUENCE"))]


def action_paths(action: Any) -> list[str]:
    """Return the data paths that an action animates."""
    return [path for path, _ in _keys(action)]


def _node(way: Any, node: Any, facts: list[Any], still: list[bool], seen: set[Any]) -> None:
    key = (node.id_data.name_full, node.name, len(way.nodes))
    facts.append(key[1:])
    if key in seen:
        return
    seen.add(key)
    _tree_motion(node.id_data, facts, still, seen)
    if node.bl_idname in MOVING:
        still[0] = False
    if node.bl_idname == "CompositorNodeImage" and node.image is not None:
        still[0] = still[0] and node.image.source in ("FILE", "GENERATED")
    facts += [_kind(node), node.mute, _values(node), *_file(node)]
    if node.bl_idname == "NodeGroupInput":
        above = way.up()
        if above is not None:
            outer, parent = above
            _sockets(outer, parent, facts, still, seen)
            return
        still[0] = False  # a render, or what the effects before make of it
        for tree in way.root.before:
            for end in (n for n in tree.nodes if n.bl_idname == "NodeGroupOutput"):
                before = type(way)(tree, root=way.root._replace(before=()))
                _node(before, end, facts, still, seen)
        return
    inside = getattr(node, "node_tree", None)
    if inside is not None:
        for end in inside.nodes:
            if end.bl_idname == "NodeGroupOutput":
                _node(way.down(node), end, facts, still, seen)
    _sockets(way, node, facts, still, seen)


def _sockets(way: Any, node: Any, facts: list[Any], still: list[bool], seen: set[Any]) -> None:
    for socket in node.inputs:
        facts.append((socket.identifier, _plain(getattr(socket, "default_value", None))))
        for link in socket.links:
            if not link.is_muted:
                facts.append(link.from_socket.identifier)
                _node(way, link.from_node, facts, still, seen)


def _values(owner: Any) -> list[Any]:
    """Return the properties that count, by name; pictures and clips by their file."""
    found = []
    for item in owner.bl_rna.properties:
        name = item.identifier
        if name in _LOOKS or item.type == "COLLECTION":
            continue
        if name in _MENUS and not getattr(owner, "has_" + name + "s", True):
            continue  # reading an empty menu makes Blender warn
        if item.type == "POINTER":
            found.append((name, _thing(getattr(owner, name, None))))
        else:
            found.append((name, _plain(getattr(owner, name, None))))
    return found


def _thing(thing: Any) -> Any:
    if thing is None:
        return None
    facts = [getattr(thing, "name", "")]
    for name in (
        "filepath",
        "source",
        "frame_start",
        "frame_offset",
        "frame_duration",
        "alpha_mode",
    ):
        value = getattr(thing, name, None)
        facts.append(os.path.basename(value) if name == "filepath" and value else _plain(value))
    space = getattr(thing, "colorspace_settings", None)
    facts.append(getattr(space, "name", ""))
    kind = thing.bl_rna.identifier
    if kind == "Mask":
        facts.append(evaluated.mask(thing))
    if kind == "MovieClip":
        facts.append(evaluated.tracking(thing))
    points = getattr(thing, "curves", None)
    if points is not None:  # a curve mapping
        facts += [[tuple(point.location) for point in curve.points] for curve in points]
    stops = getattr(thing, "elements", None)
    if stops is not None:  # a colour ramp
        facts += [(stop.position, tuple(stop.color)) for stop in stops]
    return facts


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    try:
        return tuple(_plain(part) for part in value)
    except TypeError:
        return getattr(value, "name", type(value).__name__)


def _tree_motion(tree: Any, facts: list[Any], still: list[bool], seen: set[Any]) -> None:
    key = ("tree", tree.name_full)
    data = tree.animation_data
    if key in seen or data is None:
        return
    seen.add(key)
    if data.action is not None or len(data.drivers):
        still[0] = False
    for driver in data.drivers:
        facts.append((driver.data_path, driver.driver.type, driver.driver.expression))
        for variable in driver.driver.variables:
            targets = [(_plain(target.id), target.data_path) for target in variable.targets]
            facts.append((variable.name, variable.type, targets))
    facts += list(_keys(data.action))


def _keys(action: Any) -> Iterator[tuple[str, list[Any]]]:
    if action is None:
        return
    curves = list(getattr(action, "fcurves", None) or ())
    if not curves:  # 5.0: layers, strips, channel bags
        for layer in getattr(action, "layers", ()):
            for strip in layer.strips:
                for bag in getattr(strip, "channelbags", ()):
                    curves += list(bag.fcurves)
    for curve in curves:
        facts: list[Any] = [curve.array_index, curve.mute, curve.extrapolation]
        for key in curve.keyframe_points:
            handles = tuple(key.handle_left), tuple(key.handle_right)
            facts.append((tuple(key.co), key.interpolation, key.easing, *handles))
        facts += [_values(modifier) for modifier in curve.modifiers]
        yield curve.data_path, facts
