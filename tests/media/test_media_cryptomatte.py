# SPDX-License-Identifier: Apache-2.0
"""Cryptomatte files: hashes, ids, ranks, the manifest, and each object's coverage read back."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from matte_nodes import MatteNode
from matte_nodes.media import cryptomatte
from matte_nodes.render.progress import Quiet
from matte_nodes.render.render import Render
from tests.select.scenes import BLUE, RED, Thing, clip


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("hello", 0x248BFA47), ("hello, world", 0x149BBB7F),
     ("The quick brown fox jumps over the lazy dog", 0x2E4FF723)],
)  # fmt: skip
def test_the_hash_has_its_published_values(text: str, expected: int) -> None:
    assert cryptomatte.murmur3(text) == expected


def test_ids_are_normal_floats() -> None:
    ids = np.array([cryptomatte.id_of(f"name {n}") for n in range(2000)], np.uint32)
    values = ids.view(np.float32)
    assert np.isfinite(values).all()
    assert (np.abs(values) >= np.finfo(np.float32).tiny).all()


def test_the_largest_object_of_a_pixel_comes_first() -> None:
    shares = {"a": np.array([[0.2, 1.0]]), "b": np.array([[0.7, 0.0]]), "c": np.array([[0.1, 0.0]])}
    names, pixels = cryptomatte.channels(shares)
    assert names[:4] == ("CryptoObject00.R", "CryptoObject00.G", "CryptoObject00.B",
                         "CryptoObject00.A")  # fmt: skip
    assert np.allclose(pixels[0, 0, 1::2], [0.7, 0.2, 0.1, 0])
    assert list(pixels[0, 1, 2:]) == [0] * 6  # no id where nothing is covered
    for name, share in shares.items():
        assert np.allclose(cryptomatte.coverage(pixels, names, name), share)


def test_two_objects_are_written_and_found_by_name(tmp_path: Any) -> None:
    moving, standing = Thing(5, RED, (40, 55), (6, 1)), Thing(6, BLUE, (120, 40), (0, 0), (14, 12))
    frames, _ = clip([standing, moving], 2)
    points = {"front": {1: [moving.at(0)]}, "back": {1: [standing.at(0)]}}
    for number, picture in enumerate(frames, 1):
        assert cv2.imwrite(str(tmp_path / f"p.{number:04d}.png"), picture[..., ::-1])
    plate = str(tmp_path / "p.####.png")
    render = Render(
        plate, str(tmp_path / "m.####.exr"), "click", layout="cryptomatte", knobs={},
        node={"device": "cpu"}, connect={"points": points},
    )  # fmt: skip
    render.run(None, None, Quiet())
    shot = MatteNode("click", device="cpu").connect(plate, points=points)
    source = oiio.ImageInput.open(str(tmp_path / "m.0002.exr"))
    spec, pixels = source.spec(), source.read_image(0, 0, 0, source.spec().nchannels, "float")
    source.close()
    assert str(spec.format) == "float"
    facts = {a.name: a.value for a in spec.extra_attribs if a.name.startswith("cryptomatte/")}
    key = f"cryptomatte/{cryptomatte.murmur3('CryptoObject'):08x}"[:19]
    assert facts[f"{key}/name"] == "CryptoObject"
    assert facts[f"{key}/conversion"] == "uint32_to_float32"
    manifest = json.loads(facts[f"{key}/manifest"])
    assert list(manifest) == ["front", "back"]
    assert int(manifest["front"], 16) == cryptomatte.id_of("front")
    expected = shot.at(2).extras
    window = (slice(spec.y, spec.y + spec.height), slice(spec.x, spec.x + spec.width))
    for name in ("front", "back"):
        found = cryptomatte.coverage(pixels, spec.channelnames, name)
        assert np.allclose(found, expected[f"alpha.{name}"][window], atol=1e-6), name
