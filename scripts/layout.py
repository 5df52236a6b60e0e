# SPDX-License-Identifier: Apache-2.0
"""The rooms of the library, in order: checks that no import runs up, draws them, counts.

`python scripts/layout.py` prints what is wrong with the layout and the counts of the tree (of
another checkout: `python scripts/layout.py FOLDER`). tests/test_layout.py fails on what is wrong;
scripts/docs.py puts the drawing and the counts into docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "matte_nodes"
ROOT = Path(__file__).parents[1]

ROOMS: tuple[tuple[str, str], ...] = (
    ("errors", "every error, with its exit code"),
    ("reads", "what was read: files, variables and code, for keys"),
    ("own_process", "sets up a process that is ours"),
    ("paths", "where weights, models and caches are kept"),
    ("whole_files", "writes files whole or not at all; locks"),
    ("frame_range", "frame numbers as text"),
    ("points", "clicks and boxes"),
    ("recognition", "which network a weights file is of"),
    ("architecture", "what a torch network declares"),
    ("runtime", "devices, threads, sessions"),
    ("figures", "what was measured of models, and for which purpose"),
    ("card", "what a model declares: ModelCard, Knob, memory"),
    ("download", "fetches a file from an address, with resume and mirrors"),
    ("weights", "finds, verifies and fetches weights"),
    ("media", "clips and writers: pictures, movies, arrays"),
    ("color", "OpenColorIO: plate, working and network space"),
    ("foreground", "solves the colour of the subject"),
    ("select", "clicks and boxes to a mask, and a mask carried from frame to frame"),
    ("models/networks", "the networks, one file each"),
    ("checkpoints", "reads published weights files"),
    ("models", "the registry; one file a model"),
    ("node", "FrameNode: one frame from inputs to a matte"),
    ("temporal", "keys, memory chain, cache, cuts"),
    ("shot", "MatteNode and Shot: clips, chains, streams"),
    ("render", "a shot written to files, and its resume log"),
    ("evaluate", "metrics and data sets"),
    ("train", "training and fine-tuning"),
    ("service", "the process that keeps models loaded"),
    ("batch", "a folder of stills by one command"),
    ("publish", "checks, review page, versions"),
    ("farm", "OpenJD bundles, chunks, seams"),
    ("hosts", "Nuke, Blender, OBS: installers and live worker"),
    ("studio", "the page in the browser: its server and its files"),
    ("export", "ONNX files, .cat files"),
    ("testing", "the compliance suite for models"),
    ("diagnostics", "doctor, parity, GPU report"),
    ("cli", "the command line"),
)
"""Rooms from low to high, with what they are for. A room imports only rooms that stand before it.

A room is a file or a folder of the package, or a folder in a folder that is named here. Imports
for type checkers and imports inside functions count. The package's own `__init__` only names
where things live, and is no room.
"""

REASONS: Mapping[str, str] = {
    "runtime": "It stands below `card`: a LoadContext names a Device.",
    "models/networks": "Readers of checkpoints map names onto networks, models load checkpoints.",
    "publish": "It stands below `farm`: the seam check reads delivered files as a check does.",
    "export": "It stands above `hosts`: a .cat comes with a gizmo.",
}
"""Why a room stands where it does, where that is not plain."""


@dataclass(frozen=True)
class Import:
    """One import of a module of the package by another."""

    module: str
    target: str
    line: int
    inner: bool
    """Whether it stands inside a function."""


class Tree:
    """The modules of a package, and who imports whom. folder: the package's own."""

    def __init__(self, folder: Path = ROOT / PACKAGE) -> None:
        self.folder = folder
        self.files = {self._name(path): path for path in sorted(folder.rglob("*.py"))}
        self.parsed = {
            name: ast.parse(path.read_text("utf-8")) for name, path in self.files.items()
        }

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self.folder).with_suffix("").parts
        return ".".join((PACKAGE, *(part for part in parts if part != "__init__")))

    @cached_property
    def imports(self) -> list[Import]:
        """All imports inside the package, but those of names of the package itself."""
        found = []
        for module, tree in self.parsed.items():
            inside = {
                id(node)
                for function in ast.walk(tree)
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
                for node in ast.walk(function)
            }
            for node in ast.walk(tree):
                for target in dict.fromkeys(self._targets(module, node)):
                    if target not in (module, PACKAGE):
                        line = getattr(node, "lineno", 0)
                        found.append(Import(module, target, line, id(node) in inside))
        return found

    def _targets(self, module: str, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in self.files)
        if not isinstance(node, ast.ImportFrom):
            return
        base = node.module or ""
        if node.level:
            is_package = self.files[module].name == "__init__.py"
            parts = module.split(".")
            parts = parts[: len(parts) - node.level + is_package]
            base = ".".join([*parts, *([node.module] if node.module else [])])
        for alias in node.names:
            full = f"{base}.{alias.name}"
            if full in self.files or base in self.files:
                yield full if full in self.files else base

    def edges(self, *, rooms: bool = False) -> dict[str, set[str]]:
        """Who imports whom, by module or by room."""
        found: dict[str, set[str]] = {}
        for item in self.imports:
            if PACKAGE in (item.module, item.target):
                continue
            ends = item.module, item.target
            one, two = map(room_of, ends) if rooms else ends
            if one != two:
                found.setdefault(one, set()).add(two)
        return found

    def upward(self) -> list[str]:
        """Imports of a higher room, one line each."""
        rank = {name: index for index, (name, _) in enumerate(ROOMS)}
        return [
            f"{item.module}, line {item.line}: imports {item.target}, a higher room"
            for item in self.imports
            if item.module != PACKAGE
            and rank.get(room_of(item.module), len(rank)) < rank.get(room_of(item.target), -1)
        ]


