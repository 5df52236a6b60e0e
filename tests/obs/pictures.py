# SPDX-License-Identifier: Apache-2.0
"""Plates for the OBS tests: flat ones, split ones, a red box that runs through a green room."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOM = (0, 220, 0)
PERSON = (220, 0, 0)
# One chroma, so that a recording with small chroma planes keeps both greens.
DARK, LIGHT, BLURRED = (0, 120, 0), (130, 250, 130), (65, 185, 65)
RAW = 30  # codes around a green: under half of the way to BLURRED


def write(path: Path, picture: Any) -> Path:
    """(H, W, 3) uint8 RGB to a PNG."""
    import cv2

    assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return path


def flat(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (640, 360)) -> Path:
    """One colour."""
    return write(path, np.full((size[1], size[0], 3), colour, np.uint8))


def person(path: Path, size: tuple[int, int] = (640, 360)) -> Path:
    """A red person in the middle of a green room."""
    picture = np.full((size[1], size[0], 3), ROOM, np.uint8)
    picture[size[1] // 4 :, size[0] // 4 : size[0] * 3 // 4] = PERSON
    return write(path, picture)


def textured_room(size: tuple[int, int] = (640, 360)) -> Any:
    """(H, W, 3) uint8: squares of 4 x 4 pixels in two greens. A blur makes it `BLURRED`."""
    y, x = np.mgrid[: size[1], : size[0]]
    light = ((x // 4 + y // 4) % 2).astype(bool)
    return np.where(light[..., None], np.uint8(LIGHT), np.uint8(DARK))


def textured_person(path: Path) -> Path:
    """A red person in the middle of the textured room."""
    picture = textured_room()
    picture[90:, 160:480] = PERSON
    return write(path, picture)


def raw_pixels(picture: Any, room: Any) -> int:
    """How many pixels of (H, W, 4) are those of the textured room (H, W, 3), not blurred ones."""
    import cv2

    solid = np.dstack([room, np.zeros_like(room[..., 0])])
    near = cv2.inRange(cv2.absdiff(picture, solid), (0, 0, 0, 0), (RAW, RAW, RAW, 255))
    return cv2.countNonZero(cv2.min(near, np.ascontiguousarray(picture[..., 3])))


def made_once(make: Callable[..., Path]) -> Callable[..., Path]:
    """A maker of movies that makes each of them once, and then copies it."""
    kept: dict[tuple[Any, ...], bytes] = {}

    @functools.wraps(make)
    def wanted(path: Path, **settings: Any) -> Path:
        key = tuple((name, np.asarray(value).tobytes()) for name, value in settings.items())
        if key not in kept:
            kept[key] = make(path, **settings).read_bytes()
        path.write_bytes(kept[key])
        return path

    return wanted


@made_once
def running_box(path: Path, frames: int = 60, room: Any = ROOM) -> Path:
    """A movie without loss: the box goes 40 pixels a frame, to and fro, through this room."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "bgr0"
        for number in range(frames):
            picture = np.full((360, 640, 3), room, np.uint8)
            left = abs((number * 40) % 960 - 480)
            picture[100:260, left : left + 160] = PERSON
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@made_once
def clock_box(path: Path) -> Path:
    """A movie of two seconds: the box goes 8 pixels a frame, so its place tells the frame."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "bgr0"
        for number in range(60):
            picture = np.full((360, 640, 3), ROOM, np.uint8)
            picture[100:260, 8 * number : 8 * number + 160] = PERSON
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@made_once
def speaking_person(path: Path, seconds: int = 4) -> Path:
    """A movie of the person in the room who hums at 440 Hz, half as loud as can be."""
    import av

    plate = np.full((360, 640, 3), ROOM, np.uint8)
    plate[90:, 160:480] = PERSON
    hum = np.sin(2 * np.pi * 440 * np.arange(48000 * seconds) / 48000) * 0.5
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=30)
        video.width, video.height, video.pix_fmt = 640, 360, "bgr0"
        audio = container.add_stream("pcm_s16le", rate=48000)
        for _ in range(30 * seconds):
            frame = av.VideoFrame.from_ndarray(plate, "rgb24").reformat(format="bgr0")
            container.mux(video.encode(frame))
        for start in range(0, len(hum), 4800):
            part = np.repeat((hum[start : start + 4800] * 32767).astype(np.int16), 2)[None]
            sound = av.AudioFrame.from_ndarray(part, "s16", "stereo")
            sound.sample_rate, sound.pts = 48000, start
            container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path


@made_once
def clapping_person(path: Path) -> Path:
    """A movie of two seconds: the person goes to the right half at 1 s, and a tone of half a second
    begins at that very moment.
    """
    import av

    beep = np.sin(2 * np.pi * 1000 * np.arange(24000) / 48000) * 0.5
    sound = np.concatenate([np.zeros(48000), beep, np.zeros(24000)])
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=30)
        video.width, video.height, video.pix_fmt = 640, 360, "bgr0"
        audio = container.add_stream("pcm_s16le", rate=48000)
        for number in range(60):
            plate = np.full((360, 640, 3), ROOM, np.uint8)
            left = 40 if number < 30 else 360
            plate[90:, left : left + 240] = PERSON
            frame = av.VideoFrame.from_ndarray(plate, "rgb24").reformat(format="bgr0")
            container.mux(video.encode(frame))
        for start in range(0, len(sound), 4800):
            part = np.repeat((sound[start : start + 4800] * 32767).astype(np.int16), 2)[None]
            block = av.AudioFrame.from_ndarray(part, "s16", "stereo")
            block.sample_rate, block.pts = 48000, start
            container.mux(audio.encode(block))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path


@made_once
def bright_person(path: Path) -> Path:
    """A movie in HDR (10 bits, PQ, BT.2020): a bright right half, a second long."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p10le"
        stream.codec_context.color_trc, stream.codec_context.color_primaries = 16, 9
        stream.codec_context.colorspace = 9
        for _ in range(30):
            frame = av.VideoFrame(640, 360, "yuv420p10le")
            for plane, code in zip(frame.planes, (700, 512, 512), strict=True):
                lines = np.full((plane.height, plane.line_size // 2), code, np.uint16)
                lines[:, : plane.width // 2] = 512
                plane.update(lines.tobytes())
            frame.color_trc, frame.color_primaries, frame.colorspace = 16, 9, 9
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def room_pixels(picture: Any) -> int:
    """How many pixels of (H, W, 4) show the room: clearly greener than anything else here."""
    import cv2

    red, green, blue, alpha = cv2.split(picture)
    _, room = cv2.threshold(cv2.subtract(green, cv2.max(red, blue)), 60, 255, cv2.THRESH_BINARY)
    return cv2.countNonZero(cv2.min(room, alpha))


def person_pixels(picture: Any) -> int:
    """How many pixels of (H, W, 3 or 4) are the person's red."""
    import cv2

    red, green, blue = cv2.split(picture)[:3]
    _, person = cv2.threshold(cv2.subtract(red, cv2.max(green, blue)), 120, 255, cv2.THRESH_BINARY)
    return cv2.countNonZero(person)
