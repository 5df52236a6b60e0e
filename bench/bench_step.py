# SPDX-License-Identifier: Apache-2.0
"""What would make a step faster on this processor: ratios to the step as it is, and what it costs.

    python bench/bench_step.py

onnxruntime: 8-bit weights and sums (dynamic, and static with calibration), a graph that was saved
after optimisation, spinning threads, all cores. torch: channels_last, compile, bfloat16. Least of
the processor time of several steps on one thread, except where threads are the question.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.scene import make_scene
from matte_nodes import models, runtime, weights

STEPS = 8


def least(call: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Milliseconds of one call, the least of several; the first is not counted."""
    call()
    took = []
    for _ in range(STEPS):
        began = clock()
        call()
        took.append(clock() - began)
    return 1e3 * min(took)


def session(path: Path, threads: int = 1, *, spin: bool = False) -> Any:
    """A session as `runtime.onnx_session` makes it, but for what is asked."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds(name: str) -> dict[str, Any]:
    """The inputs of one step of `rvm` at 720p or of `u2netp`."""
    height, width = (720, 1280) if name == "rvm" else (320, 320)
    plate = make_scene(width, height).plate.clip(0, 1).transpose(2, 0, 1)[None]
    plate = np.ascontiguousarray(plate, np.float32)
    if name == "u2netp":
        mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
        return {"input.1": (plate - mean) / np.float32(0.226)}
    states = {f"r{n}i": np.zeros((1, 1, 1, 1), np.float32) for n in range(1, 5)}
    return {"src": plate, "downsample_ratio": np.array([0.25], np.float32), **states}


def alpha(name: str, made: list[Any]) -> Any:
    """The alpha of a step."""
    return made[1 if name == "rvm" else 0][0, 0]


class Calibration:
    """Feeds for the static quantisation: the scene, shifted."""

    def __init__(self, name: str) -> None:
        given = feeds(name)
        plate = next(key for key in ("src", "input.1") if key in given)
        self._feeds = iter([{**given, plate: np.roll(given[plate], 40 * n, 3)} for n in range(4)])

    def get_next(self) -> dict[str, Any] | None:
        """The next feed."""
        return next(self._feeds, None)


def small(name: str, path: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files of 8 bits. What cannot be made is said."""
    from onnxruntime import quantization as q

    try:
        q.quantize_dynamic(str(path), str(folder / "dynamic.onnx"))
        yield "8 bits, dynamic", folder / "dynamic.onnx"
    except Exception as error:
        print(f"{name}, 8 bits, dynamic: cannot be made ({str(error).splitlines()[0][:90]})")
    try:
        q.quantize_static(
            str(path), str(folder / "static.onnx"), Calibration(name), per_channel=True,
            op_types_to_quantize=["Conv"],
        )  # fmt: skip
        yield "8 bits, static", folder / "static.onnx"
    except Exception as error:
        print(f"{name}, 8 bits, static: cannot be made ({str(error).splitlines()[0][:90]})")


def onnx(name: str, folder: Path) -> None:
    """Print the rows of an ONNX file."""
    import onnxruntime as ort

    path = weights.find(models.card(name).weights[0])
    if path is None:
        print(f"{name}: its weights are not here")
        return
    given, plain = feeds(name), session(path)
    base = least(lambda: plain.run(None, given))
    right = alpha(name, plain.run(None, given))
    print(f"{name}: one thread {base:.1f} ms")
    for title, file in small(name, path, folder):
        try:
            other = session(file)
            took = least(lambda other=other: other.run(None, given))
            error = np.abs(alpha(name, other.run(None, given)) - right)
        except Exception as failed:
            print(f"{name}, {title}: does not run ({str(failed).splitlines()[0][:90]})")
            continue
        print(f"{name}, {title}: time {took / base:.2f}, alpha off by {error.mean():.4f} on "
              f"average, {error.max():.2f} at most", flush=True)  # fmt: skip
    cores = runtime.cores()
    for spin in (False, True):
        many = session(path, cores, spin=spin)
        wall = least(lambda many=many: many.run(None, given), time.perf_counter)
        busy = least(lambda many=many: many.run(None, given))
        print(f"{name}, {cores} threads, {'spinning' if spin else 'sleeping'}: wall "
              f"{wall / base:.2f}, processor {busy / base:.2f}", flush=True)  # fmt: skip
    loaded = least(lambda: session(path))
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "saved.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    again = least(lambda: session(folder / "saved.onnx"))
    print(f"{name}: loading {loaded:.0f} ms, a saved graph {again / loaded:.2f} of it", flush=True)


def torch_rows(name: str, side: int) -> None:
    """Print the rows of a torch network, by its own weights or random ones."""
    import torch

    from matte_nodes.models.torch_network import network_of

    card = models.card(name)
    network = network_of(card, untrained=not weights.ready(card), knobs={})
    architecture = models.architecture(card)
    assert architecture is not None
    torch.set_num_threads(1)
    plate = torch.from_numpy(make_scene(side, side).plate.clip(0, 1).transpose(2, 0, 1).copy())
    pictures = {"plate": plate[None], "trimap": torch.full((1, 1, side, side), 0.5)}
    asked = [pictures[role] for role in architecture.inputs]

    def step(made: Any) -> Any:
        return dict(architecture.decode(made(*architecture.encoded(*asked))))["alpha"]

    with torch.inference_mode():
        base = least(lambda: step(network))
        right = step(network)
        print(f"{name}, {side} x {side}: one thread {base:.1f} ms")
        ways: dict[str, Callable[[], Any]] = {
            "channels_last": lambda: network.to(memory_format=torch.channels_last),
            "compile": lambda: torch.compile(network),
        }
        for title, make in ways.items():
            try:
                began = time.perf_counter()
                made = make()
                step(made)
                first = time.perf_counter() - began
                took = least(lambda made=made: step(made))
                error = float((step(made) - right).abs().max())
            except Exception as failed:
                print(f"{name}, {title}: does not run ({str(failed).splitlines()[0][:90]})")
                continue
            print(f"{name}, {title}: time {took / base:.2f}, alpha off by {error:.1e} at most, "
                  f"first step {first:.1f} s", flush=True)  # fmt: skip
        try:
            with torch.autocast("cpu", torch.bfloat16):
                took = least(lambda: step(network))
                error = float((step(network).float() - right).abs().max())
            print(f"{name}, bfloat16: time {took / base:.2f}, alpha off by {error:.3f} at most")
        except Exception as failed:
            print(f"{name}, bfloat16: does not run ({str(failed).splitlines()[0][:90]})")


def main() -> int:
    """Print every row."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("u2netp", "rvm"):
            folder = Path(place) / name
            folder.mkdir()
            onnx(name, folder)
    torch_rows("modnet", 512)
    torch_rows("trimap-cues", 512)
    return 0


if __name__ == "__main__":
    sys.exit(main())
