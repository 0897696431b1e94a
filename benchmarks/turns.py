"""What the agent adds to a model's own time: from a question to the model's prompt, on the memory of a whole day.

    python -m benchmarks.turns [--hours N] [--questions N] [--json] [--no-history]

Memory and reasoning are the real processes over ZeroMQ; the model is a scripted server at the wire that answers
at once. Memory holds a made-up day (benchmarks/day.py). Half of the questions ask for words, the others for a
stretch of time, a sum of it, and what is to be seen now. Figures:
    overhead_p50_ms, overhead_p99_ms   from sending the question to the server's having the whole prompt:
                                       the View, recall, pictures, packing, and the request itself
    first_words_p50_ms                 to the first words of the answer at the asker, the model's own time being nil
    cancel_p50_ms, cancel_p99_ms       from an interruption, at a random instant of a turn, to silence at the asker
    cancelled, said_after              turns interrupted so, and parts of them that came after (must be none)
    fairness                           of 8 conversations at once: the longest mean time of an answer over the shortest
    concurrent_answer_s, longest_answer_s   mean and longest of their answers
    observations                       in memory
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import zmq.asyncio
from msgspec import Struct

from benchmarks import harness
from benchmarks.day import HOURS, Day, remember_day
from benchmarks.memory_process import MEMBERS, publisher, run_directory, start_memory, start_process, until_ready
from benchmarks.turn_cancel import measure_cancel, measure_fairness
from runtime.bus import Member
from runtime.calls import Caller, ControlSender
from runtime.config import Config, DescribeConfig, ModelConfig, ReasoningConfig
from runtime.messages import Answer, AnswerPart, AskRequest, Interrupt
from runtime.plan import OnFolder, Plan
from runtime.service import Service
from tests.fixtures.chat_server import ChatServer, Json, Reply, serve_chat

QUESTIONS = 200
DEADLINE_S = 30.0
WARM_UP = 5
# Nothing is described beside what is measured.
QUIET = DescribeConfig(when="never")


class Agent(Struct):
    """Memory and reasoning running, and the server that reasoning's model is behind.

    ``interrupt`` gives up what a conversation is being told, over reasoning's control socket; ``service`` publishes as
    what perceives would.
    """

    reasoning: Caller
    memory: Caller
    server: ChatServer
    interrupt: Callable[[str], None]
    service: Service


@asynccontextmanager
async def running(memory_dir: Path, backend: str = "openai", describe: DescribeConfig = QUIET) -> AsyncIterator[Agent]:
    """An agent on this memory, without eyes and ears."""

    async def answer_at_once(request: Json, reply: Reply) -> None:
        await reply.say("I did not see or hear that.")

    context = zmq.asyncio.Context()
    processes: list[subprocess.Popen[bytes]] = []
    model = [{"id": "instant", "object": "model", "max_model_len": 16384}]
    with run_directory() as run_dir:
        async with serve_chat(answer_at_once, model) as server:
            config = Config(
                reasoning=ReasoningConfig(
                    backend=backend, model=ModelConfig(base_url=server.base_url), describe=describe
                )
            )
            async with publisher(run_dir, config) as service:
                try:
                    processes.append(start_memory(run_dir, memory_dir, config))
                    await until_ready(service.caller("memory"), processes[0])
                    members = (*MEMBERS, Member(name="reasoning", role="reasoning"))
                    plan = Plan(
                        "reasoning",
                        "reasoning",
                        "reasoning.process:main",
                        OnFolder(path=str(memory_dir)),
                        config,
                        members,
                    )
                    processes.append(start_process(run_dir, plan))
                    control = ControlSender(context, run_dir, "reasoning")

                    def interrupt(conversation: str) -> None:
                        control.send(Interrupt(conversation=conversation))

                    yield Agent(service.caller("reasoning"), service.caller("memory"), server, interrupt, service)
                finally:
                    context.destroy(linger=0)
                    for process in reversed(processes):
                        process.send_signal(signal.SIGTERM)
                        process.wait()


def questions(n: int, hours: int, seed: int = 5) -> list[str]:
    """``n`` questions as people ask them, over words of the day."""
    day = Day(seed)
    random = np.random.default_rng(seed)
    asked = []
    for i in range(n):
        hour = int(random.integers(hours))
        kinds = (
            f"What was said about {day.words(2, rarest_of=4)}?",
            f"When did you see {day.words(1, rarest_of=6)}?",
            f"What does the sign with {day.words(1, rarest_of=6)} say?",
            f"Who spoke of {day.words(2, rarest_of=3)} and {day.words(1)}?",
            f"What was said about {day.words(1, rarest_of=3)} after {hour}:10:00?",
            f"What happened between {hour}:10:00 and {hour}:20:00?",
            "What do you see right now?",
            "Sum up what happened.",
        )
        asked.append(kinds[i % len(kinds)])
    return asked


async def measure_overhead(agent: Agent, asked: Sequence[str]) -> dict[str, float]:
    """The figures of the overhead."""
    prompt_ms: list[float] = []
    words_ms: list[float] = []
    for i, question in enumerate([*asked[:WARM_UP], *asked]):
        got_prompt_s = 0.0

        async def note(request: Json, reply: Reply) -> None:
            nonlocal got_prompt_s
            got_prompt_s = time.perf_counter()
            await reply.say("I did not see or hear that.")

        agent.server.script = note
        agent.server.requests.clear()
        began_s = time.perf_counter()
        first_s = 0.0
        request = AskRequest(question=question, conversation=f"turn {i}")
        async for message in agent.reasoning.stream(request, DEADLINE_S):
            if isinstance(message, AnswerPart) and message.text and not first_s:
                first_s = time.perf_counter()
            if isinstance(message, Answer) and not got_prompt_s:
                raise RuntimeError(f"the model was not asked: {message.notice or message.answer}")
        if i >= WARM_UP:
            prompt_ms.append((got_prompt_s - began_s) * 1000)
            words_ms.append((first_s - began_s) * 1000)
    p50, p99 = np.percentile(prompt_ms, (50, 99))
    return {
        "overhead_p50_ms": round(float(p50), 1),
        "overhead_p99_ms": round(float(p99), 1),
        "first_words_p50_ms": round(float(np.median(words_ms)), 1),
    }


async def measure(memory_dir: Path, asked: Sequence[str]) -> dict[str, Any]:
    """All figures of one run."""
    async with running(memory_dir) as agent:
        harness.progress(f"asking {len(asked)} questions")
        figures = await measure_overhead(agent, asked)
        harness.progress(f"interrupting {len(asked)} turns")
        figures |= await measure_cancel(agent.reasoning, agent.server, agent.interrupt, asked)
        harness.progress("8 conversations at once")
        return figures | await measure_fairness(agent.reasoning, agent.server, asked)


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, metavar="N", help=f"in memory (default: {HOURS})")
    parser.add_argument("--questions", type=int, default=QUESTIONS, metavar="N", help=f"default: {QUESTIONS}")
    args = parser.parse_args(argv)
    if args.hours < 1 or args.questions < 1:
        parser.error("--hours and --questions: at least 1")
    with tempfile.TemporaryDirectory(prefix="mindstream-turns-") as folder:
        observations = 0
        for hour, observations in enumerate(remember_day(Path(folder, "memory"), args.hours), 1):
            harness.progress(f"hour {hour} of {args.hours}: {observations} observations")
        asked = questions(args.questions, args.hours)
        figures = anyio.run(measure, Path(folder, "memory"), asked, backend_options={"use_uvloop": True})
    figures["observations"] = observations
    harness.report("turns", figures, args, (args.hours, args.questions) == (HOURS, QUESTIONS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
