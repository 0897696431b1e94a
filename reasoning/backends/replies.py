"""One reply of a model as claims: cited sentences as they come, those without a citation only beside one that has."""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec import Struct

from reasoning.answer.citations import has_mark
from reasoning.answer.draft import Claim
from reasoning.backends import prompts
from reasoning.backends.brackets import Brackets
from reasoning.backends.sentences import Sentences


class Said(Struct):
    """What became of one attempt: how many sentences were told, whether one of them is cited, whether it declined, how
    many named what was never shown, and how many named nothing at all."""

    sentences: int = 0
    cited: bool = False
    declined: bool = False
    struck: int = 0
    uncited: int = 0


class Reply:
    """One reply. Words without a citation wait for a sentence that has one, and are not told where none follows: "let
    me look that up" is no answer, and what a model claims without pointing anywhere is none either.

    ``form``: it is to be JSON.
    """

    def __init__(self, brackets: Brackets, said: Said, form: bool = False) -> None:
        self.text = ""
        self._brackets = brackets
        self._said = said
        self._form = form
        self._held: list[Claim] = []
        self._fed = False
        self._sentences = Sentences()

    def feed(self, piece: str) -> list[Claim]:
        """The claims that ``piece`` completes."""
        self.text += piece
        if self._form and self.text.lstrip()[:1] in ("", "{", "`"):
            return []
        piece, self._fed = piece if self._fed else self.text, True
        return [claim for sentence in self._sentences.feed(piece) for claim in self._claims(sentence)]

    def end(self, calls: bool, cut: bool = False) -> list[Claim]:
        """The claims that are left; none with ``calls`` following. ``cut``: it broke off in the middle."""
        claims = []
        if self._form and (told := _in_form(self.text)) is not None:
            whole = Sentences()
            sentences = [*whole.feed(told), *whole.rest()]
        elif not self._fed:
            sentences = [*self._sentences.feed(self.text), *self._sentences.rest()]
        else:
            sentences = self._sentences.rest()
        for k, sentence in enumerate(sentences):
            if cut and k == len(sentences) - 1 and not re.search(r"[.!?…\]]\s*$", sentence):
                continue  # half a sentence may say the opposite of the whole
            claims += self._claims(sentence)
        if calls:
            self._held = []
            return claims
        held, self._held = self._held, []
        declines = held and (prompts.declines(held[0].text) or prompts.denies(held[0].text))
        if declines and not self._said.sentences and not claims:
            self._said.declined = True
            return self._count(held[:1])
        self._said.uncited += len(held)
        return claims

    def _claims(self, sentence: str) -> list[Claim]:
        claim = self._brackets.claim(sentence)
        if not claim.cites and (has_mark(claim.text) or _NUMBER.search(claim.text)):
            self._said.struck += 1
            return [claim] if has_mark(claim.text) else []  # the check strikes it out, and counts it
        if not claim.cites:
            self._held.append(claim)
            return []
        if not self._said.sentences and not self._said.cited:
            first = self._held[0].text if self._held else claim.text
            self._said.declined = prompts.declines(first)
        released, self._held = self._held, []
        self._said.cited = True
        return self._count([*released, claim])

    def _count(self, claims: list[Claim]) -> list[Claim]:
        self._said.sentences += len(claims)
        return claims


_NUMBER = re.compile(r"[\[【]\s*\d{1,3}\s*[\]】]")


def _in_form(text: str) -> str | None:
    """The answer in a JSON reply with the brackets it names behind it; None where it is no such reply."""
    import json_repair

    found: Any = None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        if "{" in text and len(text) < 4000:
            found = json_repair.loads(text[text.index("{") :])
    if not isinstance(found, dict) or not isinstance(found.get("answer"), str):
        return None
    told, brackets = found["answer"].strip(), found.get("brackets")
    if isinstance(brackets, list) and not _NUMBER.search(told):
        named = "".join(f"[{n}]" for n in brackets if isinstance(n, int) and not isinstance(n, bool))
        told = re.sub(r"([.!?]?)$", rf" {named}\1", told, count=1) if named else told
    return str(told)
