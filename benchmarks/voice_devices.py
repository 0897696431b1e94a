"""Part of `benchmarks.voice`: a microphone and a loudspeaker that no machine has, joined by a folder of sounds.

What is to be heard lies in the folder as 16 kHz float32 under the moment of the machine's monotonic clock at which it
begins; the microphone, in the audio process, plays it then, in real time. The loudspeaker puts there what it plays,
quieter, later and with the sound of a room, so that the microphone hears the agent's own voice as it would there.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import msgspec
import numpy as np
import numpy.typing as npt

from runtime.clock import LiveClock
from runtime.interfaces.voice.synthesis import Speech, sound_starts_s
from runtime.plan import PerceiveLive
from runtime.processes import PROCESSES
from runtime.service import Service

SAMPLE_RATE_HZ, BLOCK = 16_000, 512
# In the run directory.
SOUNDS, STOPS = "sounds", "stops"
# How loud the agent's own voice arrives at the microphone, and the hiss of the room.
ECHO_GAIN, HISS = 0.1, 0.0005
# How much later: buffers of the sound card. What the room adds dies away by 60 dB in so many seconds.
ECHO_LATE_S, ROOM_S = 0.12, 0.4
Samples = npt.NDArray[np.float32]


def stand_in() -> None:
    """Have the audio process listen to the virtual microphone."""
    PROCESSES["audio"] = msgspec.structs.replace(PROCESSES["audio"], main=f"{__name__}:hear_sounds")


async def hear_sounds(service: Service) -> None:
    """Listen, with the microphone of this file."""
    from perception.processes import listen, listen_live

    assert isinstance(service.work, PerceiveLive)
    assert isinstance(service.clock, LiveClock)
    microphone = VirtualMicrophone(service.clock, service.run_dir)
    vars(listen_live)["open_sound"] = lambda *_: microphone
    await listen.main(service)


class VirtualMicrophone:
    """Plays what lies in the folder, block by block, each when its time is over."""

    about = "virtual"

    def __init__(self, clock: LiveClock, run_dir: Path) -> None:
        self._clock = clock
        self._folder, self._stops = run_dir / SOUNDS, run_dir / STOPS
        self._random = np.random.default_rng(3)
        self._began_s = time.monotonic()
        self._count = 0
        self._known: dict[str, tuple[float, bool, Samples]] = {}

    def read(self) -> Any:
        from perception.capture.align import SoundPiece

        first_s = self._began_s + self._count / SAMPLE_RATE_HZ
        self._count += BLOCK
        end_s = self._began_s + self._count / SAMPLE_RATE_HZ
        time.sleep(max(0.0, end_s - time.monotonic()))
        samples = self._random.normal(0.0, HISS, BLOCK).astype(np.float32)
        for begun_s, own, sound in self._sounds():
            at = round((first_s - begun_s) * SAMPLE_RATE_HZ)
            until = len(sound)
            if own and (stopped_s := self._stopped_s(begun_s)) is not None:
                until = min(until, round((stopped_s - begun_s + ECHO_LATE_S) * SAMPLE_RATE_HZ))
            begin, end = max(0, -at), min(BLOCK, until - at)
            if begin < end:
                samples[begin:end] += sound[at + begin : at + end]
        return SoundPiece(samples, self._count / SAMPLE_RATE_HZ, end_s - self._clock.epoch_s)

    def _sounds(self) -> list[tuple[float, bool, Samples]]:
        for path in self._folder.glob("*.npy"):
            if path.name not in self._known:
                begun, who = path.stem.split("_")
                self._known[path.name] = float(begun), who == "own", np.load(path)
        return list(self._known.values())

    def _stopped_s(self, begun_s: float) -> float | None:
        """When what the loudspeaker began to play then was cut off."""
        try:
            stops = map(float, self._stops.read_text(encoding="ascii").split())
        except FileNotFoundError:
            return None
        return min((stop_s for stop_s in stops if stop_s >= begun_s), default=None)

    def close(self) -> None:
        pass


def put_sound(run_dir: Path, samples: Samples, begin_s: float, own: bool = False) -> None:
    """Have these samples be heard from ``begin_s`` of the monotonic clock on."""
    folder = run_dir / SOUNDS
    folder.mkdir(exist_ok=True)
    name = f"{begin_s:.4f}_{'own' if own else 'said'}.npy"
    beside = folder / f"{name}.new"
    with beside.open("wb") as file:
        np.save(file, samples.astype(np.float32))
    beside.rename(folder / name)


def resampled(speech: Speech) -> Samples:
    """Speech at the microphone's rate."""
    at = np.arange(int(len(speech.samples) * SAMPLE_RATE_HZ / speech.sample_rate_hz))
    source = at * speech.sample_rate_hz / SAMPLE_RATE_HZ
    samples: Samples = np.interp(source, np.arange(len(speech.samples)), speech.samples).astype(np.float32)
    return samples


def in_room(samples: Samples) -> Samples:
    """What a microphone across a room hears of it: late, and with the sound of the room, the same each time."""
    n = round(ROOM_S * SAMPLE_RATE_HZ)
    at = np.arange(n)
    room = np.random.default_rng(5).normal(0.0, 0.25, n) * 10.0 ** (-3.0 * at / n)
    room[: round(0.0025 * SAMPLE_RATE_HZ)] = 0.0  # nothing is heard of the walls before
    room[0] = 1.0
    late = np.zeros(round(ECHO_LATE_S * SAMPLE_RATE_HZ))
    heard: Samples = np.concatenate((late, np.convolve(samples, room))).astype(np.float32)
    return heard


class VirtualLoudspeaker:
    """A `Player` that takes as long as what it plays; notes when its sound begins, and when it was stopped.

    ``echo_gain``: how loud it arrives at the microphone; 0 is a headset.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._scope = anyio.CancelScope()
        self.sounded_s: list[float] = []
        self.stopped_s: list[float] = []
        self.playing = False
        self.echo_gain = ECHO_GAIN

    async def play(self, speech: Speech) -> None:
        now_s = time.monotonic()
        if self.echo_gain:
            put_sound(self._run_dir, self.echo_gain * in_room(resampled(speech)), now_s, own=True)
        self.sounded_s.append(now_s + next(iter(sound_starts_s(speech)), 0.0))
        self.playing = True
        with anyio.CancelScope() as self._scope:
            await anyio.sleep(len(speech.samples) / speech.sample_rate_hz)
        self.playing = False

    def stop(self) -> None:
        if self.playing:
            self.stopped_s.append(time.monotonic())
            with (self._run_dir / STOPS).open("a", encoding="ascii") as stops:
                stops.write(f"{self.stopped_s[-1]:.4f}\n")
            self._scope.cancel()
