"""What tests share: the anyio back end, where the annotated media are, and which tests start processes.

A test that starts a process (an agent, a server, a shell) is marked `processes`: by its folder (`tests/agent`), its
module or itself. `make check` leaves these out. Nobody has to remember: a test that starts one unmarked fails. What
needs torch needs no mark: it is skipped where torch is not installed.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.agent_runs import SHARED_MEDIA, end_started

# Run in the background of a shell, tests are told to ignore Ctrl-C, and by nohup the end of the terminal; and so would
# be the agents they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

MARK = "processes"
# These end at once; `uname` is the standard library's own, for platform.processor().
TOOLS = ("git", "uname")
_started_unmarked: list[str] = []


def _note_processes(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578): it also hears of processes that a library starts, in whatever thread."""
    if event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system"):
        _started_unmarked.append(event)
    elif event == "subprocess.Popen" and Path(str(args[0])).name not in TOOLS:
        _started_unmarked.append(str(args[1]))


sys.addaudithook(_note_processes)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What collecting started (triton looks for CUDA with ldconfig) is no test's; fixtures of a module are."""
    _started_unmarked.clear()


@pytest.fixture(autouse=True)
def _processes_are_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    started = list(_started_unmarked)
    _started_unmarked.clear()
    if started and not request.node.get_closest_marker(MARK):
        pytest.fail(f"starts a process and is not marked `{MARK}` (tests/conftest.py): {started[0]}", pytrace=False)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _nothing_outlives_its_test() -> Iterator[None]:
    yield
    end_started()


@pytest.fixture
def media() -> Path:
    """The folder of real clips; tests that need it are skipped where it is absent."""
    if not SHARED_MEDIA.is_dir():
        pytest.skip("the annotated media are not on this machine (../shared/media)")
    return SHARED_MEDIA


@pytest.fixture
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path is short enough for socket names."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time where the clock changes twice a year."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
