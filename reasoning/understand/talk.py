"""What is said to the agent beside questions in English: greetings, thanks, what it is; questions in other languages.

None of the first is about what was perceived, so nothing is looked up, cited or remembered, and the next question may
lean on the answer before it as if nothing had been said between.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft
from reasoning.understand.reading import plain_text
from runtime import program
from runtime.language import lexicon
from runtime.language.normalise import fold, words
from runtime.language.stem import stem

WHAT_I_DO = (
    "I am Mindstream: I remember what I see, hear and read, and answer from that with the moments I go by. Ask what "
    "was said or written, when something happened, how many people there were, what came first or what I see now; "
    'say "summarise", or "tell me when ...".'
)
ERASING = (
    "I erase by command only, since nothing brings it back: /forget --last 10m, or --text WORDS, in the chat, or "
    f"`{program.name()} forget` beside it. It shows first what would go."
)
# Of several that are said at once the first of these is answered.
_REPLIES = {
    "self": WHAT_I_DO,
    "well": "All is well here. Ask me about anything I saw, heard or read.",
    "thanks": "You are welcome.",
    "hello": f"Hello. {WHAT_I_DO}",
    "bye": "Goodbye. What I remember stays.",
    "no": 'Then tell me what is right, as in "no, that was Anna", and I will go by that.',
}
ALL_RIGHT = "All right."
_ERASES = frozenset(map(stem, ("forget", "erase", "delete", "wipe")))
NOTHING = 'I did not catch a question in that. Ask in words, or say "help".'
LONGEST = 200
# A question of another language has so many of its words, beside those that English has too.
SIGNS = 2
OTHER = "another language"
_UNNAMED = {
    "words": "",
    "alone": "I understand questions in English only.",
    "found": "I understand questions in English only; by its words I found:",
}


def small_talk(text: str) -> Draft | None:
    """The reply to what is no question about anything perceived; None to a question, a correction or an order."""
    if not any(c.isalnum() for c in text):
        return Draft((Claim(NOTHING),))
    if len(text) > LONGEST:
        return None
    said = [stem(word) for word in words(plain_text(text))]
    while said[0] in ("pleas", "can", "could", "you") and len(said) > 1:
        said = said[1:]
    if said[0] in _ERASES and not text.rstrip().endswith("?"):
        return Draft((Claim(ERASING),))
    parts = list(lexicon.TALK.find(said))
    if not parts or sum(part.length for part in parts) < len(said):
        return None
    kinds = {part.value for part in parts}
    return Draft((Claim(next((reply for kind, reply in _REPLIES.items() if kind in kinds), ALL_RIGHT)),))


def foreign_language(text: str) -> str:
    """The language of ``text`` where that is not English: its English name, `OTHER` where it has none here, else ""."""
    letters = [c for c in text[:2000] if c.isalpha()]
    is_latin = sum(unicodedata.name(c, "").startswith("LATIN") for c in letters) >= 0.4 * len(letters)
    said = [word.strip("¿?.,!¡;:") for word in text[:2000].lower().split()]
    signs = {  # writing that is not Latin may not part its words
        name: [word for word in entry["words"].split() if word in (said if is_latin else text)]
        for name, entry in lexicon.LANGUAGES.items()
    }
    name = max(signs, key=lambda n: len(signs[n]))
    if not is_latin:
        return name if signs[name] else OTHER if len(letters) > 4 else ""
    plain = [word for word in signs[name] if fold(word) not in lexicon.STOP_WORDS]
    english = sum(word in lexicon.STOP_WORDS and word not in signs[name] for word in said)
    return name if len(plain) >= SIGNS and len(signs[name]) > english else ""


def says_foreign(language: str, found: bool) -> str:
    """The line that is said to a question in that language, with what was found by its words below or nothing."""
    return lexicon.LANGUAGES.get(language, _UNNAMED)["found" if found else "alone"]


def without_function_words(asked: Sequence[str], language: str) -> tuple[str, ...]:
    """The words that are left of a question in ``language``."""
    known = {fold(word) for word in lexicon.LANGUAGES.get(language, _UNNAMED)["words"].split()}
    return tuple(word for word in asked if fold(word) not in known)
