# SPDX-License-Identifier: Apache-2.0
"""SAM 2.1 and EdgeTAM: Ravi et al. 2024 (arXiv 2408.00714); Zhou et al., CVPR 2025 (2501.07256).

The networks are those of the transformers library (Apache-2.0), an optional package. EdgeTAM's
encoder is our own RepViT, because the library takes it from timm and torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from matte_nodes.architecture import Architecture, Knobs, Published, Size
from matte_nodes.errors import ModelError
from matte_nodes.models.networks.blocks import imagenet
from matte_nodes.models.networks.repvit import BLOCKS, CHANNELS, RepViT
from matte_nodes.recognition import Recognition, Shape, Shapes

SIDES = (1024, 768, 512, 256)
"""Sides of the square that the network sees. The published weights were trained at the first."""

_REMEMBERED = 64
"""Channels of what is remembered of a frame: the library's attention takes no other number."""

_HEADS = {112: 2, 144: 2}
"""Heads of the first stage by its channels; all others have one."""

_GLOBAL = {12: (5, 7, 9), 16: (7, 10, 13), 24: (12, 16, 20), 48: (23, 33, 43)}
"""Blocks that see the whole picture, by the number of blocks: tiny, small, base plus, large."""


class VideoSegmenter(nn.Module):
    """A network of the library, and its own class for what it remembers of a video.

    net: the library's model. session: the class of its session. side: of the square it works at.
    """

    net: Any
    side: int

    def __init__(self, net: Any, session: type, side: int) -> None:
        super().__init__()
        self.net = net
        self.session, self.side = session, side
        # The library holds one table twice. Under one name no file can contradict itself.
        shared = net.shared_image_embedding.positional_embedding
        del net.prompt_encoder.shared_embedding.positional_embedding
        net.prompt_encoder.shared_embedding.register_buffer(
            "positional_embedding", shared, persistent=False
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, 1, side / 4, side / 4) of what lies in the middle of each picture.

        pictures: (N, 3, H, W), normalised.
        """
        pictures = F.interpolate(pictures, (self.side, self.side), mode="bilinear")
        middle = torch.full((len(pictures), 1, 1, 2), self.side / 2, device=pictures.device)
        labels = torch.ones(len(pictures), 1, 1, dtype=torch.int32, device=pictures.device)
        answers = [
            self.net._single_frame_forward(
                pixel_values=pictures[n : n + 1],
                input_points=middle[n : n + 1],
                input_labels=labels[n : n + 1],
                multimask_output=False,
            ).pred_masks
            for n in range(len(pictures))
        ]
        return torch.cat(answers)


@dataclass(frozen=True)
class _Parts:
    """What both networks are made of besides their encoder; sizes follow from a few numbers."""

    side: int
    hidden: int
    channels: tuple[int, ...]

    @property
    def vision(self) -> dict[str, Any]:
        """Of the maps that the encoder gives."""
        return {
            "backbone_channel_list": list(reversed(self.channels)),
            "backbone_feature_sizes": [[self.side // n, self.side // n] for n in (4, 8, 16)],
            "fpn_hidden_size": self.hidden,
        }

    @property
    def prompt(self) -> dict[str, Any]:
        """Of what reads clicks, boxes and masks."""
        return {"hidden_size": self.hidden, "image_size": self.side}

    @property
    def decoder(self) -> dict[str, Any]:
        """Of what makes masks."""
        return {
            "hidden_size": self.hidden,
            "mlp_dim": 8 * self.hidden,
            "iou_head_hidden_dim": self.hidden,
        }

    @property
    def memory(self) -> dict[str, Any]:
        """Of what remembers."""
        top = self.side // 16
        return {
            "image_size": self.side,
            "memory_attention_hidden_size": self.hidden,
            "memory_attention_rope_feat_sizes": [top, top],
            "memory_encoder_hidden_size": self.hidden,
            "memory_encoder_output_channels": _REMEMBERED,
            "mask_downsampler_embed_dim": self.hidden,
            "memory_fuser_embed_dim": self.hidden,
            "memory_fuser_intermediate_dim": 4 * self.hidden,
        }


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            "This model needs the package transformers: pip install 'matte-nodes[select]'."
        ) from error
    return transformers


def sam2(
    channels: int = 112,
    blocks: Sequence[int] = (2, 3, 16, 3),
    background: int = 14,
    hidden: int = 256,
    newer: bool = True,
    side: int = SIDES[0],
) -> VideoSegmenter:
    """SAM 2 with random weights.

    channels: of the encoder's first stage. blocks: in its four stages. background: side of its
    table of positions. hidden: channels of the maps. newer: SAM 2.1, which marks hidden objects.
    side: of the square that it works at, a multiple of 256. Raises ModelError when transformers is
    not installed.
    """
    library = _library()
    stages = tuple(channels << n for n in range(4))
    heads = _HEADS.get(channels, 1)
    count = sum(blocks)
    backbone = library.Sam2HieraDetConfig(
        hidden_size=channels,
        num_attention_heads=heads,
        image_size=[side, side],
        blocks_per_stage=list(blocks),
        embed_dim_per_stage=list(stages),
        num_attention_heads_per_stage=[heads << n for n in range(4)],
        window_size_per_stage=[8, 4, 16 if count == 48 else 14, 8 if count == 48 else 7],
        window_positional_embedding_background_size=[background, background],
        global_attention_blocks=list(_GLOBAL.get(count, (count - 2,))),
    )
    parts = _Parts(side, hidden, stages)
    config = library.Sam2VideoConfig(
        vision_config=library.Sam2VisionConfig(backbone_config=backbone, **parts.vision),
        prompt_encoder_config=parts.prompt,
        mask_decoder_config=parts.decoder,
        memory_attention_feed_forward_hidden_size=8 * hidden,
        enable_temporal_pos_encoding_for_object_pointers=newer,
        enable_occlusion_spatial_embedding=newer,
        **parts.memory,
    )
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    return VideoSegmenter(library.Sam2VideoModel(config), Sam2VideoInferenceSession, side)


def edgetam(
    channels: int = CHANNELS[0],
    blocks: Sequence[int] = BLOCKS,
    hidden: int = 256,
    side: int = SIDES[0],
) -> VideoSegmenter:
    """EdgeTAM with random weights; arguments and errors as those of `sam2`."""
    library = _library()
    from transformers.models.edgetam_video.modeling_edgetam_video import (
        EdgeTamVideoInferenceSession,
        EdgeTamVideoModel,
    )

    stages = tuple(channels << n for n in range(4))
    parts = _Parts(side, hidden, stages)
    # The library builds an encoder from a configuration. A tiny one stands in until ours does.
    smallest = library.Sam2HieraDetConfig(
        hidden_size=8, blocks_per_stage=[1, 1, 1, 1], embed_dim_per_stage=[8, 8, 8, 8],
        num_attention_heads_per_stage=[1, 1, 1, 1], global_attention_blocks=[2],
    )  # fmt: skip
    config = library.EdgeTamVideoConfig(
        vision_config=library.EdgeTamVisionConfig(backbone_config=smallest, **parts.vision),
        prompt_encoder_config=parts.prompt,
        mask_decoder_config=parts.decoder,
        memory_attention_mlp_hidden_size=8 * hidden,
        memory_attention_rope_k_sizes=[16, 16],
        perceiver_resampler_hidden_size=_REMEMBERED,
        perceiver_resampler_mlp_intermediate_size=4 * _REMEMBERED,
        perceiver_resampler_attention_head_dim=_REMEMBERED,
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
        **parts.memory,
    )
    net = EdgeTamVideoModel(config)
    net.vision_encoder.backbone = _Encoder(RepViT(stages, blocks))
    return VideoSegmenter(net, EdgeTamVideoInferenceSession, side)


class _Encoder(nn.Module):
    """RepViT under the names, and with the answer, of the library's wrapper of timm."""

    def __init__(self, encoder: RepViT) -> None:
        super().__init__()
        self.timm_model = encoder

    def forward(self, pictures: Tensor, **options: Any) -> Any:
        """The four maps as the library's wrapper returns them."""
        from transformers.modeling_outputs import BaseModelOutput

        del options
        return BaseModelOutput(last_hidden_state=self.timm_model(pictures))


