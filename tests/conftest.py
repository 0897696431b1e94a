"""What tests share: the anyio back end, and where the annotated media are, if they are here."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.agent_runs import end_started

# Run in the background of a shell, tests are told to ignore Ctrl-C, and by nohup the end of the terminal; and so would
# be the agents they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


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
    folder = SHARED / "media"
    if not folder.is_dir():
        pytest.skip("the annotated media are not on this machine (../shared/media)")
    return folder


@pytest.fixture
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path is short enough for socket names."""
    return tmp_path_factory.mktemp("run")
