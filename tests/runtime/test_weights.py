"""Weights by name: where they are found, what is said of other bytes, and how they are fetched from the hub."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from runtime.errors import WeightsError
from runtime.weights import known as w
from runtime.weights.fetch import fetch, fetch_repository
from runtime.weights.table import WEIGHTS, WeightFile, Weights

CONTENT = b"0123456789" * 50_000
COMMIT = "c0ffee" * 6 + "abcd"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every cache lies under a fresh folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def make(monkeypatch: pytest.MonkeyPatch, *files: WeightFile, name: str = "made/up") -> Weights:
    made = Weights(name, "tests", "us", "MIT", "nothing is tested", 1, files)
    monkeypatch.setitem(WEIGHTS, name, made)
    return made


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> Weights:
    """Weights of one file, which the hub has and a program keeps."""
    return make(monkeypatch, WeightFile("made.pt", SHA256, repo="owner/name", cached="maker/made.pt"))


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def snapshot(caches: Path, name: str = "made.pt", commit: str = "aaaa", content: bytes = CONTENT) -> Path:
    return put(caches / "huggingface" / "hub" / "models--owner--name" / "snapshots" / commit / name, content)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries the file in two parts."""
    folder = tmp_path / "site" / "made_carrier"
    put(folder / "__init__.py", b"raise ImportError('it is located and not imported')")
    put(folder / "data" / "one", CONTENT[:1000])
    put(folder / "data" / "two", CONTENT[1000:])
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    return folder


def test_absent_weights_are_none_and_to_require_them_says_what_to_do(row: Weights) -> None:
    assert w.located(row.name) is None
    assert w.locate(row.name) is None
    with pytest.raises(WeightsError, match=r"weights made/up are not on this machine; run `run_agent\.py setup`$"):
        w.require(row.name)


def test_whoever_has_the_bytes_is_asked_in_order_ours_the_hubs_the_makers(row: Weights, caches: Path) -> None:
    theirs = put(caches / "maker" / "made.pt")
    assert w.locate(row.name) == (theirs,)
    fetched = snapshot(caches)
    assert w.locate(row.name) == (fetched,)
    ours = put(w.home(row) / "made.pt")
    assert w.locate(row.name) == (ours,)


def test_the_main_branch_of_a_repository_comes_first(row: Weights, caches: Path) -> None:
    snapshot(caches)
    newest = snapshot(caches, commit="bbbb")
    put(caches / "huggingface" / "hub" / "models--owner--name" / "refs" / "main", b"bbbb")
    assert w.locate(row.name) == (newest,)


