# SPDX-License-Identifier: Apache-2.0
"""Render: a shot written to files, with its provenance; a second run does only what is missing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from matte_nodes import __version__
from matte_nodes.errors import (
    InputChangedError,
    MediaError,
    MissingFrameError,
    OutputError,
    UsageError,
)
from matte_nodes.frame_range import spelled
from matte_nodes.media.clip import paste
from matte_nodes.media.finish import Finish, check
from matte_nodes.media.image import Image, Rect
from matte_nodes.media.layouts import shrunk
from matte_nodes.media.movie_rate import DEFAULT_RATE
from matte_nodes.media.pattern import Pattern
from matte_nodes.media.writers import (
    OutputFrame,
    Writer,
    check_name,
    check_not_input,
    is_movie_output,
    open_writer,
)
from matte_nodes.node.matte import Matte
from matte_nodes.points import as_points
from matte_nodes.reads import hash_of
from matte_nodes.render.coverage import Coverage
from matte_nodes.render.done import Done
from matte_nodes.render.object_files import object_files
from matte_nodes.render.resume_log import KEY
from matte_nodes.render.terms import Inherited, combined, inherited
from matte_nodes.shot.chain import build
from matte_nodes.shot.taken import Taken, check_strict, line, texts
from matte_nodes.temporal.claims import output_claimed
from matte_nodes.temporal.digest import digest
from matte_nodes.temporal.stat_cache import Look
from matte_nodes.temporal.steps import TRIES

FINISHERS = 2
"""Threads that solve foregrounds and encode: at 720p that takes as long as two network steps."""


class Reporter(Protocol):
    """Callbacks that follow a render."""

    def start(self, total: int, **facts: Any) -> None:
        """Before the first frame."""

    def frame(self, frame: int, path: Path) -> None:
        """A frame is whole on disk."""

    def warn(self, text: str) -> None:
        """Something about the inputs that the user should know; it may come from any thread."""

    def done(self, output: str) -> None:
        """After the last frame."""


class Render:
    """One request to matte a clip into files: everything is checked before the first frame.

    source, connect: as `MatteNode.connect` takes them. output: a pattern, a still or a movie.
    node, knobs: as `MatteNode` takes them. again: do frames anew that are already done. refine,
    refine_width, segmentation_model: as `chain.build` takes them. objects: how several objects are
    written, one of `points.OUTPUTS`; `{object}` in the output is the name of each.
    """

    def __init__(
        self,
        source: str,
        output: str,
        model: str,
        *,
        knobs: Mapping[str, Any],
        node: Mapping[str, Any],
        connect: Mapping[str, Any],
        layout: str = "auto",
        output_colorspace: str | None = None,
        again: bool = False,
        refine: str | None = None,
        refine_width: float = 0.0,
        segmentation_model: str | None = None,
        over: str = "",
        trim: float | None = None,
        square: bool = False,
        bits: int = 0,
        audio: bool = True,
        plate_window: bool = False,
        objects: str = "auto",
    ) -> None:
        self.finish = Finish(over, trim, square, bits, audio)
        self.layout = check_name(output, layout, over)
        self.output, self._again = output, again
        self._texts: dict[str, str] | None = None
        self._shrinks = self.layout == "nuke" and not plate_window
        self._look = Look()
        points = connect.get("points")
        names = () if points is None else as_points(points).names
        self.files = object_files(output, self.layout, names, objects)
        # EXR sorts its channels, so the order of the objects is said in words.
        self._objects = {"matte/objects": " ".join(names)} if names and objects != "union" else {}
        self.is_movie = is_movie_output(output)
        self.chain = build(
            source,
            model,
            knobs=knobs,
            node=node,
            refine=refine,
            refine_width=refine_width,
            segmentation_model=segmentation_model,
            connect={
                "cache": "states",
                **connect,
                "output_colorspace": output_colorspace,
                "encoded": _encoding(self.layout, output),
            },
        )
        self.node, self.shot = self.chain.node, self.chain.shot
        if Path(output).suffix.lower() in (".webp", ".gif"):
            self.is_movie = self.is_movie and len(self.shot.frames) > 1
        for clip in (self.shot.clip, *(hint.clip for hint in self.shot.hints.values())):
            for files in self.files:
                check_not_input(files.output, clip)
        self.inputs = self._inputs()
        if connect.get("strict"):
            check_strict(self.inputs)

    def _inputs(self) -> tuple[Taken, ...]:
        """Return what was taken from the inputs of all nodes, and the rate of a movie that has none."""
        inputs = self.shot.inputs
        if not (self.is_movie and self.shot.clip.rate is None):
            return inputs
        plate = inputs[0]
        said = f"the plate has no rate and the movie has {DEFAULT_RATE} frames a second (--rate)"
        return (replace(plate, assumptions=(*plate.assumptions, said)), *inputs[1:])

    def provenance(self, others: Sequence[Inherited] = ()) -> dict[str, str]:
        """Return the texts in every file: model, weights, knobs, spaces, licence, version.

        others: terms that the matte inherits from its input files.
        """
        color, nodes = self.shot.color, self.chain.nodes
        weights = {k: v for node in nodes for k, v in node.weights_identity.items()}
        return {
            "matte/model": self.chain.name,
            "matte/weights": " ".join(f"{name}:{sha}" for name, sha in weights.items()),
            "matte/licence": "; ".join(
                dict.fromkeys(
                    [
                        *(node.card.licence for node in nodes),
                        *(f"{one.name} by {one.model}: {one.licence}" for one in others),
                    ]
                )
            ),
            "matte/commercial": combined(self.chain.commercial, others),
            **texts(self.inputs),
            "matte/knobs": " ".join(f"{k}={v}" for k, v in sorted(self.node.knobs.items())),
            "matte/plate_space": color.plate,
            "matte/working_space": color.working,
            "matte/version": __version__,
            **({"matte/auto": self.chain.chosen} if self.chain.chosen else {}),
            **self._objects,
            **self.finish.texts(),
        }

    @property
    def notes(self) -> list[str]:
        """One line that says what was taken, and one for each assumption."""
        found = [line(self.inputs)]
        for taken in self.inputs:
            found += [f"Assumed: {text}." for text in taken.assumptions]
        return found

    def key(self, frame: int, look: Look | None = None) -> str:
        """Return the content key of one frame: all that its pixels depend on.

        look: at the input files; None for the one that this render began with. Files of single
        objects have keys made of it: `ObjectFiles.key`.
        """
        return self._key_of(self.shot.stamp(frame, look or self._look))

    def _key_of(self, stamp: str) -> str:
        return digest(
            stamp, self.layout, Path(self.output).suffix, str(self.shot.clip.rate),
            self.shot.color.output, dict(sorted(self._objects.items())),
            self.finish.texts(), self._picture_behind(), self._shrinks,
        )  # fmt: skip

    def run(self, first: int | None, last: int | None, report: Reporter) -> None:
        """Matte the range; frames appear whole, by rename; done ones are left alone."""
        wanted = self.wanted(first, last)
        self._check_complete(wanted)
        with ExitStack() as claims:
            for output in sorted(files.output for files in self.files):  # one order for all runs
                claims.enter_context(output_claimed(output, wanted[0], wanted[-1]))
            self._run(wanted, report)

    def wanted(self, first: int | None, last: int | None) -> list[int]:
        """Return the frames of the range.

        Raises UsageError when it reaches out of the clip or into one file.
        """
        wanted, frames = self.shot.range(first, last), self.shot.frames
        outside = [n for n in (first, last) if n is not None and not frames[0] <= n <= frames[-1]]
        if outside:
            raise UsageError(
                f"{self.shot.clip.name} has no frame {outside[0]}: it has {frames[0]}-{frames[-1]}."
            )
        if len(wanted) > 1 and not self.is_movie and Pattern.parse(self.output) is None:
            stem, suffix = os.path.splitext(self.output)
            raise OutputError(
                f"{self.output!r}: {len(wanted)} frames would go into one file; put #### for the "
                f"frame number, as in {stem}.####{suffix}, or choose one (--frames)."
            )
        check(self.finish, self.layout, self.output, len(wanted) > 1)
        return wanted

    def _picture_behind(self) -> str:
        """The sha256 of the picture that the subject is put over; "" for none."""
        path = Path(self.finish.over)
        if not self.finish.over or not path.is_file():
            return ""
        return hash_of(path)

    def _shown(self, image: Image) -> NDArray[np.float32] | None:
        """The plate in the output's space over the display window, where the output needs it."""
        if self.finish.over != "blur":
            return None
        colours = image.pixels[..., :3] if image.pixels.shape[2] > 1 else image.pixels[..., [0] * 3]
        pixels = self.shot.color.plate_to_output(np.ascontiguousarray(colours))
        named = Image(pixels, ("R", "G", "B"), image.data_window, image.display_window)
        return np.asarray(paste(named, image.display_window), np.float32)

    def _check_complete(self, wanted: list[int]) -> None:
        """Raise MissingFrameError or MissingInputError before any work where a picture is missing."""
        clip, gaps = self.shot.clip, list[int]()
        for frame in wanted:
            try:
                clip.file_part(frame)
            except MissingFrameError:
                gaps.append(frame)
        if gaps:
            raise MissingFrameError(
                f"{clip.name}: frame{'s' * (len(gaps) > 1)} {spelled(gaps)} of {wanted[0]}-"
                f"{wanted[-1]} {'have' if len(gaps) > 1 else 'has'} no file. Render them, choose "
                "other frames (--frames), or hold or skip what is missing (--missing hold, "
                "--missing skip)."
            )
        for hint in self.shot.hints.values():
            for frame in wanted:
                hint.source_frame(frame)

    def _run(self, wanted: list[int], report: Reporter) -> None:
        facts = {**self.shot.identity, **self.provenance()}
        outputs = [Done(files, facts) for files in self.files]
        clip, todo, notes = self.shot.clip, wanted, list[str]()
        try:
            if not self._again:
                todo = self._unfinished(wanted, outputs)
            if todo:
                for node in self.chain.nodes:
                    _ = node.model  # a missing weight is said before anything is written
            if not self.is_movie:
                notes = [note for one in outputs for note in one.without_surplus(wanted)]
            report.start(
                len(todo),
                done_before=len(wanted) - len(todo),
                model=self.chain.name,
                notes=[*self.chain.notes, *notes, *self.notes],
                inputs=[one.facts() for one in self.inputs],
                device=str(self.node.device),
                input=clip.name,
                output=self.output,
                colorspace=self.shot.color.output,
            )
            tries = TRIES if todo else 0
            while todo and tries:
                todo, tries = self._render(todo, wanted, outputs, report), tries - 1
            if todo:
                raise MediaError(
                    f"Frames {spelled(todo)} of {clip.name} or their hints change all the time. "
                    "Start again when they are whole."
                )
        finally:
            self.shot.close()
        report.done(self.output)

    def _render(
        self, todo: list[int], wanted: list[int], outputs: Sequence[Done], report: Reporter
    ) -> list[int]:
        """Write these frames. Returns those whose inputs were delivered again meanwhile."""
        clip, asked, keys = self.shot.clip, set(todo), dict[int, str]()
        notices = self.shot.notices
        notices.say = report.warn
        writers = self._writers(wanted)
        coverage = Coverage()

        def sink(frame: int, matte: Matte, image: Image) -> Path:
            if self.chain.automatic:
                coverage.add(frame, matte.alpha)
            key = keys[frame] = self._key_of(self._look.stamps[frame])
            facts = {KEY: key}
            if complaints := notices.of(frame):
                facts["matte/warnings"] = complaints
            made = _output(frame, matte, image, clip.canvas, facts)
            made = replace(made, shown=self._shown(image))
            paths = [
                self._wrote(made, key, output, writer)
                for output, writer in zip(outputs, writers, strict=True)
            ]
            return paths[0]

        try:
            frames = self.shot.process(
                sink,
                todo[0],
                todo[-1],
                only=lambda n: n in asked,
                look=self._look,
                finishers=1 if writers[0].ordered else FINISHERS,
                foreground=self.layout != "alpha",
            )
            for frame, path in frames:
                report.frame(frame, path)
            for text in notices.summary():
                report.warn(text)
            for writer in writers:
                writer.close()
        except BaseException:
            for writer in writers:
                writer.abort()
            raise
        for text in coverage.remarks(self.chain.name):
            report.warn(text)
        self._look = Look()
        if not self.is_movie:
            return [frame for frame in todo if self._changed(frame, keys[frame])]
        whole = digest([keys[frame] for frame in wanted])
        for output in outputs:
            output.note_movie(wanted[0], whole)
        return wanted if any(self._changed(frame, keys[frame]) for frame in wanted) else []

    def _writers(self, wanted: list[int]) -> list[Writer]:
        """Return a writer for each object, or one for all."""
        clip, texts = self.shot.clip, self.provenance(inherited(self.shot, wanted))
        return [
            open_writer(
                files.output,
                layout=self.layout,
                colorspace=self.shot.color.output,
                provenance={**texts, **files.texts},
                rate=clip.rate,
                like=clip,
                finish=self.finish,
                several=self.is_movie,
            )
            for files in self.files
        ]

    def _wrote(self, whole: OutputFrame, key: str, output: Done, writer: Writer) -> Path:
        """Write one object's file of a frame, or that of all, and note it."""
        own = output.files.key(key)
        made = output.files.frame(whole)
        made = replace(made, provenance={**made.provenance, KEY: own})
        path = writer.write(shrunk(made) if self._shrinks else made)
        if not self.is_movie:
            output.note_frame(made.frame, own, path)
        return path

    def _changed(self, frame: int, key: str) -> bool:
        """Whether a frame's inputs are no longer those that were read."""
        try:
            return self.key(frame) != key
        except InputChangedError:
            return True

    def _unfinished(self, wanted: list[int], outputs: Sequence[Done]) -> list[int]:
        """Return frames of which a file is not whole on disk with the right key.

        A movie is all or nothing.
        """
        if not self.is_movie:
            return [n for n in wanted if not all(self._is_done(n, one) for one in outputs)]
        try:
            whole = digest([self.key(frame) for frame in wanted])
        except InputChangedError:
            return wanted
        return [] if all(one.holds_movie(wanted[0], whole) for one in outputs) else wanted

    def _is_done(self, frame: int, output: Done) -> bool:
        if not output.path(frame).is_file():
            return False  # without reading the inputs for a key
        try:
            return output.holds_frame(frame, self.key(frame), self._whole_texts)
        except InputChangedError:
            return False

    def _whole_texts(self) -> dict[str, str]:
        """The texts of this render's files, with the terms of all frames of its inputs."""
        if self._texts is None:
            self._texts = self.provenance(inherited(self.shot, list(self.shot.frames)))
        return self._texts


def _encoding(layout: str, output: str) -> bool | str:
    """How the foreground is encoded for an output (`ConnectOptions.encoded`)."""
    if layout == "movie" or Path(output).suffix.lower() in (".webm", ".mp4"):
        return "video"
    return "screen" if layout in ("cutout", "over") else False


def _output(
    frame: int, matte: Matte, image: Image, canvas: Rect, facts: dict[str, str]
) -> OutputFrame:
    """Return the matte over the frame's own data window."""
    window = image.data_window
    top, left = window.y - canvas.y, window.x - canvas.x
    part = (slice(top, top + window.height), slice(left, left + window.width))
    return OutputFrame(
        frame=frame,
        alpha=matte.alpha[part],
        foreground=matte.foreground[part],
        window=window,
        source=image,
        extras={name: extra[part] for name, extra in matte.extras.items()},
        provenance=facts,
    )
