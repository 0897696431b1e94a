"""What is asked of the recordings themselves: which there are, how long they are, which one a question names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from reasoning.answer.draft import Draft, join, one, refusal
from reasoning.query.context import Context
from reasoning.understand.questions import Question
from reasoning.understand.words import fold
from runtime.clock import media_time
from runtime.messages import SourceRecord

_RECORDING = (
    r"(?:videos?|clips?|films?|movies?|recordings?|files?|audio(?: ?books?)?|trailers?|streams?|cameras?|sources?)"
)
_LENGTH = re.compile(
    rf"^how long (?:is|was|are|does|did|do|has|have) (?:(?:the|this|that|these|it|they|your|my|whole|entire|all) ?)*"
    rf"(?:{_RECORDING})?(?: (?:last|take|go on|in all|altogether|been running))*$|"
    rf"\b(?:length|duration|running time) of (?:the |this |that )?(?:whole |entire )?{_RECORDING}$"
)
_WHICH = re.compile(
    rf"^(?:what|which|how many) (?:\w+ )?{_RECORDING} (?:(?:do|did|have|can|are|were|is) )?(?:you |there ?)?"
    rf"(?:know|seen|watched|have|remember|see|watch|heard|got|there)?(?: (?:of|about|so far|in memory))*$|"
    rf"^list (?:all )?(?:the |your )?{_RECORDING}$"
)
LISTED = 8
# A shorter name is a word like any other.
NAME_CHARACTERS = 4


def asks_recordings(question: Question) -> bool:
    """Whether a question is about the recordings as such."""
    low = fold(question.text).rstrip("?!. ")
    return bool(_LENGTH.search(low) or _WHICH.search(low))


async def answer_recordings(question: Question, context: Context) -> Draft:
    """How long the recording asked about is, or which there are."""
    known = [r for r in (await context.status()).sources if r.source in context.view.limits and r.kind]
    if not known:
        return refusal("I remember no recording yet")
    if not _LENGTH.search(fold(question.text).rstrip("?!. ")):
        told = join(f"{record.source} ({_length(record)})" for record in known[-LISTED:])
        more = f", and {len(known) - LISTED} before them" if len(known) > LISTED else ""
        return one(f"I remember {told}{more}", confidence=1.0)
    source = context.source or context.view.source
    record = next((record for record in known if record.source == source), known[-1])
    return one(f"The recording {record.source} is {_length(record)}", confidence=1.0)


def named_source(text: str, sources: Iterable[str]) -> tuple[str, str]:
    """The only one of ``sources`` that ``text`` names by its file, and ``text`` without that; "" and ``text`` if it
    names none, or several.

    With its ending a name stands for itself; without, "in" must lead to it or "video" go with it: a sample is no file.
    """
    found = []
    for source in sources:
        stem = PurePath(source).stem
        bare = r"[\s_-]+".join(map(re.escape, re.split(r"[\s_-]+", stem))) if len(stem) >= NAME_CHARACTERS else r"(?!)"
        whole = re.escape(source) if source != stem else r"(?!)"
        lead, the = r"(?:\b(?:in|of|on|from|at|during|about) )", "(?:the |this )?"
        for pattern in (
            rf"{lead}?{the}(?:{_RECORDING} )?(?<![\w.]){whole}(?!\w)(?: {_RECORDING})?",
            rf"{lead}{the}(?:{_RECORDING} )?{bare}(?![\w.]\w)(?: {_RECORDING})?",
            rf"\b{the}(?:{_RECORDING} {bare}|{bare} {_RECORDING})(?!\w)",
        ):
            if named := re.search(pattern, text, re.IGNORECASE):
                found.append((source, named))
                break
    if len(found) != 1:
        return "", text
    source, named = found[0]
    rest = f"{text[: named.start()].rstrip()} {text[named.end() :].lstrip(' ,')}".strip()
    return source, re.sub(r"\s+(?=[?.!,])", "", rest)


def _length(record: SourceRecord) -> str:
    """ "1:13 long", and how far it is known where it goes on."""
    seen_s = max(record.watermarks.values(), default=0.0)
    if not set(record.watermarks) - set(record.ended):
        return f"{media_time(seen_s)} long"
    whole = f" of {media_time(record.duration_s)}" if record.duration_s else ""
    return f"known up to {media_time(seen_s)}{whole}, and it goes on"
