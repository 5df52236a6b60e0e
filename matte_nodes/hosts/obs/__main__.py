# SPDX-License-Identifier: Apache-2.0
"""`python -m matte_nodes.hosts.obs --memory N`: the daemon that an OBS filter starts.

N is an inherited descriptor (on Windows a handle). It ends when its standard input does.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import mmap
import os
import sys
import threading
from typing import Any

from matte_nodes import own_process
from matte_nodes.errors import MatteError, UsageError
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


NICE = 2
"""How far the daemon steps back behind OBS, 0 to 19.

Measured on two cores that two endless loops and more held: 2.9 mattes a second at 5, 6.1 at 2, 8.3 at
0; an OBS that draws little had 29.9, 29.8 and 29.6 frames of 30, one that draws by software about 26,
25 and 19.
"""


def step_back() -> None:
    """Give OBS the processor first, by `NICE` or by the variable MATTE_OBS_NICE.

    Raises UsageError when the variable is not a whole number from 0 to 19.
    """
    wish = os.environ.get("MATTE_OBS_NICE", str(NICE))
    if not (wish.isascii() and wish.isdecimal() and int(wish) <= 19):
        raise UsageError(
            f"MATTE_OBS_NICE is {wish!r}. It must be a whole number from 0 to 19. Correct it or "
            "remove it, and start OBS again."
        )
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(int(wish))


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
    faulthandler.enable(all_threads=False)  # OBS's log then says where a library crashed
    if sys.platform != "win32":
        os.closerange(handle + 1, 4096)  # cameras and sockets of OBS are not ours to hold
    threading.Thread(target=watch_input, daemon=True).start()
    try:
        step_back()
        Worker(Channel(attached(handle))).run(threading.Event())
    except (MatteError, ValueError, OSError) as error:
        print(f"matte live: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
