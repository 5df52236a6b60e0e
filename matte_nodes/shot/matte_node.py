# SPDX-License-Identifier: Apache-2.0
"""MatteNode: any matting model as a compositing node, for frames, clips and live pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes.card import HINTS, Bank
from matte_nodes.color import PlateColor, guess_space
from matte_nodes.errors import MatteError, MissingInputError
from matte_nodes.node.node import FrameNode
from matte_nodes.shot import bind
from matte_nodes.shot.connect_options import ConnectOptions, takes
from matte_nodes.shot.shot import Shot
from matte_nodes.shot.stream import Stream
from matte_nodes.shot.taken import Taken, check_strict, space_text
from matte_nodes.temporal.cache import as_cache

if TYPE_CHECKING:
    from matte_nodes.media.clip import Clip
    from matte_nodes.node.matte import Matte


def _named(hint: str) -> str:
    return "points (a click on the subject)" if hint == "points" else f"a {hint}"


class MatteNode(FrameNode):
    """A matting model as a node: plate and hints in, alpha and foreground out.

    model: a registered name (`matte models` lists them) or a ModelCard. device: auto, cpu, cuda,
    cuda:N, mps or tensorrt; what is asked for is what is used. threads: of the network on the CPU,
    0 chooses (`runtime.default_threads`). ocio: a config file or ocio:// name, default $OCIO.
    ocio_variables: a JSON object of the variables that the config follows, in place of the
    process's environment.
    weights: a checkpoint file for a model that takes one, in place of the imported one. untrained:
    run it with random weights where
    there are none (for tests). half: half precision, for torch networks. loader: called in place
    of the card's `load`, so that nodes can share loaded models. Every other keyword is a knob of
    the model or of the node. The model is loaded when it is first needed.

    Raises UnknownModelError, UnknownKnobError, KnobValueError, MissingInputError (a native
    foreground of a model that has none), DeviceError, ColorError.
    """

    @takes(ConnectOptions)
    def connect(self, options: ConnectOptions) -> Shot:
        """Connect clips: a Shot gives the matte of any frame, in any order.

        `node.connect("plate.####.exr", background="clean.exr")`: the arguments are the fields of
        `ConnectOptions`, which says what each does. Hints are files, clips, shots, arrays, or
        {frame: picture} keys. A single picture serves every frame.

        Raises MediaError, HintSizeError, MissingInputError, ColorError, UsageError.
        """
        rate = bind.told_rate(options.rate)
        reading = bind.Reading(options.layer, options.stereo_view, rate, options.missing)
        clip = bind.as_clip(options.plate, "plate", reading)
        given: dict[str, Any] = {name: getattr(options, name) for name in HINTS}
        sources = {name: source for name, source in given.items() if source is not None}
        points = options.points
        given_names = set(sources) | ({"points"} if points is not None else set())
        for name in sorted(self.card.needs - given_names):
            how = "--click, --box, --points" if name == "points" else f"--{name}"
            raise MissingInputError(
                f"Model {self.card.name!r} needs {_named(name)}: connect one ({name}=... or {how})."
            )
        bound: dict[str, bind.BoundHint | bind.BoundPoints] = {
            name: bind.BoundHint(
                name,
                source,
                clip,
                self._key_mode(name, options.hint_keys),
                offset=bind.told_offset(options.hint_offset),
                reading=bind.Reading(
                    getattr(options, f"{name}_layer"),
                    options.stereo_view if bind.is_file(source) else "",
                ),
            )
            for name, source in sources.items()
        }
        if points is not None:
            bound["points"] = bind.BoundPoints(points, clip)
        color, background_color = self._colors(
            clip, bound["background"].clip if "background" in bound else None, options
        )
        inputs = _taken(clip, bound, (color, background_color), options)
        if options.strict:
            check_strict(inputs)
        return Shot(
            self,
            clip,
            bound,
            color,
            background_color,
            options.allow_grey,
            cache=as_cache(options.cache),
            cuts=options.cuts,
            warm_up=options.warm_up,
            start=options.start,
            inputs=inputs,
        )

    def _key_mode(self, name: str, asked: str) -> str:
        """Return what a frame between sparse keys gets.

        A painted key of a selector is for its own frame.
        """
        painted = isinstance(self.card.memory, Bank) and name in ("trimap", "segmentation")
        return "only" if painted and asked == "exact" else asked

    def _colors(
        self, clip: Clip, background: Clip | None, options: ConnectOptions
    ) -> tuple[PlateColor, PlateColor | None]:
        """Return the transforms of the plate and of the clean plate."""
        plate_space, background_space = bind.spaces(
            clip, options.colorspace, background, options.background_colorspace
        )
        encoded, output = options.encoded, options.output_colorspace
        color = self.plate_color(plate_space, output=output, encoded_output=bool(encoded))
        if isinstance(encoded, str) and output is None and color.plate == color.working:
            # A linear plate has no encoding to go back to.
            movie = encoded == "video"
            shown = guess_space(
                "bt709" if movie else "", is_movie=movie, is_float=False,
                extension=".mov" if movie else ".png",
            )  # fmt: skip
            color = self.plate_color(plate_space, output=shown)
        if background is None:
            return color, None
        return color, self.plate_color(background_space, output=color.working)

    def many(
        self, paths: Iterable[str | os.PathLike[str]]
    ) -> Iterator[tuple[Path, Matte | MatteError]]:
        """Yield each still's path with its matte, or with the error that it ended in.

        paths: pictures of any names and sizes; the model is loaded once. A matte holds alpha (H, W)
        and straight foreground (H, W, 3) float32, in the linear counterpart of the picture's space.
        A clip in place of a still gives its first frame.
        """
        for path in map(Path, paths):
            try:
                shot = self.connect(path, cache=None)
                yield path, shot.at(shot.frames[0])
                shot.close()
            except MatteError as error:
                yield path, error

    def stream(self, *, colorspace: str | None = None, cuts: str = "auto") -> Stream:
        """Live use: newest frame only, nothing grows; use it in a `with`.

        colorspace: of the frames. None: uint8 and uint16 frames are sRGB, floats scene-linear.
        The memory starts anew at `reset`, at a new size and (cuts="auto", else "off") at a cut.
        """
        if colorspace:
            self.plate_color(colorspace)  # an unknown name is an error now

        @cache
        def color(is_float: bool) -> PlateColor:
            guess = guess_space("", is_movie=False, is_float=is_float, extension="")
            return self.plate_color(colorspace or guess)

        return Stream(self, color, cuts)


def _taken(
    clip: Clip,
    bound: Mapping[str, bind.BoundHint | bind.BoundPoints],
    colors: tuple[PlateColor, PlateColor | None],
    options: ConnectOptions,
) -> tuple[Taken, ...]:
    """Return what was taken from each input. colors: of the plate and of the clean plate."""
    color, of_background = colors
    space, unsaid = space_text(color.plate, options.colorspace, bind.said_space(clip))
    assumed = (*clip.assumptions, *bind.low_codes(clip))
    unsaid = (*unsaid, *clip.guesses)
    inputs = [Taken("plate", bind.base_name(clip.taken), space, assumed, unsaid)]
    for name, hint in bound.items():
        if isinstance(hint, bind.BoundPoints):
            continue
        space, unsaid = "", ()
        if name == "background" and of_background is not None:
            same = options.colorspace if of_background.plate == color.plate else None
            told = options.background_colorspace or same
            space, unsaid = space_text(of_background.plate, told, bind.said_space(hint.clip))
            unsaid = (*unsaid, *hint.clip.guesses)
        assumed = hint.assumptions
        if name == "background":
            assumed = (*assumed, *bind.low_codes(hint.clip))
        inputs.append(Taken(name, hint.taken, space, assumed, unsaid))
    return tuple(inputs)
