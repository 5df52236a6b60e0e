# SPDX-License-Identifier: Apache-2.0
"""Weights that this project trained and ships inside the package: their declarations.

The files are half floats, made by scripts/ship_weights.py from a training's `weights.safetensors`.
Each file's metadata holds the recipe's hash and the held-out error.
"""

from __future__ import annotations

from dataclasses import replace

from matte_nodes.card import Source, Weights

LICENCE = "Apache-2.0 (trained by this project)"


def _shipped(file: str, sha256: str, size: int) -> Weights:
    place = Source("package", f"models/shipped/{file}")
    return Weights(file, sha256, size, (place,), LICENCE, "yes", "this repository, docs/train.md")


TRIMAP = _shipped(
    "trimap-cues.safetensors",
    "09f5f43023e5e0d869fcb2390352b1e79fa530d961052dbdf156b28438030281",
    3585498,
)
PLATE = _shipped(
    "clean-plate-cues.safetensors",
    "8f06922b2f1e064f8742e51b1de069021b3a4ba1da5af94f565c0a5e6854576a",
    3583224,
)
MODNET = replace(
    _shipped(
        "modnet-people.safetensors",
        "fdcbd136b1a71d8379f2fef1a842acc7ce422775b8df82f70f285ebe405822bb",
        13091862,
    ),
    licence=f"{LICENCE}; its encoder began as torchvision's, BSD-3-Clause (NOTICE)",
    publisher="this repository, docs/people.md",
)
"""For MODNet, taken until the published weights are imported."""
MMNET = replace(
    _shipped(
        "mmnet-people.safetensors",
        "69b699db33b80f7fc60b359ef7a25c9122db7e72fd01fbe090a247075ad0b095",
        474480,
    ),
    publisher="this repository, docs/people.md",
)
"""For MMNet, whose authors published none."""
GFM = replace(
    _shipped(
        "gfm-animals.safetensors",
        "dce95b56d1d7ad7136f364e560a1142f2deaa9a115bc2f53ebb081d6a5d3b49e",
        8020672,
    ),
    licence=f"{LICENCE}; its encoder began as torchvision's, BSD-3-Clause (NOTICE)",
    publisher="this repository, docs/people.md",
)
"""For GFM, taken until the published weights are imported."""
RVM_PEOPLE = replace(
    _shipped(
        "rvm-people.safetensors",
        "b33f8030cd578d74752a807c2c93be9cd55db1f5f52984a7594ad4de516bdd2a",
        4941226,
    ),
    licence=f"{LICENCE}; its encoder began as torchvision's, BSD-3-Clause (NOTICE)",
    publisher="this repository, docs/people.md",
)
"""Robust Video Matting's network on MobileNetV2: a model of its own."""
BACKGROUND_MATTING = replace(
    _shipped(
        "background-matting-cues.safetensors",
        "e1ca299052ae4e040a12e92e30b3d9d41daac8c9bd0a4800c6e56449f5b55403",
        2315248,
    ),
    publisher="this repository, docs/people.md",
)
"""For Background Matting, taken until the published weights are imported."""
DEEP_IMAGE_MATTING = replace(
    _shipped(
        "deep-image-matting-cues.safetensors",
        "e62a6e687643ddacdd4fb538d1d8ff83c110c6fa77233115bfa1f6c2b41f5d8d",
        833556,
    ),
    publisher="this repository, docs/people.md",
)
"""For Deep Image Matting, taken until published weights are imported."""
ADAMATTING = replace(
    _shipped(
        "adamatting-cues.safetensors",
        "40999067bbb7f0e42a06fdbb397b337cd6f8ba3e34ba57bc584f02a81152487f",
        2210554,
    ),
    publisher="this repository, docs/people.md",
)
"""For AdaMatting, whose authors published none."""
