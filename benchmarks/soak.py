"""Twenty-four simulated hours of a memory at its budget: what it holds of the machine must not grow.

    python -m benchmarks.soak [--hours N] [--json] [--no-history]

A stream of one observation a second of media time goes through the real memory process as fast as it takes it, under a
budget that is full after the first quarter. Questions are asked, stretches are forgotten and copies are made meanwhile.
After the first quarter the process is ended and another goes on; of that one, resident memory, open descriptors and
threads are compared between the end of the second quarter and that of the last. Figures:
    hours                of media time
    observations         sent, and all acknowledged
    rss_growth_mb        of resident memory
    fd_growth, thread_growth   of open descriptors and of threads
    files                in the memory folder at the end, that of the process and its log included
    size_over_budget     looks at which the files were larger than the budget for a second, longer than a commit takes
    leftover_processes   of those started, alive after they were told to end
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
import psutil
from msgspec import Struct, field, structs

from benchmarks import harness
from benchmarks.crash import Sender
from benchmarks.memory_process import publisher, run_directory, start_memory, until_ready
from memory.store.levels import budget_of
from runtime.calls import Caller
from runtime.config import BudgetConfig, Config, MemoryConfig
from runtime.messages import (
    BackupRequest,
    ForgetRequest,
    RecallRequest,
    ScanRequest,
    StatusRequest,
    TimeWindow,
    ViewRequest,
)

# A couple of minutes; the whole campaign is of a day.
HOURS, HOURS_IN_FULL = 6, 24
RATE_HZ = 1.0
QUARTERS = 4
# A process ends after these; what it holds is looked at after those.
ENDS_AFTER, LOOKED_AT_AFTER = (1, 4), (2, 4)
MIB_A_LEVEL = 2.0
CALL_S = 60.0
LOOKS = 20


class Held(Struct):
    """What a process holds of the machine."""

    rss_mb: float = 0.0
    descriptors: int = 0
    threads: int = 0


class Tally(Struct):
    observations: int = 0
    size_over_budget: int = 0
    leftover_processes: int = 0
    held: list[Held] = field(default_factory=list)


async def use(caller: Caller, scratch: Path, turn: int) -> None:
    """What users do beside: ask, look, forget, copy."""
    view = await caller.call(ViewRequest(), CALL_S)
    await caller.call(RecallRequest(query="where was the bottle or the ladder?", view=view), CALL_S)
    await caller.call(ScanRequest(view=view, newest_first=True, limit=200, with_payload=True), CALL_S)
    if turn % 5 == 4 and "camera" in view.limits:
        until_s = view.limits["camera"]
        window = TimeWindow(source="camera", t0_s=max(0.0, until_s - 60.0), t1_s=until_s)
        await caller.call(ForgetRequest(windows=(window,)), CALL_S)
        await caller.call(BackupRequest(path=str(scratch / "copy.db")), CALL_S)
        (scratch / "copy.db").unlink()


async def is_larger_than(caller: Caller, most_bytes: int) -> bool:
    """Whether the files are, also after the commit that is under way."""
    for _ in range(LOOKS):
        if (await caller.call(StatusRequest(), CALL_S)).bytes <= most_bytes:
            return False
        await anyio.sleep(1.0 / LOOKS)
    return True


async def soak(folder: Path, hours: float, tally: Tally) -> None:
    config = Config(
        memory=MemoryConfig(
            budget=BudgetConfig(
                hot_mib=MIB_A_LEVEL, events_mib=MIB_A_LEVEL, episodes_mib=MIB_A_LEVEL, words_mib=MIB_A_LEVEL
            )
        )
    )
    most = budget_of(config.memory).total
    each = int(hours * 3600 * RATE_HZ) // QUARTERS
    with run_directory() as run_dir:
        async with publisher(run_dir, config) as service, anyio.create_task_group() as tasks:
            caller = service.caller("memory")
            sender = Sender(service, "camera", RATE_HZ)
            sending = anyio.CancelScope()

            async def send() -> None:
                with sending:
                    await sender.run()

            tasks.start_soon(send)
            quarter = turn = 0
            for end in ENDS_AFTER:
                process = start_memory(run_dir, folder / "memory", config)
                await until_ready(caller, process)
                while quarter < end:
                    quarter += 1
                    while sender.acknowledged < quarter * each:
                        await use(caller, folder, turn)
                        tally.size_over_budget += await is_larger_than(caller, most)
                        turn += 1
                    here = psutil.Process(process.pid)
                    held = Held(here.memory_info().rss / 1e6, here.num_fds(), here.num_threads())
                    harness.progress(f"{sender.acknowledged / 3600 / RATE_HZ:.1f} h: {structs.asdict(held)}")
                    if quarter in LOOKED_AT_AFTER:
                        tally.held.append(held)
                process.send_signal(signal.SIGTERM)
                with anyio.move_on_after(CALL_S):
                    while process.poll() is None:
                        await anyio.sleep(0.05)
                tally.leftover_processes += process.poll() is None
            tally.observations = sender.acknowledged
            sending.cancel()


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--hours", type=float, default=HOURS, metavar="N", help=f"how many (default: {HOURS})")
    args = parser.parse_args(argv)
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="mindstream-soak-") as name:
        folder = Path(name)
        (folder / "memory").mkdir()
        anyio.run(soak, folder, args.hours, tally, backend_options={"use_uvloop": True})
        files = sum(1 for path in folder.rglob("*") if path.is_file())
    first, last = tally.held
    figures = {
        "hours": args.hours, "observations": tally.observations,
        "rss_growth_mb": round(last.rss_mb - first.rss_mb, 1), "fd_growth": last.descriptors - first.descriptors,
        "thread_growth": last.threads - first.threads, "files": files, "size_over_budget": tally.size_over_budget,
        "leftover_processes": tally.leftover_processes,
    }  # fmt: skip
    harness.report("soak", figures, args, args.hours >= HOURS_IN_FULL)
    return 1 if tally.leftover_processes or figures["rss_growth_mb"] > 10 or figures["fd_growth"] > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
