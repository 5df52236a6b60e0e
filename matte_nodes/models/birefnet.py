# SPDX-License-Identifier: Apache-2.0
"""BiRefNet (Zheng et al. 2024): whatever the picture is of, automatic, MIT weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from matte_nodes.card import (
    Checkpoint,
    Inputs,
    Knob,
    KnobValue,
    LoadContext,
    Memory,
    ModelCard,
    Prediction,
    Source,
    Variant,
    Weights,
)
from matte_nodes.errors import KnobValueError
from matte_nodes.figures import Figure
from matte_nodes.media.resize import resized
from matte_nodes.models.background_matting import subject_box
from matte_nodes.models.onnx_checkpoint import is_onnx, open_family
from matte_nodes.models.onnx_file import OnnxFile
from matte_nodes.models.torch_network import WIDTH, TorchNetwork, array

if TYPE_CHECKING:
    from matte_nodes.architecture import Architecture
    from matte_nodes.card import Float

# Round a segmentation: a fifth of the subject's side, as context; and what the node leaves of
# alpha outside a segmentation by default (24 pixels and their fade).
_CONTEXT = 0.2
_LEAST = 40
# sides that the dynamic weights were trained at
_SMALLEST, _LARGEST = 256, 2304


def architecture() -> Architecture:
    """Return the declaration of its network; this imports torch."""
    from matte_nodes.models.networks.birefnet import ARCHITECTURE

    return ARCHITECTURE


class BiRefNet:
    """The network on the plate, or on the square round a segmentation, at the size it knows.

    An ONNX file runs in onnxruntime, at its own size.
    """

    _file: OnnxFile | None = None

    def __init__(self, context: LoadContext) -> None:
        path = context.checkpoint
        if path is not None and is_onnx(path):
            self._file = open_family(context, path, "birefnet")
        else:
            self._network = TorchNetwork(context, architecture())

    def step(
        self, inputs: Inputs, memory: Memory, knobs: Mapping[str, KnobValue]
    ) -> tuple[Prediction, Memory]:
        """Return alpha of what stands out.

        0 outside the square round the segmentation, if there is one.
        """
        if inputs.segmentation is None:
            return Prediction(self._alpha(inputs.plate, knobs)), {}
        alpha = np.zeros(inputs.plate.shape[:2], np.float32)
        box = subject_box(inputs.segmentation, _CONTEXT, _LEAST)
        if box is not None:
            alpha[box] = self._alpha(np.ascontiguousarray(inputs.plate[box]), knobs)
        return Prediction(alpha), {}

    def _alpha(self, plate: Float, knobs: Mapping[str, KnobValue]) -> Float:
        """Return (H, W) alpha of a plate (H, W, 3), at the plate's size."""
        height, width = plate.shape[:2]
        if self._file is not None:
            if knobs["size"] != "auto":
                raise KnobValueError("size: an ONNX file has a size of its own. Leave it at auto.")
            return self._file.step(Inputs(plate), {}, {})[0].alpha
        small = resized(plate, self._size(str(knobs["size"]), height, width))
        found = self._network.decoded(self._network.pixels(small))["alpha"]
        return resized(array(found), (height, width)).clip(0, 1)

    def _size(self, asked: str, height: int, width: int) -> tuple[int, int]:
        """Return what the network sees: a square, or the plate's own size in steps of 32."""
        trained = int(getattr(self._network.network, "size", 1024))
        side = {"auto": trained, "plate": 0}.get(asked)
        side = int(asked) if side is None else side
        if side:
            return side, side
        scale = min(max(1.0, _SMALLEST / min(height, width)), _LARGEST / max(height, width))
        return _sides(height * scale), _sides(width * scale)


def _sides(length: float) -> int:
    return max(_SMALLEST, round(length / 32) * 32)


def _variant(name: str, published: str, size: int, sha256: str, summary: str) -> Variant:
    """A file of the authors. published: its repository and revision on the hub."""
    where = published.partition("@")[0]
    return Variant(
        name,
        Weights(
            file=f"birefnet.{name}.safetensors", sha256=sha256, size=size,
            sources=(Source("hub", published, "model.safetensors"),),
            licence="MIT, stated by the authors for code and weights", commercial="yes",
            publisher=f"https://huggingface.co/{where}",
        ),
        summary,
    )  # fmt: skip


def _onnx(name: str, file: str, size: int, sha256: str, summary: str) -> Variant:
    """An ONNX file of the authors' release."""
    release = "https://github.com/ZhengPeng7/BiRefNet/releases/download/v1"
    return Variant(
        name,
        Weights(
            file=f"birefnet.{name}.onnx", sha256=sha256, size=size,
            sources=(Source("url", f"{release}/{file}"),),
            licence="MIT, stated by the authors for code and weights", commercial="yes",
            publisher="https://github.com/ZhengPeng7/BiRefNet",
        ),
        summary,
    )  # fmt: skip