def test_a_package_carries_the_same_bytes_in_parts(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(monkeypatch, WeightFile("m.bin", SHA256, packages=("made_carrier/data/one", "made_carrier/data/two")))
    found = w.located(made.name)
    assert found is not None
    assert found[0].parts == (package / "data" / "one", package / "data" / "two")
    assert w.origin_of(found) == "package made_carrier"
    put(package / "data" / "two", CONTENT[1000:-1] + b"!")
    with pytest.raises(WeightsError, match=r"two is damaged or another file \(its checksum differs\); reinstall"):
        w.located(made.name)


def test_what_only_a_package_carries_is_got_by_installing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    make(monkeypatch, WeightFile("m.bin", SHA256, packages=("made_absent_carrier/m.bin",)))
    assert w.absent("made/up").endswith("install made-absent-carrier (pinned in requirements)")


def test_other_bytes_are_refused_in_one_line_and_a_good_copy_elsewhere_is_used(row: Weights, caches: Path) -> None:
    broken = put(w.home(row) / "made.pt", CONTENT[:-1])
    with pytest.raises(WeightsError) as told:
        w.locate(row.name)
    assert str(told.value) == (
        f"weights made/up: {broken} is damaged or another file (its checksum differs); "
        "delete it and run `run_agent.py setup`"
    )
    good = put(caches / "maker" / "made.pt")
    assert w.locate(row.name) == (good,)


def test_a_path_is_taken_as_it_is_and_what_is_neither_names_the_known_ones(tmp_path: Path) -> None:
    mine = put(tmp_path / "mine.pt")
    assert w.locate(str(mine)) == (mine,)
    with pytest.raises(WeightsError, match=r"gone\.pt: no such file"):
        w.locate(str(tmp_path / "gone.pt"))
    with pytest.raises(WeightsError, match=r"no weights are known as 'whisper/huge'.*whisper/base"):
        w.locate("whisper/huge")


def test_a_digest_is_that_of_the_content_also_after_a_file_changed(tmp_path: Path) -> None:
    path, more = put(tmp_path / "mine.pt"), put(tmp_path / "more.pt", b"!")
    for _ in range(2):
        assert w.digest(path) == SHA256
        assert w.digest(path, more) == hashlib.sha256(CONTENT + b"!").hexdigest()
    put(path, CONTENT + b"?")
    assert w.digest(path) == hashlib.sha256(CONTENT + b"?").hexdigest()


def test_every_row_says_whose_it_is_and_what_it_costs_to_lack_it() -> None:
    for row in WEIGHTS.values():
        assert row.used_for and row.maker and row.licence and row.lacking and row.size_mb > 0
        for file in row.files:
            assert file.repo or file.cached or file.packages, f"{row.name}: {file.name} can come from nowhere"
            assert file.sha256 == "" or len(bytes.fromhex(file.sha256)) == 32


# --- fetching -------------------------------------------------------------------------------------


def stated(etag: str) -> SimpleNamespace:
    """What the hub says of a file."""
    return SimpleNamespace(etag=etag, commit_hash=COMMIT)


@pytest.fixture
def hub(caches: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Stands in for the hub's library: what it is asked for, which it puts where it would."""
    asked: list[tuple[str, str, str]] = []
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url: stated(SHA256))

    def download(repo: str, path: str, *, revision: str) -> str:
        asked.append((repo, path, revision))
        return str(snapshot(caches, path, revision))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


def test_what_is_fetched_is_then_found(row: Weights, hub: list[tuple[str, str, str]]) -> None:
    fetch(row)
    assert hub == [("owner/name", "made.pt", COMMIT)]  # and not whatever its branch is by then
    found = w.located(row.name)
    assert found is not None
    assert w.origin_of(found) == w.HUGGING_FACE


def test_what_the_hub_has_by_that_name_and_is_another_file_is_refused_and_not_kept(
    hub: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch, caches: Path
) -> None:
    made = make(monkeypatch, WeightFile("made.pt", "0" * 64, repo="owner/name"))
    with pytest.raises(WeightsError, match=r"made/up: what owner/name has as made\.pt is another file"):
        fetch(made)
    assert not list(caches.rglob("made.pt"))


def test_where_the_table_knows_no_checksum_the_hubs_own_holds(
    hub: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(monkeypatch, WeightFile("made.pt", repo="owner/name"))
    for other in ("1" * 64, "1" * 40, "", "W/1"):  # another, another of Git's, none, one of no kind that is known
        monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, other=other: stated(other))
        with pytest.raises(WeightsError, match="checksum differs"):
            fetch(made)
        assert w.located(made.name) is None
    git = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    for right in (SHA256, git):
        monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, right=right: stated(right))
        fetch(made)
        assert w.located(made.name) is not None


@pytest.mark.parametrize("damaged", ["", "model.bin", "config.json"])
def test_a_model_is_fetched_of_one_commit_and_each_file_of_it_is_checked(
    caches: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    git = hashlib.sha1(b"blob 2\0{}").hexdigest()
    files = [
        SimpleNamespace(rfilename="model.bin", lfs=SimpleNamespace(sha256=SHA256), blob_id="1" * 40),
        SimpleNamespace(rfilename="config.json", lfs=None, blob_id=git),
        SimpleNamespace(rfilename="picture.png", lfs=None, blob_id="1" * 40),  # which nobody asked for
    ]

    class Api:
        def model_info(self, repo: str, *, files_metadata: bool) -> SimpleNamespace:
            assert files_metadata
            return SimpleNamespace(sha=COMMIT, siblings=files)

    def download(repo: str, *, revision: str, allow_patterns: list[str]) -> str:
        assert (repo, revision) == ("owner/name", COMMIT)
        for name, content in (("model.bin", CONTENT), ("config.json", b"{}")):
            snapshot(caches, name, COMMIT, content[:-1] + b"?" if name == damaged else content)
        return str(snapshot(caches, ".here", COMMIT).parent)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    if damaged:
        with pytest.raises(WeightsError, match=rf"{damaged} came damaged"):
            fetch_repository("owner/name")
        assert not list(caches.rglob(damaged))
    else:
        assert fetch_repository("owner/name") == w.locate_repository("owner/name")


def test_what_cannot_be_fetched_is_one_line_that_says_where_to_put_it_by_hand(
    row: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(url: str) -> str:
        raise LocalEntryNotFoundError("An error happened\nwhile trying to locate the file")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    with pytest.raises(WeightsError, match=r"no network, or the hub cannot be reached; .* put made\.pt into .*up$"):
        fetch(row)
