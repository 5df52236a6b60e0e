# SPDX-License-Identifier: Apache-2.0
"""Every error of the library: one base class, one exit code a kind, a sentence for the artist."""

from __future__ import annotations


class MatteError(Exception):
    """Something the user can act on: the message says what happened, to what, and what to do.

    `exit_code` is what the command line ends with (docs/cli.md lists them). `frame` is the frame
    that a render was at, when there is one to blame.
    """

    exit_code = 1
    frame: int | None = None


class UsageError(MatteError):
    """The request itself is wrong: an unknown model, knob, choice or frame range."""

    exit_code = 2


class UnknownModelError(UsageError):
    """No registered model has this name."""


class UnknownKnobError(UsageError):
    """The model has no knob of this name."""


class KnobValueError(UsageError):
    """A knob was given a value outside its range or of another type."""


class InputError(MatteError):
    """An input is missing, unreadable or does not fit the plate."""

    exit_code = 3


class MissingInputError(InputError):
    """The model needs an input that was not given."""


class HintSizeError(InputError):
    """A trimap, background or segmentation is not the plate's size."""


class BadPlateError(InputError):
    """The plate has a wrong shape or type, or pixels that are not finite."""


class MediaError(InputError):
    """A file or folder cannot be read as a clip."""


class InputChangedError(MediaError):
    """A file was written while it was read."""


class MissingFrameError(MediaError):
    """A frame inside the asked range has no file."""


class ColorError(InputError):
    """A colour space is unknown or a transform cannot be made."""


class WeightsError(MatteError):
    """Weights are not here, cannot be fetched, or are not what they should be."""

    exit_code = 4


class DeviceError(MatteError):
    """The requested device cannot be used. The library never uses another device in its place."""

    exit_code = 5


class OutputError(MatteError):
    """A result cannot be written where it should go."""

    exit_code = 6


class ModelError(MatteError):
    """A model broke its own declaration (wrong shape, not finite, unknown extra)."""

    exit_code = 7


OPENCV_LIBRARIES = ("libGL", "libgthread", "libglib")
"""Libraries of the system that the wheel of opencv-python wants and that a bare machine lacks."""

OPENCV_CURE = (
    "Install the system's libGL and glib (Debian: apt-get install libgl1 libglib2.0-0), or pip "
    "install opencv-python-headless in place of opencv-python."
)
"""What to do where OpenCV cannot be loaded for want of them."""
