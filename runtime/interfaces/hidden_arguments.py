"""Passwords of addresses given on the command line, kept out of the process list, which every user may read.

The command replaces itself by one whose arguments are masked, and takes the true ones from its environment, which its
owner alone may read. The process keeps its number, and the environment is not handed on.
"""

from __future__ import annotations

import json
import os
import sys

from runtime.addresses import with_masked_password

_VARIABLE = "MINDSTREAM_ARGUMENTS"


def true_arguments() -> list[str]:
    """The arguments of this command as they were given; where one holds a password this returns in the process that
    takes the place of this one."""
    if (given := os.environ.pop(_VARIABLE, None)) is not None:
        return [str(argument) for argument in json.loads(given)]
    if any(with_masked_password(argument) != argument for argument in sys.argv[1:]):
        os.environ[_VARIABLE] = json.dumps(sys.argv[1:])
        os.execv(sys.executable, [with_masked_password(argument) for argument in sys.orig_argv])  # noqa: S606
    return sys.argv[1:]