VARIANTS = (
    _variant(
        "lite-matting", "ZhengPeng7/BiRefNet_lite-matting@99c33412e3f58e1f33187abdc8c435c645243690",
        88_965_896, "ce8bcfc045e336322c0424a5863dcfb7e9ce8fed0a5fd4d1b2b20adf12d97243",
        "soft edges and hair on a processor, at 1024 (Swin-T)",
    ),
    _variant(
        "matting", "ZhengPeng7/BiRefNet-matting@57f9f68b43ba337c75762b14cf3075d659007268",
        884_878_856, "a9875de5b1e6c8eb5fdaa8c727a82927ce442cdc87ba3abee6a77e6fa46c25bb",
        "soft edges and hair, at 1024 (Swin-L)",
    ),
    _variant(
        "hr-matting", "ZhengPeng7/BiRefNet_HR-matting@5d6b6f8adcb5b417c871b1d84ceaae9871355b7f",
        444_473_596, "a5a4de698739ea5e0e8bbab28e1b293dde95092b87a442d566cbc585c53cef55",
        "soft edges and hair, at 2048 (Swin-L)",
    ),
    _onnx(
        "portrait-onnx", "BiRefNet-portrait-epoch_150.onnx",
        972_666_916, "1ba1c8ff5a7bbfadc8d8d13fb11d7be793f91f23d9d466549e37a854f6668f99",
        "portraits, at 1024, in onnxruntime (Swin-L)",
    ),
    _onnx(
        "lite-onnx", "BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx",
        224_005_088, "5600024376f572a557870a5eb0afb1e5961636bef4e1e22132025467d0f03333",
        "objects with hard edges, at 1024, in onnxruntime (Swin-T; takes 9 GB)",
    ),
    _variant(
        "lite", "ZhengPeng7/BiRefNet_lite@7838f1c3472f827cd8ce13ab5ccc2ce48077360f",
        177_634_392, "4417d89795250e698c3cb0ae8df15743810065f646f48a694fdfa7ca052d0815",
        "objects with hard edges on a processor, at 1024 (Swin-T)",
    ),
    _variant(
        "hr", "ZhengPeng7/BiRefNet_HR@a7a562f6fd16021180f2f4348f4de003a2d3d1e1",
        444_473_596, "9d678bafec0b0019fbb073b7fd02f05ede25dc4b15254f23b2fb0be333200c0d",
        "objects with hard edges, at 2048 (Swin-L)",
    ),
    _variant(
        "dynamic", "ZhengPeng7/BiRefNet_dynamic@280306042f57b7a33854319da62fd86aaa89ec4c",
        444_473_596, "e3d2e4884e51ff30f0cd630edc6b1e41b06b7f23a0a2a5169f7b7cb33a711c2d",
        "objects with hard edges, at the plate's own size (Swin-L)",
    ),
)  # fmt: skip


CARD = ModelCard(
    name="birefnet",
    title="BiRefNet",
    summary="Anything that stands out, automatic, fine edges; the weights are MIT.",
    load=BiRefNet,
    architecture=architecture,
    takes=frozenset({"segmentation"}),
    knobs=(
        WIDTH,
        Knob(
            "size", "choice", "auto", choices=("auto", "plate", "256", "512", "1024", "2048"),
            help="What the network sees: the plate squeezed to a square of this side, or the plate "
            "at its own size. Auto is what the weights were trained for: 1024, 2048 for HR "
            "weights, the plate's size for dynamic weights.",
        ),
    ),
    checkpoint=Checkpoint(
        "https://huggingface.co/ZhengPeng7 (BiRefNet, BiRefNet_lite, BiRefNet-matting, "
        "BiRefNet_lite-matting, BiRefNet_HR, BiRefNet_HR-matting, BiRefNet_dynamic, "
        "BiRefNet_dynamic-matting, BiRefNet-portrait)",
        "MIT, stated by the authors for code and weights",
        "yes",
        ("model.safetensors",),
        variants=VARIANTS,
    ),
    auto={"anything": 10},
    figures=(
        Figure("hair", "S", 0.98, "P3M-500-NP", "its authors", "hr-matting"),
        Figure("people", "S", 0.98, "P3M-500-NP", "its authors", "hr-matting"),
        Figure("animals", "S", 0.974, "AM-2k", "its authors", "hr-matting"),
        Figure("product", "S", 0.882, "DIS-VD", "its authors", "lite-onnx"),
    ),
    training_data="Matting weights: P3M-10k, TR-humans, AM-2k, AIM-500, Human-2k, "
    "Distinctions-646, HIM2K, PPM-100. General weights: DIS5K, DUTS, HRSOD, UHRSD, HRS10K, "
    "P3M-10k, TR-humans. Several of these sets are for research only or state no terms; the "
    "authors publish the weights under MIT all the same",
    papers=("Zheng, Gao, Fan, Liu, Laaksonen, Ouyang, Sebe: Bilateral Reference for "
            "High-Resolution Dichotomous Image Segmentation, CAAI Artificial Intelligence "
            "Research 2024",),
    limits="It chooses what stands out: give a segmentation where there are several things. In "
    "video each frame is solved alone and it flickers. Slow without a card.",
)  # fmt: skip
