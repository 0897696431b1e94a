"""Answers from how writing is laid out: the title, a row of buttons, a text of so many words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, join, mark, one, quote, sentence, unique
from reasoning.query.context import Context
from reasoning.understand.questions import Question
from reasoning.understand.words import fold, words
from runtime.messages import Observation, TextFacts

# Cards and pages change as a whole: blocks that came into view together.
TOGETHER_S = 1.5
# A title is a line or two; a paragraph in large letters is none.
TITLE_WORDS = 8
SAME_SIZE = 0.7
MANY_AS_LARGE = 4
# Lines whose middles differ by less than this share of their height stand in one row.
ROW_SHARE = 0.6
# One letter of another script, then a Latin word with a capital.
_ICON = re.compile(r"(?<!\w)[^\W\d_a-zA-ZÀ-ɏ](?=[A-Z][a-z]{2,})")
# What has a title.
_TITLED = ("film", "movie", "demo", "game", "program", "programme", "app", "product", "show", "book", "song", "video")
_Cell = tuple[float, float, float, str, Observation]


async def answer_layout(question: Question, context: Context) -> Draft | None:
    """An answer that position and size of writing give; None if the question is no such one."""
    if question.spoken:
        return None
    if _asks_title(question):
        return await _title(question, context)
    if question.wanted and question.has("row", "button", "menu", "tab", "item", "option", "entry", "label"):
        return await _row(question, context)
    if question.kind == "read" and question.wanted and question.head in ("words", "word"):
        return await _so_many_words(question, context)
    return None


def legible(observation: Observation) -> bool:
    """Whether a text has enough letters to be writing and not a reader's slip."""
    return sum(character.isalpha() for character in observation.text) >= 3


def plain(observation: Observation) -> str:
    """A text block as one line."""
    return without_icons(observation.text.replace(" / ", " "))


def without_icons(text: str) -> str:
    """``text`` without letters of another script glued to the front of a Latin word: icons, misread ("ΛFlag")."""
    return _ICON.sub("", text)


def line_height(observation: Observation) -> float:
    """Height of the largest line of a block, as a share of the picture's height."""
    lines = observation.facts(TextFacts).lines
    return max((float(box[3]) for text, _, box in lines if len(re.sub(r"\W", "", str(text))) >= 3), default=0.0)


def _asks_title(question: Question) -> bool:
    # In the body: "after the title" asks for something else.
    title_asked = bool({"title", "heading", "headline"} & set(words(question.body)))
    named = question.head == "name" and question.has(*_TITLED)
    if question.has("biggest", "largest") and question.has("text", "writing", "words", "letters", "line"):
        return not set(question.strong) - {"biggest"}
    return not set(question.strong) - set(_TITLED) and (question.expects == "title" or title_asked or named)


async def _title(question: Question, context: Context) -> Draft | None:
    """The largest writing, what a title is set in: a line, with the lines of its block that are about as large.

    Where many lines are about as large, as on a page of a screen, size tells nothing and the topmost is the title.
    """
    candidates: list[tuple[bool, float, float, str, Observation]] = []
    for o in await context.scan("text"):
        lines = [(str(text), float(box[3])) for text, _, box in o.facts(TextFacts).lines]
        heights = [height for text, height in lines if _can_be_title(text)]
        if not heights:
            continue
        largest = max(heights)
        title = " ".join(text for text, height in lines if height >= SAME_SIZE * largest and _can_be_title(text))
        if len(title.split()) > TITLE_WORDS:
            title = next(text for text, height in lines if height == largest)
        # Asked in one script, a title in another is less likely meant than one that can be said.
        foreign = question.text.isascii() and not _is_latin(title)
        top = min(float(box[1]) for text, _, box in o.facts(TextFacts).lines if _can_be_title(str(text)))
        candidates.append((foreign, largest, top, title, o))
    if not candidates:
        return None
    native = [c for c in candidates if not c[0]] or candidates
    largest = max(c[1] for c in native)
    as_large = [c for c in native if c[1] >= SAME_SIZE * largest]
    if len(as_large) > MANY_AS_LARGE:
        _, _, _, title, o = min(as_large, key=lambda c: (c[2], c[4].t0_s, c[4].id))
        text = f"The writing at the top, which should be the title, reads {quote(title)} {mark(o.t0_s)}"
    else:
        _, _, _, title, o = min(native, key=lambda c: (-c[1], c[4].t0_s, c[4].id))
        text = f"The largest writing, which should be the title, reads {quote(title)} {mark(o.t0_s)}"
    return one(text, o, confidence=0.6)


def _can_be_title(line: str) -> bool:
    letters = sum(character.isalpha() for character in line)
    return letters >= 3 and len(line.split()) <= TITLE_WORDS and not line.rstrip().endswith("?")


def _is_latin(text: str) -> bool:
    letters = [c for c in fold(text) if c.isalpha()]
    return 2 * sum(c.isascii() for c in letters) > len(letters)


async def _row(question: Question, context: Context) -> Draft | None:
    """``wanted`` short texts side by side that came into view together ("the five buttons in the lower row")."""
    cells: list[_Cell] = [
        (float(box[1]) + float(box[3]) / 2, float(box[0]), float(box[3]), str(text), o)
        for o in await context.scan("text")
        for text, _, box in o.facts(TextFacts).lines
        if len(str(text).split()) <= 3
    ]
    fitting = [row for row in _rows(cells) if len(row) == question.wanted]
    if not fitting:
        return None
    lower = question.has("lower", "bottom", "below")
    chosen = max(fitting, key=lambda row: row[0][0]) if lower else fitting[0]
    row = sorted(chosen, key=lambda cell: cell[1])
    cites = unique(cell[4] for cell in row)
    at = join(dict.fromkeys(mark(o.t0_s) for o in cites))
    return Draft(
        (Claim(sentence(f"I read {join(quote(without_icons(cell[3])) for cell in row)} in one row {at}"), cites),), 0.6
    )


def _rows(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """Cells by row, for each time at which writing came into view; a text seen twice counts once."""
    rows: list[list[_Cell]] = []
    for cell in sorted(cells, key=lambda c: (c[4].t0_s // TOGETHER_S, c[0], c[1])):
        last = rows[-1] if rows else []
        together = bool(last) and abs(last[-1][4].t0_s - cell[4].t0_s) <= TOGETHER_S
        if together and abs(last[-1][0] - cell[0]) <= ROW_SHARE * max(cell[2], last[-1][2]):
            if all(fold(cell[3]) != fold(other[3]) for other in last):
                last.append(cell)
        else:
            rows.append([cell])
    return rows


async def _so_many_words(question: Question, context: Context) -> Draft | None:
    """The largest row of writing of exactly as many words as asked for, whether or not its lines are one block."""
    cells: list[_Cell] = [
        (float(box[1]) + float(box[3]) / 2, float(box[0]), float(box[3]), str(text), o)
        for o in await context.scan("text")
        if legible(o)
        for text, _, box in o.facts(TextFacts).lines
    ]
    fitting = [row for row in _rows(cells) if sum(len(cell[3].split()) for cell in row) == question.wanted]
    if not fitting:
        return None
    row = sorted(max(fitting, key=lambda row: max(cell[2] for cell in row)), key=lambda cell: cell[1])
    cites = unique(cell[4] for cell in row)
    said = " ".join(cell[3] for cell in row)
    return one(f"I read {quote(said)} {mark(cites[0].t0_s)}", *cites, confidence=0.5)
