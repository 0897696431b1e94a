"""What an observation tells: its text, and of its facts the values that are words. What is to be forgotten is sought
there, and nowhere else: the keys of facts, and values that the program itself names things by, are nobody's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from memory.index.analysis import terms
from runtime.messages import Observation

# Facts whose values are words that were said, read, or names of what was made out (docs/observations.md).
TOLD_KEYS = frozenset(
    ("words", "lines", "speaker", "tags", "labels", "things", "label", "on", "understood", "asked", "answered")
)


def wanted_pattern(text: str) -> re.Pattern[str]:
    """Finds ``text`` as whole words, however it is spaced and capitalised."""
    parts = [re.escape(part) for part in text.split()]
    return re.compile(r"(?<!\w)" + r"\s+".join(parts) + r"(?!\w)", re.IGNORECASE)


def told_in(data: dict[str, Any]) -> str:
    """The words among the facts of an observation, in their order."""
    return " ".join(part for key, value in data.items() if key in TOLD_KEYS for part in _strings(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)


class Wanted:
    """A text that is to be forgotten, sought in what observations tell."""

    def __init__(self, text: str) -> None:
        self.pattern = wanted_pattern(text)
        self._terms = frozenset(terms(text))
        first = re.search(r"\w+", text)
        word = first[0] if first else text.strip()
        # Facts are only read where the first of the words stands anywhere in them, and sketches where its first two
        # letters do, which it has in every form.
        self._first = re.compile(re.escape(word), re.IGNORECASE)
        self._begin = re.compile(re.escape(word[:2]), re.IGNORECASE)

    def is_in(self, observation: Observation) -> bool:
        facts = told_in(msgspec.to_builtins(observation.data))
        return bool(self.pattern.search(observation.text) or self.pattern.search(facts))

    def is_told(self, text: str, data: str) -> bool:
        """The same of a row: its text, and its facts as JSON."""
        if self.pattern.search(text):
            return True
        return bool(self._first.search(data) and self.pattern.search(told_in(msgspec.json.decode(data))))

    def is_sketched(self, text: str) -> bool:
        """Whether a sketch, which is in no index, holds it in any form of its words."""
        if not self._begin.search(text):
            return False
        return bool(self.pattern.search(text)) or (bool(self._terms) and self._terms <= set(terms(text)))
