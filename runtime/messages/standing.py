"""Standing queries ("tell me when ..."): what is waited for, what is asked of them, and what is told unasked."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from runtime.messages.base import Message
from runtime.messages.reasoning import Citation


class StandingQuery(Message, frozen=True, kw_only=True, tag="standing_query"):
    """Something to speak up about.

    text        what is waited for, in the user's words ("the door opens"); ``every`` each time, not only once.
    state       a `done` query was one to be told once, and has been.
    generation  of memory when it was made: only what is stored after it counts.
    account     what the agent said it would do about it.
    told        how often it spoke up; ``last_*`` is the newest time.
    """

    id: str
    text: str
    every: bool = False
    state: Literal["active", "paused", "done"] = "active"
    generation: int = 0
    made_wall_s: float = 0.0
    conversation: str = ""
    account: str = ""
    told: int = 0
    last_source: str = ""
    last_t_s: float = 0.0
    last_text: str = ""


class Notice(Message, frozen=True, kw_only=True, tag="notice"):
    """An unasked line: ``text`` with its mark, the observation it rests on, and the query it is about.

    ``confirmed`` is true where a language model looked at the evidence and agreed. An utterance that is told of while
    it is spoken is in memory only later: until then the citation has no id. ``known_s``: media time of the source by
    which enough was perceived to tell it; what the machine needed beyond that is not in it.
    """

    id: str
    query: str
    text: str
    citation: Citation
    conversation: str = ""
    confirmed: bool = False
    known_s: float = 0.0


class Decision(Message, frozen=True, tag="standing_decision"):
    """What was decided of a query, and by what.

    t_s, picture  the moment of ``source`` it is about, and the id of the frame that was looked at, "" for none.
    by            "sign", "confirm" where a model judged a sign, "look" where a model looked of its own accord.
    reason        the model's, or how the sign was told. told: the user was. mistaken: he says that it was not so.
    """

    query: str
    source: str
    t_s: float
    yes: bool
    by: Literal["sign", "confirm", "look"]
    reason: str = ""
    picture: str = ""
    told: bool = False
    mistaken: bool = False


class StandingRequest(Message, frozen=True, kw_only=True, tag="standing_request"):
    """List, add, pause, resume or remove standing queries; "wrong": what a query told last was a false alarm; "why":
    what was decided of it, and by what.

    ``text`` is a sentence ("tell me when ...", or what follows "when") to add. ``which`` names a query by its
    id or by words of it; "" is the only one there is. Everything that memory held when the request arrived
    has been looked at by the time of the reply.
    """

    action: Literal["list", "add", "pause", "resume", "remove", "wrong", "why"] = "list"
    text: str = ""
    which: str = ""
    all: bool = False
    conversation: str = ""


class StandingReply(Message, frozen=True, kw_only=True, tag="standing_reply"):
    """``said`` is what was done, in words; ``done`` whether it was.

    ``notices`` and ``decisions`` are the newest, oldest first; the latter only where they are asked for.
    """

    said: str
    done: bool = True
    queries: tuple[StandingQuery, ...] = ()
    notices: tuple[Notice, ...] = ()
    decisions: tuple[Decision, ...] = ()


def notice_json(notice: Notice) -> dict[str, Any]:
    """The documented JSON object of a notice (docs/cli.md)."""
    return {
        "notice": notice.text,
        "query": notice.query,
        "confirmed": notice.confirmed,
        "known_s": notice.known_s,
        "citation": msgspec.structs.asdict(notice.citation),
        "id": notice.id,
    }
