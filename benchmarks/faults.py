"""Faults of all kinds while memory writes, and whether it is whole and working again after each.

    python -m benchmarks.faults [--faults N] [--agent-faults N] [--seed N] [--json] [--no-history]

First the memory process alone. A perceiving process sends to it without pause and lives on, as in the agent, so that
what was not acknowledged is sent again. At random instants one of these strikes:
    kill          SIGKILL
    stop          SIGSTOP for a while, then SIGKILL: as a machine that is suspended and does not wake
    full          no file may grow any more (RLIMIT_FSIZE), then SIGKILL
    moved         the memory folder is renamed while it is in use, and later put back
    torn          SIGKILL, and the write-ahead log ends in half a page of anything, as a torn write leaves it
    flipped       SIGKILL, and a bit of the file is another; memory is repaired where it does not open
Then a whole agent that perceives the sample recording (`benchmarks/agent_faults.py`): of video, audio, memory,
reasoning and the server one at a time is killed, or stopped and found by the supervisor. Figures:
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

import random
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
from msgspec import Struct, field

from benchmarks import agent_faults, harness
from benchmarks.crash import Sender
from benchmarks.memory_process import publisher, run_directory, start_memory, until_ready
from memory.store.database import Store
from memory.upkeep.repair import repair
from runtime.config import Config
from runtime.errors import StoreError

# A couple of minutes; the whole campaign is of 1,000.
FAULTS, FAULTS_IN_FULL = 60, 1000
FAULTS_A_MEMORY = 25
AGENT_FAULTS = 16
KINDS = ("kill", "stop", "full", "moved", "torn", "flipped")
WRITES_FOR_S = (0.05, 0.5)
STOPPED_S, FULL_S, AWAY_S = 0.2, 0.3, 0.3
GIVEN_UP_AFTER_S = 60.0


class Tally(Struct):
    faults: int = 0
    lost_acknowledged: int = 0
    put_aside: int = 0
    changed: int = 0
    unrecovered: int = 0
    took_s: list[float] = field(default_factory=list)


class Campaign:
    """Faults on one memory."""

    def __init__(self, memory_dir: Path, at_random: random.Random, tally: Tally) -> None:
        self._memory_dir = memory_dir
        self._random = at_random
        self._tally = tally
        self._gone: set[int] = set()

    async def run(self, faults: int) -> None:
        config = Config()
        with run_directory() as run_dir:
            async with publisher(run_dir, config) as service, anyio.create_task_group() as tasks:
                caller = service.caller("memory")
                sender = Sender(service, "camera")
                tasks.start_soon(sender.run)
                process = start_memory(run_dir, self._memory_dir, config)
                await until_ready(caller, process)
                for _ in range(faults):
                    await anyio.sleep(self._random.uniform(*WRITES_FOR_S))
                    kind = self._random.choice(KINDS)
                    acknowledged = await self._strike(kind, process, sender)
                    self._tally.faults += 1
                    began_s = time.monotonic()
                    repaired = await anyio.to_thread.run_sync(self._mend, kind)
                    process = start_memory(run_dir, self._memory_dir, config)
                    with anyio.move_on_after(GIVEN_UP_AFTER_S) as waiting:
                        await until_ready(caller, process)
                        await sender.until_taken_in()
                    if waiting.cancelled_caught:
                        self._tally.unrecovered += 1
                        harness.progress(f"{kind}: not working again")
                        break
                    self._tally.took_s.append(time.monotonic() - began_s)
                    await anyio.to_thread.run_sync(self._examine, kind, acknowledged, repaired)
                process.send_signal(signal.SIGTERM)
                process.wait()
                tasks.cancel_scope.cancel()

    async def _strike(self, kind: str, process: subprocess.Popen[bytes], sender: Sender) -> int:
        """Have it happen; how many observations had been acknowledged by then."""
        if kind == "stop":
            process.send_signal(signal.SIGSTOP)
            await anyio.sleep(STOPPED_S)
        elif kind == "full":
            psutil.Process(process.pid).rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            await anyio.sleep(FULL_S)
        elif kind == "moved":
            away = self._memory_dir.with_name("away")
            self._memory_dir.rename(away)
            await anyio.sleep(AWAY_S)
            acknowledged = sender.acknowledged
            process.kill()
            process.wait()
            away.rename(self._memory_dir)
            return acknowledged
        acknowledged = sender.acknowledged
        process.kill()
        process.wait()
        return acknowledged

    def _mend(self, kind: str) -> bool:
        """What a fault does to the files, and the repair that a user makes; whether something was told as lost."""
        path = self._memory_dir / "memory.db"
        log = path.with_name("memory.db-wal")
        if kind == "torn" and log.exists():
            with log.open("ab") as file:
                file.write(self._random.randbytes(self._random.randrange(1, 4096)))
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


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--faults", type=int, default=FAULTS, metavar="N", help=f"how many (default: {FAULTS})")
    parser.add_argument(
        "--agent-faults", type=int, default=AGENT_FAULTS, metavar="N", help=f"of an agent (default: {AGENT_FAULTS})"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: 1)")
    args = parser.parse_args(argv)
    tally, at_random = Tally(), random.Random(args.seed)
    while tally.faults < args.faults and not tally.unrecovered:
        with tempfile.TemporaryDirectory(prefix="mindstream-faults-") as folder:
            campaign = Campaign(Path(folder, "memory"), at_random, tally)
            anyio.run(
                campaign.run, min(FAULTS_A_MEMORY, args.faults - tally.faults), backend_options={"use_uvloop": True}
            )
            try:
                Store(Path(folder, "memory")).close()
            except StoreError as error:
                harness.progress(f"does not open: {error}")
                tally.unrecovered += 1
        harness.progress(f"{tally.faults} of {args.faults} faults, {tally.lost_acknowledged} lost")
    with tempfile.TemporaryDirectory(prefix="mindstream-faults-") as folder:
        agent = agent_faults.campaign(Path(folder), args.agent_faults, at_random)
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
