# SPDX-License-Identifier: Apache-2.0
"""Published ONNX files: recognised by signature, declared, run equal to torch; garbage is refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import Tensor, nn

from matte_nodes import MatteNode, models, weights
from matte_nodes.card import Inputs
from matte_nodes.checkpoints.onnx_file import signature
from matte_nodes.cli import matte
from matte_nodes.errors import MatteError, ModelError, WeightsError
from matte_nodes.models.networks.vitmatte import ViTMatte
from matte_nodes.models.onnx_answers import alpha_of
from matte_nodes.models.onnx_families import declaration, declared_for, recognised
from matte_nodes.models.onnx_pictures import Fit, Picture
from matte_nodes.testing.scene import Scene, scene

onnx = pytest.importorskip("onnx")

SIDE = 128
MADE = scene(SIDE, SIDE)


def write(network: nn.Module, path: Path, given: Mapping[str, Tensor], outputs: list[str]) -> Path:
    """Write a network as its authors did: the bare network, their names, one size."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), tuple(given.values()), str(path), input_names=list(given),
            output_names=outputs, opset_version=17, dynamo=False,
        )  # fmt: skip
    return path


class Bare(nn.Module):
    """A network with the outputs that its authors' file has."""

    def __init__(self, network: nn.Module, answer: Callable[[Any], Any], **call: Any) -> None:
        super().__init__()
        for name, part in network.named_children():
            self.add_module(name, part)
        object.__setattr__(self, "network", network)
        self.answer, self.call = answer, call

    def forward(self, *tensors: Tensor) -> Any:
        return self.answer(self.network(*tensors, **self.call))


def torch_node(model: str) -> tuple[MatteNode, nn.Module]:
    """A small untrained node of ours and its network, with answers that are not all alike."""
    architecture = models.architecture(models.card(model))
    assert architecture is not None
    node = MatteNode(model, device="cpu", threads=1, untrained=True, **architecture.small)
    holder = getattr(node.model, "network", None) or node.model._network  # type: ignore[attr-defined]
    return node, holder.network


def imported(path: Path, *options: str) -> str:
    """Import through the command; returns what it said."""
    result = CliRunner().invoke(matte, ["models", "import", str(path), *options])
    assert result.exit_code == 0, result.output
    return result.output


def plates(channels: int = 3) -> Tensor:
    return torch.rand(1, channels, SIDE, SIDE)


def compare(own: MatteNode, path: Path, made: Scene = MADE, **hints: Any) -> None:
    """Both nodes on the same picture at the file's size."""
    expected = own(made.plate, **hints).alpha
    found = MatteNode(str(path), device="cpu", threads=1)(made.plate, **hints).alpha
    assert expected.max() - expected.min() > 1e-4
    assert np.abs(found - expected).max() < 2e-3


