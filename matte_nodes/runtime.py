# SPDX-License-Identifier: Apache-2.0
"""Devices and providers. The requested device is used, or an error states why not."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matte_nodes.errors import DeviceError, WeightsError
from matte_nodes.reads import Reads

if TYPE_CHECKING:
    from numpy.typing import NDArray

DeviceKind = Literal["cpu", "cuda", "mps", "tensorrt"]
PROVIDERS: dict[DeviceKind, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}

# Instruction sets that change how numbers are worked out, by the names of the kernel.
_VECTOR = re.compile(
    r"sse|ssse|avx|fma|f16c|amx|bmi|asimd|sve|sme(?!p)|fp16|fphp|bf16|i8mm|svebf16|vnni"
)


@dataclass(frozen=True)
class Device:
    """The device on which a model runs: its kind, and the number of the card."""

    kind: DeviceKind
    index: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.index}" if self.kind in ("cuda", "tensorrt") else self.kind

    @property
    def torch(self) -> str:
        """The name torch knows it by; TensorRT is onnxruntime's alone, torch uses the card."""
        return f"cuda:{self.index}" if self.kind in ("cuda", "tensorrt") else self.kind


@cache
def nvidia_devices() -> int:
    """Return how many NVIDIA cards a loadable driver reports; 0 without a driver.

    Asked of the driver itself, because onnxruntime lists CUDA as available on machines that have
    none, and prints alarming errors when it is then tried.
    """
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def has_mps() -> bool:
    """Whether this is a Mac with Apple silicon."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def resolve_device(name: str = "auto") -> Device:
    """Return the device of this name; "auto" is the best available one.

    name: auto, cpu, cuda, cuda:N, mps, tensorrt or tensorrt:N.
    Raises DeviceError when this machine does not have the device.
    """
    kind, _, number = str(name).partition(":")
    if kind == "auto" and not number:
        if nvidia_devices():
            return Device("cuda")
        return Device("mps") if has_mps() else Device("cpu")
    if (number and not number.isdecimal()) or kind not in PROVIDERS:
        raise DeviceError(
            f"There is no device {name!r}. Use auto, cpu, cuda, cuda:N, mps or tensorrt."
        )
    if kind in ("cuda", "tensorrt"):
        index, cards = int(number or 0), nvidia_devices()
        if cards == 0:
            raise DeviceError(
                f"Device {name!r} was asked for, but no NVIDIA driver answers on this machine. "
                "Install the driver (nvidia-smi must work), or use --device cpu."
            )
        if index >= cards:
            raise DeviceError(
                f"Device {name!r} was asked for, but the driver reports {cards} card(s): "
                f"use {kind}:0 to {kind}:{cards - 1}."
            )
        return Device("cuda" if kind == "cuda" else "tensorrt", index)
    if number:
        raise DeviceError(f"Device {name!r}: {kind} takes no number. Use {kind!r}.")
    if kind == "mps" and not has_mps():
        raise DeviceError("Device 'mps' needs a Mac with Apple silicon. Use --device cpu.")
    return Device("mps" if kind == "mps" else "cpu")


def cores() -> int:
    """Return how many cores this process may use; $OMP_NUM_THREADS, as farms set it, says fewer."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(own or 2, int(told) if told.isdecimal() and int(told) else 1 << 16)


def default_threads(*, still: bool = False) -> int:
    """Threads for a network on the CPU: one core is left to decode and encode, but by stills.

    Measured on 2 cores at 720p: RVM takes 56 ms on one thread, 40 on two; with one, reading and
    writing run beside it and a frame of the whole pipeline costs about the 56 ms alone. A model of
    stills takes much longer than reading and writing: twelve frames of trimap-cues at
    800 x 480 take 9.2 s with one thread and 7.5 s with two.
    """
    return cores() if still else max(1, cores() - 1)


def use_threads(threads: int) -> None:
    """Set the number of torch threads for the calling thread; 0 is `default_threads`.

    Called at each step: several models are loaded at once, and torch keeps one number for each
    calling thread.
    """
    import torch

    wanted = threads or default_threads()
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


