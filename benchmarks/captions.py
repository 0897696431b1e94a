"""Captions over a day: what only they tell is found, nobody waits for them, and they go with their pictures.

    python -m benchmarks.captions [--hours N] [--seconds S] [--json] [--no-history]

Memory and reasoning are the real processes over ZeroMQ. Memory holds a made-up day (benchmarks/captions_day.py) in
which 60 needles are to be seen that no encoder names. The model is a scripted server at the wire that looks up what a
picture shows, and takes a third of a second to say it. Questions are answered without a model. Figures:
    captions, hours_told      described until nothing was left; ``described_hz`` captions a second with a model that
                              answers at once
    found, found_before       share of the needles' questions whose answer cites the needle's time; the same before
    wrong                     of the needles' questions those answered with another time
    absent_declined           share of questions for who was not there that are declined
    now_p50_ms, now_p99_ms    from "what do you see now?" to the whole answer, while 10 pictures a second come in, ...
    now_captioning_p50_ms, _p99_ms      ... the same while it describes, ...
    stored_hz, stored_captioning_hz     ... pictures durable a second, of those sent, then, ...
    lag_s, lag_captioning_s             ... and the longest that one waited to be durable
    cancel_p50_ms, cancel_p99_ms        from an interruption at a random instant to silence, ...
    cancel_captioning_p50_ms, _p99_ms   ... the same while it describes
    cancelled, said_after, begun        turns interrupted so, parts that came after, captions begun meanwhile
    bytes_mib, budget_mib, captions_kib memory's bytes after all of it, its budget, and what captions take, estimated
    forgotten, captions_of_forgotten    needles forgotten, and captions of them left in any row or byte, also after
                                        everything was described once more
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from msgspec import Struct, field

from benchmarks import harness
from benchmarks.captions_day import SOURCE, Needle, SeenDay, moment_of
from benchmarks.memory_process import outbox_of
from benchmarks.turn_cancel import measure_cancel
from benchmarks.turns import QUIET, Agent, running
from runtime.config import Config, DescribeConfig
from runtime.messages import (
    Answer,
    AskRequest,
    DescribeReply,
    DescribeRequest,
    ForgetRequest,
    MemoryStatus,
    Progress,
    SourceOpened,
    StatusRequest,
    TimeWindow,
)
from tests.fixtures.chat_server import Json, Reply, Script
from tests.fixtures.model_turns import pictures

HOURS = 24
SECONDS = 30.0
# Without describing and with it, in turn so many times.
ROUNDS = 3
DEADLINE_S, DESCRIBE_S = 30.0, 1800.0
FREE = DescribeConfig(when="local", calls_per_h=1_000_000, tokens_per_h=0, per_event=2, idle_s=0.0)
LIVE, LIVE_HZ, NOW_EVERY_S = "door", 10.0, 0.4
CAPTION_S = 0.3
CANCELLED, FORGOTTEN = 120, 5
# Before each question that is interrupted nobody asks for so long: a caption is under way when it comes.
REST_S = 0.25
WARM_UP = 3
# An answer is of a needle whose time it cites, give or take how far apart pictures are kept.
NEAR_S = 2.0


def captioner(day: SeenDay, takes_s: float) -> Script:
    """The model: says of a picture what was there, of anything else that it did not see or hear it."""

    async def answer(request: Json, reply: Reply) -> None:
        shown = pictures(request)
        told = day.told_at(moment_of(shown[-1])) if len(shown) == 1 else "It was quiet, with some who came and went."
        if not is_caption(request):
            await reply.say("I did not see or hear that.")
        elif takes_s:
            await anyio.sleep(takes_s / 2)
            await reply.begin_stream()
            for word in told.split():
                await reply.event({"content": f"{word} "})
                await anyio.sleep(takes_s / 2 / len(told.split()))
            await reply.event(finish="stop")
        else:
            await reply.say(told)

    return answer


def is_caption(request: Json) -> bool:
    """Whether a request asks for a description, and not for an answer."""
    return not any("Question:" in str(message["content"]) for message in request["messages"])


async def ask(agent: Agent, question: str) -> Answer:
    """The whole answer."""
    async for message in agent.reasoning.stream(AskRequest(question=question, conversation=""), DEADLINE_S):
        if isinstance(message, Answer):
            return message
    raise AssertionError("a stream of parts ends with the answer")


async def find_needles(agent: Agent, day: SeenDay) -> tuple[float, int, float]:
    """(share of the needles found, how many were answered with another time, share of the absent declined)."""
    found = wrong = 0
    for needle in day.needles:
        answer = await ask(agent, needle.question)
        right = [c for c in answer.citations if needle.t0_s - NEAR_S <= c.t0_s <= needle.t1_s + NEAR_S]
        found += bool(right) and not answer.abstained
        wrong += not right and not answer.abstained
    declined = [(await ask(agent, question)).abstained for question in day.absent]
    return found / len(day.needles), wrong, sum(declined) / len(declined)


async def describe_all(agent: Agent) -> tuple[DescribeReply, float]:
    """Describe until nothing is left: what came of it, and the seconds."""
    began_s = time.perf_counter()
    async for message in agent.reasoning.stream(DescribeRequest(), DESCRIBE_S):
        if isinstance(message, DescribeReply):
            return message, time.perf_counter() - began_s
        if message.done % 200 == 0 and not message.is_hour:
            harness.progress(f"{message.done} of {message.total} pictures described")
    raise AssertionError("a stream of parts ends with the reply")


class Course(Struct):
    """How it went with those who asked and what came in: milliseconds to answers, what was sent in how many seconds,
    and the longest that any of it waited."""

    now_ms: list[float] = field(default_factory=list)
    sent: int = 0
    took_s: float = 0.0
    lag_s: float = 0.0

    def figures(self, named: str) -> dict[str, float]:
        """With ``named`` in their names."""
        p50, p99 = np.percentile(self.now_ms, (50, 99))
        return {
            f"now{named}_p50_ms": round(float(p50), 1),
            f"now{named}_p99_ms": round(float(p99), 1),
            f"stored{named}_hz": round(self.sent / self.took_s, 2),
            f"lag{named}_s": round(self.lag_s, 3),
        }


class Live:
    """A camera that comes in meanwhile, and somebody who asks what is to be seen. ``t0_s``: where its time goes on."""

    def __init__(self, agent: Agent, day: SeenDay, t0_s: float) -> None:
        self._agent = agent
        self._day = day
        self._t_s = t0_s
        self._outbox = outbox_of(agent.service)

    async def go_on(self, seconds: float, course: Course) -> None:
        """So many seconds more, noted in ``course``."""
        now_ms, sent = course.now_ms, 0
        lag_s = 0.0
        if not self._t_s:
            await self._outbox.send(SourceOpened(source=LIVE, track="video", kind="camera"))
        began_s = anyio.current_time()

        async def send() -> None:
            nonlocal sent
            for i in range(int(seconds * LIVE_HZ)):
                await anyio.sleep_until(began_s + i / LIVE_HZ)
                self._t_s = round(self._t_s + 1.0 / LIVE_HZ, 3)
                self._outbox.offer(self._day.frame(LIVE, self._t_s, look=i // 100))
                self._outbox.offer(Progress(source=LIVE, track="video", t_s=self._t_s))
                sent += 1

        async def watch() -> None:
            nonlocal lag_s
            since_s, before = anyio.current_time(), 0
            while True:
                await anyio.sleep(0.02)
                left, now_s = len(self._outbox), anyio.current_time()
                since_s = now_s if not left or left < before else since_s
                before, lag_s = left, max(lag_s, now_s - since_s)

        async def ask_now() -> None:
            instants = random.Random(5)
            while anyio.current_time() < began_s + seconds:
                await anyio.sleep(instants.uniform(0.5, 1.5) * NOW_EVERY_S)
                asked_s = time.perf_counter()
                await ask(self._agent, "What do you see right now?")
                now_ms.append((time.perf_counter() - asked_s) * 1000)

        async with anyio.create_task_group() as beside:
            beside.start_soon(watch)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                tasks.start_soon(ask_now)
            await self._outbox.drained()
            beside.cancel_scope.cancel()
        course.sent += sent
        course.took_s += anyio.current_time() - began_s
        course.lag_s = max(course.lag_s, lag_s)


async def measure_beside(memory_dir: Path, day: SeenDay, seconds: float) -> dict[str, Any]:
    """What describing costs those who ask and what comes in: without it and with it in turn, since a machine that
    others use is never the same for long."""
    courses = {"": Course(), "_captioning": Course()}
    figures: dict[str, Any] = {}
    asked = [needle.question for needle in day.needles] * (1 + CANCELLED // len(day.needles))
    for i in range(ROUNDS):
        for describe, named in ((QUIET, ""), (FREE, "_captioning")):
            async with running(memory_dir, describe=describe) as agent:
                harness.progress(f"round {i + 1} of {ROUNDS}: what is to be seen now{named.replace('_', ', ')}")
                agent.server.script = captioner(day, CAPTION_S)
                live = Live(agent, day, 10_000.0 * i + 1000.0 * bool(named))
                for _ in range(WARM_UP):
                    await ask(agent, "What do you see right now?")
                    await anyio.sleep(1.0)  # describing has begun
                await live.go_on(seconds / ROUNDS, courses[named])
                if i < ROUNDS - 1:
                    continue
                agent.server.requests.clear()
                harness.progress(f"interrupting {CANCELLED} turns{named.replace('_', ', ')}")
                cancel = await measure_cancel(
                    agent.reasoning, agent.server, agent.interrupt, asked[:CANCELLED], rest_s=REST_S
                )
                figures |= {f"cancel{named}_{of}_ms": cancel[f"cancel_{of}_ms"] for of in ("p50", "p99")}
                if named:
                    begun = sum(map(is_caption, agent.server.requests))
                    figures |= {"cancelled": cancel["cancelled"], "said_after": cancel["said_after"], "begun": begun}
    return {**courses[""].figures(""), **courses["_captioning"].figures("_captioning"), **figures}


async def measure_forgetting(agent: Agent, memory_dir: Path, needles: Sequence[Needle]) -> dict[str, Any]:
    """Forget some needles, describe once more, and look for what is left of them."""
    windows = tuple(TimeWindow(source=SOURCE, t0_s=n.t0_s, t1_s=n.t1_s) for n in needles)
    await agent.memory.call(ForgetRequest(windows=windows), DESCRIBE_S)
    await describe_all(agent)
    left = await anyio.to_thread.run_sync(count_left, memory_dir, needles)
    return {"forgotten": len(needles), "captions_of_forgotten": left}


def count_left(memory_dir: Path, needles: Sequence[Needle]) -> int:
    """Captions of these needles in any row, and their words in any byte."""
    data = b"".join(path.read_bytes() for path in memory_dir.rglob("*") if path.is_file())
    left = sum(data.count(needle.shown.encode()) for needle in needles)
    with sqlite3.connect(memory_dir / "memory.db") as plain:
        for needle in needles:
            (rows,) = plain.execute(
                "SELECT count(*) FROM observations JOIN sources USING (source) WHERE name=? AND t0_s<=? AND t1_s>=?"
                " AND channel='derived' AND json_extract(data, '$.kind')='caption'",
                (SOURCE, needle.t1_s, needle.t0_s),
            ).fetchone()
            left += rows
    return left


async def measure(memory_dir: Path, day: SeenDay, seconds: float) -> dict[str, Any]:
    """All figures of one run."""
    figures: dict[str, Any] = {}
    async with running(memory_dir, backend="extractive") as agent:
        harness.progress("asking before anything is described")
        figures["found_before"] = round((await find_needles(agent, day))[0], 3)
    figures |= await measure_beside(memory_dir, day, seconds)
    async with running(memory_dir, describe=QUIET) as agent:
        agent.server.script = captioner(day, 0.0)
        reply, took_s = await describe_all(agent)
        figures["described_hz"] = round(reply.captions / took_s, 1)
    async with running(memory_dir, backend="extractive") as agent:
        harness.progress("asking again")
        found, wrong, declined = await find_needles(agent, day)
        status: MemoryStatus = await agent.memory.call(StatusRequest(), DEADLINE_S)
    with sqlite3.connect(memory_dir / "memory.db") as plain:
        kinds = dict(
            plain.execute(
                "SELECT json_extract(data, '$.kind'), count(*) FROM observations WHERE channel='derived' GROUP BY 1"
            )
        )
    async with running(memory_dir, describe=QUIET) as agent:
        agent.server.script = captioner(day, 0.0)
        harness.progress(f"forgetting {FORGOTTEN} needles")
        figures |= await measure_forgetting(agent, memory_dir, day.needles[::5][:FORGOTTEN])
    budget = Config().memory.budget
    return {
        "captions": kinds.get("caption", 0),
        "hours_told": kinds.get("hour", 0),
        "found": round(found, 3),
        "wrong": wrong,
        "absent_declined": round(declined, 3),
        **figures,
        "bytes_mib": round(status.bytes / (1 << 20), 1),
        "budget_mib": budget.hot_mib + budget.events_mib + budget.episodes_mib + budget.words_mib,
        "captions_kib": round(status.channel_bytes.get("derived", 0) / 1024),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, metavar="N", help=f"in memory (default: {HOURS})")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="S", help=f"each beside (default: {SECONDS:g})"
    )
    args = parser.parse_args(argv)
    if args.hours < 1 or args.seconds < 2:
        parser.error("--hours: at least 1; --seconds: at least 2")
    day = SeenDay(args.hours)
    with tempfile.TemporaryDirectory(prefix="mindstream-captions-") as folder:
        memory_dir = Path(folder, "memory")
        for hour, observations in enumerate(day.remember(memory_dir), 1):
            harness.progress(f"hour {hour} of {args.hours}: {observations} observations")
        figures = anyio.run(measure, memory_dir, day, args.seconds, backend_options={"use_uvloop": True})
    harness.report("captions", figures, args, (args.hours, args.seconds) == (HOURS, SECONDS))
    return 1 if figures["captions_of_forgotten"] or figures["said_after"] else 0


if __name__ == "__main__":
    sys.exit(main())
