"""What the README and docs/ show is true: their commands run, the demo prints that, the links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import msgspec
import pytest

from runtime.interfaces.commands.parser import build_parser
from runtime.messages import FACTS, Answer, Citation
from tests.fixtures.agent_runs import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
OBSERVATIONS = (PROJECT / "docs" / "observations.md").read_text(encoding="utf-8")
CLI = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
# These take minutes, or run this very test: that make knows them must do.
NOT_RUN_HERE = ("make test", "make bench")


def commands() -> list[str]:
    """The lines of the README's shell blocks, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def session(text: str) -> list[str]:
    """What of a run of the demo is the same every time: questions, answers and citations."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("? ")), len(lines))
    noise = ("perceiv", "Setting up", "Set up", "sample.mp4 (", "memory ")
    return [line.rstrip() for line in lines[start:] if not line.startswith(noise)]


def shell(command: str, data: Path) -> subprocess.CompletedProcess[str]:
    # Not as a part of the make that may be running the tests.
    env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        command,
        shell=True,
        cwd=PROJECT,
        env={**env, "XDG_DATA_HOME": str(data), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """Every command of the README, run in its order by somebody who has used none before."""
    data = tmp_path_factory.mktemp("data")
    return {
        command: shell(f"make -n {command.removeprefix('make ')}" if command in NOT_RUN_HERE else command, data)
        for command in commands()
    }


def test_the_first_two_commands_are_the_demo_and_the_tests() -> None:
    assert commands()[:2] == ["make demo", "make test"]


def test_the_live_commands_of_the_readme_are_commands() -> None:
    """Their devices are not here; tests/agent/test_live_command.py runs `live` on streams that are."""
    shown = re.search(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert shown
    for line in shown[1].splitlines():
        program, *arguments = shlex.split(line, comments=True)[1:]
        assert program == "run_agent.py" and build_parser().parse_args(arguments).command == "live"


@pytest.mark.processes
@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_readme_runs(ran: dict[str, subprocess.CompletedProcess[str]], command: str) -> None:
    assert ran[command].returncode == 0, ran[command].stderr
    assert ran[command].stdout or "chat" in command
    assert "\x1b" not in ran[command].stdout


@pytest.mark.processes
@pytest.mark.timeout(900)
def test_the_session_in_the_readme_is_what_the_demo_prints(ran: dict[str, subprocess.CompletedProcess[str]]) -> None:
    shown = re.search(r"<!-- demo -->\n```text\n(.*?)```\n<!-- /demo -->", README, re.DOTALL)
    assert shown
    assert session(shown[1]) == session(ran["make demo"].stdout)


def documented() -> dict[str, set[str]]:
    """Channel -> the data keys docs/observations.md lists."""
    found: dict[str, set[str]] = {}
    for section in re.split(r"^## ", OBSERVATIONS, flags=re.MULTILINE)[1:]:
        channels, _, body = section.partition("\n")
        firsts = re.findall(r"^\| (`[^|]*) \|", body, re.MULTILINE)
        for channel in channels.split(","):
            found[channel.strip()] = {key for first in firsts for key in re.findall(r"`(\w+)`", first)}
    return found


def test_the_facts_of_each_channel_are_documented_and_no_others() -> None:
    given = {channel: {field.encode_name for field in msgspec.structs.fields(kind)} for channel, kind in FACTS.items()}
    missing = {channel: keys - documented()[channel] - {"imported"} for channel, keys in given.items()}
    assert {channel: keys for channel, keys in missing.items() if keys} == {}
    assert set().union(*(documented()[channel] for channel in FACTS)) <= set().union(*given.values())


def test_the_json_of_an_answer_is_documented_as_it_is() -> None:
    shown = json.loads(re.findall(r"^```json\n(.*?)^```", CLI, re.MULTILINE | re.DOTALL)[0])
    assert set(shown) == {field.name for field in msgspec.structs.fields(Answer)}
    assert set(shown["citations"][0]) == {field.name for field in msgspec.structs.fields(Citation)}
    assert set(shown["latency_s"]) == {"recall", "first_part", "total"}


def test_documents_link_to_what_exists() -> None:
    for page in (*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    for name in re.findall(r"`((?:perception|memory|reasoning|runtime)/[\w/]+\.py)`", README):
        assert (PROJECT / name).exists(), name
