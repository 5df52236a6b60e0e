# SPDX-License-Identifier: Apache-2.0
"""In a Blender with a window: run what the test writes into a folder, between its events.

listen.py ADDON FOLDER. The test writes FOLDER/n.py (whole, by a rename); FOLDER/n.json is what it
put into the dictionary `out`, or {"error": traceback}.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import bpy

import inside  # isort: skip (beside this file)

ADDON, FOLDER = sys.argv[1:3]
known: dict[str, Any] = {"bpy": bpy, "inside": inside, "sys": sys}
number = 0


def listen() -> float:
    """One request, if there is one; asks to be called again."""
    global number
    path = os.path.join(FOLDER, f"{number}.py")
    if not os.path.isfile(path):
        return 0.02
    out: dict[str, Any] = {}
    try:
        with open(path, encoding="utf-8") as file:
            exec(compile(file.read(), path, "exec"), {**known, "out": out})
    except Exception:
        out = {"error": traceback.format_exc()}
    part = os.path.join(FOLDER, f"{number}.part")
    with open(part, "w", encoding="utf-8") as file:
        json.dump(out, file)
    os.replace(part, os.path.join(FOLDER, f"{number}.json"))
    number += 1
    return 0.02


bpy.context.preferences.view.show_splash = False
# The compositor in the place of the 3D view, before that is drawn: in software it takes seconds.
areas = bpy.context.window_manager.windows[0].screen.areas
largest = max(areas, key=lambda area: area.width * area.height)
largest.ui_type = "CompositorNodeTree"
largest.spaces.active.show_region_ui = True
if ADDON:
    known["addon"] = inside.load(ADDON)
bpy.app.timers.register(listen, persistent=True)
