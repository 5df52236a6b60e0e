# SPDX-License-Identifier: Apache-2.0
"""Weights files: which network they belong to, read without running anything, converted.

`recognise` tells from names and shapes alone; `load` gives a network that is ready; `convert`
writes safetensors with provenance. Nothing is ever unpickled.
"""

from __future__ import annotations

from matte_nodes.checkpoints.detect import recognise
from matte_nodes.checkpoints.files import FileTensors, convert, inspect, load
from matte_nodes.checkpoints.fill import CheckpointError, Row, build, fill
from matte_nodes.checkpoints.read import read_tensors
from matte_nodes.recognition import Recognition

__all__ = [
    "CheckpointError",
    "FileTensors",
    "Recognition",
    "Row",
    "build",
    "convert",
    "fill",
    "inspect",
    "load",
    "read_tensors",
    "recognise",
]
