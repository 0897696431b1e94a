"""Capturing live: a thread of its own reads a device or stream as fast as it gives, and opens it again when it fails.

Whoever looks takes the newest picture from a slot, so capture never waits for looking; sound waits in a bounded
queue, because its pieces follow from one another. What found no room, or was replaced before anybody took it, is
counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from runtime.errors import MindstreamError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
# Gives media seconds.
Now = Callable[[], float]
# How often whoever waits for captured things looks up when none comes.
LOOK_UP_S = 0.25
# A capture that is silent for so many times its own deadline hangs in a driver; only a new process helps.
STALLS = 6


class CaptureFailed(MindstreamError):
    """A source cannot be opened or read; one line says why. It is tried again."""


class CaptureOver(MindstreamError):
    """A source has nothing for us, and trying again will not change that; one line says why."""


class Capture(Protocol[T_co]):
    """An open device or stream."""

    @property
    def about(self) -> str:
        """What it gives, in a few words: "1280x720, h264"."""
        ...

    def read(self) -> T_co:
        """The next piece; waits for it, but never for ever.

        Raises:
            CaptureFailed: it went away, or stopped sending.
        """
        ...

    def close(self) -> None: ...


class Taken(Struct, Generic[T], frozen=True):
    """What was captured since the last look at it. ``connection`` counts how often the source was opened.

    over    why nothing will ever come.
    reason  why nothing comes at present; "" while the source is open.
    reading whether a read, or an attempt to open, is under way (rather than a pause before the next).
    """

    item: T | None
    connection: int
    about: str
    reason: str
    over: str
    reading: bool


class Inbox(Generic[T]):
    """Between the capturing thread and the one that works: the newest ``size`` items, and the state of the source."""

    def __init__(self, size: int, count_drop: Callable[[], None]) -> None:
        self._items: deque[tuple[T, int]] = deque(maxlen=size)
        self._count_drop = count_drop
        self._changed = threading.Condition()
        self._connection = 0
        self._about = self._reason = self._over = ""
        self._reading = True
        self._closed = False
        self.captured = 0

    def put(self, item: T) -> None:
        """Add an item; the oldest one goes where there is no room."""
        with self._changed:
            self.captured += 1
            if len(self._items) == self._items.maxlen:
                self._count_drop()
            self._items.append((item, self._connection))
            self._changed.notify()

    def opened(self, about: str) -> None:
        with self._changed:
            self._connection += 1
            self._about, self._reason, self._reading = about, "", True
            self._changed.notify()

    def lost(self, reason: str, over: str = "") -> None:
        with self._changed:
            self._reason, self._over, self._reading = reason, over, False
            self._changed.notify()

    def trying(self) -> None:
        with self._changed:
            self._reading = True

    def close(self) -> None:
        """Wake whoever waits; it gets what is there."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Taken[T]:
        """The oldest item that waits and the state of the source; without an item after ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._over or self._closed, timeout_s)
            item, connection = self._items.popleft() if self._items else (None, self._connection)
            return Taken(item, connection, self._about, self._reason, self._over, self._reading)


class CaptureThread(Generic[T]):
    """Opens a source, reads it into an inbox, and begins again, with growing pauses, whenever it fails."""

    def __init__(
        self, open_capture: Callable[[], Capture[T]], inbox: Inbox[T], pause_min_s: float, pause_max_s: float
    ) -> None:
        self._open_capture = open_capture
        self._inbox = inbox
        self._pauses_s = (pause_min_s, pause_max_s)
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._wanted.set()
        # A daemon: a driver that never returns from a read must not keep the process.
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """Close the source after the read under way, so that its device is free and its lamp off, until `resume`."""
        self._wanted.clear()

    def resume(self) -> None:
        self._wanted.set()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Have the thread end; waits for it no longer than that."""
        self._stopping.set()
        self._wanted.set()
        self._inbox.close()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        shortest_s, longest_s = self._pauses_s
        pause_s = shortest_s
        while not self._stopping.is_set():
            self._wanted.wait()
            self._inbox.trying()
            try:
                capture = self._open_capture()
                try:
                    self._inbox.opened(capture.about)
                    while self._wanted.is_set() and not self._stopping.is_set():
                        self._inbox.put(capture.read())
                        pause_s = shortest_s
                finally:
                    capture.close()
            except CaptureFailed as error:
                self._inbox.lost(str(error))
            except CaptureOver as error:
                self._inbox.lost(str(error), over=str(error))
                return
            except Exception as error:  # a library's own: told as what it is, and tried again like any other
                self._inbox.lost(f"{type(error).__name__}: {' '.join(str(error).split())}")
            if self._wanted.is_set():
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, longest_s)