def onnx_session(path: Path, device: Device, threads: int = 0) -> Any:
    """Return an onnxruntime session that really runs on `device`.

    Raises DeviceError when the provider did not load (onnxruntime falls back to the CPU silently),
    WeightsError when the file is not a network that it can read.
    """
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    provider = PROVIDERS[device.kind]
    if provider not in ort.get_available_providers():
        raise DeviceError(
            f"This onnxruntime has no {provider} for device {device}. "
            "Install matte-nodes[cuda], or use --device cpu."
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.inter_op_num_threads = 1
    # Spinning threads would take the core that decodes and encodes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen: list[Any] = [provider]
    if device.kind in ("cuda", "tensorrt"):
        chosen = [(provider, {"device_id": str(device.index)})]
    try:
        session = ort.InferenceSession(str(path), options, providers=chosen)
    except Exception as error:  # onnxruntime raises its own unrelated classes
        if device.kind != "cpu":
            raise DeviceError(
                f"{path.name} cannot be loaded on {device}: {_first_line(error)}"
            ) from error
        raise WeightsError(
            f"{path} is not a network onnxruntime can read ({_first_line(error)}). "
            "Run `matte models verify`, then pull it again."
        ) from error
    used = session.get_providers()
    if used[0] != provider:
        raise DeviceError(
            f"Device {device} was asked for, but onnxruntime loaded {used[0]}: its CUDA libraries "
            "are missing or too old. Install matte-nodes[cuda], or use --device cpu."
        )
    return session


def run_session(
    session: Any,
    device: Device,
    feed: Mapping[str, Any],
    outputs: Sequence[str],
    stay: Sequence[str] = (),
) -> list[Any]:
    """Run a session; on a card the outputs named in `stay` are left there, as OrtValues.

    feed: arrays, or OrtValues of an earlier run, which are then not copied again. The card's
    part was written against onnxruntime's documentation and has not been run on a card.
    """
    if device.kind not in ("cuda", "tensorrt"):
        answers: list[Any] = session.run(list(outputs), dict(feed), _run_options(feed))
        return answers
    binding = session.io_binding()
    for name, value in feed.items():
        if isinstance(value, np.ndarray):
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
        else:
            binding.bind_ortvalue_input(name, value)
    for name in outputs:
        if name in stay:
            binding.bind_output(name, "cuda", device.index)
        else:
            binding.bind_output(name)
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    values = dict(zip(outputs, binding.get_outputs(), strict=True))
    return [values[name] if name in stay else values[name].numpy() for name in outputs]


LARGE_FEED = 110_000_000
"""Bytes of a picture from which a session gives its memory back after each run: over 4K."""


def _run_options(feed: Mapping[str, Any]) -> Any:
    """Return what onnxruntime is told of one run on the processor; None for nothing.

    A session keeps the memory of its largest run: 0.8 GB for `rvm` at 4K, four times that at 8K, while
    the foreground is solved. Giving it back takes 0.05 to 0.2 s at 4K, so frames of a clip keep it.
    """
    largest = max((v.nbytes for v in feed.values() if isinstance(v, np.ndarray)), default=0)
    if largest < LARGE_FEED:
        return None
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def to_host(state: Any) -> NDArray[np.float32]:
    """Return a memory's state as an array, wherever it lies (array, torch tensor or OrtValue)."""
    if isinstance(state, np.ndarray):
        return state
    if hasattr(state, "detach"):
        state = state.detach().float().cpu()
    found: NDArray[np.float32] = state.numpy()
    return found


def state_bytes(state: Any) -> int:
    """Return bytes of a memory's state, wherever it lies.

    An OrtValue tells its shape alone (float32).
    """
    if hasattr(state, "nbytes"):
        return int(state.nbytes)
    return 4 * int(np.prod(state.shape()))


def numerics_tag(device: Device, threads: int) -> str:
    """Return a text that names all that may change the last bits of a pixel: libraries with their
    versions, variables by which they choose their code, the processor, the device, threads.
    """
    reads = Reads()
    reads.libraries()
    reads.variables()
    reads.note("device", str(device))
    reads.note("threads", str(threads or default_threads()))
    reads.note("processor", processor())
    if device.kind in ("cuda", "tensorrt"):
        reads.note("driver", _nvidia_driver())
        reads.note("card", _card_name(device.index))
    return " ".join(f"{name.replace(' ', '_')}={value}" for name, value in reads.facts.items())


@cache
def processor() -> str:
    """The kind of processor, as far as numerical libraries choose their code by it.

    They ask for instruction sets; MKL and OpenBLAS ask for the maker, the family and the size of
    the cache too, and cut sums into other pieces.
    """
    try:
        text = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return " ".join(filter(None, [platform.machine(), platform.processor(), _brand()]))
    first = text.partition("\n\n")[0]
    told = {key.strip(): value.strip() for key, _, value in
            (line.partition(":") for line in first.splitlines())}  # fmt: skip
    names = ("vendor_id", "cpu family", "model", "cache size",
             "CPU implementer", "CPU architecture", "CPU part", "CPU variant")  # fmt: skip
    kind = [told[name].replace(" ", "") for name in names if name in told]
    words = sorted(set((told.get("flags") or told.get("Features") or "").split()))
    return "+".join([platform.machine(), *kind, *(word for word in words if _VECTOR.match(word))])


def _brand() -> str:
    """What a Mac calls its processor: its generations have other instructions."""
    if platform.system() != "Darwin":
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True, text=True, timeout=5, check=True,
        ).stdout.strip()  # fmt: skip
    return ""


@cache
def _card_name(index: int) -> str:
    """What the driver calls the card: kinds of cards cut sums into other pieces."""
    with contextlib.suppress(ImportError, RuntimeError, AssertionError):
        import torch

        return str(torch.cuda.get_device_name(index))
    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    with contextlib.suppress(OSError, IndexError):
        text = found[index].read_text("ascii", "replace")
        return text.partition("Model:")[2].split("\n")[0].strip()
    return ""


@cache
def _nvidia_driver() -> str:
    """The version of the driver, which brings compilers of its own; "" where it does not say."""
    try:
        return Path("/proc/driver/nvidia/version").read_text("ascii", "replace").split("\n")[0]
    except OSError:
        return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
