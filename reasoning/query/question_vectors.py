"""Vectors of what is sought, from the embedding process: in time or not at all, for words alone find things too."""

from __future__ import annotations

import logging
from collections import OrderedDict

import anyio

from runtime.calls import Calls
from runtime.errors import CallError, DeadlineExceeded
from runtime.messages import EmbedReply, EmbedRequest

# The first question of an agent that just started waits for its text tower (2-3 s to load); later ones for one pass
# through it (50-170 ms on a busy core).
FIRST_DEADLINE_S, DEADLINE_S = 8.0, 0.6
# So long it is not asked again after it did not answer in time, or after it said that it cannot.
AFTER_SILENCE_S, AFTER_REFUSAL_S = 5.0, 60.0
KEPT = 256


class QuestionVectors:
    """Asks the embedding process, remembers the newest vectors, and leaves it in peace while it is not there."""

    def __init__(self, caller: Calls, log: logging.Logger) -> None:
        self._caller = caller
        self._log = log
        self._kept: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._deadline_s = FIRST_DEADLINE_S
        self._not_before_s = 0.0

    async def of(self, text: str) -> tuple[bytes, str] | None:
        """(float16 vector, name of its space) of ``text``; None where it cannot be had now."""
        if text in self._kept:
            self._kept.move_to_end(text)
            return self._kept[text]
        if not text.strip() or anyio.current_time() < self._not_before_s:
            return None
        try:
            reply = await self._caller.call(EmbedRequest(texts=(text,)), self._deadline_s)
            self._deadline_s = DEADLINE_S
        except CallError as error:
            pause_s = AFTER_SILENCE_S if isinstance(error, DeadlineExceeded) else AFTER_REFUSAL_S
            self._deadline_s = DEADLINE_S
            self._not_before_s = anyio.current_time() + pause_s
            self._log.info("compared by words alone: %s", error)
            return None
        assert isinstance(reply, EmbedReply)
        self._kept[text] = reply.vectors[0], reply.space
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[text]

    def forget(self) -> None:
        """Remember none: they are of questions that may have been erased from memory."""
        self._kept.clear()
