# SPDX-License-Identifier: Apache-2.0
"""Chooses the colour space of a file from its tags and its kind."""

from __future__ import annotations

from matte_nodes.errors import ColorError

# What movies and file readers call a transfer curve, and the colour space that is meant.
# The BT.709 tag (ITU-T H.273 transfer 1; 6, 14 and 15 are the same curve) is taken at its word:
# the camera curve of ITU-R BT.709, not a 2.4 display gamma. It linearises to the light the camera
# saw, which is what an edge mixes in, and is what Nuke's "rec709" does; a clip graded for a
# display may be given `--colorspace g24_rec709`.
_TAGS = {
    "bt709": "camera_rec709",
    "rec709": "camera_rec709",
    "itu709": "camera_rec709",
    "smpte170m": "camera_rec709",
    "bt601": "camera_rec709",
    "smpte240m": "camera_rec709",
    "bt470m": "g22_rec709",
    "gamma22": "g22_rec709",
    "iec61966-2-1": "srgb_tx",
    "srgb": "srgb_tx",
    "bt1361e": "camera_rec709",
    "linear": "lin_rec709",
    "smpte432/srgb": "srgb_p3d65_scene",
    "smpte432/linear": "lin_p3d65_scene",
    "smpte432/lin_rec709_scene": "lin_p3d65_scene",
}
# Primaries whose colours are not those of BT.709, whatever the transfer is.
_OTHER_PRIMARIES = {"smpte431", "smpte432", "smpte428", "film"}
_WIDE = {"bt2020", "bt2020-10", "bt2020-12", "bt2020nc", "pq", "smpte2084", "hlg", "arib-std-b67"}
_UNTAGGED = {"", "unknown", "unspecified", "reserved", "unspec", "none"}
_CHOICE = "Name it with --colorspace (a name of the OCIO config)"


def guess_space(clip_colorspace: str, *, is_movie: bool, is_float: bool, extension: str) -> str:
    """Return the colour space to take a clip for when the artist names none.

    clip_colorspace: what the file says of itself, "" when it says nothing: an OCIO name, or a
    movie's transfer tag (FFmpeg's words; "primaries/transfer" is accepted too). extension: with
    or without its dot. The answer is a name for `ColorConfig.resolve`.

    Files that say nothing: float images (EXR, float TIFF) are the config's scene_linear role;
    PNG, JPEG and other 8 and 16 bit images are sRGB texture; movies are BT.709 camera encoded.
    Raises ColorError for files whose kind says nothing (DPX, Cineon) and for tags that have no
    one meaning without more knowledge (PQ, HLG, Rec.2020 and log curves).
    """
    extension = extension.lower().lstrip(".")
    tag = clip_colorspace.strip()
    primaries, _, transfer = tag.rpartition("/")
    words = {primaries.lower(), transfer.lower()} - _UNTAGGED
    if not words:
        return _untagged(is_movie=is_movie, is_float=is_float, extension=extension)
    if not is_movie:
        return _image_tag(tag, extension)
    if words & _WIDE:
        raise ColorError(
            f'The movie is tagged "{tag}" (wide gamut or high dynamic range), which has no one '
            f'scene-linear meaning. {_CHOICE}: "Rec.2100-PQ - Display", "Rec.2100-HLG - Display", '
            f'"Apple Log" and camera logs are in the built-in studio config.'
        )
    if tag.lower() in _TAGS:
        return _TAGS[tag.lower()]
    if primaries.lower() in _OTHER_PRIMARIES:
        raise ColorError(
            f'The movie is tagged "{tag}" (its primaries are those of P3 or of film), which is no '
            f"space of the built-in configs. {_CHOICE}."
        )
    key = transfer.lower() if transfer.lower() not in _UNTAGGED else primaries.lower()
    if key in _TAGS:
        return _TAGS[key]
    if key.startswith(("bt470bg", "gamma28", "log", "smpte428", "iec61966-2-4", "transfer ")):
        raise ColorError(f'The movie is tagged "{tag}", which is not supported. {_CHOICE}.')
    return tag


def _untagged(*, is_movie: bool, is_float: bool, extension: str) -> str:
    if extension in {"dpx", "cin"}:
        raise ColorError(
            f"The .{extension} file does not say which curve it is in: it may be a camera log, "
            f"printing density or video. {_CHOICE}."
        )
    if is_movie:
        return "camera_rec709"
    return "scene_linear" if is_float else "srgb_tx"


def _image_tag(tag: str, extension: str) -> str:
    lowered = tag.lower()
    if lowered in {"kodaklog", "cineon"}:
        raise ColorError(
            f'The .{extension} file is tagged "{tag}" (printing density), which has no one '
            f"scene-linear meaning. {_CHOICE}."
        )
    if lowered.startswith(("icc profile", "cicp", "chromaticities", "gamma ", "pq", "hlg")):
        raise ColorError(
            f"The .{extension} file is tagged with {tag}, which is no space of the built-in "
            f"configs. {_CHOICE}."
        )
    # The word alone says nothing of primaries: the config's own linear is meant.
    if lowered == "linear":
        return "scene_linear"
    return _TAGS.get(lowered, tag)
