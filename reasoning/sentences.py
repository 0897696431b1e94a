"""A model's words as sentences, as soon as each is whole: what is said is checked, and spoken, by the sentence.

Its thinking aloud (between `<think>` tags, as many open models write it) is no part of the answer.
"""

from __future__ import annotations

import re

# A sentence ends at a stop with space after it. Moments in brackets that follow the stop belong to it.
_END = re.compile(r"[.!?…]+[\"'”’)]*(?:\s*\[[^\[\]\n]{1,40}\][.,;]?)*(?=\s+[^\s\[])|\n+")
_NO_END = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|vs|e\.g|i\.e|approx|ca|etc)|\b[A-Z]|(?:^|\s)\d{1,2})\.$")
_MARKUP = re.compile(r"\*\*|__|^\s*(?:[-*•]|\d{1,2}[.)]|#{1,4})\s+|`")
_OPEN, _CLOSE = "<think>", "</think>"


class Sentences:
    """Collects pieces of text; gives back whole sentences."""

    def __init__(self) -> None:
        self._waiting = ""
        self._raw = ""
        self._thinking = False

    def feed(self, text: str) -> list[str]:
        """The sentences that ``text`` completes."""
        self._raw += text
        self._waiting += self._spoken()
        return self._cut()

    def rest(self) -> list[str]:
        """What is left at the end."""
        if not self._thinking:
            self._waiting += self._raw
        self._raw = ""
        left, self._waiting = _plain(self._waiting), ""
        return [left] if left else []

    def _spoken(self) -> str:
        """What of the raw text is surely outside of thinking."""
        spoken = ""
        while True:
            tag = _CLOSE if self._thinking else _OPEN
            before, found, after = self._raw.partition(tag)
            if not found:
                # The tag itself may be half here.
                keep = next((n for n in range(min(len(tag) - 1, len(before)), 0, -1) if before.endswith(tag[:n])), 0)
                ready, self._raw = before[: len(before) - keep], before[len(before) - keep :]
                return spoken if self._thinking else spoken + ready
            spoken += "" if self._thinking else before
            self._raw, self._thinking = after, not self._thinking

    def _cut(self) -> list[str]:
        whole = []
        at = 0
        while end := _END.search(self._waiting, at):
            if end[0][0] != "\n" and _NO_END.search(self._waiting[: end.start() + 1]):
                at = end.end()
                continue
            sentence, self._waiting, at = _plain(self._waiting[: end.end()]), self._waiting[end.end() :], 0
            if sentence:
                whole.append(sentence)
        return whole


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub("", text.strip()).split())
