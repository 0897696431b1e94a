"""Encrypting a memory and opening it: where its passphrase comes from, who is asked, and that it is told to nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from memory.store.database import Store
from memory.upkeep import encryption
from runtime.agent import Agent, open_agent
from runtime.config import Config, MemoryConfig
from runtime.encryption import hold, key_of, lock_of, new_lock
from runtime.errors import ConfigError, StoreError
from runtime.interfaces import unlock as unlocking
from runtime.interfaces.attach import client_of
from runtime.interfaces.commands.run import main
from runtime.interfaces.unlock import unlock
from runtime.plan import OnFolder
from runtime.processes import MIND
from tests.fixtures.memory_cases import memory_of, say, stream

PASSPHRASE = "seven blue lamps"


class KeptInMemory(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError(username)


@pytest.fixture
def ring() -> Iterator[KeptInMemory]:
    ring = KeptInMemory()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(KeptInMemory())  # whatever this machine has is no test's


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Path]:
    memory = tmp_path / "memory"
    memory_of(memory, stream(say(0.0, 1.0, "a kestrel above the yard"), end_s=2.0)).close()
    yield memory
    hold(memory, None)


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What somebody at a terminal types; the prompts they were shown."""
    prompts: list[str] = []
    left = list(words)

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return left.pop(0)

    monkeypatch.setattr(unlocking, "ask", ask)
    return prompts


def passphrase_file(folder: Path, told: str, mode: int = 0o600) -> Config:
    file = folder / "passphrase"
    file.write_text(told, encoding="utf-8")
    file.chmod(mode)
    return Config(memory=MemoryConfig(passphrase_file=str(file)))


def test_what_is_typed_encrypts_opens_and_decrypts(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, PASSPHRASE, PASSPHRASE, "no such words", PASSPHRASE, PASSPHRASE)
    assert main(["encrypt", "--memory", str(plain)]) == 0
    assert b"kestrel" not in (plain / "memory.db").read_bytes()
    assert main(["repair", "--memory", str(plain)]) == 0
    said = capsys.readouterr()
    assert "that is not its passphrase" in said.err
    assert "nothing is damaged" in said.out
    assert main(["decrypt", "--memory", str(plain)]) == 0
    assert b"kestrel" in (plain / "memory.db").read_bytes()


def test_two_different_or_too_short_ones_change_nothing(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, PASSPHRASE, "seven blue lamp", "short", "short")
    assert main(["encrypt", "--memory", str(plain)]) == 2
    assert "two different passphrases" in capsys.readouterr().err
    assert main(["encrypt", "--memory", str(plain)]) == 2
    assert "8 characters or more" in capsys.readouterr().err
    assert lock_of(plain) is None
    Store(plain).close()


