"""Streamed text cut into sentences to be spoken, each as soon as it is certain that it has ended."""

from __future__ import annotations

import re

_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st sr jr vs etc e.g i.e cf approx no fig dept est a.m p.m u.s u.k inc ltd jan feb mar apr jun "
    "jul aug sep sept oct nov dec".split()
)
# A mark of an end, what may close with it, and the space that shows that it stands at the end of its word.
_END = re.compile(r"([.!?…]+[\"')\]”’]*)(\s+)(?=\S)|\n+")
# Marks of moments are for reading: said aloud they would only be in the way. Of live sources they have the day before
# the time, and the name of the source after it: "[today 06:47:20, yard]".
_MARK = re.compile(r"\s*\[(?:[^\[\]]{1,40} )?\d{1,3}(?::\d{2}){1,2}(?:, [^\[\]]{1,80})?\]")


class SentenceSplitter:
    """Pieces of text in, whole sentences out."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> list[str]:
        self._held += text
        sentences, at = [], 0
        for end in _END.finditer(self._held):
            if _ends(self._held[at : end.start()], end[1] or "", self._held[end.end() :]):
                sentences.append(self._held[at : end.end()])
                at = end.end()
        self._held = self._held[at:]
        return _spoken(sentences)

    def end(self) -> list[str]:
        """The text is over: what is left is a sentence too."""
        rest, self._held = self._held, ""
        return _spoken([rest])


def _ends(before: str, mark: str, after: str) -> bool:
    """Whether a sentence ends at ``mark``; 3.5 and e.g. have no space behind their points, Dr. and initials do."""
    if not mark.startswith("."):
        return True
    word = before.split()[-1].lower().lstrip("(\"'[“‘") if before.split() else ""
    if word in ("no", "fig"):
        return not after[:1].isdigit()
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word != "i"):
        # An abbreviation ends a sentence too; before a name it does not, and "etc. The" is rare enough.
        return word in ("etc", "a.m", "p.m") and after[:1].isupper()
    return not after[:1].islower()


def _spoken(sentences: list[str]) -> list[str]:
    said = (" ".join(_MARK.sub("", sentence).split()) for sentence in sentences)
    return [sentence for sentence in said if any(c.isalnum() for c in sentence)]
