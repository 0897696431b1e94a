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

from runtime.messages import Channel, Observation

Provenance = Literal["corrected", "asked", "perceived", "read", "said", "imported", "derived"]

TRUST: dict[Provenance, float] = {
    "corrected": 1.0,  # the user said so; where it contradicts what was perceived it wins
    "asked": 1.0,  # that it was asked, which is all a question says
    "perceived": 1.0,  # seen or heard by the agent itself
    "read": 0.6,  # written on a screen or a sign
    "said": 0.6,  # said by someone
    "imported": 0.4,  # perceived by another memory; also what rests on nothing that can be shown
}
# A claim about the world that rests on less than this alone is told as somebody's claim.
WORLD_TRUST = 0.8
# What is believed less, imported or derived from nothing that can be shown, is shown as not confirmed, and gets into
# recall by a quota only.
LOW_TRUST = 0.5
# Two observations corroborate one another if they come by different channels, or so far apart in time.
INDEPENDENT_S = 10.0

# Set in `data` of what was imported: the archive it came from.
IMPORTED_KEY = "imported"

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
    if observation.data.get(IMPORTED_KEY):
        return "imported"
    return _BY_CHANNEL[observation.channel]


def trust_of(observation: Observation, evidence: Iterable[float] = ()) -> float:
    """The trust a record is stored with, 0..1: its own, but no more than the table allows.

    ``evidence``: trust of those it rests on that are there; of something derived the least counts.
    """
    provenance = provenance_of(observation)
    if provenance == "derived":
        return min(observation.trust, min(evidence, default=TRUST["imported"]))
    return min(observation.trust, TRUST[provenance])


def is_corroborated(observations: Iterable[Observation]) -> bool:
    """Whether a claim about the world may rest on these: one is trusted by itself, or two that cannot be the same
    planted thing agree (different channels, or `INDEPENDENT_S` apart)."""
    weak: list[Observation] = []
    for observation in observations:
        if observation.trust >= WORLD_TRUST and provenance_of(observation) not in ("read", "said", "imported"):
            return True
        for other in weak:
            gap_s = max(observation.t0_s - other.t1_s, other.t0_s - observation.t1_s)
            if observation.channel != other.channel or observation.source != other.source or gap_s >= INDEPENDENT_S:
                return True
        weak.append(observation)
    return False
