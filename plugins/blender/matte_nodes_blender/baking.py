# SPDX-License-Identifier: GPL-3.0-or-later
"""A bake from the panel to the pictures on the node. Called on Blender's main thread alone."""

from __future__ import annotations

import contextlib
from typing import Any

import bpy

from . import addon, compat, corrections, exr_key, folders, group, settings, walk
from .inputs import Inputs, Planned
from .job import DONE, ERROR, Job
from .plan import BakePlan, BakeRequest, Colour
from .state import Now, Record
from .trouble import Trouble
from .work import Work, running


def planned(
    tree: Any, scene: Any, frame: int | None = None
) -> tuple[BakePlan, Any, dict[str, Any]]:
    """Return the plan of a bake of this node, its scene, and its inputs. Raises Trouble."""
    kept = tree.matte_nodes
    home, way, node = walk.place(tree, scene)
    found = walk.inputs(way, node)
    first, last = settings.range_of(kept, home)
    asked = BakeRequest(
        kept.model, kept.values, kept.device or addon.preference("device"),
        settings.base_of(kept), kept.bake_name or tree.name, first, last,
        settings.file_name(), kept.points, kept.refine, kept.refine_width, corrections.files(tree),
    )  # fmt: skip
    colour = Colour(compat.working_space(), compat.colour_config())
    sources = {name: item.source for name, item in found.items()}
    plan = BakePlan(asked, settings.of_group(tree), sources, colour, frame)
    return plan, home, found


def plate_size(tree: Any, scene: Any) -> tuple[int, int]:
    """Return width and height of the plate; of a graph, those of the scene. Raises Trouble."""
    home, way, node = walk.place(tree, scene)
    plate = walk.inputs(way, node).get("plate")
    media = plate.source.media if plate is not None else None
    if media is not None and all(media.size):
        return media.size
    render = home.render
    part = render.resolution_percentage / 100
    return int(render.resolution_x * part), int(render.resolution_y * part)


def rewire(tree: Any) -> None:
    """Multiply the plate's alpha in, or no more, as the node is set now."""
    if tree.library is not None or group.linked_image(tree) is None:
        return
    with contextlib.suppress(Trouble):
        _, way, node = walk.place(tree, bpy.context.scene)
        plate = walk.inputs(way, node).get("plate")
        if plate is not None:
            tree.matte_nodes.multiplies = settings.multiplies(tree.matte_nodes, plate.source)
            group.wire(tree)


def looked_at(tree: Any, scene: Any) -> Now:
    """Return the node's present settings and inputs, to compare with those of the bake."""
    try:
        plan, _, _ = planned(tree, scene)
    except Trouble as error:
        return Now(trouble=str(error))
    return present(plan)


def present(plan: BakePlan) -> Now:
    """Return what a plan asks for. It looks at files alone, so that any thread may call it."""
    return Now(plan.settings, plan.first, plan.last, plan.still, plan.stamps())


def complain(tree: Any, scene: Any, text: str) -> None:
    """Let the panel show what went wrong, for as long as what was asked for stays the same."""
    tree.matte_nodes.message = text
    tree.matte_nodes.message_about = about(tree, looked_at(tree, scene))


def complaint(tree: Any, now: Now) -> str:
    """Return the error of the last bake with the present settings, or ""."""
    kept = tree.matte_nodes
    return str(kept.message) if kept.message_about == about(tree, now) else ""


def about(tree: Any, now: Now) -> str:
    """Return a text that names the request of a bake and its folder."""
    kept = tree.matte_nodes
    device = kept.device or addon.preference("device")
    facts = [now.settings, now.first, now.last, now.trouble, device, settings.base_of(kept)]
    return folders.settings_hash({"facts": facts})


def own_name(tree: Any) -> None:
    """Give the node a name of its own for its bakes: a copied node would share its original's."""
    kept = tree.matte_nodes
    taken = {
        other.matte_nodes.bake_name
        for other in group.mattes()
        if other != tree and other.library == tree.library
    }
    if kept.bake_name and kept.bake_name not in taken:
        return
    name, number = folders.folder_name(tree.name), 1
    while name in taken or not name:
        number += 1
        name = f"{folders.folder_name(tree.name)}_{number}"
    kept.bake_name = name


def editable(tree: Any) -> None:
    """Raises Trouble for a node group that is linked from another file."""
    if tree.library is not None:
        raise Trouble(
            f"The node group {tree.name} is linked from {tree.library.filepath}. Make it local "
            "first (Object > Relations > Make Local, or append it)."
        )


def again(tree: Any, scene: Any, frame: int | None = None) -> Planned:
    """Return what plans the same once more, later: an undo makes other objects of node and scene."""
    name, where = tree.matte_nodes.bake_name, scene.name

    def planned_now() -> tuple[BakePlan, Any, dict[str, Any]]:
        there = [t for t in group.mattes() if t.matte_nodes.bake_name == name and not t.library]
        home = bpy.data.scenes.get(where)
        if not there or home is None:
            raise Trouble("The Matte node was removed.")
        return planned(there[0], home, frame)

    return planned_now


