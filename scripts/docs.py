# SPDX-License-Identifier: Apache-2.0
"""`make docs`: everything in README.md and docs/ that repeats a declaration, made from it again.

A page holds blocks between `<!-- generated: KEY -->` and `<!-- end -->`; what is outside them is
written by hand and never touched. A model without a page gets one. With --check nothing is
written: what is stale is listed, and the exit code is 1.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import layout

# The pages are about our own models: other packages that happen to be installed stay out. This
# must come before the verbs are imported, which make their flags from what is registered.
from matte_nodes import models

models._others = dict  # type: ignore[assignment]
models.finetuned.names = list  # type: ignore[assignment]

import matte_nodes  # noqa: E402
from matte_nodes import cli, errors  # noqa: E402
from matte_nodes.architecture import Architecture, Parity, Size, Training  # noqa: E402
from matte_nodes.card import Knob, ModelCard  # noqa: E402
from matte_nodes.cli import models_card  # noqa: E402
from matte_nodes.cli.models_for import suited  # noqa: E402
from matte_nodes.figures import PURPOSES  # noqa: E402
from matte_nodes.hosts.nuke import gizmos as nuke_gizmos  # noqa: E402
from matte_nodes.media.layouts import LAYOUTS  # noqa: E402
from matte_nodes.node.knobs import NODE_KNOBS  # noqa: E402
from matte_nodes.publish.checks import CHECKS  # noqa: E402
from matte_nodes.recognition import Recognition  # noqa: E402
from matte_nodes.shot.connect_options import options as connect_options  # noqa: E402

ROOT = Path(__file__).parents[1]
HELP_WIDTH = 92
BLOCK = re.compile(r"(<!-- generated: ([^>]+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
KINDS = {
    "float": "number",
    "int": "whole number",
    "bool": "switch",
    "choice": "choice",
    "text": "text",
}


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    cells = ((cell.replace("|", "\\|").replace("\n", " ") for cell in line) for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def code(names: Iterator[str] | list[str]) -> str:
    """Names in code type, joined by commas."""
    return ", ".join(f"`{name}`" for name in names)


def linked(text: str) -> str:
    """Addresses in a text as Markdown links."""
    return re.sub(r"https://[^\s)]+", lambda found: f"<{found[0]}>", text)


def knob_table(knobs: tuple[Knob, ...]) -> str:
    """Every knob with its flag, values, default, the stage that it changes, and help."""
    return table(
        ("knob", "flag", "kind", "values", "default", "changes", "what it does"),
        [
            (
                f"`{knob.name}`", f"`{knob.flag}`", KINDS[knob.kind],
                models_card.knob_range(knob) + (f" {knob.unit}" if knob.unit else ""),
                f"{knob.default}", "load" if knob.reload else knob.stage, knob.help,
            )
            for knob in knobs
        ],
    )  # fmt: skip


CONNECT_KINDS = {"picture": "path, or {frame: path}", "number": "whole number"}


def connect_table(*, request: bool) -> str:
    """The keywords of `MatteNode.connect`; request: those that a request to the service may hold."""
    rows = []
    for option in connect_options():
        if request and not option.request:
            continue
        kind = ", ".join(option.choices) or CONNECT_KINDS.get(option.kind, option.kind)
        if not request and option.kind == "picture":
            kind = "as the plate, or {frame: picture}"
        flag = f"`--{option.name.replace('_', '-')}`" if option.flag else "-"
        default = "-" if option.default in (None, ()) else f"{option.default}"
        rows.append((f"`{option.name}`", flag, kind, default, option.help))
    return table(("keyword", "flag", "values", "default", "what it does"), rows)


def fields_table(kind: type) -> str:
    """The fields of a dataclass with the texts that stand beside them in the code."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(tree, ast.ClassDef)
    rows = []
    for line, after in itertools.pairwise(tree.body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            assert isinstance(after, ast.Expr), line.target.id
            assert isinstance(after.value, ast.Constant), line.target.id
            text = " ".join(str(after.value.value).split())
            default = "needed" if line.value is None else f"`{ast.unparse(line.value)}`"
            rows.append((f"`{line.target.id}`", default, text))
    return table(("field", "default", "what it says"), rows)


def model_page(card: ModelCard) -> str:
    """A model's card as the first part of its page."""
    labels = dict(models_card.facts(card))
    shown = (
        "for",
        "once called",
        "needs",
        "takes",
        "gives",
        "memory",
        "sizes",
        "commercial use",
        "limits",
    )
    rows = [(label, labels[label][0]) for label in shown if label in labels]
    parts = [
        f"# {card.title} (`{card.name}`)\n\n{card.summary}\n",
        table(("", ""), rows),
        "## Licences\n\n" + table(("what", "terms"), licence_rows(card)),
        "## Weights\n\n" + weights_part(card),
        "## Knobs\n\n"
        + (knob_table(card.knobs) if card.knobs else "None of its own.\n")
        + "\nThose that every model has are on [knobs](../knobs.md).\n",
        "## Papers\n\n" + "".join(f"- {paper}\n" for paper in card.papers),
    ]
    return "\n".join(parts)


def licence_rows(card: ModelCard) -> list[tuple[str, ...]]:
    """Terms of code, weights and training data."""
    rows = [("code of this model here", card.code_licence)]
    rows += [(f"weights, `{item.file}`", item.licence) for item in card.weights]
    if card.checkpoint:
        rows.append(("weights, a checkpoint you bring", card.checkpoint.licence))
    rows.append(("training data", card.training_data or "none: it is not trained"))
    return [*rows, ("commercial use", f"**{card.commercial}**")]


def weights_part(card: ModelCard) -> str:
    """How the weights come onto a machine."""
    if not card.weights and not card.checkpoint:
        return "It needs none.\n"
    text = ""
    for item in card.weights:
        text += f"`{item.file}`, {item.size:,} bytes, sha256 `{item.sha256}`. Sources:\n\n"
        text += "".join(f"- {linked(models_card.source_text(source))}\n" for source in item.sources)
    if card.weights and not _is_shipped(card):
        text += f"\n```sh\nmatte models pull {card.name}\n```\n"
    if card.checkpoint:
        publisher = card.checkpoint.publisher
        where = f"Published at {linked(publisher)}" if publisher else "Published nowhere"
        named = ", ".join(f"`{file}`" for file in card.checkpoint.files)
        where += f": {named}." if named else "."
        if card.variants:
            text += "Files that one command fetches:\n\n" + variant_table(card) + "\n"
        text += f"{where}\n\n```sh\nmatte models import FILE     # says what it found in it\n```\n"
    return text + "\nMore on [weights](../weights.md).\n"


def variant_table(card: ModelCard) -> str:
    """The published files that can be pulled, in a row each."""
    return table(
        ("command", "for", "size", "commercial use", "source", "sha256"),
        [
            (
                f"`matte models pull {card.name}:{variant.name}`",
                variant.summary,
                f"{variant.weights.size / 1e6:,.0f} MB",
                variant.weights.commercial,
                linked(variant.weights.publisher),
                f"`{variant.weights.sha256[:16]}...`",
            )
            for variant in card.variants
        ],
    )


def model_table(folder: str) -> str:
    """All models in a row each, with links."""
    return table(
        ("model", "for", "needs", "memory", "weights", "commercial use"),
        [
            (
                f"[`{card.name}`]({folder}{card.name}.md)",
                card.summary,
                models_card.listed(card.needs) or "-",
                type(card.memory).__name__.lower(),
                _weights(card),
                _commercial(card),
            )
            for card in models.cards()
        ],
    )


def purposes() -> str:
    """For each purpose its models with their figures."""
    rows = []
    for purpose in PURPOSES:
        for card, figure in suited(purpose):
            link = f"[`{card.name}`]({card.name.partition(':')[0]}.md)"
            said = (
                (figure.text, figure.data, figure.by or "us")
                if figure
                else ("not measured", "", "")
            )
            rows.append((purpose, link, *said, card.commercial))
    return table(("for", "model", "figure", "on", "by", "commercial use"), rows)


def _weights(card: ModelCard) -> str:
    """How a model's weights come to be here."""
    if card.weights:
        return "shipped" if _is_shipped(card) else "pull"
    others = "pull" if card.variants else "bring your own"
    if card.checkpoint and card.checkpoint.own:
        return f"shipped (published ones: {others})"
    return others if card.variants or card.checkpoint else "needs none"


def _commercial(card: ModelCard) -> str:
    """The terms of the weights that a user has first, and of the published ones where they differ."""
    own = card.checkpoint.own if card.checkpoint else None
    if own is None or own.commercial == card.commercial:
        return card.commercial
    return f"{own.commercial} (published ones: {card.commercial})"


def _is_shipped(card: ModelCard) -> bool:
    return all(source.kind == "package" for item in card.weights for source in item.sources)


def verbs() -> Iterator[tuple[click.Command, click.Context]]:
    """Every verb and sub-verb with a context of a fixed width."""
    return _with_children(cli.matte, _context(cli.matte, None, "matte"))


def _context(command: click.Command, parent: click.Context | None, name: str) -> click.Context:
    return click.Context(
        command, parent, name, terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH
    )


def _with_children(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            yield from _with_children(child, _context(child, context, name))


def help_texts() -> str:
    """The --help of every verb."""
    parts = []
    for command, context in verbs():
        depth = context.command_path.count(" ")
        text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(
            f"{'#' * (2 + min(depth, 2))} {context.command_path}\n\n```text\n{text}\n```\n"
        )
    return "\n".join(parts)


def exit_codes() -> str:
    """Exit codes with the errors that end so."""
    kinds: list[type[errors.MatteError]]
    kinds = [
        k for k in vars(errors).values() if inspect.isclass(k) and issubclass(k, errors.MatteError)
    ]
    by_code: dict[int, list[type[errors.MatteError]]] = {}
    for kind in kinds:
        by_code.setdefault(kind.exit_code, []).append(kind)
    rows = []
    for number, members in sorted(by_code.items()):
        for kind in members:
            first = (inspect.getdoc(kind) or "").splitlines()[0]
            rows.append((f"{number}", f"`{kind.__name__}`", first))
    return table(("exit code", "error", "when"), rows)


def layouts() -> str:
    """What each layout writes."""
    return table(
        ("layout", "files", "colour is", "channels"),
        [
            (f"`{name}`", code(list(layout.extensions)), layout.association, layout.help)
            for name, layout in LAYOUTS.items()
        ],
    )


def odd_inputs() -> str:
    """What the tests of odd inputs show, by room: how many were tried and what came of them."""
    sys.path.insert(0, str(ROOT))
    for path in sorted((ROOT / "tests" / "faults").glob("test_*.py")):
        importlib.import_module(f"tests.faults.{path.stem}")  # its cases register themselves
    from tests.faults.rig import CASES

    rooms = list(dict.fromkeys(case.room for case in CASES))
    answers = ("taken", "said", "refused")
    counts = [
        (room, *(str(sum(c.room == room and c.answer == a for c in CASES)) for a in answers))
        for room in rooms
    ]
    text = table(("", "taken", "taken and said", "refused"), counts)
    for room in rooms:
        rows = [(c.given, c.answer, c.does) for c in CASES if c.room == room]
        text += f"\n### {room}\n\n" + table(("what comes in", "", "what it does"), rows)
    return text


def checks() -> str:
    """The checks of a hand-over."""
    return table(
        ("check", "what must be so", "otherwise"),
        [(f"`{check.name}`", check.help, check.severity) for check in CHECKS],
    )


def public_names() -> str:
    """What `matte_nodes` offers, with the first line of each docstring."""
    rows = []
    for name in matte_nodes.__all__:
        thing = getattr(matte_nodes, name)
        own = inspect.isclass(thing) or inspect.isfunction(thing)
        first = (inspect.getdoc(thing) or "").splitlines()[0] if own else "A type alias."
        rows.append((f"`{name}`", f"`matte_nodes.{matte_nodes._HOMES[name]}`", first))
    return table(("name", "lives in", "what"), rows)


def listing(name: str) -> str:
    """A Python file of the repository."""
    return f"```python\n{(ROOT / name).read_text('utf-8').strip()}\n```\n"


def further_pages() -> str:
    """Pages directly in docs/ that its index does not link by hand, by their titles."""
    index = BLOCK.sub("", (ROOT / "docs" / "index.md").read_text("utf-8"))
    rest = [page for page in (ROOT / "docs").glob("*.md") if f"]({page.name})" not in index]
    titles = [(page.read_text("utf-8").partition("\n")[0].lstrip("# "), page) for page in rest]
    return "".join(f"- [{title}]({p.name})\n" for title, p in sorted(titles) if p.stem != "index")


def generators() -> dict[str, Callable[[], str]]:
    """What may stand in a page, by key."""
    found: dict[str, Callable[[], str]] = {
        "models": lambda: model_table(""),
        "purposes": purposes,
        "models for the README": lambda: model_table("docs/models/"),
        "node knobs": lambda: knob_table(NODE_KNOBS),
        **{
            f"fields of {kind.__name__}": lambda kind=kind: fields_table(kind)  # type: ignore[misc]
            for kind in (Knob, ModelCard, Architecture, Size, Training, Parity, Recognition)
        },
        "connect options": lambda: connect_table(request=False),
        "connect of a request": lambda: connect_table(request=True),
        "verbs": help_texts,
        "exit codes": exit_codes,
        "layouts": layouts,
        "odd input": odd_inputs,
        "checks": checks,
        "public names": public_names,
        "further pages": further_pages,
        "rooms": lambda: layout.drawing(layout.Tree(Path(matte_nodes.__file__).parent)),
        "reasons of rooms": lambda: "".join(
            f"- `{room}`: {reason}\n" for room, reason in layout.REASONS.items()
        ),
    }
    for card in models.cards():
        found[f"model {card.name}"] = lambda card=card: model_page(card)  # type: ignore[misc]
    return found


def pages() -> dict[Path, str]:
    """Every page with blocks as it should be; pages of new models too."""
    made = generators()

    def fill(match: re.Match[str]) -> str:
        if match[2].startswith("file "):
            return f"{match[1]}{listing(match[2].removeprefix('file '))}{match[4]}"
        if match[2] not in made:
            raise SystemExit(f"docs: nothing makes {match[2]!r}; there are: {', '.join(made)}")
        return f"{match[1]}{made[match[2]]()}{match[4]}"

    files = {path: path.read_text("utf-8") for path in [ROOT / "README.md", *_pages()]}
    for card in models.cards():
        page = ROOT / "docs" / "models" / f"{card.name}.md"
        files.setdefault(page, f"<!-- generated: model {card.name} -->\n<!-- end -->\n")
    gizmos = ROOT / "plugins" / "nuke" / "gizmos"
    return {
        **{path: BLOCK.sub(fill, text) for path, text in files.items()},
        **{gizmos / name: text for name, text in nuke_gizmos.files().items()},
    }


def _pages() -> list[Path]:
    return sorted((ROOT / "docs").rglob("*.md"))


def main(check: bool) -> int:
    """Write what changed, or say what is stale."""
    stale = {
        path: text
        for path, text in pages().items()
        if not path.is_file() or path.read_text("utf-8") != text
    }
    for path, text in stale.items():
        print(f"docs: {'stale' if check else 'wrote'} {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
