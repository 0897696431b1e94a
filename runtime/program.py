"""The program itself: the folder it lies in, the name it is called by, and its modules as processes of their own.

In a checkout the name is `run_agent.py`. Installed it is `mindstream`, and the folder is `site-packages/mindstream`, in
which everything lies as in a checkout (docs/decisions/0019).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_IN_CHECKOUT, _INSTALLED = "run_agent.py", "mindstream"
# What the name is for the processes that are started: they say it in their messages.
_NAME = "MINDSTREAM_PROGRAM"


def set_name(argv0: str) -> None:
    """Take the name from how the program was called."""
    called = os.path.basename(argv0)
    if called in (_IN_CHECKOUT, _INSTALLED):
        os.environ[_NAME] = called


def name() -> str:
    """What the user calls to run this: `run_agent.py` or `mindstream`."""
    told = os.environ.get(_NAME, "")
    if told in (_IN_CHECKOUT, _INSTALLED):
        return told
    return _IN_CHECKOUT if (ROOT / "pyproject.toml").is_file() else _INSTALLED


def command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours with the same interpreter; run it in `ROOT`, in `environment`."""
    return [sys.executable, "-m", module, *arguments]


def environment() -> dict[str, str]:
    """The environment in which our modules are found, also where Python trusts no working folder (PYTHONSAFEPATH)."""
    before = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), before] if before else [str(ROOT)])}
