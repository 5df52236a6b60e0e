# SPDX-License-Identifier: Apache-2.0
"""OBS 30 and 32, each in a root of a newer Debian: the plug-in is built there, and the tests of the
textured room, of daemons that die, of sizes and of the sealed memory run there (make soak).

Debian's OBS 30.2.3 ends by a double free when a source with a filter is removed: it does so without
our plug-in, with its own colour filter. So `Obs.stage` removes the filter first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import pictures, rig
from .rig import Obs, until

# Run here again, with the `obs` below.
from .test_obs_closed import (  # noqa: F401
    playing,
    test_a_daemon_that_hangs_for_long_is_replaced,
    test_another_size_and_source,
    test_dead_or_hung_daemon,
    test_errors_and_settings_never_show_the_room,
    test_scene_switch_forgets_the_picture,
    test_slow_daemon_holds_its_pair_with_sync_and_hides_without,
)
from .test_obs_hostile import test_the_memory_is_sealed  # noqa: F401
from .test_obs_room import (  # noqa: F401
    matte,
    test_a_filter_made_with_the_blurred_room,
    test_blurred_room_in_each_view_and_light,
    test_blurred_room_through_each_switch,
    test_each_background_and_view,
    test_each_slow_matte_is_used,
    test_the_blurred_room_is_blurred_in_its_corners_and_beside_a_crop,
    test_the_raw_room_is_seen_by_these_counts,
)
from .test_obs_steady import (  # noqa: F401
    test_a_slider_of_the_camera_does_not_blink_and_another_file_is_another_camera,
    test_the_network_sees_the_mean_of_the_pixels,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SUITES = {"30": "trixie", "32": "sid"}


def root_of(suite: str) -> Path:
    """The root of a Debian; made when it is not there, or a visible skip."""
    if absent := rig.missing():
        pytest.skip(f"not here: {absent}")
    folder = Path(os.environ.get("MATTE_OBS_ROOTS", rig.REPOSITORY / ".venv-obs"))
    place = folder / suite
    if (place / "made").is_file():
        return place
    if os.geteuid() or not shutil.which("mmdebstrap"):
        pytest.skip("a root of another Debian needs mmdebstrap (scripts/hosts.sh soak), as root")
    script = rig.REPOSITORY / "scripts/obs_root.sh"
    made = subprocess.run([str(script), suite, str(place)], capture_output=True, text=True, check=False)  # fmt: skip
    if made.returncode:
        pytest.skip(f"there is no root of {suite}: {made.stderr.strip()[-300:]}")
    return place


@pytest.fixture(scope="module", params=list(SUITES))
def release(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """A release of OBS and the root that it is in."""
    return request.param, root_of(SUITES[request.param])


@pytest.fixture(scope="module")
def obs(release: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Obs]:
    """That OBS with the plug-in that was built there, against its own headers."""
    plugin = rig.installed(tmp_path_factory.mktemp("plugin"), release[1])
    with rig.running(tmp_path_factory.mktemp("obs"), plugin, root=release[1]) as found:
        yield found


def test_it_is_that_release(obs: Obs, release: tuple[str, Path]) -> None:
    assert obs.client.get_version().obs_version.split(".")[0] == release[0]


def test_the_plugin_that_was_built_here_runs_there(
    plugin: Path, release: tuple[str, Path], tmp_path: Path
) -> None:
    with rig.running(tmp_path / "home", plugin, root=release[1]) as obs:
        obs.stage(pictures.textured_person(tmp_path / "p.png"))
        obs.filter(background=1, background_colour=0xFF102030)
        until("the person", lambda: pictures.person_pixels(obs.shot()) > 10000)
        assert pictures.raw_pixels(obs.shot(), pictures.textured_room()) == 0
