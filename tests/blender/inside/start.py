# SPDX-License-Identifier: Apache-2.0
"""Starts a test's script in a Blender: start.py -- SCRIPT ARGUMENTS.

The script finds this folder on sys.path, its arguments in sys.argv[1:], and answers with
`inside.answer(name=value)`. What it registers is taken out again at the end: bpy 4.2 crashes and
4.5 hangs when a class is still there when the interpreter ends.
"""

from __future__ import annotations

import os
import runpy
import sys


def main() -> None:
    """Run the script that is named after `--`."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    sys.argv = sys.argv[sys.argv.index("--") + 1 :]
    import bpy
    import inside

    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        if inside.over():
            inside.tidy()
    if not bpy.app.binary_path and bpy.app.version < (4, 3, 0):
        # bpy 4.2 as a module crashes at its end when any property ever had a Python callback, even
        # after its class was taken out. The script itself has ended well by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


main()
