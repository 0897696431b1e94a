"""How far a record is believed, by where it comes from: one table, used where records are stored and where claims
are made of them.

What the agent saw or heard itself is a fact of its senses. Words on a sign or in somebody's mouth are a fact too,
that they were written or said, but what they claim about the world is only that: a claim, which anybody can plant
(AgentPoison, arXiv 2407.12784). What was imported was perceived by somebody else. What is derived is believed as
little as the least of what it rests on. What the user corrects stands above all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from runtime.messages import DESCRIPTIONS, Channel, DerivedFacts, Observation

Provenance = Literal["corrected", "asked", "perceived", "read", "said", "described", "imported", "derived"]

TRUST: dict[Provenance, float] = {
    "corrected": 1.0,  # the user said so; where it contradicts what was perceived it wins
    "asked": 1.0,  # that it was asked, which is all a question says
    "perceived": 1.0,  # seen or heard by the agent itself
    "read": 0.6,  # written on a screen or a sign
    "said": 0.6,  # said by someone
    "described": 0.6,  # in the words of a model that looked at a picture: it may be wrong, or repeat what a sign claims
    "imported": 0.4,  # perceived by another memory; also what rests on nothing that can be shown
}
# A claim about the world that rests on less than this alone is told as somebody's claim.
WORLD_TRUST = 0.8
# What is believed less, imported or derived from nothing that can be shown, is shown as not confirmed, and gets into
# recall by a quota only.
LOW_TRUST = 0.5
# What is written while somebody speaks, or right after, goes with his words.
APART_S = 2.0

_BY_CHANNEL: dict[Channel, Provenance] = {
    "frame": "perceived",
    "object": "perceived",
    "sound": "perceived",
    "gap": "perceived",
    "text": "read",
    "speech": "said",
    "question": "asked",
    "answer": "derived",
    "derived": "derived",
    "correction": "corrected",
}


def provenance_of(observation: Observation) -> Provenance:
    """Where a record comes from."""
    if observation.data.imported:
        return "imported"
    if observation.facts(DerivedFacts).kind in DESCRIPTIONS:
        return "described"
    return _BY_CHANNEL[observation.channel]


def trust_of(observation: Observation, evidence: Iterable[float] = ()) -> float:
    """The trust a record is stored with, 0..1: its own, but no more than the table allows.

    ``evidence``: trust of those it rests on that are there; of something derived the least counts.
    """
    provenance = provenance_of(observation)
    if provenance in ("derived", "described"):
        return min(observation.trust, TRUST.get(provenance, 1.0), min(evidence, default=TRUST["imported"]))
    return min(observation.trust, TRUST[provenance])


def is_corroborated(observations: Iterable[Observation]) -> bool:
    """Whether a claim about the world may rest on these: one is trusted by itself, or two that cannot be the same
    planted thing agree.

    That takes two channels, and not at the same time: a voice and its captions are one. Saying it again makes nothing
    truer, an hour later or to another camera; what is derived rests on the very records it would support; and an
    archive is one witness, however many channels are in it.
    """
    witnesses: list[tuple[str, Observation]] = []
    for observation in observations:
        provenance = provenance_of(observation)
        if observation.trust >= WORLD_TRUST and provenance not in ("read", "said", "imported"):
            return True
        if provenance in ("derived", "described"):
            continue
        channel = "imported" if provenance == "imported" else observation.channel
        for other_channel, other in witnesses:
            apart_s = max(observation.t0_s - other.t1_s, other.t0_s - observation.t1_s)
            if channel != other_channel and (observation.source != other.source or apart_s >= APART_S):
                return True
        witnesses.append((channel, observation))
    return False
