# SPDX-License-Identifier: Apache-2.0
"""`python -m matte_nodes.hosts.obs --memory N`: the daemon that an OBS filter starts.

N is an inherited descriptor (on Windows a handle). It ends when its standard input does.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import sys
import threading
from typing import Any

from matte_nodes import own_process
from matte_nodes.hosts.obs.protocol import SIZE, Channel, ProtocolError
from matte_nodes.hosts.obs.worker import Worker


def attached(handle: int) -> Any:
    """Return the shared memory as a writable buffer of SIZE bytes."""
    if sys.platform == "win32":
        import ctypes

        view = ctypes.windll.kernel32.MapViewOfFile
        view.restype = ctypes.c_void_p
        view.argtypes = [ctypes.c_void_p, *[ctypes.c_uint32] * 3, ctypes.c_size_t]
        address = view(handle, 0xF001F, 0, 0, SIZE)
        if not address:
            raise ProtocolError("The filter's shared memory cannot be opened. Start OBS again.")
        return (ctypes.c_uint8 * SIZE).from_address(address)
    return mmap.mmap(handle, SIZE)


def watch_input() -> None:
    """End the process at once when the filter closes our standard input."""
    with contextlib.suppress(OSError):
        while os.read(0, 64):
            pass
    os._exit(0)


def main() -> int:
    """Serve the filter."""
    parser = argparse.ArgumentParser(prog="python -m matte_nodes.hosts.obs", description=__doc__)
    parser.add_argument("--memory", type=int, required=True)
    handle = parser.parse_args().memory
    own_process.set_up()
    if sys.platform != "win32":
        os.closerange(handle + 1, 4096)  # cameras and sockets of OBS are not ours to hold
        with contextlib.suppress(OSError):
            os.nice(5)
    threading.Thread(target=watch_input, daemon=True).start()
    try:
        Worker(Channel(attached(handle))).run(threading.Event())
    except (ProtocolError, ValueError, OSError) as error:
        print(f"matte live: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
