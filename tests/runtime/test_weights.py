"""Weights by name: where they are found, what is said of damaged ones, and how they are fetched from a server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runtime.errors import WeightsError
from runtime.weights import known as w
from runtime.weights.fetch import fetch

CONTENT = b"0123456789" * 50_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every cache lies under a fresh folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> w.Weights:
    """Weights of one file whose checksum is known."""
    made = w.Weights("whisper/made", "tests", 1, (w.WeightFile("made.pt", sha256=SHA256),))
    monkeypatch.setitem(w.WEIGHTS, made.name, made)
    return made


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_absent_weights_are_none_and_to_require_them_says_what_to_do(row: w.Weights) -> None:
    assert w.locate(row.name) is None
    with pytest.raises(WeightsError, match=r"whisper/made are not on this machine; run `run_agent\.py setup`"):
        w.require(row.name)


def test_what_another_program_fetched_is_used_where_it_lies(row: w.Weights, caches: Path) -> None:
    theirs = put(caches / "whisper" / "made.pt")
    assert w.locate(row.name) == (theirs,)
    ours = put(w.home(row) / "made.pt")
    assert w.locate(row.name) == (ours,)


def test_a_file_in_the_cache_of_hugging_face_is_found_and_its_main_branch_first(caches: Path) -> None:
    name = "open_clip/ViT-B-32/laion2b_s34b_b79k"
    folder = caches / "huggingface" / "hub" / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K"
    put(folder / "snapshots" / "aaaa" / "open_clip_model.safetensors")
    newest = put(folder / "snapshots" / "bbbb" / "open_clip_model.safetensors")
    put(folder / "refs" / "main", b"bbbb")
    assert w.locate(name) == (newest,)


def test_a_damaged_file_is_told_in_one_line_and_a_good_copy_beside_it_is_used(row: w.Weights, caches: Path) -> None:
    broken = put(w.home(row) / "made.pt", CONTENT[:-1])
    with pytest.raises(WeightsError) as told:
        w.locate(row.name)
    assert str(told.value) == (
        f"weights whisper/made: {broken} is damaged or another file (its checksum differs); "
        "delete it and run `run_agent.py setup`"
    )
    good = put(caches / "whisper" / "made.pt")
    assert w.locate(row.name) == (good,)


def test_a_path_is_taken_as_it_is_and_what_is_neither_names_the_known_ones(tmp_path: Path) -> None:
    mine = put(tmp_path / "mine.pt")
    assert w.locate(str(mine)) == (mine,)
    with pytest.raises(WeightsError, match=r"gone\.pt: no such file"):
        w.locate(str(tmp_path / "gone.pt"))
    with pytest.raises(WeightsError, match=r"no weights are known as 'whisper/huge'.*whisper/base"):
        w.locate("whisper/huge")


def test_a_digest_is_that_of_the_content_also_after_the_file_changed(tmp_path: Path) -> None:
    path = put(tmp_path / "mine.pt")
    assert w.digest(path) == SHA256
    assert w.digest(path) == SHA256
    put(path, CONTENT + b"!")
    assert w.digest(path) == hashlib.sha256(CONTENT + b"!").hexdigest()


# --- fetching -------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves CONTENT at every path but /gone, honours ranges, and keeps what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stated_sha256 = SHA256
        self.asked: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.server.asked.append(("HEAD", self.path, ""))
        self.send_response(302)
        self.send_header("X-Linked-Etag", f'"{self.server.stated_sha256}"')
        self.send_header("Location", f"{self.server.url}/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append(("GET", self.path, asked))
        if self.path == "/gone":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def fetch_file(file: w.WeightFile) -> tuple[w.Weights, list[tuple[int, int]]]:
    made = w.Weights("made/weights", "tests", 1, (file,))
    seen: list[tuple[int, int]] = []
    (path,) = fetch(made, lambda name, done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    return made, seen


def test_a_file_is_fetched_with_progress_and_then_found_without_asking_again(server: Server) -> None:
    made, seen = fetch_file(w.WeightFile("made.pt", url=f"{server.url}/made.pt", sha256=SHA256))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    asked = len(server.asked)
    assert fetch(made, lambda *_: None) == (w.home(made) / "made.pt",)
    assert len(server.asked) == asked


def test_a_broken_off_file_is_taken_up_where_it_ended(server: Server) -> None:
    file = w.WeightFile("made.pt", url=f"{server.url}/made.pt", sha256=SHA256)
    put(w.cache_dir() / "made" / "weights" / "made.pt.part", CONTENT[:1000])
    fetch_file(file)
    assert server.asked == [("GET", "/made.pt", "bytes=1000-")]


def test_a_whole_part_is_kept_without_being_fetched_again(server: Server) -> None:
    put(w.cache_dir() / "made" / "weights" / "made.pt.part", CONTENT)
    fetch_file(w.WeightFile("made.pt", url=f"{server.url}/made.pt", sha256=SHA256))
    assert (w.cache_dir() / "made" / "weights" / "made.pt").read_bytes() == CONTENT
    assert [ranges for _, _, ranges in server.asked] in ([], [f"bytes={len(CONTENT)}-"]), "not asked for from the start"


def test_the_checksum_a_repository_states_is_checked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    file = w.WeightFile("made.bin", repo="owner/name", path="a/made.bin")
    made, _ = fetch_file(file)
    assert server.asked[0] == ("HEAD", "/owner/name/resolve/main/a/made.bin", "")
    (w.home(made) / "made.bin").unlink()
    server.stated_sha256 = "0" * 64
    with pytest.raises(WeightsError, match=r"made\.bin has another checksum"):
        fetch(made, lambda *_: None)
    assert list(w.home(made).iterdir()) == []


def test_what_cannot_be_fetched_is_one_line_that_says_where_to_put_it_by_hand(server: Server) -> None:
    gone = w.Weights("made/weights", "tests", 1, (w.WeightFile("made.pt", url=f"{server.url}/gone", sha256=SHA256),))
    with pytest.raises(WeightsError, match=r"the server answered 404 for .*/gone; .* put made\.pt into .*made/weights"):
        fetch(gone, lambda *_: None)
    server.server_close()
    offline = w.Weights("made/other", "tests", 1, (w.WeightFile("made.pt", url="http://127.0.0.1:1/x", sha256=SHA256),))
    with pytest.raises(WeightsError, match="no network, or the server cannot be reached"):
        fetch(offline, lambda *_: None)
