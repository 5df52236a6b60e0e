# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the chosen Python what it can do, in words that say what to do when it cannot."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .setup import Setup
from .trouble import Trouble

SECONDS = 60
_OLDEST = (3, 11)
_ASK = """
import json, sys
found = {"python": list(sys.version_info[:2])}
try:
    from importlib.metadata import version
    import matte_nodes
    found["library"] = getattr(matte_nodes, "__version__", "") or version("matte-nodes")
except Exception as error:
    found["problem"] = type(error).__name__ + ": " + str(error)
print("\\n" + json.dumps(found))
"""


def library_version(setup: Setup, environment: dict[str, str]) -> str:
    """Return the version of matte-nodes in that Python.

    Raises Trouble that says what is wrong with it.

    environment: of the process (the client's `clean_environment`).
    """
    try:
        done = subprocess.run(
            [setup.python, "-c", _ASK], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=environment, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Trouble(f"{setup.python} did not answer within {SECONDS} s.") from None
    except (OSError, ValueError) as error:
        raise Trouble(
            f"{setup.python} cannot be run ({error}). Choose another Python in the add-on's "
            "preferences."
        ) from error
    text = done.stdout.decode("utf-8", "replace").strip()
    try:
        found: dict[str, Any] = json.loads(text.splitlines()[-1])
        python = tuple(found["python"])
    except (ValueError, IndexError, KeyError, TypeError):
        said = " / ".join(text.splitlines()[-2:])
        raise Trouble(
            f"{setup.python} is not a Python that works ({said or 'no answer'})."
        ) from None
    if python < _OLDEST:
        raise Trouble(
            f"{setup.python} is Python {python[0]}.{python[1]}; matte-nodes needs "
            f"{_OLDEST[0]}.{_OLDEST[1]} or newer."
        )
    if "library" not in found:
        raise Trouble(
            f"{setup.python} has no matte-nodes ({found.get('problem')}). Choose the Python that "
            f"has it, or install it there: {setup.python} -m pip install matte-nodes"
        )
    return str(found["library"])


def versions_differ(library: str, addon: str) -> str:
    """Return a sentence when library and add-on are not of one release; "" when they are."""
    if library.split(".")[:2] == addon.split(".")[:2]:
        return ""
    return (
        f"The environment has matte-nodes {library}, the add-on is of {addon}. "
        "Update the older of the two (matte install blender)."
    )
