"""A model's words as sentences, as soon as each is whole: what is said is checked, and spoken, by the sentence."""

from __future__ import annotations

import re

from reasoning.safety.untrusted import visible

# A sentence ends at a stop with space after it. Moments in brackets that follow the stop belong to it.
_END = re.compile(r"[.!?…]+[\"'”’)]*(?:\s*\[[^\[\]\n]{1,40}\][.,;]?)*(?=\s+[^\s\[])|\n+")
_NO_END = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|vs|e\.g|i\.e|approx|ca|etc)|\b[A-Z]|(?:^|\s)\d{1,2})\.$")
_MARKUP = re.compile(r"\*\*|__|^\s*(?:[-*•]|\d{1,2}[.)]|#{1,4})\s+|`")


class Sentences:
    """Collects pieces of text; gives back whole sentences."""

    def __init__(self) -> None:
        self._waiting = ""

    def feed(self, text: str) -> list[str]:
        """The sentences that ``text`` completes."""
        self._waiting += text
        return self._cut()

    def rest(self) -> list[str]:
        """What is left at the end."""
        whole = self._cut()
        left, self._waiting = _plain(self._waiting), ""
        return [*whole, left] if left else whole

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
    return " ".join(_MARKUP.sub("", visible(text).strip()).split())
