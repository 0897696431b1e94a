"""The process table: what runs, in which order it starts, and what its failure means.

Processes are known here by dotted name only. They start in the order of the table and stop in the
reverse: sources first, memory last.
"""

from __future__ import annotations

from msgspec import Struct


class ProcessRow(Struct, frozen=True):
    """One role. A required process out of its restart budget stops the agent; an optional one blinds or
    deafens it, and it says so."""

    role: str
    main: str
    required: bool
    lost: str


# The module whose ``probe(path)`` says what a media file holds, or raises one clear line.
PROBE = "perception.file_source"

PROCESSES: dict[str, ProcessRow] = {
    row.role: row
    for row in (
        ProcessRow("memory", "memory.remember:main", True, "nothing can be remembered"),
        ProcessRow("reasoning", "reasoning.answer:main", True, "no question can be answered"),
        ProcessRow("video", "perception.watch:main", False, "I am blind from here on"),
        ProcessRow("audio", "perception.listen:main", False, "I am deaf from here on"),
    )
}
