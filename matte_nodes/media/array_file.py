# SPDX-License-Identifier: Apache-2.0
"""Pictures as .npy files: plain numbers, which any process can map into its memory.

No codec, no colour space, no windows, no metadata: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4),
straight alpha, uint8, uint16, float16 or float32, rows from the top, over the display window.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_nodes.errors import MediaError

SUFFIX = ".npy"
CHANNELS = {1: ("Y",), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}
_TYPES = ("uint8", "uint16", "float16", "float32")


def is_array(path: Path) -> bool:
    """Whether a file is one of these, by its name."""
    return path.suffix.lower() == SUFFIX


def opened(path: Path) -> NDArray[Any]:
    """The picture, (H, W, C), mapped and not yet read. Raises MediaError when it is none."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise MediaError(f"{path}: there is no such file") from error
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError, OverflowError) as error:
        raise MediaError(f"{path}: the file is damaged, not whole, or no array") from error
    if not isinstance(found, np.ndarray):  # an archive of several, under this name
        raise MediaError(f"{path}: the file holds several arrays; save one picture by numpy.save")
    shape = found.shape if found.ndim == 3 else (*found.shape, 1)
    if len(shape) != 3 or shape[2] not in CHANNELS or 0 in shape or found.dtype.name not in _TYPES:
        raise MediaError(
            f"{path}: {found.dtype} of shape {found.shape} is no picture; wanted is (H, W), "
            f"(H, W, 3) or (H, W, 4) in {', '.join(_TYPES)}"
        )
    picture: NDArray[Any] = found.reshape(shape)
    return picture
