"""Part of `benchmarks.turns`: from an interruption to silence, and whether many conversations are served alike.

A turn is interrupted at a random instant of its life: while it waits for its View, recalls, packs, waits for
the model's first word or streams. Silence is when the asker is told that it was given up; nothing may be said
after that. The model is a scripted server that thinks for a while and then speaks slowly, so that most
instants lie in it; every fourth question is one that is answered without it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import anyio
import numpy as np

from runtime.calls import Caller
from runtime.errors import CallCancelled
from runtime.messages import AnswerPart, AskRequest
from tests.fixtures.chat_server import ChatServer, Json, Reply

DEADLINE_S = 30.0
THINKS_S, SPEAKS_S, PIECES = 0.15, 0.02, 10
CONVERSATIONS, QUESTIONS_EACH = 8, 10


async def speak_slowly(request: Json, reply: Reply) -> None:
    """Think, then say a sentence at a time."""
    await anyio.sleep(THINKS_S)
    await reply.begin_stream()
    for _ in range(PIECES):
        await reply.event({"content": "I did not see or hear that. "})
        await anyio.sleep(SPEAKS_S)
    await reply.event(finish="stop")


async def measure_cancel(
    reasoning: Caller,
    server: ChatServer,
    interrupt: Callable[[str], None],
    asked: Sequence[str],
    seed: int = 7,
    rest_s: float = 0.0,
) -> dict[str, float]:
    """``cancel_p50_ms``, ``cancel_p99_ms``; ``said_after`` counts parts that came after the silence (must be 0).

    ``rest_s``: before each question nobody asks for so long, so that what runs in the background begins.
    """
    server.script = speak_slowly
    instants = random.Random(seed)
    silence_ms: list[float] = []
    said_after = 0
    for i, question in enumerate(asked):
        conversation = f"cancel {i}"
        text = question if i % 4 else "And before that?"
        after_s = instants.uniform(0.0, THINKS_S + PIECES * SPEAKS_S if i % 4 else 0.01)
        interrupted_s = 0.0
        await anyio.sleep(rest_s)

        async def interrupt_later(name: str = conversation, wait_s: float = after_s) -> None:
            nonlocal interrupted_s
            await anyio.sleep(wait_s)
            interrupted_s = time.perf_counter()
            interrupt(name)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt_later)
            try:
                async for message in reasoning.stream(AskRequest(question=text, conversation=conversation), DEADLINE_S):
                    late = interrupted_s and time.perf_counter() - interrupted_s > 0.05
                    said_after += bool(late and isinstance(message, AnswerPart) and message.text)
            except CallCancelled:
                silence_ms.append((time.perf_counter() - interrupted_s) * 1000)
            tasks.cancel_scope.cancel()  # an answer that was quicker than its interruption is no sample
    p50, p99 = np.percentile(silence_ms, (50, 99))
    return {
        "cancel_p50_ms": round(float(p50), 1),
        "cancel_p99_ms": round(float(p99), 1),
        "cancelled": len(silence_ms),
        "said_after": said_after,
    }


async def measure_fairness(reasoning: Caller, server: ChatServer, asked: Sequence[str]) -> dict[str, float]:
    """``fairness``: mean seconds an answer of the worst served of 8 concurrent conversations, over the best's."""
    server.script = speak_slowly
    took_s: dict[int, list[float]] = {}

    async def converse(number: int) -> None:
        for i in range(QUESTIONS_EACH):
            request = AskRequest(
                question=asked[(number * QUESTIONS_EACH + i) % len(asked)], conversation=f"fair {number}"
            )
            began_s = time.perf_counter()
            async for _ in reasoning.stream(request, DEADLINE_S):
                pass
            took_s.setdefault(number, []).append(time.perf_counter() - began_s)

    async with anyio.create_task_group() as tasks:
        for number in range(CONVERSATIONS):
            tasks.start_soon(converse, number)
    means = [float(np.mean(mine)) for mine in took_s.values()]
    return {
        "fairness": round(max(means) / min(means), 2),
        "concurrent_answer_s": round(float(np.mean(means)), 3),
        "longest_answer_s": round(max(max(mine) for mine in took_s.values()), 3),
    }
