"""Answers that are words: what was said, what was written, and facts that either of them states.

The answer quotes the passage; a value of the asked type (a name, an address, a title) is picked out of
on-screen text first, where spelling can be trusted. Speech is always quoted "as heard".
"""

from __future__ import annotations

import itertools
import re

from reasoning import lexicon
from reasoning.context import Context
from reasoning.draft import QUOTE_WORDS, Claim, Draft, clause_around, join, mark, one, quote, refusal, sentence, unique
from reasoning.passages import Passage, evidence_terms, in_region, passages
from reasoning.questions import Question
from reasoning.words import stem, words
from runtime.messages import Channel, Observation

# Cards and pages change as a whole: blocks that came into view together.
TOGETHER_S = 1.5
LISTED = 3
# Without any word of the question evidenced, what was said is only offered, never asserted.
OFFERED = 0.45
TITLE_WORDS = ("title", "heading", "headline")


async def answer_words(question: Question, context: Context) -> Draft:
    """Answer from speech and on-screen text, or refuse."""
    reading = question.kind == "read" or (question.read and not question.spoken)
    if reading and _asks_title(question):
        titled = await _title(question, context)
        if titled:
            return titled
    if reading and question.several and question.wanted:
        row = await _row_of_lines(question, context)
        if row:
            return row
    found = await passages(question, context)
    if question.kind == "read" and question.wanted and question.head in ("words", "word"):
        counted = _with_word_count(question, found)
        if counted:
            return counted
    if not evidence_terms(question):
        typed = [p for p in found if p.typed and p.support > 0]
        if question.expects and typed:
            return _quoted(question, typed[0])
        return await _all_said_or_read(question, context, reading)
    if not found or (found[0].covered <= 0 and not found[0].typed):
        return await nothing_said_or_read(question, context)
    best = _better_value(question, found)
    following = _continuation(best, found)
    return _quoted(question, best, following)


async def nothing_said_or_read(question: Question, context: Context) -> Draft:
    """The refusal for words that were neither heard nor read, with what may have kept them from us."""
    about = topic(question)
    heard = list(await context.scan("speech", limit=50))
    unclear = sum(1 for o in heard if not o.text.strip())
    if question.kind == "spoken" and await context.lacks("audio"):
        return refusal(f"I did not hear that: there is no sound{_within(question)}")
    if question.kind == "spoken" and not heard:
        return refusal(f"I did not hear that: nobody speaks{_within(question)} as far as I can hear")
    verb = {"spoken": "hear", "read": "read"}.get(question.kind, "hear or read")
    tail = "; some of the speech I could not make out" if unclear else ""
    return refusal(f"I did not {verb} anything about {about}{tail}")


def topic(question: Question) -> str:
    """What the question is about, in its own words."""
    listed = [quote(phrase) for phrase in question.phrases] or list(question.strong)
    if not listed:
        listed = [term.word for term in question.terms]
    return join(listed[:4]) or "that"


def _within(question: Question) -> str:
    return f" {question.time.said[0]}" if question.time.bounded and question.time.said else ""


def _quoted(question: Question, best: Passage, following: Observation | None = None) -> Draft:
    o = best.observation
    if o.channel == "text":
        value, whole = _pick_value(question, o), _text_quote(best)
        if value and value != whole:
            return one(f"I read {value} in {quote(whole)} {mark(o.t0_s)}", o, confidence=best.support)
        return one(f"I read {quote(whole)} {mark(o.t0_s)}", o, confidence=best.support)
    heard = clause_around(o.text.split(), best.at)
    claims = [Claim(sentence(f"I heard: {quote(heard)} {mark(o.t0_s)}"), (o,))]
    if following is not None and len(o.text.split()) <= QUOTE_WORDS:
        after = clause_around(following.text.split(), ())
        claims.append(Claim(sentence(f"It goes on: {quote(after)} {mark(following.t0_s)}"), (following,)))
    return Draft(tuple(claims), best.support)


def _continuation(best: Passage, found: list[Passage]) -> Observation | None:
    """The next utterance, when the best one ends where the answer should begin."""
    o = best.observation
    if o.channel != "speech" or not best.at or len(best.spoken) > 12:
        return None
    if best.at[-1] < len(best.spoken) - 3:
        return None
    after = [
        p.observation
        for p in found
        if p.observation.channel == "speech"
        and p.observation.source == o.source
        and 0 <= p.observation.t0_s - o.t1_s <= 1.5
    ]
    return min(after, key=lambda n: n.t0_s, default=None)


def _better_value(question: Question, found: list[Passage]) -> Passage:
    """The best passage, or one nearly as good that holds a value of the expected type."""
    best = found[0]
    if question.expects and not best.typed:
        for other in found[1:8]:
            if other.typed and other.support >= 0.75 * best.support:
                return other
    return best


def _text_quote(passage: Passage) -> str:
    """The block's lines as one run of text, cut around the lines that matched."""
    plain = passage.observation.text.replace(" / ", " ")
    tokens = plain.split()
    if len(tokens) <= QUOTE_WORDS:
        return plain
    folded = [words(token) for token in tokens]
    wanted = {passage.spoken[i] for i in passage.at}
    return clause_around(tokens, [i for i, token in enumerate(folded) if wanted & set(token)])


def _pick_value(question: Question, observation: Observation) -> str:
    """The value of the asked type in a text, quoted; "" if the text as a whole is the answer."""
    text = observation.text
    if question.expects == "web address":
        return join(quote(address) for address in lexicon.web_addresses(text)[:2])
    if (question.expects == "name" and question.head != "names") or question.kind == "who":
        names = [name for line in text.split(" / ") for name in lexicon.names_in(line)] or lexicon.names_in(
            text.replace(" / ", " ")
        )
        return join(quote(name) for name in names[: question.wanted or (4 if question.several else 1)])
    if question.expects == "number":
        return join(quote(number) for number in lexicon.numbers_in(text)[:2])
    return ""


