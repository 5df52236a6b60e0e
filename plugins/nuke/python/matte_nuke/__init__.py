# SPDX-License-Identifier: Apache-2.0
"""The functions behind the buttons of MatteNode. Standard library only, Python 3.7 and newer.

In a window the work goes on in a thread; with `nuke -t` a call returns when it is done, and
raises when it failed.
"""

from .actions import (
    cancel,
    clear_clicks,
    click_along,
    click_not,
    click_subject,
    export_farm_job,
    inputs_changed,
    knob_changed,
    matte_frame,
    matte_range,
    reset_range,
    reveal_cache,
)
from .trouble import Trouble

__all__ = [
    "Trouble", "cancel", "clear_clicks", "click_along", "click_not", "click_subject",
    "export_farm_job", "inputs_changed", "knob_changed", "matte_frame", "matte_range", "reset_range", "reveal_cache",
]  # fmt: skip
