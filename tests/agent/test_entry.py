"""How the program is entered: by any interpreter, from any folder, by hand or with the shell's completion."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.version import VERSION
from tests.fixtures.agent_runs import PROJECT

ENTRY = PROJECT / "run_agent.py"


def enter(*command: str | Path, cwd: Path = PROJECT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


def test_it_is_a_program_of_its_own() -> None:
    assert os.access(ENTRY, os.X_OK)
    assert ENTRY.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")


def test_an_interpreter_without_the_packages_is_told_in_one_line(tmp_path: Path) -> None:
    ran = enter(sys.executable, "-S", ENTRY, "status", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith(f"run_agent.py: {sys.executable} has no package '")
    assert ran.stderr.count("\n") == 1


def test_an_interpreter_that_is_too_old_can_read_that_it_is() -> None:
    ast.parse(ENTRY.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_it_runs_where_python_trusts_no_folder(tmp_path: Path) -> None:
    ran = enter(sys.executable, ENTRY, "--version", cwd=tmp_path, PYTHONSAFEPATH="1")
    assert (ran.stdout, ran.stderr) == (f"mindstream {VERSION}\n", "")
    ran = enter(sys.executable, "-P", ENTRY, "ask", "why?", "--memory", tmp_path / "none", cwd=tmp_path)
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 2


def test_its_processes_start_where_python_trusts_no_folder(tmp_path: Path) -> None:
    with_memory = ("--memory", tmp_path / "memory", "--json")
    ran = enter(sys.executable, ENTRY, "standing", "add", "whenever a person appears", *with_memory, PYTHONSAFEPATH="1")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_each_shell_gets_a_script_that_completes_its_commands(shell: str) -> None:
    ran = enter(sys.executable, ENTRY, "--print-completion", shell)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "run_agent.py" in ran.stdout and "reembed" in ran.stdout


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(enter(sys.executable, ENTRY, "--print-completion", "bash").stdout, encoding="utf-8")
    (tmp_path / "talk.mp4").touch()
    for words, expected in (
        ("repl", {"replay"}),
        ("forget --l", {"--last"}),
        ("replay ta", {"talk.mp4"}),
        ("ask --memory ta", {"talk.mp4"}),
    ):
        typed = ["run_agent.py", *words.split()]
        ask = (
            f"source {script}; COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}; "
            'function=$(complete -p run_agent.py | sed "s/.*-F \\([^ ]*\\).*/\\1/"); '
            f'$function run_agent.py {typed[-1]} {typed[-2]}; printf "%s\\n" "${{COMPREPLY[@]}}"'
        )
        assert set(enter("bash", "-c", ask, cwd=tmp_path).stdout.split()) == expected


def test_a_shell_without_completion_is_one_line() -> None:
    ran = enter(sys.executable, ENTRY, "--print-completion", "cmd.exe")
    assert ran.returncode == 2
    assert "no completion for 'cmd.exe'; there is one for bash, " in ran.stderr
