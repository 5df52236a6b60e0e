# SPDX-License-Identifier: Apache-2.0
"""Render: a shot written to files, with its provenance. What `matte run` and the service do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from . import __version__
from .color import guess_space
from .matte import Matte
from .media.image import Image
from .media.writers import OutputFrame, check_not_input, is_movie_output, open_writer
from .model import KnobValue
from .node import MatteNode


class Reporter(Protocol):
    """Who is told how a render goes."""

    def start(self, total: int, **facts: Any) -> None:
        """Before the first frame."""

    def frame(self, frame: int, path: Path) -> None:
        """A frame is whole on disk."""

    def done(self, output: str) -> None:
        """After the last frame."""


class Render:
    """One request to matte a clip into files: everything is checked before the first frame."""

    def __init__(
        self,
        source: str,
        output: str,
        model: str,
        *,
        knobs: Mapping[str, KnobValue],
        node: Mapping[str, Any],
        connect: Mapping[str, Any],
        layout: str = "auto",
        output_colorspace: str | None = None,
    ) -> None:
        self.output, self.layout = output, layout
        self.node = MatteNode(model, **node, **knobs)
        encoded = is_movie_output(output)
        self.shot = self.node.connect(
            source, output_colorspace=output_colorspace, encoded=encoded, **connect
        )
        check_not_input(output, self.shot.clip)
        if encoded and output_colorspace is None and self.shot.color.plate == self.shot.color.working:
            # A linear plate has no encoding to go back to: movies are BT.709 unless asked.
            space = guess_space("bt709", is_movie=True, is_float=False, extension=".mov")
            self.shot.color = self.node.plate_color(self.shot.color.plate, output=space)

    def provenance(self) -> dict[str, str]:
        """What is written into every file: model, weights, knobs, spaces, licence, code."""
        card, color = self.node.card, self.shot.color
        return {
            "matte/model": card.name,
            "matte/weights": " ".join(f"{w.file}:{w.sha256}" for w in card.weights),
            "matte/licence": "; ".join(w.licence for w in card.weights) or card.code_licence,
            "matte/commercial": card.commercial,
            "matte/knobs": " ".join(f"{k}={v}" for k, v in sorted(self.node.knobs.items())),
            "matte/plate_space": color.plate,
            "matte/working_space": color.working,
            "matte/version": __version__,
        }

    def run(self, first: int | None, last: int | None, report: Reporter) -> None:
        """Matte the range; frames appear whole, by rename, in order."""
        wanted = self.shot.range(first, last)
        _ = self.node.model  # a missing weight or device is said before anything is written
        clip = self.shot.clip
        writer = open_writer(
            self.output, layout=self.layout, colorspace=self.shot.color.output,
            provenance=self.provenance(), rate=clip.rate, like=clip,
        )  # fmt: skip

        def sink(frame: int, matte: Matte, image: Image) -> Path:
            return writer.write(_output(frame, matte, image, self.shot.clip.canvas))

        report.start(
            len(wanted), model=self.node.card.name, device=str(self.node.device),
            input=clip.name, output=self.output, colorspace=self.shot.color.output,
        )  # fmt: skip
        try:
            for frame, path in self.shot.process(sink, wanted[0], wanted[-1]):
                report.frame(frame, path)
            writer.close()
        except BaseException:
            writer.abort()
            raise
        finally:
            self.shot.close()
        report.done(self.output)


def _output(frame: int, matte: Matte, image: Image, canvas: Any) -> OutputFrame:
    """The matte over the frame's own data window."""
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
    )