_SHARED = "prompt_encoder.shared_embedding.positional_embedding"


def _names(shapes: Shapes) -> dict[str, str]:
    """Names of the library's files -> ours."""
    one = _SHARED.replace("prompt_encoder.shared_embedding", "shared_image_embedding")
    return {name: f"net.{one if name == _SHARED else name}" for name in shapes}


def _shape(shapes: Shapes, name: str, dimensions: int) -> Shape | None:
    found = shapes.get(name, ())
    return found if len(found) == dimensions else None


def _detect_sam2(shapes: Shapes, hint: str) -> Recognition | None:
    del hint
    encoder = "vision_encoder.backbone."
    first = _shape(shapes, f"{encoder}patch_embed.projection.weight", 4)
    table = _shape(shapes, f"{encoder}pos_embed", 4)
    empty = _shape(shapes, "no_memory_embedding", 3)
    if first is None or table is None or empty is None:
        return None
    norms = (f"{encoder}blocks.{n}.layer_norm2.weight" for n in range(256))
    widths = [shapes[name][0] for name in norms if name in shapes]
    blocks = tuple(widths.count(first[0] << n) for n in range(4))
    newer = "occlusion_spatial_embedding_parameter" in shapes
    return Recognition(
        options={
            "channels": first[0], "blocks": blocks, "background": table[2], "hidden": empty[2],
            "newer": newer, "side": SIDES[0],
        },
        layout="transformers Sam2Video",
        names=_names(shapes),
        found=f"SAM 2{'.1' if newer else ''}, {sum(blocks)} blocks, {first[0]} channels, as the "
        "transformers library saves it.",
        open={"side": SIDES},
    )  # fmt: skip


