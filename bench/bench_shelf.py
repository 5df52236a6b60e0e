# SPDX-License-Identifier: Apache-2.0
"""The large networks on two threads: seconds and memory of a picture, torch against onnxruntime.

Random weights: they cost the same. Every case runs in its own process; MB is what the process
grew by while it ran the network. Names may be given (`bench_shelf.py birefnet-t-1024`). The load
of the machine is printed, because seconds mean little beside other work; the seconds of the
processor (of both threads together) mean more there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

THREADS = 2
SWIN_L = {"embed": 192, "depths": (2, 2, 18, 2), "heads": (6, 12, 24, 48), "window": 12}
# name: module, class, options, inputs (channels each), (height, width), whether ONNX too
CASES: dict[str, tuple[str, str, dict[str, Any], tuple[int, ...], tuple[int, int], bool]] = {
    "birefnet-t-1024": ("birefnet", "BiRefNet", {}, (3,), (1024, 1024), True),
    "birefnet-t-2048": ("birefnet", "BiRefNet", {}, (3,), (2048, 2048), False),
    "birefnet-l-1024": ("birefnet", "BiRefNet", SWIN_L, (3,), (1024, 1024), False),
    "birefnet-l-2048": ("birefnet", "BiRefNet", SWIN_L, (3,), (2048, 2048), False),
    "vitmatte-s-1080p": ("vitmatte", "ViTMatte", {}, (4,), (1088, 1920), True),
    "vitmatte-b-1080p": (
        "vitmatte", "ViTMatte", {"hidden": 768, "heads": 12}, (4,), (1088, 1920), False,
    ),
    "rvm-resnet50-1080p": (
        "robust_video_matting", "RobustVideoMatting", {"backbone": "resnet50"}, (3,),
        (1088, 1920), False,
    ),
}  # fmt: skip


def _network(name: str) -> Any:
    import importlib

    import torch
    from torch import nn

    module, kind, options, _, _, _ = CASES[name]
    torch.manual_seed(0)
    network = getattr(importlib.import_module(f"matte_nodes.models.networks.{module}"), kind)
    built = network(**options).eval()
    for path, layer in built.named_modules():
        if path.endswith(("offset_conv", "modulator_conv")):
            # untrained offsets are all 0: trained ones reach some pixels
            nn.init.normal_(layer.weight, std=0.05)
    return built


def _inputs(name: str) -> tuple[Any, ...]:
    import torch

    _, _, _, channels, size, _ = CASES[name]
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(1, count, *size, generator=generator) for count in channels)


def _mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


Found = tuple[float, float, float]
"""Seconds, seconds of the processor, MB."""


def _timed(run: Any) -> Found:
    """The quicker of two runs, and what the process grew by."""
    import time

    before, taken = _mb(), []
    for _ in range(2):
        start, used = time.perf_counter(), time.process_time()
        run()
        taken.append((time.perf_counter() - start, time.process_time() - used))
    return min(taken)[0], min(used for _, used in taken), _mb() - before


def in_torch(name: str) -> Found:
    """One picture in torch."""
    import torch

    torch.set_num_threads(THREADS)
    network, inputs = _network(name), _inputs(name)
    with torch.inference_mode():
        if name.startswith("rvm"):
            return _timed(lambda: network(*inputs, downsample_ratio=512 / 1920))
        return _timed(lambda: network(*inputs))


def export(name: str, file: str) -> Found:
    """Write the ONNX file. Returns what that takes."""
    import torch

    network, inputs = _network(name), _inputs(name)

    def run() -> None:
        if Path(file).exists():
            return
        with torch.inference_mode():
            program = torch.onnx.export(
                network, inputs, dynamo=True, verbose=False, opset_version=20,
                input_names=[f"x{n}" for n in range(len(inputs))], output_names=["y"],
            )  # fmt: skip
        assert program is not None
        program.save(file, external_data=False)

    return _timed(run)


def in_onnx(name: str, file: str) -> Found:
    """One picture in onnxruntime."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    feed = {f"x{n}": tensor.numpy() for n, tensor in enumerate(_inputs(name))}
    return _timed(lambda: session.run(None, feed))


def _in_own_process(*words: str) -> Found | str:
    result = subprocess.run(
        [sys.executable, __file__, "--case", *words], capture_output=True, text=True, check=False
    )
    if result.returncode:
        return (result.stderr.strip().splitlines() or ["killed"])[-1][:70]
    seconds, used, mb = json.loads(result.stdout.splitlines()[-1])
    return seconds, used, mb


def _shown(found: Found | str) -> str:
    return (
        found
        if isinstance(found, str)
        else f"{found[0]:7.1f} s {found[1]:7.1f} s {found[2]:6.0f} MB"
    )


def main() -> int:
    """Print the table."""
    if sys.argv[1:2] == ["--case"]:
        step, *words = sys.argv[2:]
        steps: dict[str, Any] = {"torch": in_torch, "export": export, "onnx": in_onnx}
        print(json.dumps(steps[step](*words)))
        return 0
    names = sys.argv[1:] or list(CASES)
    print(f"{THREADS} threads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    print(f"{'network':20}{'torch: wall, cpu, memory':>29}{'onnxruntime':>29}")
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            line = f"{name:20}{_shown(_in_own_process('torch', name)):>29}"
            if CASES[name][5]:
                file = str(Path(scratch) / f"{name}.onnx")
                written = _in_own_process("export", name, file)
                found = written
                if not isinstance(written, str):
                    found = _in_own_process("onnx", name, file)
                line += f"{_shown(found):>29}"
            print(f"{line}   load {os.getloadavg()[0]:.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
