"""Passages: what was said or read, weighed against the words a question needs evidenced.

Coverage is the share of the question's strong words found, each by how surely it was found
(`words.match`). An utterance is weighed together with its neighbours, since speech is cut at pauses and
the detail asked for is often in the next piece. Memory's own recall score only breaks near ties.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from reasoning.query.context import Context
from reasoning.understand import lexicon
from reasoning.understand.questions import AnswerType, Question, Term
from reasoning.understand.words import match, words
from runtime.messages import Channel, Observation, TextFacts

# An utterance this close belongs to the same stretch of talk.
NEXT_S = 3.0
NEIGHBOUR_SHARE = 0.8
RECALL_SHARE = 0.1
TYPE_SHARE = 0.25
UNTYPED = 0.85
# Types told by short word lists; a value replaces the noun that asks for it ("Texas" for "state").
TYPES_OF_WORDS = ("web address", "state", "language", "city", "country")
PICK_SHARE = 0.2
REGION_SHARE = 0.15
OTHER_CHANNEL = 0.85
HEAD_WEIGHT = 0.5
# A question repeats the words of a question; it is hardly its answer.
IS_QUESTION = 0.6


class Passage(Struct, frozen=True):
    """A piece of speech or on-screen text as evidence.

    support     0..1, how sure it is that this is what the question is about; becomes the confidence.
    score       orders passages: support and the preferences that are no evidence (first, last, region).
    at          positions of matched words in ``spoken``.
    typed       whether a value of the expected type is in it.
    """

    observation: Observation
    spoken: tuple[str, ...]
    support: float
    score: float
    at: tuple[int, ...] = ()
    typed: bool = False
    covered: float = 0.0


async def passages(question: Question, context: Context) -> list[Passage]:
    """Utterances and text blocks of the window, best first."""
    channels: tuple[Channel, ...] = ("speech", "text")
    query = question.query or " ".join(term.word for term in question.terms)
    gathered = [(o, r) for o, r in await context.gather(query, channels) if o.text.strip()]
    terms = evidence_terms(question)
    out: list[Passage] = []
    first_s = min((o.t0_s for o, _ in gathered), default=0.0)
    span_s = max((o.t0_s for o, _ in gathered), default=0.0) - first_s
    for i, (observation, recalled) in enumerate(gathered):
        neighbours = [o for o, _ in gathered[max(0, i - 3) : i + 4] if _adjoins(observation, o)]
        place = (observation.t0_s - first_s) / span_s if span_s > 0 else 0.0
        out.append(_weigh(question, terms, observation, neighbours, recalled, place))
    return sorted(out, key=lambda p: (-p.score, p.observation.t0_s, p.observation.id))


def evidence_terms(question: Question) -> tuple[Term, ...]:
    """The words to be covered: strong ones, the noun asked for at half weight since an answer may replace it."""
    terms = [
        Term(term.word, HEAD_WEIGHT if term.word == question.head else term.weight)
        for term in question.terms
        if term.weight >= 1.0 and not (term.word == question.head and question.expects in TYPES_OF_WORDS)
    ]
    known = {term.word for term in terms}
    for phrase in question.phrases:
        terms += [Term(word, 1.0) for word in words(phrase) if word not in known]
    return tuple({term.word: term for term in terms}.values())


def coverage(terms: Sequence[Term], spoken: Sequence[str], compact: bool = False) -> float:
    """Share of the weight of ``terms`` that ``spoken`` carries, 0..1; 0 without terms."""
    total = sum(term.weight for term in terms)
    if not total:
        return 0.0
    listed = list(spoken)
    return sum(term.weight * match(term.word, listed, compact) for term in terms) / total


def _adjoins(observation: Observation, other: Observation) -> bool:
    if other.id == observation.id or other.channel != observation.channel or other.source != observation.source:
        return False
    if observation.channel == "text":
        return abs(other.t0_s - observation.t0_s) <= 0.5
    return other.t0_s - observation.t1_s <= NEXT_S and observation.t0_s - other.t1_s <= NEXT_S


def _weigh(
    question: Question,
    terms: Sequence[Term],
    observation: Observation,
    neighbours: Sequence[Observation],
    recalled: float,
    place: float,
) -> Passage:
    compact = observation.channel == "text"
    spoken = words(observation.text)
    own = coverage(terms, spoken, compact)
    around = spoken + [word for other in neighbours for word in words(other.text)]
    joint = coverage(terms, around, compact)
    typed = holds_type(question.expects, observation)
    # A neighbour may add words, but the passage itself must carry some, or what is asked for.
    covered = own + NEIGHBOUR_SHARE * max(0.0, joint - own) if own > 0 or typed else 0.0
    support = covered
    if question.expects in TYPES_OF_WORDS:
        # The type is itself evidence: few utterances name a state or an address at all. But a name misheard is
        # none, so that its absence costs little.
        support = min(1.0, covered + TYPE_SHARE) if typed else covered * UNTYPED
        support = support if terms else 0.6 * typed
        if typed and question.expects == "web address":
            support = max(support, 0.6)
    elif question.expects and question.expects not in ("time", "duration", "place", ""):
        support = min(1.0, covered + 0.15) if typed and covered else covered * 0.9
        if typed and not terms:
            support = 0.5
    if question.kind in ("spoken", "read") and (question.spoken, question.read) != (True, True):
        wanted = "speech" if question.kind == "spoken" else "text"
        support *= 1.0 if observation.channel == wanted else OTHER_CHANNEL
    if question.expects != "question" and observation.text.rstrip().endswith("?"):
        support *= IS_QUESTION
    score = support + RECALL_SHARE * recalled
    if question.time.pick:
        score += PICK_SHARE * (place if question.time.pick == "last" else 1.0 - place)
    score += REGION_SHARE * in_region(question, observation)
    listed = _WORD_LISTS.get(question.expects, frozenset())
    at = tuple(
        i for i, word in enumerate(spoken) if word in listed or any(match(term.word, [word], compact) for term in terms)
    )
    return Passage(observation, tuple(spoken), support, score, at, typed, own)


def holds_type(expects: AnswerType, observation: Observation) -> bool:
    """Whether an utterance or text holds a value of the expected type."""
    finder = _FINDERS.get(expects)
    return bool(finder and finder(observation.text))


def name_like(text: str) -> list[str]:
    """Names in on-screen text: within its lines, or over them where each holds one word of a name."""
    return [name for line in text.split(" / ") for name in lexicon.names_in(line)] or lexicon.names_in(
        text.replace(" / ", " ")
    )


def _questions(text: str) -> list[str]:
    asks = ("what", "which", "who", "where", "when", "why", "how", "is", "are", "do", "does", "can", "could", "would",
            "will", "did", "anyone", "has", "have")  # fmt: skip
    return [text] if "?" in text or text.lower().startswith(tuple(f"{word} " for word in asks)) else []


_FINDERS: dict[AnswerType, Callable[[str], object]] = {
    "web address": lexicon.mentions_web_address,
    "language": lambda text: lexicon.found_of(lexicon.LANGUAGES, text),
    "state": lambda text: lexicon.found_of(lexicon.STATES, text),
    "city": lambda text: lexicon.found_of(lexicon.CITIES, text),
    "country": lambda text: lexicon.found_of(lexicon.COUNTRIES, text),
    "place": lambda text: lexicon.found_of(lexicon.PLACES, text),
    "colour": lambda text: lexicon.found_of(lexicon.COLOURS, text),
    "date": lambda text: lexicon.found_of(lexicon.MONTHS | lexicon.DAYS, text),
    "number": lexicon.numbers_in,
    "name": name_like,
    "question": _questions,
}


_WORD_LISTS: dict[AnswerType, frozenset[str]] = {
    "language": lexicon.LANGUAGES,
    "state": lexicon.STATES,
    "city": lexicon.CITIES,
    "country": lexicon.COUNTRIES,
    "place": lexicon.PLACES,
    "colour": lexicon.COLOURS,
}


def in_region(question: Question, observation: Observation) -> bool:
    """Whether a text stands where the question says (top, bottom, left, right)."""
    region = observation.facts(TextFacts).region
    asked = {side for side, said in _SIDES.items() if question.has(*said)}
    return bool(asked and region and all(side in region for side in asked))


_SIDES = {
    "top": ("top", "upper", "above"),
    "bottom": ("bottom", "lower", "below", "foot"),
    "left": ("left",),
    "right": ("right",),
}
