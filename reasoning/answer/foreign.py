"""A question in another language: said so in one line of it, with what recall finds by its words below."""

from __future__ import annotations

from reasoning.answer.draft import Claim, Draft, claim
from reasoning.query.context import Context
from reasoning.query.passages import passages
from reasoning.understand.frame import Frame, Term
from reasoning.understand.talk import says_foreign, without_function_words
from runtime.language.lists import quote
from runtime.language.normalise import words

TOLD = 3
# Words of another language are matched whole or not at all: a likeness of spelling across languages is chance.
LEAST = 0.5


async def tell_foreign(frame: Frame, context: Context) -> Draft:
    """What was said or written that holds the words of the question."""
    asked = without_function_words([*dict.fromkeys(words(" ".join(frame.phrases) or frame.text))], frame.language)
    terms = tuple(Term(word, "subject", 0, 0) for word in asked)
    sought = Frame(text=frame.text, reduce="value", times=frame.times, terms=terms)
    found = await passages(sought, context, ("speech", "text"))
    rows = [row for row in found if len(set(asked) & set(words(row.told))) >= LEAST * len(asked)][:TOLD]
    lead = Claim(says_foreign(frame.language, bool(rows)))
    return Draft(
        (lead, *(claim(quote(row.told), *row.cites) for row in rows)), 0.4 if rows else 0.0, abstained=not rows
    )
