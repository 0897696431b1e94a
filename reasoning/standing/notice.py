"""What is told unasked: a candidate as the line that is shown, and as what memory keeps of it."""

from __future__ import annotations

import zlib

from reasoning.answer.citations import cite
from reasoning.standing.gate import Candidate, tell
from runtime.messages import (
    DerivedFacts,
    Notice,
    Observation,
    SoundFacts,
    SpeechFacts,
    StandingQuery,
    observation_id,
)

NOTICE_KIND = "notice"


def as_notice(candidate: Candidate, query: StandingQuery, confirmed: bool) -> Notice:
    """The line, with what it rests on. ``confirmed``: a model agreed."""
    o = candidate.observation
    return Notice(
        id=f"{query.id}/{o.id or observation_id(o.source, o.channel, o.t0_s)}",
        query=query.id,
        text=tell(candidate, query, confirmed),
        citation=cite([o])[0],
        conversation=query.conversation,
        confirmed=confirmed,
        known_s=_known_s(o),
    )


def as_observation(notice: Notice, o: Observation) -> Observation:
    """What was told unasked, as memory keeps it: derived from what it rests on."""
    k = zlib.crc32(notice.id.encode()) or 1
    return Observation(
        id=observation_id(o.source, "derived", o.t0_s, k),
        source=o.source,
        channel="derived",
        t0_s=o.t0_s,
        t1_s=o.t1_s,
        text=notice.text,
        data=DerivedFacts(kind=NOTICE_KIND, query=notice.query, confirmed=notice.confirmed),
        evidence=(o.id,),
    )


def _known_s(o: Observation) -> float:
    """Media time by which enough was perceived to tell it."""
    facts = o.data
    known_s = facts.known_s if isinstance(facts, SpeechFacts | SoundFacts) else None
    return o.t1_s if known_s is None else known_s
