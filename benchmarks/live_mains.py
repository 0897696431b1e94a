"""Mains of processes for the benchmarks of live perception: the real ones, with one thing about them changed.

`slow_video` looks as slowly as a file says; `told_reasoning` notes when an interruption reached it; `hour_video` and
`hour_audio` perceive a camera and a microphone that do not exist, on a clock that runs faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import msgspec
import numpy as np

from runtime.clock import LiveClock
from runtime.messages import Interrupt, Message
from runtime.plan import PerceiveLive
from runtime.processes import PROCESSES
from runtime.service import Service

CAMERA_HZ = 2.0
SIZE = (320, 180)
# What the microphone's clock is off by, and how late its blocks come at most.
DRIFT_PPM, JITTER_S = 120.0, 0.03
SAMPLE_RATE_HZ, BLOCK = 16_000, 4_096
# A flash and a click at the same instant, about once a minute: no multiple of the 32 ms in which sound is looked at, so
# that a click placed by them would show.
EVENT_S = 60.5
# In the run directory: by how many seconds a look is slower, and how many times as fast the clock runs.
SLOW_FILE, TIMES_FILE = "slow", "times"


def stand_in(**mains: str) -> None:
    """Have the processes of these roles run mains of this file: ``video="slow_video"``."""
    for role, main in mains.items():
        PROCESSES[role] = msgspec.structs.replace(PROCESSES[role], main=f"{__name__}:{main}")


async def slow_video(service: Service) -> None:
    """Watch with a stage that takes ``float(file)`` seconds longer for each look."""
    from perception.processes import watch
    from perception.vision.pipeline import FrameAnalyser

    slow, step = service.run_dir / SLOW_FILE, FrameAnalyser.step

    def slowly(self: Any, *looks: Any) -> Any:
        time.sleep(float(slow.read_text() or 0.0))
        return step(self, *looks)

    setattr(FrameAnalyser, "step", slowly)  # noqa: B010
    await watch.main(service)


async def told_reasoning(service: Service) -> None:
    """Reason, and note in ``arrivals`` of the run directory when each interruption was handled."""
    from reasoning import process as answer

    register = service.on_control
    arrivals = (service.run_dir / "arrivals").open("a", buffering=1, encoding="ascii")

    def noting(kind: type[Message], handle: Callable[[Any], None]) -> None:
        def noted(message: Any) -> None:
            arrivals.write(f"{message.conversation} {time.monotonic()}\n")
            handle(message)

        register(kind, noted if kind is Interrupt else handle)

    service.on_control = noting  # type: ignore[method-assign]
    await answer.main(service)


class FastClock(LiveClock):
    """A live clock that runs ``times`` as fast."""

    def __init__(self, epoch_s: float, times: float) -> None:
        super().__init__(epoch_s)
        self.times = times

    def now(self) -> float:
        return super().now() * self.times

    def wait_until(self, t_s: float) -> None:
        time.sleep(max(0.0, (t_s - self.now()) / self.times))


class UnrealCamera:
    """Pictures at `CAMERA_HZ` with a square that wanders, and a white one at every event."""

    about = "drawn"

    def __init__(self, clock: FastClock) -> None:
        self._clock = clock
        self._number = int(clock.now() * CAMERA_HZ) + 1
        random = np.random.default_rng(5)
        coarse = random.integers(60, 120, (12, 20, 3), dtype=np.uint8)
        self._scene = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)

    def read(self) -> Any:
        from perception.capture.camera import Shot

        t_s, self._number = self._number / CAMERA_HZ, self._number + 1
        self._clock.wait_until(t_s)
        picture = np.array(self._scene)
        x = int(t_s * 7) % (SIZE[0] - 30)
        picture[60:90, x : x + 30] = (30, 30, 200)
        if t_s % EVENT_S == 0.0:
            picture[:] = 250
        return Shot(picture, t_s)

    def close(self) -> None:
        pass


class UnrealMicrophone:
    """The hiss of a room with a click at every event, from a sound card whose clock drifts."""

    about = "drawn"

    def __init__(self, clock: FastClock) -> None:
        self._clock = clock
        self._random = np.random.default_rng(6)
        self._began_s = clock.now()
        self._count = 0

    def read(self) -> Any:
        from perception.capture.align import SoundPiece

        rate = 1 + 1e-6 * DRIFT_PPM
        first, self._count = self._count, self._count + BLOCK
        end_s = self._began_s + self._count / SAMPLE_RATE_HZ * rate
        self._clock.wait_until(end_s)
        samples = self._random.normal(0.0, 0.002, BLOCK).astype(np.float32)
        at_s = self._began_s + (first + np.arange(BLOCK)) / SAMPLE_RATE_HZ * rate
        click = at_s % EVENT_S < 0.02
        samples[click] = self._random.uniform(-0.7, 0.7, int(click.sum()))
        return SoundPiece(samples, self._count / SAMPLE_RATE_HZ, end_s + float(self._random.uniform(0.0, JITTER_S)))

    def close(self) -> None:
        pass


def _fast_clock(service: Service) -> FastClock:
    assert isinstance(service.work, PerceiveLive)
    assert service.work.epoch_s is not None
    return FastClock(service.work.epoch_s, float((service.run_dir / TIMES_FILE).read_text(encoding="ascii")))


async def hour_video(service: Service) -> None:
    from perception.processes import watch, watch_live

    clock = _fast_clock(service)
    service.clock = clock
    vars(watch_live)["open_picture"] = lambda *_: UnrealCamera(clock)
    await watch.main(service)


async def hour_audio(service: Service) -> None:
    from perception.processes import listen, listen_live

    clock = _fast_clock(service)
    service.clock = clock
    vars(listen_live)["open_sound"] = lambda *_: UnrealMicrophone(clock)
    await listen.main(service)
