# SPDX-License-Identifier: Apache-2.0
"""Sets up a process that is ours alone: the command, the service, the live worker. Never a host's."""

from __future__ import annotations

import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's mallopt(3)."""

LARGEST_KEPT = 32 << 20
"""Bytes of the largest buffer that is kept for the next frame: glibc takes no larger limit.

It is enough for a picture of 1080p in three channels of float32.
"""

_FREE_KEPT = 256 << 20
"""Bytes of free memory at the heap's end that stay with the process."""


def set_up() -> None:
    """Let waiting threads sleep, and keep freed buffers for the next frame.

    OpenMP's waiting threads spin by default: on a busy machine they take the processor from the
    threads that they wait for. It reads its variable when torch is loaded; one that you set stays.
    glibc returns each large buffer to the system and takes it back, page by page, at the next frame.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform.startswith("linux"):
        _keep_buffers()


def _keep_buffers() -> None:
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, _FREE_KEPT)
