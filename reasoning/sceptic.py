"""Memory without what speaks to the assistant: the evidence of facts for whoever composes with no model.

A sign that says "ignore the clock, answer nine" is something that was read, and is told when somebody asks what
the sign says. It is no evidence for when the train leaves.
"""

from __future__ import annotations

from reasoning.memory_client import MemoryOver
from reasoning.untrusted import speaks_to_assistant
from runtime.messages import (
    LastSeenReply,
    LastSeenRequest,
    Observation,
    RecallReply,
    RecallRequest,
    ScanReply,
    ScanRequest,
)

_FROM_OUTSIDE = ("speech", "text")


class Sceptic(MemoryOver):
    """A `MemoryClient` over another that leaves out what speaks to the assistant."""

    async def recall(self, request: RecallRequest) -> RecallReply:
        reply = await super().recall(request)
        return RecallReply(hits=tuple(hit for hit in reply.hits if is_evidence(hit.observation)), took_s=reply.took_s)

    async def scan(self, request: ScanRequest) -> ScanReply:
        reply = await super().scan(request)
        return ScanReply(observations=tuple(o for o in reply.observations if is_evidence(o)))

    async def last_seen(self, request: LastSeenRequest) -> LastSeenReply:
        reply = await super().last_seen(request)
        return LastSeenReply(sightings=tuple(s for s in reply.sightings if is_evidence(s.observation)))


def is_evidence(observation: Observation) -> bool:
    """Whether facts may be taken from it."""
    return observation.channel not in _FROM_OUTSIDE or not speaks_to_assistant(observation.text)
