# SPDX-License-Identifier: Apache-2.0
"""Hostile, damaged and foreign files: refused with a reason, and never run."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

from matte_nodes import checkpoints, models
from matte_nodes.checkpoints.onnx_file import _normalised
from matte_nodes.errors import WeightsError
from matte_nodes.models.networks.deep_image_matting import DeepImageMatting
from matte_nodes.models.networks.robust_video_matting import ARCHITECTURE as RVM
from matte_nodes.models.networks.robust_video_matting import RobustVideoMatting
from matte_nodes.models.networks.selfie import ARCHITECTURE as SELFIE
from matte_nodes.models.networks.selfie import Selfie

from .layouts import inputs, mediapipe, plain

Alive = Callable[[nn.Module], nn.Module]
ALL = models.architectures()
ran: list[str] = []


class _Bomb:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return ran.append, ("boom",)


@pytest.mark.parametrize("old", [False, True])
def test_a_pickled_module_is_refused_and_not_run(tmp_path: Path, old: bool) -> None:
    path = tmp_path / "BEST_checkpoint.tar"
    content = {"epoch": 3, "model": nn.DataParallel(nn.Linear(2, 2)), "bomb": _Bomb()}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(WeightsError, match="is refused") as error:
        checkpoints.read_tensors(path)
    assert "module.state_dict()" in str(error.value)
    assert "torch.nn.parallel.data_parallel.DataParallel" in str(error.value)
    assert ran == []


def test_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": _Bomb()}))
    with pytest.raises(WeightsError):
        checkpoints.read_tensors(path)
    assert ran == []


def test_arrays_of_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "variables.npz"
    np.savez(path, a=np.array([_Bomb()], dtype=object))
    with pytest.raises(WeightsError, match="refused"):
        checkpoints.read_tensors(path)
    assert ran == []


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".npz", ".onnx", ".tflite"])
@pytest.mark.parametrize("keep", [0, 7, 0.3, 0.95])
def test_files_cut_short(tmp_path: Path, suffix: str, keep: float) -> None:
    whole = tmp_path / f"whole{suffix}"
    tensors = plain(DeepImageMatting(0.0625))
    if suffix == ".safetensors":
        save_file(tensors, whole)
    elif suffix == ".pth":
        torch.save(tensors, whole)
    elif suffix == ".npz":
        np.savez(whole, **{name: tensor.numpy() for name, tensor in tensors.items()})
    elif suffix == ".onnx":
        whole.write_bytes(_onnx(RobustVideoMatting()))
    else:
        whole.write_bytes(_tflite({n: t.numpy() for n, t in mediapipe(plain(Selfie())).items()}))
    data = whole.read_bytes()
    assert checkpoints.read_tensors(whole)
    part = tmp_path / f"part{suffix}"
    part.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    with pytest.raises(WeightsError):
        checkpoints.inspect(part, ALL)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".npz", ".onnx", ".tflite", ".bin"])
def test_noise_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"noise{suffix}"
    for seed in range(8):
        path.write_bytes(np.random.default_rng(seed).bytes(4096))
        with pytest.raises(WeightsError):
            checkpoints.read_tensors(path)


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    tensors = {"conv2d/Kernel": np.ones((16, 3, 3, 3), np.float32), "conv2d/Bias": np.ones(16)}
    tflite = _tflite({name: array.astype(np.float16) for name, array in tensors.items()})
    graph = helper.make_graph(
        [], "g", [], [], [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    )
    for suffix, data in (
        (".tflite", tflite),
        (".onnx", helper.make_model(graph).SerializeToString()),
    ):
        path = tmp_path / f"damaged{suffix}"
        refused = 0
        for _ in range(300):
            spoilt = bytearray(data)
            for at in random.integers(8, len(data), 3):
                spoilt[at] = int(random.integers(256))
            path.write_bytes(spoilt)
            try:
                checkpoints.read_tensors(path)
            except WeightsError:
                refused += 1
        assert refused > 0


def test_tensorflow_checkpoints_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt-1000.index"
    path.write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"numpy\.savez"):
        checkpoints.read_tensors(path)
    with pytest.raises(WeightsError, match="no file"):
        checkpoints.read_tensors(tmp_path / "absent.pth")


def test_torchscript_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "script.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"script/{name}", b"")
    with pytest.raises(WeightsError, match="TorchScript"):
        checkpoints.read_tensors(path)


def test_tensors_of_nothing_known(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "strange.safetensors")
    with pytest.raises(WeightsError, match=r"strange\.safetensors: .*belong to no network"):
        checkpoints.load(tmp_path / "strange.safetensors", ALL)


def _onnx(network: nn.Module) -> bytes:
    """The tensors as RVM's published exporter leaves them: normalisation folded, names lost."""
    state = network.state_dict()
    after = {conv: (norm, eps) for conv, norm, eps in _normalised(network)}
    nodes, kept = [], []
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d) or name.startswith("project_seg"):
            continue
        weight, names = state[f"{name}.weight"], [f"{name}.weight", f"{name}.bias"]
        bias = state.get(f"{name}.bias")
        if name in after:
            norm, eps = after[name]
            scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + eps).sqrt()
            bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
            weight = weight * scale[:, None, None, None]
            names = [str(1000 + 2 * len(nodes)), str(1001 + 2 * len(nodes))]
        tensors = [weight] if bias is None else [weight, bias]
        for label, tensor in zip(names, tensors, strict=False):
            kept.append(numpy_helper.from_array(tensor.numpy(), label))
        nodes.append(helper.make_node("Conv", ["x", *names[: len(tensors)]], [f"y{name}"]))
        nodes.append(helper.make_node("Relu", [f"y{name}"], [f"z{name}"]))
    model: onnx.ModelProto = helper.make_model(helper.make_graph(nodes, "rvm", [], [], kept))
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize("backbone", ["mobilenetv3", "resnet50"])
def test_folded_video_matting_gives_the_same_answer(
    backbone: str, alive: Alive, tmp_path: Path
) -> None:
    network = alive(RobustVideoMatting(backbone))  # type: ignore[arg-type]
    path = tmp_path / "rvm.onnx"
    path.write_bytes(_onnx(network))
    loaded, recognition = checkpoints.load(path, ALL)
    assert recognition.options == {"backbone": backbone}
    assert "segmentation head is not in it" in recognition.summary
    picture = inputs(RVM)[0]
    ours, theirs = loaded(picture, downsample_ratio=0.5), network(picture, downsample_ratio=0.5)
    assert torch.allclose(ours.alpha, theirs.alpha, atol=1e-5)
    assert torch.allclose(ours.foreground, theirs.foreground, atol=1e-3)
    assert all(
        torch.allclose(a, b, atol=1e-4) for a, b in zip(ours.states, theirs.states, strict=True)
    )


