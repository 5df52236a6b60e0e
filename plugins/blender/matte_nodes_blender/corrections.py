# SPDX-License-Identifier: GPL-3.0-or-later
"""Painted corrections: the matte of one frame as a picture that the artist paints on.

Black and white hold in that frame for every model, and grey is solved again. A selector (click,
sam2) starts anew from it and carries it to the frames beside.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from typing import Any

import bpy

from . import folders, group, settings, upstream, walk
from .handover import Source
from .trouble import Trouble
from .walk import Found

FOLDER = "corrections"


def files(tree: Any) -> dict[int, str]:
    """Return the painted pictures of a node, absolute paths by frame."""
    try:
        noted = json.loads(tree.matte_nodes.corrections or "{}")
        found = {int(frame): _absolute(tree, str(path)) for frame, path in noted.items()}
        return dict(sorted(found.items()))
    except (ValueError, AttributeError):
        return {}


def images(tree: Any) -> list[Any]:
    """Return the Blender images of these pictures, as far as they are open."""
    there = set(files(tree).values())
    return [
        image
        for image in bpy.data.images
        if image.filepath and _absolute(image, image.filepath) in there
    ]


def unsaved(tree: Any) -> bool:
    """Whether something was painted that no file has yet."""
    return any(image.is_dirty for image in images(tree))


def save(tree: Any) -> None:
    """Write what was painted to its files. Raises Trouble."""
    for image in images(tree):
        if image.is_dirty:
            try:
                image.save()
            except RuntimeError as error:
                raise Trouble(
                    f"The painted matte {image.filepath} cannot be saved: {error}"
                ) from error


def begin(tree: Any, scene: Any, home: str) -> Any:
    """Return the image of the present frame's matte, to be painted on. Raises Trouble.

    home: the folder of the node's bakes.
    """
    home_scene, way, node = walk.place(tree, scene)
    frame = scene.frame_current
    known = files(tree)
    path = known.get(frame) or os.path.join(
        home, FOLDER, f"correction.{frame:0{folders.DIGITS}d}.exr"
    )
    if frame not in known or not os.path.isfile(path):
        bake = tree.nodes.get(group.BAKE)
        alpha = next((s for s in bake.outputs if s.name == "alpha"), None) if bake else None
        there = folders.frames_there(group.linked_folder(tree)) if alpha else set()
        if alpha is None or (frame not in there and bake.image.source == "SEQUENCE"):
            raise Trouble(f"Frame {frame} has no matte to paint on yet: matte this frame first.")
        folders.make(os.path.dirname(path))
        with tempfile.TemporaryDirectory() as work:
            wanted = {"matte": Found(Source(None), way.down(node), alpha)}
            upstream.render(home_scene, wanted, work, frame, frame)
            (name,) = (n for n in os.listdir(work) if n.startswith("matte."))
            shutil.move(os.path.join(work, name), path)
    image = next((i for i in images(tree) if _absolute(i, i.filepath) == path), None)
    image = image or bpy.data.images.load(path)
    image.name = f"{tree.name} correction {frame}"
    image.colorspace_settings.name = "Non-Color"
    relative = settings.relative(tree.matte_nodes) and bpy.data.filepath
    stored = bpy.path.relpath(path) if relative and group.same_drive(path) else path
    noted = json.loads(tree.matte_nodes.corrections or "{}")
    noted[str(frame)] = stored
    tree.matte_nodes.corrections = json.dumps(noted, sort_keys=True)
    return image


def forget(tree: Any, frame: int | None) -> None:
    """Use the correction of a frame no more (None: all). The files stay."""
    noted = json.loads(tree.matte_nodes.corrections or "{}")
    kept = {} if frame is None else {k: v for k, v in noted.items() if k != str(frame)}
    tree.matte_nodes.corrections = json.dumps(kept, sort_keys=True) if kept else ""


def _absolute(owner: Any, path: str) -> str:
    return os.path.abspath(bpy.path.abspath(path, library=owner.library))
