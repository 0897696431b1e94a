"""Faults of all kinds while memory writes, and whether it is whole and working again after each.

    python -m benchmarks.faults [--faults N] [--agent-faults N] [--seed N] [--json] [--no-history]

First the memory process alone. A perceiving process sends to it without pause and lives on, as in the agent, so that
what was not acknowledged is sent again. At random instants one of these strikes:
    kill          SIGKILL
    stop          SIGSTOP for a while, then SIGKILL: as a machine that is suspended and does not wake
    full          no file may grow any more (RLIMIT_FSIZE), then SIGKILL
    read-only     nothing in the memory folder may be written any more (chattr +i, where that can be done), then SIGKILL
    moved         the memory folder is renamed while it is in use, and later put back
    clock         the wall clock of all is set ahead or back, the perceiving process begins anew, then SIGKILL
    cut           the write-ahead log is cut or removed while it is in use; memory ends by itself, and is repaired where
                  it does not open
    torn          SIGKILL, and the write-ahead log ends in half a page of anything, as a torn write leaves it
    flipped       SIGKILL, and a bit of the file is another; memory is repaired where it does not open
Then a whole agent that perceives the sample recording (`benchmarks/agent_faults.py`): of video, audio, memory,
reasoning and the server one at a time is killed, or stopped and found by the supervisor; or memory's log is cut; or the
wall clock is set, of which nothing may die. Figures:
    faults             how many struck, of both
    lost_acknowledged  observations acknowledged, not there after it, and not told of as lost by `repair`; and what of
                       the sample an agent that is left alone tells of and one that was struck does not
    put_aside          of flipped bits: observations that were told of as damaged or lost
    changed            observations that were there and other than sent
    unrecovered        how often memory did not take in and acknowledge again within a minute
    recovery_p50_s, recovery_p95_s   of memory from the start of the next process to its first acknowledgement, repair
                                     included; of an agent's process from its death to the next one ready
    agent_recovery_s   of each of an agent's processes, median
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import psutil
import zmq.asyncio
from msgspec import Struct, field

from benchmarks import agent_faults, harness
from benchmarks.crash import RATE_HZ, Sender
from benchmarks.memory_process import publisher, run_directory, start_memory, until_ready
from benchmarks.set_clock import set_ahead, settable_clock
from memory.store.database import Store
from memory.store.log import committed_bytes
from memory.upkeep.repair import repair
from runtime.calls import Caller
from runtime.config import Config
from runtime.errors import RestartNeeded, StoreError
from runtime.service import remembered

# A couple of minutes; the whole campaign is of 1,000.
FAULTS, FAULTS_IN_FULL = 60, 1000
FAULTS_A_MEMORY = 25
SOURCE = "camera"
AGENT_FAULTS = 16
KINDS = ("kill", "stop", "full", "read-only", "moved", "clock", "cut", "torn", "flipped")
WRITES_FOR_S = (0.05, 0.5)
STOPPED_S, FULL_S, AWAY_S = 0.2, 0.3, 0.3
SET_BY_S = 400 * 86400.0
SEEN_AFTER_S = 10.0
REMOVED_SHARE = 0.25
GIVEN_UP_AFTER_S = 60.0


class Tally(Struct):
    faults: int = 0
    lost_acknowledged: int = 0
    put_aside: int = 0
    changed: int = 0
    unrecovered: int = 0
    took_s: list[float] = field(default_factory=list)


class Perceiver:
    """A perceiving process that is begun anew, from what memory holds, where it ends by itself or is told to."""

    def __init__(self, run_dir: Path, config: Config) -> None:
        self._run_dir = run_dir
        self._config = config
        self._life = anyio.CancelScope()
        self.sender: Sender

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        first: int | None = 0
        while True:
            try:
                with anyio.CancelScope() as self._life:
                    async with publisher(self._run_dir, self._config) as service:
                        if first is None:
                            watermark_s = (await remembered(service, "video")).get(SOURCE)
                            first = 0 if watermark_s is None else max(0, round(watermark_s * RATE_HZ) + 1)
                        self.sender = Sender(service, SOURCE, first=first)
                        task_status.started()
                        await self.sender.run()
            except* RestartNeeded:
                pass
            first, task_status = None, anyio.TASK_STATUS_IGNORED

    def begin_anew(self) -> None:
        self._life.cancel()

    async def until_taken_in(self, n: int) -> None:
        """Until memory has acknowledged so many observations, and what waits now."""
        n = max(n, len(self.sender.sent_at_s))
        while self.sender.acknowledged < n:
            await anyio.sleep(0.005)


class Campaign:
    """Faults on one memory."""

    def __init__(
        self, memory_dir: Path, clock: Path, kinds: Sequence[str], at_random: random.Random, tally: Tally
    ) -> None:
        self._memory_dir = memory_dir
        self._log = memory_dir / "memory.db-wal"
        self._clock = clock
        self._kinds = kinds
        self._random = at_random
        self._tally = tally
        self._gone: set[int] = set()

    async def run(self, faults: int) -> None:
        config = Config()
        context = zmq.asyncio.Context()
        with run_directory() as run_dir:
            async with anyio.create_task_group() as tasks:
                caller = Caller(context, run_dir, "memory")
                tasks.start_soon(caller.run)
                perceiver = Perceiver(run_dir, config)
                await tasks.start(perceiver.run)
                process = start_memory(run_dir, self._memory_dir, config)
                await until_ready(caller, process)
                for _ in range(faults):
                    await anyio.sleep(self._random.uniform(*WRITES_FOR_S))
                    kind = self._random.choice(self._kinds)
                    acknowledged = await self._strike(kind, process, perceiver)
                    self._tally.faults += 1
                    began_s = time.monotonic()
                    repaired = await anyio.to_thread.run_sync(self._mend, kind)
                    process = start_memory(run_dir, self._memory_dir, config)
                    is_back = False
                    with anyio.move_on_after(GIVEN_UP_AFTER_S), suppress(RuntimeError):
                        await until_ready(caller, process)
                        await perceiver.until_taken_in(acknowledged)
                        is_back = True
                    if not is_back:
                        self._tally.unrecovered += 1
                        told = (run_dir / "memory.stderr").read_text("utf-8").splitlines()
                        harness.progress(f"{kind}: not working again ({process.poll()}): {told[-1:]}")
                        break
                    self._tally.took_s.append(time.monotonic() - began_s)
                    await anyio.to_thread.run_sync(self._examine, kind, acknowledged, repaired)
                process.send_signal(signal.SIGTERM)
                process.wait()
                tasks.cancel_scope.cancel()
        context.destroy(linger=0)

    async def _strike(self, kind: str, process: subprocess.Popen[bytes], perceiver: Perceiver) -> int:
        """Have it happen; how many observations had been acknowledged by the time memory was no more."""
        away = self._memory_dir.with_name("away")
        match kind:
            case "stop":
                process.send_signal(signal.SIGSTOP)
                await anyio.sleep(STOPPED_S)
            case "full":
                psutil.Process(process.pid).rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
                await anyio.sleep(FULL_S)
            case "read-only":
                set_read_only(self._memory_dir, True)
                await anyio.sleep(FULL_S)
            case "moved":
                self._memory_dir.rename(away)
                await anyio.sleep(AWAY_S)
            case "clock":
                await self._set_clock(process, perceiver)
            case "cut":
                await self._cut(process)
        acknowledged = perceiver.sender.acknowledged
        process.kill()
        process.wait()
        if kind == "moved":
            away.rename(self._memory_dir)
        elif kind == "read-only":
            set_read_only(self._memory_dir, False)
        return acknowledged

    async def _set_clock(self, process: subprocess.Popen[bytes], perceiver: Perceiver) -> None:
        set_ahead(self._clock, self._random.uniform(-SET_BY_S, SET_BY_S))
        perceiver.begin_anew()
        with anyio.move_on_after(GIVEN_UP_AFTER_S) as waiting:
            await perceiver.until_taken_in(0)
        if waiting.cancelled_caught or process.poll() is not None:
            self._tally.unrecovered += 1
            harness.progress(f"clock: it does not go on ({process.poll()})")

    async def _cut(self, process: subprocess.Popen[bytes]) -> None:
        """Cut or remove the log once there is something in it, and wait until memory ends of it. Where it does not, it
        was beginning the log anew just then, and nothing is lost; that is looked at as after every fault."""
        while not (size := committed_bytes(self._log)):
            await anyio.sleep(0.001)
        if self._random.random() < REMOVED_SHARE:
            self._log.unlink()
        else:
            os.truncate(self._log, self._random.randrange(size))
        with anyio.move_on_after(SEEN_AFTER_S):
            while process.poll() is None:
                await anyio.sleep(0.01)

    def _mend(self, kind: str) -> bool:
        """What a fault does to the files, and the repair that a user makes; whether something was told as lost."""
        path = self._memory_dir / "memory.db"
        if kind == "torn" and self._log.exists():
            with self._log.open("ab") as file:
                file.write(self._random.randbytes(self._random.randrange(1, 4096)))
        if kind == "cut":  # in the middle of copying it into the file it was needed for that
            try:
                Store(self._memory_dir).close()
            except StoreError:
                return repair(self._memory_dir, time.time()).was_needed
        if kind != "flipped":
            return False
        with closing(sqlite3.connect(path)) as plain:  # so that the bit is one of the file's and not of the log's
            plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            at = self._random.randrange(100, path.stat().st_size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << self._random.randrange(8))]))
        return repair(self._memory_dir, time.time()).was_needed

    def _examine(self, kind: str, acknowledged: int, repaired: bool) -> None:
        with closing(sqlite3.connect(f"{(self._memory_dir / 'memory.db').as_uri()}?mode=ro", uri=True)) as reader:
            rows = reader.execute("SELECT t0_s, text FROM observations WHERE channel!='gap'").fetchall()
        # The n-th observation is the (n - 1)/100 s's, and says so.
        found = {round(t0_s * 100) + 1: text for t0_s, text in rows}
        self._tally.changed += sum(not text.endswith(f" {n}") for n, text in found.items())
        # What was durable, but not acknowledged yet, when a repair put it aside, is acknowledged by the next process.
        missing = set(range(1, (max(found, default=0) if repaired else acknowledged) + 1)) - found.keys() - self._gone
        if repaired:
            self._tally.put_aside += len(missing)
        else:
            self._tally.lost_acknowledged += len(missing)
            if missing:
                harness.progress(f"{kind}: {len(missing)} acknowledged are not there")
        self._gone |= missing


def set_read_only(folder: Path, value: bool) -> None:
    """Have nothing in a folder written any more, not by who has its files open already, either; or again.

    Raises:
        OSError, subprocess.CalledProcessError: that cannot be done here.
    """
    sign = "+i" if value else "-i"
    subprocess.run(["chattr", "-R", sign, str(folder)], check=True, capture_output=True)


def possible_kinds(folder: Path) -> Sequence[str]:
    """All kinds, but for what cannot be done here."""
    try:
        set_read_only(folder, True)
        set_read_only(folder, False)
    except (OSError, subprocess.CalledProcessError):
        harness.progress("read-only: chattr +i cannot be used here (it takes root, and a file system that has it)")
        return [kind for kind in KINDS if kind != "read-only"]
    return KINDS


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--faults", type=int, default=FAULTS, metavar="N", help=f"how many (default: {FAULTS})")
    parser.add_argument(
        "--agent-faults", type=int, default=AGENT_FAULTS, metavar="N", help=f"of an agent (default: {AGENT_FAULTS})"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: 1)")
    args = parser.parse_args(argv)
    tally, at_random = Tally(), random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="mindstream-faults-") as name, settable_clock(Path(name)) as clock:
        folder = Path(name)
        kinds = possible_kinds(folder)
        while tally.faults < args.faults and not tally.unrecovered:
            memory_dir = folder / f"memory-{tally.faults}"
            campaign = Campaign(memory_dir, clock, kinds, at_random, tally)
            anyio.run(
                campaign.run, min(FAULTS_A_MEMORY, args.faults - tally.faults), backend_options={"use_uvloop": True}
            )
            try:
                Store(memory_dir).close()
            except StoreError as error:
                harness.progress(f"does not open: {error}")
                tally.unrecovered += 1
            shutil.rmtree(memory_dir)
            harness.progress(f"{tally.faults} of {args.faults} faults, {tally.lost_acknowledged} lost")
        agent = agent_faults.campaign(folder / "agents", clock, args.agent_faults, at_random)
    tally.lost_acknowledged += agent.lost
    tally.unrecovered += agent.unrecovered
    took_s = [*tally.took_s, *(s for times in agent.took_s.values() for s in times)] or [0.0]
    figures = {
        "faults": tally.faults + agent.faults, "lost_acknowledged": tally.lost_acknowledged,
        "put_aside": tally.put_aside, "changed": tally.changed, "unrecovered": tally.unrecovered,
        "recovery_p50_s": round(statistics.median(took_s), 2),
        "recovery_p95_s": round(statistics.quantiles(took_s, n=20)[18] if len(took_s) > 1 else took_s[0], 2),
        "agent_recovery_s": {name: round(statistics.median(times), 2) for name, times in sorted(agent.took_s.items())},
    }  # fmt: skip
    harness.report("faults", figures, args, args.faults >= FAULTS_IN_FULL)
    return 1 if tally.lost_acknowledged or tally.unrecovered or tally.changed else 0


if __name__ == "__main__":
    sys.exit(main())
