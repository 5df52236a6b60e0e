# SPDX-License-Identifier: Apache-2.0
"""Odd masks, trimaps and cut-outs as hints."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from matte_nodes import MatteNode
from matte_nodes.errors import InputError
from matte_nodes.media.as_array import InputWarning
from matte_nodes.media.clip import open_clip
from matte_nodes.media.image import Rect
from tests.faults.rig import HERE, SUBJECT, is_subject, mask, odd, picture, run
from tests.faults.samples import (
    codes,
    half,
    plate_of,
    seen,
    write_parts,
)
from tests.made import write_image
from tests.media.samples import write_movie, write_picture


def plate_and(folder: Path, hint: NDArray[Any], channels: str = "Y", name: str = "m.png") -> Path:
    """A PNG plate `p.png` and a hint beside it; returns the hint."""
    write_image(folder / "p.png", codes(picture()))
    write_image(folder / name, hint, channels)
    return folder / name


SPLIT = ("--segmentation-use", "garbage")


def masks_of(folder: Path, pictures: list[tuple[NDArray[Any], str]]) -> tuple[str, str]:
    """Plates and masks numbered from 1; returns both patterns."""
    for number, (pixels, channels) in enumerate(pictures, 1):
        write_image(folder / f"p.{number:04d}.png", codes(picture(number - 1)))
        write_image(folder / f"m.{number:04d}.png", pixels, channels)
    return str(folder / "p.####.png"), str(folder / "m.####.png")


@odd("Hints", "A clean black and white mask in RGB, with an alpha of 1", "taken", "Its grey.")
@pytest.mark.parametrize("channels", ["RGB", "RGBA", "Y"])
def test_grey_masks(tmp_path: Path, channels: str) -> None:
    grey = np.repeat(codes(mask())[..., None], len(channels), axis=2)
    if "A" in channels:
        grey[..., 3] = 255
    hint = plate_and(tmp_path, grey, channels)
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", hint,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))


@odd("Hints", "A cut-out (RGBA) as the mask", "taken", "Its alpha, in every frame.")
def test_cutout_as_mask(tmp_path: Path) -> None:
    cut = np.dstack([codes(picture()), codes(mask())])
    hint = plate_and(tmp_path, cut, "RGBA")
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", hint,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))
    assert "alpha" in ran.said


@odd(
    "Hints",
    "A cut-out whose subject is out of the first frame",
    "taken",
    "Its alpha, also where it is all 0 or all 1.",
)
def test_cutout_that_begins_empty(tmp_path: Path) -> None:
    for n in range(3):
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
        alpha = codes(mask(n)) * (n > 0)
        write_image(tmp_path / f"m.{n + 1:04d}.png", np.dstack([codes(picture(n)), alpha]), "RGBA")
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--segmentation", tmp_path / "m.####.png",
              "--segmentation-use", "garbage")  # fmt: skip
    assert ran.frame(1)["A"].max() == 0
    is_subject(ran.frame(2), 1)
    is_subject(ran.frame(3), 2)


@odd("Hints", "A photograph as the mask", "refused", "It has colours; the channel is asked for.")
@pytest.mark.parametrize("channels", ["RGB", "RGBA"])
def test_photograph_as_mask(tmp_path: Path, channels: str) -> None:
    noisy = np.random.default_rng(0).random((48, 64, len(channels)), dtype=np.float32)
    if "A" in channels:
        noisy[..., 3] = 1
    hint = plate_and(tmp_path, codes(noisy), channels)
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.png", *flags).refused("--segmentation-layer")
    assert run(tmp_path / "q", tmp_path / "p.png", *flags, "--segmentation-layer", "R").code == 0


@odd(
    "Hints",
    "A mask with the codes 0 and 1 of 16 bits, or some labels",
    "said",
    "Every label above 0 is the subject.",
)
@pytest.mark.parametrize(
    ("top", "kind"), [(1, np.uint16), (3, np.uint8), (12, np.uint8), (40, np.uint8)]
)
def test_labels_by_value(tmp_path: Path, top: int, kind: type) -> None:
    hint = plate_and(tmp_path, (mask() * top).astype(kind))
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", hint,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))
    assert "label" in ran.said


@odd("Hints", "A dark frame of a grey mask sequence", "taken", "Grey, as its other frames.")
def test_dark_frame_is_no_label(tmp_path: Path) -> None:
    for n in range(3):
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
        soft = codes(mask(n)) if n != 1 else np.full((48, 64), 1, np.uint8)
        write_image(tmp_path / f"m.{n + 1:04d}.png", soft, "Y")
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--segmentation", tmp_path / "m.####.png",
              "--segmentation-use", "garbage")  # fmt: skip
    assert ran.frame(2)["A"].max() < 0.01
    is_subject(ran.frame(3), 2)


@odd("Hints", "The alpha of a WebM", "taken", "Its alpha.")
def test_webm_alpha(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        frame = av.VideoFrame(64, 48, "yuva420p")
        values = (150, 128, 128, codes(mask(n)))
        for plane, value in zip(frame.planes, values, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
            rows[:, : plane.width] = value
        frames.append(frame)
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
    write_movie(tmp_path / "m.webm", frames, "libvpx-vp9", options={"lossless": "1"})
    clip = open_clip(tmp_path / "m.webm")
    assert clip.read(1).channels == ("R", "G", "B", "A")
    ran = run(tmp_path / "o", tmp_path / "p.####.png", "--segmentation", tmp_path / "m.webm",
              "--segmentation-use", "garbage")  # fmt: skip
    for n in range(3):
        assert np.abs(ran.frame(n + 1)["A"] - mask(n)).max() < 0.02


@odd(
    "Hints",
    "A plate whose display window does not begin at 0, 0",
    "taken",
    "Hints are laid on the display window.",
)
def test_hint_on_the_display_window(tmp_path: Path) -> None:
    write_picture(
        tmp_path / "p.exr", half(picture()), data=(100, 50), display=Rect(100, 50, 64, 48)
    )
    write_image(tmp_path / "m.png", codes(mask()), "Y")
    shot = MatteNode("green-screen", segmentation_use="core").connect(
        tmp_path / "p.exr", segmentation=tmp_path / "m.png"
    )
    alpha = shot.at(1).alpha
    assert alpha.sum() == SUBJECT


@odd(
    "Hints",
    "Overscan: a data window larger than the display window",
    "taken",
    "Hints are laid on the display window.",
)
def test_hint_with_overscan(tmp_path: Path) -> None:
    wide = np.empty((68, 84, 3), np.float32)
    wide[:] = (0.1, 0.7, 0.15)
    wide[10:58, 10:74] = picture()
    write_picture(tmp_path / "p.exr", half(wide), data=(-10, -10), display=Rect(0, 0, 64, 48))
    write_image(tmp_path / "m.png", codes(mask()), "Y")
    shot = MatteNode("green-screen", segmentation_use="core").connect(
        tmp_path / "p.exr", segmentation=tmp_path / "m.png"
    )
    alpha = shot.at(1).alpha
    assert alpha.shape == (68, 84)
    assert np.array_equal(alpha[10:58, 10:74], mask())


@odd(
    "Hints",
    "Numbers shifted by one (0-3 beside 1-4)",
    "refused",
    "Both could be meant: by number, or first to first.",
)
def test_shifted_by_one(tmp_path: Path) -> None:
    for n in range(4):
        write_image(tmp_path / f"p.{n + 1:04d}.png", codes(picture(n)))
        write_image(tmp_path / f"m.{n:04d}.png", codes(mask(n)), "Y")
    flags = ("--segmentation", tmp_path / "m.####.png", "--segmentation-use", "garbage")
    run(tmp_path / "a", tmp_path / "p.####.png", *flags).refused("--hint-offset")
    ran = run(tmp_path / "b", tmp_path / "p.####.png", *flags, "--hint-offset", "first")
    for n in range(4):
        is_subject(ran.frame(n + 1), n)


@odd("Hints", "A soft mask that is never above half of white", "said", "As it is, with a warning.")
def test_dim_mask(tmp_path: Path) -> None:
    soft = np.linspace(0, 0.3, 64, dtype=np.float32)[None].repeat(48, 0)
    hint = plate_and(tmp_path, codes(soft))
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    ran = run(tmp_path / "o", tmp_path / "p.png", *flags)
    assert "never above half" in ran.said
    run(tmp_path / "q", tmp_path / "p.png", *flags, "--strict").refused("never above half")


@odd("Hints", "A mask that is a movie of another rate", "said", "Frame is laid on frame.")
def test_movie_mask_of_another_rate(tmp_path: Path) -> None:
    for name, rate in (("p.mov", 25), ("m.mov", 50), ("same.mov", 25)):
        pixels = [picture(n) if name == "p.mov" else np.dstack([mask(n)] * 3) for n in range(4)]
        with av.open(str(tmp_path / name), "w") as container:
            stream: Any = container.add_stream("png", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
            for one in pixels:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(codes(one), "rgb24")))
            container.mux(stream.encode(None))
    flags = ("--segmentation-use", "garbage", "--segmentation")
    ran = run(tmp_path / "o", tmp_path / "p.mov", *flags, tmp_path / "m.mov")
    assert "has 50 frames a second, the plate 25" in ran.said
    for n in range(4):
        is_subject(ran.frame(n + 1), n)
    assert "a second" not in run(
        tmp_path / "q", tmp_path / "p.mov", *flags, tmp_path / "same.mov"
    ).said.replace("frames_per_second", "")


@odd("Hints", "Mask arrays of labels 0 to 2, or of 8-bit codes as uint16", "said", "A warning.")
@pytest.mark.parametrize(("top", "kind"), [(2, np.uint8), (255, np.uint16), (128, np.uint8)])
def test_dim_arrays_as_masks(top: int, kind: type) -> None:
    node = MatteNode("green-screen", segmentation_use="garbage")
    with pytest.warns(InputWarning, match=f"never above {top} of"):
        node(codes(picture()), segmentation=(mask() * top).astype(kind))


@odd("Hints", "A mask of black and half grey (128 of 255)", "said", "Above 0 is the subject.")
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_half_grey_mask(tmp_path: Path, kind: type) -> None:
    grey = np.iinfo(kind).max // 2 + 1
    hint = plate_and(tmp_path, (mask() * grey).astype(kind))
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    ran = run(tmp_path / "o", tmp_path / "p.png", *flags)
    is_subject(ran.frame(1))
    assert "labels" in ran.said


@odd("Hints", "Depth alone as a mask (Z)", "refused", "It can be named.")
@pytest.mark.parametrize("name", ["Z", "depth"])
def test_depth_as_mask(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "p.1001.png", codes(picture()))
    write_parts(tmp_path / "m.1001.exr", [("", (name,), 1 + 100 * mask()[..., None], "")])
    flags = ("--segmentation", tmp_path / "m.####.exr", "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.####.png", *flags).refused("not clear", name)
    named = run(tmp_path / "q", tmp_path / "p.####.png", *flags, "--segmentation-layer", name)
    assert named.code == 0


@odd("Hints", "A trimap of floats with the codes 0, 1, 2 or -1, 0, 1", "refused", "Codes are told.")
@pytest.mark.parametrize("first", [0, -1])
def test_coded_float_trimap(tmp_path: Path, first: int) -> None:
    write_image(tmp_path / "p.png", codes(picture()))
    coded = np.full((48, 64), first, np.float32) + mask()
    coded[8:16, 34:38] = first + 2
    np.save(tmp_path / "t.npy", coded)
    flags = ("--trimap", tmp_path / "t.npy", "--model", "closed-form")
    run(tmp_path / "o", tmp_path / "p.png", *flags).refused("codes", "unknown as 0.5")


@odd("Hints", "A trimap without unknown, or with codes beside black and white", "said", "As it is.")
@pytest.mark.parametrize("grey", [0, 1, 254])
def test_trimap_without_unknown(tmp_path: Path, grey: int) -> None:
    trimap = (mask() * 255).astype(np.uint8)
    trimap[0, 0] = grey
    hint = plate_and(tmp_path, trimap, name="t.png")
    flags = ("--trimap", hint, "--model", "closed-form")
    assert "has no unknown" in run(tmp_path / "o", tmp_path / "p.png", *flags).said
    run(tmp_path / "q", tmp_path / "p.png", *flags, "--strict").refused("has no unknown")


@odd(
    "Hints",
    "A part of the file that is the mask, beside the picture's part",
    "refused",
    "Where the picture's alpha is 1: the mask is listed.",
)
def test_mask_in_a_part(tmp_path: Path) -> None:
    write_image(tmp_path / "p.1001.png", codes(picture()))
    solid = np.dstack([picture(), np.ones((48, 64), np.float32)])
    write_parts(tmp_path / "m.1001.exr", [("rgba", ("R", "G", "B", "A"), solid, ""),
                                          ("roto", ("A",), mask()[..., None], "")])  # fmt: skip
    flags = ("--segmentation", tmp_path / "m.####.exr", "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.####.png", *flags).refused("roto")
    named = run(tmp_path / "q", tmp_path / "p.####.png", *flags, "--segmentation-layer", "roto")
    is_subject(named.frame(1001))


@odd("Hints", "Mask arrays of bool, of 0 and 1, of 0 and 255", "taken", "As masks.")
@pytest.mark.parametrize("scale", [True, 1, 255])
def test_arrays_as_masks(scale: int) -> None:
    kind = bool if scale is True else np.uint8
    given = (mask() * scale).astype(kind)
    node = MatteNode("green-screen", segmentation_use="garbage")
    assert node(codes(picture()), segmentation=given).alpha.sum() == SUBJECT


@odd("Hints", "A mask array far outside 0 to 1", "said", "Clamped, with a warning.")
def test_wild_array() -> None:
    node = MatteNode("green-screen", segmentation_use="core")
    matte = node(codes(picture()), segmentation=mask() * np.float32(64992) - 3)
    assert matte.alpha.min() >= 0
    assert matte.alpha.max() <= 1


@odd("Hints", "Grey with an alpha that is the mask (white paint on nothing)", "taken", "Its alpha.")
@pytest.mark.parametrize("name", ["m.png", "m.exr"])
def test_grey_with_alpha(tmp_path: Path, name: str) -> None:
    both = np.dstack([np.ones((48, 64), np.float32), mask()])
    write_image(tmp_path / "p.png", codes(picture()))
    write_image(tmp_path / name, codes(both) if name == "m.png" else both, "YA")
    ran = run(tmp_path / "o", tmp_path / "p.png", "--segmentation", tmp_path / name,
              "--segmentation-use", "garbage")  # fmt: skip
    is_subject(ran.frame(1))


@odd("Hints", "A grey mask under an alpha of 0", "refused", "The channel is asked for.")
def test_grey_under_nothing(tmp_path: Path) -> None:
    clear = np.repeat(codes(mask())[..., None], 4, axis=2)
    clear[..., 3] = 0
    hint = plate_and(tmp_path, clear, "RGBA")
    flags = ("--segmentation", hint, "--segmentation-use", "garbage")
    run(tmp_path / "o", tmp_path / "p.png", *flags).refused("--segmentation-layer")
    named = run(tmp_path / "q", tmp_path / "p.png", *flags, "--segmentation-layer", "R")
    is_subject(named.frame(1))


@odd("Hints", "Everything told or tagged", "taken", "`--strict` passes.")
def test_strict_passes(tmp_path: Path) -> None:
    ran = run(
        tmp_path, HERE / "hint_numbering" / "plate.####.exr", "--strict",
        "--colorspace", "lin_rec709",
        "--segmentation", HERE / "hint_numbering" / "roto.####.png",
    )  # fmt: skip
    assert ran.code == 0, ran.said
    facts = ran.facts(1001)
    assert facts["matte/inputs"] == (
        "plate: plate.####.exr, Linear Rec.709 (sRGB) (as told); segmentation: roto.####.png"
    )
    assert "matte/assumed" not in facts
    start = ran.events[0]
    assert [taken["input"] for taken in start["inputs"]] == ["plate", "segmentation"]


def test_what_was_taken_in_python(tmp_path: Path) -> None:
    write_image(tmp_path / "p.png", codes(picture()))
    shot = MatteNode("green-screen").connect(tmp_path / "p.png")
    assert "assumed" in shot.inputs[0].line
    with pytest.raises(InputError, match="--colorspace"):
        MatteNode("green-screen").connect(tmp_path / "p.png", strict=True)


@odd("Hints", "A cut-out in some frames of a mask sequence, a photograph in others", "refused",
     "The frame is named.")  # fmt: skip
@pytest.mark.parametrize("first", ["alpha", "grey"])
def test_photograph_among_masks(tmp_path: Path, first: str) -> None:
    grey = np.repeat(codes(mask())[..., None], 3, axis=2)
    cutout = np.dstack([codes(picture()), codes(mask())])
    good = (cutout, "RGBA") if first == "alpha" else (grey, "RGB")
    bound = seen(*masks_of(tmp_path, [good, (codes(picture(1)), "RGB"), good]))
    assert np.array_equal(bound.pixels(1), mask())
    with pytest.raises(InputError, match="frame 2, is a colour picture"):
        bound.pixels(2)


@odd("Hints", "Labels, or 8-bit codes in 16, in some frames of a grey mask sequence", "said",
     "As they are, nearly black; the first such frame is named.")  # fmt: skip
@pytest.mark.parametrize("kind", ["labels", "low"])
def test_labels_among_masks(tmp_path: Path, kind: str) -> None:
    grey = codes(mask())
    other = (grey > 0).astype(np.uint8) if kind == "labels" else grey.astype(np.uint16)
    bound = seen(*masks_of(tmp_path, [(grey, "Y"), (other, "Y"), (grey, "Y")]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bound.pixels(1)
    with pytest.warns(InputWarning, match="frame 2, has no code above"):
        bound.pixels(2)


@odd("Hints", "A soft mask of 8-bit codes stored in 16", "refused", "Write it with 8 bits.")
def test_soft_mask_of_low_codes(tmp_path: Path) -> None:
    soft = np.tile(np.linspace(0, 255, 64).astype(np.uint16), (48, 1))
    write_image(tmp_path / "m.png", soft, "Y")
    flags = ("--segmentation", tmp_path / "m.png", *SPLIT)
    run(tmp_path / "o", plate_of(tmp_path), *flags).refused("16 bits", "no code above 255")


@odd("Hints", "A black mask", "said", "Nothing is the subject.")
def test_black_mask(tmp_path: Path) -> None:
    write_image(tmp_path / "m.png", np.zeros((48, 64), np.uint8), "Y")
    flags = ("--segmentation", tmp_path / "m.png", *SPLIT)
    ran = run(tmp_path / "o", plate_of(tmp_path), *flags)
    assert not ran.frame(1)["A"].any()
    assert "is black" in ran.said


@odd("Hints", "An inverted mask or trimap", "said", "As it is, with a word that it looks inverted.")
@pytest.mark.parametrize("hint", ["segmentation", "trimap"])
def test_inverted_mask(tmp_path: Path, hint: str) -> None:
    inverted = 255 - codes(mask())
    inverted[20, 20] = 128  # a trimap has unknown
    write_image(tmp_path / "m.png", inverted, "Y")
    plate = plate_of(tmp_path)
    assert "were inverted" in run(tmp_path / "o", plate, f"--{hint}", tmp_path / "m.png").said
    write_image(tmp_path / "n.png", 255 - inverted, "Y")
    assert "were inverted" not in run(tmp_path / "p", plate, f"--{hint}", tmp_path / "n.png").said


@odd("Hints", "A mask sequence that has one frame alone", "said", "It serves every frame.")
def test_one_mask_of_a_pattern(tmp_path: Path) -> None:
    plate, _ = masks_of(tmp_path, [(codes(mask(n)), "Y") for n in range(3)])
    write_image(tmp_path / "one.0003.png", codes(mask(2)), "Y")
    bound = seen(plate, str(tmp_path / "one.####.png"))
    assert any("frame 3 alone" in text for text in bound.assumptions)
    named = seen(plate, str(tmp_path / "one.0003.png"))
    assert named.assumptions == ()


@odd("Hints", "A trimap of floats from 0 to 255", "said", "As codes of 8 bits.")
def test_float_codes_of_a_trimap(tmp_path: Path) -> None:
    trimap = np.full((48, 64), 128, np.float32)
    trimap[mask() > 0], trimap[:, 50:] = 255, 0
    write_image(tmp_path / "t.exr", trimap, "Y")
    ran = run(tmp_path / "o", plate_of(tmp_path), "--trimap", tmp_path / "t.exr")
    assert "taken as codes of 8 bits" in ran.said
    assert ran.frame(1)["A"][10, 8] == 1
    assert not ran.frame(1)["A"][:, 50:].any()


@odd("Hints", "A cut-out (RGBA) with a mask beside it in the EXR", "said", "The alpha of the RGBA.")
def test_cutout_beside_a_mask(tmp_path: Path) -> None:
    planes = np.dstack([picture(), mask(), 1 - mask()]).astype(np.float16)
    write_image(tmp_path / "m.exr", planes, ("R", "G", "B", "A", "roto.Y"))  # type: ignore[arg-type]
    plate = plate_of(tmp_path)
    bound = seen(plate, tmp_path / "m.exr")
    assert np.array_equal(bound.pixels(1), mask())
    assert any("roto.Y" in text for text in bound.assumptions)
    named = seen(plate, tmp_path / "m.exr", segmentation_layer="roto.Y")
    assert np.array_equal(named.pixels(1), 1 - mask())
    assert not any("roto.Y" in text for text in named.assumptions)


@odd("Hints", "A mask with another pixel aspect than the plate", "said", "Pixel on pixel.")
def test_aspect_of_a_mask(tmp_path: Path) -> None:
    write_image(tmp_path / "m.exr", mask().astype(np.float16), "Y", PixelAspectRatio=2.0)
    assert any(
        "pixel aspect" in t for t in seen(plate_of(tmp_path), tmp_path / "m.exr").assumptions
    )
