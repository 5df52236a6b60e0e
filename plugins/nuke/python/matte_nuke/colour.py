# SPDX-License-Identifier: Apache-2.0
"""Finds the colour space of the script's pixels, and its OCIO config."""

from __future__ import annotations

import os
import re
from typing import Any

from .trouble import Trouble

NUKE_LINEAR = "lin_rec709"
BUILT_IN = "ocio://default"
# Nuke's own names without OCIO that mean one thing only; the others are rendered.
NUKE_SPACES = {"linear": NUKE_LINEAR, "sRGB": "srgb_tx"}
# A role with the space it stands for: "default (sRGB)", "scene_linear (ACES - ACEScg)". Spaces
# whose own names end so ("ARRI LogC3 (EI800)") do not begin with one word in small letters.
_ROLE = re.compile(r"[a-z][a-z0-9_]* \((.+)\)")


class Colour:
    """The script's working space, by the name that the config has for it, and that config.

    Names on the node come first, then $OCIO, then the project settings. Raises Trouble when the
    project's config cannot be found.
    """

    def __init__(self, node: Any, root: Any, nuke_folder: str) -> None:
        self.is_ocio = _text(root, "colorManagement") == "OCIO"
        named = _text(node, "working_space")
        if self.is_ocio:
            self.working = named or _space(_text(root, "workingSpaceLUT"))
            self.config = _path(node, "ocio_config") or _config(root, nuke_folder)
        else:
            self.working = named or NUKE_LINEAR
            self.config = _path(node, "ocio_config") or BUILT_IN
        if not self.working:
            raise Trouble(
                "The project settings name no working space. Name it on the node: Inputs, "
                "working space."
            )

    def of_read(self, read: Any) -> str | None:
        """Return the space of a Read's file, or None where that is not certain."""
        if read["raw"].value():
            return self.working
        name = _space(str(read["colorspace"].value()))
        if not name or name == "default":
            return None
        return name if self.is_ocio else NUKE_SPACES.get(name)


def _text(node: Any, name: str) -> str:
    knob = node.knob(name)
    return "" if knob is None else str(knob.value() or "").strip()


def _path(node: Any, name: str) -> str:
    """Return the path in a knob after Nuke's evaluation: Tcl such as [getenv SHOW] is replaced."""
    knob = node.knob(name)
    if knob is None or not hasattr(knob, "getEvaluatedValue"):
        return _text(node, name)
    return str(knob.getEvaluatedValue() or "").strip()


def _space(name: str) -> str:
    role = _ROLE.fullmatch(name)
    return role.group(1) if role else name


def _config(root: Any, nuke_folder: str) -> str:
    if os.environ.get("OCIO"):
        return os.environ["OCIO"]
    name = _text(root, "OCIO_config")
    # Nuke writes the path of the config that it uses into this knob of the root, in newer versions.
    places = [_path(root, "OCIOConfigPath")]
    if name == "custom":
        places.append(_path(root, "customOCIOConfigPath"))
    else:
        folder = os.path.join(nuke_folder, "plugins", "OCIOConfigs", "configs")
        # Nuke 13 has a folder for each config, later ones single files.
        places += [os.path.join(folder, name, "config.ocio"), os.path.join(folder, name + ".ocio")]
    for path in places:
        if path.startswith("ocio://") or os.path.isfile(path):
            return path
    raise Trouble(
        f"The OCIO config {name!r} of this project was not found (looked for: "
        f"{', '.join(filter(None, places)) or 'no path'}). Name its file on the node: Inputs, "
        "OCIO config."
    )
