# SPDX-License-Identifier: Apache-2.0
"""Devices: what is asked for is what is used, or an error says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from matte_nodes import MatteNode, runtime
from matte_nodes.errors import DeviceError, WeightsError

no_card = pytest.mark.skipif(runtime.nvidia_devices() > 0, reason="there is a card here")


@no_card
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3", "tensorrt"])
def test_cuda_without_a_driver_is_an_error(name: str) -> None:
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        runtime.resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", "", "CUDA"])
def test_unknown_devices_are_errors(name: str) -> None:
    with pytest.raises(DeviceError):
        runtime.resolve_device(name)


@no_card
def test_auto_is_what_is_here() -> None:
    assert runtime.resolve_device("auto").kind in ("cpu", "mps")


def test_a_node_never_falls_back_silently() -> None:
    if runtime.nvidia_devices():
        pytest.skip("there is a card here")
    with pytest.raises(DeviceError):
        MatteNode("green-screen", device="cuda")


def test_session_that_fell_back_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime lists CUDA, fails to load it and runs on the CPU: that must be seen."""
    import onnxruntime

    class FellBack:
        def __init__(self, *args: object, **kwargs: object) -> None:
            pass

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "InferenceSession", FellBack)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(DeviceError, match="onnxruntime loaded CPUExecutionProvider"):
        runtime.onnx_session(tmp_path / "x.onnx", runtime.Device("cuda"))


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08\x07 no network")
    with pytest.raises(WeightsError, match=r"broken\.onnx"):
        runtime.onnx_session(path, runtime.Device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(runtime.nvidia_devices() == 0, reason="no NVIDIA driver answers here")
def test_cuda_is_really_used() -> None:
    assert runtime.resolve_device("auto").kind == "cuda"


def test_a_model_of_stills_has_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A video network leaves one to reading and writing; --threads overrules both."""
    monkeypatch.setattr(runtime, "cores", lambda: 6)
    assert MatteNode("green-screen").threads == 6
    assert MatteNode("rvm").threads == 5
    assert MatteNode("rvm", threads=2).threads == 2
    monkeypatch.setattr(runtime, "cores", lambda: 1)
    assert MatteNode("rvm").threads == 1


@pytest.mark.parametrize(("told", "most"), [("1", 1), ("3", 3), ("0", 8), ("", 8), ("2,3", 8)])
def test_the_farms_number_of_threads(monkeypatch: pytest.MonkeyPatch, told: str, most: int) -> None:
    """$OMP_NUM_THREADS bounds what a process takes; nonsense in it does not."""
    monkeypatch.setattr(
        runtime.os, "sched_getaffinity", lambda process: set(range(8)), raising=False
    )
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert runtime.cores() == most


def test_cards_of_other_kinds_have_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = set()
    for name in ("NVIDIA L4", "NVIDIA H100"):
        monkeypatch.setattr(runtime, "_card_name", lambda index, name=name: f"{name} {index}")
        tags.add(runtime.numerics_tag(runtime.Device("cuda", 0), 1))
    assert len(tags) == 2
