# SPDX-License-Identifier: Apache-2.0
"""The rules of a blender_manifest.toml that we keep, those that Blender does not check included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

FILE = "blender_manifest.toml"
REQUIRED = ("schema_version", "id", "version", "name", "tagline", "maintainer", "type",
            "blender_version_min", "license")  # fmt: skip
OPTIONAL = ("tags", "website", "copyright", "permissions", "blender_version_max")
LICENCES = frozenset({"SPDX:GPL-3.0-or-later", "SPDX:Apache-2.0"})
PERMISSIONS = frozenset({"files", "network"})
FIRST = (4, 2, 0)  # the first Blender that has extensions
LONGEST = 64


def problems(manifest: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a manifest, a line each; none when it is good."""
    return list(_problems(manifest))


def _problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key} is missing" for key in REQUIRED if key not in manifest)
    known = {*REQUIRED, *OPTIONAL}
    yield from (f"{key} is not a key that Blender knows" for key in manifest if key not in known)
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9]*(_[a-zA-Z0-9]+)*", str(manifest.get("id"))):
        yield "id must be a Python name"
    if manifest.get("schema_version") != "1.0.0":
        yield "schema_version must be 1.0.0"
    if manifest.get("type") != "add-on":
        yield "type must be add-on"
    for key in ("version", "blender_version_min"):
        if not re.fullmatch(r"\d+\.\d+\.\d+", str(manifest.get(key))):
            yield f"{key} must be three numbers"
        elif key == "blender_version_min" and _numbers(manifest[key]) < FIRST:
            yield "blender_version_min is before 4.2.0, which knows no extensions"
    licences = manifest.get("license") or []
    if "SPDX:GPL-3.0-or-later" not in licences:
        yield "license must name SPDX:GPL-3.0-or-later"
    yield from (f"license {name} is none of ours" for name in licences if name not in LICENCES)
    yield from _sentence("tagline", str(manifest.get("tagline", "")))
    permissions = manifest.get("permissions") or {}
    for name, reason in permissions.items():
        if name not in PERMISSIONS:
            yield f"permission {name} is not needed"
        yield from _sentence(f"the reason for {name}", str(reason))
    if "files" not in permissions:
        yield "permission files is missing: plates are read and mattes written"


def _sentence(what: str, text: str) -> Iterator[str]:
    if not text or len(text) > LONGEST:
        yield f"{what} must have 1 to {LONGEST} characters"
    elif not text[-1].isalnum():
        yield f"{what} must not end in punctuation"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