class Bire(nn.Module):
    """A small network with tensor names of BiRefNet; like it, it answers logits."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.bb = nn.ModuleDict({"patch_embed": nn.Conv2d(3, 4, 3, padding=1)})
        self.decoder = nn.ModuleDict({"conv_out1": nn.Conv2d(4, 1, 3, padding=1)})

    def forward(self, picture: Tensor) -> Tensor:
        seen = 20 * F.relu(self.bb["patch_embed"](picture))
        return self.decoder["conv_out1"](seen)  # type: ignore[no-any-return]


def test_birefnet_round_trips(tmp_path: Path) -> None:
    network = Bire()
    path = write(network, tmp_path / "net.onnx", {"input_image": plates()}, ["output_image"])
    assert "BiRefNet" in imported(path)
    node = MatteNode(str(path), device="cpu", threads=1)
    by_name = MatteNode("birefnet", device="cpu", threads=1, weights=path)
    seen = node.plate_color("scene_linear").to_network(MADE.plate)
    prepared = (seen - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.inference_mode():
        logits = network(torch.from_numpy(prepared).float().permute(2, 0, 1)[None])
    assert logits.max() > 2
    expected = torch.sigmoid(logits)[0, 0].numpy()
    for run in (node, by_name):
        assert np.abs(run(MADE.plate).alpha - expected).max() < 2e-3


@pytest.mark.slow
def test_our_birefnet_round_trips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, network = torch_node("birefnet")
    # The old exporter knows no DeformConv: the network's own samples go into the file.
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: False)
    bare = Bare(network, lambda answer: getattr(answer, "alpha", answer))
    path = write(
        bare, tmp_path / "net.onnx", {"input_image": torch.rand(1, 3, 256, 256)}, ["output_image"]
    )
    told = imported(path)
    assert "BiRefNet" in told
    assert json.loads(path.with_suffix(".json").read_text())["activation"] == "sigmoid"
    made = scene(256, 256)
    expected = own(made.plate).alpha
    found = MatteNode(str(path), device="cpu", threads=1)(made.plate).alpha
    by_name = MatteNode("birefnet", device="cpu", threads=1, weights=path)(made.plate).alpha
    assert np.abs(found - expected).max() < 2e-3
    assert np.abs(by_name - expected).max() < 2e-3


def test_modnet_round_trips(tmp_path: Path) -> None:
    own = MatteNode("modnet", device="cpu", threads=1, untrained=True, reference_size=SIDE)
    network = own.model.network.network  # type: ignore[attr-defined]
    bare = Bare(network, lambda answer: answer if isinstance(answer, Tensor) else answer[-1])
    path = write(bare, tmp_path / "net.onnx", {"input": plates()}, ["output"])
    assert "MODNet" in imported(path)
    compare(own, path)


SMALL: dict[str, Any] = {
    "hidden": 24, "heads": 3, "depth": 2, "whole": (1,), "window": 3, "side": 5, "positions": 26,
    "stream": (4, 6, 8), "fusion": (12, 10, 8, 6), "head": 3,
}  # fmt: skip


def test_vitmatte_with_four_channels_round_trips(tmp_path: Path) -> None:
    torch.manual_seed(4)
    torch.save(ViTMatte(**SMALL).state_dict(), tmp_path / "small.pth")
    own = MatteNode("vitmatte", device="cpu", threads=1, weights=tmp_path / "small.pth")
    network = own.model.network.network  # type: ignore[attr-defined]
    bare = Bare(network, lambda answer: getattr(answer, "alpha", answer))
    given = {"pixel_values": torch.rand(1, 4, 64, 64)}
    path = write(bare, tmp_path / "net.onnx", given, ["alphas"])
    told = imported(path)
    assert "ViTMatte" in told
    assert "--trimap trimap.png" in told
    assert models.card(str(path)).needs == {"trimap"}
    made = scene(64, 64)
    compare(own, path, made, trimap=made.trimap)


def test_background_matting_v2_round_trips(tmp_path: Path) -> None:
    own = MatteNode(
        "background-matting-v2", device="cpu", threads=1, untrained=True, refine_mode="full"
    )
    network = own.model.network.network  # type: ignore[attr-defined]
    architecture = models.architecture(own.card)
    assert architecture is not None
    call = architecture.call({k.name: k.default for k in own.card.knobs} | {"refine_mode": "full"})
    bare = Bare(network, lambda answer: (answer.alpha, answer.foreground), **call)
    path = write(bare, tmp_path / "net.onnx", {"src": plates(), "bgr": plates()}, ["pha", "fgr"])
    assert "Background Matting V2" in imported(path)
    card = models.card(str(path))
    assert card.predicts_foreground
    assert card.needs == {"background"}
    compare(own, path, background=MADE.background)


class Nested(nn.Module):
    """A small network with the tensor names of U2-Net (outconv) or IS-Net (conv_in)."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        if kind == "isnet":
            self.conv_in = nn.Conv2d(3, 3, 3, padding=1)
        for n in range(1, 7):
            self.add_module(f"side{n}", nn.Conv2d(3, 1, 3, padding=1))
        if kind == "u2net":
            self.outconv = nn.Conv2d(6, 1, 1)

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        picture = self.conv_in(picture) if hasattr(self, "conv_in") else picture
        sides = [getattr(self, f"side{n}")(picture) for n in range(1, 7)]
        first = self.outconv(torch.cat(sides, 1)) if hasattr(self, "outconv") else sides[0]
        return tuple(torch.sigmoid(side) for side in (first, *sides))


