#!/usr/bin/env python3
"""Mindstream's command line. `run_agent.py --help` lists the commands; docs/cli.md documents them.

Here is only what makes the rest importable, in words that Python 3.7 reads as well: an interpreter that is too old, or
lacks the packages, gets one line. The commands are in runtime/interfaces/commands/.
"""

from __future__ import annotations

import os
import sys

ROOT = os.path.dirname(os.path.realpath(__file__))
EXIT_USER = 2


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 the user must mend something, 130 interrupted."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever has it
        return _cannot(f"needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}")
    if ROOT not in sys.path:  # installed, or where Python trusts the folder of no script (PYTHONSAFEPATH)
        sys.path.insert(0, ROOT)
    try:
        from runtime.interfaces.commands.run import main as run

        return run(argv)
    except ModuleNotFoundError as error:
        if os.path.exists(os.path.join(ROOT, *(error.name or "").split("."))):  # a part of this program: a bug
            raise
        return _cannot(f"{sys.executable} has no package {error.name!r}")


def _cannot(why: str) -> int:
    """Say so in one line, and what to do."""
    own = os.path.join(ROOT, ".venv")
    if os.path.exists(own) and not os.path.samefile(own, sys.prefix):
        remedy = f"run it with {os.path.join(own, 'bin', 'python')}"
    elif os.path.exists(os.path.join(ROOT, "Makefile")):
        remedy = "`make demo` sets up all it needs in .venv"
    else:
        remedy = "install mindstream once more"
    print(f"{os.path.basename(sys.argv[0])}: {why}; {remedy}", file=sys.stderr)
    return EXIT_USER


if __name__ == "__main__":
    sys.exit(main())
