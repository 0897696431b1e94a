"""What dead agents left is removed, and nothing of a live one, whoever's number it has."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from runtime.agent import LOCK_NAME, MADE_BY_S, RUN_DIR_PREFIX, _make_run_dir

NOBODY = 2**22 + 1  # no process has such a number


def left(base: Path, name: str, lock: bool = True, age_s: float = 0.0) -> Path:
    folder = base / f"{RUN_DIR_PREFIX}{name}"
    folder.mkdir()
    if lock:
        (folder / LOCK_NAME).touch()
    made_s = folder.stat().st_mtime - age_s
    os.utime(folder, (made_s, made_s))
    return folder


def test_an_agent_of_another_container_that_shares_the_folder_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("runtime.agent.MAX_RUN_DIR_BYTES", 4096)
    alive, dead = left(tmp_path, f"{NOBODY}-alive"), left(tmp_path, f"{NOBODY}-dead")
    reused = left(tmp_path, f"{os.getpid()}-dead")
    made, never_made = (
        left(tmp_path, f"{NOBODY}-made", lock=False),
        left(tmp_path, f"{NOBODY}-never", lock=False, age_s=2 * MADE_BY_S),
    )
    held = os.open(alive / LOCK_NAME, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    run_dir, lock = _make_run_dir()
    os.close(lock)
    os.close(held)
    assert run_dir.exists() and alive.exists() and made.exists()
    assert not dead.exists() and not reused.exists() and not never_made.exists()