def _detect_edgetam(shapes: Shapes, hint: str) -> Recognition | None:
    del hint
    encoder = "vision_encoder.backbone.timm_model."
    first = _shape(shapes, f"{encoder}stem.conv2.c.weight", 4)
    empty = _shape(shapes, "no_memory_embedding", 3)
    if first is None or empty is None:
        return None
    blocks = tuple(
        sum(f"{encoder}stages_{stage}.blocks.{n}.token_mixer.conv.c.weight" in shapes
            for n in range(64))
        for stage in range(4)
    )  # fmt: skip
    return Recognition(
        options={
            "channels": first[0], "blocks": blocks, "hidden": empty[2], "side": SIDES[0],
        },
        layout="transformers EdgeTamVideo",
        names=_names(shapes),
        found=f"EdgeTAM, RepViT with {sum(blocks)} blocks, as the transformers library saves it.",
        open={"side": SIDES},
    )  # fmt: skip


def _side(knobs: Knobs) -> dict[str, Any]:
    return {"side": int(knobs.get("side", SIDES[0]))}


def _of_width(whole: int) -> Any:
    """A function from knobs to options: channels and hidden channels by the width."""

    def options(knobs: Knobs) -> Mapping[str, Any]:
        width = float(knobs.get("width", 1.0))
        channels, hidden = (max(16, round(full * width / 16) * 16) for full in (whole, 256))
        return {
            "channels": channels,
            "hidden": max(2, hidden // _REMEMBERED) * _REMEMBERED,
            **_side(knobs),
        }

    return options


def _decode(answer: Any) -> dict[str, Tensor]:
    return {"alpha": torch.sigmoid(answer)}


SAM2 = Architecture(
    id="sam2",
    build=sam2,
    detect=_detect_sam2,
    encode=imagenet,
    decode=_decode,
    options={"blocks": (2, 3, 16, 3), "background": 14, "newer": True},
    from_knobs=_of_width(112),
    asked=_side,
    size=Size(square=SIDES[0]),
    small={"width": 0.125, "side": "256"},
    layouts=("transformers Sam2Video",),
    variants=(
        {"channels": 16, "blocks": (1, 1, 2, 1), "background": 7, "hidden": 128, "side": 256},
        {"channels": 16, "blocks": (1, 1, 2, 1), "background": 7, "hidden": 128, "side": 256,
         "newer": False},
    ),
    published=(
        Published({"channels": 96, "blocks": (1, 2, 7, 2), "background": 7}, 38962498),
        Published({}, 80850178),
    ),
)  # fmt: skip

EDGETAM = Architecture(
    id="edgetam",
    build=edgetam,
    detect=_detect_edgetam,
    encode=imagenet,
    decode=_decode,
    options={"blocks": BLOCKS},
    from_knobs=_of_width(CHANNELS[0]),
    asked=_side,
    size=Size(square=SIDES[0]),
    small={"width": 0.125, "side": "256"},
    layouts=("transformers EdgeTamVideo",),
    variants=({"channels": 16, "blocks": (1, 1, 2, 1), "hidden": 128, "side": 256},),
    published=(Published({}, 13895794),),
)
