"""How a model is asked, by what it takes: a large one with pictures and tools, a small one with everything at once.

A small model loses its way among tools, picks from a long list what comes first, and copies numbers better than times:
it gets one prompt, the evidence ranked and numbered, and its pictures on one contact sheet.
"""

from __future__ import annotations

from msgspec import Struct

from reasoning.backends.chat_model import Abilities
from runtime.config import ModelConfig

# Up to as many billions of parameters a model is small; and with less context than this, whatever it is. Where no
# server says it, 4096 are assumed, in which pictures have room on a sheet alone.
SMALL_BILLIONS = 9.0
SMALL_CONTEXT_TOKENS = 4000
SHEET_CONTEXT_TOKENS = 8192
# More evidence than this makes small models worse and all of them slow; the tools bring the rest.
EVIDENCE_TOKENS, SMALL_EVIDENCE_TOKENS = 8000, 1800
# A sheet with more pictures than this shows none of them well.
SHEET_PICTURES = 9
# A model that thinks aloud takes its thinking out of the tokens of its reply.
THINKING_FACTOR = 4
HISTORY = 4
# Of the context, the part that a reply may take at most: a third, or of a tiny one a sixth.
REPLY_SHARE, TINY_SHARE = 3, 6
TINY_CONTEXT_TOKENS = 2000


class Plan(Struct, frozen=True):
    """How a question is put.

    steps     tools it may use; 0 offers none.     pictures  shown with the question; 0 shows none.
    apart     of these one by one; more, or more than fit, are shown as one where there is a ``sheet``.
    numbered  brackets are numbers, and evidence is ranked.
    schema    the reply is asked for as JSON.         history   earlier exchanges that it is told.
    """

    steps: int
    pictures: int
    sheet: bool
    apart: int
    numbered: bool
    schema: bool
    evidence_tokens: int
    answer_tokens: int
    history: int

    def __str__(self) -> str:
        return "a small model's prompt" if self.numbered else "with tools" if self.steps else "without tools"


def plan_for(abilities: Abilities, options: ModelConfig, patience: int = 1) -> Plan:
    """The plan for a model. ``patience``: how many times as long as usual its reply may be, after it ran out."""
    small = 0 < abilities.billions <= SMALL_BILLIONS or abilities.context_tokens < SMALL_CONTEXT_TOKENS
    tiny = abilities.context_tokens < TINY_CONTEXT_TOKENS
    pictures = options.max_images if abilities.images else 0
    few = 0 < abilities.most_images < pictures
    sheet = pictures > 1 and (small or few or abilities.context_tokens < SHEET_CONTEXT_TOKENS)
    most = abilities.context_tokens // (TINY_SHARE if tiny else REPLY_SHARE)
    factor = max(patience, THINKING_FACTOR if abilities.thinks else 1)
    return Plan(
        steps=options.max_steps if abilities.tools and not small else 0,
        pictures=min(pictures, SHEET_PICTURES) if sheet else pictures,
        sheet=sheet,
        apart=1 if small else abilities.most_images or pictures,
        numbered=small,
        schema=small and abilities.schema and not abilities.thinks,
        evidence_tokens=SMALL_EVIDENCE_TOKENS if small else EVIDENCE_TOKENS,
        answer_tokens=min(options.answer_tokens * factor, most),
        history=1 if tiny else 2 if small else HISTORY,
    )
