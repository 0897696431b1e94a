"""Live sound: a microphone of this machine, or the sound of a stream."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from perception.capture.align import SoundPiece
from perception.capture.blocks import CHUNK_S, SAMPLE_RATE_HZ, Samples
from perception.capture.channels import MixChannels
from perception.capture.reopening import Capture, CaptureFailed, CaptureOver, Now
from perception.capture.stream import StreamReader
from runtime.config import LiveConfig
from runtime.sources import LiveSource

# What the driver may say of how long ago a block was recorded, at most; more is a clock that makes no sense.
_LATENCY_MAX_S = 0.5
# Blocks between the driver's thread and ours; ours only resamples them.
_BLOCKS = 64
NO_PORTAUDIO = (
    "microphones need PortAudio, which is not installed; install it (Debian, Ubuntu: apt install libportaudio2)"
)


def open_sound(source: LiveSource, live: LiveConfig, now: Now) -> Capture[SoundPiece]:
    """Open the sound of a live source. ``now`` gives media seconds.

    Raises:
        CaptureFailed, CaptureOver: it cannot be opened; for now, or at all.
    """
    if source.kind == "microphone":
        return Microphone(source.address, live, now)
    return StreamSound(source, live, now)


class Microphone:
    """A microphone, through PortAudio. ``which`` is part of its name, its number, or "" for the system's default."""

    def __init__(self, which: str, live: LiveConfig, now: Now) -> None:
        self._sounddevice = sounddevice = load_sounddevice()
        sounddevice._terminate()  # PortAudio lists devices once, when it begins
        sounddevice._initialize()
        self._stall_s = live.stall_s
        self._now = now
        self._blocks: queue.Queue[tuple[Samples, int, float]] = queue.Queue(_BLOCKS)
        self._count = 0
        device: Any = int(which) if which.isdigit() else which or None
        try:
            found = sounddevice.query_devices(device, "input")
        except (ValueError, sounddevice.PortAudioError) as error:
            named = ", ".join(microphones()) or "none"
            what = f"no microphone called {which!r}" if which else "no microphone"
            raise CaptureFailed(f"{what}; connected: {named}") from error
        self._name = str(found["name"])
        # A voice may be in the second channel alone: of an interface with two inputs, say.
        self._channels = min(2, int(found["max_input_channels"]))
        self._mix = MixChannels(("FL", "FR")[: self._channels])
        self._rate_hz = SAMPLE_RATE_HZ
        self._stream = self._open(found)
        self._resampler = Resampler()

    def _open(self, found: Any) -> Any:
        """The stream at 16 kHz, or at the device's own rate where it has no other."""
        for rate_hz in dict.fromkeys((SAMPLE_RATE_HZ, int(found["default_samplerate"]))):
            self._rate_hz = rate_hz  # before the first block, which comes in another thread
            try:
                stream = self._sounddevice.InputStream(
                    samplerate=rate_hz,
                    blocksize=round(CHUNK_S * rate_hz),
                    device=found["index"],
                    channels=self._channels,
                    dtype="float32",
                    callback=self._arrive,
                )
                stream.start()
                return stream
            except self._sounddevice.PortAudioError as error:
                failure = error
        raise CaptureFailed(f"microphone {self._name!r} cannot be opened: {failure.args[0]}") from failure

    @property
    def about(self) -> str:
        return f"{self._name}, {self._rate_hz} Hz"

    def read(self) -> SoundPiece:
        try:
            block, count, arrival_s = self._blocks.get(timeout=self._stall_s)
        except queue.Empty:
            raise CaptureFailed(f"microphone {self._name!r} stopped sending; was it unplugged?") from None
        mix, _ = self._mix.step(np.ascontiguousarray(block.T))
        samples = self._resampler.step(mix, self._rate_hz)
        return SoundPiece(samples, count / self._rate_hz, arrival_s)

    def close(self) -> None:
        self._stream.close(ignore_errors=True)

    def _arrive(self, block: Any, frames: int, times: Any, status: Any) -> None:
        """In the driver's thread: note when the block's end was recorded, and hand it on."""
        self._count += frames
        since_s = times.currentTime - times.inputBufferAdcTime - frames / self._rate_hz
        arrival_s = self._now() - (since_s if 0.0 < since_s < _LATENCY_MAX_S else 0.0)
        try:
            self._blocks.put_nowait((np.array(block, np.float32), self._count, arrival_s))
        except queue.Full:
            pass  # the count goes on, so that what is missing becomes a hole


def load_sounddevice() -> Any:
    """The sounddevice module.

    Raises:
        CaptureOver: PortAudio is not installed.
    """
    try:
        import sounddevice
    except (OSError, ImportError) as error:
        raise CaptureOver(NO_PORTAUDIO) from error
    return sounddevice


def microphones() -> list[str]:
    """Names of the microphones of this machine.

    Raises:
        CaptureOver: PortAudio is not installed.
    """
    devices = load_sounddevice().query_devices()
    return [str(device["name"]) for device in devices if device["max_input_channels"] > 0]


class StreamSound:
    """The sound of a stream from the network."""

    def __init__(self, source: LiveSource, live: LiveConfig, now: Now) -> None:
        self._reader = StreamReader(source, "audio", live, now)
        self._resampler = Resampler()
        self._pieces = self._received()

    @property
    def about(self) -> str:
        return f"{self._reader.about}, {self._reader.codec.sample_rate} Hz"

    def read(self) -> SoundPiece:
        return next(self._pieces)

    def close(self) -> None:
        self._reader.close()

    def _received(self) -> Iterator[SoundPiece]:
        nothing = np.zeros(0, np.float32)
        counted_s = 0.0
        for received in self._reader.received():
            frame, stamp_s = received.frame, received.stamp_s
            if not isinstance(frame, AudioFrame):
                if stamp_s is not None:
                    yield SoundPiece(nothing, stamp_s, received.arrival_s)
                continue
            length_s = frame.samples / frame.sample_rate
            samples = self._resampler.step_frame(frame)
            if stamp_s is None:
                counted_s += length_s
                yield SoundPiece(samples, counted_s, received.arrival_s)
            else:
                yield SoundPiece(samples, stamp_s + length_s, None)


class Resampler:
    """Any sound to 16 kHz mono, float32; a change of format in between begins anew."""

    def __init__(self) -> None:
        self._setup: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None
        self._mix = MixChannels(())

    def step(self, samples: Samples, rate_hz: int) -> Samples:
        """Mono samples of this rate."""
        if rate_hz == SAMPLE_RATE_HZ:
            return samples
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        return self.step_frame(frame)

    def step_frame(self, frame: AudioFrame) -> Samples:
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or setup != self._setup:
            # The channels stay apart: ffmpeg's mix of two in opposite phase is silence.
            self._resampler, self._setup = AudioResampler("fltp", frame.layout, SAMPLE_RATE_HZ), setup
            self._mix = MixChannels([channel.name for channel in frame.layout.channels])
        frame.pts = None
        planes: list[Any] = [resampled.to_ndarray() for resampled in self._resampler.resample(frame)]
        parts = [self._mix.step(channels)[0] for channels in planes]
        return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
