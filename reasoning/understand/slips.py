"""How questions are really written: contractions are written out, letters that changed places are put right."""

from __future__ import annotations

from collections.abc import Callable

from rapidfuzz.distance import OSA

from runtime.language import lexicon
from runtime.language.normalise import tokenise

# Nobody asks for more; of a pasted page the begin is read.
WORDS_READ = 120


def plain_text(text: str) -> str:
    """``text`` with contractions written out."""
    return _replaced(text, lambda i, raw: lexicon.CONTRACTIONS.get(raw))


def mend_slips(text: str) -> str:
    """``text`` with letters that changed places in a word of asking put right ("waht", "siad")."""
    return _replaced(text, _meant)


def _replaced(text: str, instead_of: Callable[[int, str], str | None]) -> str:
    out, at = [], 0
    for i, token in enumerate(tokenise(text, WORDS_READ)):
        instead = instead_of(i, token.text.replace("’", "'").lower())
        if instead is not None:
            out.append(text[at : token.start] + (instead.capitalize() if token.text[0].isupper() else instead))
            at = token.end
    return "".join((*out, text[at:])) if out else text


def _meant(at: int, raw: str) -> str | None:
    """The word of asking that is meant: any that opens a question at its begin, else what nothing else is."""
    if len(raw) < 3 or raw in lexicon.STOP_WORDS or any(raw in listed for listed in lexicon.SLIPS.values()):
        return None
    letters = sorted(raw)
    alike = (word for word in lexicon.SLIPS["opening" if at == 0 else "anywhere"] if sorted(word) == letters)
    return next((word for word in alike if OSA.distance(raw, word) == 1), None)
