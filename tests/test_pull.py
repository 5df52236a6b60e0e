# SPDX-License-Identifier: Apache-2.0
"""`matte models pull` against a server on this machine that plays the hub and release pages."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from matte_nodes import download, models, weights
from matte_nodes.card import ModelCard, Source, Variant, Weights
from matte_nodes.cli import matte
from matte_nodes.errors import WeightsError

CONTENT = np.random.default_rng(1).bytes(300_000)
REVISION = "99c33412e3f58e1f33187abdc8c435c645243690"
HUB = Source("hub", f"someone/matting@{REVISION}", "model.safetensors")
RELEASE = Source("url", "https://github.com/someone/matting/releases/download/v1/net.onnx")
SECRET = "hf_never-to-be-seen"


@dataclass
class Site:
    """What the server does, and what it was asked."""

    port: int = 0
    content: bytes = CONTENT
    gated: bool = False
    away: bool = False
    cuts: list[int] = field(default_factory=list)
    """After how many bytes of an answer the connection is cut: one entry an answer."""
    resumes: bool = True
    slow: float = 0.0
    seen: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Host, path, range and authorization of each request."""

    def ranges(self) -> list[str]:
        """The ranges of the requests to the storage."""
        return [begin for host, path, begin, _ in self.seen if path.startswith("/storage")]

    def tokens(self, host: str) -> set[str]:
        return {token for name, _, _, token in self.seen if name.startswith(host)}


