"""What people say to an agent beside their questions: greetings, thanks, what it is, what it is there for.

None of it is about what was perceived, so nothing is looked up, cited or remembered, and the next question may lean on
the answer before it as if nothing had been said between.
"""

from __future__ import annotations

import re

from reasoning.answer.draft import Claim, Draft
from reasoning.understand.words import fold

WHAT_I_DO = (
    "I am Mindstream: I remember what I see, hear and read, and answer from that with the moments I go by. Ask what "
    "was said or written, when something happened, how many people there were, what came first or what I see now; "
    'say "summarise", or "tell me when ...".'
)
_AND = r"(?:[\s,.!]+|$)"
_THANKS = r"(?:many |no[, ]+)?(?:thanks?|thx|thank you|cheers|ta)(?: (?:a lot|so much|very much|again|you))*"
_GREETING = (
    r"(?:hi+|hello|hey|good (?:morning|afternoon|evening|day)|greetings|yo)(?: there| again| mindstream| agent)?"
)
_ACKNOWLEDGED = (
    r"(?:ok(?:ay)?|all ?right|alright|fine|good|great|cool|nice|perfect|wow|super|excellent|interesting|i see|got it|"
    r"understood|right|sure|yes|yeah|yep|ah+|oh+|aha|hm+|haha+|lol|never ?mind|forget it|well done|good job|awesome|"
    r"makes sense|very (?:good|nice|interesting)|that(?:'s| is) (?:all|it|great|good|right|correct|cool|fine))"
)
_REPLIES: tuple[tuple[str, str], ...] = (
    (rf"(?:{_ACKNOWLEDGED}{_AND})*{_THANKS}(?:{_AND}(?:{_ACKNOWLEDGED}))*", "You are welcome."),
    (rf"(?:(?:{_ACKNOWLEDGED}){_AND})+", "All right."),
    (rf"{_GREETING}", f"Hello. {WHAT_I_DO}"),
    (
        rf"(?:{_GREETING}{_AND})?how (?:are|do) you(?: (?:do|doing|today|feeling))*"
        "|how(?: i|')s it going|what(?: i|')s up",
        "All is well here. Ask me about anything I saw, heard or read.",
    ),
    (r"(?:good ?)?bye(?: bye)?|see you(?: later)?|good ?night|cu|ciao", "Goodbye. What I remember stays."),
    (
        rf"(?:{_GREETING}{_AND})?(?:who|what)(?: are|'re) you|what(?: is|'s) your name|what(?: can| do) you(?: can)? do"
        r"|what (?:can|should|could|may) i (?:ask|do|say)(?: you)?|how (?:does this|do you) work"
        r"|(?:please )?help(?: me)?"
        r"|(?:what|who) is mindstream|introduce yourself|are you (?:an? )?(?:ai|robot|bot|human|person|machine|real)",
        WHAT_I_DO,
    ),
    (
        r"(?:please |can you |could you )*(?:forget|erase|delete|wipe)\b(?!.*\b(?:was|were|did|said)\b).*",
        "I erase by command only, since nothing brings it back: /forget --last 10m, or --text WORDS, in the chat, or "
        "run_agent.py forget beside it. It shows first what would go.",
    ),
    (r"no+|nope|nah", 'Then tell me what is right, as in "no, that was Anna", and I will go by that.'),
)
LONGEST = 200
_REPLY_RES = tuple((re.compile(rf"(?:{said})"), reply) for said, reply in _REPLIES)
_NOTHING = 'I did not catch a question in that. Ask in words, or say "help".'


def small_talk(text: str) -> Draft | None:
    """The reply to what is no question about anything perceived; None to a question, a correction or an order."""
    if len(text) > LONGEST:
        return None
    said = " ".join(fold(text).split()).strip(" ,.!?;:")
    if not any(character.isalnum() for character in said):
        return _reply(_NOTHING)
    return next((_reply(reply) for pattern, reply in _REPLY_RES if pattern.fullmatch(said)), None)


def _reply(text: str) -> Draft:
    return Draft((Claim(text),))
