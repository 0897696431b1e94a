"""What a tool of a model gives back, and how the arguments of its call are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from reasoning.backends.brackets import Brackets
from reasoning.backends.chat_model import Picture
from reasoning.backends.told import told_of
from reasoning.safety.untrusted import Guard
from runtime.messages import Observation

# One result may not fill a small model's context.
RESULT_CHARACTERS = 4000
LINE_CHARACTERS = 300


class ToolResult(Struct, frozen=True):
    """What a tool found. ``text`` is for the model, ``content`` pictures to follow it, each right after its bracket;
    ``found`` says it in a few words for the trace."""

    text: str
    found: str
    content: tuple[str | Picture, ...] = ()


class BadArguments(Exception):
    """A call whose arguments cannot be used; the message tells the model why."""


def lines_of(
    observations: Sequence[Observation],
    guard: Guard,
    brackets: Brackets,
    again: dict[str, tuple[float, ...]] | None = None,
) -> ToolResult:
    """The observations as evidence, in the order given, as many as a result may hold."""
    lines: list[str] = []
    for o in observations:
        line = told_of(o, guard, brackets, LINE_CHARACTERS, (again or {}).get(o.id, ()))
        if sum(map(len, lines)) + len(line) > RESULT_CHARACTERS:
            break
        lines.append(line)
    return ToolResult(enclose(guard, lines), f"{len(lines)} observations" if lines else "nothing")


def enclose(guard: Guard, lines: Sequence[str]) -> str:
    return guard.enclose(*lines) if lines else "Nothing was found."


def time_in(arguments: dict[str, Any], name: str) -> float | None:
    """Seconds of a moment among the arguments of a call; None where there is none."""
    return seconds_of(arguments.get(name), name)


def seconds_of(value: Any, name: str) -> float | None:
    """Seconds of a moment as models write it: "12:31", "[1:02:03]", 72, "72", "72 s"; None of nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadArguments(f'"{name}" is no moment')
    found = re.fullmatch(
        r"\s*\[?(?:(\d{1,3}):)?(?:(\d{1,3}):)?(\d{1,7}(?:\.\d+)?)[a-z]?\]?\s*(?:s|sec|seconds)?\s*", str(value)[:40]
    )
    if not found:
        raise BadArguments(f'"{name}" is no moment like "12:31"')
    first, second, seconds = found.groups()
    if second is None:
        return int(first or 0) * 60 + float(seconds)
    return int(first) * 3600 + int(second) * 60 + float(seconds)
