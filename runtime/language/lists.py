"""Lists and sentences in English."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def join(parts: Iterable[str], last: str = "and") -> str:
    """``a, b and c``."""
    listed = [part for part in parts if part]
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} {last} {listed[-1]}"


def join_some(parts: Sequence[str], most: int) -> str:
    """The first ``most`` of them, and that there were more later."""
    return join([*parts[:most], "later" if len(parts) > most else ""])


def sentence(text: str) -> str:
    """``text`` with a capital at its start and a full stop at its end."""
    text = " ".join(text.split())
    if not text:
        return text
    if text[-1] not in ".!?" and not re.search(r"[.!?][\"”]$", text):
        text += "."
    return text[0].upper() + text[1:]


def quote(text: str) -> str:
    """``text`` in quotation marks, its own double quotes made single."""
    inner = " ".join(text.split()).replace('"', "'")
    return f'"{inner}"'


def with_article(noun: str) -> str:
    """``a cup``, ``an umbrella``."""
    return f"{'an' if noun[:1].lower() in 'aeiou' and noun[:1] else 'a'} {noun}"
