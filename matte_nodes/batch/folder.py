# SPDX-License-Identifier: Apache-2.0
"""What a folder of pictures holds: stills, and numbered clips; and where each result goes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matte_nodes.errors import InputError, MediaError, OutputError, UsageError
from matte_nodes.media.clip import STILLS
from matte_nodes.media.pattern import Pattern, group
from matte_nodes.whole_files import is_temporary

ENDINGS = {"nuke": ".exr", "blender": ".exr", "array": ".npy", "over": ".jpg"}
"""By layout: the ending of results, where a folder alone was named; ".png" for the others."""


@dataclass(frozen=True)
class Item:
    """One thing to matte: a still, or a numbered clip."""

    source: str
    """Path or pattern, as `Render` takes it."""
    output: str
    """Path or pattern of the result."""
    frames: int = 1
    """How many pictures it has."""

    @property
    def files(self) -> int:
        """How many files are written."""
        return self.frames


def is_many(source: str, output: str) -> bool:
    """Whether a request is for a folder of pictures: both are folders, or the output has a `*`."""
    if not Path(source).is_dir():
        return False
    return output.endswith(("/", os.sep)) or Path(output).is_dir() or "*" in Path(output).name


def found(source: Path, output: str, *, layout: str, recursive: bool, each: bool) -> list[Item]:
    """Return what there is to matte, sorted by name. Subfolders are kept in the output.

    source: a folder. output: a folder, or `folder/*.webp`, where the star is the name of the
    picture. each: numbered pictures are stills too. Else those that follow each other without a gap
    are one clip. Raises InputError for a folder without pictures, OutputError for an output with
    more than one star, or one that lies among the sources under the same names.
    """
    folder, star, ending = target(output, layout)
    items: list[Item] = []
    for place in folders(source, recursive):
        pictures = [
            name for name in sorted(os.listdir(place))
            if Path(name).suffix.lower() in STILLS and not name.startswith(".")
            and not is_temporary(name) and (place / name).is_file()
        ]  # fmt: skip
        items += _items(place, pictures, folder / place.relative_to(source), star, ending, each)
    if not items:
        raise InputError(f"{source}: The folder holds no pictures.")
    for item in items:
        if os.path.abspath(item.source) == os.path.abspath(item.output):
            raise OutputError(
                f"{item.output}: Would replace the picture that it is made of. Name another folder."
            )
    return items


def target(output: str, layout: str) -> tuple[Path, tuple[str, str], str]:
    """Return an output's folder, what stands before and behind the star, and the ending of files."""
    path = Path(output)
    if "*" not in path.name:
        return path, ("", ""), ENDINGS.get(layout, ".png")
    if path.name.count("*") > 1 or "*" in str(path.parent) or not path.suffix:
        raise OutputError(f"{output}: Write one * for the name of the picture, as in out/*.png.")
    before, _, behind = path.name.removesuffix(path.suffix).partition("*")
    return path.parent, (before, behind), path.suffix


def folders(source: Path, recursive: bool) -> list[Path]:
    """Return the folder, and those below it (recursive). Links to folders are not followed."""
    if not recursive:
        return [source]
    return sorted(
        Path(place) for place, _, _ in os.walk(source)
        if not any(part.startswith(".") for part in Path(place).relative_to(source).parts)
    )  # fmt: skip


def _items(
    place: Path, names: Sequence[str], folder: Path, star: tuple[str, str], ending: str, each: bool
) -> list[Item]:
    clips = {} if each else _clips(place, names)
    inside = {path.name for files in clips.values() for path in files.values()}
    stems = Counter(Path(name).stem for name in names if name not in inside)
    items = []
    for pattern, files in clips.items():
        token = "#" * pattern.padding
        source = place / f"{pattern.prefix}{token}{pattern.suffix}"
        result = folder / f"{star[0]}{pattern.prefix}{token}{star[1]}{ending}"
        items.append(Item(str(source), str(result), len(files)))
    for name in names:
        if name in inside:
            continue
        # a.jpg and a.png have results of their own.
        stem = Path(name).stem if stems[Path(name).stem] == 1 else name
        items.append(Item(str(place / name), str(folder / f"{star[0]}{stem}{star[1]}{ending}")))
    return sorted(items, key=lambda item: item.source)


def _clips(place: Path, names: Sequence[str]) -> dict[Pattern, dict[int, Path]]:
    """Numbered pictures that follow each other without a gap."""
    try:
        groups = group(place, names)
    except MediaError:  # one number twice: no clip
        return {}
    return {
        pattern: files for pattern, files in groups.items()
        if len(files) > 1 and max(files) - min(files) + 1 == len(files)
    }  # fmt: skip


def partner(hint: str, item: Item) -> str:
    """Return the hint of one picture: the file of its name in a folder of hints, else the hint itself.

    Raises InputError when the folder has none, or more than one, UsageError for a clip.
    """
    folder = Path(hint)
    if not folder.is_dir():
        return hint
    if item.frames > 1:
        raise UsageError(
            f"{item.source} is a clip, and {hint} a folder of hints for stills. Matte the clip alone, "
            "or take each picture for itself (--each)."
        )
    stem = Path(item.source).stem
    fitting = [p for p in sorted(folder.iterdir()) if p.stem == stem and p.suffix.lower() in STILLS]
    if len(fitting) != 1:
        said = f"{len(fitting)} pictures" if fitting else "no picture"
        raise InputError(f"{hint} holds {said} named {stem}, for {item.source}.")
    return str(fitting[0])
