"""An encrypted memory: nothing of it can be read without its key, and everything works on it as on a plain one."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import msgspec
import pytest

from memory.erasure.forget import forget
from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.folder import REWRITTEN
from memory.store.reader import scan
from memory.store.views import open_view
from memory.upkeep import encryption
from memory.upkeep.backup import back_up, restore, salt_of_backup
from memory.upkeep.repair import find_damage, repair
from runtime.encryption import Key, Lock, key_for, key_of, lock_of, new_lock, read_locks
from runtime.errors import StoreError
from runtime.messages import BackupRequest, ForgetRequest, Observation, RecallRequest, ScanRequest, ViewRequest
from tests.fixtures.memory_cases import memory_of, remember, say, see, stream

PASSPHRASE = "seven blue lamps"
NOW_S = 2_000_000_000.0


@pytest.fixture(scope="module")
def locked() -> tuple[Lock, Key]:
    return new_lock(PASSPHRASE)


def everything(store: Store) -> dict[str, Observation]:
    reader = store.reader()
    found = scan(reader, ScanRequest(view=open_view(reader, ViewRequest()), with_payload=True, limit=10_000))
    reader.close()
    return {o.id: o for o in found}


def a_day(n: int = 200) -> list[Observation]:
    frames = [see(float(t), f"a hall with {t} lamps", vector=(1.0, t, 2.0)) for t in range(0, n, 3)]
    return [*frames, *(say(t + 0.5, t + 1.0, f"sentence number {t} of the kestrel") for t in range(0, n, 2))]


def encrypted_memory(directory: Path, locked: tuple[Lock, Key]) -> dict[str, Observation]:
    store = memory_of(directory, stream(*a_day(), end_s=200.0))
    found = everything(store)
    store.close()
    encryption.encrypt(directory, *locked, None)
    return found


def files_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_an_encrypted_memory_shows_nothing_and_holds_all(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    stored = encrypted_memory(tmp_path, locked)
    data = files_of(tmp_path)
    assert b"kestrel" not in data
    assert b"SQLite format" not in data
    assert locked[1].secret not in data
    assert locked[1].secret.hex().encode() not in data
    assert repr(locked[1]) == "Key(...)"
    store = Store(tmp_path, key=locked[1])
    assert everything(store) == stored
    reader = store.reader()
    hits = Recall(reader, RecallOptions()).recall(RecallRequest(query="kestrel", view=open_view(reader, ViewRequest())))
    reader.close()
    assert "kestrel" in hits.hits[0].observation.text
    remember(store, stream(say(300.0, 301.0, "a heron comes"), source="later", end_s=302.0))
    assert b"heron" not in files_of(tmp_path)  # nor does the log show it
    store.close()


def test_only_its_own_passphrase_opens_it(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    encrypted_memory(tmp_path, locked)
    lock = lock_of(tmp_path)
    assert lock == locked[0]
    assert key_of(lock, PASSPHRASE + " ") is None
    opened = key_of(lock, PASSPHRASE)
    assert opened is not None
    Store(tmp_path, key=opened).close()
    for key in (None, key_for(opened.salt, "another one")):
        with pytest.raises(StoreError, match="damaged"):
            Store(tmp_path, key=key)


def test_it_is_plain_again_and_can_be_given_another_passphrase(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    stored = encrypted_memory(tmp_path, locked)
    lock, key = new_lock("another passphrase")
    assert encryption.encrypt(tmp_path, lock, key, locked[1]) == len(stored)
    assert read_locks(tmp_path) == (lock,)
    with pytest.raises(StoreError):
        Store(tmp_path, key=locked[1])
    assert encryption.decrypt(tmp_path, key) == len(stored)
    assert lock_of(tmp_path) is None
    assert read_locks(tmp_path) == ()
    store = Store(tmp_path)
    assert everything(store) == stored
    store.scrub()  # its map of pages is there
    store.close()


@pytest.mark.parametrize("at", ["before", "between", "after"])
def test_a_crash_while_it_is_encrypted_leaves_a_memory_that_opens(
    tmp_path: Path, locked: tuple[Lock, Key], at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = encrypted_memory(tmp_path, locked)
    lock, key = new_lock("another passphrase")
    last = {"before": "write_locks", "between": "_replace", "after": "write_locks"}[at]
    real, calls = getattr(encryption, last), 0

    def crash(*args: object, **named: object) -> None:
        nonlocal calls
        calls += 1
        if calls == (2 if at == "after" else 1):
            raise KeyboardInterrupt
        real(*args, **named)

    monkeypatch.setattr(encryption, last, crash)
    with pytest.raises(KeyboardInterrupt):
        encryption.encrypt(tmp_path, lock, key, locked[1])
    monkeypatch.undo()
    found = lock_of(tmp_path)
    assert found == (lock if at == "after" else locked[0])
    store = Store(tmp_path, key=key if at == "after" else locked[1])
    assert everything(store) == stored
    store.close()
    assert not (tmp_path / REWRITTEN).exists()


def test_what_is_forgotten_of_it_is_gone_from_what_its_pages_say(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    store = Store(tmp_path, key=locked[1])
    at_random = random.Random(2)
    words = [["q" + "".join(at_random.choices("bcdfghjkl", k=12)) for _ in range(6)] for _ in range(1500)]
    said = [say(float(i), i + 0.5, " ".join(words[i])) for i in range(1500)]
    with store.write() as writing:  # out of order, so that pages are split and shared out anew
        for i in random.Random(3).sample(range(1500), 1500):
            writing.add_observation(said[i])
    with store.write() as writing:
        writing.remove([o.id for o in said[::2]])
    store.fold()

    def stand(*numbers: int) -> list[str]:
        told = b"".join(iter_all(store))
        return [word for i in numbers for word in words[i] if word.encode() in told]

    assert stand(*range(0, 1500, 2))  # though secure_delete is on
    store.scrub()
    assert stand(*range(0, 1500, 2)) == []
    reply = forget(store, ForgetRequest(text=words[1][0]))
    assert sum(reply.observations.values()) == 1
    assert not reply.traces
    assert stand(1) == []
    assert stand(3) == words[3]
    store.close()


def iter_all(store: Store) -> list[bytes]:
    found = []
    for file in store.raw():
        file.seek(0)
        while piece := file.read(1 << 20):
            found.append(piece)
    return found


def test_its_log_is_read_for_traces_too(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    store = Store(tmp_path, key=locked[1])
    with store.write() as writing:
        writing.add_observation(say(0.0, 1.0, "a kestrel above the yard"))
    file, log = iter_all(store)
    assert b"a kestrel above the yard" not in file
    assert b"a kestrel above the yard" in log
    store.close()


def test_a_backup_is_encrypted_and_comes_back_with_its_passphrase(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    stored = encrypted_memory(tmp_path / "first", locked)
    store = Store(tmp_path / "first", key=locked[1])
    back_up(store, BackupRequest(path=str(tmp_path / "kept.db")))
    store.close()
    assert b"kestrel" not in (tmp_path / "kept.db").read_bytes()
    salt = salt_of_backup(tmp_path / "kept.db")
    assert salt is not None
    (tmp_path / "second").mkdir()
    for key in (None, key_for(salt, "a wrong passphrase")):
        with pytest.raises(StoreError, match="damaged"):
            restore(tmp_path / "second", tmp_path / "kept.db", replace=False, key=key)
    restore(tmp_path / "second", tmp_path / "kept.db", replace=False, key=key_for(salt, PASSPHRASE))
    lock = lock_of(tmp_path / "second")
    assert lock is not None
    again = Store(tmp_path / "second", key=key_of(lock, PASSPHRASE))
    assert everything(again) == stored
    again.close()


def test_a_flipped_bit_is_found_and_what_other_pages_hold_is_saved(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    stored = encrypted_memory(tmp_path / "whole", locked)
    at_random = random.Random(5)
    for trial in range(8):
        hurt = tmp_path / str(trial)
        shutil.copytree(tmp_path / "whole", hurt)
        data = bytearray((hurt / "memory.db").read_bytes())
        data[at_random.randrange(16, 600) if trial == 0 else at_random.randrange(len(data))] ^= (
            1 << at_random.randrange(8)
        )
        (hurt / "memory.db").write_bytes(data)
        repair(hurt, NOW_S, locked[1])
        assert find_damage(hurt / "memory.db", key=locked[1]) == ""
        store = Store(hurt, key=locked[1])
        left = everything(store)
        store.close()
        for id_, o in left.items():
            was = stored[id_]
            assert o.payload in (was.payload, None)
            assert msgspec.structs.replace(o, payload=None, vector=None, vector_space="") == msgspec.structs.replace(
                was, payload=None, vector=None, vector_space=""
            )
        assert len(left) >= len(stored) - 60  # a page of rows at most
        shutil.rmtree(hurt)


def test_a_plain_memory_is_written_over_when_it_is_encrypted(tmp_path: Path, locked: tuple[Lock, Key]) -> None:
    store = memory_of(tmp_path, stream(*a_day(), end_s=200.0))
    store.close()
    (tmp_path / "elsewhere.db").hardlink_to(tmp_path / "memory.db")  # what is left of the old file's blocks
    encryption.encrypt(tmp_path, *locked, None)
    assert set((tmp_path / "elsewhere.db").read_bytes()) == {0}
