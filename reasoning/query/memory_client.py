"""The calls reasoning makes to memory: what they are, and how they reach its process, patient while it restarts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, cast

import anyio
import msgspec

from reasoning.query.question_vectors import QuestionVectors
from runtime.calls import Calls
from runtime.errors import CallCancelled, DeadlineExceeded
from runtime.messages import (
    Done,
    MemoryStatus,
    Message,
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

# Between attempts when memory, about to stop, gave a call up.
PAUSE_S = 0.1


# Which call of a `MemoryClient` each request is for.
CALLS: dict[type[Message], str] = {
    ViewRequest: "view",
    RecallRequest: "recall",
    ScanRequest: "scan",
    SpansRequest: "spans",
    RememberRequest: "remember",
    StatusRequest: "status",
}


class MemoryClient(ABC):
    """The calls reasoning makes to memory, each of which raises `CallError` when no answer comes. All go the same way,
    `call`; what a subclass changes it overrides."""

    @abstractmethod
    async def call(self, request: Message) -> Any:
        """The reply to any of the requests."""

    async def view(self, request: ViewRequest) -> View:
        return cast("View", await self.call(request))

    async def recall(self, request: RecallRequest) -> RecallReply:
        return cast("RecallReply", await self.call(request))

    async def scan(self, request: ScanRequest) -> ScanReply:
        return cast("ScanReply", await self.call(request))

    async def spans(self, request: SpansRequest) -> SpansReply:
        return cast("SpansReply", await self.call(request))

    async def remember(self, request: RememberRequest) -> Done:
        return cast("Done", await self.call(request))

    async def status(self, request: StatusRequest) -> MemoryStatus:
        return cast("MemoryStatus", await self.call(request))


class MemoryOver(MemoryClient):
    """A `MemoryClient` over another: what a subclass does not override is handed on as it is."""

    def __init__(self, memory: MemoryClient) -> None:
        self._memory = memory

    async def call(self, request: Message) -> Any:
        return await getattr(self._memory, CALLS[type(request)])(request)


class CalledMemory(MemoryClient):
    """A `MemoryClient` over calls. Each waits at most ``deadline_s`` seconds, restarts of memory included.

    Every method raises `DeadlineExceeded` with one clear line when memory stays away, and `RemoteError`
    when it answered that it failed. With ``vectors``, what is recalled by words is recalled by its meaning too.
    """

    def __init__(self, caller: Calls, deadline_s: float, vectors: QuestionVectors | None = None) -> None:
        self._caller = caller
        self._deadline_s = deadline_s
        self._vectors = vectors

    async def recall(self, request: RecallRequest) -> RecallReply:
        if self._vectors is not None and (found := await self._vectors.of(request.query)) is not None:
            request = msgspec.structs.replace(request, vector=found[0], vector_space=found[1])
        return await super().recall(request)

    async def call(self, request: Message) -> Any:
        until_s = anyio.current_time() + self._deadline_s
        while (left_s := until_s - anyio.current_time()) > 0:
            try:
                return await self._caller.call(request, left_s)
            except CallCancelled:
                # Memory is stopping. Its successor gets the request; requests are idempotent.
                await anyio.sleep(PAUSE_S)
            except DeadlineExceeded:
                break
        raise DeadlineExceeded(f"memory does not answer (waited {self._deadline_s:g} s); the question was not answered")
