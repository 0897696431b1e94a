"""The shell every process lives in: plan, signals, lifeline, heartbeat, sockets, clean exit.

A process module has ``async def main(service: Service) -> None``. It wires sources, stages and topics,
calls ``service.ready()`` once it can work, and returns when it is done or ``service.stopping`` is set.
Run by the supervisor as ``python -m runtime.service RUN_DIR NAME``.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import importlib
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
import zmq.asyncio

from runtime.bus import Member, Outbox, Publisher, Subscription, endpoint
from runtime.calls import Caller, CallServer, Handler
from runtime.clock import Clock, LiveClock, MonotonicClock, ReplayClock
from runtime.encryption import Key, hold
from runtime.errors import CallError, DecodeError, RestartNeeded, UserError, root_cause
from runtime.logs import open_log
from runtime.messages import (
    LOST_MARK,
    Ack,
    Cancel,
    Heartbeat,
    MemoryStatus,
    Message,
    StatusRequest,
    Stop,
    Track,
    decode,
)
from runtime.pause import PausableOutbox
from runtime.plan import OnFolder, PerceiveFiles, PerceiveLive, Plan, Work, plan_path
from runtime.printable import say
from runtime.recording import SUFFIX, Recorder
from runtime.spill import LiveOutbox

HEARTBEAT_S = 0.5
MEMORY_DEADLINE_S = 6.0
# After its lifeline breaks a process may finish what it writes; then it is gone whatever it does.
ORPHAN_GRACE_S = 3.0
# Weights are loaded in seconds, or exported first, which takes minutes; neither shows how far it is.
LOADING_S = 600.0
# Before any media time.
NOTHING_YET = -1.0
# Stacks of earlier processes are kept up to this size.
STACKS_BYTES = 1 << 20
# How the supervisor tells a user's error, which a restart cannot mend, from a crash.
USER_ERROR_MARK = "user error: "

T = TypeVar("T")


class Service:
    """What a process's ``main`` works with. Made by `run`; tests make their own with the same methods."""

    def __init__(self, plan: Plan, run_dir: Path) -> None:
        self.name = plan.name
        self.role = plan.role
        self.config = plan.config
        self.work = plan.work
        self.run_dir = run_dir
        self.log = open_log(plan.name, run_dir, plan.config.log.level)
        self.stopping = anyio.Event()
        self.clock = _clock(plan.work)
        self._members = plan.members
        self._context = zmq.asyncio.Context()
        self._context.set(zmq.IPV6, 0)
        record_dir = plan.work.record_dir if isinstance(plan.work, PerceiveFiles) else ""
        recorder = Recorder(Path(record_dir) / f"{plan.name}{SUFFIX}") if record_dir else None
        self._publisher = Publisher(self._context, run_dir, plan.name, recorder)
        self._server = CallServer(self._context, run_dir, plan.name, self.drop)
        outbox = Outbox(self._publisher, "perceived", plan.config.perception.outbox)
        # A live source waits for nobody; a file waits, and loses nothing.
        self.outbox: Outbox | PausableOutbox = outbox
        if isinstance(plan.work, PerceiveLive):
            spill_bytes = plan.config.perception.live.spill_mb * 1e6
            live = LiveOutbox(outbox, "video" if plan.role == "video" else "audio", spill_bytes, self.drop)
            self.outbox = PausableOutbox(live, run_dir, lambda: self.clock.now())
        self._callers: dict[str, Caller] = {}
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._on_control: dict[type[Message], Callable[[Any], None]] = {}
        self._beat: dict[str, Any] = {"ready": False, "idle": True}
        self._counters: dict[str, float] = {}
        self._drops: dict[str, int] = {}
        self._moved_s = time.monotonic()
        self._allowed_until_s: list[float] = []
        self._tasks: anyio.abc.TaskGroup

    # --- what main calls ---------------------------------------------------------------------------

    def ready(self) -> None:
        """Tell the supervisor that this process can work."""
        # What is there by now stays: no full collection walks it, which took 15 ms in the middle of a question.
        gc.collect()
        gc.freeze()
        self._beat["ready"] = True
        self._heartbeat()

    def report(
        self,
        *,
        source: str | None = None,
        media_s: float | None = None,
        idle: bool | None = None,
        counters: dict[str, float] | None = None,
        notes: tuple[str, ...] | None = None,
    ) -> None:
        """State of the work, for the next heartbeat. ``counters`` are totals and are merged. That media time moves is
        progress."""
        moved = media_s is not None and media_s != self._beat.get("media_s")
        if moved or (idle is False and self._beat["idle"]):
            self.progressed()
        given = {"source": source, "media_s": media_s, "idle": idle, "notes": notes}
        self._beat.update({key: value for key, value in given.items() if value is not None})
        self._counters.update(counters or {})

    def progressed(self) -> None:
        """The work moves on, though neither media time nor a counter shows it; from any thread."""
        self._moved_s = time.monotonic()

    @contextmanager
    def may_take(self, limit_s: float) -> Iterator[None]:
        """What is done inside may take so long without a sign of progress, if it is more than others get."""
        until_s = time.monotonic() + limit_s
        self._allowed_until_s.append(until_s)
        try:
            yield
        finally:
            self._allowed_until_s.remove(until_s)
            self.progressed()

    def drop(self, what: str, n: int = 1) -> None:
        """Count ``n`` things lost; ``what`` is "topic:reason"."""
        self._drops[what] = self._drops.get(what, 0) + n

    def publish(self, topic: str, message: Message) -> None:
        """Send on a `latest` topic; in a pause, no word of what is said."""
        if topic in ("voice", "partial") and self.paused:
            return
        self._publisher.publish(topic, message)

    @property
    def folder(self) -> Path:
        """The memory folder that this process works on."""
        assert isinstance(self.work, OnFolder)
        return Path(self.work.path)

    @property
    def read_only(self) -> bool:
        """Whether that folder cannot be written."""
        assert isinstance(self.work, OnFolder)
        return self.work.read_only

    @property
    def live_outbox(self) -> PausableOutbox:
        """The outbox of a live source, which never makes wait."""
        assert isinstance(self.outbox, PausableOutbox)
        return self.outbox

    @property
    def paused(self) -> bool:
        """Whether the user paused what this process perceives."""
        return isinstance(self.outbox, PausableOutbox) and self.outbox.paused

    @property
    def paused_since_s(self) -> float | None:
        """Media time since which the user has this process paused; None if it is not."""
        return self.outbox.paused_since_s if isinstance(self.outbox, PausableOutbox) else None

    def subscribe(
        self,
        *topics: str,
        after: dict[tuple[str, int], int] | None = None,
        on_refused: Callable[[str, int], None] = lambda publisher, epoch: None,
    ) -> Subscription:
        """Deliveries of these topics from all members that publish them (arguments as of `Subscription`)."""
        subscription = Subscription(self._context, self.run_dir, self._members, topics, after, self.drop, on_refused)
        self._tasks.start_soon(subscription.pump)
        return subscription

    @property
    def members(self) -> tuple[Member, ...]:
        """All processes the agent may run."""
        return self._members

    def has(self, process: str) -> bool:
        """Whether the agent may run a process of that name."""
        return any(member.name == process for member in self._members)

    def members_of(self, role: str) -> tuple[str, ...]:
        """Names of the processes of a role that perceive one source each."""
        return tuple(member.name for member in self._members if member.role == role and member.name != role)

    def caller(self, process: str) -> Caller:
        """The way to call another process; one per callee."""
        if process not in self._callers:
            self._callers[process] = Caller(self._context, self.run_dir, process)
            self._tasks.start_soon(self._callers[process].run)
        return self._callers[process]

    def on_control(self, kind: type[Message], handle: Callable[[Any], None]) -> None:
        """Have ``handle(message)`` called for control messages of this type (``Interrupt``, say)."""
        self._on_control[kind] = handle

    async def serve(self, handlers: dict[type[Message], Handler]) -> None:
        """Answer calls until stopping."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._server.serve, handlers, self._log_bug)
            await self.stopping.wait()
            tasks.cancel_scope.cancel()

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run ``function`` in the one model thread of this process; the event loop stays free.

        Who is cancelled waits no longer, but the next function begins only when this one has ended.
        """
        return await asyncio.wrap_future(self._model_thread.submit(function, *args))

    # --- the shell ---------------------------------------------------------------------------------

    async def run(self, main: Callable[[Service], Any]) -> None:
        """Run ``main`` with heartbeat, control and signals around it, until it returns."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._watch_signals)
                self._tasks.start_soon(self._read_control)
                self._tasks.start_soon(self._beat_forever)
                if self.role in ("video", "audio"):
                    self._tasks.start_soon(self._read_acks)
                    self._tasks.start_soon(self.outbox.resend_forever)
                await main(self)
                self._beat["ended"] = True
                self._heartbeat()
                self._tasks.cancel_scope.cancel()
        finally:
            self._model_thread.shutdown(wait=False, cancel_futures=True)
            self._publisher.close()
            self._server.close()
            self._context.destroy(linger=200)

    async def _watch_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                self.stopping.set()

    async def _read_control(self) -> None:
        socket = self._context.socket(zmq.PULL)
        socket.bind(endpoint(self.run_dir, "control", self.name))
        try:
            while True:
                try:
                    message = decode(await socket.recv())
                except DecodeError:
                    self.drop("control:undecodable")
                    continue
                if isinstance(message, Stop):
                    self.stopping.set()
                elif isinstance(message, Cancel):
                    self._server.cancel(message.call)
                elif handle := self._on_control.get(type(message)):
                    handle(message)
        finally:
            socket.close(linger=0)

    async def _read_acks(self) -> None:
        async for delivery in self.subscribe("ack"):
            if isinstance(delivery.message, Ack):
                self.outbox.acknowledge(delivery.message, delivery.epoch)

    async def _beat_forever(self) -> None:
        while True:
            self._heartbeat()
            self._publisher.repeat()
            await anyio.sleep(HEARTBEAT_S)

    def _heartbeat(self) -> None:
        waiting = self._beat["idle"] or self.outbox.blocked
        if waiting:
            self.progressed()
        quiet_s = time.monotonic() - max([self._moved_s, *self._allowed_until_s])
        self.publish(
            "heartbeat",
            Heartbeat(
                process=self.name,
                pid=os.getpid(),
                rss_bytes=_resident_bytes(),
                data_age_s=round(self._data_age_s(waiting), 3),
                quiet_s=round(max(0.0, quiet_s), 3),
                counters=dict(self._counters),
                drops=dict(self._drops),
                paused=self.paused,
                clock_s=round(self.clock.now(), 3) if isinstance(self.clock, LiveClock) else 0.0,
                **self._beat,
            ),
        )

    def _data_age_s(self, waiting: bool) -> float:
        """Of live data how long ago they were perceived, of others how long they have not moved."""
        if isinstance(self.clock, LiveClock):
            return 0.0 if waiting else max(0.0, self.clock.now() - self._beat.get("media_s", 0.0))
        return time.monotonic() - self._moved_s

    def _log_bug(self, error: BaseException) -> None:
        self.log.error("a call failed", exc_info=error)


async def remembered(service: Service, track: Track) -> dict[str, float | None]:
    """Media time up to which memory holds this track of each source it knows; None where it has ended.

    A track that was given up because its process was lost has not ended: it goes on. `NOTHING_YET` where no time of it
    is known to be in memory: a track's row says 0.0 from its opening on, also while what begins there is on its way.
    What is there nevertheless is told again under the same id.

    Waits while memory starts, however long it takes to be brought up to date: the agent ends if it is lost.

    Raises:
        CallError: this process is to stop, and memory has not answered.
    """
    while True:
        try:
            status = await service.caller("memory").call(StatusRequest(), deadline_s=MEMORY_DEADLINE_S)
            break
        except CallError:
            if service.stopping.is_set():
                raise
    assert isinstance(status, MemoryStatus)
    return {
        record.source: record.watermarks.get(track) or NOTHING_YET
        if record.ended.get(track, LOST_MARK).startswith(LOST_MARK)
        else None
        for record in status.sources
        if track in record.watermarks or track in record.ended
    }


def _clock(work: Work) -> Clock:
    if not isinstance(work, PerceiveFiles | PerceiveLive):
        return MonotonicClock()
    epoch_s = time.monotonic() if work.epoch_s is None else work.epoch_s
    if isinstance(work, PerceiveLive):
        return LiveClock(epoch_s)
    return ReplayClock(epoch_s, math.inf if work.speed == "max" else work.speed)


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _die_with_parent(log_line: Callable[[str], None]) -> None:
    """Wait on standard input, the lifeline that brings nothing more: its end is the parent's end.

    A thread, not a task, so that it works even when the event loop is stuck.
    """
    while os.read(0, 1):
        pass
    log_line("lifeline broken: the supervisor is gone")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE_S)
    os._exit(1)


def main(argv: list[str]) -> None:
    """Run one process by its plan. Exit codes: 0 done, 1 a bug (traceback on stderr), 2 a user's error, 3 another is to
    go on from what is durable."""
    os.umask(0o077)  # what is remembered, recorded or exported is its owner's alone, wherever it is put
    run_dir, name = Path(argv[1]), argv[2]
    plan = msgspec.json.decode(plan_path(run_dir, name).read_bytes(), type=Plan)
    if isinstance(plan.work, OnFolder) and plan.work.locked:
        hold(Path(plan.work.path), Key.receive(0))
    # What the one before us was stuck in stays to be read; open as long as we live.
    stacks = open(run_dir / f"{name}.stacks", "a", encoding="utf-8")  # noqa: SIM115
    if stacks.tell() > STACKS_BYTES:
        stacks.truncate(0)
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGUSR1, stacks)

    async def start() -> None:
        service = Service(plan, run_dir)
        threading.Thread(target=_die_with_parent, args=(service.log.warning,), daemon=True).start()
        service.log.info("started %s", plan.main, extra={"pid": os.getpid()})
        module, _, function = plan.main.partition(":")
        await service.run(getattr(importlib.import_module(module), function))
        service.log.info("ended")

    exit_code = 0
    try:
        anyio.run(start, backend_options={"use_uvloop": True})
    except BaseException as error:
        cause = root_cause(error)
        if isinstance(cause, UserError):
            exit_code = UserError.exit_code
            say(f"{USER_ERROR_MARK}{type(cause).__name__}: {cause}", sys.stderr)
        elif isinstance(cause, RestartNeeded):
            exit_code = RestartNeeded.exit_code
            say(str(cause), sys.stderr)
        else:
            exit_code = 1
            traceback.print_exception(error, file=sys.stderr)
            # The supervisor quotes the last line; a group's traceback ends in a rule.
            say(f"{type(cause).__name__}: {cause}", sys.stderr)
    # A worker thread stuck in a model must not keep a finished process alive.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    main(sys.argv)
