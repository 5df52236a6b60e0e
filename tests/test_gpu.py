# SPDX-License-Identifier: Apache-2.0
"""What a card must show; skipped visibly where there is none. And its code paths on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_nodes import MatteNode, runtime
from matte_nodes.errors import DeviceError
from matte_nodes.testing.scene import scene
from tests.conftest import needs_weights

no_card = runtime.nvidia_devices() == 0
on_a_card = [pytest.mark.gpu, pytest.mark.skipif(no_card, reason="no NVIDIA driver answers here")]


class TestOnACard:
    pytestmark = on_a_card

    def test_report_has_no_difference(self) -> None:
        from matte_nodes.diagnostics.gpu_report import report

        assert "DIFFERS" not in report("cuda")

    @needs_weights("rvm")
    def test_states_stay_on_the_card(self) -> None:
        from matte_nodes.node import frame

        node = MatteNode("rvm", device="cuda")
        given = frame.Given(scene(180, 320).plate)
        seen = frame.see(given, node.plate_color("scene_linear"))
        _, memory = node.step(seen.inputs, {})
        assert not any(isinstance(state, np.ndarray) for state in memory.values())
        assert all(runtime.to_host(state).ndim == 4 for state in memory.values())


@pytest.mark.skipif(not no_card, reason="there is a card here")
def test_report_without_a_card_is_an_error() -> None:
    from matte_nodes.diagnostics.gpu_report import report

    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        report("cuda")


def test_report_runs_on_the_cpu_as_far_as_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    from matte_nodes.diagnostics import gpu_report as bench_gpu

    monkeypatch.setattr(bench_gpu, "SIZES", ((64, 96),))
    monkeypatch.setattr(bench_gpu, "REPEATS", 1)
    monkeypatch.setattr(bench_gpu.models, "names", lambda: ["modnet", "trimap-cues"])
    text = bench_gpu.report("cpu")
    assert "modnet 96 x 64:" in text
    assert "foreground 96 x 64:" in text
    assert "trimap-cues 96 x 64 in tiles:" in text
    assert "Half precision is for cards" in text
    assert "DIFFERS" not in text


def test_states_of_every_kind_come_to_the_host() -> None:
    import torch

    state = np.ones((1, 2, 3, 4), np.float32)
    assert runtime.to_host(state) is state
    assert np.array_equal(runtime.to_host(torch.from_numpy(state).half()), state)


def test_io_binding_is_asked_as_documented() -> None:
    """A recording stand-in for a session: it proves our calls, not a card."""

    class Value:
        def __init__(self, name: str) -> None:
            self.name = name

        def numpy(self) -> str:
            return f"array of {self.name}"

    class Binding:
        def __init__(self) -> None:
            self.calls: list[tuple[object, ...]] = []
            self.outputs: list[str] = []

        def bind_cpu_input(self, name: str, value: object) -> None:
            self.calls.append(("cpu", name))

        def bind_ortvalue_input(self, name: str, value: object) -> None:
            self.calls.append(("kept", name))

        def bind_output(self, name: str, *where: object) -> None:
            self.calls.append(("out", name, *where))
            self.outputs.append(name)

        def synchronize_outputs(self) -> None:
            self.calls.append(("synchronised",))

        def get_outputs(self) -> list[Value]:
            return [Value(name) for name in self.outputs]

    class Session:
        def __init__(self) -> None:
            self.binding = Binding()

        def io_binding(self) -> Binding:
            return self.binding

        def run_with_iobinding(self, binding: Binding) -> None:
            binding.calls.append(("run",))

    session = Session()
    feed = {"src": np.zeros((1, 3, 2, 2), np.float32), "r1i": Value("r1i")}
    answers = runtime.run_session(
        session, runtime.Device("cuda", 1), feed, ["pha", "r1o"], stay=["r1o"]
    )
    assert session.binding.calls == [
        ("cpu", "src"), ("kept", "r1i"), ("out", "pha"), ("out", "r1o", "cuda", 1), ("run",),
        ("synchronised",),
    ]  # fmt: skip
    assert answers[0] == "array of pha"
    assert isinstance(answers[1], Value)


@needs_weights("rvm")
def test_rvm_in_torch_gives_the_onnx_answers() -> None:
    plates = [scene(96, 128, time=t).plate for t in range(3)]
    one = dict(MatteNode("rvm", downsample_ratio=0.5).connect(plates).render())
    two = dict(MatteNode("rvm", downsample_ratio=0.5, engine="torch").connect(plates).render())
    for number in one:
        assert np.abs(one[number].alpha - two[number].alpha).max() < 1e-3


def test_states_on_a_card_are_measured_and_kept(tmp_path: Path) -> None:
    """A stand-in for an OrtValue: the cache must neither ask it for nbytes nor pickle it."""
    from matte_nodes.temporal.cache import Cache
    from matte_nodes.temporal.store import Store

    class OnACard:
        def shape(self) -> list[int]:
            return [1, 2, 3, 4]

        def numpy(self) -> np.ndarray:
            return np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)

    store = Store(tmp_path)
    key = "a" * 64
    Cache("disk", store=store).keep_state(key, {"r1": OnACard()}, chain="c", place=0, length=1)
    found = Cache("disk", store=store).state(key)
    assert found is not None
    assert np.array_equal(found["r1"], OnACard().numpy())
    assert runtime.state_bytes(OnACard()) == 96