def free(tree: Any) -> str:
    """Return the node's name for its bakes. Raises Trouble when it cannot be worked on now."""
    editable(tree)
    own_name(tree)
    name = str(tree.matte_nodes.bake_name)
    if name in running:
        raise Trouble(f"This node is busy ({running[name].doing}). Cancel that first.")
    if not settings.base_of(tree.matte_nodes):
        raise Trouble(
            "Save the file first, or choose a bake folder on the node: bakes are kept beside the "
            "file."
        )
    return name


class Bake(Work):
    """One bake. Raises Trouble when it cannot begin; `step` until `ended`.

    frame: this one alone. The node shows frames as they come.
    """

    doing = "baking"
    changes = True

    def __init__(self, tree: Any, scene: Any, frame: int | None = None) -> None:
        name = free(tree)
        self._client = addon.client()
        corrections.save(tree)
        self.frame = frame
        self._record = Record.read(tree.matte_nodes.record)
        inputs = Inputs(tree.name, again(tree, scene, frame))
        self.plan = inputs.plan
        self.folder = self.plan.folder
        self._stamps = self.plan.stamps()
        span = self._record.first, self._record.last
        same = self._record.settings == self.plan.settings
        if same and self.plan.stamps(span) == self._record.stamps:
            folders.seed(self.folder, group.linked_folder(tree))
        self._linked = False
        tree.matte_nodes.message = ""
        super().__init__(name, inputs)

    def _begun(self) -> Job:
        inputs = self.inputs
        request = self.plan.request(inputs.paths, cut=inputs.whole_clip, size=inputs.size)
        return Job(self._client, request)

    def _told(self) -> str:
        left = self.job.left()
        return f"{self.job.said}, {left}" if left else str(self.job.said)

    @property
    def computed(self) -> int:
        """Frames that were matted by this bake."""
        return len(self.job.frames) if self.job else 0

    def _follow(self, seconds: float) -> bool:
        fresh = self.job.wait(seconds) if seconds else self.job.poll()
        tree = self.tree
        self.done = self.job.before + len(self.job.frames)
        self.total = self.job.before + self.job.total
        if fresh and tree is not None:
            self._show(tree, whole=False)
        if self.job.state:
            self.state = self.job.state
            self._end(tree)
        return bool(fresh) or self.ended

    def _show(self, tree: Any, *, whole: bool) -> None:
        plan = self.plan
        first = plan.first if plan.first in folders.frames_there(self.folder) else None
        shown = first if first is not None else group.first_frame(self.folder)
        if shown is None:
            return
        if not self._linked or whole:
            count = 1 if plan.still else plan.last - plan.first + 1
            path = folders.frame_file(self.folder, shown)
            beside = settings.relative(tree.matte_nodes)
            kept = tree.matte_nodes
            kept.multiplies = settings.multiplies(kept, plan.sources["plate"])
            group.show(tree, path, plan.first, count, still=plan.still, relative=beside)
            self._linked = True
            keep = self._record.settings == plan.settings and self._record.whole
            if whole or not (keep and self.frame is not None):
                tree.matte_nodes.record = Record(
                    plan.settings, plan.first, plan.last, plan.still, self._stamps, whole
                ).text()
        group.reload(tree)

    def _note_keys(self, tree: Any) -> None:
        """Keep the keys of the frames that this bake finished or found right."""
        record, plan = Record.read(tree.matte_nodes.record), self.plan
        if record.settings != plan.settings:
            return
        alone = self.frame is not None and not plan.still
        frames = [self.frame or 0] if alone else range(plan.first, plan.last + 1)
        earlier = dict(record.keys) if alone else {}
        keys = {**earlier, **exr_key.keys(self.folder, frames)}
        tree.matte_nodes.record = record._replace(keys=tuple(sorted(keys.items()))).text()

    def _end(self, tree: Any) -> None:
        self.leave()
        if tree is None:
            return
        job, kept = self.job, tree.matte_nodes
        kept.message = ""
        if self.state == DONE:
            alone = self.frame is not None and not self.plan.still
            try:
                self._show(tree, whole=not alone)
                self._note_keys(tree)
            except Trouble as error:
                complain(tree, bpy.context.scene, str(error))
            kept.note = " ".join(job.notes)
            self.result = f"{self.computed} frames matted now" if self.computed else "nothing to do"
        elif self.state == ERROR:
            complain(tree, bpy.context.scene, job.message or "The bake failed.")
        else:
            kept.note = f"cancelled: {self.done} of {self.total} frames are there"
        if not bpy.app.background:
            bpy.ops.ed.undo_push(message="Bake matte")
