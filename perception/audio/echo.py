"""The agent's own voice taken out of what a microphone hears: what was played is known, the room is learned.

WebRTC's echo canceller (AEC3), as LiveKit's package carries it, adapts a filter from what sounds to what is heard and
estimates how much later that is. Where nothing has sounded for a while, sound is passed on as it came, bit for bit.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Protocol

import numpy as np

from perception.capture.blocks import SAMPLE_RATE_HZ, AudioBlock, Samples
from runtime.pcm import decoded, encoded

# What the canceller takes at once: 10 ms.
FRAME = SAMPLE_RATE_HZ // 100
# Buffers of sound cards, a radio loudspeaker's too, and the room after them.
_TAIL_SAMPLES = SAMPLE_RATE_HZ
_SENTENCES = 32
# While the room is learned what is left of the own voice comes and goes, and seems to be somebody who begins to speak:
# in five of ten first answers, up to 2.8 s into them. Till then it stays, which keeps the voice activity model awake.
_LEARNED_FRAMES = 300
_SOUNDS_POWER = 1e-5


class Canceller(Protocol):
    def step(self, played: Samples, heard: Samples) -> Samples:
        """What is left of `FRAME` samples that were heard, less what was played at that time or a little before."""
        ...


class WebRtcCanceller:
    """Raises ModuleNotFoundError where the extra is not installed."""

    def __init__(self) -> None:
        from livekit import rtc

        self._frame: Any = rtc.AudioFrame
        self._apm: Any = rtc.AudioProcessingModule(echo_cancellation=True)

    def step(self, played: Samples, heard: Samples) -> Samples:
        self._apm.process_reverse_stream(self._coded(played))
        frame = self._coded(heard)
        self._apm.set_stream_delay_ms(0)  # it estimates the delay itself
        self._apm.process_stream(frame)
        return decoded(frame.data)

    def _coded(self, samples: Samples) -> Any:
        return self._frame(encoded(samples), SAMPLE_RATE_HZ, 1, FRAME)


class CancelEcho:
    """Stage: blocks in, blocks of the same sound out, each at most 10 ms behind. `play` and `silence` may be called
    from another thread."""

    def __init__(self, canceller: Canceller) -> None:
        self._canceller = canceller
        # Position on the media clock -> what sounds from there on.
        self._played: deque[tuple[int, Samples]] = deque(maxlen=_SENTENCES)
        self._playing = threading.Lock()
        self._rest = np.zeros(0, np.float32)
        self._at = 0
        self._learned = 0

    def learn(self) -> None:
        """Learn the room anew: another microphone hears it."""
        self._learned = 0

    def play(self, start: int, samples: Samples) -> None:
        """These samples, float32 at 16 kHz, sound from ``start`` on the media clock, in samples."""
        with self._playing:
            self._played.append((start, samples))

    def silence(self, start: int) -> None:
        """What sounds was cut off at ``start``."""
        with self._playing:
            if self._played and self._played[-1][0] < start:
                begun, samples = self._played.pop()
                self._played.append((begun, samples[: start - begun]))

    def step(self, block: AudioBlock) -> list[AudioBlock]:
        goes_on = not block.lost and block.start == self._at
        out = [] if goes_on else self._let_go()
        if block.lost or not self._sounds(block.start):
            return [*out, *self._let_go(), block]
        if not len(self._rest):
            self._at = block.start
        begin = self._at - len(self._rest)
        samples = np.concatenate((self._rest, block.samples))
        whole = len(samples) // FRAME * FRAME
        left = [self._cancel(begin + i, samples[i : i + FRAME]) for i in range(0, whole, FRAME)]
        self._rest, self._at = samples[whole:], block.start + len(block.samples)
        return [*out, AudioBlock(begin, np.concatenate(left))] if left else out

    def _cancel(self, at: int, heard: Samples) -> Samples:
        played = self._sounding(at)
        self._learned += float(np.mean(played * played)) > _SOUNDS_POWER
        left = self._canceller.step(played, heard)
        return left if self._learned > _LEARNED_FRAMES else heard

    def _let_go(self) -> list[AudioBlock]:
        """What waits for the rest of its 10 ms, as it came."""
        rest, self._rest = self._rest, np.zeros(0, np.float32)
        return [AudioBlock(self._at - len(rest), rest)] if len(rest) else []

    def _sounds(self, at: int) -> bool:
        with self._playing:
            while self._played and self._played[0][0] + len(self._played[0][1]) + _TAIL_SAMPLES < at:
                self._played.popleft()
            return bool(self._played)

    def _sounding(self, at: int) -> Samples:
        """What sounds in the 10 ms from ``at`` on."""
        frame = np.zeros(FRAME, np.float32)
        with self._playing:
            played = tuple(self._played)
        for begun, samples in played:
            first, end = max(at, begun), min(at + FRAME, begun + len(samples))
            if first < end:
                frame[first - at : end - at] += samples[first - begun : end - begun]
        return frame