def room_of(module: str) -> str:
    """The room of a module: the longest name in ROOMS that it lies in, else its first part."""
    parts = module.split(".")[1:]
    for name, _ in ROOMS:
        if "/" in name and parts[: name.count("/") + 1] == name.split("/"):
            return name
    return parts[0] if parts else ""


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other (Tarjan 1972), sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10_000)
    for node in sorted(edges):
        if node not in index:
            visit(node)
    return sorted(found)


def unlisted(tree: Tree) -> list[str]:
    """Rooms of the tree that ROOMS does not name."""
    known = {name for name, _ in ROOMS} | {"", "__main__"}
    return sorted({room_of(module) for module in tree.files} - known)


def counts(tree: Tree) -> dict[str, int]:
    """What the layout is measured by."""
    text = "".join(path.read_text("utf-8") for path in tree.files.values())
    functions = [
        node
        for parsed in tree.parsed.values()
        for node in ast.walk(parsed)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    any_uses = sum(
        isinstance(node, ast.Name) and node.id == "Any"
        for parsed in tree.parsed.values()
        for node in ast.walk(parsed)
    )
    return {
        "files": len(tree.files),
        "files at the top level": len(list(tree.folder.glob("*.py"))),
        "folders at the top level": sum(
            (path / "__init__.py").is_file() for path in tree.folder.iterdir()
        ),
        "circles between modules": len(circles(tree.edges())),
        "modules in circles": sum(map(len, circles(tree.edges()))),
        "circles between rooms": len(circles(tree.edges(rooms=True))),
        "rooms in circles": sum(map(len, circles(tree.edges(rooms=True)))),
        "upward imports": len(tree.upward()),
        "imports inside functions": sum(item.inner for item in tree.imports),
        "functions": len(functions),
        "functions over 60 lines": sum(_length(node) > 60 for node in functions),
        "functions over 7 parameters": sum(_parameters(node) > 7 for node in functions),
        "uses of Any": any_uses,
        "fmt: skip": len(re.findall(r"# fmt: skip", text)),
    }


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(item.arg not in ("self", "cls") for item in named)


def drawing(tree: Tree) -> str:
    """The rooms as a Mermaid chart, high to low; an arrow that others imply is left out."""
    edges = tree.edges(rooms=True)
    reach = {room: _reached(room, edges) for room in edges}
    lines = ["```mermaid", "flowchart TD"]
    there = {room_of(module) for module in tree.files}
    for name, purpose in reversed(ROOMS):
        if name in there:
            lines.append(f'    {_id(name)}["<b>{name}</b><br>{purpose}"]')
    for name, _ in reversed(ROOMS):
        direct = edges.get(name, set())
        for other in sorted(direct):
            if not any(other in reach.get(third, set()) for third in direct - {other}):
                lines.append(f"    {_id(name)} --> {_id(other)}")
    return "\n".join([*lines, "```"]) + "\n"


def _id(room: str) -> str:
    return room.replace("/", "_")


def _reached(room: str, edges: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = list(edges.get(room, ()))
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += edges.get(one, ())
    return found


def wrong(tree: Tree) -> list[str]:
    """Everything that is wrong with the layout, one line each."""
    return [
        *(f"{room} is not in ROOMS" for room in unlisted(tree)),
        *tree.upward(),
        *(f"circle between rooms: {', '.join(c)}" for c in circles(tree.edges(rooms=True))),
        *(f"circle between modules: {', '.join(c)}" for c in circles(tree.edges())),
    ]


def main() -> None:
    """Print what is wrong, and the counts."""
    tree = Tree(Path(sys.argv[1]) / PACKAGE) if len(sys.argv) > 1 else Tree()
    problems = wrong(tree)
    for line in problems:
        print(line)
    for name, number in counts(tree).items():
        print(f"{number:6} {name}")
    sys.exit(1 if problems and len(sys.argv) == 1 else 0)


if __name__ == "__main__":
    main()
