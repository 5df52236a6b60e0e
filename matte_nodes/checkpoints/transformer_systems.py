# SPDX-License-Identifier: Apache-2.0
"""Recognises BiRefNet and ViTMatte."""

from __future__ import annotations

import math
import re
from typing import Any

from matte_nodes.errors import WeightsError
from matte_nodes.recognition import Recognition, Shapes, number, present, vote

_BIREFNET_MARKS = (
    "squeeze_module.0.conv_in.weight",
    "decoder.ipt_blk5.conv1.weight",
    "decoder.decoder_block1.conv_in.weight",
    "decoder.lateral_block2.conv.weight",
)
_BIREFNET_EMBED = {
    "bb.patch_embed.proj.weight": 1,
    "bb.norm0.weight": 1,
    "bb.norm1.weight": 2,
    "bb.norm2.weight": 4,
    "bb.norm3.weight": 8,
}
_BLOCKS = ("squeeze_module.0", *(f"decoder.decoder_block{level}" for level in (1, 2, 3, 4)))
# heads that only training uses
_BIREFNET_TRAINING = ("decoder.conv_ms_spvn_", "decoder.gdt_convs_pred_")
_SWIN: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): "Swin-T",
    (96, (2, 2, 18, 2)): "Swin-S",
    (128, (2, 2, 18, 2)): "Swin-B",
    (192, (2, 2, 18, 2)): "Swin-L",
}


def _numbers(shapes: Shapes, pattern: str) -> set[int]:
    """The numbers that stand in the one group of a pattern."""
    found = (re.match(pattern, name) for name in shapes)
    return {int(match.group(1)) for match in found if match}


def _sizes(hint: str) -> tuple[int, ...]:
    """Sides the weights may have been trained at, the likeliest by the file's name first."""
    words = set(re.split(r"[^a-z0-9]+", hint))
    if words & {"dynamic"}:
        return 0, 1024, 2048
    return (2048, 1024, 0) if words & {"hr", "2048", "2k"} else (1024, 2048, 0)


def birefnet(shapes: Shapes, hint: str) -> Recognition | None:
    """The published layout with any Swin encoder: general, matting, HR, dynamic, lite, portrait."""
    if not present(shapes, _BIREFNET_MARKS):
        return None
    stages = sorted(_numbers(shapes, r"bb\.layers\.(\d+)\.blocks\.0\."))
    if stages != [0, 1, 2, 3]:
        raise WeightsError(
            "These are weights of BiRefNet with an encoder that the library does not have. It has "
            "the Swin encoders: swin_v1_t (the files called lite), swin_v1_s, swin_v1_b and "
            "swin_v1_l."
        )
    depths = tuple(
        len(_numbers(shapes, rf"bb\.layers\.{stage}\.blocks\.(\d+)\.")) for stage in stages
    )
    tables = [
        shapes.get(f"bb.layers.{n}.blocks.0.attn.relative_position_bias_table", (169, 3 << n))
        for n in stages
    ]
    embed = vote(shapes, _BIREFNET_EMBED) or 96
    sizes = _sizes(hint)
    options: dict[str, Any] = {
        "embed": embed,
        "depths": depths,
        "heads": tuple(table[-1] for table in tables),
        "window": (math.isqrt(tables[0][0]) + 1) // 2,
        "inner": vote(shapes, {f"{block}.conv_in.weight": 1 for block in _BLOCKS}) or 64,
        "branch": vote(shapes, {f"{block}.dec_att.aspp1.bn.weight": 1 for block in _BLOCKS}) or 256,
        "size": sizes[0],
    }
    encoder = _SWIN.get((embed, depths), f"Swin ({embed} channels, {sum(depths)} blocks)")
    terms = (
        " The file's name is that of RMBG-2.0 by BRIA, which is for non-commercial use only."
        if "rmbg" in hint
        else ""
    )
    return Recognition(
        model="birefnet",
        options=options,
        layout="BiRefNet",
        names={name: name for name in shapes},
        found=f"BiRefNet with a {encoder} encoder.{terms}",
        dropped=frozenset(
            name for name in shapes if name.endswith((".relative_position_index", ".attn_mask"))
        ),
        optional=lambda name: (
            name.endswith("num_batches_tracked") or name.startswith(_BIREFNET_TRAINING)
        ),
        open={"size": sizes},
    )