class Ben(nn.Module):
    """A small network with tensor names of BEN2, in half precision as its published file."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.multifieldcrossatt = nn.Conv2d(3, 4, 3, padding=1)
        self.output = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        return torch.sigmoid(self.output(F.relu(self.multifieldcrossatt(picture))))


def stretched(answer: Tensor) -> np.ndarray:
    plane = answer[0, 0].float().numpy()
    return np.asarray((plane - plane.min()) / (plane.max() - plane.min()))


NESTED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "u2net": lambda seen: (
        (seen / seen.max() - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    ),
    "isnet": lambda seen: seen - 0.5,
    "ben2": lambda seen: seen,
}  # fmt: skip


@pytest.mark.parametrize("kind", NESTED)
def test_stretched_answers_round_trip(kind: str, tmp_path: Path) -> None:
    """U2-Net, IS-Net and BEN2: prepared and stretched as their authors do."""
    network = Ben() if kind == "ben2" else Nested(kind)
    outputs = ["mask"] if kind == "ben2" else [f"d{n}" for n in range(7)]
    path = write(network, tmp_path / "net.onnx", {"input_image": plates()}, outputs)
    family = recognised(signature(path))
    assert family is not None
    assert family.model == kind
    imported(path)
    node = MatteNode(str(path), device="cpu", threads=1)
    seen = node.plate_color("scene_linear").to_network(MADE.plate)
    prepared = torch.from_numpy(NESTED[kind](seen)).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        answer = network(prepared)
    expected = stretched(answer if isinstance(answer, Tensor) else answer[0])
    assert np.abs(node(MADE.plate).alpha - expected).max() < 2e-3
    assert declared_for(path, kind)["activation"] == "min-max"


def rvm_file(path: Path) -> Path:
    """A file with the published names of Robust Video Matting; alpha is the red channel."""
    helper, value = onnx.helper, onnx.helper.make_tensor_value_info
    rank4: Any = [None] * 4
    names = ("src", "r1i", "r2i", "r3i", "r4i", "downsample_ratio")
    given = [value(name, 1, [1] if name == "downsample_ratio" else rank4) for name in names]
    nodes = [
        helper.make_node("Identity", ["src"], ["fgr"]),
        helper.make_node("Gather", ["src", "red"], ["pha"], axis=1),
        *(helper.make_node("Identity", [f"r{n}i"], [f"r{n}o"]) for n in (1, 2, 3, 4)),
    ]
    outputs = [value(name, 1, rank4) for name in ("fgr", "pha", "r1o", "r2o", "r3o", "r4o")]
    red = onnx.numpy_helper.from_array(np.array([0], np.int64), "red")
    graph = helper.make_graph(nodes, "rvm", given, outputs, [red])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def test_robust_video_matting_round_trips(tmp_path: Path) -> None:
    path = rvm_file(tmp_path / "net.onnx")
    told = imported(path)
    assert "Robust Video Matting" in told
    assert "--model rvm --weights" in told
    node = MatteNode(str(path), device="cpu", threads=1)
    assert type(node.card.memory).__name__ == "Recurrent"
    seen = node.plate_color("scene_linear").to_network(MADE.plate)
    assert np.abs(node(MADE.plate).alpha - seen[..., 0]).max() < 1e-3


def made_file(
    path: Path, *, scale: float = 1.0, shift: float = 0.0, channels: int = 3, half: bool = False,
    last: str = "",
) -> Path:  # fmt: skip
    """A file whose answer is red * scale + shift; of an unknown family."""
    helper = onnx.helper
    kind = onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    number = np.float16 if half else np.float32
    given = helper.make_tensor_value_info("img", kind, ["n", channels, "h", "w"])
    out = helper.make_tensor_value_info("out", kind, ["n", 1, "h", "w"])
    constants = [
        onnx.numpy_helper.from_array(
            np.array([channels - 1 if channels == 4 else 0], np.int64), "c"
        ),
        onnx.numpy_helper.from_array(np.array(scale, number), "scale"),
        onnx.numpy_helper.from_array(np.array(shift, number), "shift"),
    ]
    nodes = [
        helper.make_node("Gather", ["img", "c"], ["one"], axis=1),
        helper.make_node("Mul", ["one", "scale"], ["more"]),
        helper.make_node("Add", ["more", "shift"], ["end" if last else "out"]),
    ]
    if last:
        nodes.append(helper.make_node(last, ["end"], ["out"]))
    graph = helper.make_graph(nodes, "made", [given], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def declare(path: Path, **told: Any) -> MatteNode:
    """A node on a made file with this declaration."""
    declared = {"inputs": {"plate": "img"}, "outputs": {"alpha": "out"}, **told}
    path.with_suffix(".json").write_text(json.dumps(declared))
    return MatteNode(str(path), device="cpu", threads=1)


def test_logits_are_an_error_that_says_so(tmp_path: Path) -> None:
    node = declare(made_file(tmp_path / "net.onnx", scale=20, shift=-10))
    with pytest.raises(ModelError, match=r'look like logits: set "activation" to "sigmoid"'):
        node(MADE.plate)


def test_logits_with_a_sigmoid_are_a_matte(tmp_path: Path) -> None:
    node = declare(made_file(tmp_path / "net.onnx", scale=20, shift=-10), activation="sigmoid")
    seen = node.plate_color("scene_linear").to_network(MADE.plate)[..., 0]
    assert np.abs(node(MADE.plate).alpha - 1 / (1 + np.exp(10 - 20 * seen))).max() < 1e-3


def test_an_answer_of_5_to_6_is_an_error(tmp_path: Path) -> None:
    node = declare(made_file(tmp_path / "net.onnx", shift=5))
    with pytest.raises(ModelError, match=r"values from 5 to 5\.98"):
        node(MADE.plate)


def test_8_bit_answers_are_named(tmp_path: Path) -> None:
    node = declare(made_file(tmp_path / "net.onnx", scale=255))
    with pytest.raises(ModelError, match="8-bit values"):
        node(MADE.plate)


@pytest.mark.parametrize("activation", ["none", "sigmoid", "min-max"])
def test_a_constant_answer_is_an_error(activation: str, tmp_path: Path) -> None:
    node = declare(made_file(tmp_path / "net.onnx", scale=0, shift=0.5), activation=activation)
    with pytest.raises(ModelError, match="everywhere: it is no matte"):
        node(MADE.plate)


def test_an_empty_frame_is_no_error() -> None:
    for activation in ("none", "min-max"):
        assert alpha_of(np.zeros((4, 4), np.float32), activation, "net.onnx").max() == 0
    almost = np.full((4, 4), 1e-7, np.float32)  # a sigmoid inside the file never is 0
    assert alpha_of(almost, "none", "net.onnx").max() < 1e-6
    assert alpha_of(np.full((4, 4), -20.0, np.float32), "sigmoid", "net.onnx").max() < 1e-6
    full = np.ones((4, 4), np.float32)
    assert alpha_of(full, "none", "net.onnx", hinted=True).min() == 1
    with pytest.raises(ModelError, match="1 everywhere"):
        alpha_of(full, "none", "net.onnx")


def test_values_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(ModelError, match="not finite"):
        alpha_of(np.full((4, 4), np.nan, np.float32), "none", "net.onnx")


def test_rounding_is_no_error() -> None:
    answer = np.linspace(-0.01, 1.01, 16, dtype=np.float32).reshape(4, 4)
    alpha = alpha_of(answer, "none", "net.onnx")
    assert (alpha.min(), alpha.max()) == (0, 1)


def test_half_precision_inputs(tmp_path: Path) -> None:
    node = declare(made_file(tmp_path / "net.onnx", half=True))
    seen = node.plate_color("scene_linear").to_network(MADE.plate)[..., 0]
    assert np.abs(node(MADE.plate).alpha - seen).max() < 1e-3


def test_plate_and_trimap_in_one_input(tmp_path: Path) -> None:
    path = made_file(tmp_path / "net.onnx", channels=4)
    node = declare(path, inputs={"plate+trimap": "img"})
    assert node.card.needs == {"trimap"}
    inputs = Inputs(MADE.plate.clip(0, 1), trimap=MADE.trimap)
    assert np.array_equal(node.model.step(inputs, {}, {})[0].alpha, MADE.trimap)


def test_a_letterbox_keeps_the_proportions() -> None:
    fit = Fit((64, 64), letterbox=True)
    wide = np.ones((32, 128, 3), np.float32)
    put = fit.put(wide, (32, 128))
    assert put.shape == (64, 64, 3)
    assert put[:16].min() == 1
    assert put[16:].max() == 0
    assert fit.back(put[..., 0], (32, 128)).min() == 1


def test_squash_and_letterbox_differ_in_the_file(tmp_path: Path) -> None:
    path = made_file(tmp_path / "net.onnx")
    made = scene(48, 96)
    boxed = declare(path, fixed_size=[64, 64], fit="letterbox")
    alpha = boxed(made.plate).alpha
    seen = boxed.plate_color("scene_linear").to_network(made.plate)[..., 0]
    assert alpha.shape == (48, 96)
    assert np.abs(alpha - seen).mean() < 0.02
    with pytest.raises(ModelError, match="squash"):
        models.card(str(declare(path, fit="pad").card.name))


def test_bgr_with_a_fourth_channel_keeps_it() -> None:
    made = Picture("x", order="bgr").made(np.arange(4, dtype=np.float32).reshape(1, 1, 4))
    assert made.reshape(-1).tolist() == [2, 1, 0, 3]


def test_an_export_with_its_sigmoid_inside_gets_no_second(tmp_path: Path) -> None:
    family = next(f for f in _families() if f.model == "birefnet")
    plain = signature(made_file(tmp_path / "a.onnx"))
    inside = signature(made_file(tmp_path / "b.onnx", last="Sigmoid"))
    assert declaration(plain, family)["activation"] == "sigmoid"
    assert declaration(inside, family)["activation"] == "none"


def _families() -> Any:
    from matte_nodes.models.onnx_families import FAMILIES

    return FAMILIES


def test_an_unknown_file_gets_a_template_and_a_dry_run(tmp_path: Path) -> None:
    path = made_file(tmp_path / "net.onnx", scale=20, shift=-10)
    told = imported(path, "--dry-run")
    assert not path.with_suffix(".json").exists()
    assert "no known family" in told
    assert "look like logits" in told
    imported(path)
    declared = json.loads(path.with_suffix(".json").read_text())
    assert any("sigmoid" in line for line in declared["about"])
    assert declared["licence"] == "not stated"
    assert models.card(str(path)).commercial == "unclear"
    with pytest.raises(ModelError, match="logits"):
        MatteNode(str(path), device="cpu", threads=1)(MADE.plate)


def test_a_declaration_is_never_overwritten(tmp_path: Path) -> None:
    path = made_file(tmp_path / "net.onnx")
    imported(path)
    result = CliRunner().invoke(matte, ["models", "import", str(path)])
    assert result.exit_code != 0
    assert "is there already" in f"{result.output}{result.exception}"
    imported(path, "-o", str(tmp_path / "copy.onnx"))
    assert (tmp_path / "copy.onnx").read_bytes() == path.read_bytes()


def test_a_normalisation_can_be_named(tmp_path: Path) -> None:
    path = made_file(tmp_path / "net.onnx", channels=4)
    imported(path, "--option", "normalisation=half")
    declared = json.loads(path.with_suffix(".json").read_text())
    assert declared["inputs"]["plate+trimap"]["mean"] == [0.5, 0.5, 0.5, 0.0]
    refused = CliRunner().invoke(matte, ["models", "import", str(path), "--option", "x=1"])
    assert refused.exit_code != 0


def test_a_file_of_another_family_is_refused_by_a_card(tmp_path: Path) -> None:
    path = rvm_file(tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match="looks like Robust Video Matting"):
        declared_for(path, "birefnet")


def test_our_own_export_is_recognised_without_its_declaration(tmp_path: Path) -> None:
    """The names, and the words for free sides, that `matte export onnx` writes."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ports = [
        helper.make_tensor_value_info(name, kind, [1, channels, "16*rows", "16*columns"])
        for name, channels in (("plate", 3), ("trimap", 1), ("alpha", 1))
    ]
    node = helper.make_node("Identity", ["trimap"], ["alpha"])
    graph = helper.make_graph([node], "own", ports[:2], ports[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "own.onnx"
    onnx.save(model, path)
    assert "matte export onnx" in imported(path)
    found = json.loads(path.with_suffix(".json").read_text())
    assert found["inputs"] == {"plate": "plate", "trimap": "trimap"}
    assert found["outputs"] == {"alpha": "alpha"}
    assert found["multiple"] == 16


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    for content in (b"", b"\x08", b"\xff" * 64, made_file(tmp_path / "a.onnx").read_bytes()[:-40]):
        path.write_bytes(content)
        with pytest.raises(MatteError):
            signature(path)


def test_no_error_names_a_model_that_does_not_exist(tmp_path: Path) -> None:
    """Whatever an error says after --model is a model, a file, or a word in capitals."""
    import re

    path = made_file(tmp_path / "net.onnx")
    node = declare(path)
    path.unlink()
    said = []
    for run in (lambda: models.card(str(path)), lambda: node(MADE.plate)):
        with pytest.raises(MatteError) as caught:
            run()
        said.append(str(caught.value))
    for text in said:
        assert "pull onnx" not in text
        for name in re.findall(r"--model (\S+?)[`.,:]", text):
            assert name.isupper() or models.card(name)


def test_the_three_cards_run_their_published_files(tmp_path: Path, monkeypatch: Any) -> None:
    """`isnet`, `u2net` and `ben2` on made files under their published names."""
    from dataclasses import replace

    monkeypatch.setenv("MATTE_HOME", str(tmp_path))
    weights.weights_folder().mkdir(parents=True)
    for kind in NESTED:
        card = models.card(kind)
        network = Ben() if kind == "ben2" else Nested(kind)
        path = weights.place(card.weights[0])
        size = 64
        write(
            network,
            path,
            {"x": torch.rand(1, 3, size, size)},
            ["a"] if kind == "ben2" else list("abcdefg"),
        )
        item = replace(card.weights[0], size=path.stat().st_size, sha256=weights.sha256_of(path))
        small = replace(card, weights=(item,), fixed_size=(size, size))
        alpha = MatteNode(small, device="cpu", threads=1)(MADE.plate).alpha
        assert alpha.max() - alpha.min() > 0.5


def odd_file(
    path: Path, side: tuple[int, ...], *nodes: tuple[str, dict[str, Any]], kind: int = 1
) -> Path:
    """A file of a chain of operators from `x` (float32, of these sides) to an output of a kind."""
    from onnx import helper, save

    names = ["x", *(f"y{n}" for n in range(len(nodes)))]
    made = [
        helper.make_node(op, [names[n]], [names[n + 1]], **how) for n, (op, how) in enumerate(nodes)
    ]
    given = helper.make_tensor_value_info("x", 1, side)
    gives = helper.make_tensor_value_info(names[-1], kind, None)
    graph = helper.make_graph(made, "odd", [given], [gives])
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    return path


MEAN = ("ReduceMean", {"axes": [1], "keepdims": 1})


def odd_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that cannot be run, by what is odd, with a word of the sentence that says so."""
    whole = ("Cast", {"to": 7})
    last = ("ReduceMean", {"axes": [3], "keepdims": 1})
    return {
        "batch": (odd_file(folder / "b.onnx", (4, 3, 64, 64), MEAN), "4 pictures at a time"),
        "nhwc": (odd_file(folder / "n.onnx", (1, 64, 64, 3), last), "channels come last"),
        "labels": (odd_file(folder / "l.onnx", (1, 3, 64, 64), MEAN, whole, kind=7), "labels"),
    }


@pytest.mark.parametrize("kind", ["batch", "nhwc", "labels"])
def test_a_layout_that_cannot_be_fed_is_said_in_words(kind: str, tmp_path: Path) -> None:
    path, word = odd_files(tmp_path)[kind]
    assert word in imported(path)
    with pytest.raises(ModelError, match=word):
        MatteNode(str(path))(MADE.plate)


def test_an_answer_of_nothing_is_no_matte_of_a_picture_with_a_subject(tmp_path: Path) -> None:
    path = odd_file(tmp_path / "z.onnx", (1, 3, 64, 64), MEAN, ("Floor", {}))
    assert "It is no matte yet. The answer is 0 everywhere" in imported(path)
