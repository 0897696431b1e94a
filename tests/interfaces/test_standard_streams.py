"""Standard input and output as they may be: lines that are no text or never come, streams that are closed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from runtime.interfaces.terminal.standard_streams import readable, typed_lines
from tests.fixtures.agent_runs import PROJECT, SAMPLE, Run, finish, run, start
from tests.fixtures.typed_lines import typed

COMMAND = f"{sys.executable} {PROJECT / 'run_agent.py'}"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory in which nothing was perceived yet, but something is waited for."""
    folder = tmp_path_factory.mktemp("memory") / "memory"
    assert run("standing", "add", "when a person appears", "--memory", folder).code == 0
    return folder


@pytest.mark.anyio
async def test_lines_are_what_was_typed_and_bytes_that_are_no_text_end_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = b"one\n\nna\xc3\xafve \xff\xfe\n" + b"x" * 200_000 + b"\nlast"
    wanted = ["one", "", "na\u00efve \ufffd\ufffd", "x" * 200_000, "last"]
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert [line async for line in typed_lines()] == wanted
    with typed(data[-1000:]) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert [line async for line in typed_lines()] == ["x" * 995, "last"]


@pytest.mark.anyio
async def test_who_waits_for_a_line_that_never_comes_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as stdin, open(writer, "wb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        with anyio.move_on_after(0.05) as waiting:
            await anext(typed_lines())
        assert waiting.cancelled_caught


@pytest.mark.anyio
async def test_a_terminal_that_is_gone_is_the_end_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, shell = pty.openpty()
    os.write(terminal, b"what?\n")
    with open(shell, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        lines = typed_lines()
        assert await anext(lines) == "what?"
        os.close(terminal)
        assert [line async for line in lines] == []


def test_words_of_the_command_line_that_are_no_text_can_be_sent() -> None:
    assert readable(os.fsdecode(b"caf\xe9 na\xc3\xafve")) == "caf\ufffd na\u00efve"


@pytest.mark.processes
def test_a_chat_whose_input_stays_open_ends_when_it_is_told_to(memory: Path) -> None:
    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)):
        process = start("chat", "--memory", memory, stdin=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("/help\n")
        process.stdin.flush()
        assert "/status" in process.stdout.readline() + process.stdout.readline()
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        ended = finish(process)
        assert "Traceback" not in ended.err
        ended.assert_nothing_left()


@pytest.mark.processes
def test_a_chat_whose_terminal_is_closed_ends_in_order(memory: Path) -> None:
    number, terminal = pty.fork()
    if not number:
        os.execv(sys.executable, [*COMMAND.split(), "chat", "--memory", str(memory)])
    shown = b""
    while b"Ask away" not in shown:
        shown += os.read(terminal, 65536)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 129
    Run(129, "", "", number).assert_nothing_left()


@pytest.mark.processes
@pytest.mark.parametrize("command", ["status --json", "status", "search sun --json", "standing", "doctor", "ask why"])
def test_a_reader_that_has_left_ends_a_command_quietly(command: str, memory: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    shell = f"exec {COMMAND} {command} --memory {memory}"
    ended = subprocess.run(
        shell, shell=True, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.processes
def test_a_command_runs_without_any_standard_stream(memory: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    closed = f"exec {COMMAND} export {archive} --memory {memory} <&- >&- 2>&-"
    assert subprocess.run(closed, shell=True, check=False).returncode == 0
    assert (archive / "manifest.json").exists()


@pytest.mark.processes
def test_names_that_cannot_be_used_are_one_clear_line(memory: Path, tmp_path: Path) -> None:
    clip = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    clip.symlink_to(SAMPLE)
    assert "not UTF-8" in run("replay", clip, "--memory", memory).assert_one_clear_line()
    assert "not UTF-8" in run("status", "--memory", tmp_path / os.fsdecode(b"\xe9")).assert_one_clear_line()
    gone = f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; exec {COMMAND} status --memory here"
    ended = subprocess.run(gone, shell=True, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "run_agent.py: here: the folder you are in has been removed; change into one that is there"
    ]
