"""Running `run_agent.py` as a user does: a process of its own, its output, its exit code, what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from runtime.agent import RUN_DIR_PREFIX, AgentCard

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = PROJECT / "examples" / "sample.mp4"
SHARED_MEDIA = PROJECT.parent / "shared" / "media"
DEADLINE_S = 240
P = TypeVar("P", bound="subprocess.Popen[Any]")
_started: list[subprocess.Popen[Any]] = []


class Run(msgspec.Struct):
    """How a command ended."""

    code: int
    out: str
    err: str
    pid: int

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def assert_one_clear_line(self) -> str:
        """A user's mistake: exit code 2, one line of explanation, no traceback, nothing left behind."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("run_agent.py")]
        assert len(lines) == 1, self.err
        self.assert_nothing_left()
        return lines[0]

    def assert_nothing_left(self) -> None:
        """No run directory of this process, hence no socket, and no process that had one."""
        assert not list(Path(tempfile.gettempdir()).glob(f"{RUN_DIR_PREFIX}{self.pid}-*"))
        marker = f"{RUN_DIR_PREFIX}{self.pid}-".encode()
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert marker not in cmdline.read_bytes(), cmdline
            except (FileNotFoundError, ProcessLookupError):
                continue


def start(*args: str | Path, cwd: Path = PROJECT, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "run_agent.py"), *map(str, args)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        # An empty address: no model server of this machine is looked for.
        env={"OPENAI_BASE_URL": "", **os.environ, "COLUMNS": "200"},
    )
    return ended_with_its_test(process)


def ended_with_its_test(process: P) -> P:
    """Have `end_started` end this process, however its test comes out."""
    _started.append(process)
    return process


def end_started() -> None:
    """End what a test started and left running: in order, or, where that takes too long, at once."""
    while _started:
        process = _started.pop()
        if process.poll() is not None:
            continue
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def finish(process: subprocess.Popen[str]) -> Run:
    try:
        out, err = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        out, err = process.communicate(timeout=30)
        raise AssertionError(f"not done after {DEADLINE_S} s\n{out}\n{err}") from None
    return Run(process.returncode, out, err, process.pid)


def run(*args: str | Path, cwd: Path = PROJECT) -> Run:
    return finish(start(*args, cwd=cwd))


def child_pid(memory_dir: Path, name: str) -> int | None:
    """Process id of a part of the agent that runs on this memory, once it has started."""
    try:
        card = msgspec.json.decode((memory_dir / "agent.json").read_bytes(), type=AgentCard)
        return int(Path(card.run_dir, f"{name}.pid").read_text())
    except (FileNotFoundError, ValueError, msgspec.DecodeError):
        return None


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
