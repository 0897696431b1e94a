"""Claims about the world that rest on what a sign says or somebody said are told as that, never as what is so.

Anybody can plant a sign or a sentence; that it was written or said is certain, what it claims is not
(`runtime/trust.py`). So such a claim names its channel, unless a witness that cannot be the same trick agrees. A
question for what was said or written asks for nothing else and is answered with the quotation. Applied to every claim
on its way to the asker, whoever composed it: a model that takes planted words for facts cannot leave it out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reasoning.understand.questions import Question
from reasoning.understand.words import STOP_WORDS, number_value, stem, words
from runtime.messages import Observation
from runtime.trust import WORLD_TRUST, Provenance, is_corroborated, provenance_of

# Of the words that the shorter of two passages adds to the question's, so many stand in the other, too.
AGREE_SHARE = 0.6
# Asked for as somebody's words: by a verb of telling, or by what carries writing. "The address", "the talk" point to a
# channel, too, but ask for what is so.
_AS_TOLD = re.compile(
    r"\b(?:sa(?:y|ys|id|ying)|tells?|told|telling|mention\w*|talk(?:s|ed|ing)|sp(?:eaks?|oke\w*|eaking)|"
    r"announce\w*|narrat\w*|explain\w*|describe\w*|discuss\w*|argue\w*|claim\w*|hear|heard|quote\w*|utter\w*|"
    r"voice|speaker|sentence|lyrics|sings?|sang|ask(?:s|ed|ing)?|repl(?:y|ie[sd])|answer\w*|according to|"
    r"writ(?:ten|ing)|reads?|printed|displayed|text|words?|signs?|labels?|captions?|subtitles?|titles?|headlines?|headings?|posters?|banners?|slides?|screens?|"
    r"pages?|menu|credits|logo|watermark|buttons?|letters?|card|shown)\b"
)
_WORLDLY = ("what", "who", "where", "when", "count", "colour", "presence", "order", "spoken", "read")
# A sentence that names its channel itself. Looked for outside of quotations, which may say anything.
_ATTRIBUTED = re.compile(
    r"\b(?:heard|said|told me|spoken|spoke|speaks|mention(?:s|ed)?|i read|written|writing|signs?|screen|labels?|"
    r"captions?|(?:somebody|someone) says)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
_SO: dict[Provenance, str] = {
    "read": "so it is written",
    "said": "so somebody said",
    "imported": "so an imported memory has it",
}
_SO_SEVERAL = "so it was said or written"


def asks_of_world(question: Question) -> bool:
    """Whether the question asks for what is so, rather than for what was said or written."""
    if question.kind not in _WORLDLY:
        return False
    return not (question.spoken or question.read) or not _AS_TOLD.search(question.text.lower())


def is_hearsay(cites: Sequence[Observation]) -> bool:
    """Whether what is cited is words of others alone, with nothing independent beside them."""
    claims = [o for o in cites if _is_claim(o)]
    return bool(claims) and len(claims) == len(cites) and not is_corroborated(claims)


def attribute(text: str, cites: Sequence[Observation], question: Question) -> str:
    """The sentence ``text``, with where it comes from if it rests on hearsay and does not say so itself."""
    if not asks_of_world(question) or not is_hearsay(cites) or _ATTRIBUTED.search(_QUOTED.sub(" ", text)):
        return text
    provenances = {provenance_of(o) for o in cites}
    so = _SO.get(provenances.pop(), _SO_SEVERAL) if len(provenances) == 1 else _SO_SEVERAL
    return re.sub(r"([.!?]?)$", rf" ({so})\1", text.rstrip(), count=1)


def agreeing(best: Observation, others: Sequence[Observation], asked: Sequence[str]) -> Observation | None:
    """The first of ``others`` that says the same as ``best`` and cannot be the same trick.

    ``asked``: the words of the question; what only repeats them agrees in nothing.
    """
    return next((o for o in others if is_corroborated((best, o)) and _alike(best, o, asked) is True), None)


def differs(o: Observation, other: Observation, asked: Sequence[str]) -> bool:
    """Whether two passages each add something to the words of the question, and not the same."""
    return _alike(o, other, asked) is False


def _alike(o: Observation, other: Observation, asked: Sequence[str]) -> bool | None:
    """Whether two passages add the same to the words of the question; None where one adds nothing, or is the other."""
    known = {stem(word) for word in asked}
    told, added = _content(o) - known, _content(other) - known
    fewer = min(len(told), len(added))
    if o.id == other.id or not fewer:
        return None
    return len(told & added) >= AGREE_SHARE * fewer


def _is_claim(o: Observation) -> bool:
    provenance = provenance_of(o)
    return provenance in ("read", "said", "imported") or (provenance == "derived" and o.trust < WORLD_TRUST)


def _content(o: Observation) -> set[str]:
    """Stems of the words that say something; numbers by their value."""
    found = set()
    for word in words(o.text):
        value = number_value(word)
        if value is not None:
            found.add(str(value))
        elif word not in STOP_WORDS:
            found.add(stem(word))
    return found
