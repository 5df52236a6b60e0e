# SPDX-License-Identifier: Apache-2.0
"""Checks of a matte's origin: which model made it, under which terms, unchanged since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from matte_nodes import models
from matte_nodes.card import strictest
from matte_nodes.errors import MatteError
from matte_nodes.publish.delivery import Delivery
from matte_nodes.publish.finding import Finding, grouped
from matte_nodes.publish.integrate import damaged
from matte_nodes.publish.picture import DeliveredPicture
from matte_nodes.render.resume_log import Manifest

MADE_BY = ("matte/model", "matte/weights", "matte/knobs", "matte/version")


def model(delivery: Delivery) -> Iterator[Finding]:
    """One model with one weights hash and one set of knobs made all frames."""
    made = Counter(_made_by(picture) for _, picture, _ in delivery.readable)
    if not made:
        return
    usual = made.most_common()[0][0]
    for picture, frames in grouped(delivery, _made_by):
        found = _made_by(picture)
        if not found[0]:
            yield Finding(
                frames, "nothing says what made them (matte/model)", "Write them with matte run."
            )
        elif found != usual:
            differs = [n for n, a, b in zip(MADE_BY, usual, found, strict=True) if a != b]
            yield Finding(
                frames,
                f"made with other {', '.join(n[6:] for n in differs)} than the rest",
                "Run the whole shot with one model and one set of weights and knobs.",
            )


def name(delivery: Delivery) -> Iterator[Finding]:
    """Every file is of the frame that its name says, by the log of the run."""
    log = Manifest(str(delivery.pattern), {})
    keys = {entry["frame"]: entry.get("key") for entry in log.entries(delivery.files)}
    wrong = [
        frame.number
        for frame, picture, _ in delivery.readable
        if picture.says("matte/key") and frame.number in keys
        if picture.says("matte/key") != keys[frame.number]
    ]
    if wrong:
        yield Finding(
            tuple(wrong),
            "the file is of another frame or another run than the log says",
            "Run the same command again: it writes these anew.",
        )


def licence(delivery: Delivery) -> Iterator[Finding]:
    """A commercial publish contains no matte of a non-commercial model."""
    for picture, frames in grouped(delivery, lambda p: (_made_by(p), _terms(p))):
        if delivery.use == "commercial" and _terms(picture) == "no":
            yield Finding(
                frames,
                f"{picture.says('matte/model')} may not be used commercially "
                f"({picture.says('matte/licence')})",
                "Take a model whose card says yes, or publish with --use non-commercial.",
            )


def licence_unclear(delivery: Delivery) -> Iterator[Finding]:
    """The terms of all models are known."""
    for picture, frames in grouped(delivery, lambda p: (_made_by(p), _terms(p))):
        if (
            delivery.use == "commercial"
            and picture.says("matte/model")
            and (_terms(picture) == "unclear")
        ):
            yield Finding(
                frames,
                f"nobody stated whether {picture.says('matte/model')} may be used commercially "
                f"(licence: {picture.says('matte/licence')})",
                "Ask the person who clears rights in your company.",
            )


def sha256(delivery: Delivery) -> Iterator[Finding]:
    """A published version still equals its manifest."""
    yield from (
        Finding((), f"{name}: {why}", "Publish a new version from the sources.")
        for name, why in damaged(delivery.folder)
    )


def _made_by(picture: DeliveredPicture) -> Sequence[str]:
    said = {name: picture.says(name) for name in MADE_BY}
    # A model that got another name is the same model.
    chain = said.get("matte/model", "").split(" -> ")
    said["matte/model"] = " -> ".join(models.current_name(name) for name in chain)
    return tuple(said[name] for name in MADE_BY)


def _terms(picture: DeliveredPicture) -> str:
    """Return the strictest of the file's own terms and those in its models' cards."""
    said = {picture.says("matte/commercial")}
    for name in picture.says("matte/model").split(" -> "):
        try:
            said.add(models.card(name).commercial)
        except MatteError:
            continue  # another package's model that is not installed here
    return strictest(said)
