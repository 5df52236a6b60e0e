# SPDX-License-Identifier: Apache-2.0
"""The docs say what the code says: nothing missing, nothing stale, no dead link, examples that run."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

import matte_nodes
from matte_nodes import cli, errors, models
from matte_nodes.card import ModelCard
from matte_nodes.cli.knob_flags import KnobCommand
from matte_nodes.media.layouts import LAYOUTS
from matte_nodes.node.knobs import NODE_KNOBS
from tests.conftest import TOY

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
MOST_PICTURE_BYTES = 150_000

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUNNABLE = re.compile(r"^<!-- run -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def read(name: str) -> str:
    """A page under docs/."""
    return (DOCS / name).read_text("utf-8")


def own_cards() -> list[ModelCard]:
    """Our models: those of other packages have pages of their own."""
    return [models.card(name) for name in models.own_names()]


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_generated_parts_are_fresh() -> None:
    # A process of its own: flags are made when verbs are imported, and here the toy is registered.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["COLUMNS"] = "40"  # help texts must not depend on the terminal
    result = subprocess.run(
        [sys.executable, "scripts/docs.py", "--check"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, f"run `make docs`:\n{result.stdout}{result.stderr}"


def test_check_finds_what_is_stale(tmp_path: Path) -> None:
    for name in ("scripts", "docs", "README.md", "tests/toy", "tests/thirdparty"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignore = ["pictures", "__pycache__"]
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns(*ignore))
        else:
            target.write_text((ROOT / name).read_text("utf-8"), "utf-8")
    knobs = tmp_path / "docs" / "knobs.md"
    knobs.write_text(knobs.read_text("utf-8").replace("`feather`", "`fether`"), "utf-8")
    (tmp_path / "docs" / "models" / "rvm.md").unlink()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def docs(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(tmp_path / "scripts" / "docs.py"), *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    found = docs("--check")
    assert found.returncode == 1
    assert "docs/knobs.md" in found.stdout
    assert "docs/models/rvm.md" in found.stdout
    assert docs().returncode == 0
    assert docs("--check").returncode == 0
    assert "`feather`" in knobs.read_text("utf-8")


def test_every_model_has_a_page_and_no_page_lacks_a_model() -> None:
    pages = {path.stem for path in (DOCS / "models").glob("*.md")} - {"index"}
    assert pages == {card.name for card in own_cards()}


@pytest.mark.parametrize("card", own_cards(), ids=lambda card: card.name)
def test_page_of_a_model(card: ModelCard) -> None:
    page = read(f"models/{card.name}.md")
    for text in (card.title, card.summary, card.code_licence, card.limits, *card.papers):
        assert text in page
    for knob in card.knobs:
        assert f"`{knob.flag}`" in page, f"knob {knob.name} is missing"
    for item in card.weights:
        assert item.sha256 in page
        assert item.licence in page
    if card.checkpoint:
        assert card.checkpoint.licence in page
    written = page.split("<!-- end -->")[1]
    assert "## What it looks like" in written, "show a picture, or say why there is none"
    assert f"[`{card.name}`]({card.name}.md)" in read("models/index.md")


def test_every_knob_of_the_node() -> None:
    for knob in NODE_KNOBS:
        assert f"`{knob.flag}`" in read("knobs.md")


def test_every_layout() -> None:
    for name, layout in LAYOUTS.items():
        assert f"| `{name}` |" in read("layouts.md")
        assert layout.help.replace("|", "\\|") in read("layouts.md")


def test_every_error_and_exit_code() -> None:
    page = read("cli.md")
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.MatteError):
            assert f"| {kind.exit_code} | `{kind.__name__}` |" in page


def test_every_public_name() -> None:
    for name in matte_nodes.__all__:
        assert f"| `{name}` |" in read("python.md")


def test_every_field_of_a_card_is_explained() -> None:
    page = read("adding-a-model.md")
    for field in fields(ModelCard):
        assert f"`{field.name}`" in page, f"ModelCard.{field.name} is not explained"


@cache
def commands() -> dict[str, click.Command]:
    """Every verb and sub-verb by what is typed: "models pull"; made once, as a process does."""
    found: dict[str, click.Command] = {}

    def add(name: str, command: click.Command) -> None:
        found[name] = command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                inner = command.get_command(context, child)
                assert inner is not None
                add(f"{name} {child}", inner)

    for verb in cli.VERBS:
        command = cli.matte.get_command(click.Context(cli.matte), verb)
        assert command is not None
        add(verb, command)
    return found


def test_every_verb_and_every_flag_of_ours() -> None:
    page = read("cli.md")
    for name, command in commands().items():
        heading = re.search(rf"^#+ matte {re.escape(name)}\n+```text\n(.*?)^```", page, re.M | re.S)
        assert heading, f"matte {name} is missing"
        for option in command.params:
            for flag in option.opts if isinstance(option, click.Option) else ():
                if flag.startswith("--"):
                    assert flag in heading[1], f"matte {name} {flag} is missing"


def shell_lines() -> Iterator[tuple[str, str]]:
    """(page, line) of every `matte` command in a shell example."""
    for page in PAGES:
        for language, text in FENCE.findall(page.read_text("utf-8")):
            for line in text.splitlines() if language == "sh" else ():
                if line.startswith("matte ") and "VERB" not in line:
                    yield page_id(page), line


@pytest.fixture
def with_the_third_party(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package of docs/adding-a-model.md is installed."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "thirdparty"))
    models._others.cache_clear()
    yield
    monkeypatch.undo()
    models._others.cache_clear()


@pytest.mark.usefixtures("with_the_third_party")
@pytest.mark.parametrize(("page", "line"), list(shell_lines()))
def test_shell_examples_are_real(page: str, line: str) -> None:
    """Verbs, flags and models of the examples exist; nothing is run."""
    words = shlex.split(line, comments=True)[1:]
    known = commands()
    size = 2 if " ".join(words[:2]) in known else 1
    command = known[" ".join(words[:size])]
    context = click.Context(command)
    # A file of the reader's is not here, so its knobs are not known.
    if isinstance(command, KnobCommand) and not any(word.endswith(".onnx") for word in words):
        command.offer_knobs(context, words[size:])
    values, rest, _ = command.make_parser(context).parse_args(words[size:])
    assert not (rest and not isinstance(command, click.Group)), f"{page}: {rest}"
    for option in ("model", "refine", "segmentation_model"):
        name = values.get(option)
        if isinstance(name, str) and name not in ("auto", "NAME") and not name.endswith(".onnx"):
            models.card(name)


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    for page in PAGES:
        for target in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text("utf-8"), re.M):
            assert target in targets, f"{page_id(page)}: make {target}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_verbs_and_flags_named_in_the_text_exist(page: Path) -> None:
    known = commands()
    flags = {flag for command in known.values() for p in command.params for flag in p.opts}
    flags |= {knob.flag for card in own_cards() for knob in (*card.knobs, *NODE_KNOBS)}
    text = page.read_text("utf-8")
    for words in re.findall(r"`matte ([a-z]+(?: [a-z]+)?)", text):
        assert words in known or words.split()[0] in known, f"`matte {words}`"
    for flag in re.findall(r"`(--[a-z-]+)", text):
        assert flag in flags | {"--help", "--version"}, flag


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        assert place.is_file(), f"{target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.M)
            assert anchor in {slug(heading) for heading in headings}, target


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    plain = re.sub(r"[^\w\- ]", "", heading.lower())
    return plain.replace(" ", "-")


def test_every_page_can_be_reached() -> None:
    found, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        for target in LINK.findall(page.read_text("utf-8")):
            if not re.match(r"[a-z]+:", target) and target.partition("#")[0]:
                todo.append((page.parent / target.partition("#")[0]).resolve())
    lost = {page_id(page) for page in PAGES} - {page_id(page) for page in found}
    assert not lost, f"no page links to {lost}"


def test_pictures_are_small_and_used() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    pictures = [
        path for path in (DOCS / "pictures").iterdir() if path.suffix in (".jpg", ".png", ".webp")
    ]
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < MOST_PICTURE_BYTES, picture.name
        assert f"pictures/{picture.name})" in text, f"{picture.name} is on no page"


def runnable() -> list[Path]:
    """Pages with examples that are marked to be run."""
    return [page for page in PAGES if RUNNABLE.search(page.read_text("utf-8"))]


def test_there_are_examples_to_run() -> None:
    assert {"python.md", "colour.md", "hints.md", "adding-a-model.md"} <= {
        p.name for p in runnable()
    }


@pytest.mark.parametrize("page", runnable(), ids=page_id)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marked blocks of a page, one after another in one module, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "example"}
    for block in RUNNABLE.findall(page.read_text("utf-8")):
        exec(compile(block, page_id(page), "exec"), space)
    assert not list(tmp_path.iterdir())
    if page.name == "adding-a-model.md":
        from matte_nodes.testing import ModelCompliance

        assert issubclass(space["TestToy"], ModelCompliance)
        assert space["TestToy"].card is models.card("toy")


def test_entry_point_of_the_worked_example_is_the_toys() -> None:
    declared = (TOY / "toy_matte-1.0.dist-info" / "entry_points.txt").read_text("utf-8")
    group, name, value = re.search(r"\[(.+)\]\n(\w+) = (\S+)", declared).groups()  # type: ignore[union-attr]
    page = read("adding-a-model.md")
    assert f'[project.entry-points."{group}"]\n{name} = "{value}"' in page
