"""Sentences that give, list, pause or take back a standing query. By rule and pure.

"Tell me when the door opens" is one, "tell me when the door opened" a question about the past: what is
waited for stands in the present tense.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from reasoning.standing.unsupported import is_past
from runtime.language.normalise import fold

Action = Literal["add", "list", "pause", "resume", "remove", "wrong", "why"]


class StandingCommand(Struct, frozen=True):
    """What a sentence asks for.

    condition what to wait for ("the door opens"), of `add`. every: each time, not just once.
    which     a query's id ("q2"), words of it ("the door"), or "" for the only one; ``all`` for all of them.
    """

    action: Action
    condition: str = ""
    every: bool = False
    which: str = ""
    all: bool = False


_POLITE = r"(?:(?:please|could you|can you|will you|would you|i(?:'d| would) like you to|i want you to)\s+)*"
_TELL = (
    r"(?:tell me|let me know|warn me|alert me|notify me|inform me|ping me|"
    r"remind me|wake me|call me|give me a (?:shout|sign)|"
    r"speak up|say something|i (?:want|would like|'d like|need) to (?:know|be told)|i(?:'d| would) like to know)"
)
_ONCE = r"(?:when|if|once|as soon as|the moment|should|in case|the (?:first|next) time)"
_EVERY = r"(?:whenever|every ?time|each time|any ?time|always when|always if)"
_TELL_WHEN = re.compile(rf"^{_POLITE}{_TELL}(?: please)?,?\s+(?:(?P<every>{_EVERY})|(?P<once>{_ONCE}))\s+(?P<what>.+)$")
_ALWAYS_TELL = re.compile(rf"^{_POLITE}always {_TELL},?\s+(?:{_EVERY}|{_ONCE})\s+(?P<what>.+)$")
_WHEN_TELL = re.compile(
    rf"^(?:(?P<every>{_EVERY})|(?P<once>{_ONCE}))\s+(?P<what>.+?),?\s+(?:then\s+)?(?:please\s+)?{_TELL}(?: please)?$"
)
_WHENEVER = re.compile(rf"^(?P<every>{_EVERY})\s+(?P<what>.+)$")
_WATCH_FOR = re.compile(
    rf"^{_POLITE}(?:watch(?: out)?|look(?: out)?|listen(?: out)?|wait|keep an (?:eye|ear)(?: out| open)?|keep watch)"
    r"\s+for\s+(?P<what>.+)$"
)
_LIST = re.compile(
    r"^(?:what|which things?) (?:are|do) you (?:watch(?:ing)?|wait(?:ing)?|look(?:ing)?|"
    r"listen(?:ing)?|keep(?:ing)? an eye out) "
    r"(?:out )?for$|^(?:list|show)(?: me)? (?:all )?(?:my |the |your )?"
    r"(?:standing queries|alerts|notifications|watches)$|"
    r"^what (?:will|would|should) you tell me(?: about)?$"
)
_WHICH = (
    r"(?P<which>(?:query )?q?\d+|all(?: of (?:them|it))?|everything|(?:that|it)|"
    r"(?:the )?(?:one|query|alert|watch) (?:about|on|for) .+|"
    r"(?:about|for|when|whenever|if) .+)"
)
_PAUSE = re.compile(rf"^{_POLITE}pause (?:telling me |watching |the alert |alert )?{_WHICH}$")
_RESUME = re.compile(
    rf"^{_POLITE}(?:resume|unpause|continue with) (?:telling me |watching |the alert |alert )?{_WHICH}$"
)
_REMOVE = re.compile(
    rf"^{_POLITE}(?:(?:stop|no need to|do not|don't) (?:tell(?:ing)?|warn(?:ing)?|"
    r"notify(?:ing)?|alert(?:ing)?) me(?: any ?more)?|"
    r"stop (?:watching|waiting|looking|listening)(?: out)?|"
    rf"(?:remove|cancel|delete|drop)(?: the)?(?: alert| query| watch| standing query)?)\s+{_WHICH}(?: any ?more)?$"
)
_REMOVE_ALL = re.compile(
    r"^(?:stop|remove|cancel|delete|drop) all (?:the |my )?(?:alerts|standing queries|watches|notifications)$"
)
# "That was a false alarm", "q2 was wrong": of the only query that told something, or of one by its name.
_WRONG = re.compile(
    rf"^(?:(?:that|this|it) (?:is|was) (?:a )?false alarm|false alarm)(?: (?:for|of|about) {_WHICH})?$|"
    r"^(?:query )?(?P<id>q\d+) (?:is|was) (?:wrong|(?:a )?false alarm|mistaken)$"
)
# An order that breaks off; but "tell me when" may well be about what was just said.
_NOTHING_WHEN = re.compile(
    rf"^{_POLITE}(?:let me know|(?:warn|alert|notify|inform|ping|wake|call) me)(?: please)?,?\s+(?:{_EVERY}|{_ONCE})$"
)
_LEAD = re.compile(rf"^{_POLITE}(?:always )?(?:{_TELL}(?: please)?,?(?:\s+|$))?(?:(?:{_EVERY}|{_ONCE})(?:\s+|$))?")
_TELL_OTHER = re.compile(rf"^{_POLITE}(?:always )?{_TELL}\b(?! (?:{_EVERY}|{_ONCE})\b)")


def parse_command(text: str) -> StandingCommand | None:
    """The order in ``text``, or None: then it is a question like any other."""
    written = " ".join(text.split()).rstrip(".!?")
    low = fold(written)
    if len(low) != len(written):
        written = low
    if _LIST.match(low):
        return StandingCommand("list")
    if _REMOVE_ALL.match(low):
        return StandingCommand("remove", all=True)
    for action, pattern in (("pause", _PAUSE), ("resume", _RESUME), ("remove", _REMOVE)):
        if found := pattern.match(low):
            which = _which(found["which"])
            return StandingCommand(action, which="" if which == "all" else which, all=which == "all")  # type: ignore[arg-type]
    if found := _WRONG.match(low):
        which = _which(found["which"]) if found["which"] else found["id"] or ""
        return StandingCommand("wrong", which="" if which == "all" else which, all=which == "all")
    if _NOTHING_WHEN.match(low):
        return StandingCommand("add")
    if text.rstrip().endswith("?") and not re.match(r"(?:could|can|will|would) you\b", low):
        return None
    for pattern in (_ALWAYS_TELL, _TELL_WHEN, _WHEN_TELL, _WATCH_FOR, _WHENEVER):
        found = pattern.match(low)
        if not found:
            continue
        what = written[found.start("what") : found.end("what")].strip(" ,;:")
        if is_past(what):
            return None
        every = pattern is _ALWAYS_TELL or bool(found.groupdict().get("every"))
        return StandingCommand("add", condition=what, every=every)
    return None


def bare_condition(text: str) -> str:
    """What is to be waited for in a sentence that `parse_command` does not know: "" in a question, or where it says
    what to tell and not when."""
    written = " ".join(text.split())
    low = fold(written)
    if written.endswith("?") or _TELL_OTHER.match(low):
        return ""
    lead = _LEAD.match(low)
    assert lead
    return (written if len(low) == len(written) else low)[lead.end() :]


def _which(said: str) -> str:
    """An id ("q2"), "all", or the words that name the query."""
    said = said.strip()
    if numbered := re.fullmatch(r"(?:query )?q?(\d+)", said):
        return f"q{numbered[1]}"
    if said.startswith(("all", "everything")):
        return "all"
    if said in ("that", "it"):
        return ""
    return re.sub(r"^(?:(?:the )?(?:one|query|alert|watch) )?(?:about|on|for|when|whenever|if) ", "", said)
