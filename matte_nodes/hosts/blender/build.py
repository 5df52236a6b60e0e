# SPDX-License-Identifier: Apache-2.0
"""The add-on's files, as one zip that Blender 4.2 takes as an extension and 3.4 as a legacy add-on.

Nothing in it is of one machine: the zip is the same bytes wherever it is built.
"""

from __future__ import annotations

import re
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from matte_nodes import __version__
from matte_nodes.errors import OutputError
from matte_nodes.hosts import install as installer
from matte_nodes.hosts.blender import manifest
from matte_nodes.service import client
from matte_nodes.whole_files import whole_file

ADDON = "matte_nodes_blender"
"""The add-on's folder, in plugins/blender and as a legacy add-on."""
CLIENT = "matte_client.py"
NOT_OURS = frozenset({"__pycache__", "install.json", CLIENT})


def version() -> str:
    """Return the version that Blender is told: three numbers, as its rules want them."""
    found = re.match(r"\d+\.\d+\.\d+", __version__)
    if found is None:
        raise OutputError(f"{__version__} is not a version that Blender takes.")
    return found[0]


def website() -> str:
    """Return the home page that the package names; "" when it names none."""
    try:
        urls = metadata("matte-nodes").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(url.split(", ", 1) for url in urls if ", " in url)
    return str(named.get("Homepage", ""))


def files() -> dict[str, bytes]:
    """Return every file of the add-on by its path in the zip: ours, the service client, the licence."""
    root = installer.sources("blender")
    found = {
        path.relative_to(root / ADDON).as_posix(): path.read_bytes()
        for path in sorted((root / ADDON).rglob("*"))
        if path.is_file() and not NOT_OURS & {path.name, *(p.name for p in path.parents)}
    }
    found[CLIENT] = Path(client.__file__).read_bytes()
    found["LICENSE"] = (root / "LICENSE").read_bytes()
    stamped = {
        manifest.FILE: (r'(?m)^version = "[^"]*"', f'version = "{version()}"'),
        "__init__.py": (r'"version": \([^)]*\)', f'"version": ({version().replace(".", ", ")})'),
    }
    for name, (pattern, line) in stamped.items():
        text, count = re.subn(pattern, line, found[name].decode("utf-8"))
        if count != 1:
            raise OutputError(f"{name} of the Blender add-on has {count} versions, not one.")
        found[name] = text.encode("utf-8")
    if website():
        found[manifest.FILE] = found[manifest.FILE].replace(
            b"\n[permissions]", f'\nwebsite = "{website()}"\n\n[permissions]'.encode(), 1
        )
    return dict(sorted(found.items()))


def unpack(target: Path) -> Path:
    """Write the whole add-on into a new folder and return that folder."""
    for name, data in files().items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return target


def archive(folder: Path) -> Path:
    """Check the add-on, zip it into a folder and return the zip file. Raises OutputError."""
    packed = files()
    wrong = manifest.problems(tomllib.loads(packed[manifest.FILE].decode("utf-8")))
    if wrong:
        raise OutputError(f"The manifest of the Blender extension is wrong: {'; '.join(wrong)}.")
    path = folder / f"matte_nodes-{version()}.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, zipfile.ZipFile(part, "w") as target:
            for name, data in packed.items():
                # One folder at the top: a legacy add-on is named by it, an extension by its id.
                item = zipfile.ZipInfo(f"{ADDON}/{name}", (1980, 1, 1, 0, 0, 0))
                item.external_attr, item.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
                target.writestr(item, data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}).") from error
    return path
