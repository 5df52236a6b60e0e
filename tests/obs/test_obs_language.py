# SPDX-License-Identifier: Apache-2.0
"""The window is in the language that OBS is in."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from . import rig
from .rig import until

LOCALE = rig.REPOSITORY / "plugins/obs/data/locale"
LISTS = {"background": "Background", "view": "View", "edges": "Edges"}


def texts(language: str) -> dict[str, str]:
    text = (LOCALE / f"{language}.ini").read_text(encoding="utf-8")
    return dict(re.findall(r'^([A-Za-z.]+)="(.+)"$', text, re.MULTILINE))


@pytest.mark.parametrize(
    ("chosen", "language", "title"),
    [("de-DE", "de-DE", "Eigenschaften von"), ("es-ES", "es-ES", "Propiedades"),
     # OBS knows no language of this name, and is English itself.
     ("de", "en-US", "Properties for")],
)  # fmt: skip
def test_the_window_is_in_the_language_of_obs(
    plugin: Path, tmp_path: Path, chosen: str, language: str, title: str
) -> None:
    with rig.running(tmp_path / "home", plugin, language=chosen) as obs:
        obs.client.create_input("Scene", "camera", rig.CAMERA, rig.KNOWN, True)
        for name, key in LISTS.items():
            found = obs.client.get_input_properties_list_property_items("camera", name)
            due = [text for k, text in texts(language).items() if re.fullmatch(rf"{key}\.\w+", k)]
            assert [item["itemName"] for item in found.property_items] == due
        obs.client.open_input_properties_dialog("camera")
        command = ["xwininfo", "-root", "-tree", "-display", obs.display]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        until("OBS's own window", lambda: title in subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False).stdout, 20)  # fmt: skip
        obs.kill()  # with that window open it does not always listen, and 90 s would pass
