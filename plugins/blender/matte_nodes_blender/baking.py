# SPDX-License-Identifier: GPL-3.0-or-later
"""A bake from the panel to the pictures on the node. Called on Blender's main thread alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import bpy

from . import addon, compat, corrections, exr_key, folders, group, helper, settings, upstream, walk
from .handover import Handed
from .job import CANCELLED, DONE, ERROR, Job
from .plan import BakePlan, BakeRequest, Colour
from .state import Now, Record
from .trouble import Trouble

RENDER_SECONDS = 0.5
running: dict[str, Bake] = {}
"""Bakes at work, by the name that their node keeps its bakes under."""


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


class Bake:
    """One bake. Raises Trouble when it cannot begin; `step` until `ended`.

    First what is upstream is rendered, as far as that is needed, a few frames at a step; then the
    job is handed in. frame: this one alone. The node shows frames as they come. alone: no operator
    follows it, only the timer.
    """

    def __init__(self, tree: Any, scene: Any, frame: int | None = None) -> None:
        editable(tree)
        own_name(tree)
        self.name = tree.matte_nodes.bake_name
        if self.name in running:
            raise Trouble("This node is already being baked. Cancel that bake first.")
        if not settings.base_of(tree.matte_nodes):
            raise Trouble(
                "Save the file first, or choose a bake folder on the node: bakes are kept beside "
                "the file."
            )
        self._client = addon.client()
        corrections.save(tree)
        self.plan, home, _ = planned(tree, scene, frame)
        self.frame, self._scene = frame, home.name
        self._record = Record.read(tree.matte_nodes.record)
        self.folder = self.plan.folder
        self._stamps = self.plan.stamps()
        handed = self.plan.handed()
        folders.make(self.folder)
        span = self._record.first, self._record.last
        same = self._record.settings == self.plan.settings
        if same and self.plan.stamps(span) == self._record.stamps:
            folders.seed(self.folder, group.linked_folder(tree))
        self._inputs = folders.new_inputs(self.folder)
        self.job: Job | None = None
        self._linked = self._stopped = False
        self.alone = False
        self._helper: helper.Helper | None = None
        self._said = "starting"
        self._rendering = self._prepared(handed)
        tree.matte_nodes.message = ""
        running[self.name] = self

    def _prepared(self, handed: dict[str, Handed]) -> Iterator[None]:
        """Render what has to be, then hand the job in; pauses for the artist every half second."""
        plan, paths = self.plan, {}
        spans: dict[tuple[int, int], list[str]] = {}
        for name, item in handed.items():
            if item.how == "links":
                assert item.files is not None
                paths[name] = folders.link_inputs(self._inputs, name, item.files), item.space
            elif item.how == "file":
                paths[name] = item.path, item.space
            else:
                alone = item.still and (name != "plate" or plan.still)
                spans.setdefault((1, 1) if alone else plan.shot, []).append(name)
                path = upstream.pattern(self._inputs, name)
                paths[name] = path.replace("####", "0001") if alone else path, plan.colour.working
        media = plan.sources["plate"].media
        size = media.size if media is not None else (0, 0)
        if spans:
            yield from self._rendered(spans, size)
            size = self._plate_size(spans, size)
            odd = self._of_other_size(spans, size)
            if odd and media is None:  # the graph's own size is not the scene's
                yield from self._rendered(odd, size)
                odd = self._of_other_size(spans, size)
            self._check_sizes(odd, size)
        request = plan.request(paths, cut=handed["plate"].how == "file", size=size)
        self.job = Job(self._client, request)

    def _rendered(
        self, spans: dict[tuple[int, int], list[str]], size: tuple[int, int]
    ) -> Iterator[None]:
        """Render inputs: in a Blender of its own where the artist works in this one."""
        if helper.possible():
            asked = {
                "scene": self._scene, "group": self.tree.name, "folder": self._inputs, "size": size,
                "spans": [[*span, names] for span, names in spans.items()],
            }  # fmt: skip
            self._helper = helper.Helper(asked, self._inputs)
            (first, last), names = max(spans.items(), key=lambda item: item[0][1] - item[0][0])
            while not self._helper.ended():
                done = folders.count(upstream.pattern(self._inputs, names[0]))
                self._said = f"rendering the inputs: {done} of {last - first + 1}"
                yield
            return
        for (first, last), names in spans.items():
            at, many = first, last - first + 1 if bpy.app.background else 1
            while at <= last:
                end, began = min(last, at + many - 1), time.monotonic()
                self._said = f"rendering the inputs: {at} of {first}-{last}"
                yield
                self._render(names, at, end, size)
                at = end + 1
                many = many * 2 if time.monotonic() - began < RENDER_SECONDS else many

    def _render(self, names: list[str], first: int, last: int, size: tuple[int, int]) -> None:
        # The tree is looked up again: an undo makes other objects of all that was found before.
        tree, scene = self.tree, bpy.data.scenes.get(self._scene)
        if tree is None or scene is None:
            raise Trouble("The Matte node was removed.")
        plan, home, found = planned(tree, scene, self.frame)
        if plan.settings != self.plan.settings:
            raise Trouble(
                "The node or its inputs were changed while they were rendered: bake again."
            )
        wanted = {name: found[name] for name in names}
        upstream.render(home, wanted, self._inputs, first, last, size)

    def _plate_size(
        self, spans: dict[tuple[int, int], list[str]], size: tuple[int, int]
    ) -> tuple[int, int]:
        """Return the plate's size, from its first rendered frame where it was rendered."""
        for (first, _), names in spans.items():
            if "plate" in names:
                return exr_key.size(self._rendered_file("plate", first))
        return size

    def _of_other_size(
        self, spans: dict[tuple[int, int], list[str]], size: tuple[int, int]
    ) -> dict[tuple[int, int], list[str]]:
        """Return the rendered inputs that are not of the plate's size."""
        if not all(size):
            return {}
        odd = {
            span: [n for n in names if exr_key.size(self._rendered_file(n, span[0])) != size]
            for span, names in spans.items()
        }
        return {span: names for span, names in odd.items() if names}

    def _check_sizes(self, odd: dict[tuple[int, int], list[str]], size: tuple[int, int]) -> None:
        for (first, _), names in odd.items():
            width, height = exr_key.size(self._rendered_file(names[0], first))
            raise Trouble(
                f"The {names[0]} is {width} x {height}, the plate is {size[0]} x {size[1]}. Put a "
                "Scale node before the socket, or connect a picture of the plate's size."
            )

    def _rendered_file(self, name: str, frame: int) -> str:
        number = f"{frame:0{folders.DIGITS}d}"
        return upstream.pattern(self._inputs, name).replace("#" * folders.DIGITS, number)

    @property
    def ended(self) -> bool:
        """Whether the job has ended and its end was taken in."""
        return self.name not in running

    @property
    def state(self) -> str:
        """The result: done, error or cancelled; "" while it runs."""
        return self.job.state if self.job else CANCELLED if self._stopped else ""

    @property
    def said(self) -> str:
        """The present work, in words, and how long it will take."""
        if self.job is None:
            return self._said
        left = self.job.left()
        return f"{self.job.said}, {left}" if left else self.job.said

    @property
    def computed(self) -> int:
        """Frames that were matted by this bake."""
        return len(self.job.frames) if self.job else 0

    @property
    def done(self) -> int:
        """Frames that are right so far."""
        return self.job.before + len(self.job.frames) if self.job else 0

    @property
    def total(self) -> int:
        """Frames in all; 0 when that is not known yet."""
        return self.job.before + self.job.total if self.job else 0

    @property
    def tree(self) -> Any:
        """The node's group, or None when it was deleted. An undo makes it another object."""
        for tree in group.mattes():
            if tree.matte_nodes.bake_name == self.name and tree.library is None:
                return tree
        return None

    def step(self, seconds: float = 0.0) -> bool:
        """Handle new events of the bake. Returns whether Blender must redraw. Raises Trouble."""
        if self.job is None:
            try:
                if not self._stopped:
                    next(self._rendering)
            except StopIteration:
                return True
            except BaseException:
                self.leave()
                raise
            if self._stopped:
                self._end(self.tree)
            return True
        fresh = self.job.wait(seconds) if seconds else self.job.poll()
        tree = self.tree
        if fresh and tree is not None:
            self._show(tree, whole=False)
        if self.job.state:
            self._end(tree)
        return bool(fresh) or self.ended

    def cancel(self) -> None:
        """Stop; frames that are done stay."""
        self._stopped = True
        if self.job is not None:
            self.job.cancel()

    def leave(self) -> None:
        """Follow it no more, and take its inputs away."""
        running.pop(self.name, None)
        self.stop_helper()
        folders.remove(self._inputs)

    def stop_helper(self) -> None:
        """End the Blender that renders the inputs, if there is one."""
        if self._helper is not None:
            self._helper.stop()

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
        if job is not None and job.state == DONE:
            alone = self.frame is not None and not self.plan.still
            try:
                self._show(tree, whole=not alone)
                self._note_keys(tree)
            except Trouble as error:
                complain(tree, bpy.context.scene, str(error))
            kept.note = " ".join(job.notes)
        elif job is not None and job.state == ERROR:
            complain(tree, bpy.context.scene, job.message or "The bake failed.")
        else:
            kept.note = f"cancelled: {self.done} of {self.total} frames are there"
        if not bpy.app.background:
            bpy.ops.ed.undo_push(message="Bake matte")