def test_a_folded_convolution_with_a_bias_of_its_own_gives_the_same_answer(alive: Alive) -> None:
    from matte_nodes.checkpoints.onnx_file import is_folded, unfolded

    network = alive(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
    )
    state = network.state_dict()
    scale = state["1.weight"] / (state["1.running_var"] + network[1].eps).sqrt()
    tensors = {
        "17": state["0.weight"] * scale[:, None, None, None],
        "18": (state["0.bias"] - state["1.running_mean"]) * scale + state["1.bias"],
        "3.weight": state["3.weight"], "3.bias": state["3.bias"],
    }  # fmt: skip
    convolutions = (("x", "17", "18"), ("y", "3.weight", "3.bias"))
    assert is_folded(tensors, convolutions)
    again = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
    again.load_state_dict(
        {**unfolded(again, tensors, convolutions), "1.num_batches_tracked": torch.tensor(0)}
    )
    picture = torch.rand(1, 3, 8, 8)
    assert torch.allclose(again.eval()(picture), network(picture), atol=1e-5)


def _tflite(arrays: dict[str, np.ndarray]) -> bytes:
    """A TensorFlow Lite file with these constant tensors (schema: Model, SubGraph, Tensor)."""
    builder = flatbuffers.Builder(1 << 20)
    kinds = {"float32": 0, "float16": 1, "int32": 2}

    def table(fields: list[tuple[int, str, int]], count: int) -> int:
        builder.StartObject(count)
        for slot, kind, value in fields:
            if kind == "offset":
                builder.PrependUOffsetTRelativeSlot(slot, value, 0)
            elif kind == "byte":
                builder.PrependInt8Slot(slot, value, 0)
            else:
                builder.PrependUint32Slot(slot, value, 0)
        return int(builder.EndObject())

    def vector(offsets: list[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    tensors, buffers = [], [table([], 1)]
    for number, (name, array) in enumerate(arrays.items(), 1):
        label = builder.CreateString(name)
        shape = builder.CreateNumpyVector(np.array(array.shape, np.int32))
        fields = [(0, "offset", shape), (1, "byte", kinds[str(array.dtype)]), (2, "uint", number)]
        tensors.append(table([*fields, (3, "offset", label)], 4))
        content = builder.CreateNumpyVector(np.frombuffer(array.tobytes(), np.uint8))
        buffers.append(table([(0, "offset", content)], 1))
    graph = table([(0, "offset", vector(tensors))], 1)
    graphs, blobs = vector([graph]), vector(buffers)
    builder.Finish(table([(0, "uint", 3), (2, "offset", graphs), (4, "offset", blobs)], 5), b"TFL3")
    return bytes(builder.Output())


def test_mediapipe_file_gives_the_same_answer(alive: Alive, tmp_path: Path) -> None:
    network = alive(Selfie())
    half = {name: tensor.half().float() for name, tensor in plain(network).items()}
    network.load_state_dict(half)
    arrays = {
        name: tensor.numpy().astype(np.int32 if "Size" in name else np.float16)
        for name, tensor in mediapipe(half).items()
    }
    path = tmp_path / "selfie_segmentation.tflite"
    path.write_bytes(_tflite(arrays))
    loaded, recognition = checkpoints.load(path, ALL)
    assert recognition.layout == "MediaPipe tflite"
    picture = inputs(SELFIE)[0]
    assert torch.equal(loaded(picture), network(picture))
