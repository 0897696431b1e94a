"""Follow-ups: a question that leans on the one before it, made to stand alone.

"And before that?", "who was it?", "what about the red one?", "when was that?", "how do you know?". By rule
and pure. What comes back is either a question in full, with the window of time its "before that" means,
or a request that the conversation itself answers (`Recalled`): when the thing just told happened, what it
rests on, what was said. A question that stands alone comes back as None.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from reasoning.conversation import PastTurn
from reasoning.query.visual_events import MOTION_VERBS, PEOPLE, about_people
from reasoning.understand.lexicon import COLOURS
from reasoning.understand.questions import Question, parse_question
from reasoning.understand.time_words import JUST_S, parse_time_words
from reasoning.understand.wording import plain_wording
from reasoning.understand.words import fold, number_value, ordinal_value, stem, words
from runtime.clock import media_time

# What lies on the very edge of the cited moment is that moment, not before or after it.
ASIDE_S = 0.001
# "Who was it?" asks about the cited moment, give or take the sampling of the picture.
AROUND_S = 1.5
# "And the bus?" is a follow-up; a sentence of more words says itself what it asks.
ELLIPSIS_WORDS = 6


class InFull(Struct, frozen=True):
    """The question as it stands alone; the window and source that its "before that" means, None and "" if open."""

    text: str
    t0_s: float | None = None
    t1_s: float | None = None
    pick: Literal["", "first", "last"] = ""
    source: str = ""


class Recalled(Struct, frozen=True):
    """A question about the last answer itself."""

    what: Literal["when", "evidence", "answer", "question"]


class Unclear(Struct, frozen=True):
    """A follow-up to nothing: ``word`` is what it leans on."""

    word: str


Resolved = InFull | Recalled | Unclear

_LEAD = re.compile(r"^(?:(?:and|but|so|ok(?:ay)?|well|then|also|please|hm+)\b[\s,]*)+(?=\S)")
_THAT = r"(?:that|this|it|then|him|her|them)"
_JUST = r"(?:right |just |shortly |immediately |directly |straight )?"
_BARE_STEP = re.compile(
    rf"^(?:what (?:was|is|were|came|comes|happen(?:ed|s)|went on)(?: \w+)? )?{_JUST}(before|after)(?: {_THAT})?"
    rf"(?: happen(?:ed|s)?)?$|^(?:what (?:came|comes|happened|happens|was) )?(next|then|afterwards|earlier|before)$"
    rf"|^(?:then )?what (?:next|then)$|^(then what)$"
)
_INNER_STEP = re.compile(
    rf"\b{_JUST}(before|after|since|until) (?:that|this|then)\b|\b(afterwards|beforehand|next|then)$"
)
_WHEN = re.compile(
    rf"^(?:(?:at )?what time|when)(?: (?:was|is|did) (?:{_THAT}|he|she|they)"
    rf"(?: (?:say|said|do|happen(?:ing)?|be))?(?: {_THAT})?)?$"
)
_EVIDENCE = re.compile(
    r"^(?:how (?:do|can|did) you know(?: (?:that|this|it))?|"
    r"(?:are|were) you (?:really )?(?:sure|certain)(?: (?:of|about) (?:that|it))?|"
    r"why do you (?:say|think) (?:that|so)|really|says who|what makes you (?:say|think) (?:that|so)|"
    r"where (?:did|do) you (?:see|hear|read|get|have) (?:that|this|it)(?: from)?)$"
)
_AGAIN = re.compile(
    r"^(?:what did you (?:just )?(?:say|answer|tell me)(?: (?:before|last|just now))?|"
    r"(?:can you |could you )?(?:please )?(?:say|repeat) (?:that|it)(?: again)?|"
    r"(?:once )?again|repeat|pardon|sorry|come again)$"
)
_ASKED = re.compile(
    r"^what (?:did i (?:just )?ask(?: you)?|was my (?:last |previous )?question)(?: (?:before|last|just now|first))?$"
)
_MORE = re.compile(
    r"^(?:(?:what|anything|something|who|where) else(?: .{0,30})?|more|"
    r"(?:tell|show) me more(?: about (?:that|it))?|go on|continue|any(?:thing)? more)$"
)
_ABOUT = re.compile(r"^(?:what|how) about (?:the )?(.+)$|^(?:the same (?:for|with|about)) (.+)$")
# "He" and "she" are people, seldom what the question before was about: "what did she say about trains?".
_PRONOUN = re.compile(
    # "The last thing that happened" points to nothing.
    r"\b(?:it|(?<!thing )(?<!things )(?<!one )(?<!ones )(?<!all )that|this|they|them|those|these)\b"
    r"(?! (?:video|clip|film|recording|scene|picture)\b)"
)
_HE_OR_SHE = re.compile(r"\b(?:he|she)\b")
_WHO = re.compile(
    r"^who (?:(?:was|is|were) (?:it|that|this|he|she|they)|"
    r"(?:said|says|spoke|was (?:speaking|talking|saying))(?: (?:it|that|this))?)$"
)
_SEVERAL = re.compile(r"\b(?:they|them)\b")
_FRAME_PRONOUN = re.compile(
    r"\b(?:is|was) (?:it|this|that) about\b|\bin (?:it|this|that)\b|\bgoing on\b|\bit (?:say|start|begin|end)\b"
)


def resolve(text: str, last: PastTurn | None, as_of_s: float, cited: PastTurn | None = None) -> Resolved | None:
    """What ``text`` asks, given the exchange before it; None where it stands alone.

    ``cited`` is the newest exchange with a moment to go on from, where that is not the last.
    """
    cited = cited or last
    asked = re.sub(r"[?!.\s]+$", "", fold(text.strip()))
    led = bool(_LEAD.match(asked))
    low = plain_wording(_LEAD.sub("", asked))
    step = _BARE_STEP.match(low)
    if step or (led and low in ("that", "then")):
        return _stepped(low, cited) if cited else Unclear(low)
    for pattern, what in ((_WHEN, "when"), (_EVIDENCE, "evidence"), (_AGAIN, "answer"), (_ASKED, "question")):
        if pattern.match(low):
            return Recalled(what) if last else Unclear(low)  # type: ignore[arg-type]
    if _MORE.match(low):
        return _further(low, cited, as_of_s) if cited else Unclear(low)
    if about := _ABOUT.match(low):
        return _instead(_original(text, about[1] or about[2]), last, as_of_s) if last else Unclear(low)
    if last is None:
        return None
    if inner := _INNER_STEP.search(low):
        return _inner_step(low, inner, cited or last)
    if led and _is_ellipsis(low):
        return _instead(_original(text, re.sub(r"^about ", "", low)), last, as_of_s)
    question = parse_question(text, as_of_s)
    if question.kind in ("summary", "now") or question.phrases:
        return None
    if not question.spoken and _HE_OR_SHE.search(low) and (meant := _of_person(low, cited or last)):
        return meant
    pointing = _WHO.match(low) or _PRONOUN.search(low)
    if pointing and not _FRAME_PRONOUN.search(low) and not question.strong and not question.time.bounded:
        return _pointed(text, low, question, last, as_of_s)
    return None


def _stepped(low: str, last: PastTurn) -> Resolved:
    """ "And before that?": the last thing before the cited moment, or the first after it, on the same channel."""
    backwards = bool(re.search(r"\b(?:before|earlier)", low))
    if not last.cites:
        return Unclear("that")
    at_s, source = _edge_s(last, backwards)
    channel = last.cites[0].channel
    where = f"{'before' if backwards else 'after'} {media_time(at_s)}"
    which = "last" if backwards else "first"
    if channel == "speech":
        text = f"What was the {which} thing said {where}?"
    elif channel == "text":
        text = f"What was the {which} text on screen {where}?"
    else:
        text = f"What happened just {where}?"
    if channel in ("speech", "text"):
        return _window(text, at_s, backwards, source, which)
    if backwards:
        return InFull(text, max(0.0, at_s - JUST_S), max(0.0, at_s - ASIDE_S), source=source)
    return InFull(text, at_s + ASIDE_S, at_s + JUST_S, source=source)


def _inner_step(low: str, inner: re.Match[str], last: PastTurn) -> Resolved:
    """ "What did she say after that?": the same with its moment filled in."""
    backwards = (inner[1] or inner[2]) in ("before", "until", "beforehand")
    if not last.cites:
        return Unclear("that")
    at_s, source = _edge_s(last, backwards)
    where = f"{'before' if backwards else 'after'} {media_time(at_s)}"
    text = f"{low[: inner.start()]}{where}{low[inner.end() :]}"
    bare = not parse_question(text, at_s).strong
    return _window(_asked(text), at_s, backwards, source, ("last" if backwards else "first") if bare else "")


def _further(low: str, last: PastTurn, as_of_s: float) -> Resolved:
    """ "What else?": the same question about the time after what was cited; "who else is there?": that, then."""
    if not last.cites:
        return Unclear("that")
    at_s, source = _edge_s(last, backwards=False)
    own = re.match(r"(who) else( .+)", low)
    asked = f"{own[1]}{own[2]}" if own else _bare(parse_question(last.understood, as_of_s).body)
    return _window(_asked(f"{asked} after {media_time(at_s)}"), at_s, False, source, "")


def _instead(said: str, last: PastTurn, as_of_s: float) -> Resolved:
    """ "What about the red one?": the last question with its time, its adjective or its thing replaced."""
    before = parse_question(last.understood, as_of_s)
    time = parse_time_words(said, as_of_s)
    if (time.bounded or time.now) and not words(time.rest):
        return InFull(_asked(f"{_bare(before.body)} {said}"))
    span = _topic_span(before)
    if span is None:
        return InFull(_asked(f"{_bare(last.understood)}, and {said}"))
    topic = before.text[span[0] : span[1]]
    if re.search(r"\bones?\b", said):
        said = re.sub(r"\bones?\b", _noun(topic), said)
    if re.match(r"(?:the|a|an|any)\b", topic, re.IGNORECASE) and not re.match(r"(?:the|a|an|any|his|her)\b", said):
        said = f"the {said}" if not said[:1].isupper() else said
    return InFull(_asked(f"{before.text[: span[0]]}{said}{before.text[span[1] :]}"))


def _pointed(text: str, low: str, question: Question, last: PastTurn, as_of_s: float) -> Resolved | None:
    """ "Who was it?", "what colour was it?": the pronoun replaced by what the last question was about."""
    before = parse_question(last.understood, as_of_s)
    window = _around(last)
    if _WHO.match(low) and window is not None:
        t0_s, t1_s, source = window
        if last.cites[0].channel == "speech":
            return InFull(f"Who spoke at {media_time(last.cites[0].t0_s)}?", t0_s, t1_s, source=source)
        return InFull(f"Who appears at {media_time(last.cites[0].t0_s)}?", t0_s, t1_s, source=source)
    span = _topic_span(before)
    if span is None:
        return None
    topic = before.text[span[0] : span[1]]
    # "What did they say?" is of whoever spoke, unless people or several things were asked about just before.
    if _SEVERAL.search(low) and not _is_several(topic):
        return None
    if not re.match(r"(?:the|a|an|any)\b|\W|[A-Z]", topic):
        if topic != before.head and _PRONOUN.search(fold(before.text)):  # "is it animated?" names no thing
            return None
        topic = f"the {topic}"
    full = _asked(_PRONOUN.sub(lambda _: topic, low, count=1))
    if window is None or before.time.bounded:
        return InFull(full)
    return InFull(full, source=window[2])


def _of_person(low: str, last: PastTurn) -> Resolved | None:
    """ "Which way did he go?": of the person just told of, from when he was. None where the last answer was of none."""
    if not last.cites or last.cites[0].channel not in ("object", "frame"):
        return None
    if not about_people(last.understood) and not about_people(last.cites[0].text):
        return None
    first = last.cites[0]
    worn = next((word for word in words(last.understood) if word in COLOURS), "")
    full = _HE_OR_SHE.sub(f"the person in {worn}" if worn else "the person", low, count=1)
    return InFull(_asked(full), max(0.0, first.t0_s - AROUND_S), None, "first", first.source)


def _is_ellipsis(low: str) -> bool:
    """ "And the bus?", "and at 0:40?", "and yesterday evening?": a phrase without a verb of its own."""
    if len(words(low)) > ELLIPSIS_WORDS:
        return False
    return not re.match(
        r"^(?:what|who|whose|whom|when|where|why|how|which|is|are|was|were|do|does|did|has|have|can|could|will|tell|show|"
        r"list|count|find|stop|pause|describe|summari[sz]e)\b", low
    )  # fmt: skip


def _topic_span(question: Question) -> tuple[int, int] | None:
    """Where ``question.text`` names the thing it is about: its last run of strong words, or of people."""
    wanted = set(question.strong) or {word for word in words(question.text) if stem(word) in PEOPLE}
    wanted = wanted or ({question.head} if question.head else set())
    tokens = [
        (found.start(), found.end(), fold(found[0])) for found in re.finditer(r"[^\W_]+(?:['’][^\W_]+)*", question.text)
    ]
    places = [i for i, (_, _, word) in enumerate(tokens) if words(word) and words(word)[0] in wanted]
    # What follows "who" is a verb, and so is what ends a "when", and how something moves.
    nouns = [
        i for i in places
        if not (question.kind == "when" and i == len(tokens) - 1 and len(places) > 1)
        and not (i == 1 and tokens[0][2] == "who")
        and not (stem(tokens[i][2]) in MOTION_VERBS and _article_before(tokens, i) is None)
    ]  # fmt: skip
    if not nouns:
        return None
    end = nouns[-1]
    # In "when does the red car appear again" the run that follows the article is the thing.
    articled = [i for i in nouns if _article_before(tokens, i) is not None]
    end = articled[-1] if articled else end
    while end + 1 < len(tokens) and end + 1 in nouns:
        end += 1
    begin = end
    while begin > 0 and (begin - 1 in nouns or _describes(tokens[begin - 1][2])):
        begin -= 1
    if begin > 0 and tokens[begin - 1][2] in ("the", "a", "an", "any"):
        begin -= 1
    return tokens[begin][0], tokens[end][1]


def _article_before(tokens: list[tuple[int, int, str]], i: int) -> int | None:
    while i > 0 and _describes(tokens[i - 1][2]):
        i -= 1
    return i - 1 if i > 0 and tokens[i - 1][2] in ("the", "a", "an", "any") else None


def _describes(word: str) -> bool:
    return word in COLOURS or ordinal_value(word) is not None or number_value(word) is not None or word in (
        "big", "small", "large", "little", "tall", "old", "young", "left", "right", "other", "next",
    )  # fmt: skip


def _noun(topic: str) -> str:
    """The thing of a phrase without article, colour and number: "car" of "the white car"."""
    kept = [
        word for word in topic.split() if not _describes(fold(word)) and fold(word) not in ("the", "a", "an", "any")
    ]
    return " ".join(kept) or topic


def _is_several(topic: str) -> bool:
    """People, or a plural: what "they" can stand for."""
    noun = fold(topic.split()[-1])
    return stem(noun) in PEOPLE or (noun.endswith("s") and not noun.endswith("ss"))


def _edge_s(last: PastTurn, backwards: bool) -> tuple[float, str]:
    """The begin (or end) of what the last answer cited, and its source."""
    source = last.cites[0].source
    mine = [cite for cite in last.cites if cite.source == source]
    if last.cites[0].channel == "frame":  # what a picture shows may have been there for long
        mine = mine[:1]
    return (min(c.t0_s for c in mine) if backwards else max(c.t1_s for c in mine)), source


def _around(last: PastTurn) -> tuple[float, float, str] | None:
    if not last.cites:
        return None
    first = last.cites[0]
    return max(0.0, first.t0_s - AROUND_S), first.t1_s + AROUND_S, first.source


def _window(text: str, at_s: float, backwards: bool, source: str, pick: Literal["", "first", "last"] | str) -> InFull:
    chosen: Literal["", "first", "last"] = "first" if pick == "first" else "last" if pick == "last" else ""
    if backwards:
        return InFull(text, None, max(0.0, at_s - ASIDE_S), chosen, source)
    return InFull(text, at_s + ASIDE_S, None, chosen, source)


def _bare(text: str) -> str:
    return re.sub(r"[?!.\s]+$", "", text.strip())


def _asked(text: str) -> str:
    """``text`` as a question: a capital, single spaces, a question mark."""
    text = _bare(re.sub(r"\s{2,}", " ", text))
    return f"{text[:1].upper()}{text[1:]}?"


def _original(text: str, low: str) -> str:
    """``low`` with the capitals it has in ``text``."""
    at = fold(text).rfind(low)
    return text[at : at + len(low)] if at >= 0 and len(fold(text)) == len(text) else low
