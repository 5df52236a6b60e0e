# SPDX-License-Identifier: Apache-2.0
"""Exports: the forms that `matte run` writes, a Nuke script, a job bundle, a publish."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matte_nodes.errors import InputError, UsageError
from matte_nodes.farm import bundle
from matte_nodes.farm import request as farm
from matte_nodes.hosts.nuke.script import Node, script
from matte_nodes.media.layouts import LAYOUTS
from matte_nodes.media.writers import is_movie_output
from matte_nodes.points import PLACE, as_points
from matte_nodes.studio.request import arguments, command_line, options, points_of, spelling
from matte_nodes.whole_files import prepare_folder, write_text

if TYPE_CHECKING:
    from matte_nodes.studio.desk import Desk
    from matte_nodes.studio.running import Runs

_PLAIN = re.compile(r"[a-z]+|#[0-9a-fA-F]{3,8}")
"""What is no path: the name of a colour, `checker`, `blur`, or the codes of a colour."""

NUKE, BUNDLE, PUBLISH = "nuke-script", "openjd", "publish"


@dataclass(frozen=True)
class Form:
    """One form of an export. layout, extension: of what `matte run` writes; "" for the others."""

    name: str
    label: str
    help: str
    layout: str = ""
    extension: str = ""


def forms() -> list[Form]:
    """Every form: the layouts of the writers with their kinds of files, then the others."""
    found = [
        Form(f"{name}{extension}", f"{name} ({extension})", layout.help, name, extension)
        for name, layout in LAYOUTS.items()
        for extension in layout.extensions
    ]
    return [
        *found,
        Form(NUKE, "Nuke script", "EXRs of the layout nuke, and a script that reads plate and "
             "matte with its layers.", "nuke", ".exr"),
        Form(BUNDLE, "OpenJD bundle", "A job for a render farm: nothing is matted here."),
        Form(PUBLISH, "Publish", "A version that is never replaced, with checks and a report. It "
             "takes the frames that were run here: run the range first."),
    ]  # fmt: skip


def form_named(name: str) -> Form:
    """The form of this name; "" is the first one. UsageError."""
    for form in forms():
        if name in (form.name, ""):
            return form
    raise UsageError(f"There is no form {name!r:.40} of an export.")


def target(desk: Desk, asked: Mapping[str, str]) -> tuple[Form, Path, str]:
    """The form, the folder and the name of an export; InputError outside of the places.

    Without a folder it is `export` beside the session; without a name the plate's.
    """
    form = form_named(asked.get("form", ""))
    folder = asked.get("folder") or str(desk.session.folder / "export")
    name = asked.get("name") or _stem(desk.session.document.plate)
    if name in (".", "..") or any(c in name for c in "/\\#%@\0") or not name.isprintable():
        raise InputError(f"{name!r:.60} cannot be the beginning of file names.")
    real = desk.places.path(folder)
    plate = Path(os.path.realpath(Path(desk.session.document.plate).parent))
    if real == plate:
        raise InputError(f"{real} is the plate's folder. Export into another one.")
    return form, real, name


def over_of(desk: Desk, form: Form, asked: Mapping[str, str]) -> str:
    """What an opaque form lays the subject over: a colour, a word, or a picture in the places."""
    if form.layout != "over":
        return ""
    over = asked.get("over") or "white"
    return over if _PLAIN.fullmatch(over) else desk.places.clip(over)


def output_of(form: Form, folder: Path, name: str, points: Any) -> str:
    """The pattern or the movie that a form writes.

    Several objects have a file each where a file has one matte.
    """
    several = points is not None and len(as_points(points).names) > 1
    if several and form.layout and LAYOUTS[form.layout].objects == "one" and PLACE not in name:
        name = f"{name}.{PLACE}"
    movie = is_movie_output(f"x.####{form.extension}")
    return str(folder / (f"{name}{form.extension}" if movie else f"{name}.####{form.extension}"))


def command(desk: Desk, asked: Mapping[str, str], span: tuple[int, int] | None) -> dict[str, Any]:
    """The command line that does the same, and the folder and name that were taken."""
    form, folder, name = target(desk, asked)
    layout = form.layout if form.layout else ""
    document = desk.session.document
    output = output_of(form if layout else forms()[0], folder, name, points_of(document))
    more = {"frames": _frames(span), "layout": layout, "over": over_of(desk, form, asked)}
    line = command_line(document, desk.session.folder, output, more)
    if form.name == BUNDLE:
        line = line.replace("matte run", "matte farm bundle", 1)
        line += f" --bundle={folder / (name + '-bundle')}"
    if form.name == PUBLISH:
        line += f" && matte publish {folder} --to {folder.parent}"
    return {"command": line, "folder": str(folder), "name": name}


def export(
    desk: Desk, runs: Runs, asked: Mapping[str, str], span: tuple[int, int]
) -> dict[str, Any]:
    """Begin an export, or do it at once where nothing must be matted."""
    form, folder, name = target(desk, asked)
    if form.name == BUNDLE:
        return {"message": f"Bundle: {_bundle(desk, folder, name, span)}"}
    if form.name == PUBLISH:
        return {"message": _publish(desk, folder, name, span)}
    output = output_of(form, folder, name, points_of(desk.session.document))
    if form.name == NUKE:
        prepare_folder(folder)
        write_text(folder / f"{name}.nk", _script(desk, output, span))
    over = over_of(desk, form, asked)
    run = runs.start(*span, output=output, layout=form.layout, over=over)
    return {"run": run, "message": ""}


def _frames(span: tuple[int, int] | None) -> str:
    return "" if span is None else "-".join(str(frame) for frame in dict.fromkeys(span))


def _stem(plate: str) -> str:
    return Path(plate).name.split(".")[0].strip("#%@_") or "matte"


def _bundle(desk: Desk, folder: Path, name: str, span: tuple[int, int]) -> Path:
    document, session = desk.session.document, desk.session.folder
    asked = arguments(document, session)
    connect = {**asked["connect"], "warm_up": None, "cuts": ""}
    output = output_of(forms()[0], folder, name, connect["points"])
    plan = farm.plan_job({**asked, "output": output, "connect": connect}, *span, None)
    flags = {
        option: (spelling(option), value)
        for option, value in options(document, session).items()
        if option not in ("model", "refine")
    }
    job = farm.job(plan, document.plate, output, flags, overlap=1, limit=2.0, name=name)
    return bundle.write(job, folder / f"{name}-bundle")


def _publish(desk: Desk, folder: Path, name: str, span: tuple[int, int]) -> str:
    from matte_nodes.publish.run import publish

    key = desk.key()
    done = desk.results.files(key)
    missing = [n for n in desk.plate.clip.frames if span[0] <= n <= span[1] and n not in done]
    if missing:
        raise InputError(f"Frame {missing[0]} has no matte with these settings. Run the range.")
    outcome = publish({
        "folder": str(Path(desk.results.pattern(key)).parent), "root": str(folder), "name": name,
        "plate": desk.session.document.plate, "frames": span,
        "report": str(folder / f"{name}-review.html"),
    })  # fmt: skip
    if not outcome.succeeded:
        failed = next((step for step in outcome.steps if not step.succeeded), None)
        reason = " ".join(failed.said) if failed else "nothing was published"
        raise InputError(f"Not published: {reason}")
    return f"Published: {outcome.published}"


def _script(desk: Desk, output: str, span: tuple[int, int]) -> str:
    """Read nodes of plate and matte, and the matte's straight colour from its layer."""
    plate, (width, height) = desk.plate, desk.plate.size
    first, last = span
    ends = {"first": str(first), "last": str(last), "origfirst": str(first), "origlast": str(last)}
    form = f"{width} {height} 0 0 {width} {height} {plate.clip.pixel_aspect:g} "
    nodes = [
        Node(
            "Read",
            "Plate",
            (),
            {"file": plate.clip.name.replace("\\", "/"), "format": form, **ends},
        ),
        Node(
            "Read", "Matte", (), {"file": output.replace("\\", "/"), "format": form, **ends}, 0, 1
        ),
        Node("Dot", "Matte_premultiplied", ("Matte",), {}, 1, 1),
        Node("Shuffle", "Foreground_straight", ("Matte",), {"in": "fg"}, 1, 2),
    ]
    return script(nodes)
