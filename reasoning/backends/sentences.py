"""A model's words as sentences, as soon as each is whole: what is said is checked, and spoken, by the sentence.

Its thinking aloud (between `<think>` tags, as many open models write it) is no part of the answer.
"""

from __future__ import annotations

import re

from reasoning.safety.untrusted import visible

# A sentence ends at a stop with space after it. Moments in brackets that follow the stop belong to it.
_END = re.compile(r"[.!?…]+[\"'”’)]*(?:\s*\[[^\[\]\n]{1,40}\][.,;]?)*(?=\s+[^\s\[])|\n+")
_NO_END = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|vs|e\.g|i\.e|approx|ca|etc)|\b[A-Z]|(?:^|\s)\d{1,2})\.$")
_MARKUP = re.compile(r"\*\*|__|^\s*(?:[-*•]|\d{1,2}[.)]|#{1,4})\s+|`")


class Tagged:
    """Splits streamed text at a pair of tags: what stands outside, and each stretch within."""

    def __init__(self, opening: str, closing: str) -> None:
        self.inside = False
        self._tags = (opening, closing)
        self._raw = ""
        self._within = ""

    def feed(self, text: str) -> tuple[str, list[str]]:
        """What of the text so far is surely outside, and the stretches that have ended."""
        self._raw += text
        outside = ""
        stretches: list[str] = []
        while True:
            tag = self._tags[self.inside]
            before, found, after = self._raw.partition(tag)
            if not found:  # the tag itself may be half here
                half = next((n for n in range(min(len(tag) - 1, len(before)), 0, -1) if before.endswith(tag[:n])), 0)
                before, self._raw = before[: len(before) - half], before[len(before) - half :]
            if self.inside:
                self._within += before
            else:
                outside += before
            if not found:
                return outside, stretches
            if self.inside:
                stretches.append(self._within)
                self._within = ""
            self._raw, self.inside = after, not self.inside

    def rest(self) -> str:
        """What was held back as half a tag and is none."""
        left, self._raw = "" if self.inside else self._raw, ""
        return left


class Sentences:
    """Collects pieces of text; gives back whole sentences."""

    def __init__(self) -> None:
        self._waiting = ""
        self._thinking = Tagged("<think>", "</think>")

    def feed(self, text: str) -> list[str]:
        """The sentences that ``text`` completes."""
        self._waiting += self._thinking.feed(text)[0]
        return self._cut()

    def rest(self) -> list[str]:
        """What is left at the end."""
        self._waiting += self._thinking.rest()
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
