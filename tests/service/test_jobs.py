# SPDX-License-Identifier: Apache-2.0
"""Jobs of a real service: submit, stream, cancel, list, errors; one load for all; own places."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_nodes.render.render import Render
from matte_nodes.service.client import Client, ServiceError
from matte_nodes.service.jobs import Job
from matte_nodes.service.pool import Cancelled
from matte_nodes.service.request import checked
from tests.cli.test_run import whole
from tests.made import plate_sequence, read_named, write_image
from tests.service.serving import Serving, request, same_frames, serving, wait_for


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


class Silent:
    def start(self, total: int, **facts: Any) -> None:
        pass

    def frame(self, frame: int, path: Path) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def done(self, output: str) -> None:
        pass


def test_submit_and_stream(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 4)
    asked = request(plate, tmp_path / "out" / "m.####.exr", "green-screen")
    events = list(service.client.events(service.client.submit(asked)))
    kinds = [event["event"] for event in events]
    assert kinds == ["queued", "start", "frame", "frame", "frame", "frame", "done"]
    assert [event["frame"] for event in events[2:6]] == [1001, 1002, 1003, 1004]
    assert events[1]["total"] == 4
    assert all(Path(event["path"]).is_file() for event in events[2:6])
    Render(str(plate), str(tmp_path / "here" / "m.####.exr"), "green-screen",
           knobs={}, node={}, connect={}).run(None, None, Silent())  # fmt: skip
    assert same_frames(tmp_path / "out", tmp_path / "here") == 4


def test_a_range_hints_and_knobs(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 5)
    common: dict[str, Any] = {
        "knobs": {"gamma": 0.8}, "connect": {"trimap": {1001: str(tmp_path / "in/trimap.1001.png")}},
        "node": {"threads": 1}, "layout": "nuke",
    }  # fmt: skip
    asked = request(
        plate, tmp_path / "out" / "m.####.exr", "green-screen", frames=(1002, 1003), **common
    )
    assert list(service.client.events(service.client.submit(asked)))[-1]["event"] == "done"
    Render(str(plate), str(tmp_path / "here" / "m.####.exr"), "green-screen",
           **common).run(1002, 1003, Silent())  # fmt: skip
    assert same_frames(tmp_path / "out", tmp_path / "here") == 2


def test_events_can_be_read_twice_and_late(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    job = service.client.submit(request(plate, tmp_path / "m.####.exr"))
    first = list(service.client.events(job))
    assert list(Client(home=str(service.home)).events(job)) == first


def test_cancel(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 20)
    job = service.client.submit(
        request(plate, tmp_path / "out" / "m.####.exr", knobs={"seconds": 0.1})
    )
    events = []
    for event in service.client.events(job):
        events.append(event)
        if event["event"] == "frame" and event["frame"] == 1002:
            assert Client(home=str(service.home)).cancel(job)
    assert events[-1]["event"] == "cancelled"
    assert 2 <= len(whole(tmp_path / "out")) < 20
    assert not service.client.cancel(job)


def test_cancel_takes_effect_at_a_frame_too(tmp_path: Path) -> None:
    """Frames whose predictions are cached call no model: the report itself must end the job."""
    asked = checked({**request(tmp_path / "p.exr", tmp_path / "m.exr"), "cwd": "/"})
    job = Job(asked, lambda job: None)
    job.frame(1, tmp_path / "m.exr")
    job.cancelled.set()
    with pytest.raises(Cancelled):
        job.frame(2, tmp_path / "m.exr")
    assert [event["frame"] for event in job.events(0)] == [1, 2]


def test_cancel_before_it_begins(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    slow = service.client.submit(request(plate, tmp_path / "a.####.exr", knobs={"seconds": 0.2}))
    waiting = service.client.submit(request(plate, tmp_path / "b.####.exr"))
    assert service.client.cancel(waiting)
    assert [e["event"] for e in service.client.events(waiting)] == ["queued", "cancelled"]
    assert [e["event"] for e in service.client.events(slow)][-1] == "done"
    assert not (tmp_path / "b.1001.exr").exists()


def test_who_hangs_up_ends_an_attached_job(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 50)
    stream = service.client.stream(request(plate, tmp_path / "m.####.exr", knobs={"seconds": 0.1}))
    job = next(stream)["job"]
    while next(stream)["event"] != "frame":
        pass
    stream.close()
    assert list(service.client.events(job))[-1]["event"] == "cancelled"


def test_list(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    job = service.client.submit(request(plate, tmp_path / "m.####.exr"))
    list(service.client.events(job))
    (mine,) = [row for row in service.client.jobs() if row["job"] == job]
    assert (mine["state"], mine["done"], mine["total"]) == ("done", 3, 3)
    assert (mine["model"], mine["source"]) == ("slow", str(plate))


def test_error_with_frame_and_reason(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 4)
    victim = tmp_path / "in" / "plate.1003.exr"
    victim.write_bytes(victim.read_bytes()[:2000])
    job = service.client.submit(request(plate, tmp_path / "out" / "m.####.exr"))
    *before, last = service.client.events(job)
    assert last["event"] == "error"
    assert (last["frame"], last["exit_code"], last["kind"]) == (1003, 3, "MediaError")
    assert "plate.1003.exr" in last["message"]
    assert [e["frame"] for e in before if e["event"] == "frame"] == [1001, 1002]
    assert whole(tmp_path / "out") == ["m.1001.exr", "m.1002.exr"]


def test_a_model_that_fails_names_the_frame(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 3)
    write_image(tmp_path / "in" / "plate.1002.exr", np.full((72, 96, 3), 0.9, np.float16))
    knobs = {"fail_above": 0.8}
    job = service.client.submit(request(plate, tmp_path / "m.####.exr", knobs=knobs))
    last = list(service.client.events(job))[-1]
    assert (last["event"], last["frame"]) == ("error", 1002)
    assert "is too bright" in last["message"]
    assert service.client.status()["pid"] == service.process.pid


@pytest.mark.parametrize(
    ("asked", "says", "code"),
    [
        ({"model": "rwm"}, "Did you mean 'rvm'", 2),
        ({"knobs": {"gian": 1}}, "'gian'", 2),
        ({"knobs": {"gain": 400}}, "lies between 0 and 4", 2),
        ({"knobs": {"device": "cpu"}}, "is not a knob", 2),
        ({"source": "/nowhere/p.####.exr"}, "/nowhere", 3),
        ({"connect": {"colorspace": "ACEScgg"}}, "ACEScg", 3),
        ({"node": {"ocio": "/nowhere/config.ocio"}}, "/nowhere/config.ocio", 3),
        ({"frames": [1, 2]}, "1001-1002", 2),
        ({"output": "/proc/nowhere/m.####.exr"}, "/proc/nowhere", 6),
        ({"cwd": "/nowhere"}, "/nowhere cannot be entered", 3),
        ({"colour": "red"}, "no entry 'colour'", 2),
        ({"umask": 4096}, "umask", 2),
        ({"frames": ["a", "b"]}, "frames is", 2),
        ({"connect": {"trimap": 7}}, "connect.trimap", 2),
    ],
)
def test_wrong_requests(
    service: Serving, tmp_path: Path, asked: dict[str, Any], says: str, code: int
) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    whole_request = {**request(plate, tmp_path / "out" / "m.####.exr"), **asked}
    try:
        last = list(service.client.events(service.client.submit(whole_request)))[-1]
        message, got = last["message"], last["exit_code"]
    except ServiceError as error:
        message, got = str(error), error.exit_code
    assert says in message
    assert got == code
    assert not (tmp_path / "out").exists()


def test_two_clients_share_one_load(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 5)
    with serving(tmp_path / "home") as service:

        def work(name: str) -> None:
            client = Client(home=str(service.home))
            asked = request(plate, tmp_path / name / "m.####.exr", knobs={"gamma": 0.9})
            list(client.events(client.submit(asked)))

        workers = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
        for worker in workers:
            worker.start()
        single = Client(home=str(service.home)).frame(request(plate, None), 1002)
        for worker in workers:
            worker.join()
        assert len(service.loads) == 1
        assert service.client.status()["loads"] == 1
        # What loading reads is another model; what only steps read is not.
        service.client.frame(request(plate, None, knobs={"gain": 2.0}), 1002)
        assert len(service.loads) == 2
    assert same_frames(tmp_path / "a", tmp_path / "b") == 5
    assert read_named(Path(single))["A"].shape == (72, 96)


def test_models_leave_by_age_and_budget(tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 1)
    with serving(tmp_path / "home", "--memory", str(2 << 20)) as service:  # two without weights
        for gain in (1.0, 2.0, 1.0, 3.0, 1.0, 2.0):
            service.client.frame(request(plate, None, knobs={"gain": gain}, again=True), 1001)
        loaded = [line.split()[1] for line in service.loads]
        assert loaded == ["1.0", "2.0", "3.0", "2.0"]
        assert len(service.client.status()["models"]) == 2


def test_a_single_frame_does_not_wait_for_a_range(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 40)
    slow = service.client.submit(request(plate, tmp_path / "m.####.exr", knobs={"seconds": 0.1}))
    events = service.client.events(slow)
    while next(events)["event"] != "frame":
        pass
    path = service.client.frame(request(plate, None), 1030)
    (row,) = [row for row in service.client.jobs() if row["job"] == slow]
    assert row["state"] == "running"
    assert Path(path).name == "frame.1030.exr"
    service.client.cancel(slow)
    assert list(events)[-1]["event"] == "cancelled"


def test_a_single_frame_follows_its_inputs(service: Serving, tmp_path: Path) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    asked = request(plate, None)
    path = Path(service.client.frame(asked, 1002))
    before, written = read_named(path), path.stat().st_mtime_ns
    assert Path(service.client.frame(asked, 1002)) == path
    assert path.stat().st_mtime_ns == written
    write_image(tmp_path / "in" / "plate.1002.exr", np.full((72, 96, 3), 0.25, np.float16))
    assert Path(service.client.frame(asked, 1002)) == path
    assert not np.array_equal(read_named(path)["A"], before["A"])


def test_a_single_frame_with_a_kept_plate_follows_its_inputs(
    service: Serving, tmp_path: Path
) -> None:
    plate = plate_sequence(tmp_path / "in", 2)
    asked = request(plate, None, connect={"cache": "disk"})
    before = read_named(Path(service.client.frame(asked, 1002)))
    shrunk = {**asked, "knobs": {**asked.get("knobs", {}), "shrink": 1.5}}
    turned = read_named(Path(service.client.frame(shrunk, 1002)))
    alone = {**shrunk, "connect": {"cache": "off"}}
    assert np.array_equal(turned["A"], read_named(Path(service.client.frame(alone, 1002)))["A"])
    assert turned["A"].sum() < before["A"].sum()
    write_image(tmp_path / "in" / "plate.1002.exr", np.full((72, 96, 3), 0.25, np.float16))
    replaced = read_named(Path(service.client.frame(shrunk, 1002)))["A"]
    assert np.array_equal(replaced, read_named(Path(service.client.frame(alone, 1002)))["A"])
    assert not np.array_equal(replaced, turned["A"])


def test_models_are_declared_with_the_shared_knobs(service: Serving) -> None:
    found = service.client.models()
    cards = {card["name"]: card for card in found["models"]}
    assert cards["slow"]["knobs"][0]["flag"] == "--seconds"
    assert "shrink" in {knob["name"] for knob in found["knobs"]}
    assert not found["problems"]


def test_hosts_are_told_what_can_run_and_what_auto_would_take(service: Serving) -> None:
    found = service.client.models()
    cards = {card["name"]: card for card in found["models"]}
    for name, card in cards.items():
        if card["weights_state"] in ("to pull", "to import"):
            assert not card["ready"], name
        assert card["licence"], name
    assert cards["closed-form"]["ready"]
    assert not cards["background-matting-v2"]["ready"], "its weights must be brought"
    assert set(found["auto"]) == {"trimap", "points", "background", ""}
    for hint, text in found["auto"].items():
        assert any(name in text and cards[name]["ready"] for name in cards), (hint, text)
    assert "refined by" in found["auto"]["points"]


def test_status(service: Serving) -> None:
    wait_for(lambda: service.client.status()["connections"] == 1)
    status = service.client.status()
    assert status["pid"] == service.process.pid
    assert status["python"] == sys.executable
