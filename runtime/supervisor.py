"""The supervisor: starts processes, watches them, restarts them, and stops them all in order.

It lives inside `run_agent.py`. A process is judged by what it says of itself: ready before its start
deadline, or getting on with what it has to do before it is; its event loop heard from before its liveness
deadline; progress of its work before its data deadline. One that fails a deadline leaves the stacks of its
threads in ``RUN_DIR/NAME.stacks`` before it is killed. Whatever died is started again, with back-off where it
was not ready before, at most ``restart_budget`` times in a row: a process that has been ready for
``stable_after_s`` has it all again.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import anyio
import anyio.abc
import msgspec
import zmq.asyncio
from msgspec import Struct
from msgspec.structs import replace

from runtime import program
from runtime.bus import Member, Subscription
from runtime.calls import ControlSender
from runtime.config import Config
from runtime.encryption import held
from runtime.errors import ConfigError, ProcessFailed, RestartNeeded, UserError
from runtime.logs import open_log
from runtime.messages import TRACKS, Heartbeat, Stop
from runtime.plan import OnFolder, Plan, Work, plan_path
from runtime.processes import PROCESSES, ProcessRow
from runtime.service import USER_ERROR_MARK

CHECK_S = 0.05
BACKOFF_S = 0.1
BACKOFF_MAX_S = 5.0
STACK_DUMP_S = 0.3
# What glibc keeps of freed memory lies in holes between pages of SQLite's caches: of memory after eight hours of media
# 50 MB beside the 28 that it holds, and with these 10. What perceives would pay with page faults for every picture.
_MALLOC = {
    "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": f"{128 << 10}", "MALLOC_MMAP_THRESHOLD_": f"{64 << 10}",
}  # fmt: skip


EventKind = Literal["working", "ready", "died", "restarted", "lost"]


class ProcessEvent(Struct, frozen=True):
    """Something that happened to a process, for whoever shows it to the user. "working": what takes its start long."""

    kind: EventKind
    process: str
    role: str
    text: str


def environment_of(plan: Plan) -> dict[str, str]:
    """The environment a process runs in."""
    threads = str(plan.config.perception.threads if plan.role in TRACKS else 1)
    # Model libraries take every core each unless told otherwise; the cores are shared by all processes.
    pools = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": threads}
    of_role = _MALLOC if plan.role in ("memory", "talk") else {}
    return {**of_role, **program.environment(), **pools, "PYTHONUNBUFFERED": "1"}


class _Child:
    """One supervised process: its plan, its operating-system process and what was last heard of it."""

    def __init__(self, row: ProcessRow, plan: Plan) -> None:
        self.row = row
        self.plan = plan
        self.process: subprocess.Popen[bytes] | None = None
        self.ended_with: int | None = None
        self.heard: Heartbeat | None = None
        self.heard_at_s = 0.0
        self.started_at_s = 0.0
        self.ready_at_s: float | None = None
        self.restarts = 0
        self.is_ready = anyio.Event()
        self.is_over = anyio.Event()
        self.stopping = False
        self.failure: BaseException | None = None
        self.why = ""


class Supervisor:
    """Owns the processes of one agent. ``run()`` runs in the owner's task group; on its end none is left."""

    def __init__(
        self,
        run_dir: Path,
        config: Config,
        members: tuple[Member, ...],
        context: zmq.asyncio.Context,
        on_event: Callable[[ProcessEvent], None] = lambda event: None,
    ) -> None:
        self.run_dir = run_dir
        self.heartbeats: dict[str, Heartbeat] = {}
        self._config = config
        self._limits = config.supervisor
        self.members = members
        self._context = context
        self._on_event = on_event
        self._children: dict[str, _Child] = {}
        self._log = open_log("supervisor", run_dir, config.log.level)
        self._tasks: anyio.abc.TaskGroup

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled, then stop every process in order.

        Raises:
            ProcessFailed: a required process is out of its restart budget.
            UserError: a process says that something the user must mend is wrong.
        """
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._listen)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self._stop_all()

    async def start(self, name: str, role: str, work: Work) -> None:
        """Start a process and wait until it is ready.

        Raises:
            ProcessFailed, UserError: it cannot be started.
        """
        row = PROCESSES[role]
        plan = Plan(name, role, row.main, work, self._shared(role), self.members)
        child = self._children[name] = _Child(row, plan)
        self._spawn(child)
        self._tasks.start_soon(self._watch, child)
        await child.is_ready.wait()
        if child.failure is not None:
            raise child.failure

    def is_alive(self, name: str) -> bool:
        child = self._children.get(name)
        return child is not None and child.process is not None and child.process.poll() is None

    async def until_over(self, name: str) -> None:
        """Wait until a process has done all it was started for, or was given up."""
        await self._children[name].is_over.wait()

    def pid(self, name: str) -> int | None:
        child = self._children.get(name)
        return child.process.pid if child is not None and child.process is not None else None

    def _shared(self, role: str) -> Config:
        """The profile with the threads that a member of this role has: several cameras divide what one would have."""
        perception = self._config.perception
        members = sum(member.role == role for member in self.members) if role in TRACKS else 1
        threads = max(1, perception.threads // max(1, members))
        return replace(self._config, perception=replace(perception, threads=threads))

    # --- one process -------------------------------------------------------------------------------

    def _spawn(self, child: _Child) -> None:
        path = plan_path(self.run_dir, child.plan.name)
        path.write_bytes(msgspec.json.encode(child.plan))
        with open(self.run_dir / f"{child.plan.name}.stderr", "ab") as stderr:
            child.process = subprocess.Popen(
                program.command("runtime.service", str(self.run_dir), child.plan.name),
                stdin=subprocess.PIPE,  # the lifeline: a key at most is written to it, it is broken by our end
                stdout=stderr,
                stderr=stderr,
                cwd=program.ROOT,
                env=environment_of(child.plan),
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
            )
        self._hand_over_key(child)
        (self.run_dir / f"{child.plan.name}.pid").write_text(str(child.process.pid), encoding="ascii")
        child.heard = child.ready_at_s = child.ended_with = None
        child.started_at_s = child.heard_at_s = time.monotonic()
        self._log.info("started %s", child.plan.name, extra={"pid": child.process.pid})

    @staticmethod
    def _hand_over_key(child: _Child) -> None:
        """The key of an encrypted memory, to the process that opens it: over a pipe, which nobody else reads."""
        work, process = child.plan.work, child.process
        if isinstance(work, OnFolder) and work.locked and (key := held(Path(work.path))) is not None:
            assert process is not None
            assert process.stdin is not None
            with suppress(OSError):  # it died at once; that is seen
                process.stdin.write(key.send())
                process.stdin.flush()

    async def _watch(self, child: _Child) -> None:
        """Keep one process alive, or give it up."""
        name, row = child.plan.name, child.row
        while True:
            why = await self._until_down(child)
            if child.stopping:
                return
            assert child.process is not None
            child.ended_with = child.process.returncode
            if not why:
                if child.ended_with == 0:
                    self._log.info("%s is done", name)
                    child.is_ready.set()
                    child.is_over.set()
                    return
                why = self._account(child)
                if child.failure is not None:
                    child.is_ready.set()
                    if row.required or isinstance(child.failure, ConfigError):
                        raise child.failure
                    self._give_up(child, str(child.failure))
                    return
            if child.ready_at_s is not None and time.monotonic() - child.ready_at_s >= self._limits.stable_after_s:
                child.restarts = 0
            if child.restarts >= self._limits.restart_budget:
                child.failure = ProcessFailed(
                    f"process {name!r} failed {child.restarts + 1} times in a row: {why}; its logs are kept in the"
                    " memory folder's logs/"
                )
                child.is_ready.set()
                if row.required:
                    raise child.failure
                self._give_up(child, why)
                return
            self._log.warning("%s died: %s", name, why)
            self._emit("died", child, f"{name} died ({why}); starting it again")
            # One that was ready can be, and somebody waits for it.
            doubled = 0 if child.ready_at_s is not None else child.restarts
            await anyio.sleep(min(BACKOFF_S * 2**doubled, BACKOFF_MAX_S))
            child.restarts += 1
            if row.role == "memory" and child.ended_with == RestartNeeded.exit_code:
                self._perceive_again()
            self._spawn(child)

    def _perceive_again(self) -> None:
        """Start those again that have perceived all there is: memory may have lost some of it, which it tells them."""
        for child in self._children.values():
            if child.row.role in TRACKS and child.ended_with == 0:
                self._spawn(child)
                self._tasks.start_soon(self._watch, child)

    def _account(self, child: _Child) -> str:
        """Why a process ended by itself; sets ``failure`` if a restart cannot mend it."""
        assert child.process is not None
        code = child.process.returncode
        stderr = (self.run_dir / f"{child.plan.name}.stderr").read_text("utf-8", "replace").strip().splitlines()
        last = stderr[-1] if stderr else ""
        if code == UserError.exit_code and last.startswith(USER_ERROR_MARK):
            kind, _, text = last.removeprefix(USER_ERROR_MARK).partition(": ")
            # A wrong profile is the user's to mend whichever process notices; a missing device costs only that device.
            child.failure = ConfigError(text) if kind == ConfigError.__name__ else UserError(text)
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}" + (f", {last}" if last else "")

    async def _until_down(self, child: _Child) -> str:
        """Wait for the process to end (""), or for a deadline it misses, kill it and say which."""
        limits, announced, working = self._limits, False, ""
        while True:
            await anyio.sleep(CHECK_S)
            assert child.process is not None
            if child.process.poll() is not None:
                return ""
            if child.stopping:
                continue
            heard, now_s = child.heard, time.monotonic()
            if heard is not None and heard.ready and not announced:
                announced = True
                child.ready_at_s = now_s
                child.is_ready.set()
                self._emit("restarted" if child.restarts else "ready", child, f"{child.plan.name} is ready")
            if not announced:
                quiet_s = now_s - child.started_at_s
                if heard is not None and not heard.idle:  # at work before it is ready: only a standstill counts
                    quiet_s = heard.quiet_s + now_s - child.heard_at_s
                    if heard.notes and heard.notes[-1] != working:
                        working = heard.notes[-1]
                        self._emit("working", child, f"{child.plan.name}: {working}")
                if quiet_s > limits.start_deadline_s:
                    return await self._kill(child, f"not ready after {limits.start_deadline_s:g} s")
            if announced and now_s - child.heard_at_s > limits.liveness_deadline_s:
                return await self._kill(child, f"not heard from for {limits.liveness_deadline_s:g} s")
            if announced and heard is not None and heard.quiet_s > limits.data_deadline_s:
                return await self._kill(child, f"no progress for {limits.data_deadline_s:g} s")

    async def _kill(self, child: _Child, why: str) -> str:
        assert child.process is not None
        with suppress(ProcessLookupError):
            child.process.send_signal(signal.SIGUSR1)  # the stacks say what it was stuck in
            await anyio.sleep(STACK_DUMP_S)
            child.process.kill()
        await self._wait(child.process, self._limits.stop_deadline_s)
        return why

    def _give_up(self, child: _Child, why: str) -> None:
        self._log.error("%s given up: %s", child.plan.name, why)
        child.is_over.set()
        self._emit("lost", child, f"{child.plan.name} is gone ({why}): {child.row.loss(child.plan.name)}")

    def _emit(self, kind: EventKind, child: _Child, text: str) -> None:
        self._on_event(ProcessEvent(kind, child.plan.name, child.plan.role, text))

    async def _listen(self) -> None:
        subscription = Subscription(self._context, self.run_dir, self.members, ("heartbeat",))
        self._tasks.start_soon(subscription.pump)
        async for delivery in subscription:
            beat = delivery.message
            child = self._children.get(delivery.publisher)
            if child is None or child.process is None or not isinstance(beat, Heartbeat):
                continue
            if beat.pid == child.process.pid:  # not the last words of the one before it
                child.heard, child.heard_at_s = beat, time.monotonic()
                self.heartbeats[delivery.publisher] = beat

    # --- all of them -------------------------------------------------------------------------------

    async def _stop_all(self) -> None:
        """Stop in the reverse order of the table, each within the stop deadline."""
        order = list(PROCESSES)
        for role in reversed(order):
            children = [c for c in self._children.values() if c.plan.role == role and c.process is not None]
            # Held until they have ended: one that is still starting reads it when it can.
            controls = [ControlSender(self._context, self.run_dir, child.plan.name) for child in children]
            for child, control in zip(children, controls, strict=True):
                child.stopping = True
                control.send(Stop())
            for child in children:
                assert child.process is not None
                if not await self._wait(child.process, self._limits.stop_deadline_s):
                    self._log.warning("%s did not stop in time", child.plan.name)
                    await self._kill(child, "did not stop")
                if child.process.stdin is not None:
                    child.process.stdin.close()
            for control in controls:
                control.close()

    @staticmethod
    async def _wait(process: subprocess.Popen[bytes], deadline_s: float) -> bool:
        """Whether the process ended within the deadline."""
        with anyio.move_on_after(deadline_s):
            while process.poll() is None:
                await anyio.sleep(0.02)
        return process.poll() is not None
