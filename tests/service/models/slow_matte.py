# SPDX-License-Identifier: Apache-2.0
"""A model for tests of the service: it notes each load in a file, waits, and fails when told to."""

import os
import time
from pathlib import Path

import numpy as np

from matte_nodes import Inputs, Knob, LoadContext, Memory, ModelCard, Prediction, Still

HURRY = Path(os.environ.get("MATTE_TEST_LOADS", os.devnull) + ".hurry")
"""While this file is there, no step waits: a test that has seen enough need not wait for the rest."""


class Slow:
    def __init__(self, context: LoadContext) -> None:
        self.gain = context.knobs["gain"]  # what loading reads makes another model
        note = os.environ.get("MATTE_TEST_LOADS")
        if note:
            with Path(note).open("a") as file:
                file.write(f"{os.getpid()} {self.gain}\n")

    def step(self, inputs: Inputs, memory: Memory, knobs):
        end = time.monotonic() + knobs["seconds"]
        while time.monotonic() < end and not HURRY.exists():
            time.sleep(min(0.02, max(end - time.monotonic(), 0.0)))
        mean = float(inputs.plate.mean())
        if knobs["crash"]:
            os._exit(9)
        if mean > knobs["fail_above"]:
            raise RuntimeError(f"mean {mean:.2f} is too bright")
        return Prediction((inputs.plate[..., 1] * np.float32(self.gain)).clip(0, 1)), {}


CARD = ModelCard(
    name="slow",
    title="Slow",
    summary="Waits.",
    load=Slow,
    memory=Still(),
    knobs=(
        Knob("seconds", "float", 0.0, low=0.0, high=60.0, help="How long a step takes."),
        Knob("gain", "float", 1.0, low=0.0, high=4.0, help="Read when the model is loaded."),
        Knob("fail_above", "float", 2.0, low=0.0, high=2.0, help="Fails at brighter plates."),
        Knob("crash", "bool", False, help="Takes the process down."),
    ),
    code_licence="MIT",
)
