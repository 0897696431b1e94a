"""Standard input and output as they may be: closed, a pipe nobody reads any more, bytes that are no text."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TextIO

READ_BYTES = 65536


def open_missing() -> None:
    """Empty streams in place of those a command was started without (`<&-`); and output that has no sign for a
    character shows its number instead of failing. Before any file is opened, so that none takes a stream's place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as we live
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def let_go(*streams: TextIO) -> None:
    """Send what is written from now on nowhere: whoever read it has left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def readable(typed: str) -> str:
    """What was typed as text that can be sent and stored: bytes that are none show as the replacement character."""
    return typed.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def typed_lines() -> AsyncGenerator[str, None]:
    """The lines of standard input as they come, without their ends.

    No thread waits for them: one that waits for a line that never comes cannot be stopped, and would keep the command
    from ending.
    """
    import anyio  # 50 ms, and not every command has it already

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    begun = ""
    is_open = True
    while is_open:
        with suppress(PermissionError):  # a file is not waited for
            await anyio.wait_readable(sys.stdin.fileno())
        try:
            data = os.read(sys.stdin.fileno(), READ_BYTES)
        except OSError:  # its terminal is gone: a service that was left behind by it goes on
            data = b""
        is_open = bool(data)
        *lines, begun = (begun + decoder.decode(data, final=not is_open)).split("\n")
        for line in lines:
            yield line
    if begun:
        yield begun
