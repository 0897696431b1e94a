"""What holds for the project as a whole: its locks, what it commits, and that the embedded agent needs no torch."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from runtime.version import VERSION
from tests.fixtures.agent_runs import PROJECT, SAMPLE, committed, end_started, ended_with_its_test

LOCKS = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in (PROJECT / "requirements").glob("*.lock")}
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))

# Where packages came from, and folders of whoever wrote this.
FOREIGN = re.compile(
    r"--(?:extra-)?index-url\b|--find[-]links\b|--trusted[-]host\b|\bpypi\.(?:org|python)|\bpythonhosted\b"
    r"|(?<![\w.:/])/(?:home|root|work|opt)/\w"
)


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[ <>=!~\[]", requirement)[0]).lower()


def test_nothing_committed_names_a_package_index_or_a_folder_of_its_author() -> None:
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.name}:{n}: {line}" for n, line in enumerate(text.splitlines(), 1) if FOREIGN.search(line)]
    assert found == []


def test_nothing_committed_is_large() -> None:
    assert [path.name for path in committed() if path.stat().st_size > 3_000_000] == []


def test_the_newest_entry_of_the_changelog_is_of_this_version() -> None:
    newest = re.search(r"^## (\S+?),? ", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest and newest[1] == VERSION
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "runtime.version.VERSION"}


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_locks_pin_exact_versions_with_checksums_in_order_and_nothing_else(name: str) -> None:
    pin = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+( --hash=sha256:[0-9a-f]{64})+")
    assert [line[:80] for line in LOCKS[name] if not pin.fullmatch(line)] == []  # `make lock` mends them
    assert [canonical(line) for line in LOCKS[name]] == sorted(canonical(line) for line in LOCKS[name])


def test_no_package_is_pinned_twice() -> None:
    names = [canonical(line) for name, lines in LOCKS.items() if name != "audit" for line in lines]
    assert len(names) == len(set(names))


def test_pip_is_held_to_the_checksums() -> None:
    for script in ("install.sh", "matrix.sh"):
        told = (PROJECT / "requirements" / script).read_text(encoding="utf-8").replace("\\\n", "")
        installs = re.findall(r"^.*\binstall --.*(?:\$lock|\.lock).*$", told, re.MULTILINE)
        assert installs
        assert all("--require-hashes" in line for line in installs)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("told", "exits", "code"),
    [
        ("No known vulnerabilities found", 0, 0),
        ("Found 1 known vulnerability in 1 package", 1, 1),
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded", 1, 2),
        ("pip_audit._service.interface.ServiceError: 503", 1, 2),
    ],
)
def test_an_audit_that_asked_nobody_is_no_clean_one(tmp_path: Path, told: str, exits: int, code: int) -> None:
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "pip-audit"
    stand_in.write_text(f"#!/bin/sh\necho '{told}' >&2\nexit {exits}\n", encoding="utf-8")
    stand_in.chmod(0o755)
    command = [str(PROJECT / "requirements" / "audit.sh"), str(tmp_path), "embedded"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert ("nothing was audited" in ran.stderr) == (code == 2)


def test_every_requirement_of_the_project_is_pinned_in_its_own_lock() -> None:
    wanted = {
        "embedded": PYPROJECT["project"]["dependencies"],
        **PYPROJECT["project"]["optional-dependencies"],
        **PYPROJECT["dependency-groups"],
        "build": PYPROJECT["build-system"]["requires"],
    }
    for name, requirements in wanted.items():
        assert {canonical(r) for r in requirements} <= {canonical(line) for line in LOCKS[name]}, name


def test_pip_would_install_what_the_embedded_list_names_and_nothing_else() -> None:
    """So that `pip install .` brings no torch either."""
    todo = [Requirement(line) for line in PYPROJECT["project"]["dependencies"]]
    needed: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        asked_for = (canonical(requirement.name), frozenset(requirement.extras))
        if asked_for in needed:
            continue
        needed.add(asked_for)
        for line in distribution(requirement.name).requires or ():
            asked = Requirement(line)
            extras = requirement.extras or {""}
            if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(asked)
    assert {name for name, _ in needed} == {canonical(line) for line in LOCKS["embedded"]}


def test_the_embedded_lock_has_no_torch_and_one_opencv_that_has_people_and_faces() -> None:
    names = {canonical(line) for line in LOCKS["embedded"]}
    assert not names & {"torch", "torchaudio", "torchvision", "triton"}
    opencv = [line for line in LOCKS["embedded"] if canonical(line).startswith("opencv")]
    assert len(opencv) == 1
    assert opencv[0].startswith("opencv-python-headless==4.")


@pytest.mark.processes
def test_what_a_test_left_running_is_ended_after_it() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    left = ended_with_its_test(subprocess.Popen(command))
    over = ended_with_its_test(subprocess.Popen([sys.executable, "-c", ""]))
    over.wait()
    end_started()
    assert (left.returncode, over.returncode) == (-signal.SIGTERM, 0)


@pytest.mark.processes
def test_no_process_of_the_embedded_agent_so_much_as_tries_to_import_torch(tmp_path: Path) -> None:
    """A package that leaves a mark and fails stands where torch would be found first."""
    for name in ("torch", "torchaudio"):
        package = tmp_path / "path" / name
        package.mkdir(parents=True)
        code = f"open({str(tmp_path / 'tried')!r}, 'a').write({name!r} + '\\n')\nraise ImportError({name!r})\n"
        (package / "__init__.py").write_text(code, encoding="utf-8")
    command = [sys.executable, str(PROJECT / "run_agent.py"), "replay", str(SAMPLE), "--json"]
    command += ["--memory", str(tmp_path / "memory"), "--ask", "What was said?"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "path")}
    ran = subprocess.run(command, capture_output=True, text=True, env=env, cwd=PROJECT, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("\n") == 1
    assert not (tmp_path / "tried").exists(), (tmp_path / "tried").read_text(encoding="utf-8")
