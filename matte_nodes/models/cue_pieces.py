# SPDX-License-Identifier: Apache-2.0
"""Runs the trimap network in pieces on a CPU, so that no full-size tensor exceeds the cache.

Full-size work runs in bands and strips, and the last part only where the trimap is unknown. The
result equals that of the whole network up to the last bits.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from matte_nodes.models.networks.cue_matting import MARGIN, SEEN, TrimapCues, widened

BAND = 64
STRIP = 128


def in_pieces(network: TrimapCues, planes: Tensor, coarse: Tensor | None = None) -> Tensor:
    """Return what the network's forward returns, for one picture."""
    net, height = network.net, planes.shape[2]
    bands = []
    for top in range(0, height, BAND):
        band = (slice(None), slice(None), slice(top, top + BAND))
        features, _ = network.seen(planes[band], None if coarse is None else coarse[band])
        bands.append(net.halved(features))
    deep = net.deep(torch.cat(bands, 2))
    trimap = planes[:, 15:16]
    alpha = (trimap > 0.75).to(planes)
    unknown = ((trimap >= 0.25) & (trimap <= 0.75))[0, 0].numpy()
    for top in range(0, height, STRIP):
        bottom = min(height, top + STRIP)
        found = np.flatnonzero(unknown[top:bottom].any(0))
        if not len(found):
            continue
        # Some more halved pixels on each side, as far as there are any, are cut off again below.
        rows = slice(*widened(top, bottom, height, MARGIN))
        columns = slice(*widened(int(found[0]), int(found[-1]) + 1, planes.shape[3], MARGIN))
        part = planes[:, :, rows, columns]
        given = None if coarse is None else coarse[:, :, rows, columns]
        features, offers = network.seen(part, given)
        halves = deep[
            :, :, rows.start // 2 : rows.stop // 2, columns.start // 2 : columns.stop // 2
        ]
        answer = network.kept(net.fine(halves, features[:, :SEEN], offers), part)
        inside = slice(int(found[0]), int(found[-1]) + 1)
        alpha[:, :, top:bottom, inside] = answer[
            :,
            :,
            top - rows.start : bottom - rows.start,
            inside.start - columns.start : inside.stop - columns.start,
        ]
    return alpha