def test_three_wrong_ones_end_it_in_one_line(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encryption.encrypt(plain, *new_lock(PASSPHRASE), None)
    typed(monkeypatch, "a", "b", "c", PASSPHRASE)
    assert main(["status", "--memory", str(plain)]) == 2
    assert "is encrypted, and that is not its passphrase" in capsys.readouterr().err.splitlines()[-1]


def test_where_nobody_can_be_asked_one_line_says_what_to_do(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encryption.encrypt(plain, *new_lock(PASSPHRASE), None)
    real = os.open

    def no_terminal(path: str, *args: int, **named: int) -> int:
        if path == "/dev/tty":
            raise OSError(6, "No such device or address")
        return real(path, *args, **named)

    monkeypatch.setattr(os, "open", no_terminal)
    assert main(["ask", "what?", "--memory", str(plain)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "memory.passphrase_file" in line


@pytest.mark.processes
def test_doctor_asks_for_none(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encryption.encrypt(plain, *new_lock(PASSPHRASE), None)
    assert main(["doctor", "--memory", str(plain)]) in (0, 1)
    assert "is encrypted; not looked through" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_its_owner_alone_can_read_opens_it(plain: Path, tmp_path: Path) -> None:
    encryption.encrypt(plain, *new_lock(PASSPHRASE), None)
    with pytest.raises(ConfigError, match="others can read"):
        unlock(plain, passphrase_file(tmp_path, PASSPHRASE, 0o640))
    with pytest.raises(ConfigError, match="is empty"):
        unlock(plain, passphrase_file(tmp_path, ""))
    with pytest.raises(StoreError, match="is not its passphrase"):
        unlock(plain, passphrase_file(tmp_path, "another one"))
    unlock(plain, passphrase_file(tmp_path, f"{PASSPHRASE}\n"))
    lock = lock_of(plain)
    assert lock is not None
    assert key_of(lock, PASSPHRASE) is not None


def test_the_keyring_opens_it_unasked_and_forgets_it_when_it_is_plain(
    plain: Path, ring: KeptInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, PASSPHRASE, PASSPHRASE)
    assert main(["encrypt", "--keyring", "--memory", str(plain)]) == 0
    assert list(ring.kept.values()) == [PASSPHRASE]
    assert main(["repair", "--memory", str(plain)]) == 0
    assert main(["decrypt", "--memory", str(plain)]) == 0
    assert not ring.kept


def test_a_keyring_that_refuses_changes_nothing(
    plain: Path, ring: KeptInMemory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: str) -> None:
        raise keyring.errors.KeyringLocked("locked")

    monkeypatch.setattr(ring, "set_password", refuse)
    typed(monkeypatch, PASSPHRASE, PASSPHRASE)
    assert main(["encrypt", "--keyring", "--memory", str(plain)]) == 2
    assert "takes no passphrase (locked)" in capsys.readouterr().err
    assert lock_of(plain) is None


class Starts:
    """A supervisor that starts nothing, and notes what it was to."""

    members = MIND

    def __init__(self) -> None:
        self.work: dict[str, OnFolder] = {}

    async def start(self, name: str, role: str, work: OnFolder) -> None:
        self.work[role] = work


@pytest.mark.anyio
async def test_of_a_hub_what_was_talked_about_is_opened_by_its_passphrase(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain / "hub.json").write_text("{}", encoding="utf-8")
    typed(monkeypatch, PASSPHRASE, PASSPHRASE, PASSPHRASE)
    assert main(["encrypt", "--memory", str(plain)]) == 0
    assert b"kestrel" not in (plain / "memory.db").read_bytes()
    unlock(plain, Config())
    starts = Starts()
    async with anyio.create_task_group() as tasks:
        agent = Agent(plain, plain, None, starts, 1.0, tasks)  # type: ignore[arg-type]
        await agent.start(None)
    assert {role: work.locked for role, work in starts.work.items()} == {
        "sites": False, "talk": True, "reasoning": False,
    }  # fmt: skip


@pytest.mark.processes
@pytest.mark.anyio
async def test_the_key_reaches_memory_and_nothing_else_and_again_after_a_kill(plain: Path) -> None:
    lock, key = new_lock(PASSPHRASE)
    encryption.encrypt(plain, lock, key, None)
    hold(plain, key)
    secrets = (key.secret, key.secret.hex().encode(), PASSPHRASE.encode())
    with anyio.fail_after(120):
        async with open_agent(plain, Config(), perceivers=()) as agent:
            await agent.until_ready()
            async with client_of(agent) as client:
                assert (await client.status()).observations == {"speech": 1}
                first = agent.supervisor.pid("memory")
                shown = [path.read_bytes() for path in agent.run_dir.rglob("*") if path.is_file()]
                for name in ("memory", "reasoning"):
                    process = Path("/proc", str(agent.supervisor.pid(name)))
                    shown += [(process / what).read_bytes() for what in ("cmdline", "environ")]
                assert not [secret for secret in secrets for data in shown if secret in data]
                assert first is not None
                os.kill(first, 9)
                while agent.supervisor.pid("memory") == first:
                    await anyio.sleep(0.02)
                assert (await client.status()).observations == {"speech": 1}
        kept = [path.read_bytes() for path in plain.rglob("*") if path.is_file()]
    assert not [secret for secret in secrets for data in kept if secret in data]
