# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks from an input of the Matte node upstream to its picture.

Reroutes, muted nodes, and node groups in both directions are passed through. What is not a plain
Image or Movie Clip at the end of that way is a graph, which is rendered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import bpy

from . import compat, group, prints
from .handover import Media, Source
from .mapping import ClipFrames, ImageFrames, sequence
from .trouble import Trouble

_DEEPEST = 32


class Way(NamedTuple):
    """The position of a socket: the group nodes from the scene's tree down, and the tree itself.

    root: where the tree at the top stands.
    """

    tree: Any
    nodes: tuple[Any, ...] = ()
    trees: tuple[Any, ...] = ()
    root: compat.Root = compat.Root(None)

    @classmethod
    def top(cls, root: compat.Root) -> Way:
        """At a tree that stands for itself."""
        return cls(root.tree, (), (), root)

    def down(self, node: Any) -> Way:
        """Into a group node."""
        return Way(node.node_tree, (*self.nodes, node), (*self.trees, self.tree), self.root)

    def up(self) -> tuple[Way, Any] | None:
        """Out of the group, and the node that it is; None at the top."""
        if not self.nodes:
            return None
        return Way(self.trees[-1], self.nodes[:-1], self.trees[:-1], self.root), self.nodes[-1]


class Found(NamedTuple):
    """The source of an input, and the position of its output socket."""

    source: Source
    way: Way
    socket: Any


def place(tree: Any, scene: Any) -> tuple[Any, Way, Any]:
    """Return the scene, the way to, and the group node of a Matte group.

    scene: looked into first. Raises Trouble when the group is in no compositor, or in several
    places, whose inputs may differ.
    """
    for candidate in [scene, *(other for other in bpy.data.scenes if other != scene)]:
        found = [at for root in compat.roots(candidate) for at in places(tree, Way.top(root))]
        if len(found) > 1:
            raise Trouble(
                f"The node group {tree.name} is used in {len(found)} places of scene "
                f"{candidate.name}, and has one bake. Make each of them unique (in a nested group, "
                "make that group a single user)."
            )
        if found:
            return candidate, *found[0]
    raise Trouble(f"The Matte node {tree.name} is in no scene's compositor: add it to one.")


def inputs(way: Way, node: Any) -> dict[str, Found]:
    """Return the source of each connected input, by the library's names."""
    found = {}
    for socket in node.inputs:
        name = group.INPUTS.get(socket.name)
        end = _upstream(way, socket, 0) if name else None
        if name and end is not None:
            where, output = end
            found[name] = Found(_source(where, output), where, output)
    return found


def in_order(scene: Any) -> list[Any]:
    """Return the Matte groups of a scene, each behind those that feed it."""
    found: list[Any] = []
    for root in compat.roots(scene):
        _ordered(root.tree, found, set())
    return found


def _ordered(tree: Any, found: list[Any], seen: set[Any]) -> None:
    def visit(node: Any) -> None:
        key = tree.name_full, node.name
        if key in seen:
            return
        seen.add(key)
        for socket in node.inputs:
            for link in socket.links:
                visit(link.from_node)
        inside = getattr(node, "node_tree", None)
        if group.is_matte(inside):
            if inside not in found:
                found.append(inside)
        elif inside is not None:
            _ordered(inside, found, seen)

    for node in tree.nodes:
        visit(node)


def places(tree: Any, way: Way) -> Iterator[tuple[Way, Any]]:
    if len(way.nodes) > _DEEPEST:
        return
    for node in way.tree.nodes:
        inside = getattr(node, "node_tree", None)
        if inside is None or node.bl_idname != "CompositorNodeGroup":
            continue
        if inside == tree:
            yield way, node
        else:
            yield from places(tree, way.down(node))


