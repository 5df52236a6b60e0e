# SPDX-License-Identifier: Apache-2.0
"""What the command, the service and the live worker set for their own process, and no host gets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TELL = "; import os; print(os.environ.get('OMP_WAIT_POLICY'))"


def told(code: str, **more: str) -> str:
    """What a new process says of its variable."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    return subprocess.run(
        [sys.executable, "-c", code + TELL], env={**environment, **more}, cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.split()[-1]  # fmt: skip


def test_a_host_that_imports_the_package_is_left_as_it_is() -> None:
    assert told("import matte_nodes, matte_nodes.cli, matte_nodes.hosts.obs.__main__") == "None"


def test_waiting_threads_sleep_where_the_process_is_ours() -> None:
    command = (
        "import sys; sys.argv = ['matte', '--version']\nfrom matte_nodes.cli import main\nmain()"
    )
    assert told(f"exec({command!r})") == "PASSIVE"


def test_a_wait_policy_of_the_user_stays() -> None:
    code = "from matte_nodes.own_process import set_up; set_up()"
    assert told(code, OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"


FAULTS = """
import resource
import numpy as np
{}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    np.ones(1 << 20, np.uint8)
before = faults()
for _ in range(20):
    np.ones(1 << 20, np.uint8)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_buffers_of_a_frame_are_not_faulted_in_again() -> None:
    def counted(before: str) -> int:
        run = subprocess.run(
            [sys.executable, "-c", FAULTS.format(before)], cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return int(run.stdout)

    fixed = "import ctypes; ctypes.CDLL(None).mallopt(-3, 128 << 10)"  # glibc's own, held still
    kept = "from matte_nodes.own_process import set_up; set_up()"
    assert counted(kept) < 1024 < counted(fixed)
