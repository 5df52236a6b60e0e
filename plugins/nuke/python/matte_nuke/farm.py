# SPDX-License-Identifier: Apache-2.0
"""The same request as a command that writes an Open Job Description bundle."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

from .matte_client import clean_environment
from .trouble import Trouble

SECONDS = 120


def command(python: str, request: Mapping[str, Any], bundle: str) -> list[str]:
    """`matte farm bundle` with the flags of this request."""
    first, last = request["frames"]
    connect, node = request["connect"], request["node"]
    words = [
        python, "-P", "-m", "matte_nodes", "farm", "bundle", request["source"],
        "-o", request["output"], "--bundle", bundle, "--frames", f"{first}-{last}",
        "--model", request["model"], "--layout", request["layout"],
        "--output-colorspace", request["output_colorspace"],
        "--device", node["device"], "--ocio", node["ocio"],
    ]  # fmt: skip
    for name, value in connect.items():
        if name == "start":
            # The shot begins where the node says, though the plate's file may begin earlier.
            words += ["--cuts", str(value)]
        elif name != "warm_up":  # the farm plans that itself
            words += ["--" + name.replace("_", "-"), str(value)]
    for name, value in sorted(request["knobs"].items()):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words += ["--" + name.replace("_", "-"), text]
    return words


def write(python: str, home: str | None, request: Mapping[str, Any], bundle: str) -> None:
    """Write the bundle; raises Trouble with what the command said."""
    try:
        done = subprocess.run(
            command(python, request, bundle), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=clean_environment(home), timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise Trouble(f"The bundle could not be written: {error}") from error
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise Trouble("The bundle could not be written: " + " / ".join(said))


def bundle_folder(base: str, settings: str) -> str:
    """Return a new folder for one bundle, beside the results."""
    number = 1
    while True:
        folder = os.path.join(base, f"farm_{settings}_{number:03d}")
        try:
            os.makedirs(folder)
            return folder
        except FileExistsError:
            number += 1