class Answers(BaseHTTPRequestHandler):
    """The hub and the release page redirect to a storage under another name of this machine."""

    site: Site

    def log_message(self, *args: Any) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        site, asked = self.site, self.headers.get("Range", "")
        token = self.headers.get("Authorization", "")
        site.seen.append((self.headers["Host"], self.path, asked, token))
        if self.path.startswith("/storage"):
            self._send(asked)
        elif site.away or ("/resolve/" in self.path and REVISION not in self.path):
            self._refuse(404)
        elif site.gated and token != f"Bearer {SECRET}":
            self._refuse(401)
        else:
            self.send_response(302)
            self.send_header(
                "Location", f"http://localhost:{site.port}/storage{self.path}?signed=1"
            )
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _refuse(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, asked: str) -> None:
        site = self.site
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.resumes else 0
        body = site.content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            end = len(site.content)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if site.cuts:
            self.wfile.write(body[: site.cuts.pop(0)])
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):  # the client may have given up
            for at in range(0, len(body), 100_000):
                time.sleep(site.slow)
                self.wfile.write(body[at : at + 100_000])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server as a mirror of both hosts, and an empty weights folder."""
    made = Site()
    handler = type("Handler", (Answers,), {"site": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("MATTE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MATTE_WEIGHTS_PATH", raising=False)
    for name in ("HF_ENDPOINT", "MATTE_GITHUB_ENDPOINT"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{made.port}")
    for name in (*download.TOKENS, "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(download, "_PIECE", 1 << 14)
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def item(*sources: Source, **changes: Any) -> Weights:
    made = Weights(
        file="net.safetensors", sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT),
        sources=sources, licence="MIT", commercial="yes", publisher="https://someone.example",
    )  # fmt: skip
    return replace(made, **changes)


def parts() -> list[Path]:
    """Parts of downloads that lie in the weights folder."""
    return [path for path in weights.weights_folder().glob(".*") if path.name.endswith(".part")]


@pytest.mark.parametrize("source", [HUB, RELEASE], ids=["hub", "release page"])
def test_pull_follows_the_redirect_of(source: Source, site: Site) -> None:
    path = weights.pull(item(source))
    assert path.read_bytes() == CONTENT
    first, second = (where for _, where, _, _ in site.seen)
    assert source.address.endswith(first)
    assert second == f"/storage{first}?signed=1"
    assert not parts()


def test_the_pinned_revision_is_asked_for(site: Site) -> None:
    weights.pull(item(HUB))
    assert site.seen[0][1] == f"/someone/matting/resolve/{REVISION}/model.safetensors"
    other = Source("hub", "someone/matting@main", "model.safetensors")
    with pytest.raises(WeightsError, match="HTTP 404"):
        weights.pull(item(other, file="other.safetensors"))


def test_a_cut_download_goes_on_at_once(site: Site) -> None:
    site.cuts = [100_000, 50_000]
    told: list[str] = []
    assert weights.pull(item(HUB), say=told.append).read_bytes() == CONTENT
    assert site.ranges() == ["", "bytes=100000-", "bytes=150000-"]
    assert sum("going on there" in line for line in told) == 2


def test_a_cut_download_goes_on_at_the_next_call(site: Site) -> None:
    site.cuts = [120_000, *[0] * download.PATIENCE]
    with pytest.raises(WeightsError, match="120,000 bytes came"):
        weights.pull(item(HUB))
    assert [path.stat().st_size for path in parts()] == [120_000]
    assert weights.find(item(HUB)) is None
    site.seen.clear()
    site.cuts.clear()
    assert weights.pull(item(HUB)).read_bytes() == CONTENT
    assert site.ranges() == ["bytes=120000-"]
    assert not parts()


def test_a_server_that_cannot_go_on_sends_all_again(site: Site) -> None:
    site.cuts, site.resumes = [100_000], False
    assert weights.pull(item(RELEASE)).read_bytes() == CONTENT
    assert site.ranges() == ["", "bytes=100000-"]


def test_a_spoilt_beginning_is_fetched_again(site: Site) -> None:
    weights.weights_folder().mkdir(parents=True)
    (weights.weights_folder() / f".{item(HUB).sha256[:16]}.part").write_bytes(bytes(1000))
    assert weights.pull(item(HUB)).read_bytes() == CONTENT
    assert site.ranges() == ["bytes=1000-", ""]


def test_a_slow_server_is_waited_for(site: Site) -> None:
    site.slow = 0.05
    assert weights.pull(item(HUB)).read_bytes() == CONTENT


def test_a_server_that_stalls_is_asked_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    site.slow = 1.0
    with pytest.raises(WeightsError, match=f"broke {download.PATIENCE} times"):
        weights.pull(item(HUB))


def test_another_file_is_refused_and_nothing_stays(site: Site) -> None:
    site.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(WeightsError, match="has another file"):
        weights.pull(item(HUB))
    assert weights.find(item(HUB)) is None
    assert not parts()


@pytest.mark.parametrize("content", [CONTENT + b"more", CONTENT[:-5]])
def test_another_size_is_refused_before_it_is_fetched(content: bytes, site: Site) -> None:
    site.content = content
    with pytest.raises(WeightsError, match="not the 300,000 that were published"):
        weights.pull(item(HUB))
    assert weights.find(item(HUB)) is None


def test_a_missing_file_says_404_and_the_next_source_is_asked(site: Site, tmp_path: Path) -> None:
    site.away = True
    with pytest.raises(WeightsError, match=r"hub someone/matting@.*HTTP 404"):
        weights.pull(item(HUB, RELEASE))
    assert len(site.seen) == 2
    (tmp_path / "net.onnx").write_bytes(CONTENT)  # under its publisher's name, in a folder of mine
    assert weights.pull(item(HUB, RELEASE), folder=tmp_path).read_bytes() == CONTENT


def test_the_hubs_own_cache_is_a_folder(tmp_path: Path, site: Site) -> None:
    cached = tmp_path / "models--someone--matting" / "snapshots" / REVISION
    cached.mkdir(parents=True)
    (cached / "model.safetensors").write_bytes(CONTENT)
    assert weights.pull(item(HUB), folder=tmp_path).read_bytes() == CONTENT
    assert not site.seen


def test_a_gated_file_without_a_token_says_where_to_ask(site: Site) -> None:
    site.gated = True
    with pytest.raises(
        WeightsError, match=r"gated.*https://huggingface.co/someone/matting.*HF_TOKEN"
    ):
        weights.pull(item(HUB))


def test_a_token_opens_a_gated_file_and_never_leaves_the_hub(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.gated = True
    monkeypatch.setenv("HF_TOKEN", SECRET)
    told: list[str] = []
    assert weights.pull(item(HUB), say=told.append).read_bytes() == CONTENT
    assert site.tokens("127.0.0.1") == {"", f"Bearer {SECRET}"}
    assert site.tokens("localhost") == {""}  # where the hub redirects to
    assert SECRET not in "".join(told)


def test_a_token_is_sent_only_where_it_is_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    weights.pull(item(HUB))
    site.gated = True
    monkeypatch.setenv("HF_ENDPOINT", "https://elsewhere.invalid")  # the release page is no hub
    with pytest.raises(WeightsError, match="401") as caught:
        weights.pull(item(RELEASE, file="b.safetensors"))
    assert {token for _, _, _, token in site.seen} == {""}
    assert SECRET not in str(caught.value)


def test_a_refused_token_is_not_in_the_message(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.gated = True
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(WeightsError, match="the token in HF_TOKEN opens no way") as caught:
        weights.pull(item(HUB))
    assert "hf_wrong" not in str(caught.value)


def test_a_redirect_to_a_plain_address_is_refused() -> None:
    with pytest.raises(WeightsError, match="not an https address"):
        download.check_address("http://storage.example/net.onnx")
    for allowed in ("https://storage.example/net.onnx", "http://127.0.0.1:8/x", "http://[::1]/x"):
        download.check_address(allowed)


def test_a_proxy_of_the_environment_is_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATTE_GITHUB_ENDPOINT", "http://releases.invalid")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{site.port}")
    monkeypatch.setenv("no_proxy", "localhost")
    assert weights.pull(item(RELEASE)).read_bytes() == CONTENT
    path = RELEASE.location.removeprefix("https://github.com")
    assert site.seen[0][:2] == ("releases.invalid", f"http://releases.invalid{path}")


def _card(*variants: Variant) -> ModelCard:
    card = models.card("birefnet")
    assert card.checkpoint is not None
    return replace(card, checkpoint=replace(card.checkpoint, variants=variants))


@pytest.fixture
def shelf(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """`birefnet` with two small variants, of which one has unclear terms."""
    plain = item(HUB, file="birefnet.plain.safetensors")
    odd = item(RELEASE, file="birefnet.odd.safetensors", licence="odd words", commercial="unclear")
    card = _card(Variant("plain", plain, "for all"), Variant("odd", odd, "for some"))
    monkeypatch.setattr(models, "_own", lambda: {"birefnet": card})
    return site


def run(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(matte, ["models", *arguments], **options)


def test_pull_fetches_the_first_variant_and_the_model_takes_it(shelf: Site) -> None:
    assert "matte models pull birefnet" in run().output
    assert run("pull", "birefnet").exit_code == 0
    card = models.card("birefnet")
    assert weights.checkpoint(card, None, False) == weights.place(card.variants[0].weights)
    listed = next(line for line in run().output.splitlines() if line.startswith("birefnet"))
    assert " here " in listed


def test_a_variant_is_a_model_of_its_own(shelf: Site) -> None:
    assert run("pull", "birefnet:odd", "--accept-licence").exit_code == 0
    card = models.card("birefnet:odd")
    assert card.commercial == "unclear"
    assert weights.checkpoint(card, None, False) == weights.place(card.variants[0].weights)
    with pytest.raises(WeightsError, match=r"matte models pull birefnet:plain`"):
        weights.checkpoint(models.card("birefnet:plain"), None, False)


def test_a_spoilt_variant_is_never_loaded(shelf: Site) -> None:
    run("pull", "birefnet")
    path = weights.place(models.card("birefnet").variants[0].weights)
    path.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(WeightsError, match="damaged or another file"):
        weights.checkpoint(models.card("birefnet"), None, False)
    assert run("verify", "birefnet").exit_code != 0


def test_terms_that_are_not_permissive_are_shown_and_asked(shelf: Site) -> None:
    refused = run("pull", "birefnet:odd")
    assert "odd words" in refused.output
    assert isinstance(refused.exception, SystemExit | WeightsError)
    assert "--accept-licence" in f"{refused.output}{refused.exception}"
    assert not shelf.seen
    assert run("pull", "birefnet:plain").exit_code == 0  # MIT: nothing is asked


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_a_person_is_asked(answer: str, shelf: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from matte_nodes.cli import models as module

    class Terminal:
        """`sys` with a terminal."""

        stdin = type("Input", (), {"isatty": staticmethod(lambda: True)})
        stderr = sys.stderr

    monkeypatch.setattr(module, "sys", Terminal)
    result = run("pull", "birefnet:odd", input=answer)
    assert "Do you accept these terms?" in result.output
    assert (result.exit_code == 0) == (answer == "y\n")
    assert bool(shelf.seen) == (answer == "y\n")


def test_every_published_address_is_pinned() -> None:
    """Hub sources name a whole revision, sizes and hashes are there, names are unique."""
    files: dict[str, str] = {}
    for card in models.cards():
        for weight in [*card.weights, *(variant.weights for variant in card.variants)]:
            assert files.setdefault(weight.file, weight.sha256) == weight.sha256
            assert len(weight.sha256) == 64
            assert weight.size > 1000
            for source in weight.sources:
                if source.kind == "hub":
                    assert len(source.location.partition("@")[2]) == 40, source
                assert not source.address or source.address.startswith("https://")
    assert len(files) > 10