def _upstream(way: Way, socket: Any, steps: int) -> tuple[Way, Any] | None:
    """Return the output socket that feeds an input, past all that only passes on.

    None without one.
    """
    if steps > 1000:
        raise Trouble("The node graph upstream of the Matte node contains a loop. Remove the loop.")
    links = [link for link in socket.links if not link.is_muted and link.is_valid]
    if not links:
        return None
    output = links[0].from_socket
    node = output.node
    if node.mute:
        inner = [link for link in node.internal_links if link.to_socket == output]
        return _upstream(way, inner[0].from_socket, steps + 1) if inner else None
    if node.bl_idname == "NodeReroute":
        return _upstream(way, node.inputs[0], steps + 1)
    if node.bl_idname == "NodeGroupInput":
        above = way.up()
        if above is None:
            return _given(way, output)
        outer, parent = above
        match = [s for s in parent.inputs if s.identifier == output.identifier]
        return _upstream(outer, match[0], steps + 1) if match else None
    if node.bl_idname == "CompositorNodeGroup" and node.node_tree is not None:
        inside = way.down(node)
        ends = [n for n in node.node_tree.nodes if n.bl_idname == "NodeGroupOutput"]
        end = next((n for n in ends if n.is_active_output), None)
        match = [s for s in end.inputs if s.identifier == output.identifier] if end else []
        if match and match[0].is_linked:
            return _upstream(inside, match[0], steps + 1)
    return way, output


def _given(way: Way, output: Any) -> tuple[Way, Any] | None:
    """Return the input of a whole compositor tree: the render, or the effect before it."""
    if way.root.strip:
        raise Trouble(
            f"The Matte node works on the strip {way.root.strip} of the sequencer, which cannot be "
            "rendered by itself. Connect the plate by an Image or Movie Clip node in this tree."
        )
    if not compat.gives_input():
        raise Trouble(
            "This Blender gives no picture at the compositor's own input when it renders (5.3 is the "
            "first that does). Connect a Render Layers node, or the plate by an Image node."
        )
    return way, output


def _source(way: Way, output: Any) -> Source:
    node = output.node
    media = None
    if node.bl_idname == "CompositorNodeImage":
        media = _image(node, output)
    elif node.bl_idname == "CompositorNodeMovieClip":
        media = _clip(node, output)
    if media is not None and not media.doubt:
        return Source(media)
    return Source(media, *prints.fingerprint(way, output))


def _image(node: Any, output: Any) -> Media | None:
    image = node.image
    if image is None or image.source not in ("FILE", "SEQUENCE", "MOVIE"):
        return None
    kind = {"FILE": "still", "SEQUENCE": "sequence", "MOVIE": "movie"}[image.source]
    if image.packed_file is not None:
        return None
    path = _absolute(image.filepath, image.library)
    frames = None
    if kind != "still":
        frames = ImageFrames(
            node.frame_duration, node.frame_start, node.frame_offset, node.use_cyclic
        )
        if node.id_data.animation_data is not None and _animated(node):
            return None
    if image.type == "MULTILAYER" or image.is_multiview:
        return None
    if os.path.isfile(path) and not all(image.size):
        raise Trouble(
            f"Blender cannot read {path} (image {image.name}): it has no pixels. Replace the file."
        )
    doubt, alpha = "", compat.has_alpha(image)
    if output.name != "Image":
        doubt = f"its {output.name} is taken"
    elif alpha and (image.alpha_mode == "STRAIGHT" or not path.lower().endswith(".exr")):
        doubt = "it has an alpha that Blender multiplies in"
    size = int(image.size[0]), int(image.size[1])
    space = image.colorspace_settings.name
    return Media(kind, path, space, frames, doubt, size, alpha)


def _clip(node: Any, output: Any) -> Media | None:
    clip = node.clip
    if clip is None:
        return None
    movie = clip.source == "MOVIE"
    path = _absolute(clip.filepath, clip.library)
    named = sequence(path)
    first = 1 if movie or named is None else named.number
    frames = ClipFrames(clip.frame_duration, clip.frame_start, clip.frame_offset, first, movie)
    doubt = "" if output.name == "Image" else f"its {output.name} is taken"
    if clip.use_proxy:
        doubt = "the clip has proxies"
    space = clip.colorspace_settings.name
    size = int(clip.size[0]), int(clip.size[1])
    return Media("movie" if movie else "sequence", path, space, frames, doubt, size)


def _animated(node: Any) -> bool:
    data = node.id_data.animation_data
    start = f'nodes["{node.name}"]'
    paths = [driver.data_path for driver in data.drivers]
    paths += list(prints.action_paths(data.action))
    return any(path.startswith(start) for path in paths)


def _absolute(path: str, library: Any) -> str:
    return os.path.abspath(bpy.path.abspath(path, library=library))