async def _all_said_or_read(question: Question, context: Context, reading: bool) -> Draft:
    """No word of the question can be evidenced: offer what was said or written, if that is little enough."""
    channel: Channel = "text" if reading else "speech"
    listed = [o for o in await context.scan(channel) if o.text.strip()]
    if reading:
        listed = [o for o in listed if _legible(o)]
        regional = [o for o in listed if in_region(question, o)]
        listed = regional or listed
    if not listed:
        return await nothing_said_or_read(question, context)
    if question.time.pick == "last":
        newest_s = max(o.t0_s for o in listed)
        listed = [o for o in listed if newest_s - o.t0_s <= TOGETHER_S] if reading else listed[-1:]
    elif question.time.pick == "first":
        listed = [o for o in listed if o.t0_s - listed[0].t0_s <= TOGETHER_S] if reading else listed[:1]
    shown = sorted(listed, key=_prominence)[:LISTED] if reading else listed[:LISTED]
    shown = sorted(shown, key=lambda o: (o.t0_s, o.id))
    verb = "I read" if reading else "I heard"
    quotes = join(f"{quote(clause_around(o.text.replace(' / ', ' ').split(), ()))} {mark(o.t0_s)}" for o in shown)
    more = len(listed) - len(shown)
    text = f"{verb}: {quotes}" + (f", and {more} more" if more else "")
    # The fewer there are, the surer it is that the one meant is among them.
    confident = question.time.bounded or bool(question.time.pick) or len(listed) <= LISTED
    return Draft((Claim(sentence(text), unique(shown)),), 0.6 if confident else OFFERED)


def _legible(observation: Observation) -> bool:
    letters = re.sub(r"[\W\d_]", "", observation.text)
    return len(letters) >= 3


def _line_height(observation: Observation) -> float:
    lines = observation.data.get("lines") or []
    return max((float(box[3]) for text, _, box in lines if len(re.sub(r"\W", "", text)) >= 3), default=0.0)


def _prominence(observation: Observation) -> tuple[float, str]:
    return (-_line_height(observation), observation.id)


def _asks_title(question: Question) -> bool:
    if question.strong:
        return False
    named = question.head == "name" and question.has(
        "film", "movie", "demo", "game", "program", "programme", "app", "product", "show", "book", "song", "video"
    )
    return question.expects == "title" or question.has(*TITLE_WORDS) or named


async def _title(question: Question, context: Context) -> Draft | None:
    """The largest writing: what a title is set in."""
    texts = [o for o in await context.scan("text") if _legible(o)]
    if not texts:
        return None
    best = min(texts, key=lambda o: (-_line_height(o), o.t0_s, o.id))
    if not _line_height(best):
        return None
    lines = [str(line[0]) for line in best.data.get("lines", [])]
    title = (
        " ".join(lines)
        if len(" ".join(lines).split()) <= 12
        else max(best.data["lines"], key=lambda line: float(line[2][3]))[0]
    )
    return one(
        f"The largest writing, which should be the title, reads {quote(str(title))} {mark(best.t0_s)}",
        best,
        confidence=0.6,
    )


async def _row_of_lines(question: Question, context: Context) -> Draft | None:
    """``wanted`` short texts side by side ("the five buttons in the lower row")."""
    if not question.has("row", "button", "menu", "tab", "column", "item", "option", "entry", "label"):
        return None
    cells: list[tuple[float, float, float, str, Observation]] = []
    for o in await context.scan("text"):
        for text, _, box in o.data.get("lines", []):
            if len(str(text).split()) <= 3:
                cells.append((float(box[1]) + float(box[3]) / 2, float(box[0]), float(box[3]), str(text), o))
    rows: list[list[tuple[float, float, float, str, Observation]]] = []
    for cell in sorted(cells, key=lambda c: (c[0], c[1])):
        same = rows and abs(rows[-1][-1][0] - cell[0]) <= 0.6 * max(cell[2], rows[-1][-1][2])
        if same and all(stem(cell[3].lower()) != stem(c[3].lower()) for c in rows[-1]):
            rows[-1].append(cell)
        elif not same:
            rows.append([cell])
    fitting = [row for row in rows if len(row) == question.wanted]
    if not fitting:
        return None
    lower = question.has("lower", "bottom", "below")
    row = sorted(fitting[-1] if lower else fitting[0], key=lambda c: c[1])
    cites = unique(cell[4] for cell in row)
    at = join(dict.fromkeys(mark(o.t0_s) for o in sorted(cites, key=lambda o: o.t0_s)))
    return Draft((Claim(sentence(f"I read {join(quote(cell[3]) for cell in row)} in one row {at}"), cites),), 0.6)


def _with_word_count(question: Question, found: list[Passage]) -> Draft | None:
    """A text of exactly as many words as asked for; two blocks that came together count as one."""
    texts = sorted((p.observation for p in found if p.observation.channel == "text"), key=lambda o: (o.t0_s, o.id))
    for o in texts:
        if len(o.text.replace(" / ", " ").split()) == question.wanted:
            return one(f"I read {quote(o.text.replace(' / ', ' '))} {mark(o.t0_s)}", o, confidence=0.5)
    for first, second in itertools.pairwise(texts):
        both = f"{first.text} {second.text}".replace(" / ", " ")
        if second.t0_s - first.t0_s <= TOGETHER_S and len(both.split()) == question.wanted:
            return one(f"I read {quote(both)} {mark(first.t0_s)}", first, second, confidence=0.5)
    return None
