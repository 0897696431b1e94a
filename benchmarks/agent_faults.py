"""Faults of every process of a whole agent while it perceives a recording; its memory afterwards against that of an
agent that was left alone. Part of `benchmarks.faults`.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import anyio
from msgspec import Struct, field

from benchmarks import harness
from benchmarks.set_clock import set_ahead
from memory.store.log import committed_bytes
from memory.upkeep.repair import repair
from runtime.agent import Agent, open_agent
from runtime.config import Config, ReasoningConfig, ServeConfig, SupervisorConfig
from runtime.errors import StoreError, root_cause
from runtime.interfaces.attach import client_of
from runtime.interfaces.commands.recordings import find_recordings
from runtime.messages import AskRequest
from runtime.plan import PerceiveFiles
from runtime.processes import FILE_PERCEIVERS
from runtime.replay import plan_sources

RECORDING = harness.PROJECT / "examples" / "sample.mp4"
MEMBERS = ("video", "audio", "memory", "reasoning", "server")
KINDS = ("kill", "kill", "stop", "stop", "cut", "clock")
SET_BY_S = 400 * 86400.0
FAULTS_A_REPLAY = 8
APART_S = (0.3, 1.5)
GIVEN_UP_AFTER_S = 60.0
# So near to its time something counts as told of it: an utterance that was cut in two, a look at another frame.
NEAR_S = 0.5
# A process that was stopped is found after the liveness deadline; the restart budget is not what is tried here.
CONFIG = Config(
    reasoning=ReasoningConfig(backend="extractive"),
    supervisor=SupervisorConfig(liveness_deadline_s=2.0, restart_budget=1000),
)


class AgentTally(Struct):
    """``lost``: observations of which nothing is told at their time; ``otherwise``: told in other words or with other
    bounds, as hearing and seeing begin anew in the middle. ``took_s``: by member, from its death to the next one ready.
    """

    faults: int = 0
    lost: int = 0
    otherwise: int = 0
    unrecovered: int = 0
    took_s: dict[str, list[float]] = field(default_factory=dict)


async def perceive(memory_dir: Path, strikes: Strikes | None, faults: int, tally: AgentTally) -> None:
    """Have an agent perceive the recording to its end, struck ``faults`` times where ``strikes`` is given."""
    async with open_agent(memory_dir, CONFIG, serves=True) as agent, client_of(agent) as client:
        await agent.until_ready()
        await agent.serve(ServeConfig(port=0))
        plans = plan_sources(find_recordings([str(RECORDING)]), ())
        work = PerceiveFiles(sources=tuple(plan.as_work() for plan in plans))
        async with anyio.create_task_group() as tasks:
            if strikes is not None:
                tasks.start_soon(_strike, agent, strikes, faults, tally)
            with anyio.fail_after(harness.DEADLINE_S):
                await agent.perceive({member.name: work for member in FILE_PERCEIVERS})
                await client.watermarks.wait_for_end(plan.source for plan in plans)
            tasks.cancel_scope.cancel()
        answer = await client.answer(AskRequest(question="When does the bakery open?"))
        if "8 am to 6 pm" not in answer.answer:
            tally.unrecovered += 1
            harness.progress(f"it answers {answer.answer[:80]!r}")


class Strikes(NamedTuple):
    """What is random of a campaign, and the file that sets its wall clock."""

    at_random: random.Random
    clock: Path

    def strike(self, agent: Agent, ready: list[str]) -> str | None:
        """Have something happen; the member that has to come back of it, "" where none has to die, None where nothing
        could be done."""
        kind, name = self.at_random.choice(KINDS), self.at_random.choice(ready)
        if kind == "clock":
            set_ahead(self.clock, self.at_random.uniform(-SET_BY_S, SET_BY_S))
            return ""
        if kind == "cut":
            log = agent.memory_dir / "memory.db-wal"
            if "memory" not in ready or not (size := committed_bytes(log)):
                return None
            os.truncate(log, self.at_random.randrange(size))
            return "memory"
        pid = agent.supervisor.pid(name)
        if pid is None or agent.supervisor.heartbeats[name].pid != pid:
            return None
        os.kill(pid, signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
        return name


async def _strike(agent: Agent, strikes: Strikes, faults: int, tally: AgentTally) -> None:
    for _ in range(faults):
        await anyio.sleep(strikes.at_random.uniform(*APART_S))
        beats = agent.supervisor.heartbeats
        ready = [name for name in MEMBERS if agent.supervisor.is_alive(name) and name in beats and beats[name].ready]
        if not ready:
            return
        pids = {name: agent.supervisor.pid(name) for name in ready}
        name = strikes.strike(agent, ready)
        if name is None:
            continue
        tally.faults += 1
        if not name:
            continue
        with anyio.move_on_after(GIVEN_UP_AFTER_S) as waiting:
            while agent.supervisor.pid(name) == pids[name] and agent.supervisor.is_alive(name):
                await anyio.sleep(0.01)
            died_s = time.monotonic()
            while not (beats[name].pid != pids[name] and beats[name].ready):
                await anyio.sleep(0.01)
            tally.took_s.setdefault(name, []).append(time.monotonic() - died_s)
        if waiting.cancelled_caught:
            tally.unrecovered += 1
            harness.progress(f"{name}: not ready again")


class Row(NamedTuple):
    channel: str
    t0_s: float
    t1_s: float
    told: tuple[str, ...]


def rows_of(memory_dir: Path) -> dict[str, Row]:
    """What was perceived, by id."""
    with closing(sqlite3.connect(f"{(memory_dir / 'memory.db').as_uri()}?mode=ro", uri=True)) as reader:
        rows = reader.execute(
            "SELECT id, channel, t0_s, t1_s, text, data, evidence FROM observations"
            " WHERE channel NOT IN ('question', 'answer')"
        ).fetchall()
    return {id_: Row(channel, t0_s, t1_s, tuple(told)) for id_, channel, t0_s, t1_s, *told in rows}


def is_told(row: Row, found: Iterable[Row]) -> bool:
    """Whether anything of its channel, or a gap, is told of its time."""
    near = (row.t0_s - NEAR_S, row.t1_s + NEAR_S)
    return any(f.channel in (row.channel, "gap") and f.t0_s <= near[1] and f.t1_s >= near[0] for f in found)


def campaign(folder: Path, clock: Path, faults: int, at_random: random.Random) -> AgentTally:
    """Replays, each struck a few times, until so many faults have struck."""
    tally, strikes = AgentTally(), Strikes(at_random, clock)
    set_ahead(clock, 0.0)
    anyio.run(perceive, folder / "quiet", None, 0, tally)
    expected = rows_of(folder / "quiet")
    replays = 0
    while tally.faults < faults:
        memory_dir = folder / f"struck-{replays}"
        replays += 1
        try:
            anyio.run(perceive, memory_dir, strikes, min(FAULTS_A_REPLAY, faults - tally.faults), tally)
        except Exception as error:
            if not isinstance(root_cause(error), StoreError):
                raise
            harness.progress(f"repaired: {root_cause(error)}")  # a log that was cut while it was copied into the file
            repair(memory_dir, time.time())
            anyio.run(perceive, memory_dir, None, 0, tally)
        found = rows_of(memory_dir)
        lost = [id_ for id_, row in expected.items() if id_ not in found and not is_told(row, found.values())]
        tally.lost += len(lost)
        tally.otherwise += sum(found.get(id_) != row for id_, row in expected.items())
        harness.progress(f"{tally.faults} of {faults} faults of an agent, {tally.lost} lost {lost[:3]}")
    return tally
