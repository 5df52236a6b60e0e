# SPDX-License-Identifier: Apache-2.0
"""The button Export farm job: the same request as a bundle, and a node that waits for its frames."""

from __future__ import annotations

import os
import threading
from typing import Any

import nuke

from . import farm, host, runs, upkeep, upstream, versions
from .plan import RunPlan
from .setup import Setup
from .trouble import Trouble


def export(node: Any = None) -> None:
    """Write a bundle that mattes the range on a farm, and show its frames as they appear."""
    face = host.Face(node or nuke.thisNode())
    try:
        upkeep.check(face.node)
        setup = Setup()
        plan = RunPlan(face.node, nuke.root(), setup, host.nuke_folder())
        if nuke.root().proxy():
            raise Trouble("Proxy mode is on: a farm job is made at full size. Turn it off.")
        settings = versions.settings_hash(plan.request(plan.base))
        inputs = upstream.noted(face.node)
        folder = farm.bundle_folder(plan.base, settings)
        os.makedirs(os.path.join(folder, "out"))
        runs.render_inputs(face, plan, folder)
        face.say("writing the farm job")
    except host.Cancelled:
        face.say("cancelled")
        return
    except Trouble as error:
        runs.fail(face, str(error))
        return

    def shown(trouble: str) -> None:
        if trouble:
            face.say("error", trouble)
            return
        file = os.path.join(folder, "out", versions.RESULT)
        face.show(file, list(plan.frames), settings, inputs, proxy=False)
        face.say("farm job: " + os.path.join(folder, "bundle"))

    def work() -> None:
        trouble = ""
        try:
            bundle = os.path.join(folder, "bundle")
            farm.write(setup.python, setup.home, plan.request(folder), bundle)
        except Trouble as error:
            trouble = str(error)
        host.on_main(shown, trouble)
        if trouble and not nuke.GUI:
            raise Trouble(trouble)

    if nuke.GUI:
        threading.Thread(target=work, name="matte farm", daemon=True).start()
    else:
        work()
