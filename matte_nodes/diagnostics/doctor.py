# SPDX-License-Identifier: Apache-2.0
"""Checks this installation: packages, devices, weights, caches and hosts, with advice."""

from __future__ import annotations

import ctypes.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from matte_nodes import __version__, models, paths, runtime, weights
from matte_nodes.errors import OPENCV_CURE, OPENCV_LIBRARIES, MatteError
from matte_nodes.hosts.finding import DoctorFinding


def examine() -> Iterator[DoctorFinding]:
    """Check everything, cheapest first. A failed check becomes a finding; nothing is raised."""
    looks: tuple[tuple[str, Callable[[], Iterator[DoctorFinding]]], ...] = (
        ("python", _python),
        ("package", _packages),
        ("system", _libraries),
        ("device", _devices),
        ("colour", _colour),
        ("weights", _weights),
        ("folder", _folders),
        ("host", _hosts),
    )
    for area, look in looks:
        try:
            yield from look()
        except Exception as error:  # a doctor that dies of the illness is of no use
            yield DoctorFinding(area, "examination", "problem", f"{type(error).__name__}: {error}")


def _python() -> Iterator[DoctorFinding]:
    yield DoctorFinding(
        "python", sys.executable, "ok", f"{platform.python_version()} on {platform.platform()}"
    )
    yield DoctorFinding("python", "matte-nodes", "ok", __version__)


def _packages() -> Iterator[DoctorFinding]:
    """Check every requirement in the distribution's own metadata."""
    import re

    for line in requires("matte-nodes") or []:
        requirement, _, marker = line.partition(";")
        name = re.split(r"[<>=!~\[ ]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"](.+?)['\"]", marker)
        if "darwin" in marker and ("!=" in marker) == (sys.platform == "darwin"):
            continue
        if extra and extra[1] not in ("closed-form", "onnx"):
            continue
        try:
            yield DoctorFinding("package", name, "ok", version(name))
        except PackageNotFoundError:
            if extra:
                yield DoctorFinding(
                    "package",
                    name,
                    "note",
                    "not installed",
                    f"pip install 'matte-nodes[{extra[1]}]' where it is wanted",
                )
            else:
                yield DoctorFinding(
                    "package", name, "problem", "not installed", f"pip install {name}"
                )
    for module in ("cv2", "OpenImageIO", "onnxruntime", "av"):
        try:
            __import__(module)
        except Exception as error:
            yield DoctorFinding(
                "package", module, "problem", f"cannot be loaded: {error}", _cure(error)
            )


def _cure(error: Exception) -> str:
    if any(name in str(error) for name in OPENCV_LIBRARIES):
        return OPENCV_CURE
    return "reinstall the package"


def _libraries() -> Iterator[DoctorFinding]:
    if sys.platform != "linux":
        return
    for library, package in (("GL", "libgl1"), ("glib-2.0", "libglib2.0-0")):
        found = ctypes.util.find_library(library)
        if found:
            yield DoctorFinding("system", f"lib{library}", "ok", found)
        else:
            yield DoctorFinding(
                "system",
                f"lib{library}",
                "note",
                "not found",
                f"opencv-python wants it: apt-get install {package}, or use opencv-python-headless",
            )


def _devices() -> Iterator[DoctorFinding]:
    cards = runtime.nvidia_devices()
    detail = f"{cards} card(s) reported by the driver" if cards else "no NVIDIA driver answers"
    yield DoctorFinding("device", "cuda", "ok" if cards else "note", detail)
    if cards:
        import onnxruntime as ort

        listed = "CUDAExecutionProvider" in ort.get_available_providers()
        yield DoctorFinding(
            "device",
            "onnxruntime CUDA",
            "ok" if listed else "problem",
            "listed" if listed else "this onnxruntime has no CUDA",
            "" if listed else "pip install 'matte-nodes[cuda]'",
        )
    chosen = runtime.resolve_device("auto")
    threads, most = runtime.default_threads(), runtime.default_threads(still=True)
    said = f"{chosen}; on the CPU a network has {threads} thread(s), one of stills {most}"
    yield DoctorFinding("device", "auto is", "ok", said)


def _colour() -> Iterator[DoctorFinding]:
    from matte_nodes.color import ColorConfig  # what is broken is told, not died of

    try:
        config = ColorConfig(None)
    except MatteError as error:
        yield DoctorFinding(
            "colour",
            os.environ.get("OCIO", "ocio://default"),
            "problem",
            str(error),
            "set OCIO to a readable config, or unset it",
        )
        return
    detail = f"{len(config.names)} spaces; scene_linear is {config.resolve('scene_linear')}"
    yield DoctorFinding("colour", os.environ.get("OCIO", "ocio://default"), "ok", detail)


def _weights() -> Iterator[DoctorFinding]:
    for name in models.names():
        try:
            card = models.card(name)
        except MatteError as error:
            yield DoctorFinding("weights", name, "problem", str(error))
            continue
        for item in card.weights:
            state = weights.verify(item)
            terms = f"commercial use: {item.commercial}"
            if state == "ok":
                yield DoctorFinding("weights", name, "ok", f"{item.file}, {terms}")
            elif state == "missing":
                yield DoctorFinding(
                    "weights",
                    name,
                    "note",
                    f"{item.file} is not here, {terms}",
                    f"matte models pull {name}",
                )
            else:
                yield DoctorFinding(
                    "weights",
                    name,
                    "problem",
                    f"{item.file} is damaged",
                    f"matte models pull {name}",
                )


def _folders() -> Iterator[DoctorFinding]:
    for what, folder in (("weights", paths.weights_folder()), ("cache", paths.cache_folder())):
        size = (
            sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
            if folder.is_dir()
            else 0
        )
        free = shutil.disk_usage(_existing(folder)).free
        writable = os.access(_existing(folder), os.W_OK)
        yield DoctorFinding(
            "folder",
            what,
            "ok" if writable else "problem",
            f"{folder}: {size / 1e6:.0f} MB used, {free / 1e9:.1f} GB free",
            "" if writable else "it cannot be written: set MATTE_HOME to a folder that can",
        )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _hosts() -> Iterator[DoctorFinding]:
    for host, commands in (
        ("Nuke", ("nuke", "Nuke")),
        ("Blender", ("blender",)),
        ("OBS", ("obs",)),
    ):
        found = next((place for c in commands if (place := shutil.which(c))), None)
        yield DoctorFinding("host", host, "ok" if found else "note", found or "not on the PATH")
    from matte_nodes.hosts.blender import install as blender
    from matte_nodes.hosts.nuke import install as nuke
    from matte_nodes.hosts.obs import install as obs

    for adapter in (nuke, blender, obs):
        for what, state, detail, advice in adapter.findings():
            yield DoctorFinding("host", what, state, detail, advice)
