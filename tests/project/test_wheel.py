"""The wheel: everything below one name, with its profiles, working from any folder and where Python trusts none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from runtime.version import VERSION
from tests.fixtures.agent_runs import PROJECT, SAMPLE, committed

pytestmark = pytest.mark.processes
PACKAGES = ("runtime", "perception", "memory", "reasoning")
COMMAND = "import sys; sys.argv[0] = 'mindstream'; from mindstream.run_agent import main; sys.exit(main())"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with what pip puts there of the wheel, the packages it needs left to this environment."""
    pytest.importorskip("setuptools")
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    for path in committed():
        copy = source / path.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    build = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps"]
    subprocess.run([*build, "--no-build-isolation", "--wheel-dir", wheels, source], check=True)
    with zipfile.ZipFile(next(wheels.glob("mindstream-*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def mindstream(site: Path, *arguments: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder and an environment."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "OPENAI_BASE_URL": "", "PYTHONPATH": str(site), **env},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_nothing_lies_bare_and_nothing_is_left_out(site: Path) -> None:
    assert {path.name for path in site.iterdir()} == {"mindstream", f"mindstream-{VERSION}.dist-info"}
    installed = site / "mindstream"
    there = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    wanted = {path.relative_to(PROJECT).as_posix() for path in committed()}
    own = {name for name in wanted if name.split("/")[0] in (*PACKAGES, "configs")} | {"run_agent.py"}
    assert there == own
    entry = (site / f"mindstream-{VERSION}.dist-info" / "entry_points.txt").read_text(encoding="utf-8")
    assert entry.split() == ["[console_scripts]", "mindstream", "=", "mindstream.run_agent:main"]


def test_a_recording_is_perceived_from_any_folder_also_where_python_trusts_none(site: Path, tmp_path: Path) -> None:
    for name in PACKAGES:  # folders as users have them
        (tmp_path / name).mkdir()
    ran = mindstream(
        site, "replay", SAMPLE, "--memory", "memory", "--ask", "When does the bakery open?", cwd=tmp_path,
        PYTHONSAFEPATH="1",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "8 am to 6 pm" in ran.stdout


def test_messages_name_the_program_as_it_was_called(site: Path, tmp_path: Path) -> None:
    assert mindstream(site, "--version", cwd=tmp_path).stdout == f"mindstream {VERSION}\n"
    assert mindstream(site, "ask", cwd=tmp_path).stderr.startswith("usage: mindstream ask ")
    absent = mindstream(site, "replay", "absent.mp4", cwd=tmp_path)
    assert (absent.returncode, absent.stderr) == (2, "mindstream: absent.mp4: no such file; check the path\n")
    profile = tmp_path / "tiny.yaml"
    profile.write_text("perception: {hearing: {whisper: tiny}}", encoding="utf-8")
    lacking = mindstream(site, "doctor", "--config", profile, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path), HF_HOME="x")
    assert "run `mindstream setup`" in lacking.stdout
