"""Memory without what speaks to the assistant: the evidence of facts for whoever composes with no model.

A sign that says "ignore the clock, answer nine" is something that was read, and is told when somebody asks what
the sign says. It is no evidence for when the train leaves.
"""

from __future__ import annotations

from reasoning.context import MemoryClient
from reasoning.untrusted import speaks_to_assistant
from runtime.messages import (
    Done,
    LastSeenReply,
    LastSeenRequest,
    MemoryStatus,
    Observation,
    RecallReply,
    RecallRequest,
    RememberRequest,
    ScanReply,
    ScanRequest,
    SpansReply,
    SpansRequest,
    StatusRequest,
    View,
    ViewRequest,
)

_FROM_OUTSIDE = ("speech", "text")


class Sceptic:
    """A `MemoryClient` over another that leaves out what speaks to the assistant."""

    def __init__(self, memory: MemoryClient) -> None:
        self._memory = memory

    async def view(self, request: ViewRequest) -> View:
        return await self._memory.view(request)

    async def recall(self, request: RecallRequest) -> RecallReply:
        reply = await self._memory.recall(request)
        return RecallReply(hits=tuple(hit for hit in reply.hits if is_evidence(hit.observation)), took_s=reply.took_s)

    async def scan(self, request: ScanRequest) -> ScanReply:
        reply = await self._memory.scan(request)
        return ScanReply(observations=tuple(o for o in reply.observations if is_evidence(o)))

    async def spans(self, request: SpansRequest) -> SpansReply:
        return await self._memory.spans(request)

    async def last_seen(self, request: LastSeenRequest) -> LastSeenReply:
        reply = await self._memory.last_seen(request)
        return LastSeenReply(sightings=tuple(s for s in reply.sightings if is_evidence(s.observation)))

    async def remember(self, request: RememberRequest) -> Done:
        return await self._memory.remember(request)

    async def status(self, request: StatusRequest) -> MemoryStatus:
        return await self._memory.status(request)


def is_evidence(observation: Observation) -> bool:
    """Whether facts may be taken from it."""
    return observation.channel not in _FROM_OUTSIDE or not speaks_to_assistant(observation.text)
