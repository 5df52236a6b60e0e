# SPDX-License-Identifier: Apache-2.0
"""The functions behind the buttons of MatteNode. Standard library only, Python 3.7 and newer.

In a window the work goes on in a thread; with `nuke -t` a call returns when it is done, and
raises when it failed.
"""

from .actions import (
    cancel,
    clear_clicks,
    click_along,
    click_box,
    click_not,
    click_subject,
    keys_of_roto,
    matte_frame,
    matte_range,
    reload,
    reset_range,
    reveal_cache,
)
from .callbacks import inputs_changed, knob_changed
from .farm_job import export as export_farm_job
from .trouble import Trouble
from .upkeep import create, prune, renew, renew_all

__all__ = [
    "Trouble", "cancel", "clear_clicks", "click_along", "click_box", "click_not", "click_subject",
    "create", "export_farm_job", "inputs_changed", "keys_of_roto", "knob_changed", "matte_frame",
    "matte_range", "prune", "reload", "renew", "renew_all", "reset_range", "reveal_cache",
]  # fmt: skip
