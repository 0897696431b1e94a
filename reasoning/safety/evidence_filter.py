"""Memory without what bears no witness: the evidence of facts for whoever composes with no model."""

from __future__ import annotations

from reasoning.query.memory_client import MemoryClient, MemoryOver
from reasoning.safety.attribution import asks_of_world
from reasoning.safety.speech_acts import speaks_only_about
from reasoning.safety.untrusted import speaks_to_assistant
from reasoning.understand.frame import Frame
from runtime.messages import Observation, RecallReply, RecallRequest, ScanReply, ScanRequest

# Words of others, and what a model may have repeated of them.
_FROM_OUTSIDE = ("speech", "text", "derived")


class EvidenceFilter(MemoryOver):
    """A `MemoryClient` over another that leaves out what is no evidence for the question."""

    def __init__(self, memory: MemoryClient, frame: Frame) -> None:
        super().__init__(memory)
        self._frame = frame

    async def recall(self, request: RecallRequest) -> RecallReply:
        reply = await super().recall(request)
        kept = tuple(hit for hit in reply.hits if is_evidence(hit.observation, self._frame))
        return RecallReply(hits=kept, took_s=reply.took_s)

    async def scan(self, request: ScanRequest) -> ScanReply:
        reply = await super().scan(request)
        return ScanReply(observations=tuple(o for o in reply.observations if is_evidence(o, self._frame)))


def is_evidence(observation: Observation, frame: Frame) -> bool:
    """Whether facts that answer the question may be taken from it."""
    return observation.channel not in _FROM_OUTSIDE or bears_witness(observation.text, frame)


def bears_witness(text: str, frame: Frame) -> bool:
    """Whether words from outside state something that may answer the question."""
    if speaks_to_assistant(text):
        return False
    return not (asks_of_world(frame) and speaks_only_about(text, frame.of("subject", "predicate"), frame.text))