_VITMATTE_MARKS = (
    "backbone.embeddings.projection.weight",
    "decoder.convstream.convs.0.conv.weight",
    "decoder.fusion_blocks.0.conv.conv.weight",
    "decoder.matting_head.matting_convs.0.weight",
)
# the authors' names (detectron2's), and those of the transformers library, which are ours
_VITMATTE_NAMES = (
    (r"^backbone\.pos_embed$", "backbone.embeddings.position_embeddings"),
    (r"^backbone\.patch_embed\.proj\.", "backbone.embeddings.projection."),
    (r"^backbone\.blocks\.(\d+)\.", r"backbone.encoder.layer.\1."),
    (r"^(backbone\.encoder\.layer\.\d+)\.attn\.", r"\1.attention."),
    (r"^decoder\.fusion_blks\.", "decoder.fusion_blocks."),
    (r"^(decoder\.(?:convstream|fusion_blocks)\..*)\.bn\.", r"\1.batch_norm."),
)


def _vitmatte_name(name: str) -> str:
    for pattern, replacement in _VITMATTE_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _vitmatte_options(shapes: Shapes) -> dict[str, Any]:
    """Arguments of the network. shapes: under our names."""
    layer = "backbone.encoder.layer"
    hidden = vote(
        shapes,
        {
            "backbone.embeddings.projection.weight": 1,
            f"{layer}.0.norm1.weight": 1,
            f"{layer}.0.mlp.fc1.weight": 4,
            f"{layer}.1.attention.qkv.weight": 3,
        },
    )
    whole = tuple(sorted(_numbers(shapes, r"backbone\.encoder\.layer\.(\d+)\.residual\.")))
    depth = len(_numbers(shapes, r"backbone\.encoder\.layer\.(\d+)\."))
    windowed = [block for block in range(depth) if block not in whole]

    def table(blocks: list[int] | tuple[int, ...], usual: int) -> tuple[int, ...]:
        names = (f"{layer}.{block}.attention.rel_pos_h" for block in blocks)
        return next((shapes[name] for name in names if name in shapes), (2 * usual - 1, 64))

    streams = sorted(_numbers(shapes, r"decoder\.convstream\.convs\.(\d+)\."))
    fusions = sorted(_numbers(shapes, r"decoder\.fusion_blocks\.(\d+)\."))
    places = shapes.get("backbone.embeddings.position_embeddings", (1, 197, hidden))
    one = "decoder.matting_head.matting_convs.0.weight"
    return {
        "hidden": hidden,
        "heads": hidden // table(windowed, 14)[-1],
        "depth": depth,
        "whole": whole,
        "window": (table(windowed, 14)[0] + 1) // 2,
        "side": (table(whole, 32)[0] + 1) // 2,
        "positions": places[1],
        "stream": tuple(
            shapes.get(f"decoder.convstream.convs.{n}.conv.weight", (48 << n,))[0] for n in streams
        ),
        "fusion": tuple(
            shapes.get(f"decoder.fusion_blocks.{n}.conv.conv.weight", (256 >> n,))[0]
            for n in fusions
        ),
        "head": shapes.get(one, (16,))[0],
    }


def vitmatte(shapes: Shapes, hint: str) -> Recognition | None:
    """ViTMatte-S and -B: the safetensors of the transformers library, the authors' checkpoints."""
    names = {name: _vitmatte_name(name) for name in shapes}
    ours = {names[name]: shape for name, shape in shapes.items()}
    if not present(ours, _VITMATTE_MARKS):
        return None
    if any("router" in name for name in shapes):
        raise WeightsError("These are weights of MEMatte, which the library does not have.")
    options = _vitmatte_options(ours)
    kind = {384: "ViTMatte-S", 768: "ViTMatte-B"}.get(options["hidden"])
    authors = any(name.startswith("backbone.blocks.") for name in shapes)
    layout = "detectron2 (the authors')" if authors else "transformers"
    return Recognition(
        model="vitmatte",
        options=options,
        layout=layout,
        names=names,
        found=f"{kind or 'ViTMatte, width ' + number(options['hidden'] / 384)} in the layout of "
        f"{layout}.",
    )
